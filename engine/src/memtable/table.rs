//! One project's rows of one table in a memtable.
//!
//! Two locks: one for the rows, which the one writer appends to, and one for the columns, which
//! are filled behind it. Whoever reads columns first brings them up to the rows that it sees
//! ([`MemTable::catch_up`]), so a row is searchable the moment it is published, yet the writer
//! does not wait for it to be indexed. The columns' lock is taken before the rows' lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use super::rows::{MemRow, Rows};
use super::view::TableView;
use crate::columns::{Columns, LEFT_OUT};
use crate::row::{Lsn, RowKey};
use crate::segment::{Encode, Gathered, WriteError};

/// Rows without columns at which a table asks to be indexed.
pub(super) const INDEX_LAG: u32 = 256;
/// Rows without columns at which the writer indexes some of them itself, as many at once as in a batch.
pub(super) const INDEX_LAG_MAX: u32 = 32 * INDEX_LAG;
/// Rows that are indexed under one hold of the columns' lock: nobody waits for more than these.
const INDEX_BATCH: u32 = 64;

/// The rows, appended by one writer.
#[derive(Debug, Default)]
pub struct MemTable {
    pub(super) rows: RwLock<Rows>,
    pub(super) columns: RwLock<Indexed>,
    /// How many rows have columns, as far as others know.
    indexed: AtomicU32,
    /// Whether it already stands in the list of tables to be indexed.
    pub(super) waits: AtomicBool,
}

/// The columns of the first `rows` rows.
#[derive(Debug, Default)]
pub(super) struct Indexed {
    pub(super) columns: Columns,
    rows: u32,
}

impl MemTable {
    /// Appends a row. Returns its number and whether the table asks to be indexed.
    pub(super) fn push(&self, row: MemRow) -> (u32, bool) {
        let at = self.rows.write().push(row);
        let lag = at.saturating_sub(self.indexed.load(Ordering::Relaxed));
        if lag >= INDEX_LAG_MAX {
            self.index_batch(at + 1);
        }
        let asks = lag >= INDEX_LAG && !self.waits.swap(true, Ordering::AcqRel);
        (at, asks)
    }

    /// Marks a row dead from `lsn` on.
    pub fn kill(&self, row: u32, lsn: Lsn) {
        self.rows.write().kill(row, lsn);
    }

    /// The live row of a key.
    pub fn find(&self, key: &RowKey) -> Option<(u32, MemRow)> {
        let rows = self.rows.read();
        rows.find(key).map(|(at, row)| (at, row.clone()))
    }

    /// Whether there is a live row of a key.
    pub fn has(&self, key: &RowKey) -> bool {
        self.rows.read().find(key).is_some()
    }

    /// The rows of a trace, ascending, dead ones included.
    pub fn of_trace(&self, trace_id: &str) -> RoaringBitmap {
        self.rows.read().of_trace(trace_id).collect()
    }

    /// Whether there is any row of a trace, dead ones included.
    pub fn has_trace(&self, trace_id: &str) -> bool {
        self.rows.read().of_trace(trace_id).next().is_some()
    }

    /// Rows that are dead at `lsn`.
    pub fn dead_at(&self, lsn: Lsn) -> RoaringBitmap {
        self.rows.read().dead_at(lsn)
    }

    /// Rows that were made dead after `lsn`.
    pub fn dead_after(&self, lsn: Lsn) -> RoaringBitmap {
        self.rows.read().dead_after(lsn)
    }

    /// The row, dead or not.
    pub fn row(&self, row: u32) -> Option<MemRow> {
        self.rows.read().get(row).cloned()
    }

    /// What a reader at `lsn` sees.
    pub fn view_at(self: &Arc<Self>, lsn: Lsn) -> TableView {
        let count = self.rows.read().up_to(lsn);
        TableView::new(Arc::clone(self), count)
    }

    /// Fills the columns of the first `through` rows, or of all there are now.
    pub fn catch_up(&self, through: u32) {
        if self.indexed.load(Ordering::Acquire) >= through {
            return;
        }
        let all = u32::try_from(self.rows.read().len()).unwrap_or(u32::MAX);
        let through = through.min(all);
        while self.index_batch(through) < through {}
    }

    /// Fills the columns of the next rows, of the first `through` at most. Returns how many rows have columns.
    fn index_batch(&self, through: u32) -> u32 {
        let mut indexed = self.columns.write();
        let end = through.min(indexed.rows.saturating_add(INDEX_BATCH));
        let batch: Vec<(u32, Option<Bytes>)> = {
            let rows = self.rows.read();
            let view = |row| rows.get(row).and_then(|r| r.content.view().ok());
            (indexed.rows..end).map(|row| (row, view(row))).collect()
        };
        for (row, view) in batch {
            let added = view.map(|v| indexed.columns.add(row, &v));
            debug_assert!(
                matches!(added, Some(Ok(()))),
                "BUG: a body that does not read was published"
            );
        }
        indexed.rows = indexed.rows.max(end);
        self.indexed.store(indexed.rows, Ordering::Release);
        indexed.rows
    }

    /// Bytes by which the columns grew since this was last asked, whoever filled them.
    pub(super) fn take_grown(&self) -> u64 {
        u64::try_from(self.columns.write().columns.take_grown()).unwrap_or(u64::MAX)
    }
}

/// Rows of a table, with the columns that it has of them, as a section is written.
#[derive(Debug)]
pub(crate) struct TableColumns {
    table: Arc<MemTable>,
    /// The table's row of each input row.
    rows: Vec<u32>,
}

impl TableColumns {
    pub(crate) fn new(table: Arc<MemTable>, rows: Vec<u32>) -> Self {
        Self { table, rows }
    }
}

impl Gathered for TableColumns {
    fn read(&self, placed: &[u32], encode: Encode<'_>) -> Result<(), WriteError> {
        self.table.catch_up(u32::MAX);
        let indexed = self.table.columns.read();
        let count = usize::try_from(indexed.rows).unwrap_or(usize::MAX);
        let mut places = vec![LEFT_OUT; count];
        for (row, place) in self.rows.iter().zip(placed) {
            if let Some(slot) = usize::try_from(*row).ok().and_then(|r| places.get_mut(r)) {
                *slot = *place;
            }
        }
        encode(&indexed.columns, &places)
    }
}
