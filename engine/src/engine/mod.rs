//! The engine: who writes what when.
//!
//! One writer publishes: it holds the writer lock, appends rows to the active memtable, marks what
//! they supersede, and swaps the version that readers see. Flush and compaction do their reading
//! and writing outside that lock and take it only to commit an edit. Readers take no lock beyond
//! the swap of an `Arc`.
//!
//! Every background job is a step function (`commit_step`, `flush_step`, `compact_step`): the
//! threads of [`Threads`] and the simulator call the same ones.
//!
//! Lock order: log, then writer, then the version.

pub mod backup;
mod change;
pub mod check;
mod commit;
mod compact;
mod damage;
mod deletion;
mod flush;
#[cfg(feature = "forge")]
mod forge;
mod gate;
mod hold;
mod locate;
mod open;
mod pace;
mod pick;
mod publish;
mod purge;
mod quarantine;
mod queue;
mod record;
pub mod repair;
mod runs;
pub mod scrub;
mod share;
mod side;
mod snapshot;
mod space;
mod stats;
mod threads;
mod version;
mod watch;
mod work;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use obsrv_wal::io::Disk;
use parking_lot::{Condvar, Mutex, RwLock};

use crate::boundary::{Catalog, RecordLog, Store};
use crate::cost::{Costs, NoCosts, Ready};
use crate::mapping::{AsStored, Mapping};
use crate::mutant::{Bug, Planted};
use crate::row::{Event, Lsn, ProjectId, Table};
use gate::Gates;
use hold::Hold;
use purge::Purge;
use quarantine::Quarantine;
use queue::Queue;
use runs::{Unread, settle};
use stats::{Counters, add, count};
use version::{Version, Writer};
use watch::{LastSeen, Progress};
use work::Work;

pub use compact::CompactError;
pub use damage::{DAMAGED_BLOCKS_MAX, LeftOut};
pub use deletion::{Deletion, RowAt};
pub use flush::FlushError;
#[cfg(feature = "forge")]
pub use forge::{quarantined, record_reads, records, set_aside};
pub use gate::{FRESH_MAX, Gate, Pressure, SLOW_TIME_MAX, slow_from};
pub use open::OpenError;
pub use pace::{MERGE_PAUSED_MAX, Pace};
pub use purge::PurgeError;
pub use quarantine::{QUARANTINE_BYTES_MAX, QUARANTINE_FILES_MAX, QuarantineError};
pub use queue::{GROUP_BYTES_MAX, GROUP_RECORDS_MAX};
pub use record::{Envelope, RecordError};
pub(crate) use snapshot::share_out;
pub use snapshot::{ReadBody, Snapshot, StoredRow, TraceRows, Visit};
pub use space::RESERVE_BYTES;
pub use stats::Stats;
pub use threads::Threads;
pub use watch::Commits;
pub use written::WrittenBytes;

/// Bodies above this go to a side file instead of the log.
pub const SIDE_BYTES_MIN: usize = 1 << 20;
/// Frozen memtables that may wait for their flush before ingest is refused.
pub const FROZEN_MAX: usize = 4;

/// Smallest and largest WAL file that a memory budget leads to. A start reads the newest file whole and makes
/// another one, so a small machine has small ones; every file costs some syncs, so a large one has not.
const WAL_FILE_BYTES: (u64, u64) = (8 << 20, 64 << 20);

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decoded bytes that a memtable may hold before it is frozen.
    pub memtable_bytes: u64,
    /// Bytes that may wait for a commit.
    pub queue_bytes: u64,
    /// Size of a WAL file.
    pub wal_file_bytes: u64,
    /// Bodies above this go to a side file.
    pub side_bytes_min: usize,
    /// zstd level of flushed segments.
    pub flush_level: i32,
    /// zstd level of compacted segments.
    pub compact_level: i32,
    /// Segments of one level and window that are merged.
    pub merge_min: usize,
    /// Segments that wait for their first merge at which ingest is refused; before that it is to be slowed: see
    /// [`Engine::pressure`].
    pub fresh_max: u64,
    /// Room on the disk that ingest leaves: see [`RESERVE_BYTES`]. 0: none, and nobody looks.
    pub reserve_bytes: u64,
}

