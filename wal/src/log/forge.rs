//! Files whose checksums are right and which say whatever they are told to: for fuzzing.
//!
//! What damage does to a file its checksums find; what is behind them is reached by nobody who flips
//! bits alone.

use std::io;
use std::sync::Arc;

use super::as_u64;
use super::format::{Frame, HEADER_BYTES, Header, Spot};
use super::mutant::Planted;
use crate::io::{Disk, FileId};

/// A frame as a file says it.
#[derive(Clone, Copy, Debug)]
pub struct ForgedFrame<'a> {
    /// The number of its record.
    pub lsn: u64,
    /// What it says is durable.
    pub durable: u64,
    /// Its kind.
    pub kind: u8,
    /// Its attempt.
    pub attempt: u32,
    /// Whether it names another frame as the one before.
    pub is_unchained: bool,
    /// Its body.
    pub body: &'a [u8],
}

/// A file as it says itself.
#[derive(Clone, Copy, Debug)]
pub struct Forged<'a> {
    /// Which, rightly.
    pub file: FileId,
    /// Whose, rightly.
    pub database: [u8; 16],
    /// Whether records of older files at or above `base_lsn` do not count.
    pub base: bool,
    /// Whether older files do not count at all.
    pub reset: bool,
    /// How long it says that it was made.
    pub len: u32,
    /// Its first record.
    pub base_lsn: u64,
    /// What it says was synced.
    pub synced_lsn: u64,
    /// What is in it.
    pub frames: &'a [ForgedFrame<'a>],
}

impl<'a> ForgedFrame<'a> {
    /// A sound one, written at the first attempt.
    pub const fn sound((lsn, durable): (u64, u64), kind: u8, body: &'a [u8]) -> Self {
        Self {
            lsn,
            durable,
            kind,
            attempt: 0,
            is_unchained: false,
            body,
        }
    }
}

impl<'a> Forged<'a> {
    /// A log's first file, sound but for its frames: it says nothing of how long it was made.
    pub const fn first(file: FileId, database: [u8; 16], frames: &'a [ForgedFrame<'a>]) -> Self {
        Self {
            file,
            database,
            base: true,
            reset: true,
            len: 0,
            base_lsn: 1,
            synced_lsn: 0,
            frames,
        }
    }

    /// Puts it where a log looks for it.
    pub fn put(&self, disk: &Arc<dyn Disk>) -> io::Result<()> {
        let file = disk.create(self.file)?;
        file.write_at(0, &self.bytes())?;
        file.sync_data()?;
        disk.publish(self.file)
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let header = Header {
            file: self.file,
            base: self.base,
            reset: self.reset,
            len: self.len,
            base_lsn: self.base_lsn,
            synced_lsn: self.synced_lsn,
        };
        let mut out = header.encode(self.database).to_vec();
        debug_assert_eq!(out.len(), HEADER_BYTES, "BUG: a header of another length");
        let mut previous_crc = 0;
        for frame in self.frames {
            let spot = Spot {
                database: self.database,
                file: self.file,
                offset: as_u64(out.len()),
                planted: Planted::default(),
            };
            let said = Frame {
                len: u32::try_from(frame.body.len()).unwrap_or(u32::MAX),
                lsn: frame.lsn,
                durable: frame.durable,
                previous_crc: if frame.is_unchained {
                    !previous_crc
                } else {
                    previous_crc
                },
                kind: frame.kind,
                attempt: frame.attempt,
            };
            previous_crc = said.put(spot, &[frame.body], &mut out);
        }
        out
    }
}
