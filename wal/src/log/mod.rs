//! The log: numbered records, appended in groups, durable before anyone is told.
//!
//! The WAL and the manifest are both one of these. A group of records is one write and one sync;
//! only a successful sync makes a [`Durable`], and a failed one poisons the log for good, because
//! the page cache may then show what the disk does not have. Files are zero-filled ahead of need
//! and never reused. Recovery ([`Log::recover`]) tells a torn tail, which is cut, from damage to
//! what was acknowledged, which stops it; what no later frame witnesses as durable is written
//! again into a new file ([`Recovered::resume`]) before it is served.

#[cfg(any(test, feature = "forge"))]
mod forge;
mod format;
mod link;
mod mutant;
mod reading;
mod recover;
mod scan;
mod seal;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use crate::io::{Disk, DiskFile, FileId, FileKind, is_want};
use format::{Frame, HEADER_BYTES, Header, Spot};
use link::Link;
use mutant::{Bug as PlantedBug, Planted};
use seal::{Publish, Seal, prepare, publish};

#[cfg(any(test, feature = "forge"))]
pub use forge::{Forged, ForgedFrame};
#[cfg(feature = "mutants")]
pub use mutant::Bug;
pub use recover::{RecoverError, Recovered, TailReport};
pub use scan::{FileScan, ScanError, ScannedFrame, scan_file, scan_frames};

/// Kind of the frames that only carry the durable LSN, or a link. Not shown to readers.
const KIND_WATERMARK: u8 = 0;
/// A file is left for the next one when less than this is free in it.
const GROUP_RESERVE_BYTES: u64 = 5 << 20;

/// Largest group, frame headers included: what the gathering buffer may grow to.
pub const GROUP_BYTES_MAX: usize = 128 << 20;
/// Largest log file. Recovery reads a file whole.
pub const FILE_BYTES_MAX: u64 = 1 << 30;

/// Settings of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// Which files.
    pub kind: FileKind,
    /// Part of every checksum.
    pub database: [u8; 16],
    /// Size to which a file is zero-filled.
    pub file_bytes: u64,
    /// Largest record body.
    pub record_bytes_max: u32,
}

/// A record, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number; the first of a log is 1, and there are no gaps.
    pub lsn: u64,
    /// As given to [`Log::append`].
    pub kind: u8,
    /// As given to [`Log::append`].
    pub body: &'a [u8],
}

/// Proof that every record up to an LSN is on disk. Only a successful sync makes one.
#[derive(Debug)]
pub struct Durable(u64);

impl Durable {
    /// The last record that is on disk.
    pub fn lsn(&self) -> u64 {
        self.0
    }

    /// A proof of nothing, for a planted bug of the layer above.
    #[cfg(feature = "mutants")]
    pub fn forged(lsn: u64) -> Self {
        Self(lsn)
    }
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk is full, or there is no descriptor for another file. Nothing of the group is stored; the log stays usable.
    #[error("disk full, group not stored")]
    NoSpace,
    /// A write or sync failed: whether the group is stored is not known, and the log is done for.
    #[error("outcome unknown after a failed write or sync")]
    OutcomeUnknown(#[source] io::Error),
    /// An earlier failure made the log unusable.
    #[error("log is poisoned by an earlier failure")]
    Poisoned,
    /// The record is larger than the log takes.
    #[error("record too large bytes={bytes} limit={limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most.
        limit: u32,
    },
}

/// A file of the log and where its records begin.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: FileId,
    base_lsn: u64,
    /// Older files do not count.
    reset: bool,
}

/// Files that a log needs no more, oldest first.
#[derive(Debug)]
pub struct TrimWork {
    disk: Arc<dyn Disk>,
    files: Vec<FileId>,
}

/// Files that are gone.
#[derive(Debug)]
pub struct Trimmed(Vec<FileId>);

impl TrimWork {
    /// Removes the files one after the other, so that what a crash brings back is never in the
    /// middle. What cannot be removed now goes with the next trim.
    pub fn run(self) -> Trimmed {
        let mut gone = Vec::new();
        for file in self.files {
            // Not there: removed by an earlier call of which only the sync failed.
            let removed = match self.disk.remove(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => self.disk.sync_dir(),
            };
            if let Err(error) = removed {
                tracing::warn!(%file, %error, "old log file not removed");
                break;
            }
            gone.push(file);
        }
        Trimmed(gone)
    }
}

