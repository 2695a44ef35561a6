//! Any bytes are a document or an error; what is a document copies to the same bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| obsrv_fuzz::doc_parse::run(bytes));
