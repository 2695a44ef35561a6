//! A section that says anything, with right checksums, answers every question or says that it is damaged.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("segment_forged", &obsrv_fuzz::segment_forged::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::segment_forged::run(bytes);
});
