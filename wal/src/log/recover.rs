//! Recovery: which records of the files on disk are the log.
//!
//! Read-only until [`Recovered::resume`] or [`Recovered::restart_with`]. The rules:
//!
//! - Files count from the newest one with the reset flag. Of each, records below the base LSN of
//!   every later base file count.
//! - A file was given its name only after all records below its base LSN were synced, so a chain
//!   of frames that ends before the next file's base LSN is damage.
//! - In the last file the chain may end early. If any later valid frame says that the missing
//!   record was durable, that is damage too; else the tail is torn and is cut.

use std::io;
use std::sync::Arc;

use super::format::{FRAME_BYTES, FRAME_MAGIC, Frame, HEADER_BYTES, Header, HeaderError, Spot};
use super::{KIND_WATERMARK, Log, LogError, LogOptions, Place, Record, Seal, as_u64};
use crate::io::{Disk, FileId};

/// Why a log does not recover. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The disk refused a read.
    #[error("log file could not be read file={file}")]
    Io {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// Bytes that were acknowledged are damaged or missing.
    #[error("log is damaged file={file} offset={offset} lsn={lsn} what={what}")]
    Damaged {
        /// Which file.
        file: FileId,
        /// Where in it.
        offset: u64,
        /// The first record that is lost.
        lsn: u64,
        /// What was found.
        what: &'static str,
    },
    /// The file is of another version.
    #[error("log file has an unknown version file={file} found={found} known={known}")]
    Version {
        /// Which file.
        file: FileId,
        /// Its version.
        found: u16,
        /// Ours.
        known: u16,
    },
}

/// What recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TailReport {
    /// Files that count.
    pub files: usize,
    /// Records that count, watermark frames included.
    pub records: u64,
    /// Whether something that was never acknowledged was cut.
    pub torn: bool,
    /// Records that will be written again.
    pub relogged: u64,
}

/// A record to be written again.
#[derive(Debug)]
struct Kept {
    kind: u8,
    body: Vec<u8>,
}

/// A log that was read and not yet touched.
#[derive(Debug)]
pub struct Recovered {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    places: Vec<Place>,
    /// Files that a reset made void.
    void: Vec<FileId>,
    next_file: u64,
    next_lsn: u64,
    unwitnessed: Vec<Kept>,
    report: TailReport,
}

