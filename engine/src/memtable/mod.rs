//! Memtables: where rows are between the acknowledgement and their segment.
//!
//! One table per (project, table). Rows are only ever appended, in LSN order; a superseded or
//! deleted row is marked dead with the LSN that did it, so a reader at LSN L sees the rows up to L
//! that were not dead at L, while the one writer goes on. Columns are filled behind the writer, at
//! the latest by the query that needs them, so a row is searchable the moment it is published.
//!
//! A frozen memtable is never written again except for dead marks.

mod lanes;
mod rows;
mod table;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

use crate::row::{Lsn, ProjectId, Table};

pub use rows::MemRow;
pub use table::MemTable;
pub(crate) use table::TableColumns;
pub use view::TableView;

/// A section's address: the number of a segment or memtable, and which section of it.
pub type SectionId = (u64, ProjectId, Table);

/// Dead rows by section.
pub type Marks = BTreeMap<SectionId, RoaringBitmap>;

/// Rows of many projects, and what their records did to older rows.
#[derive(Debug)]
pub struct Memtable {
    number: u64,
    tables: RwLock<HashMap<(ProjectId, Table), Arc<MemTable>>>,
    bytes: AtomicU64,
    last_lsn: AtomicU64,
    pending: Mutex<Pending>,
    /// Tables with many rows that have no columns yet.
    behind: Mutex<Vec<Arc<MemTable>>>,
}

/// What goes into the manifest with this memtable's segment.
#[derive(Debug, Default)]
pub struct Pending {
    /// Rows of older segments and memtables that records in here made dead.
    pub marks: Marks,
    /// Control events in here.
    pub controls: Vec<(Lsn, bytes::Bytes)>,
    /// Side files that hold bodies of records in here.
    pub side_files: Vec<u64>,
}

impl Memtable {
    /// An empty memtable that will become segment `number`.
    pub fn new(number: u64) -> Self {
        Self {
            number,
            tables: RwLock::default(),
            bytes: AtomicU64::new(0),
            last_lsn: AtomicU64::new(0),
            pending: Mutex::default(),
            behind: Mutex::default(),
        }
    }

    /// The number of the segment that it becomes.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Bytes held, as charged to the budget.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The last record in here; 0 when there is none.
    pub fn last_lsn(&self) -> Lsn {
        self.last_lsn.load(Ordering::Acquire)
    }

    /// Notes that a record of this LSN went in, whatever it held.
    pub fn note_record(&self, lsn: Lsn, bytes: u64) {
        self.last_lsn.fetch_max(lsn, Ordering::AcqRel);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What goes into the manifest with the segment.
    pub fn pending(&self) -> &Mutex<Pending> {
        &self.pending
    }

    /// One project's table, if it has rows here.
    pub fn table(&self, project: ProjectId, table: Table) -> Option<Arc<MemTable>> {
        self.tables.read().get(&(project, table)).cloned()
    }

    /// One project's table, made if needed.
    pub fn table_or_new(&self, project: ProjectId, table: Table) -> Arc<MemTable> {
        if let Some(found) = self.table(project, table) {
            return found;
        }
        let mut tables = self.tables.write();
        Arc::clone(tables.entry((project, table)).or_default())
    }

    /// Appends a row; it is seen by readers at its LSN or later.
    pub fn push(&self, project: ProjectId, table: Table, row: MemRow) -> u32 {
        self.push_into(&self.table_or_new(project, table), row)
    }

    /// Appends a row to a table of this memtable.
    pub fn push_into(&self, table: &Arc<MemTable>, row: MemRow) -> u32 {
        self.note_record(row.made, row.charged_bytes());
        let (at, asks) = table.push(row);
        if asks {
            self.behind.lock().push(Arc::clone(table));
        }
        at
    }

    /// Whether some table asks to be indexed.
    pub fn is_behind(&self) -> bool {
        !self.behind.lock().is_empty()
    }

    /// Fills the columns of one table that asks for it. False when none does.
    pub fn index_step(&self) -> bool {
        let Some(table) = self.behind.lock().pop() else {
            return false;
        };
        table.waits.store(false, Ordering::Release);
        table.catch_up(u32::MAX);
        self.bytes.fetch_add(table.take_grown(), Ordering::Relaxed);
        true
    }

    /// Every table, in order of project and table.
    pub fn tables(&self) -> Vec<(ProjectId, Table, Arc<MemTable>)> {
        let tables = self.tables.read();
        let mut all: Vec<_> = tables
            .iter()
            .map(|(&(p, t), m)| (p, t, Arc::clone(m)))
            .collect();
        all.sort_by_key(|(p, t, _)| (*p, *t));
        all
    }
}

#[cfg(test)]
mod tests;
