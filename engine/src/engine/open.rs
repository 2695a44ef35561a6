//! Open: manifest, segments, replay, and only then service.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use obsrv_wal::io::{Disk, FileId, FileKind, Rng};
use obsrv_wal::log::{Log, LogError, LogOptions, RecoverError, Recovered};
use parking_lot::{Condvar, Mutex, RwLock};

use super::check;
use super::gate::Gates;
use super::hold::Hold;
use super::publish::{PublishError, apply_control};
use super::quarantine::{Poisoned, Quarantine, QuarantineError};
use super::queue::Queue;
use super::record::{self, BodyRef, RecordError, RecordRef};
use super::runs::settle;
use super::version::{Places, Writer};
use super::watch::{LastSeen, Progress};
use super::{Engine, Envelope, Interpreter, Options, count, side};
use crate::boundary::{LocalStore, Store};
use crate::cost::Ready;
use crate::manifest::{self, Manifest, ManifestError};
use crate::memtable::Memtable;
use crate::mutant::{Bug, Planted};
use crate::row::{Event, Lsn, ProjectId};
use crate::segment::{Segment, SegmentError};

/// The file that holds the database id. The layer above has the other numbers.
pub(super) const IDENTITY: FileId = FileId::new(FileKind::Secret, 0);
/// A WAL record is at most a group's worth of an inline body and its envelope.
pub(super) const RECORD_BYTES_MAX: u32 = 8 << 20;

