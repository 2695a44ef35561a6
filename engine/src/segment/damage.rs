//! Blocks that did not read, and what can be answered without them.
//!
//! Of a row only its hot columns, its id and its body are facts; typed columns, bitmaps, the index of
//! traces and that of terms follow from those (D-1). So a section whose derived blocks do not read
//! answers as before, from codes instead of bitmaps, from documents instead of columns, without an
//! index of terms; and of a block that holds facts it is known which rows are lost with it.
//!
//! [`BadBlocks`] belongs to an open file and remembers what failed: a look-up that meets a block for
//! the first time fails, and asked again goes round it. A mutex is held for a set operation only.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use roaring::RoaringBitmap;

use super::chunk::{group_bounds, group_count};
use super::directory::{ColumnEntry, Dict, Directory, Piece, Placement};
use super::footer::Form;
use super::index;
use super::merge::columns::Texts;
use super::packed::Packed;
use super::section::SectionReader;
use super::view::View;
use super::wire::{Bad, Cursor, narrow};
use super::{GROUP_ROWS, ID_PAGE_ROWS, Page};
use crate::body;
use crate::columns::value::{Kind, to_number};
use crate::doc::{Scalar, flatten};
use crate::source::SourceError;

/// Offsets of blocks of one file that did not read. As many as the file has blocks, at most.
#[derive(Debug, Default)]
pub(super) struct BadBlocks {
    any: AtomicBool,
    offsets: Mutex<BTreeSet<u64>>,
}

impl BadBlocks {
    pub(super) fn note(&self, offset: u64) {
        self.offsets.lock().insert(offset);
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn has(&self, offset: u64) -> bool {
        self.any.load(Ordering::Acquire) && self.offsets.lock().contains(&offset)
    }

    pub(super) fn all(&self) -> Vec<u64> {
        self.offsets.lock().iter().copied().collect()
    }

    pub(super) fn forget(&self) {
        let mut offsets = self.offsets.lock();
        offsets.clear();
        self.any.store(false, Ordering::Release);
    }
}

/// First rows and row counts of the runs of the trace index.
pub(super) type TraceRuns = (Packed, Packed);

/// What a block holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lost {
    /// Of which section, and which block of it.
    pub(crate) part: String,
    /// The rows that cannot be read without it; none if all of it can be derived.
    pub(crate) rows: RoaringBitmap,
}

/// Bytes that are made anew from others where they do not read.
fn is_bad(error: &SourceError, section: &SectionReader) -> bool {
    section.file.bad.has(error.place().1)
}

impl SectionReader {
    /// What the block at this offset holds; `None` if the section has no such block.
    pub(crate) fn lost_with(&self, offset: u64) -> Option<Lost> {
        let named = |block: String, rows| {
            let summary = self.summary();
            let part = format!("project {} {:?}, {block}", summary.project.0, summary.table);
            Some(Lost { part, rows })
        };
        if offset == self.entry.block.offset {
            let what = match self.entry.form {
                Form::Inline => "rows",
                Form::Compact => "columns",
                Form::Full => "directory",
            };
            return named(what.to_owned(), self.all_rows());
        }
        let view = self.view().ok()?;
        let directory = &view.index.directory;
        let number = |blocks: &[super::block::BlockRef]| {
            blocks.iter().position(|block| block.offset == offset)
        };
        if let Some(at) = number(&directory.payload.blocks) {
            let rows = view.rows_by_block().ok().and_then(|all| all.get(at));
            let rows = rows.cloned().unwrap_or_else(|| self.all_rows());
            let count = directory.payload.blocks.len();
            return named(format!("payload block {at} of {count}"), rows);
        }
        if let Some(at) = number(&directory.blocks) {
            let count = directory.blocks.len();
            let rows = view.facts_in(at);
            return named(format!("column block {at} of {count}"), rows);
        }
        let blocks = directory.blocks.iter().chain(&directory.payload.blocks);
        let first = blocks.map(|block| block.offset).min()?;
        let is_inside = (first..self.entry.block.offset).contains(&offset);
        (is_inside && directory.terms.is_some())
            .then(|| named("block of the term index".to_owned(), RoaringBitmap::new()))?
    }

