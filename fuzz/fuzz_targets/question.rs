//! Any text is a filter in JSON, or conditions, numbers or a search as other tools ask for them, or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("question", &obsrv_fuzz::question::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::question::run(bytes);
});
