//! Filters, plans and answers: which rows pass, in which order, and what it cost to find out.
//!
//! A query sees only [`crate::source::Visible`] sources. It prunes row groups by start, evaluates
//! the filter on columns to two bitmaps (rows that surely pass, rows that may), decides the rest on
//! their documents, keeps the best `limit` rows, and reads the bodies of those alone.

pub mod aggregate;
pub mod ast;
mod beside;
mod divide;
mod document;
mod facet;
mod fresh;
mod given;
mod guess;
mod meter;
mod order;
mod parse;
mod plan;
mod scan;
mod scores;
mod search;
mod text;
mod told;
mod top;
pub mod traceql;
mod value;
mod weight;
mod write;

pub use beside::Beside;
pub use divide::Processors;
pub use facet::{FACET_DISTINCT_MAX, FACET_VALUES_MAX, FACETS_MAX, Facet};
pub use fresh::{Fresh, FreshRequest, News, Passing, fresh};
pub(crate) use meter::Meter;
pub use meter::{Budget, Explain, Guessed};
pub use order::{Order, Position, SORT_TEXT_BYTES_MAX, SortKey};
pub use parse::{ParseError, SEARCH_BYTES_MAX, is_money, is_time, parse, parse_over};
pub use plan::{DEPTH_MAX, LIST_MAX, NODES_MAX, TEXT_BYTES_MAX};
pub use scores::scored;
pub use search::{Hit, LIMIT_MAX, Page, Request, TRACES_MAX, count, search, search_cores};
pub use text::{Patterns, REGEX_BYTES_MAX, REGEX_SIZE_MAX, REGEXES_MAX};
pub use told::{SCORES_TOLD_MAX, Tellings, Told, told};
pub use weight::{Class, Heavy, LIGHT_BYTES_MAX, LIGHT_ROWS_MAX, LIGHT_VALUES_MAX, Weight};
pub use write::write;

use crate::doc::DocError;
use crate::source::SourceError;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// More rows asked for than a page may have.
    #[error("limit too large max={LIMIT_MAX} limit={0}")]
    LimitTooLarge(usize),
    /// The filter nests deeper than [`DEPTH_MAX`].
    #[error("filter nested too deep max={DEPTH_MAX}")]
    TooDeep,
    /// The filter has more than [`NODES_MAX`] nodes.
    #[error("filter too large max_nodes={NODES_MAX}")]
    TooManyNodes,
    /// A list in the filter has more than [`LIST_MAX`] values.
    #[error("list in filter too long max={LIST_MAX} len={0}")]
    ListTooLong(usize),
    /// A text in the filter has more than [`TEXT_BYTES_MAX`] bytes.
    #[error("text in filter too long max_bytes={TEXT_BYTES_MAX} len={0}")]
    TextTooLong(usize),
    /// A regular expression that does not read, or is longer or larger than allowed.
    #[error("regular expression does not read: {0}")]
    Regex(String),
    /// The filter has more than [`REGEXES_MAX`] regular expressions.
    #[error("too many regular expressions max={REGEXES_MAX}")]
    TooManyRegexes,
    /// More facets than [`FACETS_MAX`].
    #[error("too many facets max={FACETS_MAX} facets={0}")]
    TooManyFacets(usize),
    /// More values per facet than [`FACET_VALUES_MAX`].
    #[error("too many facet values max={FACET_VALUES_MAX} values={0}")]
    TooManyFacetValues(usize),
    /// More of something in an aggregate than there may be.
    #[error("too many {what} max={max} count={count}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
        /// How many there were.
        count: usize,
    },
    /// A part of an aggregate that means nothing.
    #[error("no meaning part={0}")]
    Meaningless(&'static str),
    /// A test of some span of a run inside another one: a span has no spans.
    #[error("a span test cannot hold another span test")]
    NestedAnySpan,
    /// A test of other rows inside a test of scores: a score has neither spans nor scores.
    #[error("a score test can hold neither a span test nor another score test")]
    NestedAnyScore,
    /// The query would read more than its budget allows.
    #[error("query exceeds its budget of {what} max={max}")]
    BudgetExceeded {
        /// What ran out: `rows`, `bytes`, `traces`, of aggregates also `cells`, `memory` and more.
        what: &'static str,
        /// How many there were.
        max: u64,
    },
    /// The caller gave up.
    #[error("query cancelled")]
    Cancelled,
    /// A source could not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The body of a row does not read.
    #[error("row does not read source={source_name} row={row}")]
    Row {
        /// The source's name.
        source_name: String,
        /// The row in it.
        row: u32,
        /// Why not.
        source: DocError,
    },
}

#[cfg(test)]
mod tests;
