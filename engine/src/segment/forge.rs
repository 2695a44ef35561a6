//! Segments whose checksums are right and whose sections say whatever they are told to: for fuzzing.
//!
//! What damage does to a file its checksums find; what is behind them is reached by nobody who flips
//! bits alone.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::block::{BlockRef, Place};
use super::chunk::group_count;
use super::directory::{ChunkEntry, ColumnEntry, Dict, Piece};
use super::footer::{self, SectionEntry};
use super::read::{Segment, SegmentError};
use super::wire::{Cursor, count_u32, put_len, wide};
use super::{Page, SectionReader, promote, terms};
use crate::body;
use crate::boundary::Store;
use crate::columns::value::Kind;
use crate::source::{Column, Probe, Selection, Source, SourceError};
use crate::text::find::terms_within;

/// A segment of one section, and what its section block says.
#[derive(Clone, Debug)]
pub struct Template {
    place: Place,
    /// The file up to the section block, which is the last.
    before: Bytes,
    entry: SectionEntry,
    block: Bytes,
}

impl Template {
    /// Of a segment of one section.
    pub fn of(store: &Arc<dyn Store>, id: u64, database: [u8; 16]) -> Result<Self, SegmentError> {
        let segment = Segment::open(store, id, database)?;
        let mut sections = segment.readers();
        let (Some(section), None) = (sections.next(), sections.next()) else {
            let place = &segment.place();
            return Err(SegmentError::damaged(place, 0, "not one section"));
        };
        let place = segment.place();
        let entry = section.entry.clone();
        let before = segment.object().get_range(0..entry.block.offset);
        Ok(Self {
            before: before.map_err(|error| place.io(0, error))?,
            block: place.read(segment.object(), &entry.block)?,
            place,
            entry,
        })
    }

    /// What the section block says, before it was compressed: whole rows; or the length of the
    /// directory, it, and the columns; or the directory.
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// The file with another section block, and so many rows in what the footer says.
    pub fn with(&self, rows: Option<u32>, block: &[u8]) -> Vec<u8> {
        let mut out = self.before.to_vec();
        let offset = wide(out.len());
        let mut entry = self.entry.clone();
        entry.summary.rows = rows.unwrap_or(entry.summary.rows).max(1);
        entry.block = BlockRef {
            offset,
            stored: count_u32(block.len()),
            raw: count_u32(block.len()),
            zstd: false,
            crc: self.place.crc(offset, block),
        };
        out.extend_from_slice(block);
        let end = wide(out.len());
        out.extend(footer::encode(&self.place, end, &[entry]));
        out
    }
}

/// Rows of a section of which everything is asked: a footer may say that there are four billion.
const ROWS_ASKED: u32 = 2_000;
/// Columns of a section that are asked for by what it says itself.
const PATHS_ASKED: usize = 4;

/// Asks a segment everything, whatever comes of it; answers whether all of it read.
pub fn ask(segment: &Segment) -> bool {
    let mut reads = segment.verify().is_ok();
    reads &= !segment.describe().to_string().contains("unreadable");
    for section in segment.readers() {
        reads &= rows_read(section);
        let mut columns = vec![
            Column::TraceId,
            Column::Id,
            Column::Start,
            Column::End,
            Column::Duration,
            Column::Path("name".into()),
            Column::Path("nothing".into()),
        ];
        let listed = section.paths(&mut |path, _, _| {
            if columns.len() < 7 + PATHS_ASKED {
                columns.push(Column::Path(path.into()));
            }
        });
        reads &= listed.is_ok();
        for column in &columns {
            reads &= column_reads(section, column);
        }
        let terms = terms_within("filler");
        let probes = [
            Probe::Words(&terms),
            Probe::Text {
                path: "name",
                text: "filler",
                terms: &terms,
            },
        ];
        reads &= probes
            .into_iter()
            .all(|probe| section.narrow(probe).is_ok());
    }
    reads
}

