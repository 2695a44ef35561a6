//! One section of an opened segment: finds and reads rows.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::block::BlockRef;
use super::cache::{self, Cache};
use super::chunk::{Chunk, Hint, group_bounds};
use super::directory::{ColumnEntry, Dict, Directory, Piece};
use super::encode::Pieces;
use super::footer::{Form, SectionEntry};
use super::index::{self, Index, trace_hash};
use super::packed::Packed;
use super::read::SegmentFile;
use super::table::Table;
use super::value::{Kind, to_i64, to_scalar};
use super::wire::{Bad, Cursor, narrow};
use super::{GROUP_ROWS, ID_PAGE_ROWS, Page, RowInput, SectionSummary, rows};
use crate::doc::{DocRef, Scalar, scalar_of};
use crate::row::RowKey;
use crate::source::{Core, SourceError};

/// One table of one project in a segment. Rows are numbered in the order of the file.
#[derive(Debug)]
pub struct SectionReader {
    file: Arc<SegmentFile>,
    entry: SectionEntry,
    /// See [`Directory::trace_hashes`]; held from the first time it is asked for.
    traces: OnceLock<Box<[u32]>>,
}

impl SectionReader {
    pub(super) fn new(file: Arc<SegmentFile>, entry: SectionEntry) -> Self {
        Self {
            file,
            entry,
            traces: OnceLock::new(),
        }
    }

    /// What the footer says of it.
    pub fn summary(&self) -> &SectionSummary {
        &self.entry.summary
    }

