//! The directory of a section: where its columns, indexes and payload blocks are.
//!
//! Counts that follow from the number of rows are not stored. See `FORMAT.md`.

use std::ops::Range;

use super::block::BlockRef;
use super::chunk::group_count;
use super::footer::Form;
use super::promote::RarePage;
use super::terms::Root;
use super::wire::{Bad, Cursor, count_u32, narrow, put_len, put_sized, put_varint};
use super::{FORMAT_VERSION_RARE, ID_PAGE_ROWS, Page};
use crate::columns::value::Kind;

/// A range of bytes in a block of the section, or in its compact frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Piece {
    pub(super) block: u32,
    pub(super) start: u32,
    pub(super) len: u32,
}

/// One row group of a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ChunkEntry {
    pub(super) piece: Piece,
    /// Smallest and largest number in it: see [`crate::columns::value`]; codes where there is a dictionary.
    pub(super) zone: (u64, u64),
}

/// The distinct values of a column, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Dict {
    Text { len: u32, pages: Vec<Piece> },
    Numbers { len: u32, piece: Piece },
}

impl Dict {
    pub(super) const fn len(&self) -> u32 {
        match self {
            Self::Text { len, .. } | Self::Numbers { len, .. } => *len,
        }
    }
}

/// The values of one type at one path.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ColumnEntry {
    pub(super) path: Box<str>,
    pub(super) kind: Kind,
    /// Rows that have a value.
    pub(super) rows: u32,
    pub(super) dict: Option<Dict>,
    /// Pages of one roaring bitmap per value; empty if there are none.
    pub(super) bitmaps: Vec<Piece>,
    /// By row group; `None` where no row has a value.
    pub(super) chunks: Vec<Option<ChunkEntry>>,
}

/// The bodies of a section; no blocks in inline sections.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Payload {
    pub(super) blocks: Vec<BlockRef>,
    pub(super) placement: Placement,
}

/// In which block a row's body is, and where in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Placement {
    /// Bodies stand in the order of the rows: the first row of each block.
    InOrder(Vec<u32>),
    /// Blocks came from elsewhere: number of the block and place in it, of every row.
    ByRow(Box<[ColumnEntry; 2]>),
}

impl Payload {
    /// Of a section whose bodies stand with its rows.
    pub(super) const fn none() -> Self {
        Self {
            blocks: Vec::new(),
            placement: Placement::InOrder(Vec::new()),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_len(out, self.blocks.len());
        match &self.placement {
            Placement::InOrder(firsts) => {
                out.push(IN_ORDER);
                firsts
                    .iter()
                    .for_each(|row| put_varint(out, u64::from(*row)));
            }
            Placement::ByRow(columns) => {
                out.push(BY_ROW);
                columns.iter().for_each(|column| column.put(out));
            }
        }
        self.blocks.iter().for_each(|block| block.put(out));
    }

    fn read(cursor: &mut Cursor, rows: u32) -> Result<Self, Bad> {
        let n = cursor.count(7)?;
        let placement = match cursor.u8()? {
            IN_ORDER => {
                let firsts = (0..n).map(|_| cursor.varint_u32());
                let firsts = firsts.collect::<Result<Vec<_>, _>>()?;
                let rising = firsts.is_sorted_by(|a, b| a < b);
                if !rising || firsts.first().is_some_and(|first| *first != 0) {
                    return Err(Bad("order of payload blocks"));
                }
                Placement::InOrder(firsts)
            }
            BY_ROW => {
                let mut column = || ColumnEntry::read(cursor, rows);
                let columns = [column()?, column()?];
                if columns
                    .iter()
                    .any(|c| c.kind != Kind::Long || c.dict.is_some())
                {
                    return Err(Bad("placement columns"));
                }
                Placement::ByRow(Box::new(columns))
            }
            _ => return Err(Bad("placement")),
        };
        let blocks = (0..n).map(|_| BlockRef::read(cursor));
        Ok(Self {
            blocks: blocks.collect::<Result<_, _>>()?,
            placement,
        })
    }
}

/// Columns that every row has under a field of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CoreColumns {
    pub(super) trace: ColumnEntry,
    pub(super) start: ColumnEntry,
    /// End minus start, wrapping; absent while running.
    pub(super) duration: ColumnEntry,
    pub(super) lsn_first: ColumnEntry,
    /// Last minus first, wrapping.
    pub(super) lsn_delta: ColumnEntry,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Directory {
    pub(super) rows: u32,
    pub(super) blocks: Vec<BlockRef>,
    pub(super) core: CoreColumns,
    pub(super) ids: Vec<Piece>,
    /// High halves of the trace hashes, u32 each, ascending; one per run of rows.
    pub(super) trace_hashes: Piece,
    /// First row and row count of each run, in the order of the hashes.
    pub(super) trace_runs: Piece,
    /// Sorted by path, then type.
    pub(super) columns: Vec<ColumnEntry>,
    /// Where the entries of all other columns are, ascending.
    pub(super) rare: Vec<RarePage>,
    pub(super) payload: Payload,
    /// See [`super::terms`].
    pub(super) terms: Option<Root>,
}

const HAS_DICT: u8 = 1;
const HAS_BITMAPS: u8 = 2;
const IN_ORDER: u8 = 0;
const BY_ROW: u8 = 1;

impl Piece {
    fn put(self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.block));
        put_varint(out, u64::from(self.start));
        put_varint(out, u64::from(self.len));
    }

    fn read(cursor: &mut Cursor) -> Result<Self, Bad> {
        Ok(Self {
            block: cursor.varint_u32()?,
            start: cursor.varint_u32()?,
            len: cursor.varint_u32()?,
        })
    }

    fn read_many(cursor: &mut Cursor, n: usize) -> Result<Vec<Self>, Bad> {
        if n > cursor.0.len() {
            return Err(Bad("pieces"));
        }
        (0..n).map(|_| Self::read(cursor)).collect()
    }
}

