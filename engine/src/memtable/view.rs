//! What a query reads of a memtable's table.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use roaring::RoaringBitmap;

use super::lanes::Lanes;
use super::rows::MemRow;
use super::table::MemTable;
use crate::columns::Column as Values;
use crate::columns::value::to_scalar;
use crate::doc::{DocRef, Scalar, scalar_of};
use crate::row::Lsn;
use crate::source::{
    Column, ColumnReader, Core, FactIn, LaneKind, Matches, OneByOne, Rows, Source, SourceError,
    ValueTest, by_values,
};

/// The rows of a table up to an LSN.
#[derive(Clone, Debug)]
pub struct TableView {
    table: Arc<MemTable>,
    count: u32,
}

impl TableView {
    pub(super) fn new(table: Arc<MemTable>, count: u32) -> Self {
        Self { table, count }
    }

    /// The rows that are live at `lsn`, which must be the LSN the view was made with.
    pub fn live(&self, lsn: Lsn) -> RoaringBitmap {
        let mut live = RoaringBitmap::new();
        live.insert_range(0..self.count);
        live -= self.table.dead_at(lsn);
        live
    }

    /// Calls `read` with the columns of a path, filled up to the rows of this view.
    pub(super) fn columns<T>(&self, path: &str, read: impl FnOnce(&[&Values]) -> T) -> T {
        self.table.catch_up(self.count);
        let indexed = self.table.columns.read();
        let columns: Vec<&Values> = indexed.columns.of_path(path).collect();
        read(&columns)
    }

    /// Calls `visit` for the values of a hot column among `rows`, ascending.
    fn core_values(
        &self,
        column: &Column,
        among: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) {
        let rows = self.table.rows.read();
        for row in among {
            let Some(found) = rows.get(row) else { return };
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
        Column::Path(_) | Column::Score(_) | Column::Scored(..) => None,
    }
}

/// The places of a column whose rows are among `rows`.
fn places<'a>(
    values: &'a Values,
    among: &'a RoaringBitmap,
) -> impl Iterator<Item = (usize, u32)> + 'a {
    let range = match (among.min(), among.max()) {
        (Some(first), Some(last)) => values.between(first, last),
        _ => 0..0,
    };
    let full = among.len() == span(among);
    range
        .filter_map(|at| Some((at, *values.rows().get(at)?)))
        .filter(move |(_, row)| full || among.contains(*row))
}

/// How many rows lie between the first and the last, both included.
fn span(rows: &RoaringBitmap) -> u64 {
    match (rows.min(), rows.max()) {
        (Some(first), Some(last)) => u64::from(last - first) + 1,
        _ => 0,
    }
}

/// Tests one column: a dictionary once per distinct value, numbers one by one.
fn test_column(
    values: &Values,
    test: ValueTest<'_>,
    among: &RoaringBitmap,
    note: &mut dyn FnMut(u32, Option<bool>),
) {
    let Some(texts) = values.dictionary() else {
        for (at, row) in places(values, among) {
            note(row, values.value(at).map_or(Some(false), test));
        }
        return;
    };
    let codes = 0..u32::try_from(texts.len()).unwrap_or(u32::MAX);
    let verdicts: Vec<Option<bool>> = codes.map(|c| test(Scalar::Str(texts.text(c)))).collect();
    if verdicts.iter().all(|v| *v == Some(false)) {
        return;
    }
    for (at, row) in places(values, among) {
        let code = usize::try_from(values.number(at)).unwrap_or(usize::MAX);
        note(row, verdicts.get(code).copied().unwrap_or(Some(false)));
    }
}