    /// The row with this key.
    pub fn find(&self, trace_id: &str, id: &str) -> Result<Option<u32>, SourceError> {
        if !self.has_trace(trace_id) {
            return Ok(None);
        }
        let view = self.view()?;
        let mut ids = Ids::new(&view);
        for row in view.trace_rows(trace_id)? {
            if ids.get(row)? == id {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Whether the section may have rows of this trace: false is certain, true is wrong about once
    /// in 2^32 / traces. Reads nothing once the hashes are loaded; true if they cannot be, so that
    /// the look-up that follows reports why.
    pub fn has_trace(&self, trace_id: &str) -> bool {
        self.trace_hashes()
            .map_or(true, |h| h.binary_search(&trace_hash(trace_id)).is_ok())
    }

    /// A row, whole.
    pub fn row(&self, row: u32) -> Result<RowInput, SourceError> {
        let view = self.view()?;
        let core = CoreReader::new(&view, row)?.core(row)?;
        Ok(whole(core, view.body(row)?))
    }

    /// Every row in order, until `visit` breaks. Decodes each block once and leaves the cache of
    /// payload blocks alone. Bodies share the memory of their block.
    pub fn scan_rows(
        &self,
        visit: &mut dyn FnMut(u32, RowInput) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let view = self.view()?;
        let mut core: Option<CoreReader<'_>> = None;
        view.each_body(&mut |row, body| {
            if row % GROUP_ROWS == 0 {
                core = None;
            }
            let reader = match &mut core {
                Some(reader) => reader,
                None => core.insert(CoreReader::new(&view, row)?),
            };
            Ok(visit(row, whole(reader.core(row)?, body)))
        })
    }

    pub(super) fn view(&self) -> Result<View<'_>, SourceError> {
        let key = (self.file.instance, self.entry.block.offset);
        let index = match cache::SECTIONS.get(key) {
            Some(index) => index,
            None => {
                let index = Arc::new(self.load()?);
                cache::SECTIONS.put(key, Arc::clone(&index), index.weight);
                index
            }
        };
        Ok(View {
            section: self,
            index,
        })
    }

    fn load(&self) -> Result<Index, SourceError> {
        let block = self.file.read(&self.entry.block)?;
        self.index_of(block)
            .map_err(|bad| self.bad(self.entry.block.offset, bad))
    }

    fn index_of(&self, block: Bytes) -> Result<Index, Bad> {
        let count = self.entry.summary.rows;
        match self.entry.form {
            Form::Inline => {
                let rows = rows::read_all(block, count)?;
                let all: Vec<&RowInput> = rows.iter().collect();
                let (directory, frame) = index::build(&all, Vec::new(), Pieces::frame())
                    .map_err(|_| Bad("body of a row"))?;
                let bodies = rows.into_iter().map(|row| row.body).collect();
                Ok(Index::new(
                    directory,
                    Some(Bytes::from(frame)),
                    Some(bodies),
                ))
            }
            Form::Compact => {
                let mut cursor = Cursor(block);
                let len = cursor.u32()?;
                let mut directory = Cursor(cursor.take(narrow(u64::from(len)))?);
                let read = Directory::read(&mut directory, count)?;
                directory.end()?;
                Ok(Index::new(read, Some(cursor.0), None))
            }
            Form::Full => {
                let mut cursor = Cursor(block);
                let read = Directory::read(&mut cursor, count)?;
                cursor.end()?;
                Ok(Index::new(read, None, None))
            }
        }
    }

    fn trace_hashes(&self) -> Result<&[u32], SourceError> {
        if let Some(known) = self.traces.get() {
            return Ok(known);
        }
        let view = self.view()?;
        let piece = view.index.directory.trace_hashes;
        let (hashes, rest) = {
            let bytes = view.piece(piece)?;
            let (words, rest) = bytes.as_chunks::<4>();
            (
                words
                    .iter()
                    .map(|w| u32::from_le_bytes(*w))
                    .collect::<Box<[u32]>>(),
                rest.len(),
            )
        };
        if rest > 0 || !hashes.is_sorted() {
            return Err(view.bad(piece, Bad("trace hashes")));
        }
        Ok(self.traces.get_or_init(|| hashes))
    }

    fn bad(&self, offset: u64, bad: Bad) -> SourceError {
        self.file.place.damaged(offset, bad)
    }

    /// Reads every block, past the caches, and gives them.
    pub(super) fn check(&self) -> Result<Vec<BlockRef>, SourceError> {
        let index = self.load()?;
        let mut blocks = vec![self.entry.block];
        blocks.extend(&index.directory.blocks);
        blocks.extend(index.directory.payload.iter().map(|p| p.block));
        for block in blocks.iter().skip(1) {
            self.file.read(block)?;
        }
        Ok(blocks)
    }

    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.summary();
        writeln!(
            f,
            "section project={} table={:?} form={} rows={} start={}..={} lsn={}..={} offset={} stored={}",
            summary.project.0,
            summary.table,
            self.entry.form.name(),
            summary.rows,
            summary.start_min,
            summary.start_max,
            summary.lsn_min,
            summary.lsn_max,
            self.entry.block.offset,
            self.entry.block.stored,
        )?;
        let index = match self.load() {
            Ok(index) => index,
            Err(e) => return writeln!(f, "  unreadable: {e}"),
        };
        let directory = &index.directory;
        let stored = |blocks: &mut dyn Iterator<Item = &BlockRef>| {
            blocks.map(|b| u64::from(b.stored)).sum::<u64>()
        };
        writeln!(
            f,
            "  columns={} column_blocks={} column_bytes={} payload_blocks={} payload_bytes={}",
            directory.columns.len(),
            directory.blocks.len(),
            stored(&mut directory.blocks.iter()),
            directory.payload.len(),
            stored(&mut directory.payload.iter().map(|p| &p.block)),
        )?;
        for column in &directory.columns {
            let chunks = column
                .chunks
                .iter()
                .flatten()
                .map(|c| u64::from(c.piece.len));
            writeln!(
                f,
                "  column {:?} type={} rows={} distinct={} bitmaps={} chunk_bytes={}",
                column.path,
                column.kind.name(),
                column.rows,
                column
                    .dict
                    .as_ref()
                    .map_or("-".to_owned(), |d| d.len().to_string()),
                !column.bitmaps.is_empty(),
                chunks.sum::<u64>(),
            )?;
        }
        Ok(())
    }
}

fn whole(core: Core, body: Bytes) -> RowInput {
    RowInput {
        key: RowKey {
            trace_id: core.trace_id,
            id: core.id,
        },
        start_ns: core.start_ns,
        end_ns: core.end_ns,
        lsn_first: core.lsn_first,
        lsn_last: core.lsn_last,
        body,
    }
}

/// A section with its index at hand.
pub(super) struct View<'a> {
    section: &'a SectionReader,
    pub(super) index: Arc<Index>,
}