/// Why a directory did not open. Nothing was changed that a second try would miss.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused.
    #[error("disk refused what={what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// There is data but no identity file to check it against.
    #[error("identity file is missing or damaged file={IDENTITY}")]
    Identity,
    /// There is data but no manifest that says what of it counts.
    #[error("manifest is missing file=manifest-*")]
    NoManifest,
    /// The manifest does not open.
    #[error("manifest does not open")]
    Manifest(#[from] ManifestError),
    /// A segment that the manifest names does not open.
    #[error("segment does not open")]
    Segment(#[from] SegmentError),
    /// The log is damaged.
    #[error("log does not recover")]
    Recover(#[from] RecoverError),
    /// The log's tail could not be written again.
    #[error("log could not be re-logged")]
    Log(#[from] LogError),
    /// A record could not be applied.
    #[error("record could not be replayed lsn={lsn}")]
    Replay {
        /// Which.
        lsn: Lsn,
        /// Why.
        source: PublishError,
    },
    /// A record that cannot be read again could not be set aside.
    #[error("record could not be quarantined lsn={lsn}")]
    Quarantine {
        /// Which.
        lsn: Lsn,
        /// Why.
        source: QuarantineError,
    },
    /// A record does not read.
    #[error("record does not read lsn={lsn}")]
    Record {
        /// Which.
        lsn: Lsn,
        /// Why.
        source: RecordError,
    },
}

fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> OpenError {
    move |source| OpenError::Io { what, source }
}

fn log_options(options: &Options, database: [u8; 16]) -> LogOptions {
    LogOptions {
        file_bytes: options.wal_file_bytes,
        ..check::wal_options(database)
    }
}

impl Engine {
    /// Opens a directory and recovers what was acknowledged. Starts no thread.
    pub fn open(
        disk: Arc<dyn Disk>,
        rng: &dyn Rng,
        options: Options,
        interpreter: &dyn Interpreter,
    ) -> Result<Arc<Self>, OpenError> {
        Self::open_planted(disk, rng, options, interpreter, Planted::default())
    }

    /// As [`Engine::open`], with a bug planted.
    #[cfg(feature = "mutants")]
    pub fn open_with_bug(
        disk: Arc<dyn Disk>,
        rng: &dyn Rng,
        options: Options,
        interpreter: &dyn Interpreter,
        bug: Option<Bug>,
    ) -> Result<Arc<Self>, OpenError> {
        Self::open_planted(disk, rng, options, interpreter, Planted { bug })
    }

    fn open_planted(
        disk: Arc<dyn Disk>,
        rng: &dyn Rng,
        options: Options,
        interpreter: &dyn Interpreter,
        planted: Planted,
    ) -> Result<Arc<Self>, OpenError> {
        let files = disk.list().map_err(io("list"))?;
        let database = identity(&disk, rng, &files)?;
        let manifest = open_manifest(&disk, database, &files, options.wal_file_bytes, planted)?;
        let store = LocalStore::over(&disk);
        let segments = open_segments(&store, database, &manifest)?;
        let next_number = AtomicU64::new(manifest.state().next_number);
        let first = next_number.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        let costs = interpreter.costs();
        let writer = Writer::new(
            &manifest,
            Arc::new(Places::new(segments, vec![Arc::new(Memtable::new(first))])),
            planted,
            (Arc::clone(&costs), interpreter.mapping()),
        );
        let quarantine = Quarantine::of(&store, database, &files, writer.visible);
        let quarantine = quarantine.map_err(io("quarantine"))?;
        let mut replay = Replay::new(&store, database, interpreter, writer, quarantine);
        let recovered = Log::recover(&disk, log_options(&options, database), &mut |r| {
            replay.visit(r.lsn, r.kind, r.body);
        })?
        .begun()?;
        check_log(&recovered, manifest.state())?;
        let (records, sides) = replay.finish()?;
        // Nothing is served before the tail is durable for certain.
        let log = recovered.resume()?;
        let mut writer = records.writer;
        settle_all(&mut writer, &records.counters)?;
        let engine = Self {
            queue: Queue::new(options.queue_bytes),
            gates: Gates::of(manifest.state()),
            version: RwLock::new(writer.version()),
            catalog: Mutex::new(Box::new(manifest)),
            writer: Mutex::new(writer),
            log: Mutex::new(Box::new(log)),
            failed: false.into(),
            failure: OnceLock::new(),
            scrub_end: Condvar::new(),
            damaged: Mutex::default(),
            purge: Mutex::default(),
            failed_flushes: 0.into(),
            full: false.into(),
            low: false.into(),
            counters: records.counters,
            progress: Progress::default(),
            hold: Hold::default(),
            log_bytes: LastSeen::default(),
            dead_rows: LastSeen::default(),
            background: (Mutex::new(false), Condvar::new()),
            index_due: (Mutex::new(()), Condvar::new()),
            spare_due: (Mutex::new(()), Condvar::new()),
            next_number,
            quarantine: records.quarantine,
            disk,
            store,
            options,
            database,
            planted,
            costs,
        };
        engine.sweep_orphans(&files, &sides);
        Ok(Arc::new(engine))
    }

    /// Removes files that nothing names (I-3). Runs after manifest and log were verified.
    fn sweep_orphans(&self, files: &[FileId], sides: &BTreeSet<u64>) {
        let live = self.version.read();
        for file in files {
            let orphan = match file.kind {
                FileKind::Segment => {
                    let oldest = live.segments().keys().next() == Some(&file.number);
                    !live.segments().contains_key(&file.number)
                        || oldest && self.planted.has(Bug::SweepTakesLiveSegment)
                }
                FileKind::Side => {
                    !sides.contains(&file.number) || self.planted.has(Bug::SweepTakesLiveSide)
                }
                FileKind::Quarantine => !self.quarantine.contains(file.number),
                FileKind::Wal | FileKind::Manifest | FileKind::Secret => false,
            };
            if orphan {
                tracing::info!(%file, "orphan removed");
                self.remove_file(*file);
            }
        }
    }
}

/// Checks that the log has what it must, and says what the process before left in it alone: nothing after a clean stop, or
/// a crash when all of it was flushed.
fn check_log(recovered: &Recovered, listed: &manifest::State) -> Result<(), RecoverError> {
    listed.check_log(recovered)?;
    let (watermark, report) = (listed.watermark, recovered.report());
    let replayed = recovered.last_lsn() - watermark;
    let (files, torn_bytes) = (report.files, report.cut_bytes);
    tracing::info!(replayed, watermark, files, torn_bytes, "log read");
    Ok(())
}

/// Reads the database id.
pub(super) fn read_identity(disk: &Arc<dyn Disk>) -> Result<[u8; 16], OpenError> {
    let mut stored = [0; 20];
    let file = disk.open(IDENTITY).map_err(|_| OpenError::Identity)?;
    file.read_at(0, &mut stored)
        .map_err(|_| OpenError::Identity)?;
    let (id, crc) = stored
        .split_first_chunk::<16>()
        .ok_or(OpenError::Identity)?;
    if crc == crc32fast::hash(id).to_le_bytes() {
        Ok(*id)
    } else {
        Err(OpenError::Identity)
    }
}

/// Reads the database id, or makes one in an empty directory.
fn identity(disk: &Arc<dyn Disk>, rng: &dyn Rng, files: &[FileId]) -> Result<[u8; 16], OpenError> {
    if files.iter().any(|f| f.kind != FileKind::Secret) {
        return read_identity(disk);
    }
    if files.contains(&IDENTITY) {
        // Nothing says that its name was ever synced, and syncing the directory again proves
        // nothing after a failed sync. Nothing was stored under it yet.
        disk.remove(IDENTITY).map_err(io("remove identity"))?;
    }
    let mut id = [0; 16];
    rng.fill(&mut id);
    put_identity(disk, id).map_err(io("create identity"))?;
    Ok(id)
}

/// Writes the file of the database id, which is not there.
pub(super) fn put_identity(disk: &Arc<dyn Disk>, id: [u8; 16]) -> std::io::Result<()> {
    let file = disk.create(IDENTITY)?;
    file.write_at(0, &id)?;
    file.write_at(16, &crc32fast::hash(&id).to_le_bytes())?;
    file.sync_data()?;
    disk.publish(IDENTITY)?;
    disk.sync_dir()
}

/// Begins the log of a directory that has nothing yet. Its name is synced before the manifest is made,
/// so that a directory with a manifest had a log.
fn begin_log(disk: &Arc<dyn Disk>, database: [u8; 16], files: &[FileId]) -> Result<(), OpenError> {
    if files.iter().all(|f| f.kind == FileKind::Secret) {
        let none = Log::recover(disk, check::wal_options(database), &mut |_| {})?;
        none.begin_after(0)?;
    }
    Ok(())
}

/// Whether an open that was cut short left nothing but a log without a record.
fn is_barely_begun(
    disk: &Arc<dyn Disk>,
    database: [u8; 16],
    files: &[FileId],
) -> Result<bool, OpenError> {
    let is_other = |f: &FileId| !matches!(f.kind, FileKind::Secret | FileKind::Wal);
    if files.iter().any(is_other) {
        return Ok(false);
    }
    let log = Log::recover(disk, check::wal_options(database), &mut |_| {})?;
    Ok(log.next_lsn() == 1)
}

fn open_manifest(
    disk: &Arc<dyn Disk>,
    database: [u8; 16],
    files: &[FileId],
    log_file_bytes: u64,
    planted: Planted,
) -> Result<Manifest, OpenError> {
    begin_log(disk, database, files)?;
    let used = files
        .iter()
        .filter(|f| !matches!(f.kind, FileKind::Secret | FileKind::Quarantine))
        .map(|f| f.number);
    let above_files = used.max().map_or(1, |n| n.saturating_add(1));
    // Its name is synced before any other data file but the first of the log is made.
    let is_manifest = |f: &FileId| f.kind == FileKind::Manifest;
    if !files.iter().any(is_manifest) && !is_barely_begun(disk, database, files)? {
        return Err(OpenError::NoManifest);
    }
    let file_bytes = manifest::FILE_BYTES.min(log_file_bytes);
    let manifest = Manifest::open(disk, database, above_files, file_bytes, planted);
    Ok(manifest?)
}

fn open_segments(
    store: &Arc<dyn Store>,
    database: [u8; 16],
    manifest: &Manifest,
) -> Result<BTreeMap<u64, Arc<Segment>>, SegmentError> {
    let numbers = manifest.state().segments.keys();
    numbers
        .map(|&number| Ok((number, Segment::open(store, number, database)?)))
        .collect()
}

/// Remakes the row of every run that the log changes. Nothing is served while one of them cannot be read.
fn settle_all(writer: &mut Writer, counters: &super::Counters) -> Result<(), OpenError> {
    let unread = settle(writer, counters).map(|unread| unread.into_values().next());
    let lsn = writer.visible;
    match unread.unwrap_or_else(Some) {
        Some(source) => Err(OpenError::Replay { lsn, source }),
        None => Ok(()),
    }
}

struct Replayed {
    writer: Writer,
    counters: super::Counters,
    quarantine: Quarantine,
}

/// Applies the records above the watermark to memtables.
struct Replay<'a> {
    store: &'a Arc<dyn Store>,
    database: [u8; 16],
    interpreter: &'a dyn Interpreter,
    writer: Writer,
    counters: super::Counters,
    sides: BTreeSet<u64>,
    quarantine: Quarantine,
    /// Records up to here are in segments.
    watermark: Lsn,
    failed: Option<OpenError>,
}

impl<'a> Replay<'a> {
    fn new(
        store: &'a Arc<dyn Store>,
        database: [u8; 16],
        interpreter: &'a dyn Interpreter,
        writer: Writer,
        quarantine: Quarantine,
    ) -> Self {
        Self {
            store,
            database,
            interpreter,
            watermark: writer.visible,
            writer,
            counters: super::Counters::default(),
            sides: BTreeSet::new(),
            quarantine,
            failed: None,
        }
    }

    fn visit(&mut self, lsn: Lsn, kind: u8, bytes: &[u8]) {
        let done = lsn <= self.watermark && !self.writer.planted.has(Bug::ReplayBelowWatermark);
        if self.failed.is_some() || done {
            return;
        }
        if let Err(error) = self.apply(lsn, kind, bytes) {
            self.failed = Some(error);
        }
        count(&self.counters.replayed, 1);
        self.writer.visible = lsn;
    }

    fn apply(&mut self, lsn: Lsn, kind: u8, bytes: &[u8]) -> Result<(), OpenError> {
        let replay = |source| OpenError::Replay { lsn, source };
        let record =
            record::decode(kind, bytes).map_err(|source| OpenError::Record { lsn, source })?;
        match record {
            RecordRef::Control(body) => {
                apply_control(&mut self.writer, lsn, Bytes::copy_from_slice(body));
                Ok(())
            }
            RecordRef::Delete { .. } if self.writer.planted.has(Bug::DeleteNotReplayed) => Ok(()),
            RecordRef::Delete { project, deletion } => super::publish::apply_delete(
                &mut self.writer,
                &self.counters,
                (lsn, project),
                &deletion,
            )
            .map(drop)
            .map_err(replay),
            RecordRef::Price {
                project,
                trace_id,
                spans,
            } => super::publish::apply_price(
                &mut self.writer,
                &self.counters,
                (lsn, project),
                (trace_id, spans.into_iter()),
            )
            .map_err(replay),
            RecordRef::Map {
                project,
                table,
                rows,
            } => super::publish::apply_map(
                &mut self.writer,
                &self.counters,
                (lsn, project),
                (table, &rows),
            )
            .map_err(replay),
            RecordRef::Ingest { envelope, body } => {
                let (side, mut events) = self.read_ingest((lsn, bytes), &envelope, &body)?;
                self.sides.extend(side);
                let project = ProjectId(envelope.project);
                super::publish::apply(
                    &mut self.writer,
                    &self.counters,
                    (lsn, project),
                    (&mut events, &Ready::default()),
                    side,
                )
                .map_err(replay)
            }
        }
    }

    fn read_ingest(
        &mut self,
        record: (Lsn, &[u8]),
        envelope: &Envelope,
        body: &BodyRef<'_>,
    ) -> Result<(Option<u64>, Vec<Event>), OpenError> {
        match body {
            BodyRef::Inline(body) => {
                let read = self.interpret(envelope, body);
                Ok((None, self.or_quarantine(read, record, envelope, &[])?))
            }
            BodyRef::Side(file) => {
                let body =
                    side::read(self.store, &self.database, *file).map_err(io("side file"))?;
                let read = self.interpret(envelope, &body);
                let events = self.or_quarantine(read, record, envelope, &body)?;
                Ok((Some(file.number), events))
            }
        }
    }

    /// What the interpreter makes of a body, or why it cannot read what it once accepted.
    fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, String> {
        let read = catch_unwind(AssertUnwindSafe(|| {
            self.interpreter.interpret(envelope, body)
        }));
        match read {
            Ok(Ok(events)) if record::digest(&events) == envelope.digest => Ok(events),
            Ok(Ok(_)) => Err("reads as other rows than when it was accepted".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the interpreter panicked".to_owned()),
        }
    }

    /// Sets a poisoned record aside, counted and logged (F31): it must not keep the rest from
    /// opening, and its bytes must be safe before a flush lets the log give them up.
    fn or_quarantine(
        &mut self,
        read: Result<Vec<Event>, String>,
        (lsn, record): (Lsn, &[u8]),
        envelope: &Envelope,
        side: &[u8],
    ) -> Result<Vec<Event>, OpenError> {
        let reason = match read {
            Ok(events) => return Ok(events),
            Err(reason) => reason,
        };
        let poisoned = Poisoned {
            lsn,
            kind: record::KIND_INGEST,
            reason: &reason,
            record,
            side,
        };
        let kept = self.quarantine.keep(self.store, &poisoned);
        kept.map_err(|source| OpenError::Quarantine { lsn, source })?;
        count(&self.counters.quarantined, 1);
        tracing::error!(
            lsn,
            project = envelope.project,
            reason,
            "record quarantined"
        );
        Ok(Vec::new())
    }

    fn finish(self) -> Result<(Replayed, BTreeSet<u64>), OpenError> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok((
                Replayed {
                    writer: self.writer,
                    counters: self.counters,
                    quarantine: self.quarantine,
                },
                self.sides,
            )),
        }
    }
}

#[cfg(test)]
mod tests;
