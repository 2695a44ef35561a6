//! Bodies of several sections in one: whole blocks as they stand, the rest written anew.

use std::ops::Range;

use super::order::Order;
use crate::body;
use crate::columns::LEFT_OUT;
use crate::segment::block::{BlockRef, BlockWriter};
use crate::segment::bodies::{self, BlockBodies, Bodies};
use crate::segment::steps::Steps;
use crate::segment::terms::TermsMerge;
use crate::segment::view::View;
use crate::segment::wire::{Bad, count_u32, narrow};
use crate::segment::write::check_size;
use crate::segment::{PAYLOAD_BLOCK_BYTES, WriteError};
use crate::source::SourceError;
use crate::text::RULE;

/// A block with fewer bytes is written anew together with others: what small sections left behind
/// would stay small for ever. So is one that no index has, or every question would find it for ever.
const COPIED_BLOCK_BYTES_MIN: u32 = 64 << 10;
/// Bodies that wait to be written anew, and are put in the order of the rows.
const LOOSE_BYTES_MAX: usize = 16 * PAYLOAD_BLOCK_BYTES;
/// Number of no block.
const NOWHERE: (u32, u32) = (u32::MAX, u32::MAX);

/// Bodies on their way into new blocks.
#[derive(Default)]
struct Loose {
    bytes: Vec<u8>,
    rows: Vec<LooseRow>,
    /// The block at hand, and of each row in it the input and the row in the file.
    block: BlockBodies,
    held: Vec<(usize, u32)>,
    /// The block that was cut last; the room is used again.
    raw: Vec<u8>,
}

struct LooseRow {
    /// Row in the file.
    place: u32,
    /// Its body, in the bytes.
    range: Range<usize>,
    input: usize,
}

/// What is written to.
struct Out<'o, 'a> {
    blocks: &'o mut BlockWriter,
    views: &'a [View<'a>],
    terms: TermsMerge<'a>,
    placed: Placed,
    steps: &'o dyn Steps,
}

/// The blocks that were written, and for each row of the file its block and its place there.
pub(super) struct Placed {
    pub(super) blocks: Vec<BlockRef>,
    pub(super) places: Vec<(u32, u32)>,
}

/// Writes the payload, and gives what its term index is made of.
pub(super) fn put<'a>(
    out: &mut BlockWriter,
    views: &'a [View<'a>],
    order: &Order<'_>,
    steps: &dyn Steps,
) -> Result<(Placed, TermsMerge<'a>), WriteError> {
    let placed = Placed {
        blocks: Vec::new(),
        places: vec![NOWHERE; order.rows.len()],
    };
    let mut out = Out {
        blocks: out,
        views,
        terms: TermsMerge::new(),
        placed,
        steps,
    };
    let mut loose = Loose::default();
    for (input, (view, places)) in views.iter().zip(&order.places).enumerate() {
        if let Some(bodies) = &view.index.bodies {
            for (body, place) in bodies.iter().zip(places) {
                loose.add(&mut out, (input, *place), body)?;
            }
        } else {
            put_blocks(&mut out, (input, view), places, &mut loose)?;
        }
    }
    loose.write(&mut out)?;
    loose.cut(&mut out)?;
    match views.first() {
        Some(view) if out.placed.places.contains(&NOWHERE) => Err(view.no_row().into()),
        _ => Ok((out.placed, out.terms)),
    }
}

fn put_blocks<'a>(
    out: &mut Out<'_, 'a>,
    (input, view): (usize, &'a View<'a>),
    places: &[u32],
    loose: &mut Loose,
) -> Result<(), WriteError> {
    let blocks = &view.index.directory.payload.blocks;
    let terms = view.index.directory.terms.as_ref();
    let is_indexed = terms.is_some_and(|root| root.rule == RULE);
    let mut copied = Vec::with_capacity(blocks.len());
    for (block, slots) in blocks.iter().zip(slots(view, places)?) {
        let lives = slots.iter().all(|place| *place != LEFT_OUT);
        if lives && is_indexed && block.raw >= COPIED_BLOCK_BYTES_MIN {
            let number = count_u32(out.placed.blocks.len());
            for (slot, place) in (0..).zip(slots) {
                *out.placed.at(view, place)? = (number, slot);
            }
            let stored = view.section.file.read_stored(block)?;
            let block = out.blocks.copy(block, &stored);
            out.placed
                .blocks
                .push(block.map_err(|e| out.blocks.place().failed(e))?);
            copied.push(Some(number));
            out.steps.next()?;
            continue;
        }
        copied.push(None);
        if slots.iter().all(|place| *place == LEFT_OUT) {
            continue;
        }
        let bad = |bad| view.section.bad(block.offset, bad);
        let bytes = view.section.file.read(block)?;
        let bodies = Bodies::read(bytes).map_err(bad)?;
        for (slot, place) in slots.into_iter().enumerate() {
            if place != LEFT_OUT {
                loose.add(out, (input, place), &bodies.get(slot).map_err(bad)?)?;
            }
        }
    }
    out.terms.copied(view, copied);
    Ok(())
}