impl View<'_> {
    pub(super) fn rows(&self) -> u32 {
        self.index.directory.rows
    }

    pub(super) fn bad(&self, piece: Piece, bad: Bad) -> SourceError {
        let blocks = &self.index.directory.blocks;
        let block = if self.index.frame.is_some() {
            None
        } else {
            blocks.get(narrow(u64::from(piece.block)))
        };
        self.section
            .bad(block.unwrap_or(&self.section.entry.block).offset, bad)
    }

    fn block(&self, cache: &Cache<Bytes>, block: &BlockRef) -> Result<Bytes, SourceError> {
        let key = (self.section.file.instance, block.offset);
        if let Some(known) = cache.get(key) {
            return Ok(known);
        }
        let bytes = self.section.file.read(block)?;
        cache.put(key, bytes.clone(), bytes.len());
        Ok(bytes)
    }

    pub(super) fn piece(&self, piece: Piece) -> Result<Bytes, SourceError> {
        let block = match &self.index.frame {
            Some(frame) => frame.clone(),
            None => {
                let block = self
                    .index
                    .directory
                    .blocks
                    .get(narrow(u64::from(piece.block)));
                let block = block.ok_or_else(|| self.bad(piece, Bad("block number")))?;
                self.block(&cache::COLUMNS, block)?
            }
        };
        let start = narrow(u64::from(piece.start));
        let end = narrow(u64::from(piece.start) + u64::from(piece.len));
        if end > block.len() {
            return Err(self.bad(piece, Bad("piece past its block")));
        }
        Ok(block.slice(start..end))
    }

    /// A piece as `read` understands it, which must use all of its bytes.
    pub(super) fn decode<T>(
        &self,
        piece: Piece,
        read: impl FnOnce(&mut Cursor) -> Result<T, Bad>,
    ) -> Result<T, SourceError> {
        let mut cursor = Cursor(self.piece(piece)?);
        read(&mut cursor)
            .and_then(|value| cursor.end().map(|()| value))
            .map_err(|bad| self.bad(piece, bad))
    }

    /// A page of byte strings, the `page`-th of `total` items at `per_page`.
    fn page(
        &self,
        piece: Piece,
        page: u32,
        per_page: u32,
        total: u32,
    ) -> Result<Table, SourceError> {
        let expect = total
            .saturating_sub(page.saturating_mul(per_page))
            .min(per_page);
        let table = self.decode(piece, Table::read)?;
        if table.len() != narrow(u64::from(expect)) {
            return Err(self.bad(piece, Bad("count of strings")));
        }
        Ok(table)
    }

    /// A column's chunk of a row group, if any row of it has a value.
    pub(super) fn chunk(
        &self,
        column: &ColumnEntry,
        group: u32,
    ) -> Result<Option<Column>, SourceError> {
        let entry = column.chunks.get(narrow(u64::from(group)));
        let Some(entry) = entry.and_then(Option::as_ref) else {
            return Ok(None);
        };
        let (first, rows) = group_bounds(group, self.rows());
        let chunk = Chunk::read(self.piece(entry.piece)?, rows)
            .map_err(|bad| self.bad(entry.piece, bad))?;
        Ok(Some(Column {
            chunk,
            first,
            piece: entry.piece,
            hint: Hint::default(),
        }))
    }

    /// The bitmaps of a column, one per dictionary value.
    pub(super) fn bitmaps<'v>(
        &'v self,
        column: &'v ColumnEntry,
    ) -> impl Iterator<Item = Result<(u64, Bitmap), SourceError>> + 'v {
        let total = column.dict.as_ref().map_or(0, Dict::len);
        let mut held: Option<(u32, Table)> = None;
        (0..total).map(move |code| {
            let page = code / Page::Bitmap.items();
            let piece = *column.bitmaps.get(narrow(u64::from(page))).ok_or_else(|| {
                self.section
                    .bad(self.section.entry.block.offset, Bad("bitmap page"))
            })?;
            let table = match &held {
                Some((at, table)) if *at == page => table,
                _ => {
                    let table = self.page(piece, page, Page::Bitmap.items(), total)?;
                    &held.insert((page, table)).1
                }
            };
            let bytes = table
                .slice(narrow(u64::from(code % Page::Bitmap.items())))
                .map_err(|bad| self.bad(piece, bad))?;
            Ok((u64::from(code), Bitmap { bytes, piece }))
        })
    }

    pub(super) fn bitmap(&self, bitmap: &Bitmap) -> Result<RoaringBitmap, SourceError> {
        let read = RoaringBitmap::deserialize_from(&*bitmap.bytes)
            .map_err(|_| self.bad(bitmap.piece, Bad("bitmap")))?;
        if read.max().is_some_and(|row| row >= self.rows()) {
            return Err(self.bad(bitmap.piece, Bad("bitmap")));
        }
        Ok(read)
    }

    pub(super) fn trace_rows(&self, trace_id: &str) -> Result<RoaringBitmap, SourceError> {
        let hashes = self.section.trace_hashes()?;
        let hash = trace_hash(trace_id);
        let (from, to) = (
            hashes.partition_point(|h| *h < hash),
            hashes.partition_point(|h| *h <= hash),
        );
        let mut found = RoaringBitmap::new();
        if from == to {
            return Ok(found);
        }
        let directory = &self.index.directory;
        let piece = directory.trace_runs;
        let (firsts, counts) = self.decode(piece, |cursor| {
            let firsts = Packed::read_exact(cursor, hashes.len())?;
            Ok((firsts, Packed::read_exact(cursor, hashes.len())?))
        })?;
        let rows = u64::from(self.rows());
        let mut traces = Dictionary::new(self, &directory.core.trace);
        for run in from..to {
            let (first, count) = firsts
                .get(run)
                .and_then(|first| Ok((first, counts.get(run)?)))
                .map_err(|bad| self.bad(piece, bad))?;
            let end = first
                .checked_add(count)
                .filter(|end| *end <= rows && count > 0);
            let end = end.ok_or_else(|| self.bad(piece, Bad("trace run")))?;
            let (first, end) = (row_number(first), row_number(end));
            let group = first / GROUP_ROWS;
            let mut column = required(self, &directory.core.trace, group)?;
            if traces.text(column.one(self, first)?)? == trace_id {
                found.insert_range(first..end);
            }
        }
        Ok(found)
    }

    pub(super) fn body(&self, row: u32) -> Result<Bytes, SourceError> {
        if let Some(bodies) = &self.index.bodies {
            let body = bodies.get(narrow(u64::from(row))).cloned();
            return body.ok_or_else(|| self.no_row());
        }
        let payload = &self.index.directory.payload;
        let at = payload
            .partition_point(|p| p.first_row <= row)
            .checked_sub(1);
        let block = at
            .and_then(|at| payload.get(at))
            .ok_or_else(|| self.no_row())?;
        let bytes = self.block(&cache::PAYLOAD, &block.block)?;
        let local = narrow(u64::from(row - block.first_row));
        Table::read(&mut Cursor(bytes))
            .and_then(|table| table.slice(local))
            .map_err(|bad| self.section.bad(block.block.offset, bad))
    }

    fn each_body(
        &self,
        visit: &mut dyn FnMut(u32, Bytes) -> Result<ControlFlow<()>, SourceError>,
    ) -> Result<(), SourceError> {
        if let Some(bodies) = &self.index.bodies {
            for (row, body) in (0..).zip(bodies) {
                if visit(row, body.clone())?.is_break() {
                    break;
                }
            }
            return Ok(());
        }
        let mut row = 0;
        for payload in &self.index.directory.payload {
            let bad = |bad| self.section.bad(payload.block.offset, bad);
            let table =
                Table::read(&mut Cursor(self.section.file.read(&payload.block)?)).map_err(bad)?;
            if payload.first_row != row {
                return Err(bad(Bad("rows of payload blocks")));
            }
            for at in 0..table.len() {
                if visit(row, table.slice(at).map_err(bad)?)?.is_break() {
                    return Ok(());
                }
                row += 1;
            }
        }
        if row == self.rows() {
            Ok(())
        } else {
            Err(self.no_row())
        }
    }

    pub(super) fn no_row(&self) -> SourceError {
        self.section
            .bad(self.section.entry.block.offset, Bad("row number"))
    }
}

