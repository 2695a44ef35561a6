//! One section of an opened segment: finds and reads rows.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::block::BlockRef;
use super::cache;
use super::damage::TraceRuns;
use super::directory::{Directory, Payload};
use super::encode::Pieces;
use super::footer::{Form, SectionEntry};
use super::index::{self, Index, id_hash};
use super::lookup::{CoreReader, Ids, TraceIds};
use super::read::SegmentFile;
use super::view::View;
use super::wire::{Bad, Cursor, narrow};
use super::{GROUP_ROWS, RowInput, SectionSummary, rows, terms};
use crate::body::Content;
use crate::row::RowKey;
use crate::source::{Core, SourceError};

/// One table of one project in a segment. Rows are numbered in the order of the file.
#[derive(Debug)]
pub struct SectionReader {
    pub(super) file: Arc<SegmentFile>,
    pub(super) entry: SectionEntry,
    /// See [`Directory::trace_hashes`]; held from the first time it is asked for.
    pub(super) traces: OnceLock<Box<[u32]>>,
    /// First rows and counts of the trace index, made again because the stored ones do not read.
    pub(super) runs: OnceLock<TraceRuns>,
}

impl SectionReader {
    pub(super) fn new(file: Arc<SegmentFile>, entry: SectionEntry) -> Self {
        Self {
            file,
            entry,
            traces: OnceLock::new(),
            runs: OnceLock::new(),
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
        if let Some(trace) = self.trace_ids(trace_id)? {
            return trace.find(id, || self.view());
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

    /// The ids of a trace's rows; none if they are too many to hold.
    fn trace_ids(&self, trace_id: &str) -> Result<Option<Arc<TraceIds>>, SourceError> {
        let place = (self.entry.block.offset, id_hash(trace_id));
        let key = (self.file.instance, place);
        let held = cache::TRACES.get(key);
        if let Some(held) = held.filter(|held| held.is_of(trace_id)) {
            return Ok(Some(held));
        }
        let view = self.view()?;
        let rows = view.trace_rows(trace_id)?;
        let weight = TraceIds::weight(trace_id, &rows);
        if !cache::TRACES.holds(weight) {
            return Ok(None);
        }
        let made = Arc::new(TraceIds::read(trace_id, &rows, &mut Ids::new(&view))?);
        cache::TRACES.put(key, Arc::clone(&made), weight);
        Ok(Some(made))
    }

    /// Whether the section may have rows of this trace: false is certain, true is wrong about once
    /// in 2^32 / traces. Reads nothing once the hashes are loaded; true if they cannot be, so that
    /// the look-up that follows reports why.
    pub fn has_trace(&self, trace_id: &str) -> bool {
        self.trace_hashes()
            .map_or(true, |h| h.binary_search(&id_hash(trace_id)).is_ok())
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
        if let Some(index) = cache::SECTIONS.get(key) {
            return Ok(View {
                section: self,
                index,
            });
        }
        let index = Arc::new(self.load()?);
        cache::SECTIONS.put(key, Arc::clone(&index), index.weight);
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
                let (directory, frame) = index::build(&all, None, Payload::none(), Pieces::frame())
                    .map_err(|_| Bad("body of a row"))?;
                let bodies = rows.into_iter().map(|row| row.content.body()).collect();
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
                let read = Directory::read(&mut directory, count, self.file.version)?;
                directory.end()?;
                Ok(Index::new(read, Some(cursor.0), None))
            }
            Form::Full => {
                let mut cursor = Cursor(block);
                let read = Directory::read(&mut cursor, count, self.file.version)?;
                cursor.end()?;
                Ok(Index::new(read, None, None))
            }
        }
    }

    pub(super) fn bad(&self, offset: u64, bad: Bad) -> SourceError {
        self.file.place.damaged(offset, bad)
    }

    /// Reads every block, past the caches, shows what is in it, and gives them. After damage it goes on, so
    /// that all of it is known; the answer is then the first.
    pub(super) fn check(&self, visit: &mut dyn FnMut(&[u8])) -> Result<Vec<BlockRef>, SourceError> {
        let index = self.load()?;
        let mut blocks = vec![self.entry.block];
        blocks.extend(&index.directory.blocks);
        blocks.extend(&index.directory.payload.blocks);
        let mut failed = None;
        if let Some(root) = &index.directory.terms {
            let bad = |at, bad| self.bad(at, bad);
            match terms::blocks_of(root, &|b| self.file.read(b), &bad) {
                Ok(of_terms) => blocks.extend(of_terms),
                Err(error) => failed = Some(error),
            }
        }
        for block in &blocks {
            match self.file.read(block) {
                Ok(bytes) => visit(&bytes),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        failed.map_or(Ok(blocks), Err)
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
            "  columns={} rare_pages={} column_blocks={} column_bytes={} payload_blocks={} payload_bytes={}",
            directory.columns.len(),
            directory.rare.len(),
            directory.blocks.len(),
            stored(&mut directory.blocks.iter()),
            directory.payload.blocks.len(),
            stored(&mut directory.payload.blocks.iter()),
        )?;
        if let Some(root) = &directory.terms {
            let bad = |at, bad| self.bad(at, bad);
            match terms::blocks_of(root, &|b| self.file.read(b), &bad) {
                Ok(blocks) => writeln!(
                    f,
                    "  terms blocks={} bytes={} open={}",
                    blocks.len(),
                    stored(&mut blocks.iter()),
                    root.open.len(),
                )?,
                Err(e) => writeln!(f, "  terms unreadable: {e}")?,
            }
        }
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
        content: Content::Folded(body),
    }
}
