//! Which keys of a section stand in its directory, and how the others are listed.
//!
//! A directory is read whole by whoever asks for anything, and held. So it lists a bounded number of
//! keys; those of few rows stand in pages of entries beside the columns, of which the directory has the
//! first hash alone. They have columns as well, but no bitmaps, and cost whoever asks for one a page.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use hashbrown::HashSet;

use super::WriteError;
use super::directory::{ColumnEntry, Directory, Piece};
use super::encode::Pieces;
use super::view::View;
use super::wire::{Bad, Cursor, put_len};
use crate::body;
use crate::columns::value::Kind;
use crate::doc::{fingerprint, flatten};
use crate::source::SourceError;

/// Keys of a section that stand in its directory, whatever their types; see [`Promoted::choose`].
pub const PROMOTED_PATHS_MAX: usize = 1_024;
/// Entries of other keys are gathered into pages of about this size.
const RARE_PAGE_BYTES: usize = 16 << 10;

/// The order of keys in pages: a hash says where one is without the directory holding any name.
pub(super) fn hash(path: &str) -> u64 {
    fingerprint(path.as_bytes())
}

/// The keys that stand in a directory.
#[derive(Debug, Default)]
pub(super) struct Promoted(Option<HashSet<Box<str>>>);

impl Promoted {
    /// Of keys, each once, and how many rows have each: all, if they are no more than
    /// [`PROMOTED_PATHS_MAX`], else those that most rows have; of as many rows the shortest, then the first
    /// by name. A row that has very many keys has the few that everything is asked by under short names.
    pub(super) fn choose<'a>(keys: impl Iterator<Item = (Cow<'a, str>, u64)>) -> Self {
        let mut kept = BinaryHeap::new();
        let mut is_over = false;
        for (path, rows) in keys {
            kept.push(Reverse((rows, Reverse((path.len(), path)))));
            if kept.len() > PROMOTED_PATHS_MAX {
                kept.pop();
                is_over = true;
            }
        }
        let names = kept
            .into_iter()
            .map(|Reverse((_, Reverse((_, path))))| Box::from(path));
        Self(is_over.then(|| names.collect()))
    }

    /// Whether this key is one of them.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(path))
    }

    /// Whether none is left out.
    pub(super) const fn is_all(&self) -> bool {
        self.0.is_none()
    }
}

/// Entries of keys that are not in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RarePage {
    /// Hash of its first key.
    pub(super) first: u64,
    pub(super) piece: Piece,
}

/// Gathers entries into pages.
#[derive(Debug, Default)]
pub(super) struct RarePages {
    pages: Vec<RarePage>,
    held: Vec<u8>,
    count: usize,
    first: u64,
    last: u64,
}

impl RarePages {
    /// Entries come by hash, path and type. The types of a key stand in one page.
    pub(super) fn push(
        &mut self,
        entry: &ColumnEntry,
        pieces: &mut Pieces<'_>,
    ) -> Result<(), WriteError> {
        let hash = hash(&entry.path);
        debug_assert!(hash >= self.last, "BUG: keys out of order");
        if self.held.len() >= RARE_PAGE_BYTES && hash != self.last {
            self.cut(pieces)?;
        }
        if self.count == 0 {
            self.first = hash;
        }
        self.last = hash;
        self.count += 1;
        entry.put(&mut self.held);
        Ok(())
    }

