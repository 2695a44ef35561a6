//! A disk that lets other steps run in the middle of a flush or compaction, as threads do.
//!
//! Flush and compaction write their segment without holding a lock of the engine. At some of those
//! calls, chosen from the seed, this disk commits a group, flushes or compacts on the same thread
//! before it goes on. It also notes at every call which records a reader could see: none of them may
//! be gone after a crash (I-2).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use obsrv_engine::engine::{Engine, Pace};
use obsrv_engine::io::{Clock as _, Disk, DiskFile, FileId, FileKind};
use obsrv_wal::sim::SimClock;
use parking_lot::Mutex;

use super::cover::Step;
use super::desk::Desk;

/// One call in so many on a new segment is interrupted.
const ONE_IN: u64 = 4;

#[derive(Debug)]
pub(super) struct Weave {
    desk: Arc<Desk>,
    engine: Mutex<Weak<Engine>>,
    /// What is written to: only one step at a time is interrupted.
    outer: Mutex<Option<Step>>,
    inside: AtomicBool,
}

impl Weave {
    pub(super) fn new(desk: Arc<Desk>) -> Arc<Self> {
        Arc::new(Self {
            desk,
            engine: Mutex::new(Weak::new()),
            outer: Mutex::new(None),
            inside: AtomicBool::new(false),
        })
    }

    pub(super) fn attach(&self, engine: &Arc<Engine>) {
        *self.engine.lock() = Arc::downgrade(engine);
    }

    /// Runs a step that may be interrupted.
    pub(super) fn open_to<T>(&self, step: Step, act: impl FnOnce() -> T) -> T {
        *self.outer.lock() = Some(step);
        let result = act();
        *self.outer.lock() = None;
        result
    }

    fn before(&self, kind: Option<FileKind>, writes: bool) {
        let engine = self.engine.lock().upgrade();
        let Some(engine) = engine else { return };
        self.desk
            .seen
            .fetch_max(engine.snapshot().lsn(), Ordering::Relaxed);
        let outer = *self.outer.lock();
        let Some(outer) = outer.filter(|_| writes && kind == Some(FileKind::Segment)) else {
            return;
        };
        if self.inside.swap(true, Ordering::Relaxed) {
            return;
        }
        if self.desk.rng.chance(ONE_IN) {
            self.interrupt(&engine, outer);
        }
        self.inside.store(false, Ordering::Relaxed);
    }

    /// A step pauses in the middle of its work, as a merge does between two of its own.
    pub(super) fn pause(&self) {
        self.before(Some(FileKind::Segment), true);
    }

    fn interrupt(&self, engine: &Engine, outer: Step) {
        let inner = match (outer, self.desk.rng.below(3)) {
            (Step::Compact, 0) => Step::Flush,
            (Step::Flush, 0) => Step::Compact,
            _ => Step::Commit,
        };
        match inner {
            Step::Flush => {
                engine.freeze();
                drop(self.desk.during(inner, || engine.flush_step()));
            }
            Step::Compact => drop(self.desk.during(inner, || engine.compact_step())),
            _ => self.desk.ask_and_commit(engine),
        }
        let mut coverage = self.desk.coverage.lock();
        *coverage.woven.entry((outer, inner)).or_default() += 1;
    }
}

/// Runs a merge on the simulated machine: time passes where the disk is slow, and in pauses others have their turn.
pub(super) struct Unhurried<'a> {
    pub(super) clock: Arc<SimClock>,
    pub(super) weave: &'a Weave,
}

impl Pace for Unhurried<'_> {
    fn mono_ns(&self) -> u64 {
        self.clock.mono_ns()
    }

    fn is_over(&self) -> bool {
        false
    }

    fn pause(&self, time: Duration) {
        self.clock
            .advance(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        self.weave.pause();
    }
}

/// The disk under test, with other steps woven in.
#[derive(Debug)]
pub(super) struct WovenDisk {
    pub(super) under: Arc<dyn Disk>,
    pub(super) weave: Arc<Weave>,
}

#[derive(Debug)]
struct WovenFile {
    under: Arc<dyn DiskFile>,
    kind: FileKind,
    weave: Arc<Weave>,
}

impl WovenDisk {
    fn file(&self, id: FileId, under: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(WovenFile {
            under,
            kind: id.kind,
            weave: Arc::clone(&self.weave),
        })
    }

    fn note(&self, id: FileId) {
        self.weave.before(Some(id.kind), false);
    }
}

impl Disk for WovenDisk {
    fn create(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        self.weave.before(Some(id.kind), true);
        Ok(self.file(id, self.under.create(id)?))
    }
    fn publish(&self, id: FileId) -> io::Result<()> {
        self.weave.before(Some(id.kind), true);
        self.under.publish(id)
    }
    fn discard(&self, id: FileId) -> io::Result<()> {
        self.note(id);
        self.under.discard(id)
    }
    fn open(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        self.note(id);
        Ok(self.file(id, self.under.open(id)?))
    }
    fn remove(&self, id: FileId) -> io::Result<()> {
        self.note(id);
        self.under.remove(id)
    }
    fn list(&self) -> io::Result<Vec<FileId>> {
        self.under.list()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.weave.before(None, false);
        self.under.sync_dir()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.under.free_bytes()
    }
}

impl DiskFile for WovenFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.under.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.weave.before(Some(self.kind), true);
        self.under.write_at(offset, buf)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.weave.before(Some(self.kind), true);
        self.under.sync_data()
    }
    fn zero_fill(&self, len: u64) -> io::Result<()> {
        self.weave.before(Some(self.kind), false);
        self.under.zero_fill(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.under.len()
    }
}
