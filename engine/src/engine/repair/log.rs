//! The log without what does not read of it.
//!
//! Records that are lost leave no gap: in the place of each stands a record that changes nothing, so that
//! the others keep their numbers. What was witnessed as durable is taken wherever it stands; behind that
//! only what follows without a gap, as recovery does.

use std::collections::{BTreeMap, BTreeSet};

use obsrv_wal::io::{FileId, FileKind};
use obsrv_wal::log::{Log, RecoverError, scan_file, scan_frames};

use super::{RepairError, Work};
use crate::engine::check::wal_options;
use crate::engine::record::{self, BodyRef, RecordRef};
use crate::engine::{Deletion, chain, side};
use crate::manifest::State;
use crate::row::{Lsn, ProjectId};

/// Records that may be missing in one place. More is not a damaged file but another directory's.
const MISSING_MAX: u64 = 1 << 20;

/// What recovery says of a file that is shorter than its header says.
const CUT_SHORT: &str = "length";
/// What it says of a file that another one names.
const GONE: &str = "missing file";

/// A record as it stands in the log.
struct Found {
    kind: u8,
    body: Vec<u8>,
    /// Its file, where it begins and where it ends.
    place: (u64, u64, u64),
}

impl Work<'_> {
    /// Replaces the log if something of it above the watermark does not read.
    pub(super) fn log(&mut self, state: &State) -> Result<(), RepairError> {
        let options = wal_options(self.database);
        let mut bad_sides = BTreeMap::new();
        let recovered = Log::recover(self.disk, options, &mut |r| {
            if r.lsn > state.watermark {
                self.check_side(r.lsn, r.kind, r.body, &mut bad_sides);
            }
        });
        let sound = recovered.and_then(|log| state.check_log(&log.begun()?));
        let broken = sound.err();
        if broken.is_none() && bad_sides.is_empty() {
            return Ok(());
        }
        self.report
            .found
            .extend(broken.as_ref().map(|error| chain(error)));
        self.report.found.extend(bad_sides.values().cloned());
        if let Some(left) = self.reason_to_leave(state, broken.as_ref()) {
            self.report.left.push(left);
            return Ok(());
        }
        let (found, durable) = self.readable(state.watermark, state.logged);
        let last = found.keys().next_back().copied().unwrap_or(0);
        let last = last.max(durable);
        if last - state.watermark > MISSING_MAX + u64::try_from(found.len()).unwrap_or(0) {
            let left = format!("log goes on at lsn={last} after lsn={}", state.watermark);
            self.report.left.push(left);
            return Ok(());
        }
        let (records, lost) = self.without_lost(found, (state.watermark, last));
        // A file without a header, cut short or not there does not say how far it went.
        let is_open_ended = match broken {
            Some(RecoverError::Damaged { lsn, what, .. }) => {
                lsn == 0 || lsn > last || what == CUT_SHORT || what == GONE
            }
            Some(
                RecoverError::Uncovered { .. }
                | RecoverError::NoFile { .. }
                | RecoverError::Short { .. },
            ) => true,
            _ => false,
        };
        if is_open_ended {
            let lost = format!("records from lsn={} on, if there were any", last + 1);
            self.report.lost.push(lost);
        }
        self.name_lost(&lost);
        self.report.done.push(format!(
            "log written anew records={} watermark={}",
            records.len() - lost.len(),
            state.watermark
        ));
        if self.aside.is_none() {
            return Ok(());
        }
        let kept = |f: &&FileId| matches!(f.kind, FileKind::Wal | FileKind::Side);
        for file in self.files.iter().filter(kept) {
            self.keep(*file)?;
        }
        Log::replace(self.disk, options, state.watermark + 1, &records)?;
        Ok(())
    }

    /// Why the log must stay as it is, if it must. Where it begins behind what the manifest has, though
    /// there are segments that the manifest does not list, it is the manifest of which the end is gone,
    /// and those segments have the records.
    fn reason_to_leave(&self, state: &State, broken: Option<&RecoverError>) -> Option<String> {
        let unlisted = |file: &FileId| {
            file.kind == FileKind::Segment && !state.segments.contains_key(&file.number)
        };
        match broken? {
            RecoverError::Version { file, .. } => {
                Some(format!("{file} is of another version of obsrv"))
            }
            RecoverError::Io { file, .. } => {
                Some(format!("{file} cannot be read now, so it is not replaced"))
            }
            RecoverError::Uncovered { first, .. } => {
                let is_late = *first > state.watermark + 1 && self.files.iter().any(unlisted);
                is_late.then(|| {
                    "log and segments are ahead of the manifest, which lost its end: restore a backup"
                        .to_owned()
                })
            }
            RecoverError::Damaged { .. }
            | RecoverError::NoFile { .. }
            | RecoverError::Short { .. } => None,
        }
    }

    /// All records from the one after `after` to `last`, with something that changes nothing in the place
    /// of lost ones; and which those are.
    fn without_lost(
        &self,
        mut found: BTreeMap<Lsn, Found>,
        (after, last): (Lsn, Lsn),
    ) -> (Vec<(u8, Vec<u8>)>, BTreeSet<Lsn>) {
        let mut lost = BTreeSet::new();
        let mut records = Vec::new();
        for lsn in after + 1..=last {
            let readable = found.remove(&lsn).filter(|found| {
                let mut bad = BTreeMap::new();
                self.check_side(lsn, found.kind, &found.body, &mut bad);
                bad.is_empty() && record::decode(found.kind, &found.body).is_ok()
            });
            if let Some(found) = readable {
                records.push((found.kind, found.body));
            } else {
                lost.insert(lsn);
                records.push(nothing());
            }
        }
        (records, lost)
    }

    /// Notes a side file that its record cannot be read without.
    pub(super) fn check_side(
        &self,
        lsn: Lsn,
        kind: u8,
        body: &[u8],
        bad: &mut BTreeMap<Lsn, String>,
    ) {
        if let Ok(RecordRef::Ingest {
            body: BodyRef::Side(file),
            ..
        }) = record::decode(kind, body)
            && let Err(error) = side::read(&self.store, &self.database, file)
        {
            bad.insert(lsn, format!("record {lsn}: {error}"));
        }
    }

    /// Every record above the watermark that reads, later files before earlier ones; and the last one
    /// that was durable, as far as anything says: the manifest knows of `logged`.
    fn readable(&mut self, watermark: Lsn, logged: Lsn) -> (BTreeMap<Lsn, Found>, Lsn) {
        let mut found: BTreeMap<Lsn, Found> = BTreeMap::new();
        let mut durable = watermark.max(logged);
        let logs = self.files.iter().filter(|f| f.kind == FileKind::Wal);
        for file in logs.copied().collect::<Vec<_>>() {
            // A base file stands for everything that earlier ones have from its first record on.
            match scan_file(self.disk, file, self.database, &mut |_| {}) {
                Ok(scan) => {
                    if scan.base {
                        found.split_off(&scan.base_lsn);
                    }
                    durable = durable.max(scan.synced_lsn);
                }
                Err(error) => self.report.found.push(format!("{file}: {}", chain(&error))),
            }
            let scanned = scan_frames(self.disk, file, self.database, &mut |frame| {
                durable = durable.max(frame.durable_lsn);
                let end = frame.offset + 40 + u64::try_from(frame.body.len()).unwrap_or(0);
                let place = (file.number, frame.offset, end.next_multiple_of(8));
                if frame.kind == 0 || frame.lsn <= watermark {
                    return;
                }
                let record = Found {
                    kind: frame.kind,
                    body: frame.body.to_vec(),
                    place,
                };
                found.insert(frame.lsn, record);
            });
            if let Err(error) = scanned {
                self.report.found.push(format!("{file}: {error}"));
            }
        }
        let mut last: Option<(Lsn, (u64, u64, u64))> = None;
        found.retain(|lsn, record| {
            let follows = last.is_none_or(|(before, place)| {
                let adjacent = place.0 != record.place.0 || place.2 == record.place.1;
                before + 1 == *lsn && adjacent
            });
            let kept = *lsn <= durable || follows && (last.is_some() || *lsn == watermark + 1);
            if kept {
                last = Some((*lsn, record.place));
            }
            kept
        });
        (found, durable)
    }

    /// Says which records are lost, runs of them in one line.
    fn name_lost(&mut self, lost: &BTreeSet<Lsn>) {
        let all: Vec<Lsn> = lost.iter().copied().collect();
        for run in all.chunk_by(|a, b| a + 1 == *b) {
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                self.report
                    .lost
                    .push(format!("records lsn={first} to lsn={last}"));
            }
        }
    }
}

/// A record that changes nothing: the delete of a trace that no project has.
fn nothing() -> (u8, Vec<u8>) {
    record::delete(ProjectId(0), &Deletion::Trace("".into()))
}
