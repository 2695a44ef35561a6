//! The injected interfaces: [`Disk`], [`Clock`], [`Rng`]; and [`Tree`], for files with names of their own.
//!
//! Nothing else in obsrv touches files, time or randomness. Files of a [`Disk`] are addressed by
//! ([`FileKind`], number), never by path. Numbers are never used twice, names are never recycled.
//! What a crash may do to un-synced writes is written down in `sim`.

mod direct;
mod real;
mod system;
mod tree;
mod written;

use std::fmt;
use std::io;
use std::sync::Arc;

pub use real::{OpenError, RealDisk};
pub use system::{OsRng, SystemClock, lower_priority};
pub use tree::{Facts, RealTree, Tree};
pub use written::Written;

/// Whether a call was refused for want of something that comes back by itself: room on the disk, a quota, a file
/// descriptor of the process or of the system. It says nothing about the disk, and nothing was stored.
pub fn is_want(error: &io::Error) -> bool {
    let descriptors = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) || descriptors
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// What a file holds. Persisted in file names and checksums: never reuse a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FileKind {
    /// A file of the write-ahead log.
    Wal = 1,
    /// A file of the manifest log.
    Manifest = 2,
    /// An immutable columnar segment.
    Segment = 3,
    /// A request body too large for a WAL frame.
    Side = 4,
    /// A small write-once file of the layer above (master secret).
    Secret = 5,
    /// A record that could not be read again.
    Quarantine = 6,
}

impl FileKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 6] = [
        Self::Wal,
        Self::Manifest,
        Self::Segment,
        Self::Side,
        Self::Secret,
        Self::Quarantine,
    ];

    /// The prefix of the file name, e.g. `wal` in `wal-0000000000000001`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Manifest => "manifest",
            Self::Segment => "segment",
            Self::Side => "side",
            Self::Secret => "secret",
            Self::Quarantine => "quarantine",
        }
    }
}

/// The address of a file: its name on disk is `<prefix>-<number as 16 hex digits>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// What it holds.
    pub kind: FileKind,
    /// Its number, unique within the kind for the life of the data directory.
    pub number: u64,
}

impl FileId {
    /// The address that a file name stands for; none if it is not one of ours.
    pub fn from_name(name: &str) -> Option<Self> {
        let (prefix, digits) = name.split_once('-')?;
        let kind = FileKind::ALL
            .into_iter()
            .find(|kind| kind.prefix() == prefix)?;
        let number = u64::from_str_radix(digits, 16).ok()?;
        let id = Self::new(kind, number);
        // One number, one name: no leading plus, no upper case, no missing zeroes.
        (id.to_string() == name).then_some(id)
    }

    /// The address of file `number` of `kind`.
    pub const fn new(kind: FileKind, number: u64) -> Self {
        Self { kind, number }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.kind.prefix(), self.number)
    }
}

/// A directory of numbered files. One process holds it for life (an OFD lock on the real disk).
pub trait Disk: fmt::Debug + Send + Sync {
    /// Creates a file under a temporary name that no one has used before. It gets its own name by
    /// [`Disk::publish`]; temporary files left by a crash are removed when the disk is opened.
    fn create(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a created file its own name. Create-only: an existing `id` is `AlreadyExists`.
    /// Durable only after [`Disk::sync_dir`].
    fn publish(&self, id: FileId) -> io::Result<()>;

    /// Forgets a created file that was not published.
    fn discard(&self, id: FileId) -> io::Result<()>;

    /// Opens a published file for reading and writing in place.
    fn open(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>>;

    /// Unlinks a published file. Open handles stay readable. Durable only after `sync_dir`.
    fn remove(&self, id: FileId) -> io::Result<()>;

    /// The published files, in order.
    fn list(&self) -> io::Result<Vec<FileId>>;

    /// Makes every earlier publish and remove durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// Bytes that can still be written.
    fn free_bytes(&self) -> io::Result<u64>;

    /// How much was written to files of this kind since the disk was opened; nothing where nobody counts.
    fn written(&self, _kind: FileKind) -> Written {
        Written::default()
    }
}

/// An open file. Every method takes `&self`: positions are explicit.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Fills `buf` from `offset`; a range past the end is `UnexpectedEof`.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Writes all of `buf` at `offset`, growing the file if needed. Not durable until `sync_data`.
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()>;

    /// As [`DiskFile::write_at`], for bytes that nobody reads soon: they need not stay in memory.
    /// Cheapest from a multiple of 4 KiB on.
    fn write_cold(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.write_at(offset, buf)
    }

    /// Makes every write so far, and the length, durable. After an error nothing is known about
    /// the ranges written since the last success: never retry it.
    fn sync_data(&self) -> io::Result<()>;

    /// Grows the file to `len` with written zeroes, so that later writes in place change no
    /// metadata. Not durable until `sync_data`.
    fn zero_fill(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Time, injected.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Nanoseconds since the Unix epoch. May jump.
    fn wall_ns(&self) -> i64;

    /// Nanoseconds since an arbitrary start. Never goes backwards.
    fn mono_ns(&self) -> u64;
}

/// Random bytes, injected: operating system entropy in production, a seed in simulation.
pub trait Rng: fmt::Debug + Send + Sync {
    /// Fills `buf`.
    fn fill(&self, buf: &mut [u8]);
}