    /// Every row.
    pub(crate) fn all_rows(&self) -> RoaringBitmap {
        let mut rows = RoaringBitmap::new();
        rows.insert_range(0..self.summary().rows);
        rows
    }

    /// Hashes of the traces, ascending, one per run of rows; made from the rows' trace ids where the
    /// stored ones do not read.
    pub(super) fn trace_hashes(&self) -> Result<&[u32], SourceError> {
        if let Some(known) = self.traces.get() {
            return Ok(known);
        }
        let view = self.view()?;
        let read = view.stored_hashes();
        let hashes = match read {
            Err(error) if is_bad(&error, self) => view.make_trace_index()?.0,
            read => read?,
        };
        Ok(self.traces.get_or_init(|| hashes))
    }
}

fn hashes_of(bytes: &[u8]) -> Result<Box<[u32]>, Bad> {
    let (words, rest) = bytes.as_chunks::<4>();
    let hashes: Box<[u32]> = words.iter().map(|w| u32::from_le_bytes(*w)).collect();
    if rest.is_empty() && hashes.is_sorted() {
        Ok(hashes)
    } else {
        Err(Bad("trace hashes"))
    }
}

fn runs_of(cursor: &mut Cursor, len: usize) -> Result<TraceRuns, Bad> {
    let firsts = Packed::read_exact(cursor, len)?;
    Ok((firsts, Packed::read_exact(cursor, len)?))
}

