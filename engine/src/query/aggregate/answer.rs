//! What many rows add up to.

use super::super::meter::Explain;
use super::key::GroupValue;

/// A number of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Whole, exact.
    Whole(i128),
    /// A float.
    Float(f64),
}

/// What a measure came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The value.
    pub value: Value,
    /// How many numbers, rows or different values it is made of.
    pub count: u64,
    /// Values of the column that are no numbers.
    pub not_numbers: u64,
}

/// A measure's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// How many.
    Count(u64),
    /// A number; `None` if there are no numbers.
    Number(Option<Number>),
    /// As many as were asked for.
    Quantiles(Vec<Option<f64>>),
    /// (lower end, upper end, count) of every bucket that has values, ascending. Numbers are
    /// within both ends.
    Histogram(Vec<(f64, f64, u64)>),
    /// How many different values.
    Distinct {
        /// How many.
        count: u64,
        /// Counted, not estimated.
        exact: bool,
    },
}

/// Rows that a group, a time bucket or the whole has, and what they come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Rows.
    pub rows: u64,
    /// In the order of the request's measures.
    pub measures: Vec<Measured>,
}

/// Rows with the same values of the keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The values; `None` is rows without one.
    pub keys: Vec<Option<GroupValue>>,
    /// Of all its rows.
    pub figures: Figures,
    /// By time, ascending; empty if no time buckets were asked for.
    pub points: Vec<Point>,
}

/// A time bucket of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// First start of the bucket, or of the range asked for.
    pub start_ns: i64,
    /// First start after it.
    pub end_ns: i64,
    /// Of its rows.
    pub figures: Figures,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateAnswer {
    /// The groups that are listed, in order.
    pub groups: Vec<Group>,
    /// How many groups are not listed.
    pub groups_left_out: u64,
    /// Of all rows that pass, each counted once, also those that are in no listed group.
    pub total: Figures,
    /// What was done.
    pub explain: Explain,
}
