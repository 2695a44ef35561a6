//! Any bytes are an OTLP request in protobuf or an error, for each of the three signals.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| obsrv_fuzz::otlp_protobuf::run(bytes));
