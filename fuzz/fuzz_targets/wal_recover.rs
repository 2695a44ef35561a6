//! Whatever is done to the bytes of a log, recovery answers with records that were written, in
//! order and without gaps, or refuses; what it cut is gone for good after it was resumed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| obsrv_fuzz::wal_recover::run(bytes));
