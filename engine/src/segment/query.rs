//! What a query asks of a section.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::GROUP_ROWS;
use super::chunk::group_count;
use super::directory::{ColumnEntry, Dict};
use super::lanes::Lanes;
use super::lookup::{CoreReader, Dictionary, Ids};
use super::outline::by_codes;
use super::reading::Reading;
use super::section::SectionReader;
use super::view::{View, required};
use super::wire::{Bad, narrow};
use crate::columns::value::to_i64;
use crate::doc::{DocRef, Scalar, scalar_of};
use crate::row::Lsn;
use crate::source::{
    Blocks, Column, ColumnReader, Core, FactIn, LaneKind, Matches, Outline, Probe, Rows, Selection,
    Source, SourceError, ValueTest, Wanted, by_values,
};

/// Where the values of a column come from.
enum Values<'a> {
    /// Typed columns of one path.
    Typed(Cow<'a, [ColumnEntry]>),
    /// The documents, because columns of this path do not read.
    Documents(&'a str),
    Id,
    End,
    Duration,
}

impl<'a> Values<'a> {
    fn of(
        view: &'a View<'_>,
        column: &'a Column,
        rows: &RoaringBitmap,
    ) -> Result<Self, SourceError> {
        let core = &view.index.directory.core;
        let one = |column| Self::Typed(Cow::Borrowed(std::slice::from_ref(column)));
        Ok(match column {
            Column::TraceId => one(&core.trace),
            Column::Start => one(&core.start),
            Column::Path(path) => match view.columns_at(path)? {
                Some(columns) if !view.misses(&columns, extent(rows)) => Self::Typed(columns),
                _ => Self::Documents(path),
            },
            Column::Id => Self::Id,
            Column::End => Self::End,
            Column::Duration => Self::Duration,
            Column::Score(_) | Column::Scored(..) => Self::Typed(Cow::Borrowed(&[])),
        })
    }
}

/// From the first of `rows` to the last.
fn extent(rows: &RoaringBitmap) -> RangeInclusive<u32> {
    rows.min().unwrap_or(0)..=rows.max().unwrap_or(0)
}

/// The groups that hold any of `rows`.
fn groups(view: &View<'_>, rows: &RoaringBitmap) -> impl Iterator<Item = u32> {
    let (first, last) = (rows.min().unwrap_or(u32::MAX), rows.max().unwrap_or(0));
    let end = group_count(view.rows()).min(last / GROUP_ROWS + 1);
    first / GROUP_ROWS..end
}

/// The rows of a group among `rows`.
fn of_group<'r>(
    view: &View<'_>,
    rows: &'r RoaringBitmap,
    group: u32,
) -> impl Iterator<Item = u32> + 'r {
    let first = group * GROUP_ROWS;
    rows.range(first..first.saturating_add(GROUP_ROWS).min(view.rows()))
}

/// Calls `visit(row, number)` for every value of a typed column, rows ascending.
fn each_number(
    view: &View<'_>,
    column: &ColumnEntry,
    rows: &RoaringBitmap,
    visit: &mut dyn FnMut(u32, u64) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    for group in groups(view, rows) {
        let Some(chunked) = view.chunk(column, group)? else {
            continue;
        };
        let walked = chunked.chunk.each(chunked.first, rows, &mut |row, number| {
            visit(row, number).map_err(Stop::Visit)
        });
        walked.map_err(|stop| match stop {
            Stop::Visit(e) => e,
            Stop::Bad(bad) => view.bad(chunked.piece, bad),
        })?;
    }
    Ok(())
}

/// Why a walk over a chunk ended early.
enum Stop {
    Bad(Bad),
    Visit(SourceError),
}

