//! What can go wrong, when, and how often it did.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use crate::io::{FileId, FileKind};

/// A call on the disk or on one of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    missing_docs,
    reason = "each is the method of `Disk`, `DiskFile` or `Tree` with its name, or that comes nearest"
)]
pub enum Op {
    Create,
    Publish,
    Discard,
    Open,
    Remove,
    List,
    SyncDir,
    FreeBytes,
    ReadAt,
    WriteAt,
    SyncData,
    ZeroFill,
    Len,
    MakeDirs,
    RemoveDir,
}

/// A sort of call: what it does, to which kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// What is done.
    pub op: Op,
    /// To which kind of file. Of a `sync_dir`: the last name that waits for it. None where no one
    /// file is meant, and in the tree.
    pub kind: Option<FileKind>,
}

impl Point {
    /// A call on a file of one kind.
    pub const fn of(op: Op, kind: FileKind) -> Self {
        Self {
            op,
            kind: Some(kind),
        }
    }

    /// A call on no file.
    pub const fn bare(op: Op) -> Self {
        Self { op, kind: None }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.map_or("-", FileKind::prefix);
        write!(f, "{:?} {kind}", self.op)
    }
}

/// How often something was made to go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Power losses during a call.
    pub power_losses: u64,
    /// Kills during a call.
    pub kills: u64,
    /// Failing calls, those for want of space included.
    pub failures: u64,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// An I/O error. A write may have stored a part, a publish or a remove may have happened.
    Eio,
    /// No space: a write may have stored a part.
    NoSpace,
    /// A write that stores a part, at least one byte, and then an error.
    Short,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 3] = [Self::Eio, Self::NoSpace, Self::Short];

    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Eio => io::Error::from_raw_os_error(EIO),
            Self::NoSpace => io::Error::from_raw_os_error(ENOSPC),
            Self::Short => io::Error::from(io::ErrorKind::WriteZero),
        }
    }
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A fault point: something that the simulator can do, counted each time it does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A call was made.
    Call(Point),
    /// A call failed on purpose.
    Failed(Point, Fault),
    /// The power went during a call.
    PowerLoss(Point),
    /// The process was killed during a call.
    Killed(Point),
    /// A power loss kept a write that was not synced.
    WriteKept,
    /// A power loss dropped a write that was not synced.
    WriteDropped,
    /// A power loss kept some sectors of a write that was not synced.
    WriteTorn,
    /// A power loss kept the length that a write gave the file, but zeroes in place of its bytes.
    WriteZeroed,
    /// A power loss kept a publish or remove that was not synced.
    NameKept,
    /// A power loss dropped a publish or remove that was not synced.
    NameDropped,
    /// After a failed sync the cache was evicted: reads now show what the disk has.
    Evicted,
    /// The quota ran out.
    QuotaHit,
    /// Bytes were changed by the harness: a flipped bit, a misdirected block, a cut file.
    Decayed,
    /// A call took its time.
    Slow(Point),
    /// A call did not return for as long as the plan says.
    Stuck(Point),
    /// The machine or process went down while a call was stuck.
    EndedStuck(Point),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(point) => write!(f, "call {point}"),
            Self::Failed(point, fault) => write!(f, "failed {point} {fault:?}"),
            Self::PowerLoss(point) => write!(f, "power loss {point}"),
            Self::Killed(point) => write!(f, "killed {point}"),
            Self::Slow(point) => write!(f, "slow {point}"),
            Self::Stuck(point) => write!(f, "stuck {point}"),
            Self::EndedStuck(point) => write!(f, "ended while stuck {point}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// How often each fault point was hit.
pub type Hits = BTreeMap<Event, u64>;

/// What shall go wrong. Call numbers count from 1 over the life of the disk ([`super::SimDisk::ops`]).
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    /// The power goes during this call.
    pub crash_at: Option<u64>,
    /// The process is killed during this call.
    pub kill_at: Option<u64>,
    /// This call fails.
    pub fail_at: Option<(u64, Fault)>,
    /// Calls of this sort fail once in so many, at random.
    pub odds: Vec<(Op, Fault, u64)>,
    /// From this call on, so many calls long, every read of a file fails.
    pub refuse_reads: Option<(u64, u64)>,
    /// Every read of this byte of a file fails: a bad sector.
    pub refuse_byte: Option<(FileId, u64)>,
    /// Bytes that all files together may have.
    pub quota: Option<u64>,
    /// Un-synced directory operations survive a power loss in order (as on a journalling file
    /// system) instead of each independently.
    pub names_in_order: bool,
    /// One call in so many takes up to so many nanoseconds.
    pub slow: Option<(u64, u64)>,
    /// A call that does not return for long.
    pub stuck: Option<Stuck>,
}

/// A call that does not return for long, or never: whoever meanwhile takes the machine down decides that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Its number. It counts once it is made, so calls that others make meanwhile may get this number if it is not
    /// done yet.
    pub call: u64,
    /// For how long.
    pub ns: u64,
    /// Whether its work is done before that, or after.
    pub is_done: bool,
}
