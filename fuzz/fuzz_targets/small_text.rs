//! Small texts that requests and records carry (times, addresses, ranges, hashes) are read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("small_text", &obsrv_fuzz::small_text::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::small_text::run(bytes);
});
