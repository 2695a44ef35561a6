//! The manifest: which segments are live, up to which LSN, with which rows dead.
//!
//! A log of edits in the framing of the WAL (D-3). An edit is all or nothing: it is durable before
//! anyone acts on it. At each open, and when the log has grown, one checkpoint starts a new file; what
//! stands before it stays until the next one, for a repair.
//! This module owns the state and the bytes of the edits; `engine` decides what they say.

mod format;
mod salvage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use obsrv_wal::io::{Disk, FileKind};
use obsrv_wal::log::{Log, LogError, LogOptions, RecoverError, Recovered};

use crate::memtable::Marks;
use crate::mutant::{Bug, Planted};
use crate::row::{Lsn, ProjectId, Table};

pub use format::FormatError;
pub use salvage::{Salvaged, replace, salvage};

/// Size of a manifest file before the next begins, unless the log's own are smaller.
pub(crate) const FILE_BYTES: u64 = 1 << 20;
/// Largest edit: deletion vectors of many sections.
const EDIT_BYTES_MAX: u32 = 256 << 20;
/// Edits after which a checkpoint is written.
const EDITS_PER_CHECKPOINT: u32 = 256;

const KIND_CHECKPOINT: u8 = 1;
const KIND_EDIT: u8 = 2;

/// What the manifest knows of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentMeta {
    /// 0 as flushed; higher after each compaction.
    pub level: u8,
    /// Size of the file.
    pub bytes: u64,
    /// Its sections.
    pub sections: Vec<SectionMeta>,
}

/// What the manifest knows of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionMeta {
    /// Whose.
    pub project: ProjectId,
    /// Of which table.
    pub table: Table,
    /// Rows, dead ones included.
    pub rows: u32,
    /// Earliest start.
    pub start_min: i64,
    /// Latest start.
    pub start_max: i64,
}

/// The state that the edits add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Live segments by number.
    pub segments: BTreeMap<u64, SegmentMeta>,
    /// Dead rows by section, each made by a record at or below the watermark (I-10).
    pub dead: Marks,
    /// Every record up to here is in segments or had no rows.
    pub watermark: Lsn,
    /// The next number for a segment or side file.
    pub next_number: u64,
    /// Control events, oldest first.
    pub controls: Vec<(Lsn, Bytes)>,
    /// The log had every record up to here when this was written: one that ends before it lost some.
    pub logged: Lsn,
}

/// A change to the state.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Segments that become live.
    pub add: Vec<(u64, SegmentMeta)>,
    /// Segments that cease, with their dead rows.
    pub remove: Vec<u64>,
    /// Rows that become dead.
    pub dead: Marks,
    /// The new watermark; unchanged when lower.
    pub watermark: Lsn,
    /// The next number; unchanged when lower.
    pub next_number: u64,
    /// Control events to keep.
    pub controls: Vec<(Lsn, Bytes)>,
    /// How far the log goes; unchanged when lower.
    pub logged: Lsn,
}

impl Edit {
    /// Says how far the log goes, and nothing else.
    fn of_log(logged: Lsn) -> Self {
        Self {
            add: Vec::new(),
            remove: Vec::new(),
            dead: Marks::new(),
            watermark: 0,
            next_number: 0,
            controls: Vec::new(),
            logged,
        }
    }
}

impl State {
    /// Rows in the deletion vectors.
    pub fn dead_rows(&self) -> u64 {
        self.dead.values().map(roaring::RoaringBitmap::len).sum()
    }

    /// Checks that a log has everything that is not in segments, as far as this tells.
    pub(crate) fn check_log(&self, log: &Recovered) -> Result<(), RecoverError> {
        log.covers(self.watermark)?;
        log.reaches(self.logged)
    }

    /// Applies an edit.
    pub fn apply(&mut self, edit: &Edit) {
        for number in &edit.remove {
            self.segments.remove(number);
        }
        self.dead
            .retain(|(number, _, _), _| !edit.remove.contains(number));
        self.segments.extend(edit.add.iter().cloned());
        for (section, rows) in &edit.dead {
            *self.dead.entry(*section).or_default() |= rows;
        }
        self.watermark = self.watermark.max(edit.watermark);
        self.next_number = self.next_number.max(edit.next_number);
        self.controls.extend(edit.controls.iter().cloned());
        self.logged = self.logged.max(edit.logged);
    }
}

