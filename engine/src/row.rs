//! Rows and the events they are folded from.
//!
//! An *event* is an immutable fact about one row (a span as sent, a run header, a score). A *row*
//! is the fold of the events with one identity (project, table, trace id, row id).

use bytes::Bytes;

/// Position of a record in the log. The first is 1; 0 means "before everything".
pub type Lsn = u64;

/// A project. 0 is never a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(pub u64);

/// The five schemas of one segment format. Persisted: never reuse a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// One live row per run, derived from its spans and its own events.
    Runs = 1,
    /// Steps of a run.
    Spans = 2,
    /// Log lines.
    Logs = 3,
    /// Metric points.
    Points = 4,
    /// Annotations, feedback and metric events.
    Scores = 5,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Runs,
        Self::Spans,
        Self::Logs,
        Self::Points,
        Self::Scores,
    ];

    /// Its place in [`Table::ALL`].
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// The table with this persisted number.
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            1 => Some(Self::Runs),
            2 => Some(Self::Spans),
            3 => Some(Self::Logs),
            4 => Some(Self::Points),
            5 => Some(Self::Scores),
            _ => None,
        }
    }
}

/// The identity of a row within its project and table, in the text form in which it came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The trace that the row is clustered with. Of a log line without one [`outside_traces`]; of a
    /// point its series.
    pub trace_id: Box<str>,
    /// The row within the trace: span id, run id, score id; of a point its time.
    pub id: Box<str>,
}

/// What a cluster that is no trace begins with. No dialect that writes logs has such a trace id.
const OUTSIDE_TRACES: char = '~';

/// What rows of [`Table::Logs`] that belong to no trace are clustered with: what came together. A
/// cluster for all of them would make looking one up as slow as there are many.
pub fn outside_traces(together: &str) -> String {
    format!("{OUTSIDE_TRACES}{together}")
}

/// The trace of a row of [`Table::Logs`] that is clustered with this.
pub fn trace_of(cluster: &str) -> Option<&str> {
    (!cluster.starts_with(OUTSIDE_TRACES)).then_some(cluster)
}

/// Orders the events of one row: a higher version wins, the content hash breaks ties. Both come
/// from the content alone, so that any order of arrival gives the same row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp {
    /// Given by the dialect: see `version_of` in the server's dialects.
    pub version: u64,
    /// xxh3-64 of the document.
    pub hash: u64,
}

/// One immutable fact about one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The table of the row.
    pub table: Table,
    /// The row.
    pub key: RowKey,
    /// Start, nanoseconds since the epoch; `None` when this event does not say. Of a point its time,
    /// which is part of its identity: every event of a point has the same.
    pub start_ns: Option<i64>,
    /// End, nanoseconds since the epoch; `None` while it runs or when this event does not say.
    pub end_ns: Option<i64>,
    /// Higher wins. The content hash is added by the engine.
    pub version: u64,
    /// A partial event overlays its top-level fields, adding to metadata, tags and blobs; a complete
    /// one replaces all older events.
    pub partial: bool,
    /// The content: a map in the encoding of [`crate::doc`].
    pub doc: Bytes,
}
