//! Any text of the search bar is a filter or an error that points into the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsrv_engine::query::parse;

fuzz_target!(|text: &str| {
    let Err(error) = parse(text, 1 << 60) else { return };
    assert!(error.at <= text.len(), "{error} points behind the text");
});