/// Bounded by the number of rows before.
fn row_number(n: u64) -> u32 {
    u32::try_from(n).expect("BUG: row number over u32")
}

/// One bitmap of a page, not yet read.
pub(super) struct Bitmap {
    bytes: Bytes,
    piece: Piece,
}

/// A chunk at hand, and where it came from.
pub(super) struct Column {
    pub(super) chunk: Chunk,
    /// First row of the group.
    pub(super) first: u32,
    pub(super) piece: Piece,
    pub(super) hint: Hint,
}

impl Column {
    /// The numbers of a row of the section.
    pub(super) fn each(
        &mut self,
        view: &View<'_>,
        row: u32,
        visit: &mut dyn FnMut(u64) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let range = self.chunk.range(row.wrapping_sub(self.first));
        for at in range.map_err(|bad| view.bad(self.piece, bad))? {
            let number = self.chunk.value(at, &mut self.hint);
            visit(number.map_err(|bad| view.bad(self.piece, bad))?)?;
        }
        Ok(())
    }

    /// The number of a row that must have one.
    fn one(&mut self, view: &View<'_>, row: u32) -> Result<u64, SourceError> {
        self.maybe(view, row)?
            .ok_or_else(|| view.bad(self.piece, Bad("row without a value")))
    }

    pub(super) fn maybe(&mut self, view: &View<'_>, row: u32) -> Result<Option<u64>, SourceError> {
        let mut found = None;
        self.each(view, row, &mut |number| {
            found = Some(number);
            Ok(())
        })?;
        Ok(found)
    }
}

