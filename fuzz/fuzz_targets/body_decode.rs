//! Any bytes are a body or an error; what is a body is encoded to a body that says the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| obsrv_fuzz::body_decode::run(bytes));
