//! Looks terms up, and reads indexes front to back.

use bytes::Bytes;

use super::page::{PageReader, read_summary};
use super::{Posting, Root};
use crate::segment::block::BlockRef;
use crate::segment::view::View;
use crate::segment::wire::{Bad, count_u32};
use crate::source::SourceError;

/// The blocks that have the term, ascending; `None` if the section has no index that can tell.
/// Blocks that are not indexed are not among them: see [`Root::open`].
pub(in crate::segment) fn lookup(
    view: &View<'_>,
    root: &Root,
    term: u64,
) -> Result<Vec<Posting>, SourceError> {
    let mut postings = Vec::new();
    let Some(summary) = last_from(&root.summaries, term) else {
        return Ok(postings);
    };
    let pages = read(view, &summary, read_summary)?;
    let Some(page) = last_from(&pages, term) else {
        return Ok(postings);
    };
    let blocks = count_u32(view.index.directory.payload.len());
    read(view, &page, |bytes| {
        PageReader::new(bytes)?.find(term, blocks, &mut postings)
    })?;
    Ok(postings)
}

/// The last of these that begins at or before the term.
fn last_from(firsts: &[(u64, BlockRef)], term: u64) -> Option<BlockRef> {
    let at = firsts.partition_point(|(first, _)| *first <= term);
    Some(firsts.get(at.checked_sub(1)?)?.1)
}

fn read<T>(
    view: &View<'_>,
    block: &BlockRef,
    read: impl FnOnce(Bytes) -> Result<T, Bad>,
) -> Result<T, SourceError> {
    let bytes = view.index_block(block)?;
    read(bytes).map_err(|bad| view.section.bad(block.offset, bad))
}

/// Every block of the index, past the caches.
pub(in crate::segment) fn blocks_of(
    root: &Root,
    read: &dyn Fn(&BlockRef) -> Result<Bytes, SourceError>,
    bad: &dyn Fn(u64, Bad) -> SourceError,
) -> Result<Vec<BlockRef>, SourceError> {
    let mut blocks = Vec::new();
    for (first, block) in &root.summaries {
        let pages = read_summary(read(block)?).map_err(|e| bad(block.offset, e))?;
        if pages.first().map(|page| page.0) != Some(*first) {
            return Err(bad(block.offset, Bad("first term")));
        }
        blocks.push(*block);
        blocks.extend(pages.iter().map(|page| page.1));
    }
    Ok(blocks)
}

/// An index front to back, one page in memory.
pub(in crate::segment) struct Stream<'a> {
    view: &'a View<'a>,
    summaries: std::slice::Iter<'a, (u64, BlockRef)>,
    pages: std::vec::IntoIter<(u64, BlockRef)>,
    page: Option<(u64, PageReader)>,
    blocks: u32,
}

impl<'a> Stream<'a> {
    pub(in crate::segment) fn new(view: &'a View<'a>, root: &'a Root) -> Self {
        Self {
            view,
            summaries: root.summaries.iter(),
            pages: Vec::new().into_iter(),
            page: None,
            blocks: count_u32(view.index.directory.payload.len()),
        }
    }

    /// The next term and its postings, into `postings`.
    pub(in crate::segment) fn next(
        &mut self,
        postings: &mut Vec<Posting>,
    ) -> Result<Option<u64>, SourceError> {
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
