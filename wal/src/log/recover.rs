//! Recovery: a log that was read (see `reading`) goes on.
//!
//! Read-only until [`Recovered::resume`] or [`Recovered::restart_with`]. What only the header of a base
//! file says was synced is written again all the same: after a failed directory sync the file may be
//! there for reads and not for a power loss.

use std::io;
use std::sync::Arc;

use super::format::{Header, Spot};
use super::link::End;
use super::mutant::Planted;
use super::reading::{Kept, Reading, Tail, gap, read_headers};
use super::seal::{Publish, Seal, Sealing};
use super::{Log, LogError, LogOptions, Place, Record, as_u64};
use crate::io::{Disk, FileId, is_want};

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
    /// It had records that are not there: its end was lost, or an old copy was restored.
    #[error("log ends before records that it had file={file} last={last} had={had}")]
    Short {
        /// The last file.
        file: FileId,
        /// The last record of the log.
        last: u64,
        /// The last one that it had for certain.
        had: u64,
    },
    /// Records that the caller needs are not there: a file is missing, or an old copy was restored.
    #[error("log does not cover what it must first={first} last={last} watermark={watermark}")]
    Uncovered {
        /// The first record of the log.
        first: u64,
        /// The last one.
        last: u64,
        /// The caller's watermark.
        watermark: u64,
    },
    /// There was a log, and no file of it is there.
    #[error("log has no file file={prefix}-*")]
    NoFile {
        /// How its files are called.
        prefix: &'static str,
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
    /// Records that count.
    pub records: u64,
    /// Whether something that was never acknowledged was cut.
    pub torn: bool,
    /// Bytes from the cut to the last byte that is not zero.
    pub cut_bytes: u64,
    /// Records that will be written again.
    pub relogged: u64,
}

/// A log that was read and not yet touched.
#[derive(Debug)]
pub struct Recovered {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    places: Vec<Place>,
    /// Files that do not count any more.
    void: Vec<FileId>,
    next_file: u64,
    first_lsn: u64,
    next_lsn: u64,
    unwitnessed: Vec<Kept>,
    report: TailReport,
    planted: Planted,
    tail: Option<Tail>,
}