pub(super) fn required(
    view: &View<'_>,
    column: &ColumnEntry,
    group: u32,
) -> Result<Column, SourceError> {
    view.chunk(column, group)?.ok_or_else(|| view.no_row())
}

/// The distinct values of a column; pages are held once read.
pub(super) struct Dictionary<'a> {
    view: &'a View<'a>,
    column: &'a ColumnEntry,
    pages: Vec<Option<Table>>,
    numbers: Option<Packed>,
}

impl<'a> Dictionary<'a> {
    pub(super) fn new(view: &'a View<'a>, column: &'a ColumnEntry) -> Self {
        let pages = match &column.dict {
            Some(Dict::Text { pages, .. }) => vec![None; pages.len()],
            _ => Vec::new(),
        };
        Self {
            view,
            column,
            pages,
            numbers: None,
        }
    }

    /// The value of a number in a chunk: itself, or what the code stands for.
    pub(super) fn scalar(&mut self, number: u64) -> Result<Scalar<'_>, SourceError> {
        let (view, kind) = (self.view, self.column.kind);
        if kind == Kind::Str {
            return scalar_of(DocRef::Str(self.text(number)?)).ok_or_else(|| view.no_row());
        }
        let (piece, number) = match &self.column.dict {
            Some(Dict::Numbers { piece, len }) => {
                (Some(*piece), self.number(*piece, *len, number)?)
            }
            _ => (None, number),
        };
        to_scalar(kind, number)
            .map_err(|bad| piece.map_or_else(|| view.no_row(), |p| view.bad(p, bad)))
    }

    fn number(&mut self, piece: Piece, len: u32, code: u64) -> Result<u64, SourceError> {
        let numbers = match &self.numbers {
            Some(numbers) => numbers,
            None => {
                let len = narrow(u64::from(len));
                let read = self
                    .view
                    .decode(piece, |cursor| Packed::read_exact(cursor, len))?;
                self.numbers.insert(read)
            }
        };
        let at = usize::try_from(code).unwrap_or(usize::MAX);
        numbers.get(at).map_err(|bad| self.view.bad(piece, bad))
    }

    pub(super) fn text(&mut self, code: u64) -> Result<&str, SourceError> {
        let view = self.view;
        let Some(Dict::Text { len, pages }) = &self.column.dict else {
            return Err(view.no_row());
        };
        let code = u32::try_from(code).ok().filter(|code| code < len);
        let code = code.ok_or_else(|| view.no_row())?;
        let page = code / Page::Text.items();
        let at = narrow(u64::from(page));
        let (Some(piece), Some(slot)) = (pages.get(at), self.pages.get_mut(at)) else {
            return Err(view.no_row());
        };
        let table = match slot {
            Some(table) => table,
            None => slot.insert(view.page(*piece, page, Page::Text.items(), *len)?),
        };
        table
            .text(narrow(u64::from(code % Page::Text.items())))
            .map_err(|bad| view.bad(*piece, bad))
    }
}

