//! What a query sees of one table of one project, be it in a memtable or in a segment.

mod fact;
mod lanes;
mod outline;

use std::borrow::Cow;

use bytes::Bytes;
use roaring::RoaringBitmap;

pub(crate) use fact::{FactIn, Kept};
#[cfg(test)]
pub(crate) use lanes::tests::check_lanes;
pub use lanes::{
    ColumnReader, Lane, LaneKind, LaneValues, Selection, number_to_f64, number_to_i64,
};
pub(crate) use lanes::{by_values, push_pairs};
pub use outline::{Access, Outline, Wanted};

use crate::doc::Scalar;
use crate::model::score::Fact;
use crate::row::Lsn;

/// A column that a filter, a facet or a sort can name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// The trace id, a string.
    TraceId,
    /// The row id (span id, run id), a string.
    Id,
    /// Start, i64 nanoseconds.
    Start,
    /// End, i64 nanoseconds; absent while running.
    End,
    /// End minus start, i64 nanoseconds; absent while running.
    Duration,
    /// A dotted path into the document, e.g. `metadata.customer`. Arrays collapse onto their
    /// parent's path, so a row may have several values.
    Path(Box<str>),
    /// What a score says, in whichever of its places: over scores alone.
    Score(Fact),
    /// What the scores of a name make of a run or a span: as an order, a key of groups or in a measure. No source
    /// has it by itself: see [`crate::query`].
    Scored(Box<str>, Taken),
}

/// How several scores of one name make what a row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Taken {
    /// The mean of their numbers; yes counts as 1 and no as 0. A row without a number has none.
    Mean,
    /// What each of them is worth.
    Each,
}

impl Column {
    /// Whether its values are of whatever types documents have.
    pub(crate) const fn has_any_type(&self) -> bool {
        matches!(self, Self::Path(_) | Self::Score(_))
    }

    /// What a filter calls it.
    pub fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::TraceId => "trace_id",
            Self::Id => "id",
            Self::Start => "start",
            Self::End => "end",
            Self::Duration => "duration",
            Self::Path(path) => path,
            Self::Score(fact) => fact.name(),
            Self::Scored(name, _) => return Cow::Owned(format!("scores.{name}")),
        })
    }
}

/// The hot columns of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// Trace id as it came.
    pub trace_id: Box<str>,
    /// Row id as it came.
    pub id: Box<str>,
    /// Start, nanoseconds.
    pub start_ns: i64,
    /// End, nanoseconds.
    pub end_ns: Option<i64>,
    /// The record that first made this row.
    pub lsn_first: Lsn,
    /// The record that last changed it.
    pub lsn_last: Lsn,
}

/// The rows that pass a test.
#[derive(Clone, Debug, Default)]
pub struct Matches {
    /// Rows of which some value passes.
    pub sure: RoaringBitmap,
    /// Rows with a value too long for a column (over [`crate::doc::COLUMN_VALUE_BYTES_MAX`]) that
    /// may pass: decide on the document.
    pub verify: RoaringBitmap,
}

/// A test of one value. `None` says that it cannot be decided on a fingerprint.
pub type ValueTest<'a> = &'a dyn Fn(Scalar<'_>) -> Option<bool>;

/// What a source's index of terms is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Probe<'a> {
    /// Rows with all of these terms in their texts and keys.
    Words(&'a [u64]),
    /// Rows with this text at this path.
    Text {
        /// The path.
        path: &'a str,
        /// The text.
        text: &'a str,
        /// Terms of the text.
        terms: &'a [u64],
    },
}

/// The blocks of rows that an index of terms leaves.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    /// The rows of each; and how many of them have the one term that was asked for, if it was one
    /// and that is known.
    pub left: Vec<(RoaringBitmap, Option<u32>)>,
}

/// Why a source could not answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A block failed its checksum or does not decode.
    #[error("damaged block file={file} offset={offset} what={what} part={part}")]
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What was read.
        what: &'static str,
        /// Of which section, and which block of it; empty where that is not known yet.
        part: String,
    },
    /// The disk refused, twice.
    #[error("read failed file={file} offset={offset}")]
    Io {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// The cause.
        source: std::io::Error,
    },
}

impl SourceError {
    /// The file and the offset in it of what did not read.
    pub fn place(&self) -> (&str, u64) {
        match self {
            Self::Damaged { file, offset, .. } | Self::Io { file, offset, .. } => (file, *offset),
        }
    }
}

/// One table of one project in one place. Rows are numbered from 0 without gaps.
///
/// Implemented by the memtable's tables and the segment's sections. Nothing here is cached by the
/// caller: a source must be cheap to ask twice.
pub trait Source: Send + Sync {
    /// How many rows, dead ones included.
    fn row_count(&self) -> u32;

    /// Smallest and largest start of the row group `group` (65,536 rows each); `None` if unknown.
    fn start_range(&self, group: u32) -> Option<(i64, i64)>;

    /// Rows among `within` of which some value of `column` passes `test`. The test is called once
    /// per distinct value where the column has a dictionary.
    ///
    /// A value over the column limit is offered as [`Scalar::Long`]; if the test answers `None`
    /// for it the row goes to `verify`.
    fn matching(
        &self,
        column: &Column,
        test: ValueTest<'_>,
        within: &RoaringBitmap,
    ) -> Result<Matches, SourceError>;

