//! What is meant behind the escapes of any text is no longer than the text.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("text_forms", &obsrv_fuzz::text_forms::seeds()), |text: &str| {
    obsrv_fuzz::text_forms::run(text);
});
