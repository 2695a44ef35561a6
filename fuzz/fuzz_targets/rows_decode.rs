//! Any bytes are rows or an error; rows have one form.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| obsrv_fuzz::rows_decode::run(bytes));
