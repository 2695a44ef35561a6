//! A look at a directory that no engine has open: `verify` reads every byte that matters and
//! changes nothing; the `describe_*` functions show one file each to people.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use obsrv_wal::io::{Disk, DiskFile, FileId, FileKind};
use obsrv_wal::log::{Log, LogOptions, scan_file};

use super::open::{OpenError, RECORD_BYTES_MAX, read_identity};
use super::record::{self, BodyRef, RecordRef};
use super::{chain, quarantine, side};
use crate::boundary::{LocalStore, Store};
use crate::manifest;
use crate::row::Lsn;
use crate::segment::Segment;

/// What `verify` read, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Live segments.
    pub segments: u64,
    /// Rows in them, dead ones included.
    pub rows: u64,
    /// Blocks of them.
    pub blocks: u64,
    /// Records of the log above the watermark.
    pub records: u64,
    /// Side files that those refer to.
    pub side_files: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Files that nothing refers to; the next open removes them.
    pub orphans: u64,
    /// Control events, oldest first: the layer above knows what they must say.
    pub controls: Vec<(Lsn, Bytes)>,
    /// What is damaged or missing, one line each. Empty: all is well.
    pub findings: Vec<String>,
}

/// Checks every checksum of a directory.
pub fn verify(disk: &Arc<dyn Disk>) -> Result<Checked, OpenError> {
    let files = disk.list().map_err(|source| OpenError::Io {
        what: "list",
        source,
    })?;
    let store = LocalStore::over(disk);
    let database = read_identity(disk)?;
    if !files.iter().any(|f| f.kind == FileKind::Manifest) {
        return Err(OpenError::NoManifest);
    }
    let (_, state) = manifest::read(disk, database)?;
    let mut checked = Checked {
        controls: state.controls.clone(),
        ..Checked::default()
    };
    for number in state.segments.keys() {
        checked.segments += 1;
        match Segment::open(&store, *number, database).and_then(|s| s.verify()) {
            Ok(report) => {
                checked.rows += report.rows;
                checked.blocks += report.blocks;
            }
            Err(error) => checked.findings.push(chain(&error)),
        }
    }
    let mut sides = BTreeSet::new();
    let recovered = Log::recover(disk, wal_options(database), &mut |r| {
        if r.lsn > state.watermark {
            checked.records += 1;
            check_record(&store, database, &r, &mut sides, &mut checked);
        }
    });
    let sound = recovered.and_then(|log| state.check_log(&log.begun()?));
    if let Err(error) = sound {
        checked.findings.push(chain(&error));
    }
    for id in files.iter().filter(|f| f.kind == FileKind::Quarantine) {
        checked.quarantined += 1;
        if let Err(error) = quarantine::read(&store, database, id.number) {
            checked.findings.push(chain(&error));
        }
    }
    checked.side_files = u64::try_from(sides.len()).unwrap_or(u64::MAX);
    let orphan = |f: &&FileId| match f.kind {
        FileKind::Segment => !state.segments.contains_key(&f.number),
        FileKind::Side => !sides.contains(&f.number),
        FileKind::Wal | FileKind::Manifest | FileKind::Secret | FileKind::Quarantine => false,
    };
    checked.orphans = u64::try_from(files.iter().filter(orphan).count()).unwrap_or(u64::MAX);
    Ok(checked)
}

pub(super) fn wal_options(database: [u8; 16]) -> LogOptions {
    LogOptions {
        kind: FileKind::Wal,
        database,
        file_bytes: 0,
        record_bytes_max: RECORD_BYTES_MAX,
    }
}

fn check_record(
    store: &Arc<dyn Store>,
    database: [u8; 16],
    found: &obsrv_wal::log::Record<'_>,
    sides: &mut BTreeSet<u64>,
    checked: &mut Checked,
) {
    match record::decode(found.kind, found.body) {
        Ok(RecordRef::Ingest {
            body: BodyRef::Side(file),
            ..
        }) => {
            sides.insert(file.number);
            if let Err(error) = side::read(store, &database, file) {
                checked.findings.push(format!(
                    "side file {} of record {}: {error}",
                    file.number, found.lsn
                ));
            }
        }
        Ok(RecordRef::Control(body)) => {
            let body = Bytes::copy_from_slice(body);
            checked.controls.push((found.lsn, body));
        }
        Ok(_) => {}
        Err(error) => checked
            .findings
            .push(format!("record {}: {}", found.lsn, chain(&error))),
    }
}

