//! Media in values: what is cut out of any text comes back as it was sent, and any document that says something was cut out
//! of it reads.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| obsrv_fuzz::offload::run(bytes));
