//! Which records of the files on disk are the log. Changes nothing. The rules:
//!
//! - Files count from the newest one with the reset flag. Of each, records below the base LSN of
//!   every later base file count.
//! - A file was given its name only after all records below its base LSN were synced, so a chain
//!   of frames that ends before the next file's base LSN is damage.
//! - Numbers and LSNs both missing between two files: what stands before was trimmed and a crash
//!   brought it back. It does not count; [`Recovered::covers`](super::Recovered::covers) tells this
//!   from a lost file.
//! - In the last file the chain may end early. If any later valid frame says that the missing
//!   record was durable, that is damage too; else the tail is torn and is cut.
//! - A file that the last one names as its next was there with a durable name: without it the log is damaged.

use std::io;
use std::sync::Arc;

use super::format::{Frame, HEADER_BYTES, Header, HeaderError, Spot, VERSION};
use super::link::{LINK_BYTES, next_of};
use super::mutant::Planted;
use super::recover::{RecoverError, TailReport};
use super::{FILE_BYTES_MAX, GROUP_BYTES_MAX, KIND_WATERMARK, LogOptions, Record, as_u64};
use crate::io::{Disk, FileId};

/// How many times a file's bytes are checksummed at most in search of a frame.
const SCAN_FACTOR: usize = 8;

/// A record to be written again.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

/// Where the chain of the last file ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub(super) file: FileId,
    pub(super) end: u64,
    #[cfg(feature = "mutants")]
    pub(super) dirty_end: u64,
    pub(super) crc: u32,
}

/// Whether file numbers are missing between two files.
pub(super) fn gap(file: &Header, next: &Header) -> bool {
    file.file.number + 1 != next.file.number
}

/// The headers of the files that count, oldest first. What stands before a reset is not even looked at.
pub(super) fn read_headers(
    disk: &Arc<dyn Disk>,
    ids: &[FileId],
    database: [u8; 16],
) -> Result<Vec<Header>, RecoverError> {
    let mut headers = Vec::with_capacity(ids.len());
    for id in ids.iter().rev() {
        let header = read_header(disk, *id, database)?;
        headers.push(header);
        if header.reset {
            break;
        }
    }
    headers.reverse();
    Ok(headers)
}

fn read_header(
    disk: &Arc<dyn Disk>,
    id: FileId,
    database: [u8; 16],
) -> Result<Header, RecoverError> {
    let mut head = [0; HEADER_BYTES];
    let read = disk.open(id).and_then(|file| file.read_at(0, &mut head));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(source) => {
            return Err(RecoverError::Io {
                file: id.to_string(),
                source,
            });
        }
    }
    Header::decode(&head, id, database).map_err(|error| match error {
        HeaderError::Version(found) => RecoverError::Version {
            file: id,
            found,
            known: VERSION,
        },
        HeaderError::Damaged => RecoverError::Damaged {
            file: id,
            offset: 0,
            lsn: 0,
            what: "file header",
        },
    })
}