/// The files that have these bytes somewhere: in a block of a segment before it was compressed, or as they are
/// in a file of another kind. To show that what was purged is gone.
///
/// A text that long bodies share with others may stand in pieces: look for short ones.
pub fn files_with(disk: &Arc<dyn Disk>, bytes: &[u8]) -> Result<Vec<FileId>, OpenError> {
    let list = |source| OpenError::Io {
        what: "list",
        source,
    };
    let read = |source| OpenError::Io {
        what: "read file",
        source,
    };
    let (store, database) = (LocalStore::over(disk), read_identity(disk)?);
    let finder = memchr::memmem::Finder::new(bytes);
    let mut found = Vec::new();
    for id in disk.list().map_err(list)? {
        let mut is_in = false;
        if id.kind == FileKind::Segment {
            let segment = Segment::open(&store, id.number, database)?;
            let mut look = |block: &[u8]| is_in |= finder.find(block).is_some();
            segment.verify_and(&mut look)?;
        } else {
            let file = disk.open(id).map_err(read)?;
            is_in = holds(&*file, &finder).map_err(read)?;
        }
        if is_in {
            found.push(id);
        }
    }
    Ok(found)
}

/// Whether a file has the bytes. Reads a few MiB at a time.
fn holds(file: &dyn DiskFile, finder: &memchr::memmem::Finder<'_>) -> std::io::Result<bool> {
    let overlap = finder.needle().len().saturating_sub(1);
    let (len, mut at, mut held) = (file.len()?, 0, Vec::new());
    while at < len {
        let step = len.min(at + READ_BYTES) - at;
        let kept = held.len();
        held.resize(kept + usize::try_from(step).unwrap_or(usize::MAX), 0);
        file.read_at(at, &mut held[kept..])?;
        if finder.find(&held).is_some() {
            return Ok(true);
        }
        held.drain(..held.len().saturating_sub(overlap));
        at += step;
    }
    Ok(false)
}

/// Bytes of a file that are looked through at once.
const READ_BYTES: u64 = 4 << 20;

/// The frames of a log file, a line each.
pub fn describe_log(disk: &Arc<dyn Disk>, file: FileId) -> Result<Vec<String>, OpenError> {
    let database = read_identity(disk)?;
    let mut lines = Vec::new();
    let scan = scan_file(disk, file, database, &mut |frame| {
        lines.push(format!(
            "offset={} lsn={} durable={} kind={} bytes={}",
            frame.offset,
            frame.lsn,
            frame.durable_lsn,
            frame.kind,
            frame.body.len()
        ));
    });
    let scan = scan.map_err(|error| OpenError::Io {
        what: "scan log file",
        source: std::io::Error::other(error),
    })?;
    lines.insert(
        0,
        format!(
            "{file} base_lsn={} synced_lsn={} base={} reset={} frames={} chain_end={}",
            scan.base_lsn, scan.synced_lsn, scan.base, scan.reset, scan.frames, scan.end
        ),
    );
    Ok(lines)
}

/// The sections of a segment.
pub fn describe_segment(disk: &Arc<dyn Disk>, number: u64) -> Result<String, OpenError> {
    let segment = Segment::open(&LocalStore::over(disk), number, read_identity(disk)?)?;
    Ok(segment.describe().to_string())
}

/// What the manifest adds up to, whichever of its files is named.
pub fn describe_manifest(disk: &Arc<dyn Disk>) -> Result<Vec<String>, OpenError> {
    let (_, state) = manifest::read(disk, read_identity(disk)?)?;
    let mut lines = vec![format!(
        "watermark={} next_number={} segments={} controls={}",
        state.watermark,
        state.next_number,
        state.segments.len(),
        state.controls.len()
    )];
    for (number, meta) in &state.segments {
        let rows: u64 = meta.sections.iter().map(|s| u64::from(s.rows)).sum();
        let dead: u64 = state
            .dead
            .iter()
            .filter(|((of, ..), _)| of == number)
            .map(|(_, rows)| rows.len())
            .sum();
        lines.push(format!(
            "segment-{number:016x} level={} bytes={} sections={} rows={rows} dead={dead}",
            meta.level,
            meta.bytes,
            meta.sections.len()
        ));
    }
    Ok(lines)
}

/// A record in quarantine: why it is there, and its envelope. Bodies are shown to nobody.
pub fn describe_quarantine(disk: &Arc<dyn Disk>, lsn: u64) -> Result<Vec<String>, OpenError> {
    let store = LocalStore::over(disk);
    let found = quarantine::read(&store, read_identity(disk)?, lsn);
    let found = found.map_err(|source| OpenError::Io {
        what: "quarantine file",
        source,
    })?;
    let mut lines = vec![format!(
        "lsn={lsn} kind={} record_bytes={} side_bytes={} reason={}",
        found.kind,
        found.record.len(),
        found.side.len(),
        found.reason
    )];
    if let Ok(RecordRef::Ingest { envelope, .. }) = record::decode(found.kind, &found.record) {
        lines.push(format!(
            "project={} key={} dialect={} encoding={} mapping={} received_ns={} digest={:016x}",
            envelope.project,
            envelope.key_id,
            envelope.dialect,
            envelope.encoding,
            envelope.mapping,
            envelope.received_ns,
            envelope.digest
        ));
    }
    Ok(lines)
}