/// Row ids; the page that was read last is held.
pub(super) struct Ids<'a> {
    view: &'a View<'a>,
    page: Option<(u32, Piece, Table)>,
}

impl<'a> Ids<'a> {
    pub(super) fn new(view: &'a View<'a>) -> Self {
        Self { view, page: None }
    }

    pub(super) fn get(&mut self, row: u32) -> Result<&str, SourceError> {
        let view = self.view;
        let page = row / ID_PAGE_ROWS;
        if self.page.as_ref().is_none_or(|(at, ..)| *at != page) {
            let piece = *view
                .index
                .directory
                .ids
                .get(narrow(u64::from(page)))
                .ok_or_else(|| view.no_row())?;
            self.page = Some((
                page,
                piece,
                view.page(piece, page, ID_PAGE_ROWS, view.rows())?,
            ));
        }
        let (_, piece, table) = self.page.as_ref().ok_or_else(|| view.no_row())?;
        table
            .text(narrow(u64::from(row % ID_PAGE_ROWS)))
            .map_err(|bad| view.bad(*piece, bad))
    }
}

/// The hot columns of one row group.
pub(super) struct CoreReader<'a> {
    view: &'a View<'a>,
    traces: Dictionary<'a>,
    ids: Ids<'a>,
    trace: Column,
    start: Column,
    duration: Option<Column>,
    lsn_first: Column,
    lsn_delta: Column,
}

impl<'a> CoreReader<'a> {
    /// The group of `row`.
    pub(super) fn new(view: &'a View<'a>, row: u32) -> Result<Self, SourceError> {
        if row >= view.rows() {
            return Err(view.no_row());
        }
        let core = &view.index.directory.core;
        let group = row / GROUP_ROWS;
        Ok(Self {
            view,
            traces: Dictionary::new(view, &core.trace),
            ids: Ids::new(view),
            trace: required(view, &core.trace, group)?,
            start: required(view, &core.start, group)?,
            duration: view.chunk(&core.duration, group)?,
            lsn_first: required(view, &core.lsn_first, group)?,
            lsn_delta: required(view, &core.lsn_delta, group)?,
        })
    }

    pub(super) fn core(&mut self, row: u32) -> Result<Core, SourceError> {
        let view = self.view;
        let start_ns = to_i64(self.start.one(view, row)?);
        let duration = match &mut self.duration {
            Some(column) => column.maybe(view, row)?,
            None => None,
        };
        let lsn_first = self.lsn_first.one(view, row)?;
        Ok(Core {
            trace_id: self.traces.text(self.trace.one(view, row)?)?.into(),
            id: self.ids.get(row)?.into(),
            start_ns,
            end_ns: duration.map(|d| start_ns.wrapping_add(to_i64(d))),
            lsn_first,
            lsn_last: lsn_first.wrapping_add(self.lsn_delta.one(view, row)?),
        })
    }
}
