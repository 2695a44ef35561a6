//! The bytes of log files: a header, then frames. See `FORMAT.md`.
//!
//! ```text
//! header, 64 bytes                      frame, 40 bytes + body, padded with zeroes to 8
//!  0  8  magic "OBSRVLOG"                0  4  magic "OFRM"
//!  8  2  version u16                     4  4  body length u32
//! 10  1  file kind u8                    8  8  LSN u64
//! 11  1  flags: 1 base, 2 reset         16  8  durable LSN u64
//! 12  4  file length u32                24  4  CRC of the previous frame u32
//! 16 16  database id                    28  4  CRC-32 u32
//! 32  8  file number u64                32  1  kind u8
//! 40  8  base LSN u64                   33  3  zero
//! 48  8  synced LSN u64                 36  4  attempt u32
//! 56  4  zero                           40  n  body
//! 60  4  CRC-32 u32
//! ```
//!
//! All numbers little-endian. A frame's CRC covers database id, file kind, file number, offset,
//! the header without the CRC, and the body: a frame is valid at one place only.

use super::mutant::{Bug, Planted};
use crate::io::FileId;

pub(super) const VERSION: u16 = 1;
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const FRAME_BYTES: usize = 40;
const HEADER_MAGIC: &[u8; 8] = b"OBSRVLOG";
const FRAME_MAGIC: [u8; 4] = *b"OFRM";
/// No record has a higher number: no log ever comes so far, and adding to a number overflows nowhere.
pub(super) const LSN_MAX: u64 = 1 << 62;
const FLAG_BASE: u8 = 1;
const FLAG_RESET: u8 = 2;

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) file: FileId,
    /// Records of older files at or above `base_lsn` do not count.
    pub(super) base: bool,
    /// Older files do not count at all.
    pub(super) reset: bool,
    /// Bytes that the file had when it got its name: a shorter one was cut.
    pub(super) len: u32,
    /// The first LSN in here.
    pub(super) base_lsn: u64,
    /// Everything up to here was synced before this file got its name.
    pub(super) synced_lsn: u64,
}

/// Why a header does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Damaged,
    Version(u16),
}

impl Header {
    pub(super) fn encode(&self, database: [u8; 16]) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(HEADER_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let flags = u8::from(self.base) * FLAG_BASE + u8::from(self.reset) * FLAG_RESET;
        out.extend_from_slice(&[self.file.kind as u8, flags]);
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&database);
        out.extend_from_slice(&self.file.number.to_le_bytes());
        out.extend_from_slice(&self.base_lsn.to_le_bytes());
        out.extend_from_slice(&self.synced_lsn.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.try_into().expect("BUG: header is 64 bytes")
    }

    pub(super) fn decode(
        bytes: &[u8],
        file: FileId,
        database: [u8; 16],
    ) -> Result<Self, HeaderError> {
        let head = bytes.get(..HEADER_BYTES).ok_or(HeaderError::Damaged)?;
        if head.get(..8) != Some(HEADER_MAGIC) {
            return Err(HeaderError::Damaged);
        }
        let version = u16::from_le_bytes(array(head, 8).ok_or(HeaderError::Damaged)?);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let [_, flags] = array(head, 10).ok_or(HeaderError::Damaged)?;
        let number = |at| {
            array(head, at)
                .map(u64::from_le_bytes)
                .ok_or(HeaderError::Damaged)
        };
        let header = Self {
            file,
            base: flags & FLAG_BASE != 0,
            reset: flags & FLAG_RESET != 0,
            len: u32::from_le_bytes(array(head, 12).ok_or(HeaderError::Damaged)?),
            base_lsn: number(40)?,
            synced_lsn: number(48)?,
        };
        let is_numbered = (1..=LSN_MAX + 1).contains(&header.base_lsn);
        // One comparison finds damage, a foreign database and a misplaced file alike.
        if header.encode(database) == head && is_numbered && header.synced_lsn <= LSN_MAX {
            Ok(header)
        } else {
            Err(HeaderError::Damaged)
        }
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) len: u32,
    pub(super) lsn: u64,
    pub(super) durable: u64,
    pub(super) previous_crc: u32,
    pub(super) kind: u8,
    pub(super) attempt: u32,
}

/// Where a frame is: part of its checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) database: [u8; 16],
    pub(super) file: FileId,
    pub(super) offset: u64,
    pub(super) planted: Planted,
}

impl Frame {
    fn head(&self, crc: u32) -> [u8; FRAME_BYTES] {
        let mut out = Vec::with_capacity(FRAME_BYTES);
        out.extend_from_slice(&FRAME_MAGIC);
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&self.lsn.to_le_bytes());
        out.extend_from_slice(&self.durable.to_le_bytes());
        out.extend_from_slice(&self.previous_crc.to_le_bytes());
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&[self.kind, 0, 0, 0]);
        out.extend_from_slice(&self.attempt.to_le_bytes());
        out.try_into().expect("BUG: frame header is 40 bytes")
    }

    fn crc(&self, spot: Spot, body: &[&[u8]]) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        hash.update(&spot.database);
        hash.update(&[spot.file.kind as u8]);
        if !spot.planted.has(Bug::ChecksumWithoutFile) {
            hash.update(&spot.file.number.to_le_bytes());
        }
        hash.update(&spot.offset.to_le_bytes());
        hash.update(&self.head(0));
        body.iter().for_each(|part| hash.update(part));
        hash.finalize()
    }

    /// Appends the frame to `out`; answers its CRC.
    pub(super) fn put(&self, spot: Spot, body: &[&[u8]], out: &mut Vec<u8>) -> u32 {
        let crc = self.crc(spot, body);
        out.extend_from_slice(&self.head(crc));
        body.iter().for_each(|part| out.extend_from_slice(part));
        out.resize(out.len().next_multiple_of(8), 0);
        crc
    }

    /// The frame at `at` of a file's bytes, its CRC and its body, if it is valid.
    pub(super) fn read(file: &[u8], at: usize, spot: Spot) -> Option<(Self, u32, &[u8])> {
        let frame = Self::peek(file, at)?;
        let head = file.get(at..at.checked_add(FRAME_BYTES)?)?;
        let crc = u32::from_le_bytes(array(head, 28)?);
        let start = at + FRAME_BYTES;
        let body = file.get(start..start.checked_add(usize::try_from(frame.len).ok()?)?)?;
        // The head is compared too, so that its zero bytes are covered.
        (frame.crc(spot, &[body]) == crc && frame.head(crc) == head).then_some((frame, crc, body))
    }

    /// What claims to be a frame at `at`. Nothing is verified but that its numbers can be.
    pub(super) fn peek(file: &[u8], at: usize) -> Option<Self> {
        let head = file.get(at..at.checked_add(FRAME_BYTES)?)?;
        if head.get(..4)? != FRAME_MAGIC {
            return None;
        }
        let frame = Self {
            len: u32::from_le_bytes(array(head, 4)?),
            lsn: u64::from_le_bytes(array(head, 8)?),
            durable: u64::from_le_bytes(array(head, 16)?),
            previous_crc: u32::from_le_bytes(array(head, 24)?),
            kind: *head.get(32)?,
            attempt: u32::from_le_bytes(array(head, 36)?),
        };
        (frame.lsn <= LSN_MAX + 1 && frame.durable <= LSN_MAX).then_some(frame)
    }

    /// Bytes that a frame with this body takes.
    pub(super) fn size(body: usize) -> usize {
        (FRAME_BYTES + body).next_multiple_of(8)
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
