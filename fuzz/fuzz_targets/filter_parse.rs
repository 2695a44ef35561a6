//! Any text of the search bar is a filter or an error that points into the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsrv_engine::query::parse;

fuzz_target!(|text: &str| {
    let first = parse(text, 1 << 60);
    let second = parse(text, 1 << 60);
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
});
