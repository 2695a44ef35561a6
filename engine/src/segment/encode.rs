//! Turns gathered columns into pieces: dictionaries, bitmaps, chunks.

use hashbrown::HashSet;
use roaring::RoaringBitmap;

use super::block::{BlockRef, BlockWriter};
use super::chunk::{self, by_group, group_bounds};
use super::directory::{ChunkEntry, ColumnEntry, Dict, Piece};
use super::footer::Form;
use super::promote::{self, Promoted, RarePage, RarePages};
use super::wire::{count_u32, narrow, wide};
use super::{BLOCK_RAW_BYTES_MAX, COLUMN_BLOCK_BYTES, FULL_ROWS_MIN, INDEXED_VALUES_MAX, Page};
use super::{WriteError, packed, table};
use crate::columns::Finished;
use crate::columns::value::Kind;

/// A column is indexed only if a value has this many rows on average: a bitmap costs more than
/// the codes it saves reading otherwise.
const ROWS_PER_BITMAP_MIN: usize = 4;

/// How the values of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// The numbers themselves.
    Plain,
    /// Codes into a dictionary.
    Dictionary,
    /// Codes into a dictionary, and a bitmap of rows per code.
    Indexed,
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A hot column: numbers stand as they are.
    Core,
    /// Of a section too small for bitmaps.
    Small,
    /// Of a section with bitmaps.
    Large,
}

/// The encoding of a column, by nothing but its figures. `distinct` is `None` above
/// [`INDEXED_VALUES_MAX`].
pub(super) fn encoding(kind: Kind, role: Role, distinct: Option<usize>, values: usize) -> Encoding {
    let repeats = distinct.is_some_and(|d| d * ROWS_PER_BITMAP_MIN <= values);
    match (role, kind) {
        (Role::Large, _) if repeats => Encoding::Indexed,
        (_, Kind::Str) => Encoding::Dictionary,
        (Role::Small, Kind::F64 | Kind::Long) if repeats => Encoding::Dictionary,
        _ => Encoding::Plain,
    }
}

/// Gathers pieces into blocks of a file, or all of them into one frame.
pub(super) struct Pieces<'a> {
    out: Option<&'a mut BlockWriter>,
    blocks: Vec<BlockRef>,
    held: Vec<u8>,
}

impl<'a> Pieces<'a> {
    pub(super) fn frame() -> Self {
        Self {
            out: None,
            blocks: Vec::new(),
            held: Vec::new(),
        }
    }

    /// In blocks if the section has blocks of columns, else in a frame.
    pub(super) fn of(form: Form, out: &'a mut BlockWriter) -> Self {
        Self {
            out: Some(out).filter(|_| form == Form::Full),
            ..Self::frame()
        }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<Piece, WriteError> {
        if self.out.is_some() && self.held.len() + bytes.len() > COLUMN_BLOCK_BYTES {
            self.flush()?;
        }
        let total = wide(self.held.len()) + wide(bytes.len());
        if total > u64::from(BLOCK_RAW_BYTES_MAX) {
            return Err(WriteError::TooLarge { bytes: total });
        }
        let start = count_u32(self.held.len());
        self.held.extend_from_slice(bytes);
        Ok(Piece {
            block: count_u32(self.blocks.len()),
            start,
            len: count_u32(bytes.len()),
        })
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        if let (Some(out), false) = (&mut self.out, self.held.is_empty()) {
            self.blocks
                .push(out.block(&self.held).map_err(|e| out.place().failed(e))?);
            self.held.clear();
        }
        Ok(())
    }

    /// The blocks, or the frame.
    pub(super) fn finish(mut self) -> Result<(Vec<BlockRef>, Vec<u8>), WriteError> {
        self.flush()?;
        Ok((self.blocks, self.held))
    }
}

/// The columns of a section, as they are encoded.
pub(super) struct Columns<'p, 'o> {
    pub(super) rows: u32,
    pub(super) role: Role,
    pub(super) pieces: &'p mut Pieces<'o>,
    promoted: &'p Promoted,
    entries: Vec<ColumnEntry>,
    /// Those that are not in the directory, in any order, and those of them that came in order.
    others: Vec<ColumnEntry>,
    pages: RarePages,
}

impl<'p, 'o> Columns<'p, 'o> {
    /// Of a section of `rows` rows.
    pub(super) fn new(rows: u32, promoted: &'p Promoted, pieces: &'p mut Pieces<'o>) -> Self {
        let role = if rows >= FULL_ROWS_MIN {
            Role::Large
        } else {
            Role::Small
        };
        Self {
            rows,
            role,
            pieces,
            promoted,
            entries: Vec::new(),
            others: Vec::new(),
            pages: RarePages::default(),
        }
    }

    /// Encodes a column once, whatever number of paths it has: their entries share the pieces.
    pub(super) fn put(&mut self, paths: &[&str], column: Finished<'_>) -> Result<(), WriteError> {
        let is_promoted = paths.iter().any(|path| self.promoted.has(path));
        let role = if is_promoted { self.role } else { Role::Small };
        let entry = self::column(column, self.rows, role, self.pieces)?;
        for path in paths {
            let entry = ColumnEntry {
                path: (*path).into(),
                ..entry.clone()
            };
            if self.promoted.has(path) {
                self.entries.push(entry);
            } else {
                self.others.push(entry);
            }
        }
        Ok(())
    }

    /// Encodes a column of a key that is not in the directory. They come by the hash of the key.
    pub(super) fn put_rare(&mut self, path: &str, column: Finished<'_>) -> Result<(), WriteError> {
        let mut entry = self::column(column, self.rows, Role::Small, self.pieces)?;
        entry.path = path.into();
        self.pages.push(&entry, self.pieces)
    }

