//! A page of keys beside a directory is read or refused, and never has more columns than its bytes can hold.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("key_page", &obsrv_fuzz::key_page::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::key_page::run(bytes);
});