impl Options {
    /// The split of one memory budget (DESIGN: memtable is a sixteenth of it).
    pub fn for_memory(bytes: u64) -> Self {
        Self {
            memtable_bytes: (bytes / 16).max(1 << 20),
            queue_bytes: (bytes / 16).max(1 << 20),
            wal_file_bytes: (bytes / 8).clamp(WAL_FILE_BYTES.0, WAL_FILE_BYTES.1),
            side_bytes_min: SIDE_BYTES_MIN,
            flush_level: 1,
            compact_level: 1,
            merge_min: 8,
            fresh_max: FRESH_MAX,
            reserve_bytes: RESERVE_BYTES,
        }
    }
}

/// Reads request bodies; the layer above implements it once for ingest and replay.
pub trait Interpreter: Send + Sync {
    /// The events of a body, the same whenever it is asked.
    fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError>;

    /// Works out what spans cost, for as long as the engine lives.
    fn costs(&self) -> Arc<dyn Costs> {
        Arc::new(NoCosts)
    }

    /// Makes what is stored anew, for as long as the engine lives.
    fn mapping(&self) -> Arc<dyn Mapping> {
        Arc::new(AsStored)
    }
}

/// Why a body could not be read again.
#[derive(Debug, thiserror::Error)]
#[error("body does not read reason={reason}")]
pub struct InterpretError {
    /// In the words of the dialect.
    pub reason: String,
}

/// A request to store.
#[derive(Debug)]
pub struct Submission {
    /// What is needed to read the body again.
    pub envelope: Envelope,
    /// The body as received.
    pub body: Bytes,
    /// What the interpreter made of it.
    pub events: Vec<Event>,
}

/// Proof of durability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The record's position.
    pub lsn: Lsn,
    /// Of a delete: what it hid.
    pub hidden: Hidden,
}

/// What a delete hid, and where that stays until it is purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Rows of every table.
    pub rows: u64,
    /// The segments that they are in. What is in none of them was in memory alone.
    pub segments: BTreeSet<u64>,
}

impl Hidden {
    /// Adds what another one hid.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.segments.extend(other.segments);
    }
}

/// Why a request was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// Nothing stored: too much is waiting at this gate. Retry soon.
    #[error("overloaded, nothing stored gate={0}")]
    Overloaded(Gate),
    /// Nothing stored: the disk is full. Retry later.
    #[error("disk full, nothing stored")]
    NoSpace,
    /// A sync failed: it may or may not be stored. A retry converges.
    #[error("outcome unknown after a failed sync")]
    OutcomeUnknown,
    /// Nothing stored: the engine has failed or is closing.
    #[error("engine closed, nothing stored")]
    Closed,
    /// Nothing stored: larger than a record may be.
    #[error("too large for a record, nothing stored")]
    TooLarge,
}

/// Called once with the outcome, on the thread that knows it.
pub type Done = Box<dyn FnOnce(Result<Receipt, IngestError>) + Send>;

/// What became of the log's next file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// It is not needed yet.
    NotDue,
    /// It is there.
    Made,
    /// It is needed, and the disk refused it: worth another try, but not at once.
    Wanting,
}

/// Whether the engine takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Reads and writes.
    Ready,
    /// The disk is full: reads, deletes and control events only; heals by itself.
    ReadOnly,
    /// A sync failed or an invariant broke: the process must restart.
    Failed,
}

