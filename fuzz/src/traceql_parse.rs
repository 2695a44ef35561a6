//! Any text is a `TraceQL` query or an error that points into the text; how a query is told is the same query.

use obsrv_engine::query::traceql::{as_filter, parse};

/// One execution; whether it is a query.
pub fn run(text: &str) -> bool {
    let query = match parse(text) {
        Ok(query) => query,
        Err(error) => {
            assert!(error.at <= text.len(), "{error} points behind the text");
            return false;
        }
    };
    let _ = (as_filter(&query, false), as_filter(&query, true));
    // It has a bracket around everything, so it may be nested too deep to be read.
    let told = query.to_string();
    if let Ok(again) = parse(&told) {
        assert_eq!(again.to_string(), told, "a query is told as another");
    }
    true
}

/// The examples of the language.
pub fn seeds() -> Vec<Vec<u8>> {
    let grammar = include_str!("../../engine/src/query/traceql/GRAMMAR.md");
    let examples = grammar.split("```examples").nth(1).unwrap_or_default();
    let texts = examples.lines().filter_map(|line| line.split_once(" => "));
    texts
        .map(|(text, _)| text.trim_end().as_bytes().to_vec())
        .collect()
}
