//! A page of a term index is read or refused, and never has more than its bytes can hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| obsrv_fuzz::term_page::run(bytes));
