//! Links: the last frame of a file says that the next one is there.
//!
//! A file that vanishes whole leaves nothing behind, and the files before it end as they would if it
//! had never been. So before the first record of a file is acknowledged, the file before it says,
//! durably, which one is next. A link is written after the name of the next file was synced: a crash
//! between the two leaves a file that nothing names, which is harmless.
//!
//! It is a watermark with a body, the number of the next file: what does not know links reads it as
//! the watermark that it is, too.

use std::sync::Arc;

use super::format::{Frame, Spot};
use super::{KIND_WATERMARK, Log, LogError};
use crate::io::{DiskFile, FileId};

/// Bytes that a link takes.
pub(super) const LINK_BYTES: u64 = 48;

/// A link that is still to be written.
#[derive(Debug)]
pub(super) struct Link {
    /// The file before.
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) offset: u64,
    pub(super) frame: Vec<u8>,
}

/// Where a file ends, for its link.
#[derive(Debug)]
pub(super) struct End {
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the chain of frames ends, and in which file.
    pub(super) spot: Spot,
    pub(super) crc: u32,
    pub(super) attempt: u32,
    /// The record after the last one in it.
    pub(super) next_lsn: u64,
}

impl End {
    /// The link to file `next`. Every record up to here is synced, in this file or in that one.
    pub(super) fn link(self, next: FileId) -> Link {
        let body = next.number.to_le_bytes();
        let frame = Frame {
            len: 8,
            lsn: self.next_lsn,
            durable: self.next_lsn.saturating_sub(1),
            previous_crc: self.crc,
            kind: KIND_WATERMARK,
            attempt: self.attempt,
        };
        let mut bytes = Vec::with_capacity(Frame::size(body.len()));
        frame.put(self.spot, &[&body], &mut bytes);
        Link {
            file: self.file,
            offset: self.spot.offset,
            frame: bytes,
        }
    }
}

/// The file that a frame says is next.
pub(super) fn next_of(kind: u8, body: &[u8]) -> Option<u64> {
    let number = body.try_into().ok().filter(|_| kind == KIND_WATERMARK);
    number.map(u64::from_le_bytes)
}

impl Log {
    /// Where the file that is written to ends.
    pub(super) fn end(&self) -> End {
        End {
            file: Arc::clone(&self.file),
            spot: self.spot(self.offset),
            crc: self.previous_crc,
            attempt: self.attempt,
            next_lsn: self.next_lsn,
        }
    }

    /// Writes the link to the file that is written to, unless it stands already. Nothing is appended
    /// before it does.
    pub(super) fn link(&mut self) -> Result<(), LogError> {
        let Some(link) = &self.unlinked else {
            return Ok(());
        };
        if let Err(error) = link.file.write_at(link.offset, &link.frame) {
            return Err(self.refuse(error));
        }
        if let Err(error) = link.file.sync_data() {
            return Err(self.poison(error));
        }
        self.unlinked = None;
        Ok(())
    }

    /// As [`Log::link`], where nothing is appended yet: for want of room the next record writes it.
    pub(super) fn try_link(&mut self) -> Result<(), LogError> {
        match self.link() {
            Ok(()) | Err(LogError::NoSpace) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