    fn cut(&mut self, pieces: &mut Pieces<'_>) -> Result<(), WriteError> {
        if self.count > 0 {
            let mut page = Vec::with_capacity(self.held.len() + 4);
            put_len(&mut page, self.count);
            page.append(&mut self.held);
            let piece = pieces.put(&page)?;
            let first = self.first;
            self.pages.push(RarePage { first, piece });
            self.count = 0;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, pieces: &mut Pieces<'_>) -> Result<Vec<RarePage>, WriteError> {
        self.cut(pieces)?;
        Ok(self.pages)
    }
}

/// The order of entries.
pub(super) fn key(entry: &ColumnEntry) -> (u64, &str, Kind) {
    (hash(&entry.path), &entry.path, entry.kind)
}

/// Reads a page of entries, its count first.
pub(super) fn read_page(cursor: &mut Cursor, rows: u32) -> Result<Vec<ColumnEntry>, Bad> {
    let n = cursor.count(4)?;
    let entries = (0..n).map(|_| ColumnEntry::read(cursor, rows));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<_> = entries.iter().map(key).collect();
    if keys.is_empty() || !keys.is_sorted_by(|a, b| a < b) {
        return Err(Bad("order of keys"));
    }
    Ok(entries)
}

impl Directory {
    /// The page that has the key, if any has.
    fn rare_page(&self, path: &str) -> Option<Piece> {
        let hash = hash(path);
        let after = self.rare.partition_point(|page| page.first <= hash);
        let page = self.rare.get(after.checked_sub(1)?)?;
        Some(page.piece)
    }
}

/// Name, type and rows of a column.
type Visit<'v> = &'v mut dyn FnMut(&str, Kind, u64);

impl View<'_> {
    /// The typed columns at a path; `None` if it is known that the page that lists them does not read.
    pub(super) fn columns_at(
        &self,
        path: &str,
    ) -> Result<Option<Cow<'_, [ColumnEntry]>>, SourceError> {
        let directory = &self.index.directory;
        let own = directory.at(path);
        let page = match directory.rare_page(path) {
            Some(page) if own.is_empty() => page,
            _ => return Ok(Some(Cow::Borrowed(own))),
        };
        if self.is_missing(page) {
            return Ok(None);
        }
        let mut entries = self.rare(page)?;
        entries.retain(|entry| *entry.path == *path);
        Ok(Some(Cow::Owned(entries)))
    }

    /// The entries of a page.
    pub(super) fn rare(&self, page: Piece) -> Result<Vec<ColumnEntry>, SourceError> {
        self.decode(page, |cursor| read_page(cursor, self.rows()))
    }

    /// Every column, those of the directory first. What a page would say that does not read is said by
    /// the documents.
    pub(super) fn each_column(&self, visit: Visit<'_>) -> Result<(), SourceError> {
        let directory = &self.index.directory;
        for column in &directory.columns {
            visit(&column.path, column.kind, u64::from(column.rows));
        }
        let ends = directory.rare.iter().skip(1).map(|page| page.first - 1);
        let ends = ends.chain([u64::MAX]);
        for (page, last) in directory.rare.iter().zip(ends) {
            if self.is_missing(page.piece) {
                self.each_in_documents(page.first, last, visit)?;
                continue;
            }
            for column in self.rare(page.piece)? {
                visit(&column.path, column.kind, u64::from(column.rows));
            }
        }
        Ok(())
    }

    /// The columns outside of the directory whose hash is within these bounds.
    fn each_in_documents(
        &self,
        first: u64,
        last: u64,
        visit: Visit<'_>,
    ) -> Result<(), SourceError> {
        let directory = &self.index.directory;
        // Of each the rows that have it, and the last of them.
        let mut found: BTreeMap<(Box<str>, Kind), (u64, u32)> = BTreeMap::new();
        for row in 0..self.rows() {
            let body = self.body(row)?;
            let walked = body::view(&body).and_then(|view| {
                flatten(view, &mut |path, value| {
                    let hash = hash(path);
                    if !(first..=last).contains(&hash) || !directory.at(path).is_empty() {
                        return;
                    }
                    let counted = found.entry((path.into(), Kind::of(&value)));
                    let (rows, latest) = counted.or_insert((0, u32::MAX));
                    *rows += u64::from(*latest != row);
                    *latest = row;
                })
            });
            let offset = self.section.entry.block.offset;
            walked.map_err(|_| self.section.bad(offset, Bad("body")))?;
        }
        for ((path, kind), (rows, _)) in &found {
            visit(path, *kind, *rows);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
