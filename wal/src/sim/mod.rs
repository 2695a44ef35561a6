//! The simulated disk, clock and random numbers: the weakest machine that obsrv promises to survive.
//!
//! What a power loss may do (every choice from the seed):
//!
//! | what | model |
//! |---|---|
//! | a write that no sync covers | kept, dropped, torn per 512-byte sector, or only its length kept |
//! | a publish or remove that no `sync_dir` covers | each kept or dropped on its own |
//! | a sync that fails | any part of the pending writes reached the disk, all of them count as clean: reads still show them, no later sync writes them; after a kill the cache may be evicted |
//! | a process kill | nothing is lost |
//! | space | a quota; a write that does not fit stores a part |
//! | a name in the tree ([`SimDisk::tree`]) whose directory was not synced | the same, and what is below a lost directory goes with it |
//! | the call during which it happens | not begun, half done or done |
//! | slow and stuck calls | time goes on by the disk's own clock, and whoever is there ([`SimDisk::meanwhile`]) does what he would do then; the machine may go down before the call returns, its work done or not |
//!
//! [`SimDisk`] is a handle: clones share one disk. The lock inside is held for one call at a time, and not while a call waits.

mod clock;
mod fault;
mod file;
mod rng;
mod state;
mod tree;
mod wait;

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

pub use clock::SimClock;
pub use fault::{Event, Fault, FaultPlan, Hits, Injected, Op, Point, Stuck};
pub use rng::SimRng;
pub use wait::{Meanwhile, Wait};

use crate::io::{Disk, DiskFile, FileId, FileKind};
use file::index;
use state::{How, State};
use wait::Waiting;

/// A simulated disk. See the module.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    waiting: Arc<Waiting>,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        write!(f, "SimDisk(ops={} down={})", state.ops, state.down)
    }
}

impl SimDisk {
    /// An empty disk. All that it ever decides follows from `seed` and the calls made.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
            waiting: Arc::new(Waiting::new(SimClock::new(0))),
        }
    }

    /// A disk of its own with the same content and fate so far.
    pub fn fork(&self, seed: u64) -> Self {
        let mut state = self.state.lock().clone();
        state.rng = rng::Stream::new(seed);
        Self {
            state: Arc::new(Mutex::new(state)),
            waiting: Arc::new(Waiting::new(self.waiting.clock.copy())),
        }
    }

    /// The same disk as the trait object that the code under test takes.
    pub fn handle(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// What shall go wrong from now on.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.state.lock().plan = plan;
    }

    /// The plan in force.
    pub fn plan(&self) -> FaultPlan {
        self.state.lock().plan.clone()
    }

    /// The power goes now. Every call fails until [`SimDisk::restart`].
    pub fn crash(&self) {
        let mut state = self.state.lock();
        if !state.down {
            state.lose_power();
        }
    }

    /// The process is killed now: no write is lost. Every call fails until [`SimDisk::restart`].
    pub fn kill(&self) {
        let mut state = self.state.lock();
        if !state.down {
            state.kill();
        }
    }

    /// The power goes, whether or not the machine is already down from a kill.
    pub fn cut_power(&self) {
        self.state.lock().lose_power();
    }

    /// The machine or process is back. Temporary files are gone, old handles stay dead, and the
    /// single-shot faults of the plan are over (odds and quota stay).
    pub fn restart(&self) {
        self.state.lock().restart();
    }

    /// Whether the machine is down.
    pub fn is_down(&self) -> bool {
        self.state.lock().down
    }

    /// Calls so far: crash points for [`FaultPlan::crash_at`].
    pub fn ops(&self) -> u64 {
        self.state.lock().ops
    }

    /// A hash of every call so far with its arguments and outcome: equal seeds, equal hashes.
    pub fn trace_hash(&self) -> u64 {
        self.state.lock().hash
    }

    /// How often something was made to go wrong so far.
    pub fn injected(&self) -> Injected {
        self.state.lock().injected
    }

    /// How often each fault point was hit.
    pub fn hits(&self) -> Hits {
        self.state.lock().hits.clone()
    }

    /// The bytes that reads of a published file show. Not a call: never fails, never counts.
    pub fn peek(&self, id: FileId) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let number = state.named(id)?;
        state.inode(number).ok().map(|inode| inode.view().to_vec())
    }

    /// The published files. Not a call.
    pub fn names(&self) -> Vec<FileId> {
        self.state.lock().list()
    }

    /// Bytes of all files, as the quota counts them. Not a call.
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().used_bytes()
    }

    /// Decay: inverts the bits of `mask` in the byte at `offset`, on disk and in the cache.
    pub fn flip(&self, id: FileId, offset: u64, mask: u8) {
        self.state.lock().decay(id, &mut |bytes| {
            if let Some(byte) = bytes.get_mut(index(offset)) {
                *byte ^= mask;
            }
        });
    }

    /// Decay: replaces bytes from `offset` on, as a misdirected or stale block does.
    pub fn overwrite(&self, id: FileId, offset: u64, part: &[u8]) {
        self.state.lock().decay(id, &mut |bytes| {
            let start = index(offset).min(bytes.len());
            let end = bytes.len().min(start + part.len());
            bytes[start..end].copy_from_slice(&part[..end - start]);
        });
    }

    /// Decay: cuts a file to `len` bytes.
    pub fn truncate(&self, id: FileId, len: u64) {
        self.state
            .lock()
            .decay(id, &mut |bytes| bytes.truncate(index(len)));
    }

    fn file(&self, kind: FileKind, number: u64, epoch: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            disk: self.clone(),
            kind: Some(kind),
            number,
            epoch,
        })
    }

    /// A call to the directory, by whoever has the disk now.
    fn call<T>(
        &self,
        point: Point,
        arguments: &[u64],
        act: impl FnOnce(&mut State, How) -> io::Result<T>,
    ) -> io::Result<T> {
        let epoch = self.state.lock().epoch;
        self.waited(epoch, |_| point, arguments, act)
    }
}

