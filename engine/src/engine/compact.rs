//! Compaction: several segments become one, without the rows that are dead for good.
//!
//! A row that only a record above the watermark killed is kept and its mark moves with it, because
//! replay of that record must find the row (I-10). Queries before, during and after see the same
//! rows (I-6).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use obsrv_wal::io::{FileId, FileKind};
use obsrv_wal::log::LogError;
use roaring::RoaringBitmap;

use super::flush::{FlushError, Moved, Of, meta_of};
use super::pick::{Choice, pick};
use super::version::Places;
use super::{Engine, add, count};
use crate::manifest::{Edit, State};
use crate::memtable::{Marks, SectionId};
use crate::mutant::Bug;
use crate::segment::{SectionInput, Segment, SegmentOptions, Written, write};
use crate::source::SourceError;

/// Why a compaction did not happen. Its inputs are untouched.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// An input could not be read.
    #[error("input segment does not read")]
    Read(#[from] SourceError),
    /// The output could not be written or committed.
    #[error("output segment not committed")]
    Output(#[from] FlushError),
}

/// The inputs of one merge and the rows that were dead for good when it began.
struct Inputs {
    choice: Choice,
    segments: Vec<Arc<Segment>>,
    dead: Marks,
}

impl Engine {
    /// Does the next merge. False when none is due.
    pub fn compact_step(&self) -> Result<bool, CompactError> {
        let Some(inputs) = self.pick_inputs() else {
            return Ok(false);
        };
        let (sections, origins) = merge(&inputs)?;
        let number = self.new_number();
        let written = if sections.is_empty() {
            None
        } else {
            let options = SegmentOptions {
                compression: self.options.compact_level,
            };
            let done = write(&self.store, number, self.database, sections, &options)
                .map_err(FlushError::from)?;
            let opened =
                Segment::open(&self.store, number, self.database).map_err(FlushError::from)?;
            Some((done, opened))
        };
        let moved = written
            .as_ref()
            .map(|(w, _)| moved_rows(w, &origins))
            .unwrap_or_default();
        self.commit_compaction(&inputs, number, written, &moved)?;
        for segment in &inputs.segments {
            self.remove_file(FileId::new(FileKind::Segment, segment.id()));
        }
        count(&self.counters.compactions, 1);
        Ok(true)
    }

    fn pick_inputs(&self) -> Option<Inputs> {
        // A merge holds its inputs decoded, several times their size on disk.
        let bytes_max = self.options.memtable_bytes;
        let catalog = self.catalog.lock();
        let writer = self.writer.lock();
        let state = catalog.state();
        let choice = pick(state, self.options.merge_min, bytes_max)?;
        let chosen = |(number, _, _): &SectionId| choice.inputs.contains(number);
        let visible = writer.dead.iter().map(|(s, r)| (s, &**r));
        let visible = visible.filter(|_| writer.planted.has(Bug::LateKillsCompacted));
        let dead = state
            .dead
            .iter()
            .chain(visible)
            .filter(|(s, _)| chosen(s))
            .map(|(s, r)| (*s, r.clone()));
        let open = &writer.places.segments;
        let segments = choice
            .inputs
            .iter()
            .filter_map(|n| open.get(n).cloned())
            .collect();
        Some(Inputs {
            segments,
            dead: dead.collect(),
            choice,
        })
    }

    fn commit_compaction(
        &self,
        inputs: &Inputs,
        number: u64,
        written: Option<(Written, Arc<Segment>)>,
        moved: &BTreeMap<SectionId, Moved>,
    ) -> Result<(), FlushError> {
        let mut catalog = self.catalog.lock();
        let edit = Edit {
            add: written
                .iter()
                .map(|(w, s)| (s.id(), meta_of(w, inputs.choice.level)))
                .collect(),
            remove: inputs.choice.inputs.clone(),
            dead: died_meanwhile(catalog.state(), inputs, number, moved),
            watermark: 0,
            next_number: self.next_number.load(std::sync::atomic::Ordering::Acquire),
            controls: Vec::new(),
        };
        let durable = edit.dead.values().map(RoaringBitmap::len).sum();
        if let Err(error) = catalog.commit(&edit) {
            if matches!(error, LogError::NoSpace) {
                self.remove_file(FileId::new(FileKind::Segment, number));
            } else {
                self.fail("manifest", &error);
            }
            return Err(error.into());
        }
        let mut writer = self.writer.lock();
        let visible_dead = Arc::clone(&writer.dead);
        for (&from, dead) in visible_dead
            .iter()
            .filter(|(s, _)| inputs.choice.inputs.contains(&s.0))
        {
            let to = (number, from.1, from.2);
            if self.planted.has(Bug::LostRemap) {
                continue;
            }
            let rows = remapped(dead, moved.get(&from));
            add(&self.counters.marks_moved, rows.len());
            writer.mark_all(to, &rows);
        }
        add(&self.counters.marks_moved_durable, durable);
        Arc::make_mut(&mut writer.dead).retain(|s, _| !inputs.choice.inputs.contains(&s.0));
        for (from, rows) in moved {
            let to = (number, from.1, from.2);
            writer.remap_pending(*from, &|row| Some((to, rows.get(row)?)));
        }
        let mut segments = writer.places.segments.clone();
        segments.retain(|n, _| !inputs.choice.inputs.contains(n));
        segments.extend(written.map(|(_, segment)| (segment.id(), segment)));
        writer.places = Arc::new(Places::new(segments, writer.places.memtables.clone()));
        let version = writer.version();
        *self.version.write() = version;
        Ok(())
    }
}

/// Rows of the output whose marks became durable while the merge ran.
fn died_meanwhile(
    state: &State,
    inputs: &Inputs,
    number: u64,
    moved: &BTreeMap<SectionId, Moved>,
) -> Marks {
    let mut dead = Marks::new();
    for (from, rows) in &state.dead {
        let rows = remapped(rows, moved.get(from));
        if inputs.choice.inputs.contains(&from.0) && !rows.is_empty() {
            *dead.entry((number, from.1, from.2)).or_default() |= rows;
        }
    }
    dead
}

fn remapped(rows: &RoaringBitmap, moved: Option<&Moved>) -> RoaringBitmap {
    rows.iter().filter_map(|row| moved?.get(row)).collect()
}

type Origins = Vec<Vec<(SectionId, u32)>>;

/// The rows of the output, section by section, and where each came from.
fn merge(inputs: &Inputs) -> Result<(Vec<SectionInput>, Origins), SourceError> {
    let all: BTreeSet<Of> = inputs
        .segments
        .iter()
        .flat_map(|s| s.sections())
        .map(|s| (s.project, s.table))
        .collect();
    let mut sections = Vec::new();
    let mut origins = Vec::new();
    for (project, table) in all {
        let mut rows = Vec::new();
        let mut origin = Vec::new();
        for segment in &inputs.segments {
            let Some(section) = segment.section(project, table) else {
                continue;
            };
            let from = (segment.id(), project, table);
            let dead = inputs.dead.get(&from);
            section.scan_rows(&mut |row, input| {
                if !dead.is_some_and(|d| d.contains(row)) {
                    rows.push(input);
                    origin.push((from, row));
                }
                ControlFlow::Continue(())
            })?;
        }
        if !rows.is_empty() {
            sections.push(SectionInput {
                project,
                table,
                rows,
            });
            origins.push(origin);
        }
    }
    Ok((sections, origins))
}

fn moved_rows(written: &Written, origins: &Origins) -> BTreeMap<SectionId, Moved> {
    let mut moved: BTreeMap<SectionId, Moved> = BTreeMap::new();
    for (origin, order) in origins.iter().zip(&written.order) {
        for (&(from, row), &to) in origin.iter().zip(order) {
            moved.entry(from).or_default().insert(row, to);
        }
    }
    moved
}
