//! A section with its index at hand: reads pieces, bitmaps, traces and bodies.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::block::BlockRef;
use super::bodies::Bodies;
use super::cache::{self, Cache};
use super::chunk::{Chunk, Hint, group_bounds, group_count};
use super::directory::{ColumnEntry, Dict, Piece, Placement};
use super::index::{Index, id_hash};
use super::lookup::Dictionary;
use super::section::SectionReader;
use super::table::Table;
use super::wire::{Bad, Cursor, narrow};
use super::{GROUP_ROWS, Page};
use crate::source::SourceError;

/// Payload blocks that a walk over all rows holds decoded.
const RECENT_BLOCKS_MAX: usize = 16;

/// A section with its index at hand.
pub(super) struct View<'a> {
    pub(super) section: &'a SectionReader,
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

    /// A block of the term index.
    pub(super) fn index_block(&self, block: &BlockRef) -> Result<Bytes, SourceError> {
        self.block(&cache::COLUMNS, block)
    }

    pub(super) fn piece(&self, piece: Piece) -> Result<Bytes, SourceError> {
        let block = if let Some(frame) = &self.index.frame {
            frame.clone()
        } else {
            let block = self
                .index
                .directory
                .blocks
                .get(narrow(u64::from(piece.block)));
            self.block(
                &cache::COLUMNS,
                block.ok_or_else(|| self.bad(piece, Bad("block number")))?,
            )?
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
    pub(super) fn page(
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

    /// The bitmap of one value.
    pub(super) fn bitmap_of(&self, column: &ColumnEntry, code: u32) -> Result<Bitmap, SourceError> {
        let total = column.dict.as_ref().map_or(0, Dict::len);
        let page = code / Page::Bitmap.items();
        let piece = *column.bitmaps.get(narrow(u64::from(page))).ok_or_else(|| {
            self.section
                .bad(self.section.entry.block.offset, Bad("bitmap page"))
        })?;
        let table = self.page(piece, page, Page::Bitmap.items(), total)?;
        let bytes = table
            .slice(narrow(u64::from(code % Page::Bitmap.items())))
            .map_err(|bad| self.bad(piece, bad))?;
        Ok(Bitmap { bytes, piece })
    }

    pub(super) fn bitmap(&self, bitmap: &Bitmap) -> Result<RoaringBitmap, SourceError> {
        let read = RoaringBitmap::deserialize_from(&*bitmap.bytes)
            .map_err(|_| self.bad(bitmap.piece, Bad("bitmap")))?;
        if read.max().is_some_and(|row| row >= self.rows()) {
            return Err(self.bad(bitmap.piece, Bad("bitmap")));
        }
        Ok(read)
    }

    /// How many rows a bitmap has, from its head alone: the roaring format names the cardinality of
    /// every container before the containers.
    pub(super) fn bitmap_len(&self, bitmap: &Bitmap) -> Result<u64, SourceError> {
        const NO_RUNS: u32 = 12_346;
        const RUNS: u32 = 12_347;
        let mut head = Cursor(bitmap.bytes.clone());
        let mut read = || -> Result<u64, Bad> {
            let cookie = head.u32()?;
            let containers = if cookie == NO_RUNS {
                head.u32()?
            } else if cookie & 0xffff == RUNS {
                let containers = (cookie >> 16) + 1;
                head.take(narrow(u64::from(containers.div_ceil(8))))?;
                containers
            } else {
                return Err(Bad("bitmap"));
            };
            let mut rows = 0;
            for _ in 0..containers {
                let [_, _, low, high] = head.array::<4>()?;
                rows += u64::from(u16::from_le_bytes([low, high])) + 1;
            }
            Ok(rows)
        };
        read().map_err(|bad| self.bad(bitmap.piece, bad))
    }

    pub(super) fn trace_rows(&self, trace_id: &str) -> Result<RoaringBitmap, SourceError> {
        let hashes = self.section.trace_hashes()?;
        let hash = id_hash(trace_id);
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
        let (firsts, counts) = self.trace_runs(hashes.len())?;
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
        let (block, slot) = self.place(row)?;
        let body = self.payload(block)?.get(slot);
        body.map_err(|bad| self.bad_payload(block, bad))
    }

    /// The bodies of a payload block.
    pub(super) fn payload(&self, block: usize) -> Result<Bodies, SourceError> {
        let blocks = &self.index.directory.payload.blocks;
        let at = blocks.get(block).ok_or_else(|| self.no_row())?;
        let bytes = self.block(&cache::PAYLOAD, at)?;
        Bodies::read(bytes).map_err(|bad| self.bad_payload(block, bad))
    }

    pub(super) fn bad_payload(&self, block: usize, bad: Bad) -> SourceError {
        let blocks = &self.index.directory.payload.blocks;
        let offset = blocks.get(block).map_or(0, |b| b.offset);
        self.section.bad(offset, bad)
    }

    /// The payload block of a row's body, and its place in it.
    pub(super) fn place(&self, row: u32) -> Result<(usize, usize), SourceError> {
        match &self.index.directory.payload.placement {
            Placement::InOrder(firsts) => {
                let at = firsts.partition_point(|first| *first <= row);
                let at = at.checked_sub(1).ok_or_else(|| self.no_row())?;
                let first = firsts.get(at).copied().unwrap_or(0);
                Ok((at, narrow(u64::from(row - first))))
            }
            Placement::ByRow(columns) => {
                let group = row / GROUP_ROWS;
                let [block, slot] = &**columns;
                let block = required(self, block, group)?.one(self, row)?;
                let slot = required(self, slot, group)?.one(self, row)?;
                Ok((narrow(block), narrow(slot)))
            }
        }
    }

    /// The place of every row's body, rows in order.
    pub(super) fn places(&self) -> Result<Vec<(u32, u32)>, SourceError> {
        let rows = self.rows();
        match &self.index.directory.payload.placement {
            Placement::InOrder(firsts) => {
                let mut places = Vec::new();
                for (block, first) in (0..).zip(firsts) {
                    let next = firsts.get(narrow(u64::from(block)) + 1);
                    let end = next.copied().unwrap_or(rows).min(rows);
                    places.extend((*first..end).map(|row| (block, row - first)));
                }
                Ok(places)
            }
            Placement::ByRow(columns) => {
                let [blocks, slots] = &**columns;
                let blocks = self.numbers(blocks)?;
                let slots = self.numbers(slots)?;
                if [blocks.len(), slots.len()] != [narrow(u64::from(rows)); 2] {
                    return Err(self.no_row());
                }
                let number = |n: u64| u32::try_from(n).map_err(|_| self.no_row());
                let pairs = blocks.into_iter().zip(slots);
                pairs
                    .map(|((_, block), (_, slot))| Ok((number(block)?, number(slot)?)))
                    .collect()
            }
        }
    }

    /// Per payload block, the rows whose bodies are in it.
    pub(super) fn rows_by_block(&self) -> Result<&[RoaringBitmap], SourceError> {
        if let Some(known) = self.index.rows_by_block.get() {
            return Ok(known);
        }
        let blocks = self.index.directory.payload.blocks.len();
        let mut rows = vec![RoaringBitmap::new(); blocks];
        if blocks > 0 {
            for (row, (block, _)) in (0..).zip(self.places()?) {
                let of_block = rows.get_mut(narrow(u64::from(block)));
                of_block.ok_or_else(|| self.no_row())?.insert(row);
            }
        }
        Ok(self.index.rows_by_block.get_or_init(|| rows))
    }

    /// Every number of a column with its row, rows in order.
    pub(super) fn numbers(&self, column: &ColumnEntry) -> Result<Vec<(u32, u64)>, SourceError> {
        let mut out = Vec::with_capacity(narrow(u64::from(column.rows)));
        for group in 0..group_count(self.rows()) {
            if let Some(Column {
                chunk,
                first,
                piece,
                ..
            }) = self.chunk(column, group)?
            {
                chunk
                    .collect(first, &mut out)
                    .map_err(|bad| self.bad(piece, bad))?;
            }
        }
        Ok(out)
    }

    pub(super) fn each_body(
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
        let mut blocks = Recent::default();
        for (row, (block, slot)) in (0..).zip(self.places()?) {
            let body = blocks.body(self, narrow(u64::from(block)), narrow(u64::from(slot)))?;
            if visit(row, body)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(super) fn no_row(&self) -> SourceError {
        self.section
            .bad(self.section.entry.block.offset, Bad("row number"))
    }
}

/// Payload blocks that a walk over rows was in last. Those of a merged section alternate between
/// the blocks of what was merged.
#[derive(Default)]
struct Recent(Vec<(usize, Bodies)>);

impl Recent {
    fn body(&mut self, view: &View<'_>, block: usize, slot: usize) -> Result<Bytes, SourceError> {
        let at = match self.0.iter().position(|(known, _)| *known == block) {
            Some(at) => at,
            None => self.load(view, block)?,
        };
        self.0[..=at].rotate_right(1);
        let body = self.0.first().map(|(_, bodies)| bodies.get(slot));
        let body = body.ok_or_else(|| view.no_row())?;
        body.map_err(|bad| view.bad_payload(block, bad))
    }

    fn load(&mut self, view: &View<'_>, block: usize) -> Result<usize, SourceError> {
        let blocks = &view.index.directory.payload.blocks;
        let found = *blocks.get(block).ok_or_else(|| view.no_row())?;
        let bodies = Bodies::read(view.section.file.read(&found)?)
            .map_err(|bad| view.section.bad(found.offset, bad))?;
        self.0.truncate(RECENT_BLOCKS_MAX - 1);
        self.0.push((block, bodies));
        Ok(self.0.len() - 1)
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
    pub(super) fn one(&mut self, view: &View<'_>, row: u32) -> Result<u64, SourceError> {
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
