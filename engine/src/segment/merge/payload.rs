//! Bodies of several sections in one: whole blocks as they stand, the rest written anew.

use super::order::Order;
use crate::columns::LEFT_OUT;
use crate::segment::block::{BlockRef, BlockWriter};
use crate::segment::table::{self, Table};
use crate::segment::view::View;
use crate::segment::wire::{Cursor, count_u32, narrow};
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
    /// Row in the file, and its range of `bytes`.
    rows: Vec<(u32, std::ops::Range<usize>)>,
}

/// The blocks that were written, and for each row of the file its block and its place there.
pub(super) struct Placed {
    pub(super) blocks: Vec<BlockRef>,
    pub(super) places: Vec<(u32, u32)>,
}

/// Writes the payload.
pub(super) fn put(
    out: &mut BlockWriter,
    views: &[View<'_>],
    order: &Order<'_>,
) -> Result<Placed, WriteError> {
    let mut placed = Placed {
        blocks: Vec::new(),
        places: vec![NOWHERE; order.rows.len()],
    };
    let mut loose = Loose {
        bytes: Vec::new(),
        rows: Vec::new(),
    };
    for (view, places) in views.iter().zip(&order.places) {
        match &view.index.bodies {
            Some(bodies) => {
                for (body, place) in bodies.iter().zip(places) {
                    loose.add(out, &mut placed, *place, body)?;
                }
            }
            None => put_blocks(out, view, places, &mut placed, &mut loose)?,
        }
    }
    loose.write(out, &mut placed)?;
    match views.first() {
        Some(view) if placed.places.contains(&NOWHERE) => Err(view.no_row().into()),
        _ => Ok(placed),
    }
}

fn put_blocks(
    out: &mut BlockWriter,
    view: &View<'_>,
    places: &[u32],
    placed: &mut Placed,
    loose: &mut Loose,
) -> Result<(), WriteError> {
    let blocks = &view.index.directory.payload.blocks;
    for (block, slots) in blocks.iter().zip(slots(view, places)?) {
        let lives = slots.iter().all(|place| *place != LEFT_OUT);
        if lives && block.raw >= COPIED_BLOCK_BYTES_MIN {
            let number = count_u32(placed.blocks.len());
            for (slot, place) in (0..).zip(slots) {
                *placed.at(view, place)? = (number, slot);
            }
            let stored = view.section.file.read_stored(block)?;
            let copied = out.copy(block, &stored);
            placed
                .blocks
                .push(copied.map_err(|e| out.place().failed(e))?);
        } else if slots.iter().any(|place| *place != LEFT_OUT) {
            let bad = |bad| view.section.bad(block.offset, bad);
            let bytes = view.section.file.read(block)?;
            let table = Table::read(&mut Cursor(bytes)).map_err(bad)?;
            for (slot, place) in slots.into_iter().enumerate() {
                if place != LEFT_OUT {
                    loose.add(out, placed, place, table.get(slot).map_err(bad)?)?;
                }
            }
        }
    }
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
        out: &mut BlockWriter,
        placed: &mut Placed,
        place: u32,
        body: &[u8],
    ) -> Result<(), WriteError> {
        if place == LEFT_OUT {
            return Ok(());
        }
        if !self.rows.is_empty() && self.bytes.len() + body.len() > LOOSE_BYTES_MAX {
            self.write(out, placed)?;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(body);
        self.rows.push((place, start..self.bytes.len()));
        Ok(())
    }

    /// Writes what waits, in the order of the file.
    fn write(&mut self, out: &mut BlockWriter, placed: &mut Placed) -> Result<(), WriteError> {
        self.rows.sort_unstable_by_key(|(place, _)| *place);
        let (mut from, mut held) = (0, 0);
        for at in 0..=self.rows.len() {
            let next = self.rows.get(at).map(|(_, range)| range.len());
            if at > from && next.is_none_or(|next| held + next > PAYLOAD_BLOCK_BYTES) {
                self.cut(from..at, out, placed)?;
                (from, held) = (at, 0);
            }
            held += next.unwrap_or(0);
        }
        self.rows.clear();
        self.bytes.clear();
        Ok(())
    }

    fn cut(
        &self,
        rows: std::ops::Range<usize>,
        out: &mut BlockWriter,
        placed: &mut Placed,
    ) -> Result<(), WriteError> {
        let rows = self.rows.get(rows).unwrap_or_default();
        let mut raw = Vec::new();
        let bodies = rows.iter().map(|(_, range)| &self.bytes[range.clone()]);
        table::put(&mut raw, bodies);
        check_size(raw.len())?;
        let number = count_u32(placed.blocks.len());
        for (slot, (place, _)) in (0..).zip(rows) {
            if let Some(at) = placed.places.get_mut(narrow(u64::from(*place))) {
                *at = (number, slot);
            }
        }
        placed
            .blocks
            .push(out.cold_block(&raw).map_err(|e| out.place().failed(e))?);
        Ok(())
    }
}