impl ColumnEntry {
    /// Where its values begin.
    pub(super) fn first_piece(&self) -> Option<Piece> {
        self.chunks.iter().flatten().map(|chunk| chunk.piece).next()
    }

    /// Whether both are the same pieces, so the same values of the same rows.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.kind, self.rows) == (other.kind, other.rows)
            && self.chunks == other.chunks
            && self.dict == other.dict
            && self.bitmaps == other.bitmaps
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_sized(out, self.path.as_bytes());
        out.push(self.kind as u8);
        let dict = if self.dict.is_some() { HAS_DICT } else { 0 };
        out.push(
            dict | if self.bitmaps.is_empty() {
                0
            } else {
                HAS_BITMAPS
            },
        );
        put_varint(out, u64::from(self.rows));
        match &self.dict {
            None => {}
            Some(Dict::Text { len, pages }) => {
                put_varint(out, u64::from(*len));
                for p in pages {
                    p.put(out);
                }
            }
            Some(Dict::Numbers { len, piece }) => {
                put_varint(out, u64::from(*len));
                piece.put(out);
            }
        }
        for p in &self.bitmaps {
            p.put(out);
        }
        for chunk in &self.chunks {
            let Some(chunk) = chunk else {
                put_varint(out, 0);
                continue;
            };
            put_varint(out, u64::from(chunk.piece.len));
            put_varint(out, u64::from(chunk.piece.block));
            put_varint(out, u64::from(chunk.piece.start));
            put_varint(out, chunk.zone.0);
            put_varint(out, chunk.zone.1 - chunk.zone.0);
        }
    }

    pub(super) fn read(cursor: &mut Cursor, rows: u32) -> Result<Self, Bad> {
        let path = cursor.text()?;
        let kind = Kind::from_u8(cursor.u8()?).ok_or(Bad("column type"))?;
        let flags = cursor.u8()?;
        if flags & !(HAS_DICT | HAS_BITMAPS) != 0 || flags == HAS_BITMAPS {
            return Err(Bad("column flags"));
        }
        let present = cursor.varint_u32()?;
        let mut dict = None;
        if flags & HAS_DICT != 0 {
            let len = cursor.varint_u32()?;
            dict = Some(if kind == Kind::Str {
                let pages = narrow(u64::from(len.div_ceil(Page::Text.items())));
                Dict::Text {
                    len,
                    pages: Piece::read_many(cursor, pages)?,
                }
            } else {
                Dict::Numbers {
                    len,
                    piece: Piece::read(cursor)?,
                }
            });
        } else if kind == Kind::Str {
            return Err(Bad("text without dictionary"));
        }
        let mut bitmaps = Vec::new();
        if flags & HAS_BITMAPS != 0 {
            let len = dict.as_ref().map_or(0, Dict::len);
            let pages = narrow(u64::from(len.div_ceil(Page::Bitmap.items())));
            bitmaps = Piece::read_many(cursor, pages)?;
        }
        let groups = narrow(u64::from(group_count(rows)));
        if groups > cursor.0.len() {
            return Err(Bad("chunks"));
        }
        let chunks = (0..groups)
            .map(|_| read_chunk(cursor))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            path,
            kind,
            rows: present,
            dict,
            bitmaps,
            chunks,
        })
    }
}

fn read_chunk(cursor: &mut Cursor) -> Result<Option<ChunkEntry>, Bad> {
    let len = cursor.varint_u32()?;
    if len == 0 {
        return Ok(None);
    }
    let piece = Piece {
        len,
        block: cursor.varint_u32()?,
        start: cursor.varint_u32()?,
    };
    let low = cursor.varint()?;
    let high = low.checked_add(cursor.varint()?).ok_or(Bad("zone"))?;
    Ok(Some(ChunkEntry {
        piece,
        zone: (low, high),
    }))
}

fn put_rare(pages: &[RarePage], out: &mut Vec<u8>) {
    put_len(out, pages.len());
    let mut before = 0;
    for page in pages {
        put_varint(out, page.first - before);
        page.piece.put(out);
        before = page.first;
    }
}