impl From<Bad> for Stop {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

/// Calls `visit(row, value)` for every value, row by row.
fn each_value(
    view: &View<'_>,
    values: &Values<'_>,
    rows: &RoaringBitmap,
    visit: &mut dyn FnMut(u32, Scalar<'_>),
) -> Result<(), SourceError> {
    match values {
        Values::Typed(columns) => match &**columns {
            [] => Ok(()),
            [column] => {
                let mut dictionary = Dictionary::new(view, column);
                each_number(view, column, rows, &mut |row, number| {
                    visit(row, dictionary.scalar(number)?);
                    Ok(())
                })
            }
            columns => each_of_several(view, columns, rows, visit),
        },
        Values::Documents(path) => view.each_of_documents(path, rows, visit),
        Values::Id => {
            let mut ids = Ids::new(view);
            for row in rows.range(0..view.rows()) {
                if let Some(value) = scalar_of(DocRef::Str(ids.get(row)?)) {
                    visit(row, value);
                }
            }
            Ok(())
        }
        Values::End => each_end(view, rows, &mut |row, _, end| visit(row, Scalar::I64(end))),
        Values::Duration => each_end(view, rows, &mut |row, start, end| {
            visit(row, Scalar::I64(end.saturating_sub(start)));
        }),
    }
}

fn each_of_several(
    view: &View<'_>,
    columns: &[ColumnEntry],
    rows: &RoaringBitmap,
    visit: &mut dyn FnMut(u32, Scalar<'_>),
) -> Result<(), SourceError> {
    let mut dictionaries: Vec<_> = columns.iter().map(|c| Dictionary::new(view, c)).collect();
    for group in groups(view, rows) {
        let mut chunks = columns
            .iter()
            .map(|column| view.chunk(column, group))
            .collect::<Result<Vec<_>, _>>()?;
        for row in of_group(view, rows, group) {
            for (chunk, dictionary) in chunks.iter_mut().zip(&mut dictionaries) {
                let Some(chunk) = chunk else { continue };
                chunk.each(view, row, &mut |number| {
                    visit(row, dictionary.scalar(number)?);
                    Ok(())
                })?;
            }
        }
    }
    Ok(())
}

/// Calls `visit(row, start, end)` for every row that has an end.
fn each_end(
    view: &View<'_>,
    rows: &RoaringBitmap,
    visit: &mut dyn FnMut(u32, i64, i64),
) -> Result<(), SourceError> {
    let core = &view.index.directory.core;
    for group in groups(view, rows) {
        let Some(mut duration) = view.chunk(&core.duration, group)? else {
            continue;
        };
        let mut start = required(view, &core.start, group)?;
        for row in of_group(view, rows, group) {
            if let (Some(duration), Some(start)) =
                (duration.maybe(view, row)?, start.maybe(view, row)?)
            {
                let start = to_i64(start);
                visit(row, start, start.wrapping_add(to_i64(duration)));
            }
        }
    }
    Ok(())
}

/// Collects rows by verdict.
#[derive(Default)]
struct Verdicts(Matches);

impl Verdicts {
    /// Rows come mostly in order, where adding at the end is cheap.
    fn add(&mut self, row: u32, verdict: Option<bool>) {
        let rows = match verdict {
            Some(true) => &mut self.0.sure,
            Some(false) => return,
            None => &mut self.0.verify,
        };
        if rows.try_push(row).is_err() {
            rows.insert(row);
        }
    }

    fn add_rows(&mut self, rows: &RoaringBitmap, verdict: Option<bool>) {
        match verdict {
            Some(true) => self.0.sure |= rows,
            Some(false) => {}
            None => self.0.verify |= rows,
        }
    }
}

fn match_typed(
    view: &View<'_>,
    column: &ColumnEntry,
    test: ValueTest<'_>,
    within: &RoaringBitmap,
    found: &mut Verdicts,
) -> Result<(), SourceError> {
    let mut dictionary = Dictionary::new(view, column);
    let distinct = column.dict.as_ref().map_or(0, Dict::len);
    if view.has_bitmaps(column) && !by_codes(within.len(), u64::from(distinct)) {
        for bitmap in view.bitmaps(column) {
            let (code, bitmap) = bitmap?;
            let verdict = test(dictionary.scalar(code)?);
            if verdict != Some(false) {
                found.add_rows(&(view.bitmap(&bitmap)? & within), verdict);
            }
        }
        return Ok(());
    }
    if column.dict.is_none() {
        let mut last: Option<(u64, Option<bool>)> = None;
        return each_number(view, column, within, &mut |row, number| {
            let verdict = match last {
                Some((known, verdict)) if known == number => verdict,
                _ => test(dictionary.scalar(number)?),
            };
            last = Some((number, verdict));
            found.add(row, verdict);
            Ok(())
        });
    }
    match_codes(view, column, test, within, found)
}

/// Tests each value of the dictionary once: all of them first if that may save reading the codes,
/// else as they are met.
fn match_codes(
    view: &View<'_>,
    column: &ColumnEntry,
    test: ValueTest<'_>,
    within: &RoaringBitmap,
    found: &mut Verdicts,
) -> Result<(), SourceError> {
    let mut dictionary = Dictionary::new(view, column);
    let len = column.dict.as_ref().map_or(0, Dict::len);
    if u64::from(len) <= within.len() {
        let mut verdicts = Vec::new();
        for code in 0..len {
            verdicts.push(test(dictionary.scalar(u64::from(code))?));
        }
        if verdicts.iter().all(|v| *v == Some(false)) {
            return Ok(());
        }
        return each_number(view, column, within, &mut |row, code| {
            let verdict = usize::try_from(code).ok().and_then(|c| verdicts.get(c));
            found.add(row, *verdict.ok_or_else(|| view.no_row())?);
            Ok(())
        });
    }
    let mut verdicts = BTreeMap::new();
    each_number(view, column, within, &mut |row, code| {
        let verdict = match verdicts.get(&code) {
            Some(known) => *known,
            None => *verdicts
                .entry(code)
                .or_insert(test(dictionary.scalar(code)?)),
        };
        found.add(row, verdict);
        Ok(())
    })
}

fn count_typed(
    view: &View<'_>,
    column: &ColumnEntry,
    rows: &RoaringBitmap,
    add: &mut dyn FnMut(Scalar<'_>, u64),
) -> Result<(), SourceError> {
    let mut dictionary = Dictionary::new(view, column);
    let indexed = view.has_bitmaps(column);
    let Some(dict) = column.dict.as_ref().filter(|dict| {
        let len = u64::from(dict.len());
        len <= rows.len() || indexed
    }) else {
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        each_number(view, column, rows, &mut |_, number| {
            *counts.entry(number).or_default() += 1;
            Ok(())
        })?;
        for (number, count) in counts {
            add(dictionary.scalar(number)?, count);
        }
        return Ok(());
    };
    let mut counts = vec![0u64; narrow(u64::from(dict.len()))];
    let mut rest = RoaringBitmap::new();
    rest.insert_range(0..view.rows());
    let wanted = &rest & rows;
    rest -= rows;
    if rest.len() < wanted.len() && indexed {
        // Most rows: all of them, as the bitmaps say, without the others.
        for bitmap in view.bitmaps(column) {
            let (code, bitmap) = bitmap?;
            if let Some(count) = counts.get_mut(narrow(code)) {
                *count = view.bitmap_len(&bitmap)?;
            }
        }
        count_codes(
            view,
            column,
            &rest,
            &mut |count| {
                *count = count.saturating_sub(1);
            },
            &mut counts,
        )?;
    } else {
        count_codes(view, column, &wanted, &mut |count| *count += 1, &mut counts)?;
    }
    for (code, count) in (0..).zip(counts).filter(|(_, count)| *count > 0) {
        add(dictionary.scalar(code)?, count);
    }
    Ok(())
}

/// Changes the count of the value of every code among the rows.
fn count_codes(
    view: &View<'_>,
    column: &ColumnEntry,
    rows: &RoaringBitmap,
    change: &mut dyn FnMut(&mut u64),
    counts: &mut [u64],
) -> Result<(), SourceError> {
    for group in groups(view, rows) {
        let Some(chunked) = view.chunk(column, group)? else {
            continue;
        };
        let here: RoaringBitmap = of_group(view, rows, group).collect();
        if here.is_empty() {
            continue;
        }
        let mut codes = Vec::new();
        let code = |n| u32::try_from(n).unwrap_or(u32::MAX);
        let selected = chunked
            .chunk
            .select(chunked.first, &Selection::of(&here), &mut codes, code);
        selected.map_err(|bad| view.bad(chunked.piece, bad))?;
        for code in codes {
            let count = counts.get_mut(narrow(u64::from(code)));
            change(count.ok_or_else(|| view.bad(chunked.piece, Bad("code past its dictionary")))?);
        }
    }
    Ok(())
}

fn present_typed(
    view: &View<'_>,
    column: &ColumnEntry,
    within: &RoaringBitmap,
) -> Result<RoaringBitmap, SourceError> {
    let mut found = RoaringBitmap::new();
    if column.rows == view.rows() {
        found.insert_range(0..view.rows());
        return Ok(found & within);
    }
    for group in groups(view, within) {
        if let Some(chunked) = view.chunk(column, group)? {
            let present = chunked.chunk.present(chunked.first);
            found |= present.map_err(|bad| view.bad(chunked.piece, bad))?;
        }
    }
    Ok(found & within)
}

impl Source for SectionReader {
    fn row_count(&self) -> u32 {
        self.summary().rows
    }

    fn lsn_max(&self) -> Option<Lsn> {
        Some(self.summary().lsn_max)
    }

    fn start_range(&self, group: u32) -> Option<(i64, i64)> {
        let summary = self.summary();
        if summary.rows <= GROUP_ROWS {
            return (group == 0).then_some((summary.start_min, summary.start_max));
        }
        let view = self.view().ok()?;
        let chunks = &view.index.directory.core.start.chunks;
        let zone = chunks.get(narrow(u64::from(group)))?.as_ref()?.zone;
        Some((to_i64(zone.0), to_i64(zone.1)))
    }

    fn matching(
        &self,
        column: &Column,
        test: ValueTest<'_>,
        within: &RoaringBitmap,
    ) -> Result<Matches, SourceError> {
        let mut found = Verdicts::default();
        if within.is_empty() {
            return Ok(found.0);
        }
        if let Column::Score(fact) = column {
            return FactIn(self, *fact).matching(test, within);
        }
        let view = self.view()?;
        match Values::of(&view, column, within)? {
            Values::Typed(columns) => {
                for column in &*columns {
                    match_typed(&view, column, test, within, &mut found)?;
                }
            }
            values => each_value(&view, &values, within, &mut |row, value| {
                found.add(row, test(value));
            })?,
        }
        found.0.verify -= &found.0.sure;
        Ok(found.0)
    }

    fn outline(&self, column: &Column, wanted: Wanted<'_>) -> Option<Outline> {
        self.outlined(column, wanted)
    }

    fn present(
        &self,
        column: &Column,
        within: &RoaringBitmap,
    ) -> Result<RoaringBitmap, SourceError> {
        if let Column::Score(fact) = column {
            return FactIn(self, *fact).present(within);
        }
        let view = self.view()?;
        match Values::of(&view, column, within)? {
            Values::Typed(columns) => columns
                .iter()
                .try_fold(RoaringBitmap::new(), |found, column| {
                    Ok(found | present_typed(&view, column, within)?)
                }),
            Values::Documents(path) => {
                let mut found = RoaringBitmap::new();
                view.each_of_documents(path, within, &mut |row, _| {
                    found.insert(row);
                })?;
                Ok(found)
            }
            Values::Id => {
                let mut all = RoaringBitmap::new();
                all.insert_range(0..view.rows());
                Ok(all & within)
            }
            Values::End | Values::Duration => {
                present_typed(&view, &view.index.directory.core.duration, within)
            }
        }
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
        let view = self.view()?;
        each_value(&view, &Values::of(&view, column, rows)?, rows, visit)
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
        let view = self.view()?;
        match Values::of(&view, column, rows)? {
            Values::Typed(columns) => columns
                .iter()
                .try_for_each(|column| count_typed(&view, column, rows, add)),
            values => each_value(&view, &values, rows, &mut |_, value| add(value, 1)),
        }
    }

    fn narrow(&self, probe: Probe<'_>) -> Result<Option<Blocks>, SourceError> {
        self.narrowed(probe)
    }

    fn block_of(&self, row: u32) -> Option<u32> {
        let view = self.view().ok()?;
        if view.index.bodies.is_some() {
            return None;
        }
        u32::try_from(view.place(row).ok()?.0).ok()
    }

    fn blocks_between(&self, first: u32, last: u32) -> Result<u64, SourceError> {
        let view = self.view()?;
        let blocks = view.rows_by_block()?.iter();
        let among = blocks.filter(|rows| rows.range_cardinality(first..=last) > 0);
        Ok(among.map(|_| 1).sum())
    }

    fn reader<'a>(&'a self, column: &Column) -> Result<Box<dyn ColumnReader + 'a>, SourceError> {
        match column {
            Column::Path(path) => {
                let view = self.view()?;
                let columns = view.columns_at(path)?;
                if columns.is_none_or(|columns| view.misses(&columns, 0..=u32::MAX)) {
                    return Ok(by_values(self, column));
                }
            }
            Column::Score(_) => return Ok(by_values(self, column)),
            _ => {}
        }
        Ok(Box::new(Lanes::open(self, column)?))
    }

    fn paths(&self, visit: &mut dyn FnMut(&str, LaneKind, u64)) -> Result<(), SourceError> {
        self.view()?
            .each_column(&mut |path, kind, rows| visit(path, LaneKind::of(kind), rows))
    }

    fn sealed(&self) -> Option<(u64, u64)> {
        Some((self.file.instance, self.entry.block.offset))
    }

    fn core(&self, row: u32) -> Result<Core, SourceError> {
        let view = self.view()?;
        CoreReader::new(&view, row)?.core(row)
    }

    fn trace_rows(&self, trace_id: &str) -> Result<RoaringBitmap, SourceError> {
        if !self.has_trace(trace_id) {
            return Ok(RoaringBitmap::new());
        }
        self.view()?.trace_rows(trace_id)
    }

    fn body(&self, row: u32) -> Result<Bytes, SourceError> {
        self.view()?.body(row)
    }

    fn with_rows(&self, work: &mut dyn FnMut(&mut dyn Rows)) -> Result<(), SourceError> {
        let view = self.view()?;
        work(&mut Reading::new(&view));
        Ok(())
    }
}
