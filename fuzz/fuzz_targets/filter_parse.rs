//! Any text of the search bar is a filter or an error that points into the text.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| obsrv_fuzz::filter_parse::run(text));
