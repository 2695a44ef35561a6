//! Flush: the oldest frozen memtable becomes the segment of its number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use obsrv_wal::io::{FileId, FileKind, is_want};
use obsrv_wal::log::LogError;

use super::runs::settle;
use super::version::Places;
use super::{Engine, State, add, chain, count};
use crate::boundary::Position;
use crate::columns::LEFT_OUT;
use crate::manifest::{Edit, SectionMeta, SegmentMeta};
use crate::memtable::{Memtable, SectionId, TableColumns};
use crate::mutant::{Bug, Planted};
use crate::row::ProjectId;
use crate::row::Table;
use crate::segment::{
    RowInput, SectionInput, Segment, SegmentError, SegmentOptions, Work, WriteError, Written,
    write_works,
};
use crate::source::SourceError;

/// Why a flush or compaction did not happen. Its inputs are untouched.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// The segment could not be written.
    #[error("segment not written")]
    Write(#[from] WriteError),
    /// The segment does not open.
    #[error("new segment does not open")]
    Open(#[from] SegmentError),
    /// The edit could not be made durable.
    #[error("manifest edit not durable")]
    Manifest(#[from] LogError),
}

/// Failing flushes in a row, want of space and of descriptors aside, after which the engine takes the disk for broken.
const FAILED_FLUSHES_MAX: u32 = 3;

impl FlushError {
    /// Whether only space or a descriptor is wanting.
    fn is_no_space(&self) -> bool {
        match self {
            Self::Write(WriteError::Io { source, .. })
            | Self::Open(SegmentError::Read(SourceError::Io { source, .. })) => is_want(source),
            Self::Manifest(LogError::NoSpace) => true,
            Self::Write(_) | Self::Open(_) | Self::Manifest(_) => false,
        }
    }
}

/// Where rows of one section went: old row → row in the file, or [`LEFT_OUT`].
#[derive(Debug, Default)]
pub(super) struct Moved(Vec<u32>);

impl Moved {
    pub(super) fn get(&self, row: u32) -> Option<u32> {
        let place = *self.0.get(usize::try_from(row).ok()?)?;
        Some(place).filter(|place| *place != LEFT_OUT)
    }

    /// Of rows numbered from 0.
    pub(super) const fn of(places: Vec<u32>) -> Self {
        Self(places)
    }

    pub(super) fn insert(&mut self, from: u32, to: u32) {
        let at = usize::try_from(from).unwrap_or(usize::MAX);
        if self.0.len() <= at {
            self.0.resize(at + 1, LEFT_OUT);
        }
        if let Some(slot) = self.0.get_mut(at) {
            *slot = to;
        }
    }
}

pub(super) fn meta_of(written: &Written, level: u8) -> SegmentMeta {
    let section = |s: &crate::segment::SectionSummary| SectionMeta {
        project: s.project,
        table: s.table,
        rows: s.rows,
        start_min: s.start_min,
        start_max: s.start_max,
    };
    SegmentMeta {
        level,
        bytes: written.bytes,
        sections: written.sections.iter().map(section).collect(),
    }
}

impl Engine {
    /// Freezes the active memtable if it is full. An error says why that must wait for the disk to read.
    pub(super) fn freeze_if_full(&self) -> Result<(), String> {
        let full = |m: &Arc<Memtable>| m.bytes() >= self.options.memtable_bytes;
        let is_due = self.version.read().memtables().last().is_some_and(full);
        if is_due { self.try_freeze() } else { Ok(()) }
    }

    /// Freezes the active memtable if it holds any record. If the disk refuses to read what a row in it is made of,
    /// that is done later, by [`Engine::index_step`].
    pub fn freeze(&self) {
        // Why it must wait was said, and whoever must not go on without it asks for it.
        let _later = self.try_freeze();
    }

    /// The same; an error if it is to be done later.
    fn try_freeze(&self) -> Result<(), String> {
        let mut writer = self.writer.lock();
        if writer.active().last_lsn() == 0 {
            return Ok(());
        }
        let unread = match settle(&mut writer, &self.counters) {
            Ok(unread) => unread,
            Err(error) => {
                self.fail("publish", &error);
                return Ok(());
            }
        };
        if let Some(error) = unread.values().next() {
            let cause = chain(error);
            if !std::mem::replace(&mut writer.freeze_due, true) {
                tracing::error!(cause, "a memtable waits for the disk to read");
            }
            return Err(cause);
        }
        writer.freeze_due = false;
        let mut memtables = writer.places.memtables.clone();
        memtables.push(Arc::new(Memtable::new(self.new_number())));
        writer.places = Arc::new(Places::new(writer.places.segments.clone(), memtables));
        let version = writer.version();
        *self.version.write() = version;
        writer.stale = false;
        self.gates.shares.begin();
        drop(writer);
        self.wake_background();
        Ok(())
    }

    /// Flushes the oldest frozen memtable. False when there is none.
    ///
    /// After `FAILED_FLUSHES_MAX` failures in a row the engine fails: what a disk refuses that
    /// often it will refuse again, and an operator must hear of it while the log still holds all.
    /// A failed engine flushes nothing more: the edit that failed may be on disk, and another try
    /// would take the place of the segment that it names.
    pub fn flush_step(&self) -> Result<bool, FlushError> {
        if self.state() == State::Failed {
            return Ok(false);
        }
        let result = self.flush_oldest();
        match &result {
            Ok(true) => self.failed_flushes.store(0, Ordering::Relaxed),
            Err(error) if !error.is_no_space() => {
                let times = 1 + self.failed_flushes.fetch_add(1, Ordering::Relaxed);
                if times >= FAILED_FLUSHES_MAX {
                    self.fail("flush", error);
                }
            }
            // A full disk heals without a restart, and says nothing about the disk otherwise.
            Ok(false) | Err(_) => {}
        }
        result
    }

    fn flush_oldest(&self) -> Result<bool, FlushError> {
        let frozen = {
            let version = self.version.read();
            let memtables = version.memtables();
            memtables.first().filter(|_| memtables.len() > 1).cloned()
        };
        let Some(memtable) = frozen else {
            return Ok(false);
        };
        let (sections, origins) = rows_to_flush(&memtable, self.planted);
        let written = if sections.is_empty() {
            None
        } else {
            let options = SegmentOptions {
                compression: self.options.flush_level,
            };
            let done = write_works(
                &self.store,
                memtable.number(),
                self.database,
                sections,
                &options,
            )?;
            add(&self.counters.segments.flush, done.bytes);
            let opened = Segment::open(&self.store, memtable.number(), self.database)?;
            Some((done, opened))
        };
        let moved = written
            .as_ref()
            .map(|(w, _)| moved_rows(w, &origins))
            .unwrap_or_default();
        let sides = self.commit_flush(&memtable, written, &moved)?;
        self.clean_after_flush(memtable.last_lsn(), &sides);
        count(&self.counters.flushes, 1);
        if self.fresh_are_due() {
            self.wake_background();
        }
        Ok(true)
    }

    fn commit_flush(
        &self,
        memtable: &Arc<Memtable>,
        written: Option<(Written, Arc<Segment>)>,
        moved: &BTreeMap<SectionId, Moved>,
    ) -> Result<Vec<u64>, FlushError> {
        let mut catalog = self.catalog.lock();
        let logged = self.logged();
        // No record changes what a frozen memtable holds; only a job that holds the catalog does.
        let mut edit = {
            let pending = memtable.pending().lock();
            Edit {
                add: written
                    .iter()
                    .map(|(w, s)| (s.id(), meta_of(w, 0)))
                    .collect(),
                remove: Vec::new(),
                dead: pending.marks.clone(),
                watermark: memtable.last_lsn() + u64::from(self.planted.has(Bug::WatermarkTooHigh)),
                next_number: self.next_number.load(Ordering::Acquire),
                controls: pending.controls.clone(),
                logged,
            }
        };
        if self.planted.has(Bug::MarksAboveWatermark) {
            let writer = self.writer.lock();
            let later = writer.places.memtables.iter();
            edit.dead
                .extend(later.flat_map(|m| m.pending().lock().marks.clone()));
        }
        if let Err(error) = catalog.commit(&edit) {
            // Not stored: the next try takes the same marks and events along. Otherwise whether
            // the edit is on disk is not known: only a restart can tell.
            if !matches!(error, LogError::NoSpace) {
                self.fail("manifest", &error);
            }
            return Err(error.into());
        }
        self.note_fresh(catalog.state());
        let mut writer = self.writer.lock();
        for (project, table, rows) in memtable.tables() {
            let from = (memtable.number(), project, table);
            let to = moved.get(&from);
            // Rows that later records killed while they were in memory.
            let late = rows.dead_after(memtable.last_lsn());
            let dead = late.iter().filter_map(|row| to?.get(row)).collect();
            writer.mark_all(from, &dead);
            writer.remap_pending(from, &|row| Some((from, to?.get(row)?)));
        }
        let mut segments = writer.places.segments.clone();
        segments.extend(written.map(|(_, segment)| (segment.id(), segment)));
        let memtables = writer.places.memtables.iter().skip(1).cloned().collect();
        writer.places = Arc::new(Places::new(segments, memtables));
        let version = writer.version();
        *self.version.write() = version;
        drop((writer, catalog));
        Ok(std::mem::take(&mut memtable.pending().lock().side_files))
    }

    /// What is in segments now need not be in the log. Late is harmless: open does it again.
    pub(super) fn clean_after_flush(&self, watermark: u64, sides: &[u64]) {
        // The log goes on meanwhile: removing a large file takes a while.
        let work = self.log.lock().trim(Position::local(watermark));
        let trimmed = work.run();
        self.log.lock().take_trimmed(trimmed);
        for &number in sides {
            self.remove_file(FileId::new(FileKind::Side, number));
        }
    }

    pub(super) fn remove_file(&self, id: FileId) {
        if let Err(error) = self.store.delete(id) {
            tracing::warn!(%id, %error, "file not removed, the next open sweeps it");
        }
    }
}

/// The rows that a memtable leaves behind, and which row each came from.
///
/// A row that a record of this memtable killed is gone. One that a *later* record killed is
/// written all the same: if that record has to be replayed, it must find the row (I-10).
fn rows_to_flush(
    memtable: &Memtable,
    planted: Planted,
) -> (Vec<Work<'static>>, Vec<(SectionId, Vec<u32>)>) {
    let through = memtable.last_lsn();
    let mut sections: Vec<Work<'static>> = Vec::new();
    let mut origins = Vec::new();
    for (project, table, rows) in memtable.tables() {
        let mut live = rows.view_at(through).live(through);
        if planted.has(Bug::LateKillsDropped) {
            live -= rows.dead_after(through);
        }
        if live.is_empty() {
            continue;
        }
        let inputs = live
            .iter()
            .filter_map(|row| rows.row(row))
            .map(|row| RowInput {
                key: row.key,
                start_ns: row.start_ns,
                end_ns: row.end_ns,
                lsn_first: row.lsn_first,
                lsn_last: row.lsn_last,
                content: row.content,
            });
        let section = SectionInput {
            project,
            table,
            rows: inputs.collect(),
        };
        let numbers: Vec<u32> = live.iter().collect();
        let gathered = TableColumns::new(Arc::clone(&rows), numbers.clone());
        sections.push(Work::Rows(section, Some(Box::new(gathered))));
        origins.push(((memtable.number(), project, table), numbers));
    }
    (sections, origins)
}

/// Old row → new row, from the order in which the writer took its inputs.
pub(super) fn moved_rows(
    written: &Written,
    origins: &[(SectionId, Vec<u32>)],
) -> BTreeMap<SectionId, Moved> {
    let one = |((from, rows), order): (&(SectionId, Vec<u32>), &Vec<u32>)| {
        let mut moved = Moved::default();
        let pairs = rows.iter().zip(order);
        pairs.for_each(|(row, to)| moved.insert(*row, *to));
        (*from, moved)
    };
    origins.iter().zip(&written.order).map(one).collect()
}

/// A project's table, as the key of a merge.
pub(super) type Of = (ProjectId, Table);
