//! One project's rows of one table in a memtable, and the view of them that a query reads.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use super::column::Column as MemColumn;
use crate::body;
use crate::doc::{DocRef, Scalar, flatten, scalar_of};
use crate::row::{Lsn, RowKey};
use crate::source::{Column, Core, Matches, Source, SourceError, ValueTest};

/// What a row costs beside its body: key, maps, column entries.
const ROW_OVERHEAD_BYTES: u64 = 512;

/// A row as it stands in memory.
#[derive(Clone, Debug)]
pub struct MemRow {
    /// Its identity.
    pub key: RowKey,
    /// Start.
    pub start_ns: i64,
    /// End.
    pub end_ns: Option<i64>,
    /// The record that first made the row, maybe in an older place.
    pub lsn_first: Lsn,
    /// The record that made this version.
    pub lsn_last: Lsn,
    /// See [`crate::body`].
    pub body: Bytes,
}

impl MemRow {
    /// Bytes charged to the memory budget.
    pub fn charged_bytes(&self) -> u64 {
        u64::try_from(self.body.len())
            .unwrap_or(u64::MAX)
            .saturating_add(ROW_OVERHEAD_BYTES)
    }
}

/// The rows, appended in LSN order.
#[derive(Debug, Default)]
pub struct MemTable {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rows: Vec<MemRow>,
    /// (LSN that killed it, row), in LSN order.
    dead: Vec<(Lsn, u32)>,
    /// The live row of each trace and id. The outer key is the trace id.
    newest: HashMap<Box<str>, HashMap<Box<str>, u32>>,
    /// All rows of each trace, dead ones included.
    traces: HashMap<Box<str>, Vec<u32>>,
    columns: HashMap<Box<str>, MemColumn>,
}

impl MemTable {
    pub(super) fn push(&self, row: MemRow) -> u32 {
        let mut inner = self.inner.write();
        let at = u32::try_from(inner.rows.len()).expect("BUG: over 4 G rows in a memtable");
        let view = body::view(&row.body).unwrap_or(DocRef::Null);
        let columns = &mut inner.columns;
        let flat = flatten(view, &mut |path, value| match columns.get_mut(path) {
            Some(column) => column.push(at, value),
            None => columns.entry(path.into()).or_default().push(at, value),
        });
        debug_assert!(flat.is_ok(), "BUG: a body that does not read was published");
        let RowKey { trace_id, id } = row.key.clone();
        inner.traces.entry(trace_id.clone()).or_default().push(at);
        inner.newest.entry(trace_id).or_default().insert(id, at);
        inner.rows.push(row);
        at
    }

    /// Marks a row dead from `lsn` on.
    pub fn kill(&self, row: u32, lsn: Lsn) {
        let mut inner = self.inner.write();
        inner.dead.push((lsn, row));
        let key = usize::try_from(row)
            .ok()
            .and_then(|i| inner.rows.get(i))
            .map(|r| r.key.clone());
        if let Some(RowKey { trace_id, id }) = key
            && let Some(ids) = inner.newest.get_mut(&trace_id)
            && ids.get(&id) == Some(&row)
        {
            ids.remove(&id);
        }
    }

    /// The newest row of a key, unless it is dead.
    pub fn find(&self, key: &RowKey) -> Option<(u32, MemRow)> {
        let inner = self.inner.read();
        let row = *inner.newest.get(&key.trace_id)?.get(&key.id)?;
        let found = inner.rows.get(usize::try_from(row).ok()?)?.clone();
        Some((row, found))
    }

    /// Whether the trace has rows here.
    pub fn has_trace(&self, trace_id: &str) -> bool {
        self.inner.read().traces.contains_key(trace_id)
    }

    /// Rows that are dead at `lsn`.
    pub fn dead_at(&self, lsn: Lsn) -> RoaringBitmap {
        let inner = self.inner.read();
        let end = inner.dead.partition_point(|(at, _)| *at <= lsn);
        inner.dead.iter().take(end).map(|(_, row)| *row).collect()
    }

    /// Rows that were made dead after `lsn`.
    pub fn dead_after(&self, lsn: Lsn) -> RoaringBitmap {
        let inner = self.inner.read();
        let end = inner.dead.partition_point(|(at, _)| *at <= lsn);
        inner.dead.iter().skip(end).map(|(_, row)| *row).collect()
    }

    /// The row, dead or not.
    pub fn row(&self, row: u32) -> Option<MemRow> {
        self.inner
            .read()
            .rows
            .get(usize::try_from(row).ok()?)
            .cloned()
    }

    /// What a reader at `lsn` sees.
    pub fn view_at(self: &Arc<Self>, lsn: Lsn) -> TableView {
        let count = self
            .inner
            .read()
            .rows
            .partition_point(|row| row.lsn_last <= lsn);
        TableView {
            table: Arc::clone(self),
            count: u32::try_from(count).unwrap_or(u32::MAX),
        }
    }
}

/// The rows of a table up to an LSN.
#[derive(Clone, Debug)]
pub struct TableView {
    table: Arc<MemTable>,
    count: u32,
}

impl TableView {
    /// The rows that are live at `lsn`, which must be the LSN the view was made with.
    pub fn live(&self, lsn: Lsn) -> RoaringBitmap {
        let mut live = RoaringBitmap::new();
        live.insert_range(0..self.count);
        live -= self.table.dead_at(lsn);
        live
    }