impl View<'_> {
    fn stored_hashes(&self) -> Result<Box<[u32]>, SourceError> {
        let piece = self.index.directory.trace_hashes;
        hashes_of(&self.piece(piece)?).map_err(|bad| self.bad(piece, bad))
    }

    /// First rows and counts of so many runs of the trace index.
    pub(super) fn trace_runs(&self, len: usize) -> Result<TraceRuns, SourceError> {
        if let Some(known) = self.section.runs.get() {
            return Ok(known.clone());
        }
        let piece = self.index.directory.trace_runs;
        match self.decode(piece, |cursor| runs_of(cursor, len)) {
            Err(error) if is_bad(&error, self.section) => {
                let (_, runs) = self.make_trace_index()?;
                Ok(self.section.runs.get_or_init(|| runs).clone())
            }
            read => read,
        }
    }

    /// The index of traces, from the trace id of every row.
    fn make_trace_index(&self) -> Result<(Box<[u32]>, TraceRuns), SourceError> {
        let column = &self.index.directory.core.trace;
        let texts = Texts::read(self, column)?;
        let codes = self.numbers(column)?;
        let traces = codes.iter().map(|(_, code)| {
            let code = u32::try_from(*code).unwrap_or(u32::MAX);
            texts.get(code)
        });
        let (hashes, runs) = index::traces(traces);
        let made = hashes_of(&hashes).and_then(|hashes| {
            let runs = runs_of(&mut Cursor(runs.into()), hashes.len())?;
            Ok((hashes, runs))
        });
        made.map_err(|_| self.no_row())
    }

    pub(super) fn is_missing(&self, piece: Piece) -> bool {
        let blocks = &self.index.directory.blocks;
        let block = blocks.get(narrow(u64::from(piece.block)));
        block.is_some_and(|block| self.section.file.bad.has(block.offset))
    }

    /// Whether it is known that these columns do not read in any row group of `rows`.
    pub(super) fn misses(&self, columns: &[ColumnEntry], rows: RangeInclusive<u32>) -> bool {
        if self.index.frame.is_some() || !self.section.file.bad.any.load(Ordering::Acquire) {
            return false;
        }
        let groups = rows.start() / GROUP_ROWS..=rows.end() / GROUP_ROWS;
        columns.iter().any(|column| {
            let chunks = (0..)
                .zip(&column.chunks)
                .filter(|(n, _)| groups.contains(n));
            let mut chunks = chunks.filter_map(|(_, chunk)| chunk.as_ref());
            let of_dict = match &column.dict {
                Some(Dict::Text { pages, .. }) => pages.iter().any(|page| self.is_missing(*page)),
                Some(Dict::Numbers { piece, .. }) => self.is_missing(*piece),
                None => false,
            };
            of_dict || chunks.any(|chunk| self.is_missing(chunk.piece))
        })
    }

    /// Whether the column has bitmaps, as far as is known.
    pub(super) fn has_bitmaps(&self, column: &ColumnEntry) -> bool {
        let missing = || column.bitmaps.iter().any(|page| self.is_missing(*page));
        !column.bitmaps.is_empty() && (self.index.frame.is_some() || !missing())
    }

    /// What a column would say, by its rule: calls `visit(row, value)` for the values at `path` in the
    /// documents of these rows, rows ascending, the same value of a row once.
    pub(super) fn each_of_documents(
        &self,
        path: &str,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) -> Result<(), SourceError> {
        for row in rows.range(0..self.rows()) {
            let body = self.body(row)?;
            let mut values: Vec<(Kind, Option<u64>, &str, Scalar<'_>)> = Vec::new();
            let walked = body::view(&body).and_then(|view| {
                flatten(view, &mut |at, value| {
                    if at == path {
                        let text = if let Scalar::Str(text) = value {
                            text
                        } else {
                            ""
                        };
                        values.push((Kind::of(&value), to_number(value), text, value));
                    }
                })
            });
            let bad = |_| {
                self.section
                    .bad(self.section.entry.block.offset, Bad("body"))
            };
            walked.map_err(bad)?;
            values.sort_by(|a, b| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)));
            values.dedup_by(|a, b| (a.0, a.1, a.2) == (b.0, b.1, b.2));
            values.iter().for_each(|(.., value)| visit(row, *value));
        }
        Ok(())
    }

    /// The rows of which a column block holds what nothing else says.
    fn facts_in(&self, block: usize) -> RoaringBitmap {
        let directory = &self.index.directory;
        let is_here = |piece: &Piece| narrow(u64::from(piece.block)) == block;
        let mut lost = RoaringBitmap::new();
        let placed = match &directory.payload.placement {
            Placement::InOrder(_) => &[][..],
            Placement::ByRow(columns) => &columns[..],
        };
        for column in directory.core.all().into_iter().chain(placed) {
            for (group, chunk) in (0..group_count(self.rows())).zip(&column.chunks) {
                if chunk.as_ref().is_some_and(|chunk| is_here(&chunk.piece)) {
                    let (first, count) = group_bounds(group, self.rows());
                    lost.insert_range(first..first + count);
                }
            }
        }
        for (page, _) in (0u32..)
            .zip(&directory.ids)
            .filter(|(_, piece)| is_here(piece))
        {
            let first = page * ID_PAGE_ROWS;
            lost.insert_range(first..first.saturating_add(ID_PAGE_ROWS).min(self.rows()));
        }
        lost | self.traces_in(directory, &is_here)
    }

    /// The rows whose trace ids are in pages of the dictionary that are in such a block.
    fn traces_in(&self, directory: &Directory, is_here: &dyn Fn(&Piece) -> bool) -> RoaringBitmap {
        let Some(Dict::Text { pages, .. }) = &directory.core.trace.dict else {
            return RoaringBitmap::new();
        };
        let lost: Vec<bool> = pages.iter().map(is_here).collect();
        if !lost.contains(&true) {
            return RoaringBitmap::new();
        }
        let Ok(codes) = self.numbers(&directory.core.trace) else {
            return self.section.all_rows();
        };
        let is_lost = |code: u64| {
            let page = narrow(code / u64::from(Page::Text.items()));
            lost.get(page).copied().unwrap_or(true)
        };
        let rows = codes.into_iter().filter(|(_, code)| is_lost(*code));
        rows.map(|(row, _)| row).collect()
    }
}