impl Log {
    /// Reads the log and shows every record, oldest first.
    pub fn recover(
        disk: &Arc<dyn Disk>,
        options: LogOptions,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<Recovered, RecoverError> {
        recover(disk, options, Planted::default(), visit)
    }

    /// As [`Log::recover`], with a bug planted in recovery and in the log that follows.
    #[cfg(feature = "mutants")]
    pub fn recover_with(
        disk: &Arc<dyn Disk>,
        options: LogOptions,
        bug: Option<super::Bug>,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<Recovered, RecoverError> {
        recover(disk, options, Planted { bug }, visit)
    }
}

fn recover(
    disk: &Arc<dyn Disk>,
    options: LogOptions,
    planted: Planted,
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
    let mut headers = read_headers(disk, &ids, options.database)?;
    if headers.windows(2).any(|pair| gap(&pair[0], &pair[1])) {
        // What was shown cannot be taken back, so it must be known first where the log begins.
        let mut dry = Reading::new(options, planted, &headers);
        let start = dry.files(disk, &headers, &mut |_| {})?;
        headers.drain(..start);
    }
    let void = ids[..ids.len() - headers.len()].to_vec();
    let mut reading = Reading::new(options, planted, &headers);
    let first_lsn = reading.next_lsn;
    reading.files(disk, &headers, visit)?;
    reading.report.relogged = as_u64(reading.unwitnessed.len());
    if let Some(missing) = reading.missing_file(ids.last()) {
        return Err(RecoverError::Damaged {
            file: FileId::new(options.kind, missing),
            offset: 0,
            lsn: reading.next_lsn,
            what: "missing file",
        });
    }
    let place = |h: &Header| Place {
        file: h.file,
        base_lsn: h.base_lsn,
        reset: h.reset,
    };
    Ok(Recovered {
        disk: Arc::clone(disk),
        options,
        places: headers.iter().map(place).collect(),
        void,
        next_file,
        first_lsn,
        next_lsn: reading.next_lsn,
        unwitnessed: reading.unwitnessed,
        report: reading.report,
        planted,
        tail: reading.tail,
    })
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

    /// The first record; the next one when there is none.
    pub fn first_lsn(&self) -> u64 {
        self.first_lsn
    }

    /// For a log that was begun: checks that there is a file of it. The last one is never removed.
    pub fn begun(self) -> Result<Self, RecoverError> {
        if self.places.is_empty() {
            let prefix = self.options.kind.prefix();
            return Err(RecoverError::NoFile { prefix });
        }
        Ok(self)
    }

    /// Checks that the log goes on where `watermark` (the last record that the caller has
    /// elsewhere) ends, and reaches it: a missing file and a restored old copy do not.
    pub fn covers(&self, watermark: u64) -> Result<(), RecoverError> {
        let (first, last) = (self.first_lsn, self.last_lsn());
        if first <= watermark.saturating_add(1) && last >= watermark {
            return Ok(());
        }
        Err(RecoverError::Uncovered {
            first,
            last,
            watermark,
        })
    }

    /// Checks that the log reaches a record that it is known to have had. What lost its end, or is a copy of before, ends at
    /// a sound frame as a log does that never went further.
    pub fn reaches(&self, had: u64) -> Result<(), RecoverError> {
        let last = self.last_lsn();
        match self.places.last() {
            Some(place) if last < had => Err(RecoverError::Short {
                file: place.file,
                last,
                had,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Where the last file ends, to be linked from there.
    fn end(&self) -> io::Result<Option<End>> {
        let end = |tail: Tail| {
            Ok(End {
                file: self.disk.open(tail.file)?,
                spot: Spot {
                    database: self.options.database,
                    file: tail.file,
                    offset: tail.end,
                    planted: self.planted,
                },
                crc: tail.crc,
                attempt: 0,
                next_lsn: self.next_lsn,
            })
        };
        self.tail.map(end).transpose()
    }

    fn seal(
        self,
        base_lsn: u64,
        reset: bool,
        fill: &mut dyn FnMut(&mut Sealing<'_>),
    ) -> Result<Log, LogError> {
        let before = self.end().map_err(|error| match error {
            error if is_want(&error) => LogError::NoSpace,
            error => LogError::OutcomeUnknown(error),
        })?;
        let seal = Seal {
            disk: self.disk,
            options: self.options,
            places: self.places,
            before,
            number: self.next_file,
            base_lsn,
            reset,
            planted: self.planted,
        };
        let mut log = seal.write(fill).map_err(|error| match error {
            Publish::Not(error) if is_want(&error) => LogError::NoSpace,
            Publish::Not(error) | Publish::Unknown(error) => LogError::OutcomeUnknown(error),
        })?;
        log.try_link()?;
        log.remove_void(&self.void);
        Ok(log)
    }

    /// Writes what nothing witnesses as durable into a new base file and opens the log for
    /// appending. Syncing the old tail again would prove nothing after a failed sync.
    ///
    /// Call [`Recovered::covers`] first: files that do not count are removed.
    pub fn resume(mut self) -> Result<Log, LogError> {
        #[cfg(feature = "mutants")]
        if let Some(log) = self.resume_in_place() {
            return log.map_err(LogError::OutcomeUnknown);
        }
        let kept = std::mem::take(&mut self.unwitnessed);
        let base_lsn = self.next_lsn - as_u64(kept.len());
        let mut log = self.seal(base_lsn, false, &mut |writer| {
            kept.iter()
                .for_each(|kept| writer.frame(kept.kind, &[&kept.body]));
        })?;
        match log.prepare_next() {
            // A full disk must not keep the log from being opened.
            Ok(()) | Err(LogError::NoSpace) => Ok(log),
            Err(error) => Err(error),
        }
    }

    /// Begins a log that has no file yet, with the record after `lsn`: what came before is elsewhere.
    ///
    /// # Panics
    /// If there are records.
    pub fn begin_after(self, lsn: u64) -> Result<Log, LogError> {
        assert!(self.places.is_empty(), "BUG: a log begins twice");
        self.seal(lsn + 1, false, &mut |_| {})
    }

    /// Opens the log with a new file that holds one record in place of everything before it. The files
    /// since the last such record stay until the next, see [`Log::checkpoint`].
    pub fn restart_with(self, kind: u8, parts: &[&[u8]]) -> Result<Log, LogError> {
        let next_lsn = self.next_lsn;
        self.seal(next_lsn, true, &mut |writer| writer.frame(kind, parts))
    }

    /// What the planted bugs of recovery do: go on in the old file.
    #[cfg(feature = "mutants")]
    fn resume_in_place(&self) -> Option<io::Result<Log>> {
        let tail = self.tail?;
        let offset = match self.planted.bug? {
            super::Bug::AppendAfterTornTail => tail.dirty_end,
            super::Bug::ResyncOldTail => tail.end,
            _ => return None,
        };
        let log = |file| Log {
            disk: Arc::clone(&self.disk),
            options: self.options,
            places: self.places.clone(),
            file,
            unlinked: None,
            spare: None,
            spare_asked: false,
            next_file: self.next_file,
            offset,
            group: Vec::new(),
            next_lsn: self.next_lsn,
            durable_lsn: self.next_lsn - 1,
            witnessed_lsn: self.next_lsn - 1,
            previous_crc: tail.crc,
            group_start: (self.next_lsn, tail.crc),
            attempt: 0,
            poisoned: false,
            planted: self.planted,
        };
        let file = self.disk.open(tail.file);
        Some(file.and_then(|file| file.sync_data().map(|()| log(file))))
    }
}

impl Log {
    /// Removes files that do not count. They do not count, so their order does not matter.
    fn remove_void(&self, void: &[FileId]) {
        for file in void {
            if let Err(error) = self.disk.remove(*file) {
                tracing::warn!(%file, %error, "void log file not removed");
            }
        }
    }
}
