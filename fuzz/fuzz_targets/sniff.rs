//! Any body of any content type is of a dialect of its route or of none; which one does not depend on what reads it.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("sniff", &obsrv_fuzz::sniff::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::sniff::run(bytes);
});