/// Counts the rows of each value; a value that a row has twice counts once.
fn count_column(values: &Values, among: &RoaringBitmap, add: &mut dyn FnMut(Scalar<'_>, u64)) {
    let mut counts: HashMap<u64, (u64, u32)> = HashMap::new();
    for (at, row) in places(values, among) {
        let (count, last) = counts.entry(values.number(at)).or_insert((0, u32::MAX));
        if *last != row {
            *count += 1;
            *last = row;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable();
    for (number, (count, _)) in counts {
        let value = match values.dictionary() {
            Some(texts) => u32::try_from(number)
                .ok()
                .map(|code| Scalar::Str(texts.text(code))),
            None => to_scalar(values.kind(), number),
        };
        if let Some(value) = value {
            add(value, count);
        }
    }
}

impl Source for TableView {
    fn row_count(&self) -> u32 {
        self.count
    }

    fn lsn_max(&self) -> Option<Lsn> {
        (self.count > 0).then(|| self.table.rows.read().newest())
    }

    fn first_after(&self, lsn: Lsn) -> Option<u32> {
        Some(self.table.rows.read().up_to(lsn))
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
        if let Column::Score(fact) = column {
            return FactIn(self, *fact).matching(test, within);
        }
        let mut found = Matches::default();
        let mut note = |row, verdict| {
            match verdict {
                Some(true) => found.sure.insert(row),
                Some(false) => false,
                None => found.verify.insert(row),
            };
        };
        if let Column::Path(path) = column {
            self.columns(path, |columns| {
                for values in columns {
                    test_column(values, test, within, &mut note);
                }
            });
        } else {
            self.core_values(column, within, &mut |row, value| note(row, test(value)));
        }
        found.verify -= &found.sure;
        Ok(found)
    }

    fn present(
        &self,
        column: &Column,
        within: &RoaringBitmap,
    ) -> Result<RoaringBitmap, SourceError> {
        if let Column::Score(fact) = column {
            return FactIn(self, *fact).present(within);
        }
        let mut rows = RoaringBitmap::new();
        if let Column::Path(path) = column {
            self.columns(path, |columns| {
                for values in columns {
                    rows.extend(places(values, within).map(|(_, row)| row));
                }
            });
        } else {
            self.core_values(column, within, &mut |row, _| {
                rows.insert(row);
            });
        }
        Ok(rows)
    }

    fn values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) -> Result<(), SourceError> {
        if let Column::Score(fact) = column {
            return FactIn(self, *fact).values(rows, visit);
        }
        let Column::Path(path) = column else {
            self.core_values(column, rows, visit);
            return Ok(());
        };
        self.columns(path, |columns| {
            let mut all: Vec<(u32, Scalar<'_>)> = Vec::new();
            for values in columns {
                let found = places(values, rows);
                all.extend(found.filter_map(|(at, row)| Some((row, values.value(at)?))));
            }
            if columns.len() > 1 {
                all.sort_by_key(|(row, _)| *row);
            }
            for (row, value) in all {
                visit(row, value);
            }
        });
        Ok(())
    }

    fn count_values(
        &self,
        column: &Column,
        rows: &RoaringBitmap,
        add: &mut dyn FnMut(Scalar<'_>, u64),
    ) -> Result<(), SourceError> {
        if let Column::Score(fact) = column {
            return FactIn(self, *fact).count_values(rows, add);
        }
        if let Column::Path(path) = column {
            self.columns(path, |columns| {
                for values in columns {
                    count_column(values, rows, add);
                }
            });
        } else {
            self.core_values(column, rows, &mut |_, value| add(value, 1));
        }
        Ok(())
    }

    fn reader<'a>(&'a self, column: &Column) -> Result<Box<dyn ColumnReader + 'a>, SourceError> {
        Ok(match column {
            Column::Path(path) => Box::new(Lanes::new(self, path)),
            core => by_values(self, core),
        })
    }

    fn paths(&self, visit: &mut dyn FnMut(&str, LaneKind, u64)) -> Result<(), SourceError> {
        self.table.catch_up(self.count);
        let indexed = self.table.columns.read();
        let mut found: Vec<_> = indexed.columns.each().collect();
        found.sort_unstable_by(|a, b| (a.0, a.1.kind()).cmp(&(b.0, b.1.kind())));
        for (path, column) in found {
            let range = column.between(0, self.count.saturating_sub(1));
            let rows = column.rows().get(range).unwrap_or_default();
            let rows = rows.chunk_by(|a, b| a == b).count();
            if rows > 0 && self.count > 0 {
                let rows = u64::try_from(rows).unwrap_or(u64::MAX);
                visit(path, LaneKind::of(column.kind()), rows);
            }
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
        let mut rows = self.table.of_trace(trace_id);
        rows.remove_range(self.count..);
        Ok(rows)
    }

    fn with_rows(&self, work: &mut dyn FnMut(&mut dyn Rows)) -> Result<(), SourceError> {
        work(&mut OneByOne(self));
        Ok(())
    }

    fn body(&self, row: u32) -> Result<Bytes, SourceError> {
        self.table
            .row(row)
            .map(|r| r.content.body())
            .ok_or_else(|| no_such_row(row))
    }
}

fn no_such_row(row: u32) -> SourceError {
    SourceError::Damaged {
        file: "memtable".to_owned(),
        offset: u64::from(row),
        what: "row number",
        part: String::new(),
    }
}
