//! Looks terms up.

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
    let blocks = count_u32(view.index.directory.payload.blocks.len());
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