fn rows_read(section: &SectionReader) -> bool {
    let mut seen = 0;
    let scanned = section.scan_rows(&mut |_, row| {
        seen += 1;
        let reads = body::view(&row.content.body()).is_ok_and(|view| view.validate().is_ok());
        if reads && seen < ROWS_ASKED {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    let last = section.row_count() - 1;
    let found = [0, last.min(1), last].map(|row| {
        let Ok(read) = section.row(row) else {
            return false;
        };
        // Asking in two ways, neither of which may go wrong worse than by an error.
        let traced = section.trace_rows(&read.key.trace_id).is_ok();
        let found = section.find(&read.key.trace_id, &read.key.id).is_ok();
        found && traced && section.block_of(row).is_none_or(|block| block < u32::MAX)
    });
    let nowhere = section.find("no such trace", "no such row");
    scanned.is_ok() && nowhere.is_ok() && found.iter().all(|reads| *reads)
}

fn column_reads(section: &SectionReader, column: &Column) -> bool {
    let mut within = RoaringBitmap::new();
    within.insert_range(0..section.row_count().min(ROWS_ASKED));
    let some: RoaringBitmap = within.iter().step_by(3).collect();
    let mut reads = true;
    for rows in [&within, &some] {
        reads &= section.matching(column, &|_| Some(true), rows).is_ok();
        reads &= section.present(column, rows).is_ok();
        reads &= section.values(column, rows, &mut |_, _| {}).is_ok();
        reads &= section.count_values(column, rows, &mut |_, _| {}).is_ok();
        reads &= lanes_read(section, column, &Selection::of(rows)).is_ok();
    }
    reads
}

fn lanes_read(
    section: &SectionReader,
    column: &Column,
    rows: &Selection,
) -> Result<(), SourceError> {
    let mut reader = section.reader(column)?;
    reader.read(rows, &mut Vec::new())?;
    let codes: Vec<u32> = (0..reader.code_count().min(ROWS_ASKED)).collect();
    reader.texts(&codes, &mut |_| {})
}

/// Terms and postings of a page of a term index.
pub fn count_terms(page: &[u8]) -> Result<(usize, usize), &'static str> {
    terms::count_terms(page)
}

/// Columns of a page of keys beside the directory of a section of so many rows.
pub fn count_columns(page: &[u8], rows: u32) -> Result<usize, &'static str> {
    let mut cursor = Cursor(Bytes::copy_from_slice(page));
    let read = promote::read_page(&mut cursor, rows);
    read.map(|columns| columns.len()).map_err(|bad| bad.0)
}

/// A page of keys of every type and shape, of a section of so many rows.
pub fn key_page(rows: u32) -> Vec<u8> {
    let piece = |start| Piece {
        block: 1,
        start,
        len: 300,
    };
    let chunk = |start| ChunkEntry {
        piece: piece(start),
        zone: (3, 500),
    };
    let text = Dict::Text {
        len: 2_000,
        pages: vec![piece(0), piece(300)],
    };
    let numbers = Dict::Numbers {
        len: 70,
        piece: piece(600),
    };
    let shapes = [
        (Kind::Bool, None),
        (Kind::I64, None),
        (Kind::F64, Some(numbers)),
        (Kind::Str, Some(text)),
        (Kind::Long, None),
    ];
    let mut entries: Vec<ColumnEntry> = Vec::new();
    for (at, (kind, dict)) in (0..).zip(shapes) {
        let pages = dict
            .as_ref()
            .map_or(0, |dict| dict.len().div_ceil(Page::Bitmap.items()));
        entries.push(ColumnEntry {
            path: format!("metadata.key {at}").into(),
            kind,
            rows: 7,
            bitmaps: (0..pages).map(piece).collect(),
            dict,
            chunks: (0..group_count(rows))
                .map(|group| (group != 1).then(|| chunk(group)))
                .collect(),
        });
    }
    entries.sort_by(|a, b| promote::key(a).cmp(&promote::key(b)));
    let mut page = Vec::new();
    put_len(&mut page, entries.len());
    entries.iter().for_each(|entry| entry.put(&mut page));
    page
}