/// An error and everything that caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A store in one directory.
pub struct Engine {
    /// Behind `store`; used by a planted bug alone.
    disk: Arc<dyn Disk>,
    store: Arc<dyn Store>,
    options: Options,
    database: [u8; 16],
    planted: Planted,
    /// What spans cost; the writer has it, too.
    costs: Arc<dyn Costs>,
    queue: Queue,
    gates: Gates,
    log: Mutex<Box<dyn RecordLog>>,
    /// Taken before `writer`, and held while an edit becomes durable: ingest and queries go on.
    catalog: Mutex<Box<dyn Catalog>>,
    writer: Mutex<Writer>,
    version: RwLock<Arc<Version>>,
    next_number: AtomicU64,
    /// As open left it: nothing else writes there.
    quarantine: Quarantine,
    failed: AtomicBool,
    /// Why, in words.
    failure: OnceLock<String>,
    /// Segments that a scrub or a merge found damaged, and how: see [`Engine::damaged`].
    damaged: Mutex<BTreeMap<u64, String>>,
    /// What is left of what was asked to leave the disk.
    purge: Mutex<Purge>,
    /// Flushes that failed since one worked.
    failed_flushes: AtomicU32,
    /// The log was refused room.
    full: AtomicBool,
    /// Less room than the reserve is left.
    low: AtomicBool,
    counters: Counters,
    progress: Progress,
    hold: Hold,
    log_bytes: LastSeen,
    dead_rows: LastSeen,
    /// Whether the background threads must end, and what wakes them.
    background: (Mutex<bool>, Condvar),
    /// What ends the scrub's pause, with the lock of `background`.
    scrub_end: Condvar,
    /// What wakes the index thread.
    index_due: (Mutex<()>, Condvar),
    /// What wakes the thread that makes the log's next file.
    spare_due: (Mutex<()>, Condvar),
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Stores a request; `done` is called after it is on disk and searchable, or refused.
    pub fn submit(&self, mut submission: Submission, done: Done) {
        let done = self.gates.refusals.counting(done);
        if self.hold.is_shut() {
            return done(Err(IngestError::Overloaded(Gate::Reads)));
        }
        let project = ProjectId(submission.envelope.project);
        if self.pressure_on(project) == Pressure::Shut {
            return done(Err(IngestError::Overloaded(Gate::Merges)));
        }
        if !self.takes_its_part(submission.envelope.project, submission.body.len()) {
            return done(Err(IngestError::Overloaded(Gate::Memtables)));
        }
        submission.envelope.digest = record::digest(&submission.events);
        if !self.space_step() && !self.planted.has(Bug::ReserveForIngest) {
            return done(Err(IngestError::NoSpace));
        }
        let side = if submission.body.len() > self.options.side_bytes_min {
            match self.write_side(&submission.body) {
                Ok(side) => Some(side),
                Err(error) => return done(Err(error)),
            }
        } else {
            None
        };
        let ready = Ready::of(&*self.costs, project, &submission.events);
        self.enqueue(Work::Ingest {
            submission,
            side,
            ready,
            done,
        });
    }

    /// Stores an event of the layer above, to be had back from [`Engine::controls`].
    pub fn control(&self, body: Bytes, done: Done) {
        self.enqueue(Work::Control { body, done });
    }

    /// Deletes every row of a trace that is there when the record is committed.
    pub fn delete_trace(&self, project: ProjectId, trace_id: &str, done: Done) {
        self.delete(project, Deletion::Trace(trace_id.into()), done);
    }

    /// Deletes what is there of it when the record is committed.
    pub fn delete(&self, project: ProjectId, deletion: Deletion, done: Done) {
        self.enqueue(Work::Delete {
            project,
            deletion,
            done,
        });
    }

    /// Works out again what these spans of a trace cost, and what its run does: see [`crate::cost`]. Other work waits while it
    /// is done, so whoever has many spans asks for some of them at a time.
    pub fn price_again(
        &self,
        project: ProjectId,
        (trace_id, spans): (Box<str>, Vec<Box<str>>),
        done: Done,
    ) {
        self.enqueue(Work::Price {
            project,
            trace_id,
            spans,
            done,
        });
    }

    /// Derives again what was derived of these rows of a table: see [`crate::mapping`]. Other work waits while it is done, as it
    /// does for [`Engine::price_again`].
    pub fn map_again(&self, project: ProjectId, (table, rows): (Table, Vec<RowAt>), done: Done) {
        self.enqueue(Work::Map {
            project,
            table,
            rows,
            done,
        });
    }