fn read_rare(cursor: &mut Cursor) -> Result<Vec<RarePage>, Bad> {
    let n = cursor.count(4)?;
    let mut pages: Vec<RarePage> = Vec::with_capacity(n);
    for _ in 0..n {
        let before = pages.last().map_or(0, |page| page.first);
        let more = cursor.varint()?;
        let first = before.checked_add(more).ok_or(Bad("order of pages"))?;
        if more == 0 && !pages.is_empty() {
            return Err(Bad("order of pages"));
        }
        let piece = Piece::read(cursor)?;
        pages.push(RarePage { first, piece });
    }
    Ok(pages)
}

impl CoreColumns {
    pub(super) const fn all(&self) -> [&ColumnEntry; 5] {
        [
            &self.trace,
            &self.start,
            &self.duration,
            &self.lsn_first,
            &self.lsn_delta,
        ]
    }
}

impl Directory {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_len(out, self.blocks.len());
        for b in &self.blocks {
            b.put(out);
        }
        for c in &self.core.all() {
            c.put(out);
        }
        for p in &self.ids {
            p.put(out);
        }
        self.trace_hashes.put(out);
        self.trace_runs.put(out);
        put_len(out, self.columns.len());
        for c in &self.columns {
            c.put(out);
        }
        put_rare(&self.rare, out);
        self.payload.put(out);
        Root::put(self.terms.as_ref(), out);
    }

    /// The section block; in compact sections with the pieces.
    pub(super) fn frame(&self, form: Form, pieces: &[u8]) -> Vec<u8> {
        let mut directory = Vec::new();
        self.put(&mut directory);
        if form != Form::Compact {
            return directory;
        }
        let mut frame = count_u32(directory.len()).to_le_bytes().to_vec();
        frame.extend_from_slice(&directory);
        frame.extend_from_slice(pieces);
        frame
    }

    /// Of a section of so many rows in a file of this version.
    pub(super) fn read(cursor: &mut Cursor, rows: u32, version: u32) -> Result<Self, Bad> {
        let n = cursor.count(7)?;
        let blocks = (0..n)
            .map(|_| BlockRef::read(cursor))
            .collect::<Result<_, _>>()?;
        let mut core = || ColumnEntry::read(cursor, rows);
        let core = CoreColumns {
            trace: core()?,
            start: core()?,
            duration: core()?,
            lsn_first: core()?,
            lsn_delta: core()?,
        };
        let shapes = core.all().map(|c| (c.kind, c.dict.is_some()));
        let [i64, long] = [(Kind::I64, false), (Kind::Long, false)];
        if shapes != [(Kind::Str, true), i64, i64, long, long] {
            return Err(Bad("core columns"));
        }
        let ids = Piece::read_many(cursor, narrow(u64::from(rows.div_ceil(ID_PAGE_ROWS))))?;
        let trace_hashes = Piece::read(cursor)?;
        let trace_runs = Piece::read(cursor)?;
        let n = cursor.count(4)?;
        let columns = (0..n)
            .map(|_| ColumnEntry::read(cursor, rows))
            .collect::<Result<Vec<_>, _>>()?;
        if !columns.is_sorted_by(|a, b| (&a.path, a.kind) < (&b.path, b.kind)) {
            return Err(Bad("order of columns"));
        }
        let rare = match version {
            FORMAT_VERSION_RARE.. => read_rare(cursor)?,
            _ => Vec::new(),
        };
        let payload = Payload::read(cursor, rows)?;
        let terms = Root::read(cursor, payload.blocks.len())?;
        Ok(Self {
            rows,
            blocks,
            core,
            ids,
            trace_hashes,
            trace_runs,
            columns,
            rare,
            payload,
            terms,
        })
    }

    /// The typed columns at a path.
    pub(super) fn at(&self, path: &str) -> &[ColumnEntry] {
        &self.columns[self.range_at(path)]
    }

    /// Which of the columns those are.
    pub(super) fn range_at(&self, path: &str) -> Range<usize> {
        let start = self.columns.partition_point(|c| &*c.path < path);
        let same = self.columns[start..]
            .iter()
            .take_while(|c| &*c.path == path);
        start..start + same.count()
    }
}

impl Directory {
    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        let column = |c: &ColumnEntry| {
            let dict = match &c.dict {
                Some(Dict::Text { pages, .. }) => pages.len(),
                _ => 0,
            };
            size_of::<ColumnEntry>()
                + c.path.len()
                + (dict + c.bitmaps.len()) * size_of::<Piece>()
                + c.chunks.len() * size_of::<Option<ChunkEntry>>()
        };
        let placed = match &self.payload.placement {
            Placement::InOrder(_) => &[][..],
            Placement::ByRow(columns) => &columns[..],
        };
        let core = self.core.all().into_iter();
        core.chain(&self.columns)
            .chain(placed)
            .map(column)
            .sum::<usize>()
            + self.blocks.len() * size_of::<BlockRef>()
            + self.ids.len() * size_of::<Piece>()
            + self.rare.len() * size_of::<RarePage>()
            + self.payload.blocks.len() * (size_of::<BlockRef>() + size_of::<u32>())
            + self.terms.as_ref().map_or(0, Root::weight)
    }
}
