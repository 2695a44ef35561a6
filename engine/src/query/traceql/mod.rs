//! `TraceQL`: spans by what they say and how they stand to one another, traces that have them, and
//! numbers of them over time. `GRAMMAR.md` beside this file is the reference.
//!
//! Every selector becomes a [`Filter`](super::ast::Filter) over spans, which the columns decide; what
//! a filter cannot say (sums, two fields compared, a parent's attribute) is decided afterwards, on
//! the spans that the filter leaves. Relations are looked up in the tree of one trace at a time.

pub mod ast;
mod compile;
mod eval;
mod fields;
mod lexer;
pub mod math;
mod newest;
mod parse;
mod search;
mod series;
mod trace;
mod tree;
mod value;
mod write;

pub use ast::Query;
pub use compile::as_filter;
pub use parse::parse;
pub use search::{SearchRequest, SpanFound, SpanSet, TraceFound, TracesFound, search};
pub use series::{Exemplar, Series, SeriesAnswer, SeriesRequest, series};
pub use value::Value;

/// Longest text of a query.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Deepest nesting of brackets and signs.
pub const DEPTH_MAX: usize = 32;
/// Most parts of a query: operators, names, values, steps.
pub const NODES_MAX: usize = 256;
/// Most selectors of a query.
pub const SELECTORS_MAX: usize = 32;
/// Most regular expressions of a query.
pub const PATTERNS_MAX: usize = super::text::REGEXES_MAX;
/// Most fields of one `select()`.
pub const SELECTED_MAX: usize = 32;
/// Most fields that series are told apart by.
pub const BY_MAX: usize = 5;
/// Most steps after a function over time.
pub const SECOND_MAX: usize = 4;
/// Most series of a `topk()` or `bottomk()`.
pub const TOP_MAX: usize = 1_000;
/// Most values of each field in a `compare()`.
pub const COMPARED_MAX: usize = 100;
/// Most fields that a `compare()` looks at.
pub const COMPARED_FIELDS_MAX: usize = 500;
/// Most hints.
pub const HINTS_MAX: usize = 16;
/// Most traces in an answer.
pub const TRACES_LISTED_MAX: usize = 1_000;
/// Most spans that are shown of a set.
pub const SPANS_SHOWN_MAX: usize = 1_000;
/// Most spans of a trace whose tree is looked at.
pub const TREE_SPANS_MAX: usize = 1_000_000;
/// Most sets that a trace is cut into by `by()`.
pub const SETS_MAX: usize = 10_000;
/// Most series of an answer.
pub const SERIES_MAX: usize = 10_000;
/// Most steps of time.
pub const STEPS_MAX: usize = 11_000;
/// Most points of an answer.
pub const POINTS_MAX: usize = 1_000_000;
/// Most spans that are shown beside a series.
pub const EXEMPLARS_MAX: usize = 100;
/// Spans that are shown beside all series of an answer from which on each has fewer, but not none.
pub const EXEMPLARS_ALL_MAX: usize = 10_000;
/// Narrowest step of time.
pub const STEP_MIN_NS: i64 = 1_000_000;

/// A pattern that must match the whole of a text.
fn whole(pattern: &str) -> String {
    format!("^(?:{pattern})$")
}
