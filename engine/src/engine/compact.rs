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
use super::pace::{NoPauses, Pace, Pacing};
use super::pick::{Choice, pick};
use super::version::Places;
use super::{Engine, add, count};
use crate::manifest::{Edit, State};
use crate::memtable::{Marks, SectionId};
use crate::mutant::Bug;
use crate::segment::{
    MergeInput, MergeSection, SectionInput, Segment, SegmentOptions, Steps, Work, WriteError,
    Written, write_in_steps,
};
use crate::source::SourceError;

/// What a merge holds of each row, about: its place in the order, its ids, one column.
const MERGE_ROW_BYTES: u64 = 96;

/// A merge may have so many rows, however small the memory.
const MERGE_ROWS_MIN: u64 = 4_096;

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

impl CompactError {
    const fn is_stop(&self) -> bool {
        matches!(self, Self::Output(FlushError::Write(WriteError::Stopped)))
    }
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
        self.compact_in_steps(&NoPauses)
    }

    /// Does the next merge in steps, between which it lets others go first: see [`Pace`]. False when none is due, and when
    /// it was given up, because of `pace`, or because somebody else merged its inputs.
    pub fn compact_in_steps(&self, pace: &dyn Pace) -> Result<bool, CompactError> {
        match self.merge_next(pace) {
            Err(error) if error.is_stop() => Ok(false),
            Err(error) => {
                self.set_aside(&error);
                Err(error)
            }
            done => done,
        }
    }

    fn merge_next(&self, pace: &dyn Pace) -> Result<bool, CompactError> {
        self.purge_step();
        let Some(inputs) = self.pick_inputs() else {
            return Ok(false);
        };
        let steps = Pacing::new(self, pace, &inputs.choice.inputs);
        let (works, origins) = works(&inputs, &steps)?;
        let number = self.new_number();
        let written = if works.is_empty() {
            None
        } else {
            let options = SegmentOptions {
                compression: self.options.compact_level,
            };
            let done = write_in_steps(&self.store, number, self.database, works, &options, &steps)
                .map_err(FlushError::from)?;
            add(&self.counters.segments.merge, done.bytes);
            let opened =
                Segment::open(&self.store, number, self.database).map_err(FlushError::from)?;
            Some((done, opened))
        };
        let moved = written
            .as_ref()
            .map(|(w, _)| moved_rows(w, &origins))
            .unwrap_or_default();
        if !self.commit_compaction(&inputs, number, written, &moved)? {
            return Ok(false);
        }
        for segment in &inputs.segments {
            self.remove_file(FileId::new(FileKind::Segment, segment.id()));
        }
        count(&self.counters.compactions, 1);
        Ok(true)
    }

    fn pick_inputs(&self) -> Option<Inputs> {
        let rows_max = (self.options.memtable_bytes / MERGE_ROW_BYTES).max(MERGE_ROWS_MIN);
        let damaged: BTreeSet<u64> = self.damaged().into_iter().map(|(n, _)| n).collect();
        let catalog = self.catalog.lock();
        let writer = self.writer.lock();
        let state = catalog.state();
        self.note_fresh(state);
        let purged = self.to_purge(&damaged);
        let choice = pick(state, &damaged, &purged, self.options.merge_min, rows_max)?;
        if !self.has_room_for(state, &choice.inputs) {
            return None;
        }
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

    /// False if somebody else merged an input meanwhile: then nothing is left of this merge.
    fn commit_compaction(
        &self,
        inputs: &Inputs,
        number: u64,
        written: Option<(Written, Arc<Segment>)>,
        moved: &BTreeMap<SectionId, Moved>,
    ) -> Result<bool, FlushError> {
        let mut catalog = self.catalog.lock();
        let live = &catalog.state().segments;
        if !inputs.choice.inputs.iter().all(|n| live.contains_key(n)) {
            drop(catalog);
            if written.is_some() {
                self.remove_file(FileId::new(FileKind::Segment, number));
            }
            return Ok(false);
        }
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
            logged: self.logged(),
        };
        let durable: u64 = edit.dead.values().map(RoaringBitmap::len).sum();
        if let Err(error) = catalog.commit(&edit) {
            if matches!(error, LogError::NoSpace) {
                self.remove_file(FileId::new(FileKind::Segment, number));
            } else {
                self.fail("manifest", &error);
            }
            return Err(error.into());
        }
        self.note_fresh(catalog.state());
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
        self.purge
            .lock()
            .merged(&inputs.choice.inputs, number, durable > 0);
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
        Ok(true)
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

/// The rows that one input gave to one section of the output.
struct Origin {
    from: SectionId,
    /// Row numbers in the input, if they are not all, in order.
    rows: Option<Vec<u32>>,
    count: usize,
}

/// What each section of the output is made from, and by which rows. Small ones are read here, each in a step.
fn works<'a>(
    inputs: &'a Inputs,
    steps: &dyn Steps,
) -> Result<(Vec<Work<'a>>, Vec<Vec<Origin>>), CompactError> {
    let all: BTreeSet<Of> = inputs
        .segments
        .iter()
        .flat_map(|s| s.sections())
        .map(|s| (s.project, s.table))
        .collect();
    let mut works = Vec::new();
    let mut origins = Vec::new();
    for (project, table) in all {
        let mut merged = Vec::new();
        let mut from = Vec::new();
        for segment in &inputs.segments {
            if let Some(section) = segment.section(project, table) {
                let id = (segment.id(), project, table);
                let dead = inputs.dead.get(&id);
                merged.push(MergeInput { section, dead });
                from.push(id);
            }
        }
        let section = MergeSection {
            project,
            table,
            inputs: merged,
        };
        if section.live() == 0 {
            continue;
        }
        let (work, origin) = if section.is_inline()? {
            steps
                .next()
                .map_err(|stop| FlushError::Write(stop.into()))?;
            by_rows(&section, &from)?
        } else {
            by_columns(section, &from)
        };
        works.push(work);
        origins.push(origin);
    }
    Ok((works, origins))
}