    /// Every control event, oldest first.
    pub fn controls(&self) -> Vec<(Lsn, Bytes)> {
        let catalog = self.catalog.lock();
        let mut all = catalog.state().controls.clone();
        all.extend(self.writer.lock().controls());
        all
    }

    /// What a query reads: all records up to one LSN, whatever happens meanwhile.
    ///
    /// Where the disk refuses to read what a run's row is made of, it refuses every question about that
    /// project. If a row does not decode, the engine fails and the snapshot refuses every question.
    pub fn snapshot(&self) -> Snapshot {
        add(&self.gates.beats.asked, 1);
        let mut writer = self.writer.lock();
        let mut unread = Unread::new();
        if writer.stale {
            unread = match settle(&mut writer, &self.counters) {
                Ok(unread) => unread,
                Err(error) => {
                    self.fail("publish", &error);
                    return Snapshot::refusing(writer.version());
                }
            };
            *self.version.write() = writer.version();
            writer.stale = !unread.is_empty();
        }
        Snapshot::new(Arc::clone(&self.version.read()), unread, self.planted)
    }

    /// Whether it takes writes.
    pub fn state(&self) -> State {
        if self.failed.load(Ordering::Acquire) {
            State::Failed
        } else if self.full.load(Ordering::Acquire) || self.low.load(Ordering::Acquire) {
            State::ReadOnly
        } else {
            State::Ready
        }
    }

    /// Why it has failed, if it has: the first cause, with all that led to it.
    pub fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// Group commits: one that does not end is a disk that does not answer.
    pub fn commits(&self) -> Commits {
        self.progress.commits()
    }

    fn enqueue(&self, work: Work) {
        if self.state() == State::Failed {
            return work.finish(Err(IngestError::Closed));
        }
        if self.hold.is_shut() {
            return work.finish(Err(IngestError::Overloaded(Gate::Reads)));
        }
        match self.queue.push(work) {
            Ok(()) => {}
            Err(queue::Refused::Full(work)) => {
                work.finish(Err(IngestError::Overloaded(Gate::Queue)));
            }
            Err(queue::Refused::Closed(work)) => work.finish(Err(IngestError::Closed)),
        }
    }

    fn frozen_count(&self) -> usize {
        self.version.read().memtables().len().saturating_sub(1)
    }

    fn new_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::AcqRel)
    }

    /// Stops taking writes for good. The process must restart.
    fn fail(&self, what: &str, error: &dyn std::error::Error) {
        let cause = self
            .failure
            .get_or_init(|| format!("{what}: {}", chain(error)));
        if !self.failed.swap(true, Ordering::AcqRel) {
            tracing::error!(cause, "engine failed, restart needed");
        }
        self.queue.close();
    }

    fn wake_background(&self) {
        self.background.1.notify_all();
    }

    /// Wakes the threads that work ahead of need, if there is much to do.
    fn wake_helpers(&self) {
        let due = {
            let writer = self.writer.lock();
            Self::many_behind(&writer) || writer.active().is_behind()
        };
        if due {
            self.index_due.1.notify_one();
        }
        if self.log.lock().wants_spare() {
            self.spare_due.1.notify_one();
        }
    }

    /// Makes the next file of the log ahead of need.
    pub fn spare_step(&self) -> Ahead {
        let work = self.log.lock().ask_spare();
        let Some(work) = work else {
            return Ahead::NotDue;
        };
        let spare = work.make();
        let done = if spare.is_made() {
            Ahead::Made
        } else {
            Ahead::Wanting
        };
        self.log.lock().take_spare(spare);
        done
    }

    /// Does some of the work that queries would otherwise find undone. False when there is none.
    pub fn index_step(&self) -> bool {
        if let Err(error) = self.settle_if_many() {
            self.fail("publish", &error);
            return false;
        }
        let (active, is_freeze_due) = {
            let writer = self.writer.lock();
            (writer.active(), writer.freeze_due)
        };
        if is_freeze_due {
            self.freeze();
        }
        active.index_step()
    }
}
