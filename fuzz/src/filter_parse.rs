//! Any text of the search bar is a filter or an error that points into the text.

use obsrv_engine::query::parse;

/// One execution.
pub fn run(text: &str) {
    let Err(error) = parse(text, 1 << 60) else {
        return;
    };
    assert!(error.at <= text.len(), "{error} points behind the text");
}