/// Per block, where the row in each place of it goes.
fn slots(view: &View<'_>, places: &[u32]) -> Result<Vec<Vec<u32>>, SourceError> {
    let mut slots = vec![Vec::new(); view.index.directory.payload.blocks.len()];
    let at = view.places()?;
    if at.len() != places.len() {
        return Err(view.no_row());
    }
    // Rows of one block ascend with their places where a flush wrote them, not after a merge.
    for ((block, slot), place) in at.into_iter().zip(places) {
        let of_block: &mut Vec<u32> = slots
            .get_mut(narrow(u64::from(block)))
            .ok_or_else(|| view.no_row())?;
        let slot = narrow(u64::from(slot));
        if slot >= of_block.len() {
            if slot > places.len() {
                return Err(view.no_row());
            }
            of_block.resize(slot + 1, LEFT_OUT);
        }
        of_block[slot] = *place;
    }
    Ok(slots)
}

impl Placed {
    fn at(&mut self, view: &View<'_>, place: u32) -> Result<&mut (u32, u32), SourceError> {
        let at = self.places.get_mut(narrow(u64::from(place)));
        at.ok_or_else(|| view.no_row())
    }
}

impl Loose {
    fn add(
        &mut self,
        out: &mut Out<'_, '_>,
        (input, place): (usize, u32),
        body: &[u8],
    ) -> Result<(), WriteError> {
        if place == LEFT_OUT {
            return Ok(());
        }
        if !self.rows.is_empty() && self.bytes.len() + body.len() > LOOSE_BYTES_MAX {
            self.write(out)?;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(body);
        self.rows.push(LooseRow {
            place,
            range: start..self.bytes.len(),
            input,
        });
        Ok(())
    }

    /// Takes what waits into blocks, in the order of the file.
    fn write(&mut self, out: &mut Out<'_, '_>) -> Result<(), WriteError> {
        let (mut rows, mut bytes) = (
            std::mem::take(&mut self.rows),
            std::mem::take(&mut self.bytes),
        );
        rows.sort_unstable_by_key(|row| row.place);
        for row in rows {
            let body = bytes.get(row.range).unwrap_or_default();
            let pieces = bodies::cut(body);
            let added = self.block.added(body.len(), &pieces);
            if self.block.is_full(added, body.len()) {
                self.cut(out)?;
            }
            let document = body::view_bytes(body);
            let added = document.and_then(|document| out.terms.fresh().add_row(document));
            added.map_err(|_| out.bad_body(row.input))?;
            self.block.push(&pieces, |raw| raw.extend_from_slice(body));
            self.held.push((row.input, row.place));
        }
        bytes.clear();
        self.bytes = bytes;
        Ok(())
    }

    /// Writes the block at hand.
    fn cut(&mut self, out: &mut Out<'_, '_>) -> Result<(), WriteError> {
        if self.held.is_empty() {
            return Ok(());
        }
        let number = count_u32(out.placed.blocks.len());
        for (slot, (input, place)) in (0..).zip(self.held.drain(..)) {
            if let Some(view) = out.views.get(input) {
                *out.placed.at(view, place)? = (number, slot);
            }
        }
        self.block.take(&mut self.raw);
        check_size(self.raw.len())?;
        out.terms.fresh().end_block(number);
        let block = out.blocks.cold_block(&self.raw);
        out.placed
            .blocks
            .push(block.map_err(|e| out.blocks.place().failed(e))?);
        Ok(out.steps.next()?)
    }
}

impl Out<'_, '_> {
    fn bad_body(&self, input: usize) -> SourceError {
        let section = self.views[input].section;
        section.bad(section.entry.block.offset, Bad("body"))
    }
}
