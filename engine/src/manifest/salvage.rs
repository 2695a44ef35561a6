//! A manifest of which something does not read, as far as its own records tell.
//!
//! Each record has a checksum of its own, and the files since the checkpoint before last stay: what a
//! damaged checkpoint said is what the records before it add up to. Where a record is lost that is no
//! checkpoint, what came before it is all that is left.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use obsrv_wal::io::{Disk, FileId, FileKind};
use obsrv_wal::log::{Log, LogError, scan_file, scan_frames};

use super::{FILE_BYTES, KIND_CHECKPOINT, State, format, options};
use crate::row::Lsn;

/// What the records that read add up to.
#[derive(Clone, Debug, PartialEq)]
pub struct Salvaged {
    /// The newest state that is certain.
    pub state: State,
    /// The last record that there was, as far as anything says.
    pub last: Lsn,
    /// Whether every record is in it, so that nothing is lost.
    pub is_whole: bool,
}

/// Every record that reads, and what its files say of others.
#[derive(Default)]
struct Found {
    records: BTreeMap<Lsn, (u8, Vec<u8>)>,
    /// Checkpoints, whether they read or not.
    checkpoints: BTreeSet<Lsn>,
    /// The last record that there was, as far as anything says.
    last: Lsn,
    /// A file of which nothing says what it held.
    has_unknown: bool,
    /// The highest file that another one names as its next.
    named: Option<u64>,
}

/// Reads what reads. None if no checkpoint does.
pub fn salvage(disk: &Arc<dyn Disk>, database: [u8; 16]) -> io::Result<Option<Salvaged>> {
    let mut files = disk.list()?;
    files.retain(|file| file.kind == FileKind::Manifest);
    let mut found = Found::default();
    for file in &files {
        found.file(disk, *file, database)?;
    }
    let last = files.last().map(|file| file.number);
    found.has_unknown |= found.named > last;
    Ok(found.add_up())
}

/// Puts one new file in the place of the manifest.
pub fn replace(
    disk: &Arc<dyn Disk>,
    database: [u8; 16],
    salvaged: &Salvaged,
) -> Result<(), LogError> {
    let record = (KIND_CHECKPOINT, format::encode_state(&salvaged.state));
    let options = options(database, FILE_BYTES);
    Log::replace(disk, options, salvaged.last + 1, &[record])
}

impl Found {
    fn file(&mut self, disk: &Arc<dyn Disk>, file: FileId, database: [u8; 16]) -> io::Result<()> {
        let header = scan_file(disk, file, database, &mut |_| {}).ok();
        // Every base file of a manifest begins with a checkpoint.
        if let Some(header) = header.filter(|header| header.base) {
            self.records.split_off(&header.base_lsn);
            self.checkpoints.split_off(&header.base_lsn);
            self.checkpoints.insert(header.base_lsn);
            self.last = self.last.max(header.synced_lsn);
        }
        let mut is_empty = true;
        scan_frames(disk, file, database, &mut |frame| {
            is_empty = false;
            self.last = self.last.max(frame.durable_lsn);
            self.named = self.named.max(frame.next_file());
            if frame.kind != 0 {
                self.last = self.last.max(frame.lsn);
                self.records
                    .insert(frame.lsn, (frame.kind, frame.body.to_vec()));
            }
        })?;
        self.has_unknown |= header.is_none() && is_empty;
        Ok(())
    }

    fn add_up(self) -> Option<Salvaged> {
        let first = *self.records.keys().next()?;
        // A record that is missing among these numbers is lost; how many are missing makes no difference, and
        // what the last one is follows from what a file says.
        let mut known: BTreeSet<Lsn> = self.records.keys().copied().collect();
        known.extend(self.checkpoints.range(first..=self.last));
        let (mut state, mut certain) = (None, None);
        let mut expected = first;
        for lsn in known.into_iter().chain([self.last + 1]) {
            if lsn > expected && state.is_some() {
                certain = state.take();
            }
            if lsn > self.last {
                break;
            }
            let next = self.after(state.as_ref(), lsn);
            if next.is_none() && state.is_some() {
                certain = state;
            }
            state = next;
            expected = lsn + 1;
        }
        let is_whole = state.is_some() && !self.has_unknown;
        Some(Salvaged {
            state: state.or(certain)?,
            last: self.last,
            is_whole,
        })
    }

    /// The state after a record, if it is certain.
    fn after(&self, before: Option<&State>, lsn: Lsn) -> Option<State> {
        match self.records.get(&lsn) {
            Some((KIND_CHECKPOINT, body)) => format::decode_state(body).ok(),
            Some((_, body)) => {
                let mut state = before?.clone();
                state.apply(&format::decode_edit(body).ok()?);
                Some(state)
            }
            None => before.filter(|_| self.checkpoints.contains(&lsn)).cloned(),
        }
    }
}
