//! Merges term indexes of sections whose payload blocks were copied: words are renumbered, not
//! tokenised again. Memory: a page per input, the postings of one term, and the builder of what
//! was written anew.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use super::build::Sorted;
use super::page::{PageReader, read_summary};
use super::{Builder, Posting, Root, TERM_BLOCKS_MIN, Writer};
use crate::segment::WriteError;
use crate::segment::block::{BlockRef, BlockWriter, Place};
use crate::segment::steps::{Steps, Stopped};
use crate::segment::view::View;
use crate::segment::wire::{count_u32, narrow};
use crate::source::SourceError;
use crate::text::RULE;

/// Why indexes were not merged.
#[derive(Debug, thiserror::Error)]
pub(in crate::segment) enum MergeError {
    /// An input does not read.
    #[error("term index of an input does not read")]
    Read(#[from] SourceError),
    /// The output cannot be written.
    #[error("term index not written")]
    Write(#[from] io::Error),
    /// The merge is given up.
    #[error("stopped between two steps")]
    Stopped,
}

impl From<Stopped> for MergeError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// Terms that are one step.
const TERMS_PER_STEP: usize = 1_024;

impl MergeError {
    /// As the writer of this file says it.
    pub(in crate::segment) fn at(self, place: &Place) -> WriteError {
        match self {
            Self::Read(error) => error.into(),
            Self::Write(error) => place.failed(error),
            Self::Stopped => WriteError::Stopped,
        }
    }
}

/// The new number of each payload block of an input; `None`: it was not copied.
pub(in crate::segment) type BlockMap = Vec<Option<u32>>;

/// Gathers what the index of a merged section is made of.
///
/// Every payload block of the output is named once: by the map of the input that it was copied
/// from, or by [`Builder::end_block`] of [`TermsMerge::fresh`].
pub(in crate::segment) struct TermsMerge<'a> {
    inputs: Vec<(Stream<'a>, BlockMap)>,
    fresh: Builder,
    copied: usize,
}

impl<'a> TermsMerge<'a> {
    pub(in crate::segment) fn new() -> Self {
        Self {
            inputs: Vec::new(),
            fresh: Builder::default(),
            copied: 0,
        }
    }

    /// Adds the copied blocks of an input. One without an index (or by another rule) is allowed:
    /// its copied blocks are found by every question, so a caller who wants them indexed writes
    /// them anew.
    pub(in crate::segment) fn copied(&mut self, view: &'a View<'a>, map: BlockMap) {
        self.copied += map.iter().flatten().count();
        let new = |old: &u32| map.get(narrow(u64::from(*old))).copied().flatten();
        match &view.index.directory.terms {
            Some(root) if root.rule == RULE => {
                self.fresh.open.extend(root.open.iter().filter_map(new));
                self.inputs.push((Stream::new(view, root), map));
            }
            _ => self.fresh.open.extend(map.iter().flatten()),
        }
    }

    /// Takes the blocks that were written anew.
    pub(in crate::segment) fn fresh(&mut self) -> &mut Builder {
        &mut self.fresh
    }

    /// Writes the merged index; `None` if the section has too few blocks for one.
    pub(in crate::segment) fn finish(
        self,
        out: &mut BlockWriter,
        steps: &dyn Steps,
    ) -> Result<Option<Root>, MergeError> {
        let Self {
            inputs,
            fresh,
            copied,
        } = self;
        if copied + fresh.blocks < TERM_BLOCKS_MIN {
            return Ok(None);
        }
        let mut fresh = fresh.into_sorted();
        let open = std::mem::take(&mut fresh.open);
        let mut writer = Writer::new(out, open);
        let mut heads = Heads::new(fresh, inputs)?;
        let mut postings = Vec::new();
        let mut terms = 0usize;
        while let Some(term) = heads.next(&mut postings)? {
            postings.sort_unstable();
            writer.put(term, &postings)?;
            terms += 1;
            if terms.is_multiple_of(TERMS_PER_STEP) {
                steps.next()?;
            }
        }
        Ok(Some(writer.finish()?))
    }
}

/// An index front to back, one page in memory.
struct Stream<'a> {
    view: &'a View<'a>,
    summaries: std::slice::Iter<'a, (u64, BlockRef)>,
    pages: std::vec::IntoIter<(u64, BlockRef)>,
    page: Option<(u64, PageReader)>,
    blocks: u32,
}

impl<'a> Stream<'a> {
    fn new(view: &'a View<'a>, root: &'a Root) -> Self {
        Self {
            view,
            summaries: root.summaries.iter(),
            pages: Vec::new().into_iter(),
            page: None,
            blocks: count_u32(view.index.directory.payload.blocks.len()),
        }
    }

