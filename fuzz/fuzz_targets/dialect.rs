//! Any body is events or an error, the same each time; what a body says can be stored.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("dialect", &obsrv_fuzz::dialect::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::dialect::run(bytes);
});