fn address(id: FileId) -> [u64; 2] {
    [id.kind as u64, id.number]
}

impl Disk for SimDisk {
    fn create(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        let point = Point::of(Op::Create, id.kind);
        let (number, epoch) = self.call(point, &address(id), |state, how| {
            Ok((state.create(id, how)?, state.epoch))
        })?;
        Ok(self.file(id.kind, number, epoch))
    }

    fn publish(&self, id: FileId) -> io::Result<()> {
        let point = Point::of(Op::Publish, id.kind);
        self.call(point, &address(id), |state, how| state.publish(id, how))
    }

    fn discard(&self, id: FileId) -> io::Result<()> {
        let point = Point::of(Op::Discard, id.kind);
        self.call(point, &address(id), |state, how| state.discard(id, how))
    }

    fn open(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        let point = Point::of(Op::Open, id.kind);
        let (number, epoch) = self.call(point, &address(id), |state, _| {
            let number = state.named(id).ok_or(io::ErrorKind::NotFound)?;
            Ok((number, state.epoch))
        })?;
        Ok(self.file(id.kind, number, epoch))
    }

    fn remove(&self, id: FileId) -> io::Result<()> {
        let point = Point::of(Op::Remove, id.kind);
        self.call(point, &address(id), |state, how| state.remove(id, how))
    }

    fn list(&self) -> io::Result<Vec<FileId>> {
        self.call(Point::bare(Op::List), &[], |state, _| Ok(state.list()))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let epoch = self.state.lock().epoch;
        self.waited(epoch, State::waiting, &[], |state, how| {
            state.sync_dir(how);
            Ok(())
        })
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let point = Point::bare(Op::FreeBytes);
        self.call(point, &[], |state, _| Ok(state.free_bytes()))
    }
}

/// A handle of one epoch.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    /// None: it is in the tree.
    kind: Option<FileKind>,
    number: u64,
    epoch: u64,
}

impl SimFile {
    fn call<T>(
        &self,
        op: Op,
        arguments: [u64; 2],
        act: impl FnOnce(&mut State, How) -> io::Result<T>,
    ) -> io::Result<T> {
        let point = Point {
            op,
            kind: self.kind,
        };
        let arguments = [self.number, arguments[0], arguments[1]];
        self.disk.waited(self.epoch, |_| point, &arguments, act)
    }

    fn write(&self, state: &mut State, offset: u64, buf: &[u8], how: How) -> io::Result<()> {
        let len = state.inode(self.number)?.len();
        let fits = len.saturating_add(state.free_bytes());
        let room = index(fits.saturating_sub(offset).min(buf.len() as u64));
        let stored = match how {
            How::Whole => room,
            How::Partly(Fault::Short) => 1 + index(state.rng.below(buf.len() as u64)),
            How::Partly(_) => index(state.rng.below(buf.len() as u64)),
        };
        // A failing call never stores everything: what it stored whole would have succeeded.
        let stored = if how == How::Whole {
            stored
        } else {
            stored.min(buf.len() - 1).min(room)
        };
        state.inode_mut(self.number)?.write(offset, &buf[..stored]);
        if how == How::Whole && room < buf.len() {
            return Err(state.out_of_space());
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.call(Op::ReadAt, [offset, buf.len() as u64], |state, _| {
            state.reads(self.number, offset, buf.len() as u64)?;
            state.inode(self.number)?.read(offset, buf)
        })
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        let digest = u64::from(crc32fast::hash(buf)) << 32 | buf.len() as u64 & 0xffff_ffff;
        self.call(Op::WriteAt, [offset, digest], |state, how| {
            self.write(state, offset, buf, how)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call(Op::SyncData, [0, 0], |state, how| {
            let mut rng = state.rng.clone();
            let inode = state.inode_mut(self.number)?;
            match how {
                How::Whole => inode.sync(),
                How::Partly(_) => inode.fail_sync(&mut rng),
            }
            state.rng = rng;
            Ok(())
        })
    }

    fn zero_fill(&self, len: u64) -> io::Result<()> {
        self.call(Op::ZeroFill, [len, 0], |state, how| {
            let old = state.inode(self.number)?.len();
            let wanted = match how {
                How::Whole => len,
                How::Partly(_) => state.rng.below(len),
            };
            let fits = old.saturating_add(state.free_bytes());
            state.inode_mut(self.number)?.zero_fill(wanted.min(fits));
            if wanted > fits {
                return Err(state.out_of_space());
            }
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.call(Op::Len, [0, 0], |state, _| {
            Ok(state.inode(self.number)?.len())
        })
    }
}

#[cfg(test)]
mod tests;