/// The whole file.
pub(super) fn read_file(disk: &Arc<dyn Disk>, id: FileId) -> io::Result<Vec<u8>> {
    let file = disk.open(id)?;
    let mut bytes = vec![0; readable(file.len()?)?];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// The length of a file that is not longer than one of a log can be.
pub(super) fn readable(len: u64) -> io::Result<usize> {
    if len > FILE_BYTES_MAX + as_u64(GROUP_BYTES_MAX) + LINK_BYTES {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

pub(super) struct Reading {
    options: LogOptions,
    planted: Planted,
    pub(super) next_lsn: u64,
    /// What was written after a sync returned says that everything up to here was synced.
    witnessed: u64,
    /// The same, or what a file says of itself that got its name after it was synced.
    claimed: u64,
    /// Records above `witnessed`, in order.
    pub(super) unwitnessed: Vec<Kept>,
    pub(super) report: TailReport,
    pub(super) tail: Option<Tail>,
    /// The highest file that another one names as its next.
    named: Option<u64>,
}

impl Reading {
    pub(super) fn new(options: LogOptions, planted: Planted, headers: &[Header]) -> Self {
        let first_lsn = headers.first().map_or(1, |h| h.base_lsn);
        Self {
            options,
            planted,
            next_lsn: first_lsn,
            witnessed: first_lsn.saturating_sub(1),
            claimed: first_lsn.saturating_sub(1),
            unwitnessed: Vec::new(),
            report: TailReport {
                files: headers.len(),
                ..TailReport::default()
            },
            tail: None,
            named: None,
        }
    }

    /// Reads all files. Answers the index of the first that counts.
    pub(super) fn files(
        &mut self,
        disk: &Arc<dyn Disk>,
        headers: &[Header],
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<usize, RecoverError> {
        let mut start = 0;
        for (index, header) in headers.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|before| headers.get(before));
            if before.is_some_and(|b| gap(b, header)) && header.base_lsn > self.next_lsn {
                start = index;
                *self = Self::new(self.options, self.planted, &headers[index..]);
            }
            let later = headers.get(index + 1..).unwrap_or_default();
            self.file(disk, header, later, visit)?;
        }
        Ok(start)
    }

    fn spot(&self, file: FileId, at: usize) -> Spot {
        Spot {
            database: self.options.database,
            file,
            offset: as_u64(at),
            planted: self.planted,
        }
    }

    fn file(
        &mut self,
        disk: &Arc<dyn Disk>,
        header: &Header,
        later: &[Header],
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), RecoverError> {
        let damaged = |offset: usize, lsn, what| RecoverError::Damaged {
            file: header.file,
            offset: as_u64(offset),
            lsn,
            what,
        };
        if header.base_lsn != self.next_lsn {
            return Err(damaged(0, self.next_lsn, "missing records"));
        }
        self.witness(header.base_lsn.saturating_sub(1));
        self.claimed = self.claimed.max(header.synced_lsn);
        let limit = later.iter().filter(|h| h.base).map(|h| h.base_lsn).min();
        let bytes = read_file(disk, header.file).map_err(|source| RecoverError::Io {
            file: header.file.to_string(),
            source,
        })?;
        if as_u64(bytes.len()) < u64::from(header.len) {
            return Err(damaged(bytes.len(), self.next_lsn, "length"));
        }
        let at = self.chain(&bytes, header.file, limit, visit);
        if limit.is_some_and(|limit| self.next_lsn >= limit) {
            return Ok(());
        }
        if let Some(next) = later.first() {
            let trimmed = gap(header, next) && next.base_lsn > self.next_lsn;
            return if next.base_lsn == self.next_lsn || trimmed {
                Ok(())
            } else {
                Err(damaged(at, self.next_lsn, "frame"))
            };
        }
        if self.next_lsn <= self.claimed {
            return Err(damaged(at, self.next_lsn, "frame"));
        }
        let rest = bytes.get(at..).unwrap_or_default();
        if let Some(last) = last_used(rest) {
            self.report.torn = true;
            self.report.cut_bytes = as_u64(last + 1);
            if self.missing_was_durable(&bytes, at, header.file) {
                return Err(damaged(at, self.next_lsn, "frame"));
            }
            #[cfg(feature = "mutants")]
            if let Some(tail) = &mut self.tail {
                tail.dirty_end = as_u64((at + last + 1).next_multiple_of(8));
            }
        }
        Ok(())
    }

    /// Shows the unbroken chain of frames. Answers where it ends.
    fn chain(
        &mut self,
        bytes: &[u8],
        file: FileId,
        limit: Option<u64>,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> usize {
        let mut at = HEADER_BYTES;
        let mut previous = 0;
        while limit.is_none_or(|limit| self.next_lsn < limit) {
            let Some((frame, crc, body)) = Frame::read(bytes, at, self.spot(file, at)) else {
                break;
            };
            if frame.lsn != self.next_lsn || frame.previous_crc != previous {
                break;
            }
            self.witness(frame.durable);
            self.named = self.named.max(next_of(frame.kind, body));
            if frame.kind != KIND_WATERMARK {
                visit(Record {
                    lsn: frame.lsn,
                    kind: frame.kind,
                    body,
                });
                if frame.lsn > self.witnessed {
                    self.unwitnessed.push(Kept {
                        kind: frame.kind,
                        body: body.to_vec(),
                    });
                }
                self.next_lsn += 1;
                self.report.records += 1;
            }
            previous = crc;
            at += Frame::size(body.len());
        }
        let end = as_u64(at);
        self.tail = Some(Tail {
            file,
            end,
            #[cfg(feature = "mutants")]
            dirty_end: end,
            crc: previous,
        });
        at
    }

    /// A file that was there once, if `last` is before it.
    pub(super) fn missing_file(&self, last: Option<&FileId>) -> Option<u64> {
        self.named
            .filter(|named| last.is_none_or(|last| last.number < *named))
    }

    fn witness(&mut self, lsn: u64) {
        if lsn > self.witnessed {
            let known = usize::try_from(lsn - self.witnessed).unwrap_or(usize::MAX);
            self.unwitnessed.drain(..known.min(self.unwitnessed.len()));
            self.witnessed = lsn;
            self.claimed = self.claimed.max(lsn);
        }
    }

    /// Whether a valid frame after the chain's end says that the next record was durable.
    ///
    /// Bodies are bytes of clients and may be full of what looks like frames, so the checksummed
    /// bytes are bounded; beyond [`SCAN_FACTOR`] times the file it is taken for damage.
    fn missing_was_durable(&self, bytes: &[u8], from: usize, file: FileId) -> bool {
        let mut budget = bytes.len().saturating_mul(SCAN_FACTOR);
        for at in (from.next_multiple_of(8)..bytes.len()).step_by(8) {
            let Some(claim) = Frame::peek(bytes, at) else {
                continue;
            };
            if claim.durable < self.next_lsn || claim.durable >= claim.lsn {
                continue;
            }
            let len = usize::try_from(claim.len).unwrap_or(usize::MAX);
            if len > bytes.len() - at {
                continue;
            }
            if len > budget || Frame::read(bytes, at, self.spot(file, at)).is_some() {
                return true;
            }
            budget -= len;
        }
        false
    }
}

/// Where the last byte is that is not zero. By blocks: most of what a file was filled with is zeroes.
fn last_used(bytes: &[u8]) -> Option<usize> {
    const ZEROES: [u8; 4096] = [0; 4096];
    let mut rest = bytes;
    while let Some((before, last)) = rest.split_last_chunk::<4096>()
        && *last == ZEROES
    {
        rest = before;
    }
    rest.iter().rposition(|b| *b != 0)
}