    /// The next term and its postings, into `postings`.
    fn next(&mut self, postings: &mut Vec<Posting>) -> Result<Option<u64>, SourceError> {
        let section = self.view.section;
        loop {
            if let Some((offset, page)) = &mut self.page {
                let next = page.next(self.blocks, postings);
                if let Some(term) = next.map_err(|bad| section.bad(*offset, bad))? {
                    return Ok(Some(term));
                }
                self.page = None;
            }
            if let Some((_, block)) = self.pages.next() {
                let page = PageReader::new(section.file.read(&block)?);
                let page = page.map_err(|bad| section.bad(block.offset, bad))?;
                self.page = Some((block.offset, page));
            } else if let Some((_, block)) = self.summaries.next() {
                let pages = read_summary(section.file.read(block)?);
                let pages = pages.map_err(|bad| section.bad(block.offset, bad))?;
                self.pages = pages.into_iter();
            } else {
                return Ok(None);
            }
        }
    }
}

/// Streams by their next term.
struct Heads<'a> {
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    fresh: Sorted,
    fresh_postings: Vec<Posting>,
    inputs: Vec<(Stream<'a>, BlockMap, Vec<Posting>)>,
}

/// The number of the fresh blocks among the streams.
const FRESH: usize = usize::MAX;

impl<'a> Heads<'a> {
    fn new(fresh: Sorted, inputs: Vec<(Stream<'a>, BlockMap)>) -> Result<Self, SourceError> {
        let inputs: Vec<_> = inputs
            .into_iter()
            .map(|(stream, map)| (stream, map, Vec::new()))
            .collect();
        let mut heads = Self {
            queue: BinaryHeap::new(),
            fresh,
            fresh_postings: Vec::new(),
            inputs,
        };
        for at in (0..heads.inputs.len()).chain([FRESH]) {
            if let Some(term) = heads.advance(at)? {
                heads.queue.push(Reverse((term, at)));
            }
        }
        Ok(heads)
    }

    /// The next term of a stream that has any posting in the output.
    fn advance(&mut self, at: usize) -> Result<Option<u64>, SourceError> {
        let Some((stream, map, held)) = self.inputs.get_mut(at) else {
            return Ok(self.fresh.next(&mut self.fresh_postings));
        };
        while let Some(term) = stream.next(held)? {
            held.retain_mut(|(block, _)| {
                let new = map.get(narrow(u64::from(*block))).copied().flatten();
                *block = new.unwrap_or(*block);
                new.is_some()
            });
            if !held.is_empty() {
                return Ok(Some(term));
            }
        }
        Ok(None)
    }

    /// The smallest term and its postings from all streams, in any order.
    fn next(&mut self, postings: &mut Vec<Posting>) -> Result<Option<u64>, SourceError> {
        postings.clear();
        let Some(Reverse((term, _))) = self.queue.peek().copied() else {
            return Ok(None);
        };
        while let Some(Reverse((_, at))) = self.queue.peek().copied().filter(|r| r.0.0 == term) {
            match self.inputs.get(at) {
                Some((_, _, held)) => postings.extend_from_slice(held),
                None => postings.extend_from_slice(&self.fresh_postings),
            }
            let next = self.advance(at)?;
            // In the place of what was there: one way down instead of one up and one down.
            if let (Some(mut first), Some(next)) = (self.queue.peek_mut(), next) {
                *first = Reverse((next, at));
            } else {
                self.queue.pop();
            }
        }
        Ok(Some(term))
    }
}
