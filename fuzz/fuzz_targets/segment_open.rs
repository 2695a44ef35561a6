//! A damaged segment opens and reads to what was written, or says that it is damaged.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| obsrv_fuzz::segment_open::run(bytes));