/// A file that a log wants made.
#[derive(Debug)]
pub struct SpareWork {
    disk: Arc<dyn Disk>,
    id: FileId,
    bytes: u64,
}

impl SpareWork {
    /// Zero-fills and syncs it. Takes as long as that takes.
    pub fn make(self) -> Spare {
        Spare {
            made: prepare(&self.disk, self.id, self.bytes),
            id: self.id,
        }
    }
}

/// A file that was made for a log, or why it was not.
#[derive(Debug)]
pub struct Spare {
    id: FileId,
    made: io::Result<Arc<dyn DiskFile>>,
}

impl Spare {
    /// Whether there is a file.
    pub fn is_made(&self) -> bool {
        self.made.is_ok()
    }
}

/// An open log. One owner appends and syncs.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    /// Oldest first; the last is written to.
    places: Vec<Place>,
    file: Arc<dyn DiskFile>,
    /// What the file before must say before anything is appended to this one.
    unlinked: Option<Link>,
    /// Zero-filled, synced, not yet named.
    spare: Option<(FileId, Arc<dyn DiskFile>)>,
    /// Somebody makes a spare file meanwhile.
    spare_asked: bool,
    next_file: u64,
    /// Where the next group goes.
    offset: u64,
    /// Frames of the group that is gathered.
    group: Vec<u8>,
    next_lsn: u64,
    durable_lsn: u64,
    /// How far a frame on disk says that the log is durable.
    witnessed_lsn: u64,
    previous_crc: u32,
    /// Where to go back to when the group is not stored.
    group_start: (u64, u32),
    attempt: u32,
    poisoned: bool,
    planted: Planted,
}

impl Log {
    /// Adds a record to the group that the next [`Log::sync`] makes durable.
    pub fn append(&mut self, kind: u8, parts: &[&[u8]]) -> Result<u64, LogError> {
        assert!(
            kind != KIND_WATERMARK,
            "BUG: record kind 0 is the log's own"
        );
        let lsn = self.put(kind, parts)?;
        self.next_lsn += 1;
        Ok(lsn)
    }

