//! Rows of damaged segments that read, into new segments.

use obsrv_wal::io::{FileId, FileKind};
use roaring::RoaringBitmap;

use super::{RepairError, Work};
use crate::engine::chain;
use crate::engine::flush::{meta_of, moved_rows};
use crate::manifest::{Edit, FILE_BYTES, Manifest, SegmentMeta, State};
use crate::memtable::{Marks, SectionId};
use crate::mutant::Planted;
use crate::segment::{RowInput, SectionInput, Segment, SegmentError, SegmentOptions, write};

/// Bodies of a segment of salvaged rows, about: what a repair holds in memory.
const SALVAGE_BYTES: usize = 64 << 20;

/// What becomes of the segments that were salvaged.
struct Salvage<'a> {
    state: &'a State,
    edit: Edit,
    /// The next segment's number.
    number: u64,
    level: u8,
    sections: Vec<SectionInput>,
    /// Of each section, where its rows were.
    origins: Vec<(SectionId, Vec<u32>)>,
    bytes: usize,
}

impl Work<'_> {
    /// Replaces live segments of which something does not read.
    pub(super) fn segments(&mut self, state: &State) -> Result<(), RepairError> {
        let used = self.files.iter().map(|file| file.number);
        let above = used.max().unwrap_or(0).saturating_add(1);
        let number = state.next_number.max(above);
        let mut salvage = Salvage {
            state,
            edit: Edit {
                add: Vec::new(),
                remove: Vec::new(),
                dead: Marks::new(),
                watermark: 0,
                next_number: number,
                controls: Vec::new(),
                logged: 0,
            },
            number,
            level: 0,
            sections: Vec::new(),
            origins: Vec::new(),
            bytes: 0,
        };
        for (number, meta) in &state.segments {
            let opened = Segment::open(&self.store, *number, self.database);
            let checked = opened.map(|segment| {
                let found = segment.verify().err();
                (segment, found)
            });
            let segment = match checked {
                Ok((_, None)) => continue,
                Ok((segment, Some(error))) => {
                    self.report.found.push(chain(&error));
                    Some(segment)
                }
                Err(error @ SegmentError::Version { .. }) => {
                    self.report.found.push(chain(&error));
                    self.report.left.push(format!(
                        "segment-{number:016x} is of another version of obsrv"
                    ));
                    continue;
                }
                Err(error) => {
                    self.report.found.push(chain(&error));
                    None
                }
            };
            salvage.level = meta.level;
            salvage.edit.remove.push(*number);
            match segment {
                Some(segment) => self.salvage(&segment, &mut salvage)?,
                None => self.give_up(*number, meta),
            }
        }
        self.commit(salvage)
    }

    /// Nothing of a segment can be read whose list of sections does not.
    fn give_up(&mut self, number: u64, meta: &SegmentMeta) {
        for section in &meta.sections {
            self.report.lost.push(format!(
                "segment-{number:016x}: project {} {:?}, all {} rows",
                section.project.0, section.table, section.rows
            ));
        }
        let done = format!("segment-{number:016x} put aside, nothing of it reads");
        self.report.done.push(done);
    }

    fn salvage(&mut self, segment: &Segment, to: &mut Salvage<'_>) -> Result<(), RepairError> {
        let mut kept = 0;
        for summary in segment.sections() {
            let Some(section) = segment.section(summary.project, summary.table) else {
                continue;
            };
            let id = (segment.id(), summary.project, summary.table);
            let blocks = segment.bad_blocks();
            let lost = blocks
                .iter()
                .filter_map(|at| Some((at, section.lost_with(*at)?)));
            let lost: Vec<_> = lost.collect();
            let mut gone = RoaringBitmap::new();
            for (at, lost) in &lost {
                gone |= &lost.rows;
                if lost.rows.is_empty() {
                    let file = FileId::new(FileKind::Segment, segment.id());
                    let done = format!("{file}: {} made again offset={at}", lost.part);
                    self.report.done.push(done);
                }
            }
            for row in 0..summary.rows {
                if gone.contains(row) {
                    continue;
                }
                // Whatever the reason is: the row cannot be had.
                if let Ok(input) = section.row(row) {
                    kept += 1;
                    self.take(to, id, row, input)?;
                } else {
                    gone.insert(row);
                }
            }
            self.end_section(
                id,
                summary.rows,
                &gone,
                lost.iter().map(|(_, l)| &*l.part),
                to,
            );
        }
        self.flush(to)?;
        self.report.done.push(format!(
            "segment-{:016x} put aside, its {kept} readable rows written anew",
            segment.id()
        ));
        Ok(())
    }

    /// Says which rows of a section are lost.
    fn end_section<'l>(
        &mut self,
        id: SectionId,
        rows: u32,
        gone: &RoaringBitmap,
        parts: impl Iterator<Item = &'l str>,
        to: &Salvage<'_>,
    ) {
        if gone.is_empty() {
            return;
        }
        let dead = to.state.dead.get(&id).cloned().unwrap_or_default();
        let parts: Vec<&str> = parts.collect();
        self.report.lost.push(format!(
            "segment-{:016x}: project {} {:?}, {} of {rows} rows, {} of them live ({})",
            id.0,
            id.1.0,
            id.2,
            gone.len(),
            (gone - dead).len(),
            parts.join("; ")
        ));
    }

    fn take(
        &mut self,
        to: &mut Salvage<'_>,
        id: SectionId,
        row: u32,
        input: RowInput,
    ) -> Result<(), RepairError> {
        if self.aside.is_none() {
            return Ok(());
        }
        to.bytes += input.content.body_len();
        if to.origins.last().map(|(of, _)| *of) != Some(id) {
            to.origins.push((id, Vec::new()));
            to.sections.push(SectionInput {
                project: id.1,
                table: id.2,
                rows: Vec::new(),
            });
        }
        if let (Some(section), Some((_, rows))) = (to.sections.last_mut(), to.origins.last_mut()) {
            section.rows.push(input);
            rows.push(row);
        }
        if to.bytes >= SALVAGE_BYTES {
            self.flush(to)?;
        }
        Ok(())
    }

    /// Writes the rows that were taken as a segment.
    fn flush(&mut self, to: &mut Salvage<'_>) -> Result<(), RepairError> {
        to.bytes = 0;
        let sections = std::mem::take(&mut to.sections);
        let origins = std::mem::take(&mut to.origins);
        if sections.is_empty() {
            return Ok(());
        }
        let number = to.number;
        to.number += 1;
        let options = SegmentOptions::default();
        let written = write(&self.store, number, self.database, sections, &options)?;
        for (from, rows) in moved_rows(&written, &origins) {
            let Some(dead) = to.state.dead.get(&from) else {
                continue;
            };
            let dead: RoaringBitmap = dead.iter().filter_map(|row| rows.get(row)).collect();
            if !dead.is_empty() {
                to.edit.dead.insert((number, from.1, from.2), dead);
            }
        }
        to.edit.add.push((number, meta_of(&written, to.level)));
        Ok(())
    }

    fn commit(&mut self, mut salvage: Salvage<'_>) -> Result<(), RepairError> {
        if self.aside.is_none() || salvage.edit.remove.is_empty() {
            return Ok(());
        }
        for number in &salvage.edit.remove {
            self.keep(FileId::new(FileKind::Segment, *number))?;
        }
        let manifests = self.files.iter().filter(|f| f.kind == FileKind::Manifest);
        manifests.copied().try_for_each(|file| self.keep(file))?;
        salvage.edit.next_number = salvage.number;
        let bug = Planted::default();
        let above = salvage.number;
        let mut manifest = Manifest::open(self.disk, self.database, above, FILE_BYTES, bug)?;
        manifest.commit(&salvage.edit)?;
        for number in &salvage.edit.remove {
            self.remove(FileId::new(FileKind::Segment, *number))?;
        }
        Ok(())
    }
}