    /// What is known of a column before any row is looked at; `None` if nothing is. It decides what is looked at first and
    /// never what passes.
    fn outline(&self, column: &Column, wanted: Wanted<'_>) -> Option<Outline> {
        let _ = (column, wanted);
        None
    }

    /// Rows among `within` that have any value of `column`.
    fn present(
        &self,
        column: &Column,
        within: &RoaringBitmap,
    ) -> Result<RoaringBitmap, SourceError>;

    /// Calls `visit(row, value)` for every value of `column` of the rows in `rows`, row by row in
    /// ascending order.
    fn values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) -> Result<(), SourceError>;

    /// Adds, for every distinct value of `column` among `rows`, how many of the rows have it.
    fn count_values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        add: &mut dyn FnMut(Scalar<'_>, u64),
    ) -> Result<(), SourceError>;

    /// The blocks that may have rows such as `probe` asks for, by an index; `None` if there is no
    /// index that can tell.
    fn narrow(&self, probe: Probe<'_>) -> Result<Option<Blocks>, SourceError> {
        let _ = probe;
        Ok(None)
    }

    /// The number of the block in which the row's body is; `None` if reading it costs no more than
    /// the body.
    fn block_of(&self, row: u32) -> Option<u32> {
        let _ = row;
        None
    }

    /// Opens a column to be read row group by row group.
    fn reader<'a>(&'a self, column: &Column) -> Result<Box<dyn ColumnReader + 'a>, SourceError> {
        Ok(by_values(self, column))
    }

    /// Calls `visit(path, type, rows)` for every path that has values, by path, then type; `rows`
    /// are those that have one, dead ones included.
    fn paths(&self, visit: &mut dyn FnMut(&str, LaneKind, u64)) -> Result<(), SourceError>;

    /// What it is, if it never changes: no other source of the process has the same number.
    fn sealed(&self) -> Option<(u64, u64)> {
        None
    }

    /// The highest [`Core::lsn_last`] of its rows, or something above it; `None` if unknown. A query
    /// that goes on after an earlier page must read the hot columns of a source that may have newer
    /// rows than that page.
    fn lsn_max(&self) -> Option<Lsn> {
        None
    }

    /// The first row of records after `lsn`, if rows stand in the order of their records; `None` if
    /// they do not.
    fn first_after(&self, lsn: Lsn) -> Option<u32> {
        let _ = lsn;
        None
    }

    /// In how many blocks the bodies of the rows from `first` to `last` are, as far as blocks are
    /// read whole.
    fn blocks_between(&self, first: u32, last: u32) -> Result<u64, SourceError> {
        let _ = (first, last);
        Ok(0)
    }

    /// The hot columns of one row.
    fn core(&self, row: u32) -> Result<Core, SourceError>;

    /// The rows of one trace.
    fn trace_rows(&self, trace_id: &str) -> Result<RoaringBitmap, SourceError>;

    /// The row's body: see [`crate::body`].
    fn body(&self, row: u32) -> Result<Bytes, SourceError>;

    /// Calls `work` once, with a reader for many rows. Use [`reading`].
    fn with_rows(&self, work: &mut dyn FnMut(&mut dyn Rows)) -> Result<(), SourceError>;
}

/// Rows read one after another: what one of them needed is at hand for the next.
pub trait Rows {
    /// As [`Source::core`].
    fn core(&mut self, row: u32) -> Result<Core, SourceError>;

    /// As [`Source::body`].
    fn body(&mut self, row: u32) -> Result<Bytes, SourceError>;

    /// As [`Source::block_of`].
    fn block_of(&mut self, row: u32) -> Option<u32>;
}

/// The rows of a source of which one costs no more than another.
#[derive(Debug)]
pub struct OneByOne<'a, S>(pub &'a S);

impl<S: Source> Rows for OneByOne<'_, S> {
    fn core(&mut self, row: u32) -> Result<Core, SourceError> {
        self.0.core(row)
    }

    fn body(&mut self, row: u32) -> Result<Bytes, SourceError> {
        self.0.body(row)
    }

    fn block_of(&mut self, row: u32) -> Option<u32> {
        self.0.block_of(row)
    }
}

/// Reads rows of a source one after another.
pub fn reading<T, E: From<SourceError>>(
    source: &dyn Source,
    work: impl FnOnce(&mut dyn Rows) -> Result<T, E>,
) -> Result<T, E> {
    let (mut work, mut done) = (Some(work), None);
    source.with_rows(&mut |rows| {
        if let Some(work) = work.take() {
            done = Some(work(rows));
        }
    })?;
    done.expect("BUG: a source that gave no reader")
}

/// A source and the rows of it that the snapshot sees.
pub struct Visible<'a> {
    /// The rows.
    pub source: &'a dyn Source,
    /// Which of them are live at the snapshot.
    pub live: RoaringBitmap,
    /// Name for `explain`: `memtable-7`, `segment-0000000000000012`.
    pub name: String,
}

impl std::fmt::Debug for Visible<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visible")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
