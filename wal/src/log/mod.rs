//! The log: numbered records, appended in groups, durable before anyone is told.
//!
//! The WAL and the manifest are both one of these. A group of records is one write and one sync;
//! only a successful sync makes a [`Durable`], and a failed one poisons the log for good, because
//! the page cache may then show what the disk does not have. Files are zero-filled ahead of need
//! and never reused. Recovery ([`Log::recover`]) tells a torn tail, which is cut, from damage to
//! what was acknowledged, which stops it; what no later frame witnesses as durable is written
//! again into a new file ([`Recovered::resume`]) before it is served.

mod format;
mod recover;
mod scan;

use std::io;
use std::sync::Arc;

use crate::io::{Disk, DiskFile, FileId, FileKind};
use format::{Frame, HEADER_BYTES, Header, Spot};

pub use recover::{RecoverError, Recovered, TailReport};
pub use scan::{FileScan, ScanError, ScannedFrame, scan_file};

/// Kind of the frames that only carry the durable LSN. Not shown to readers.
const KIND_WATERMARK: u8 = 0;
/// A file is left for the next one when less than this is free in it.
const GROUP_RESERVE_BYTES: u64 = 5 << 20;

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
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk is full. Nothing of the group is stored; the log stays usable.
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
}

/// An open log. One owner appends and syncs.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    /// Oldest first; the last is written to.
    places: Vec<Place>,
    file: Arc<dyn DiskFile>,
    /// Zero-filled, synced, not yet named.
    spare: Option<(FileId, Arc<dyn DiskFile>)>,
    next_file: u64,
    /// Where the next group goes.
    offset: u64,
    /// Frames of the group that is gathered.
    group: Vec<u8>,
    next_lsn: u64,
    durable_lsn: u64,
    previous_crc: u32,
    /// Where to go back to when the group is not stored.
    group_start: (u64, u32),
    attempt: u32,
    poisoned: bool,
}

fn no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Creates a file without a name: zero-filled and synced.
fn prepare(disk: &Arc<dyn Disk>, id: FileId, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.create(id)?;
    let fill = file.zero_fill(bytes).and_then(|()| file.sync_data());
    if let Err(error) = fill {
        disk.discard(id)?;
        return Err(error);
    }
    Ok(file)
}

impl Log {
    /// Adds a record to the group that the next [`Log::sync`] makes durable.
    pub fn append(&mut self, kind: u8, parts: &[&[u8]]) -> Result<u64, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        let bytes = parts.iter().map(|p| p.len()).sum();
        let limit = self.options.record_bytes_max;
        let len = u32::try_from(bytes).ok().filter(|len| *len <= limit);
        let len = len.ok_or(LogError::TooLarge { bytes, limit })?;
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
        self.next_lsn += 1;
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
        if let Err(error) = self.file.sync_data() {
            self.poisoned = true;
            return Err(LogError::OutcomeUnknown(error));
        }
        self.offset += as_u64(group.len());
        self.durable_lsn = self.next_lsn - 1;
        self.group = group;
        self.group.clear();
        Ok(Durable(self.durable_lsn))
    }

    /// Writes a frame that only says how far the log is durable, so that damage to the last group
    /// can be told from a torn tail. Call it when the log has been idle.
    pub fn watermark(&mut self) -> Result<Durable, LogError> {
        self.append(KIND_WATERMARK, &[])?;
        self.sync()
    }

    /// Starts a new file with one record that stands for everything before it, then removes the
    /// older files.
    pub fn checkpoint(&mut self, kind: u8, parts: &[&[u8]]) -> Result<Durable, LogError> {
        let mut sealed = self.sealed(true, &mut |writer| writer.frame(kind, parts))?;
        std::mem::swap(self, &mut sealed);
        self.drop_places(self.places.len() - 1);
        Ok(Durable(self.durable_lsn))
    }

    /// Removes older files of which every record is at or below `through`. How many.
    pub fn trim(&mut self, through: u64) -> Result<usize, LogError> {
        let next_bases = self.places.iter().skip(1).map(|p| p.base_lsn);
        let count = next_bases
            .take_while(|base| *base <= through.saturating_add(1))
            .count();
        self.drop_places(count);
        Ok(count)
    }

    /// Makes the next file ahead of need, so that a group does not wait for it.
    pub fn prepare_next(&mut self) -> Result<(), LogError> {
        if self.spare.is_none() {
            let id = FileId::new(self.options.kind, self.next_file);
            let made = prepare(&self.disk, id, self.options.file_bytes);
            let file = made.map_err(|error| self.refuse(error))?;
            self.next_file += 1;
            self.spare = Some((id, file));
        }
        Ok(())
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
        }
    }

    /// Goes on to the next file when the group might not fit.
    fn make_room(&mut self, len: u32) -> Result<(), LogError> {
        let reserve = GROUP_RESERVE_BYTES.min(self.options.file_bytes / 8);
        let need = as_u64(Frame::size(usize::try_from(len).unwrap_or(0))).max(reserve);
        let fresh = self.offset == as_u64(HEADER_BYTES);
        if fresh || self.offset.saturating_add(need) <= self.options.file_bytes {
            return Ok(());
        }
        self.prepare_next()?;
        let (id, file) = self.spare.take().expect("BUG: just prepared");
        let header = Header {
            file: id,
            base: false,
            reset: false,
            base_lsn: self.next_lsn,
            synced_lsn: self.durable_lsn,
        };
        publish(&self.disk, &file, &header, self.options.database)
            .map_err(|error| self.refuse(error))?;
        self.places.push(Place {
            file: id,
            base_lsn: self.next_lsn,
        });
        self.file = file;
        self.offset = as_u64(HEADER_BYTES);
        self.previous_crc = 0;
        Ok(())
    }

    /// What an error before anything of the group was written means.
    fn refuse(&mut self, error: io::Error) -> LogError {
        if no_space(&error) {
            return LogError::NoSpace;
        }
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
        if !no_space(&error) || blotted.is_err() {
            self.poisoned = true;
            return LogError::OutcomeUnknown(error);
        }
        // A later group with the same bytes must not chain to what is left of this one.
        self.attempt += 1;
        (self.next_lsn, self.previous_crc) = self.group_start;
        LogError::NoSpace
    }

    /// A new base file with the frames that `fill` writes, synced, then named, then the only one
    /// that counts above its base LSN (`reset`: at all).
    fn sealed(
        &mut self,
        reset: bool,
        fill: &mut dyn FnMut(&mut Sealing<'_>),
    ) -> Result<Self, LogError> {
        if self.poisoned || !self.group.is_empty() {
            return Err(LogError::Poisoned);
        }
        let seal = Seal {
            disk: Arc::clone(&self.disk),
            options: self.options,
            places: self.places.clone(),
            number: self.next_file + u64::from(self.spare.is_some()),
            base_lsn: self.next_lsn,
            reset,
        };
        seal.write(fill).map_err(|error| self.refuse(error))
    }

    /// Removes the oldest `count` files, one after the other: a gap would look like damage. What
    /// cannot be removed now goes with the next trim.
    fn drop_places(&mut self, count: usize) {
        for _ in 0..count {
            let Some(oldest) = self.places.first() else {
                return;
            };
            let removed = self
                .disk
                .remove(oldest.file)
                .and_then(|()| self.disk.sync_dir());
            if let Err(error) = removed {
                tracing::warn!(file = %oldest.file, %error, "old log file not removed");
                return;
            }
            self.places.remove(0);
        }
    }
}