fn by_columns<'a>(section: MergeSection<'a>, from: &[SectionId]) -> (Work<'a>, Vec<Origin>) {
    let origin = |(from, input): (&SectionId, &MergeInput<'_>)| Origin {
        from: *from,
        rows: None,
        count: usize::try_from(input.section.summary().rows).unwrap_or(usize::MAX),
    };
    let origins = from.iter().zip(&section.inputs).map(origin).collect();
    (Work::Merge(section), origins)
}

/// Few rows: read, and written as if they came from a memtable.
fn by_rows(
    section: &MergeSection<'_>,
    from: &[SectionId],
) -> Result<(Work<'static>, Vec<Origin>), SourceError> {
    let mut all = Vec::new();
    let mut origins = Vec::new();
    for (input, from) in section.inputs.iter().zip(from) {
        let mut rows = Vec::new();
        input.section.scan_rows(&mut |row, whole| {
            if !input.dead.is_some_and(|dead| dead.contains(row)) {
                all.push(whole);
                rows.push(row);
            }
            ControlFlow::Continue(())
        })?;
        origins.push(Origin {
            from: *from,
            count: rows.len(),
            rows: Some(rows),
        });
    }
    let section = SectionInput {
        project: section.project,
        table: section.table,
        rows: all,
    };
    Ok((Work::Rows(section, None), origins))
}

fn moved_rows(written: &Written, origins: &[Vec<Origin>]) -> BTreeMap<SectionId, Moved> {
    let mut moved = BTreeMap::new();
    for (origins, order) in origins.iter().zip(&written.order) {
        let mut rest = order.as_slice();
        for origin in origins {
            let (places, next) = rest.split_at(origin.count.min(rest.len()));
            rest = next;
            let of = match &origin.rows {
                None => Moved::of(places.to_vec()),
                Some(rows) => {
                    let mut of = Moved::default();
                    let pairs = rows.iter().zip(places);
                    pairs.for_each(|(row, to)| of.insert(*row, *to));
                    of
                }
            };
            moved.insert(origin.from, of);
        }
    }
    moved
}
