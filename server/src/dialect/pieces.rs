//! Rows that come in pieces: what a create, its updates and an error say of one row.
//!
//! Every piece is a partial event. Its rank decides before its time, so that an update that
//! overtakes its create still overlays it, and an error that one piece tells is not undone by the
//! plain end that another one tells.

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter, Open};
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, RowKey, Table};

use super::bad::Bad;
use super::{ATTRIBUTES_MAX, KEY_BYTES_MAX};

/// Which piece overlays which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// What holds as long as no other piece says otherwise; the earliest of several wins.
    Fallback,
    /// The piece that makes the row.
    Create,
    /// A later piece.
    Update,
    /// That it failed.
    Error,
}

/// The version of a piece of a row: rank first, then the time that orders pieces of one rank.
pub(super) fn version(rank: Rank, at_ns: i64) -> u64 {
    let at = u64::try_from(at_ns).unwrap_or(0) >> 1;
    match rank {
        Rank::Fallback => (1 << 62) - 1 - at,
        Rank::Create => (1 << 62) | at,
        Rank::Update => (2 << 62) | at,
        Rank::Error => (3 << 62) | at,
    }
}

/// When the thing began and ended, as far as a piece says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) start_ns: Option<i64>,
    pub(super) end_ns: Option<i64>,
}

/// The identity of a row.
pub(super) fn key(trace_id: &str, id: &str) -> RowKey {
    RowKey {
        trace_id: trace_id.into(),
        id: id.into(),
    }
}

/// The document of one piece while it is written.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) out: DocWriter,
    open: Open,
    table: Table,
}

impl Piece {
    /// A piece of a row of `table`.
    pub(super) fn new(table: Table, dialect: &str) -> Self {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        let mut piece = Self { out, open, table };
        piece.text(model::DIALECT, Some(dialect));
        piece
    }

    /// A text, if there is one.
    pub(super) fn text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.value(key, DocRef::Str(text));
        }
    }

    /// A value.
    pub(super) fn value(&mut self, key: &str, value: DocRef<'_>) {
        self.out.key(key);
        self.out.value(value);
    }

    /// What the user attached. Anything but a map becomes the one entry `metadata` of one.
    pub(super) fn metadata(&mut self, value: DocRef<'_>) {
        if value.entries().is_some() {
            return self.value(model::METADATA, value);
        }
        self.out.key(model::METADATA);
        let open = self.out.begin_map();
        self.value(model::METADATA, value);
        self.out.end(open);
    }

    /// The event that says it.
    pub(super) fn event(self, key: RowKey, times: Times, version: u64, partial: bool) -> Event {
        Event {
            table: self.table,
            key,
            start_ns: times.start_ns,
            end_ns: times.end_ns,
            version,
            partial,
            doc: Bytes::from(self.finish()),
        }
    }

    /// Its document.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.end(self.open);
        self.out.finish()
    }
}

/// A start to hold until a piece says another one.
pub(super) fn begun_by(table: Table, dialect: &str, key: RowKey, at_ns: i64) -> Event {
    let times = Times {
        start_ns: Some(at_ns),
        end_ns: None,
    };
    Piece::new(table, dialect).event(key, times, version(Rank::Fallback, at_ns), true)
}

/// That a step failed, and how.
pub(super) fn failed(dialect: &str, key: RowKey, message: Option<&str>, at_ns: i64) -> Event {
    let mut piece = Piece::new(Table::Spans, dialect);
    piece.text(model::STATUS, Some(status::ERROR));
    piece.text(model::ERROR_MESSAGE, message);
    piece.event(key, Times::default(), version(Rank::Error, at_ns), true)
}

/// Refuses a body with more fields of its own than a row should have columns.
pub(super) fn check_count(fields: usize) -> Result<(), Bad> {
    if fields > ATTRIBUTES_MAX {
        return Err(too_many_fields());
    }
    Ok(())
}

/// Why such a body is refused.
pub(super) fn too_many_fields() -> Bad {
    Bad::new("fields", format!("too many limit={ATTRIBUTES_MAX}"))
}

/// The name in a row of a field that no table names.
pub(super) fn kept_name(prefix: &str, sent: &str) -> Result<String, Bad> {
    if sent.len() > KEY_BYTES_MAX {
        let problem = format!("name too long limit={KEY_BYTES_MAX} bytes={}", sent.len());
        return Err(Bad::new("fields", problem));
    }
    Ok(format!("{prefix}{sent}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_decides_before_time_and_fallbacks_run_backwards() {
        let late = i64::MAX;
        let order = [
            version(Rank::Fallback, late),
            version(Rank::Fallback, 2),
            version(Rank::Create, 0),
            version(Rank::Create, late),
            version(Rank::Update, 0),
            version(Rank::Update, 4),
            version(Rank::Update, late),
            version(Rank::Error, -5),
            version(Rank::Error, late),
        ];
        assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    }
}
