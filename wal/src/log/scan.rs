//! A look into one log file, frame by frame, without recovery: for `inspect` and `verify`.

use std::io;
use std::sync::Arc;

use super::as_u64;
use super::format::{Frame, HEADER_BYTES, Header, Spot};
use super::link::next_of;
use super::mutant::Planted;
use super::reading::read_file;
use crate::io::{Disk, FileId};

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileScan {
    /// Its first LSN.
    pub base_lsn: u64,
    /// Everything up to here was synced before it got its name.
    pub synced_lsn: u64,
    /// Whether it overrules older files above its base LSN.
    pub base: bool,
    /// Whether older files do not count at all.
    pub reset: bool,
    /// Valid frames.
    pub frames: u64,
    /// Where the unbroken chain of frames ends.
    pub end: u64,
}

/// A valid frame, chained or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScannedFrame<'a> {
    /// Where it begins.
    pub offset: u64,
    /// Its record's number.
    pub lsn: u64,
    /// The last record that was durable when it was written.
    pub durable_lsn: u64,
    /// Its record's kind; 0 is a watermark.
    pub kind: u8,
    /// Its record's body.
    pub body: &'a [u8],
}

impl ScannedFrame<'_> {
    /// The file that it says is next, if it is a link.
    pub fn next_file(&self) -> Option<u64> {
        next_of(self.kind, self.body)
    }
}

/// Why a file cannot be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The disk refused.
    #[error("file could not be read")]
    Io(#[from] io::Error),
    /// The header does not read.
    #[error("file header is damaged or of another database or version")]
    Header,
}

/// Shows every valid frame of a file in order.
pub fn scan_file(
    disk: &Arc<dyn Disk>,
    id: FileId,
    database: [u8; 16],
    visit: &mut dyn FnMut(ScannedFrame<'_>),
) -> Result<FileScan, ScanError> {
    let bytes = read_file(disk, id)?;
    let header = Header::decode(&bytes, id, database).map_err(|_| ScanError::Header)?;
    let mut scan = FileScan {
        base_lsn: header.base_lsn,
        synced_lsn: header.synced_lsn,
        base: header.base,
        reset: header.reset,
        frames: 0,
        end: as_u64(HEADER_BYTES),
    };
    let mut chained = true;
    each_frame(&bytes, id, database, &mut |frame, end| {
        scan.frames += 1;
        chained &= frame.offset == scan.end;
        if chained {
            scan.end = end;
        }
        visit(frame);
    });
    Ok(scan)
}

/// Shows every valid frame of a file in order, whatever its header says.
pub fn scan_frames(
    disk: &Arc<dyn Disk>,
    id: FileId,
    database: [u8; 16],
    visit: &mut dyn FnMut(ScannedFrame<'_>),
) -> io::Result<()> {
    let bytes = read_file(disk, id)?;
    each_frame(&bytes, id, database, &mut |frame, _| visit(frame));
    Ok(())
}

/// Calls `visit` with every valid frame and where it ends.
fn each_frame(
    bytes: &[u8],
    id: FileId,
    database: [u8; 16],
    visit: &mut dyn FnMut(ScannedFrame<'_>, u64),
) {
    let mut at = HEADER_BYTES;
    while at < bytes.len() {
        let spot = Spot {
            database,
            file: id,
            offset: as_u64(at),
            planted: Planted::default(),
        };
        let Some((frame, _, body)) = Frame::read(bytes, at, spot) else {
            at += 8;
            continue;
        };
        let scanned = ScannedFrame {
            offset: as_u64(at),
            lsn: frame.lsn,
            durable_lsn: frame.durable,
            kind: frame.kind,
            body,
        };
        at += Frame::size(body.len());
        visit(scanned, as_u64(at));
    }
}
