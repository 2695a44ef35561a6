//! The term index of a section: which payload blocks have a word, and in how many of their rows.
//!
//! Terms (see [`crate::text::term`]) stand sorted in pages; a summary says with which term each of
//! up to [`SUMMARY_PAGES`] pages begins, and the directory holds the list of summaries. So a
//! lookup reads one summary and one page, whatever the size of the section. `FORMAT.md` has the
//! bytes.
//!
//! - [`Builder`] takes rows as their block is cut.
//! - [`merge::TermsMerge`] takes the indexes of sections whose blocks are copied, and renumbers.
//! - [`lookup`] and [`check`] read.

mod build;
mod merge;
mod page;
mod read;
#[cfg(test)]
mod tests;

pub(super) use build::Builder;
#[cfg(feature = "measure")]
pub(super) use build::gather;
pub(super) use merge::TermsMerge;
#[cfg(any(test, feature = "forge"))]
pub(super) use page::count_terms;
pub(super) use read::{blocks_of, lookup};

use std::io;

use super::block::{BlockRef, BlockWriter};
use super::wire::{Bad, Cursor, put_len, put_varint};
use crate::text::RULE;

/// A section with fewer payload blocks has no term index: reading them costs less.
pub(super) const TERM_BLOCKS_MIN: usize = 2;
/// A page is closed when it has so many bytes, about.
const PAGE_BYTES: usize = 16 << 10;
/// Pages of one summary.
const SUMMARY_PAGES: usize = 512;
/// A payload block with more distinct terms is not indexed: every question finds it.
pub(super) const BLOCK_TERMS_MAX: usize = 1 << 18;

/// A payload block and how many of its rows have the term.
pub(super) type Posting = (u32, u32);

/// The part of the term index that stands in the directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Root {
    /// See [`crate::text::RULE`].
    pub(super) rule: u8,
    /// Payload blocks that are not indexed.
    pub(super) open: Vec<u32>,
    /// First term and place of each summary.
    pub(super) summaries: Vec<(u64, BlockRef)>,
}

impl Root {
    /// Appends the root, or that there is none.
    pub(super) fn put(root: Option<&Self>, out: &mut Vec<u8>) {
        let Some(root) = root else {
            out.push(0);
            return;
        };
        out.push(root.rule);
        put_len(out, root.open.len());
        let mut next = 0;
        for block in &root.open {
            put_varint(out, u64::from(block - next));
            next = block + 1;
        }
        put_len(out, root.summaries.len());
        let mut before = 0;
        for (first, block) in &root.summaries {
            put_varint(out, first - before);
            before = *first;
            block.put(out);
        }
    }

    /// Reads what [`Root::put`] wrote for a section of so many payload blocks.
    pub(super) fn read(cursor: &mut Cursor, blocks: usize) -> Result<Option<Self>, Bad> {
        let rule = cursor.u8()?;
        if rule == 0 {
            return Ok(None);
        }
        let n = cursor.count(1)?;
        let mut open = Vec::with_capacity(n);
        let mut next = 0u32;
        for _ in 0..n {
            let block = next
                .checked_add(cursor.varint_u32()?)
                .ok_or(Bad("open block"))?;
            if usize::try_from(block).is_ok_and(|b| b >= blocks) {
                return Err(Bad("open block"));
            }
            open.push(block);
            next = block + 1;
        }
        let n = cursor.count(8)?;
        let mut summaries: Vec<(u64, BlockRef)> = Vec::with_capacity(n);
        for at in 0..n {
            let gap = cursor.varint()?;
            let before = summaries.last().map_or(0, |s| s.0);
            let first = before.checked_add(gap).ok_or(Bad("first term"))?;
            if at > 0 && gap == 0 {
                return Err(Bad("order of summaries"));
            }
            summaries.push((first, BlockRef::read(cursor)?));
        }
        Ok(Some(Self {
            rule,
            open,
            summaries,
        }))
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        self.open.len() * size_of::<u32>() + self.summaries.len() * size_of::<(u64, BlockRef)>()
    }
}

/// Takes terms in order and writes pages and summaries.
struct Writer<'w> {
    out: &'w mut BlockWriter,
    page: page::Page,
    /// First term and block of the pages since the last summary.
    pages: Vec<(u64, BlockRef)>,
    root: Root,
}

impl<'w> Writer<'w> {
    fn new(out: &'w mut BlockWriter, open: Vec<u32>) -> Self {
        Self {
            out,
            page: page::Page::default(),
            pages: Vec::new(),
            root: Root {
                rule: RULE,
                open,
                summaries: Vec::new(),
            },
        }
    }

    /// Terms ascend, so do the blocks of a term; none is without blocks.
    fn put(&mut self, term: u64, postings: &[Posting]) -> io::Result<()> {
        self.page.push(term, postings);
        if self.page.len() >= PAGE_BYTES {
            self.end_page()?;
        }
        Ok(())
    }

    fn end_page(&mut self) -> io::Result<()> {
        let Some(first) = self.page.first() else {
            return Ok(());
        };
        let block = self.out.block(&self.page.take())?;
        self.pages.push((first, block));
        if self.pages.len() >= SUMMARY_PAGES {
            self.end_summary()?;
        }
        Ok(())
    }

    fn end_summary(&mut self) -> io::Result<()> {
        let Some((first, _)) = self.pages.first().copied() else {
            return Ok(());
        };
        let block = self.out.block(&page::summary(&self.pages))?;
        self.root.summaries.push((first, block));
        self.pages.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Root> {
        self.end_page()?;
        self.end_summary()?;
        Ok(self.root)
    }
}