    /// Calls `visit(row, value)` for the values of `column` among `rows`, ascending.
    fn each(&self, column: &Column, rows: &RoaringBitmap, visit: &mut dyn FnMut(u32, Scalar<'_>)) {
        let inner = self.table.inner.read();
        if let Column::Path(path) = column {
            let (Some(first), Some(last)) = (rows.min(), rows.max()) else {
                return;
            };
            let Some(values) = inner.columns.get(path) else {
                return;
            };
            for &(row, code) in values.entries_between(first, last) {
                if let (true, Some(value)) = (rows.contains(row), values.value(code)) {
                    visit(row, value);
                }
            }
            return;
        }
        for row in rows {
            let Some(found) = usize::try_from(row).ok().and_then(|i| inner.rows.get(i)) else {
                return;
            };
            if let Some(value) = core_value(found, column) {
                visit(row, value);
            }
        }
    }
}

fn core_value<'a>(row: &'a MemRow, column: &Column) -> Option<Scalar<'a>> {
    match column {
        Column::TraceId => scalar_of(DocRef::Str(&row.key.trace_id)),
        Column::Id => scalar_of(DocRef::Str(&row.key.id)),
        Column::Start => Some(Scalar::I64(row.start_ns)),
        Column::End => row.end_ns.map(Scalar::I64),
        Column::Duration => row
            .end_ns
            .map(|e| Scalar::I64(e.saturating_sub(row.start_ns))),
        Column::Path(_) => None,
    }
}

impl Source for TableView {
    fn row_count(&self) -> u32 {
        self.count
    }

    fn lsn_max(&self) -> Option<Lsn> {
        let last = self.count.checked_sub(1)?;
        self.table.row(last).map(|row| row.lsn_last)
    }

    fn start_range(&self, _group: u32) -> Option<(i64, i64)> {
        None
    }

    fn matching(
        &self,
        column: &Column,
        test: ValueTest<'_>,
        within: &RoaringBitmap,
    ) -> Result<Matches, SourceError> {
        let mut found = Matches::default();
        let mut note = |row, verdict| match verdict {
            Some(true) => {
                found.sure.insert(row);
            }
            Some(false) => {}
            None => {
                found.verify.insert(row);
            }
        };
        if let Column::Path(path) = column {
            let inner = self.table.inner.read();
            let (Some(values), Some(first), Some(last)) =
                (inner.columns.get(path), within.min(), within.max())
            else {
                return Ok(found);
            };
            let verdicts: Vec<Option<bool>> = values.values().map(test).collect();
            if verdicts.iter().all(|v| *v == Some(false)) {
                return Ok(found);
            }
            for &(row, code) in values.entries_between(first, last) {
                let verdict = usize::try_from(code)
                    .ok()
                    .and_then(|c| verdicts.get(c).copied());
                if verdict != Some(Some(false)) && within.contains(row) {
                    note(row, verdict.flatten());
                }
            }
        } else {
            self.each(column, within, &mut |row, value| note(row, test(value)));
        }
        found.verify -= &found.sure;
        Ok(found)
    }

    fn present(
        &self,
        column: &Column,
        within: &RoaringBitmap,
    ) -> Result<RoaringBitmap, SourceError> {
        let mut rows = RoaringBitmap::new();
        self.each(column, within, &mut |row, _| {
            rows.insert(row);
        });
        Ok(rows)
    }

    fn values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) -> Result<(), SourceError> {
        self.each(column, rows, visit);
        Ok(())
    }

    fn count_values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        add: &mut dyn FnMut(Scalar<'_>, u64),
    ) -> Result<(), SourceError> {
        let Column::Path(path) = column else {
            self.each(column, rows, &mut |_, value| add(value, 1));
            return Ok(());
        };
        let inner = self.table.inner.read();
        let (Some(values), Some(first), Some(last)) =
            (inner.columns.get(path), rows.min(), rows.max())
        else {
            return Ok(());
        };
        let mut counts: Vec<(u64, u32)> = vec![(0, u32::MAX); values.values().count()];
        for &(row, code) in values.entries_between(first, last) {
            let slot = usize::try_from(code).ok().and_then(|c| counts.get_mut(c));
            // A value that a row has twice counts once.
            if let Some((count, last_row)) = slot
                && rows.contains(row)
                && *last_row != row
            {
                *count += 1;
                *last_row = row;
            }
        }
        for (value, (count, _)) in values.values().zip(counts).filter(|(_, (n, _))| *n > 0) {
            add(value, count);
        }
        Ok(())
    }

    fn core(&self, row: u32) -> Result<Core, SourceError> {
        let found = self.table.row(row).ok_or_else(|| no_such_row(row))?;
        Ok(Core {
            trace_id: found.key.trace_id,
            id: found.key.id,
            start_ns: found.start_ns,
            end_ns: found.end_ns,
            lsn_first: found.lsn_first,
            lsn_last: found.lsn_last,
        })
    }

    fn trace_rows(&self, trace_id: &str) -> Result<RoaringBitmap, SourceError> {
        let inner = self.table.inner.read();
        let rows = inner
            .traces
            .get(trace_id)
            .map(Vec::as_slice)
            .unwrap_or_default();
        Ok(rows
            .iter()
            .copied()
            .take_while(|row| *row < self.count)
            .collect())
    }

    fn body(&self, row: u32) -> Result<Bytes, SourceError> {
        self.table
            .row(row)
            .map(|r| r.body)
            .ok_or_else(|| no_such_row(row))
    }
}

fn no_such_row(row: u32) -> SourceError {
    SourceError::Damaged {
        file: "memtable".to_owned(),
        offset: u64::from(row),
        what: "row number",
    }
}