    /// The entries of the directory by path, then type, and the pages of the others.
    pub(super) fn finish(mut self) -> Result<(Vec<ColumnEntry>, Vec<RarePage>), WriteError> {
        self.entries
            .sort_unstable_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
        self.others
            .sort_unstable_by(|a, b| promote::key(a).cmp(&promote::key(b)));
        for entry in &self.others {
            self.pages.push(entry, self.pieces)?;
        }
        let pages = self.pages.finish(self.pieces)?;
        Ok((self.entries, pages))
    }
}

/// Encodes a column of a section of `rows` rows. Its path is empty.
pub(super) fn column(
    mut column: Finished<'_>,
    rows: u32,
    role: Role,
    pieces: &mut Pieces<'_>,
) -> Result<ColumnEntry, WriteError> {
    let distinct = distinct(&column, role);
    let count = if column.kind == Kind::Str {
        Some(column.texts.len()).filter(|n| *n <= INDEXED_VALUES_MAX)
    } else {
        distinct.as_ref().map(Vec::len)
    };
    let encoding = encoding(column.kind, role, count, column.pairs.len());
    let mut dict = None;
    if column.kind == Kind::Str {
        let texts: Vec<&[u8]> = column.texts.iter().map(|t| t.as_bytes()).collect();
        let len = count_u32(texts.len());
        dict = Some(Dict::Text {
            len,
            pages: pages(Page::Text, &texts, pieces)?,
        });
    } else if let (Some(values), true) = (distinct, encoding != Encoding::Plain) {
        for (_, number) in &mut column.pairs {
            *number = wide(values.partition_point(|v| *v < *number));
        }
        let mut bytes = Vec::new();
        packed::put(&mut bytes, values.iter().copied());
        dict = Some(Dict::Numbers {
            len: count_u32(values.len()),
            piece: pieces.put(&bytes)?,
        });
    }
    let mut bitmaps = Vec::new();
    if let (Some(dict), Encoding::Indexed) = (&dict, encoding) {
        bitmaps = indexes(&column.pairs, dict.len(), pieces)?;
    }
    Ok(ColumnEntry {
        rows: rows_with(&column.pairs),
        chunks: chunks(&column.pairs, rows, pieces)?,
        path: Box::default(),
        kind: column.kind,
        dict,
        bitmaps,
    })
}

/// The distinct numbers, ascending; `None` for text, and for more than an encoding asks for.
fn distinct(column: &Finished<'_>, role: Role) -> Option<Vec<u64>> {
    let with = |distinct| encoding(column.kind, role, distinct, 0);
    if column.kind == Kind::Str || with(Some(0)) == with(None) {
        return None;
    }
    let most = INDEXED_VALUES_MAX.min(column.pairs.len() / ROWS_PER_BITMAP_MIN);
    let mut seen = HashSet::new();
    let mut last = None;
    for (_, number) in &column.pairs {
        if last != Some(*number) && seen.insert(*number) && seen.len() > most {
            return None;
        }
        last = Some(*number);
    }
    let mut distinct: Vec<u64> = seen.into_iter().collect();
    distinct.sort_unstable();
    Some(distinct)
}

fn rows_with(pairs: &[(u32, u64)]) -> u32 {
    count_u32(pairs.chunk_by(|a, b| a.0 == b.0).count())
}

pub(super) fn pages(
    page: Page,
    items: &[&[u8]],
    pieces: &mut Pieces<'_>,
) -> Result<Vec<Piece>, WriteError> {
    let mut out = Vec::new();
    for items in items.chunks(narrow(u64::from(page.items()))) {
        let mut bytes = Vec::new();
        table::put(&mut bytes, items.iter().copied());
        out.push(pieces.put(&bytes)?);
    }
    Ok(out)
}

/// The rows of each value, ascending.
fn by_value(pairs: &[(u32, u64)], values: u32) -> Vec<Vec<u32>> {
    let mut counts = vec![0; narrow(u64::from(values))];
    for (_, code) in pairs {
        counts[narrow(*code)] += 1;
    }
    let mut rows: Vec<Vec<u32>> = counts.into_iter().map(Vec::with_capacity).collect();
    for (row, code) in pairs {
        rows[narrow(*code)].push(*row);
    }
    rows
}

fn indexes(
    pairs: &[(u32, u64)],
    values: u32,
    pieces: &mut Pieces<'_>,
) -> Result<Vec<Piece>, WriteError> {
    let mut serialized = Vec::with_capacity(narrow(u64::from(values)));
    for rows in by_value(pairs, values) {
        let mut bitmap =
            RoaringBitmap::from_sorted_iter(rows).expect("BUG: rows of a value out of order");
        bitmap.optimize();
        let mut bytes = Vec::with_capacity(bitmap.serialized_size());
        bitmap
            .serialize_into(&mut bytes)
            .expect("BUG: writing to memory failed");
        serialized.push(bytes);
    }
    let items: Vec<&[u8]> = serialized.iter().map(Vec::as_slice).collect();
    pages(Page::Bitmap, &items, pieces)
}

fn chunks(
    pairs: &[(u32, u64)],
    rows: u32,
    pieces: &mut Pieces<'_>,
) -> Result<Vec<Option<ChunkEntry>>, WriteError> {
    let (mut out, mut bytes) = (Vec::new(), Vec::new());
    for (group, pairs) in (0..).zip(by_group(pairs, rows)) {
        let numbers = pairs.iter().map(|p| p.1);
        let (Some(low), Some(high)) = (numbers.clone().min(), numbers.max()) else {
            out.push(None);
            continue;
        };
        bytes.clear();
        chunk::put(&mut bytes, group_bounds(group, rows), pairs);
        out.push(Some(ChunkEntry {
            piece: pieces.put(&bytes)?,
            zone: (low, high),
        }));
    }
    Ok(out)
}