/// Why a manifest did not open.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The log under it is damaged or unreadable.
    #[error("manifest log does not recover")]
    Recover(#[from] RecoverError),
    /// An edit in it does not read.
    #[error("manifest edit does not read lsn={lsn}")]
    Format {
        /// Which edit.
        lsn: u64,
        /// Why.
        source: FormatError,
    },
    /// The new file could not be written.
    #[error("manifest could not be written")]
    Log(#[from] LogError),
}

/// The open manifest.
#[derive(Debug)]
pub struct Manifest {
    log: Log,
    state: State,
    edits: u32,
    planted: Planted,
}

fn options(database: [u8; 16], file_bytes: u64) -> LogOptions {
    LogOptions {
        kind: FileKind::Manifest,
        database,
        file_bytes,
        record_bytes_max: EDIT_BYTES_MAX,
    }
}

/// Reads the state without changing anything: the log to go on with, and what it says.
pub fn read(disk: &Arc<dyn Disk>, database: [u8; 16]) -> Result<(Recovered, State), ManifestError> {
    read_for(disk, database, FILE_BYTES)
}

fn read_for(
    disk: &Arc<dyn Disk>,
    database: [u8; 16],
    file_bytes: u64,
) -> Result<(Recovered, State), ManifestError> {
    let mut state = State {
        next_number: 1,
        ..State::default()
    };
    let mut failed = None;
    let recovered = Log::recover(disk, options(database, file_bytes), &mut |record| {
        if failed.is_some() {
            return;
        }
        let read = match record.kind {
            KIND_CHECKPOINT => format::decode_state(record.body).map(|s| state = s),
            KIND_EDIT => format::decode_edit(record.body).map(|e| state.apply(&e)),
            kind => Err(FormatError::Kind(kind)),
        };
        if let Err(source) = read {
            failed = Some(ManifestError::Format {
                lsn: record.lsn,
                source,
            });
        }
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok((recovered, state)),
    }
}

impl Manifest {
    /// Opens it, writing one checkpoint into a new file. No number below `next_number` will be
    /// given out. New files have `file_bytes`.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        database: [u8; 16],
        next_number: u64,
        file_bytes: u64,
        planted: Planted,
    ) -> Result<Self, ManifestError> {
        let (recovered, mut state) = read_for(disk, database, file_bytes)?;
        state.next_number = state.next_number.max(next_number);
        let controls = state.controls.clone();
        if planted.has(Bug::ControlsNotInCheckpoint) {
            state.controls.clear();
        }
        let log = recovered.restart_with(KIND_CHECKPOINT, &[&format::encode_state(&state)])?;
        state.controls = controls;
        Ok(Self {
            log,
            state,
            edits: 0,
            planted,
        })
    }

    /// Writes the manifest of a directory that has none.
    pub(crate) fn write_new(
        disk: &Arc<dyn Disk>,
        database: [u8; 16],
        state: &State,
    ) -> Result<(), ManifestError> {
        let (none, _) = read(disk, database)?;
        none.restart_with(KIND_CHECKPOINT, &[&format::encode_state(state)])?;
        Ok(())
    }

    /// What is live.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Writes down that the last edit is durable, so that damage to it can be told from a torn tail. Of a
    /// checkpoint the header of its file says so. The same of the log, which is durable up to `logged`.
    pub fn witness(&mut self, logged: Lsn) -> Result<(), LogError> {
        if logged > self.state.logged {
            // Says of the edit before that it is durable, too.
            return self.commit(&Edit::of_log(logged));
        }
        if self.edits > 0 {
            self.log.watermark()?;
        }
        Ok(())
    }

    /// Makes an edit durable, then part of the state.
    pub fn commit(&mut self, edit: &Edit) -> Result<(), LogError> {
        self.log.append(KIND_EDIT, &[&format::encode_edit(edit)])?;
        if !self.planted.has(Bug::EditNotSynced) {
            self.log.sync()?;
        }
        self.state.apply(edit);
        self.edits += 1;
        if self.edits >= EDITS_PER_CHECKPOINT {
            let state = format::encode_state(&self.state);
            match self.log.checkpoint(KIND_CHECKPOINT, &[&state]) {
                Ok(_) => self.edits = 0,
                // The edit is durable. The checkpoint only saves space, so it waits for some.
                Err(LogError::NoSpace) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
