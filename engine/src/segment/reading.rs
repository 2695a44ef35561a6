//! Reads rows of a section one after another.
//!
//! Owns the columns of one row group and the last few payload blocks, decoded. A question that decides
//! on documents reads thousands of rows of neighbouring blocks: looked up anew for each row, the columns
//! and the cache cost more than the decision.

use bytes::Bytes;

use super::GROUP_ROWS;
use super::bodies::Bodies;
use super::directory::Placement;
use super::lookup::CoreReader;
use super::view::{Column, View, required};
use super::wire::narrow;
use crate::source::{Core, Rows, SourceError};

/// Payload blocks at hand. Rows in the order of their start alternate between a few.
const BLOCKS_MAX: usize = 8;

/// Which payload block a row is in, and where there.
struct Places {
    group: u32,
    block: Column,
    slot: Column,
}

/// A reader of rows.
pub(super) struct Reading<'v> {
    view: &'v View<'v>,
    core: Option<(u32, CoreReader<'v>)>,
    places: Option<Places>,
    /// The last one first.
    blocks: Vec<(usize, Bodies)>,
}

impl<'v> Reading<'v> {
    pub(super) fn new(view: &'v View<'v>) -> Self {
        Self {
            view,
            core: None,
            places: None,
            blocks: Vec::new(),
        }
    }

    fn place(&mut self, row: u32) -> Result<(usize, usize), SourceError> {
        let view = self.view;
        let Placement::ByRow(columns) = &view.index.directory.payload.placement else {
            return view.place(row);
        };
        let group = row / GROUP_ROWS;
        let places = match &mut self.places {
            Some(places) if places.group == group => places,
            places => {
                let [block, slot] = &**columns;
                places.insert(Places {
                    group,
                    block: required(view, block, group)?,
                    slot: required(view, slot, group)?,
                })
            }
        };
        let block = places.block.one(view, row)?;
        Ok((narrow(block), narrow(places.slot.one(view, row)?)))
    }

    fn bodies(&mut self, block: usize) -> Result<&Bodies, SourceError> {
        if let Some(at) = self.blocks.iter().position(|(known, _)| *known == block) {
            self.blocks[..=at].rotate_right(1);
        } else {
            let bodies = self.view.payload(block)?;
            self.blocks.truncate(BLOCKS_MAX - 1);
            self.blocks.insert(0, (block, bodies));
        }
        let first = self.blocks.first();
        first
            .map(|(_, bodies)| bodies)
            .ok_or_else(|| self.view.no_row())
    }
}

impl Rows for Reading<'_> {
    fn core(&mut self, row: u32) -> Result<Core, SourceError> {
        let group = row / GROUP_ROWS;
        let reader = match &mut self.core {
            Some((known, reader)) if *known == group => reader,
            core => {
                let (_, reader) = core.insert((group, CoreReader::new(self.view, row)?));
                reader
            }
        };
        reader.core(row)
    }

    fn body(&mut self, row: u32) -> Result<Bytes, SourceError> {
        let view = self.view;
        if view.index.bodies.is_some() {
            return view.body(row);
        }
        let (block, slot) = self.place(row)?;
        let body = self.bodies(block)?.get(slot);
        body.map_err(|bad| view.bad_payload(block, bad))
    }

    fn block_of(&mut self, row: u32) -> Option<u32> {
        if self.view.index.bodies.is_some() {
            return None;
        }
        u32::try_from(self.place(row).ok()?.0).ok()
    }
}