/// Writes the header of a prepared file, syncs, and gives it its name.
fn publish(
    disk: &Arc<dyn Disk>,
    file: &Arc<dyn DiskFile>,
    header: &Header,
    database: [u8; 16],
) -> io::Result<()> {
    file.write_at(0, &header.encode(database))?;
    file.sync_data()?;
    disk.publish(header.file)?;
    disk.sync_dir()
}

/// A base file to be.
struct Seal {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    places: Vec<Place>,
    number: u64,
    base_lsn: u64,
    reset: bool,
}

/// Gathers the frames of a base file.
struct Sealing<'a> {
    options: &'a LogOptions,
    file: FileId,
    out: Vec<u8>,
    next_lsn: u64,
    synced: u64,
    crc: u32,
}

impl Sealing<'_> {
    fn frame(&mut self, kind: u8, parts: &[&[u8]]) {
        let len: usize = parts.iter().map(|p| p.len()).sum();
        let frame = Frame {
            len: u32::try_from(len).expect("BUG: record over 4 GiB"),
            lsn: self.next_lsn,
            durable: self.synced,
            previous_crc: self.crc,
            kind,
            attempt: 0,
        };
        let spot = Spot {
            database: self.options.database,
            file: self.file,
            offset: as_u64(HEADER_BYTES + self.out.len()),
        };
        self.crc = frame.put(spot, parts, &mut self.out);
        self.next_lsn += 1;
    }
}

impl Seal {
    fn write(self, fill: &mut dyn FnMut(&mut Sealing<'_>)) -> io::Result<Log> {
        let id = FileId::new(self.options.kind, self.number);
        let mut sealing = Sealing {
            options: &self.options,
            file: id,
            out: Vec::new(),
            next_lsn: self.base_lsn,
            synced: self.base_lsn.saturating_sub(1),
            crc: 0,
        };
        fill(&mut sealing);
        let Sealing {
            out, next_lsn, crc, ..
        } = sealing;
        let offset = as_u64(HEADER_BYTES + out.len());
        let file = prepare(&self.disk, id, self.options.file_bytes.max(offset))?;
        let header = Header {
            file: id,
            base: true,
            reset: self.reset,
            base_lsn: self.base_lsn,
            synced_lsn: next_lsn - 1,
        };
        file.write_at(as_u64(HEADER_BYTES), &out)?;
        publish(&self.disk, &file, &header, self.options.database)?;
        let mut places = self.places;
        places.push(Place {
            file: id,
            base_lsn: self.base_lsn,
        });
        Ok(Log {
            disk: self.disk,
            options: self.options,
            places,
            file,
            spare: None,
            next_file: self.number + 1,
            offset,
            group: Vec::new(),
            next_lsn,
            durable_lsn: next_lsn - 1,
            previous_crc: crc,
            group_start: (next_lsn, crc),
            attempt: 0,
            poisoned: false,
        })
    }
}

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