    /// Adds a frame with the next LSN, which only a record uses up.
    fn put(&mut self, kind: u8, parts: &[&[u8]]) -> Result<u64, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        let bytes = parts.iter().map(|p| p.len()).sum();
        let limit = self.options.record_bytes_max;
        let len = u32::try_from(bytes).ok().filter(|len| *len <= limit);
        let len = len.ok_or(LogError::TooLarge { bytes, limit })?;
        if self.group.len().saturating_add(Frame::size(bytes)) > GROUP_BYTES_MAX {
            return Err(LogError::TooLarge { bytes, limit });
        }
        if self.group.is_empty() {
            self.make_room(len)?;
            self.group_start = (self.next_lsn, self.previous_crc);
        }
        let lsn = self.next_lsn;
        let frame = Frame {
            len,
            lsn,
            durable: self.durable_lsn,
            previous_crc: self.previous_crc,
            kind,
            attempt: self.attempt,
        };
        let offset = self.offset + as_u64(self.group.len());
        self.previous_crc = frame.put(self.spot(offset), parts, &mut self.group);
        Ok(lsn)
    }

    /// Makes everything appended durable: one write, one sync. A failed sync is final.
    pub fn sync(&mut self) -> Result<Durable, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        if self.group.is_empty() {
            return Ok(Durable(self.durable_lsn));
        }
        let group = std::mem::take(&mut self.group);
        if let Err(error) = self.file.write_at(self.offset, &group) {
            return Err(self.take_back(error));
        }
        if let Err(error) = self.sync_file() {
            self.poisoned = true;
            return Err(LogError::OutcomeUnknown(error));
        }
        self.offset += as_u64(group.len());
        // Every frame of the group said how far the log was durable before it.
        self.witnessed_lsn = self.durable_lsn;
        self.durable_lsn = self.next_lsn - 1;
        self.group = group;
        self.group.clear();
        Ok(Durable(self.durable_lsn))
    }

    fn sync_file(&self) -> io::Result<()> {
        if self.planted.has(PlantedBug::AckBeforeSync) {
            return Ok(());
        }
        match self.file.sync_data() {
            Err(_) if self.planted.has(PlantedBug::TrustSecondSync) => self.file.sync_data(),
            result => result,
        }
    }

    /// Writes a frame that only says how far the log is durable, so that damage to the last group
    /// can be told from a torn tail. Call it when the log has been idle; it does nothing when a
    /// frame already says so. It uses up no LSN.
    pub fn watermark(&mut self) -> Result<Durable, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        if self.group.is_empty() && self.wants_watermark() {
            self.put(KIND_WATERMARK, &[])?;
        }
        self.sync()
    }

    /// Whether no frame on disk says yet that the last record is durable.
    pub fn wants_watermark(&self) -> bool {
        !self.poisoned && self.witnessed_lsn < self.durable_lsn
    }

    /// Starts a new file with one record that stands for everything before it. What is gathered is
    /// synced first. The files since the checkpoint before stay, older ones go: from those a repair
    /// makes again what a damaged checkpoint said.
    ///
    /// `NoSpace`: nothing is stored, the log stays usable.
    pub fn checkpoint(&mut self, kind: u8, parts: &[&[u8]]) -> Result<Durable, LogError> {
        self.sync()?;
        self.link()?;
        // Its number is below that of the file to come, so it could never be used after it.
        if let Some((id, _)) = self.spare.take() {
            self.discard(id);
        }
        let number = self.next_file;
        self.next_file += 1;
        let seal = Seal {
            disk: Arc::clone(&self.disk),
            options: self.options,
            places: self.places.clone(),
            before: Some(self.end()),
            number,
            base_lsn: self.next_lsn,
            reset: true,
            planted: self.planted,
        };
        match seal.write(&mut |writer| writer.frame(kind, parts)) {
            Ok(log) => *self = log,
            Err(Publish::Not(error)) => return Err(self.refuse(error)),
            Err(Publish::Unknown(error)) => return Err(self.poison(error)),
        }
        self.try_link()?;
        self.drop_older();
        Ok(Durable(self.durable_lsn))
    }

    /// The removal of older files of which every record is at or below `through`, to be done while
    /// the log goes on. Give what came of it to [`Log::take_trimmed`].
    pub fn trim(&self, through: u64) -> TrimWork {
        let next_bases = self.places.iter().skip(1).map(|p| p.base_lsn);
        let count = next_bases
            .take_while(|base| *base <= through.saturating_add(1))
            .count();
        self.removal(count)
    }

    /// Removes the files before the last checkpoint but one.
    fn drop_older(&mut self) {
        let resets = self.places.iter().enumerate().rev();
        let before = resets.filter(|(_, place)| place.reset).nth(1);
        let trimmed = self.removal(before.map_or(0, |(at, _)| at)).run();
        self.take_trimmed(trimmed);
    }

    fn removal(&self, count: usize) -> TrimWork {
        TrimWork {
            disk: Arc::clone(&self.disk),
            files: self.places.iter().take(count).map(|p| p.file).collect(),
        }
    }

    /// Forgets files that were removed. How many.
    pub fn take_trimmed(&mut self, trimmed: Trimmed) -> usize {
        let before = self.places.len();
        self.places.retain(|place| !trimmed.0.contains(&place.file));
        before - self.places.len()
    }

    /// Makes the next file ahead of need, so that a group does not wait for it.
    pub fn prepare_next(&mut self) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        if self.spare.is_none() {
            let id = FileId::new(self.options.kind, self.next_file);
            // Used up even if it fails: what a failed call left behind may hold the name.
            self.next_file += 1;
            let made = prepare(&self.disk, id, self.options.file_bytes);
            let file = made.map_err(|error| self.refuse(error))?;
            self.spare = Some((id, file));
        }
        Ok(())
    }

    /// Whether the file that is written to is half full and the next one is not there yet.
    pub fn wants_spare(&self) -> bool {
        let half = self.options.file_bytes / 2;
        !self.poisoned && !self.spare_asked && self.spare.is_none() && self.offset > half
    }

    /// The making of the next file, to be done while the log goes on. Give what came of it to
    /// [`Log::take_spare`]. A log that needs the file earlier makes one itself.
    pub fn ask_spare(&mut self) -> Option<SpareWork> {
        if !self.wants_spare() {
            return None;
        }
        self.spare_asked = true;
        let id = FileId::new(self.options.kind, self.next_file);
        self.next_file += 1;
        Some(SpareWork {
            disk: Arc::clone(&self.disk),
            id,
            bytes: self.options.file_bytes,
        })
    }

    /// Keeps a file for later, unless it comes too late. That none could be made is no error yet.
    pub fn take_spare(&mut self, spare: Spare) {
        self.spare_asked = false;
        let id = spare.id;
        match spare.made {
            Ok(file) => {
                // Numbers of files in use ascend, so one below the last can never be used.
                let late = self
                    .places
                    .last()
                    .is_some_and(|p| p.file.number > id.number);
                if late || self.poisoned || self.spare.is_some() {
                    self.discard(id);
                } else {
                    self.spare = Some((id, file));
                }
            }
            Err(error) => tracing::warn!(file = %id, %error, "next log file not made ahead"),
        }
    }

    fn discard(&self, id: FileId) {
        // Only space: it goes when the directory is next opened.
        if let Err(error) = self.disk.discard(id) {
            tracing::warn!(file = %id, %error, "unused log file not removed");
        }
    }

    /// The number of the next record.
    pub fn next_lsn(&self) -> u64 {
        self.next_lsn
    }

    /// The last record that is on disk.
    pub fn durable_lsn(&self) -> u64 {
        self.durable_lsn
    }

    /// Bytes of all files, as zero-filled.
    pub fn bytes(&self) -> u64 {
        as_u64(self.places.len()).saturating_mul(self.options.file_bytes)
    }

    /// How many files.
    pub fn files(&self) -> usize {
        self.places.len()
    }

    fn spot(&self, offset: u64) -> Spot {
        let file = self.places.last().expect("BUG: a log has a file").file;
        Spot {
            database: self.options.database,
            file,
            offset,
            planted: self.planted,
        }
    }

    /// Goes on to the next file when the group might not fit.
    fn make_room(&mut self, len: u32) -> Result<(), LogError> {
        self.link()?;
        let reserve = GROUP_RESERVE_BYTES.min(self.options.file_bytes / 8);
        let need = as_u64(Frame::size(usize::try_from(len).unwrap_or(0))).max(reserve);
        let fresh = self.offset == as_u64(HEADER_BYTES);
        if fresh || self.offset.saturating_add(need) <= self.options.file_bytes {
            return Ok(());
        }
        self.begin_next()
    }

    /// Goes on to the next file, whatever room is left in this one: after that [`Log::trim`] can give up
    /// every record so far. What is gathered is synced first. Answers the last of those records.
    ///
    /// `NoSpace`: the log goes on where it was.
    pub fn turn(&mut self) -> Result<u64, LogError> {
        self.sync()?;
        self.link()?;
        if self.offset > as_u64(HEADER_BYTES) {
            self.begin_next()?;
        }
        Ok(self.durable_lsn)
    }

    fn begin_next(&mut self) -> Result<(), LogError> {
        self.prepare_next()?;
        let (id, file) = self.spare.take().expect("BUG: just prepared");
        let header = Header {
            file: id,
            base: false,
            reset: false,
            len: file_len(self.options.file_bytes),
            base_lsn: self.next_lsn,
            synced_lsn: self.durable_lsn,
        };
        let published = publish(
            &self.disk,
            &file,
            &header,
            self.options.database,
            self.planted,
        );
        published.map_err(|error| match error {
            Publish::Not(error) => self.refuse(error),
            Publish::Unknown(error) => self.poison(error),
        })?;
        self.unlinked = Some(self.end().link(id));
        self.places.push(Place {
            file: id,
            base_lsn: self.next_lsn,
            reset: false,
        });
        self.file = file;
        self.offset = as_u64(HEADER_BYTES);
        self.previous_crc = 0;
        self.link()
    }

    /// What an error before anything of the group was written means.
    fn refuse(&mut self, error: io::Error) -> LogError {
        if is_want(&error) {
            return LogError::NoSpace;
        }
        self.poison(error)
    }

    fn poison(&mut self, error: io::Error) -> LogError {
        self.poisoned = true;
        LogError::OutcomeUnknown(error)
    }

    /// After a failed write: blots out the first frame of the group, so that recovery cannot find
    /// what is about to be answered as "not stored".
    fn take_back(&mut self, error: io::Error) -> LogError {
        let blotted = self
            .file
            .write_at(self.offset, &[0; 8])
            .and_then(|()| self.file.sync_data());
        if !is_want(&error) || blotted.is_err() {
            self.poisoned = true;
            return LogError::OutcomeUnknown(error);
        }
        // A later group with the same bytes must not chain to what is left of this one.
        self.attempt += 1;
        (self.next_lsn, self.previous_crc) = self.group_start;
        LogError::NoSpace
    }
}

/// The length that a file's header states.
fn file_len(bytes: u64) -> u32 {
    u32::try_from(bytes.min(FILE_BYTES_MAX)).expect("BUG: limit of a log file above 4 GiB")
}

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