impl Log {
    /// Reads the log and shows every record, oldest first.
    pub fn recover(
        disk: &Arc<dyn Disk>,
        options: LogOptions,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<Recovered, RecoverError> {
        let list = disk.list().map_err(|source| RecoverError::Io {
            file: options.kind.prefix().to_owned(),
            source,
        })?;
        let ids: Vec<FileId> = list
            .into_iter()
            .filter(|f| f.kind == options.kind)
            .collect();
        let next_file = ids.last().map_or(1, |f| f.number + 1);
        let mut headers = Vec::with_capacity(ids.len());
        for id in &ids {
            headers.push(read_header(disk, *id, options.database)?);
        }
        let start = headers.iter().rposition(|h| h.reset).unwrap_or(0);
        let void = ids.iter().take(start).copied().collect();
        let headers = headers.split_off(start);
        let first_lsn = headers.first().map_or(1, |h| h.base_lsn);
        let mut reading = Reading {
            options,
            next_lsn: first_lsn,
            witnessed: first_lsn.saturating_sub(1),
            unwitnessed: Vec::new(),
            report: TailReport {
                files: headers.len(),
                ..TailReport::default()
            },
        };
        for (index, header) in headers.iter().enumerate() {
            let later = headers.get(index + 1..).unwrap_or_default();
            reading.file(disk, header, later, visit)?;
        }
        let Reading {
            next_lsn,
            witnessed: _,
            unwitnessed,
            mut report,
            ..
        } = reading;
        report.relogged = as_u64(unwitnessed.len());
        Ok(Recovered {
            disk: Arc::clone(disk),
            options,
            places: headers
                .iter()
                .map(|h| Place {
                    file: h.file,
                    base_lsn: h.base_lsn,
                })
                .collect(),
            void,
            next_file,
            next_lsn,
            unwitnessed,
            report,
        })
    }
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
            known: super::format::VERSION,
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
    let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

struct Reading {
    options: LogOptions,
    next_lsn: u64,
    witnessed: u64,
    /// Records above `witnessed`, in order.
    unwitnessed: Vec<Kept>,
    report: TailReport,
}

impl Reading {
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
        self.witness(header.synced_lsn);
        let limit = later.iter().filter(|h| h.base).map(|h| h.base_lsn).min();
        let bytes = read_file(disk, header.file).map_err(|source| RecoverError::Io {
            file: header.file.to_string(),
            source,
        })?;
        let at = self.chain(&bytes, header.file, limit, visit);
        if limit.is_some_and(|limit| self.next_lsn >= limit) {
            return Ok(());
        }
        if let Some(next) = later.first() {
            return if next.base_lsn == self.next_lsn {
                Ok(())
            } else {
                Err(damaged(at, self.next_lsn, "frame"))
            };
        }
        if self.next_lsn <= self.witnessed {
            return Err(damaged(at, self.next_lsn, "frame"));
        }
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.iter().any(|b| *b != 0) {
            self.report.torn = true;
            if self.witness_beyond(&bytes, at, header.file) >= self.next_lsn {
                return Err(damaged(at, self.next_lsn, "frame"));
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
            let spot = Spot {
                database: self.options.database,
                file,
                offset: as_u64(at),
            };
            let max = self.options.record_bytes_max;
            let Some((frame, crc, body)) = Frame::read(bytes, at, spot, max) else {
                break;
            };
            if frame.lsn != self.next_lsn || frame.previous_crc != previous {
                break;
            }
            self.witness(frame.durable);
            if frame.kind != KIND_WATERMARK {
                visit(Record {
                    lsn: frame.lsn,
                    kind: frame.kind,
                    body,
                });
            }
            if frame.lsn > self.witnessed {
                self.unwitnessed.push(Kept {
                    kind: frame.kind,
                    body: body.to_vec(),
                });
            }
            previous = crc;
            self.next_lsn += 1;
            self.report.records += 1;
            at += Frame::size(body.len());
        }
        at
    }

    fn witness(&mut self, lsn: u64) {
        if lsn > self.witnessed {
            let known = usize::try_from(lsn - self.witnessed).unwrap_or(usize::MAX);
            self.unwitnessed.drain(..known.min(self.unwitnessed.len()));
            self.witnessed = lsn;
        }
    }

    /// The highest durable LSN that a valid frame after the chain's end speaks of.
    fn witness_beyond(&self, bytes: &[u8], from: usize, file: FileId) -> u64 {
        let mut highest = 0;
        for at in (from.next_multiple_of(8)..bytes.len()).step_by(8) {
            if bytes.get(at..at + FRAME_MAGIC.len()) != Some(&FRAME_MAGIC) {
                continue;
            }
            let spot = Spot {
                database: self.options.database,
                file,
                offset: as_u64(at),
            };
            if let Some((frame, ..)) = Frame::read(bytes, at, spot, self.options.record_bytes_max) {
                highest = highest.max(frame.durable);
            }
        }
        debug_assert!(FRAME_BYTES.is_multiple_of(8), "BUG: frames are aligned");
        highest
    }
}

impl Recovered {
    /// What was found.
    pub fn report(&self) -> &TailReport {
        &self.report
    }

    /// The number of the next record.
    pub fn next_lsn(&self) -> u64 {
        self.next_lsn
    }

    /// The last record; 0 in an empty log.
    pub fn last_lsn(&self) -> u64 {
        self.next_lsn - 1
    }

    /// Writes what nothing witnesses as durable into a new base file and opens the log for
    /// appending. Syncing the old tail again would prove nothing after a failed sync.
    pub fn resume(self) -> Result<Log, LogError> {
        let seal = Seal {
            disk: self.disk,
            options: self.options,
            places: self.places,
            number: self.next_file,
            base_lsn: self.next_lsn - as_u64(self.unwitnessed.len()),
            reset: false,
        };
        let fill = &mut |writer: &mut super::Sealing<'_>| {
            self.unwitnessed
                .iter()
                .for_each(|kept| writer.frame(kept.kind, &[&kept.body]));
        };
        let mut log = seal.write(fill).map_err(refused)?;
        log.prepare_next()?;
        log.remove_void(&self.void);
        Ok(log)
    }

    /// Opens the log with a new file that holds one record in place of everything before it.
    pub fn restart_with(self, kind: u8, parts: &[&[u8]]) -> Result<Log, LogError> {
        let seal = Seal {
            disk: self.disk,
            options: self.options,
            places: self.places,
            number: self.next_file,
            base_lsn: self.next_lsn,
            reset: true,
        };
        let mut log = seal
            .write(&mut |writer| writer.frame(kind, parts))
            .map_err(refused)?;
        log.remove_void(&self.void);
        log.drop_places(log.places.len() - 1);
        Ok(log)
    }
}

fn refused(error: io::Error) -> LogError {
    if super::no_space(&error) {
        LogError::NoSpace
    } else {
        LogError::OutcomeUnknown(error)
    }
}

impl Log {
    /// Removes files that a reset made void. They do not count, so their order does not matter.
    fn remove_void(&self, void: &[FileId]) {
        for file in void {
            if let Err(error) = self.disk.remove(*file) {
                tracing::warn!(%file, %error, "void log file not removed");
            }
        }
    }
}
