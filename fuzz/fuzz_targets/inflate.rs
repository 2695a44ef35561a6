//! Any body under any content encoding is no more than it may be, or is refused.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("inflate", &obsrv_fuzz::inflate::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::inflate::run(bytes);
});
