//! Some rows of a source, with what was read of them once: the values of columns, grouped, and
//! documents.
//!
//! Owns copies of what it read, behind locks that are held for a look-up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use crate::doc::Scalar;
use crate::row::Lsn;
use crate::source::{
    Blocks, Column, ColumnReader, Core, LaneKind, Matches, OneByOne, Probe, Rows, Source,
    SourceError, ValueTest, Visible,
};

/// The values of one column.
#[derive(Debug, Default)]
struct Grouped {
    /// Each text and the rows that have it.
    texts: Vec<(Box<str>, Vec<u32>)>,
    /// Everything else, value by value.
    others: Vec<(u32, Scalar<'static>)>,
}

/// See the module.
pub(super) struct Batch<'a> {
    visible: &'a Visible<'a>,
    rows: RoaringBitmap,
    columns: Mutex<HashMap<Column, Arc<Grouped>>>,
    read: Mutex<HashMap<u32, (Core, Bytes)>>,
}

impl std::fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("of", &self.visible)
            .finish_non_exhaustive()
    }
}

impl<'a> Batch<'a> {
    pub(super) fn new(visible: &'a Visible<'a>, rows: RoaringBitmap) -> Self {
        Self {
            visible,
            rows,
            columns: Mutex::default(),
            read: Mutex::default(),
        }
    }

    pub(super) const fn rows(&self) -> &RoaringBitmap {
        &self.rows
    }

    /// As what a plan is decided over.
    pub(super) fn visible(&self) -> Visible<'_> {
        Visible {
            source: self,
            live: self.rows.clone(),
            name: self.visible.name.clone(),
        }
    }

    /// Hot columns and body of a row.
    pub(super) fn row(&self, row: u32) -> Result<(Core, Bytes), SourceError> {
        if let Some(known) = self.read.lock().get(&row) {
            return Ok(known.clone());
        }
        let source = self.visible.source;
        let read = (source.core(row)?, source.body(row)?);
        self.read.lock().insert(row, read.clone());
        Ok(read)
    }

    /// Adds the traces of some of its rows.
    pub(super) fn trace_ids(
        &self,
        rows: &RoaringBitmap,
        ids: &mut HashSet<Box<str>>,
    ) -> Result<(), SourceError> {
        for row in rows {
            ids.insert(self.visible.source.core(row)?.trace_id);
        }
        Ok(())
    }

    fn grouped(&self, column: &Column) -> Result<Arc<Grouped>, SourceError> {
        if let Some(known) = self.columns.lock().get(column) {
            return Ok(Arc::clone(known));
        }
        let mut texts: HashMap<String, Vec<u32>> = HashMap::new();
        let mut others = Vec::new();
        let visit = &mut |row: u32, value: Scalar<'_>| {
            let other = match value {
                Scalar::Str(text) => {
                    match texts.get_mut(text) {
                        Some(rows) => rows.push(row),
                        None => {
                            texts.insert(text.to_owned(), vec![row]);
                        }
                    }
                    return;
                }
                Scalar::Bool(b) => Scalar::Bool(b),
                Scalar::I64(n) => Scalar::I64(n),
                Scalar::F64(n) => Scalar::F64(n),
                Scalar::Long(hash) => Scalar::Long(hash),
            };
            others.push((row, other));
        };
        self.visible.source.values(column, &self.rows, visit)?;
        let texts = texts.into_iter();
        let grouped = Arc::new(Grouped {
            texts: texts.map(|(text, rows)| (text.into(), rows)).collect(),
            others,
        });
        let mut columns = self.columns.lock();
        columns.insert(column.clone(), Arc::clone(&grouped));
        Ok(grouped)
    }
}

impl Source for Batch<'_> {
    fn row_count(&self) -> u32 {
        self.visible.source.row_count()
    }

    fn start_range(&self, group: u32) -> Option<(i64, i64)> {
        self.visible.source.start_range(group)
    }

    fn matching(
        &self,
        column: &Column,
        test: ValueTest<'_>,
        within: &RoaringBitmap,
    ) -> Result<Matches, SourceError> {
        let grouped = self.grouped(column)?;
        let mut found = Matches::default();
        for (text, rows) in &grouped.texts {
            match test(Scalar::Str(text)) {
                Some(true) => found.sure.extend(rows.iter().copied()),
                Some(false) => {}
                None => found.verify.extend(rows.iter().copied()),
            }
        }
        for (row, value) in &grouped.others {
            match test(*value) {
                Some(true) => found.sure.insert(*row),
                Some(false) => false,
                None => found.verify.insert(*row),
            };
        }
        found.sure &= within;
        found.verify &= within;
        found.verify -= &found.sure;
        Ok(found)
    }

    fn present(
        &self,
        column: &Column,
        within: &RoaringBitmap,
    ) -> Result<RoaringBitmap, SourceError> {
        self.visible.source.present(column, within)
    }

    fn values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) -> Result<(), SourceError> {
        self.visible.source.values(column, rows, visit)
    }

    fn count_values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        add: &mut dyn FnMut(Scalar<'_>, u64),
    ) -> Result<(), SourceError> {
        self.visible.source.count_values(column, rows, add)
    }

    fn narrow(&self, probe: Probe<'_>) -> Result<Option<Blocks>, SourceError> {
        self.visible.source.narrow(probe)
    }

    fn block_of(&self, row: u32) -> Option<u32> {
        self.visible.source.block_of(row)
    }

    fn reader<'b>(&'b self, column: &Column) -> Result<Box<dyn ColumnReader + 'b>, SourceError> {
        self.visible.source.reader(column)
    }

    fn paths(&self, visit: &mut dyn FnMut(&str, LaneKind, u64)) -> Result<(), SourceError> {
        self.visible.source.paths(visit)
    }

    fn lsn_max(&self) -> Option<Lsn> {
        self.visible.source.lsn_max()
    }

    fn blocks_between(&self, first: u32, last: u32) -> Result<u64, SourceError> {
        self.visible.source.blocks_between(first, last)
    }

    fn core(&self, row: u32) -> Result<Core, SourceError> {
        Ok(self.row(row)?.0)
    }

    fn trace_rows(&self, trace_id: &str) -> Result<RoaringBitmap, SourceError> {
        self.visible.source.trace_rows(trace_id)
    }

    fn body(&self, row: u32) -> Result<Bytes, SourceError> {
        Ok(self.row(row)?.1)
    }

    fn with_rows(&self, work: &mut dyn FnMut(&mut dyn Rows)) -> Result<(), SourceError> {
        work(&mut OneByOne(self));
        Ok(())
    }
}
