//! Bodies of several sections in one: whole blocks as they stand, the rest written anew.

use std::ops::Range;

use super::order::Order;
use crate::body;
use crate::columns::LEFT_OUT;
use crate::segment::block::{BlockRef, BlockWriter};
use crate::segment::table::{self, Table};
use crate::segment::terms::TermsMerge;
use crate::segment::view::View;
use crate::segment::wire::{Bad, Cursor, count_u32, narrow};
use crate::segment::write::check_size;
use crate::segment::{PAYLOAD_BLOCK_BYTES, WriteError};
use crate::source::SourceError;

/// A block with fewer bytes is written anew together with others: what small sections left behind
/// would stay small for ever.
const COPIED_BLOCK_BYTES_MIN: u32 = 64 << 10;
/// Bodies that wait to be written anew. Blocks are cut from so many, in the order of the rows.
const LOOSE_BYTES_MAX: usize = 16 * PAYLOAD_BLOCK_BYTES;
/// Number of no block.
const NOWHERE: (u32, u32) = (u32::MAX, u32::MAX);

/// Bodies on their way into new blocks.
struct Loose {
    bytes: Vec<u8>,
    rows: Vec<LooseRow>,
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
    };
    let mut loose = Loose {
        bytes: Vec::new(),
        rows: Vec::new(),
    };
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
    let mut copied = Vec::with_capacity(blocks.len());
    for (block, slots) in blocks.iter().zip(slots(view, places)?) {
        let lives = slots.iter().all(|place| *place != LEFT_OUT);
        if lives && block.raw >= COPIED_BLOCK_BYTES_MIN {
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
            continue;
        }
        copied.push(None);
        if slots.iter().all(|place| *place == LEFT_OUT) {
            continue;
        }
        let bad = |bad| view.section.bad(block.offset, bad);
        let bytes = view.section.file.read(block)?;
        let table = Table::read(&mut Cursor(bytes)).map_err(bad)?;
        for (slot, place) in slots.into_iter().enumerate() {
            if place != LEFT_OUT {
                loose.add(out, (input, place), table.get(slot).map_err(bad)?)?;
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

    /// Writes what waits, in the order of the file.
    fn write(&mut self, out: &mut Out<'_, '_>) -> Result<(), WriteError> {
        self.rows.sort_unstable_by_key(|row| row.place);
        let (mut from, mut held) = (0, 0);
        for at in 0..=self.rows.len() {
            let next = self.rows.get(at).map(|row| row.range.len());
            if at > from && next.is_none_or(|next| held + next > PAYLOAD_BLOCK_BYTES) {
                self.cut(from..at, out)?;
                (from, held) = (at, 0);
            }
            held += next.unwrap_or(0);
        }
        self.rows.clear();
        self.bytes.clear();
        Ok(())
    }

    fn cut(&self, rows: Range<usize>, out: &mut Out<'_, '_>) -> Result<(), WriteError> {
        let rows = self.rows.get(rows).unwrap_or_default();
        let body = |row: &LooseRow| &self.bytes[row.range.clone()];
        let mut raw = Vec::new();
        table::put(&mut raw, rows.iter().map(body));
        check_size(raw.len())?;
        let number = count_u32(out.placed.blocks.len());
        for (slot, row) in (0..).zip(rows) {
            let view = &out.views[row.input];
            let added = body::view_bytes(body(row));
            let added = added.and_then(|document| out.terms.fresh().add_row(document));
            added.map_err(|_| {
                view.section
                    .bad(view.section.entry.block.offset, Bad("body"))
            })?;
            *out.placed.at(view, row.place)? = (number, slot);
        }
        out.terms.fresh().end_block(number);
        let block = out.blocks.cold_block(&raw);
        out.placed
            .blocks
            .push(block.map_err(|e| out.blocks.place().failed(e))?);
        Ok(())
    }
}
