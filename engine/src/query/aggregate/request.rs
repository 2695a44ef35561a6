//! What can be asked of many rows at once.

use super::super::QueryError;
use super::super::ast::{Filter, Test};
use super::super::plan::check as check_filter;
use crate::source::Column;

/// Most keys to group by.
pub const KEYS_MAX: usize = 4;
/// Most measures of one request.
pub const MEASURES_MAX: usize = 16;
/// Most quantiles of one measure.
pub const QUANTILES_MAX: usize = 16;
/// Most groups that an answer lists.
pub const GROUPS_LISTED_MAX: usize = 10_000;
/// Most cells: groups, or pairs of group and time bucket. More than that are no answer.
pub const CELLS_MAX: usize = 1_000_000;
/// Most time buckets between the first and the last.
pub const BUCKETS_MAX: usize = 10_000;
/// Most points of an answer: the listed groups' time buckets.
pub const POINTS_MAX: usize = 1_000_000;
/// Narrowest time bucket, nanoseconds.
pub const BUCKET_WIDTH_MIN_NS: i64 = 1_000;
/// Most different values that exact distinct measures may hold, over all groups.
pub const DISTINCT_EXACT_MAX: usize = 1_000_000;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateRequest {
    /// Which rows.
    pub filter: Filter,
    /// What the rows are grouped by; up to [`KEYS_MAX`]. None gives one group of all rows.
    pub keys: Vec<Key>,
    /// Time buckets that every group is cut into.
    pub time: Option<TimeBuckets>,
    /// What is worked out for every group, every point and all rows; up to [`MEASURES_MAX`].
    pub measures: Vec<Measure>,
    /// Which groups are listed, and in which order.
    pub top: Top,
}

impl AggregateRequest {
    /// All rows that pass, as one group.
    pub fn new(filter: Filter, measures: Vec<Measure>) -> Self {
        Self {
            filter,
            keys: Vec::new(),
            time: None,
            measures,
            top: Top::default(),
        }
    }
}

/// A column whose values make groups.
///
/// A row with several values is in the group of each, once. Values are equal by value: the whole
/// number 1 and the float 1 are one group, as are all NaN. Texts too long for a column are told
/// apart by fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The column.
    pub column: Column,
    /// Whether rows without a value make a group of their own; else they are in no group.
    pub absent: bool,
}

impl Key {
    /// Groups by a column, rows without a value included.
    pub const fn new(column: Column) -> Self {
        Self {
            column,
            absent: true,
        }
    }
}

/// Buckets of rows by start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBuckets {
    /// How long each is, nanoseconds; at least [`BUCKET_WIDTH_MIN_NS`].
    pub width_ns: i64,
    /// Where some bucket starts, e.g. local midnight.
    pub origin_ns: i64,
    /// Only rows that start at the first or after, and before the second. The buckets at the ends
    /// are cut to it.
    pub range: Option<(i64, i64)>,
    /// Whether buckets without rows are listed: all of the range, or without one those between
    /// the first and the last row of any group.
    pub fill: bool,
}

/// What is worked out of the rows of a group.
///
/// Numbers that came as whole and as floats are added up together. Values that are no numbers
/// (NaN, too) count nowhere but in `not_numbers`. A row's values are a set: `[1, 1]` is one 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Rows.
    Count,
    /// Rows that pass a filter besides.
    CountIf(Filter),
    /// The exact sum, rounded once if floats are among the numbers. Both infinities make NaN.
    Sum(Column),
    /// The sum over the count of numbers.
    Avg(Column),
    /// The smallest number.
    Min(Column),
    /// The largest number.
    Max(Column),
    /// For each p from 0 to 1 the value of rank `ceil(p * count)`, within 0.4 %; the smallest
    /// and the largest exactly. Whole numbers count as floats.
    Quantiles {
        /// Of which numbers.
        column: Column,
        /// Which; up to [`QUANTILES_MAX`].
        at: Vec<f64>,
    },
    /// Counts in 128 buckets between powers of two.
    Histogram(Column),
    /// How many different values, equal as for [`Key`].
    Distinct {
        /// Of which column.
        column: Column,
        /// How sure.
        mode: DistinctMode,
    },
}

/// How different values are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DistinctMode {
    /// Exactly; no answer above [`DISTINCT_EXACT_MAX`].
    Exact,
    /// Exactly, and estimated from where there are more than [`DISTINCT_EXACT_MAX`].
    ExactOrEstimated,
    /// Estimated above 512 values, with a standard error of 1.6 %.
    Estimated,
}

/// Which groups are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// By what they are ordered; ties by the values of the keys. Groups without a number come last.
    pub by: Rank,
    /// Largest first.
    pub descending: bool,
    /// How many are listed; up to [`GROUPS_LISTED_MAX`].
    pub limit: usize,
}

impl Default for Top {
    fn default() -> Self {
        Self {
            by: Rank::Rows,
            descending: true,
            limit: GROUPS_LISTED_MAX,
        }
    }
}

/// What groups are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// How many rows they have.
    Rows,
    /// The values of the keys alone.
    Keys,
    /// A measure: which, and of quantiles which.
    Measure(usize, usize),
}

/// Refuses what is over a limit or means nothing.
pub(super) fn check(request: &AggregateRequest) -> Result<(), QueryError> {
    check_filter(&request.filter)?;
    at_most("keys", request.keys.len(), KEYS_MAX)?;
    at_most("measures", request.measures.len(), MEASURES_MAX)?;
    at_most("groups", request.top.limit, GROUPS_LISTED_MAX)?;
    for key in &request.keys {
        check_column(&key.column)?;
    }
    for measure in &request.measures {
        check_measure(measure)?;
    }
    if let Rank::Measure(at, part) = request.top.by {
        let parts = match request.measures.get(at) {
            Some(Measure::Quantiles { at, .. }) => at.len(),
            Some(Measure::Histogram(_)) | None => 0,
            Some(_) => 1,
        };
        if part >= parts {
            return Err(QueryError::Meaningless("order of groups"));
        }
    }
    if let Some(time) = &request.time {
        if time.width_ns < BUCKET_WIDTH_MIN_NS {
            return Err(QueryError::Meaningless("width of time buckets"));
        }
        if time.range.is_some_and(|(from, to)| from >= to) {
            return Err(QueryError::Meaningless("range of time buckets"));
        }
    }
    Ok(())
}

fn check_measure(measure: &Measure) -> Result<(), QueryError> {
    match measure {
        Measure::Count => Ok(()),
        Measure::CountIf(filter) => check_filter(filter),
        Measure::Sum(column)
        | Measure::Avg(column)
        | Measure::Min(column)
        | Measure::Max(column)
        | Measure::Histogram(column)
        | Measure::Distinct { column, .. } => check_column(column),
        Measure::Quantiles { column, at } => {
            at_most("quantiles", at.len(), QUANTILES_MAX)?;
            if !at.iter().all(|p| (0.0..=1.0).contains(p)) {
                return Err(QueryError::Meaningless("quantile"));
            }
            check_column(column)
        }
    }
}

/// As in a filter.
fn check_column(column: &Column) -> Result<(), QueryError> {
    check_filter(&Filter::Is(column.clone(), Test::Exists))
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), QueryError> {
    if count > max {
        Err(QueryError::TooMany { what, max, count })
    } else {
        Ok(())
    }
}
