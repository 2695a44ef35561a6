//! Quarantine: a copy of every record that replay could not read again, synced before the log may
//! give up the record, for people and for a later version that reads it.
//!
//! ```text
//! quarantine-<LSN>                       32  8  LSN u64
//!  0  8  magic "OBSRVQRT"                40  8  record length u64
//!  8  2  version u16                     48  8  side length u64
//! 10  1  record kind u8                  56  4  zero
//! 11  1  zero                            60  4  CRC-32 of all other bytes u32
//! 12  4  reason length u32               64     reason (UTF-8), record as in the log, body of
//! 16 16  database id                            the side file that it names, if it names one
//! ```
//!
//! Written by open alone. A file above the watermark belongs to a record that is still in the log:
//! it is made anew by every open that cannot read the record, and removed by one that can.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use obsrv_wal::io::{FileId, FileKind};

use crate::boundary::Store;
use crate::row::Lsn;

/// Files in quarantine. An open that needs one more is refused: so many unreadable records are no
/// accident but a version that does not read what another accepted.
pub const QUARANTINE_FILES_MAX: u64 = 1024;
/// Bytes in quarantine, headers included.
pub const QUARANTINE_BYTES_MAX: u64 = 1 << 30;

const MAGIC: &[u8; 8] = b"OBSRVQRT";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 64;
/// Reasons are cut to this: they may quote what a client sent.
const REASON_BYTES_MAX: usize = 4096;

/// Why a record was not put in quarantine. It is still in the log.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// No more may be kept: move files away, or go back to the version that wrote the records.
    #[error(
        "quarantine is full, move its files elsewhere files={files} bytes={bytes} \
         limit_files={QUARANTINE_FILES_MAX} limit_bytes={QUARANTINE_BYTES_MAX}"
    )]
    Full {
        /// Files there would be.
        files: u64,
        /// Bytes there would be.
        bytes: u64,
    },
    /// The disk refused.
    #[error("quarantine file could not be written")]
    Io(#[from] io::Error),
}

/// What is set aside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poisoned<'a> {
    pub(super) lsn: Lsn,
    pub(super) kind: u8,
    pub(super) reason: &'a str,
    pub(super) record: &'a [u8],
    /// The body, if it is in a side file.
    pub(super) side: &'a [u8],
}

/// The files of a directory that is being opened.
#[derive(Debug)]
pub(super) struct Quarantine {
    database: [u8; 16],
    /// Bytes of each file that stays.
    kept: BTreeMap<Lsn, u64>,
}

impl Quarantine {
    /// Takes stock. Files above the watermark do not stay unless replay sets their record aside.
    pub(super) fn of(
        store: &Arc<dyn Store>,
        database: [u8; 16],
        files: &[FileId],
        watermark: Lsn,
    ) -> io::Result<Self> {
        let mut kept = BTreeMap::new();
        for id in files {
            if id.kind == FileKind::Quarantine && id.number <= watermark {
                kept.insert(id.number, store.open(*id)?.len());
            }
        }
        Ok(Self { database, kept })
    }

    pub(super) fn contains(&self, lsn: Lsn) -> bool {
        self.kept.contains_key(&lsn)
    }

    pub(super) fn files(&self) -> u64 {
        u64::try_from(self.kept.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.kept.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Writes a record to a file of its own and syncs it.
    pub(super) fn keep(
        &mut self,
        store: &Arc<dyn Store>,
        poisoned: &Poisoned<'_>,
    ) -> Result<(), QuarantineError> {
        let reason = cut(poisoned.reason);
        let parts = [reason.as_bytes(), poisoned.record, poisoned.side];
        let lens = parts.map(|part| u64::try_from(part.len()).unwrap_or(u64::MAX));
        let len = lens
            .into_iter()
            .fold(as_u64(HEADER_BYTES), u64::saturating_add);
        let files = self.files() + 1;
        let bytes = self.bytes().saturating_add(len);
        if files > QUARANTINE_FILES_MAX || bytes > QUARANTINE_BYTES_MAX {
            return Err(QuarantineError::Full { files, bytes });
        }
        let id = FileId::new(FileKind::Quarantine, poisoned.lsn);
        // One that an earlier open left may have a name that was never synced.
        match store.delete(id) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut upload = store.upload(id)?;
        upload.append(&header(self.database, poisoned, lens, &parts))?;
        for part in parts.iter().filter(|part| !part.is_empty()) {
            upload.append(part)?;
        }
        upload.put_once()?;
        self.kept.insert(poisoned.lsn, len);
        Ok(())
    }
}

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn cut(reason: &str) -> &str {
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    reason.get(..end).unwrap_or_default()
}

pub(super) fn header(
    database: [u8; 16],
    poisoned: &Poisoned<'_>,
    [reason, record, side]: [u64; 3],
    parts: &[&[u8]],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[poisoned.kind, 0]);
    let reason = u32::try_from(reason).expect("BUG: a reason is cut to its limit");
    out.extend_from_slice(&reason.to_le_bytes());
    out.extend_from_slice(&database);
    for number in [poisoned.lsn, record, side] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&[0; 4]);
    let mut hash = crc32fast::Hasher::new();
    hash.update(&out);
    parts.iter().for_each(|part| hash.update(part));
    out.extend_from_slice(&hash.finalize().to_le_bytes());
    out
}

/// What a file of the quarantine holds, checked.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kind: u8,
    pub(super) reason: String,
    pub(super) record: Vec<u8>,
    pub(super) side: Vec<u8>,
}

/// Reads a file and checks every byte of it.
pub(super) fn read(store: &Arc<dyn Store>, database: [u8; 16], lsn: Lsn) -> io::Result<Found> {
    let id = FileId::new(FileKind::Quarantine, lsn);
    let failed = |source: io::Error| {
        let text = format!("quarantine file does not read file={id} offset=0: {source}");
        io::Error::new(source.kind(), text)
    };
    let object = store.open(id).map_err(failed)?;
    let len = object.len();
    if len > QUARANTINE_BYTES_MAX {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    let bytes = object.get_range(0..len).map_err(failed)?;
    parse(&bytes, database, lsn).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
}

pub(super) fn parse(bytes: &[u8], database: [u8; 16], lsn: Lsn) -> Option<Found> {
    let (head, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let kind = *head.get(10)?;
    let number = |at: usize| -> Option<usize> {
        let bytes = head.get(at..at + 8)?.try_into().ok()?;
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    let reason = u32::from_le_bytes(head.get(12..16)?.try_into().ok()?);
    let (reason, rest) = rest.split_at_checked(usize::try_from(reason).ok()?)?;
    let (record, side) = rest.split_at_checked(number(40)?)?;
    if side.len() != number(48)? {
        return None;
    }
    let poisoned = Poisoned {
        lsn,
        kind,
        reason: std::str::from_utf8(reason).ok()?,
        record,
        side,
    };
    let lens = [reason, record, side].map(|part| as_u64(part.len()));
    // One comparison finds damage, a foreign database and a misplaced file alike.
    let is_sound = header(database, &poisoned, lens, &[reason, record, side]) == head;
    is_sound.then(|| Found {
        kind,
        reason: poisoned.reason.to_owned(),
        record: record.to_vec(),
        side: side.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use obsrv_wal::io::Disk;
    use obsrv_wal::sim::SimDisk;

    use super::*;
    use crate::boundary::LocalStore;

    const DATABASE: [u8; 16] = [7; 16];

    fn poisoned(lsn: Lsn) -> Poisoned<'static> {
        Poisoned {
            lsn,
            kind: 1,
            reason: "because",
            record: b"envelope",
            side: b"body",
        }
    }

    fn empty() -> (SimDisk, Arc<dyn Store>, Quarantine) {
        let sim = SimDisk::new(1);
        let disk: Arc<dyn Disk> = sim.handle();
        let store = LocalStore::over(&disk);
        let quarantine = Quarantine::of(&store, DATABASE, &[], 0).unwrap();
        (sim, store, quarantine)
    }

    #[test]
    fn what_was_kept_is_there_after_a_power_cut_and_every_flipped_byte_is_found() {
        let (sim, store, mut quarantine) = empty();
        quarantine.keep(&store, &poisoned(9)).unwrap();
        sim.cut_power();
        sim.restart();
        let found = read(&store, DATABASE, 9).unwrap();
        assert_eq!((found.kind, &*found.reason), (1, "because"));
        assert_eq!(
            (&*found.record, &*found.side),
            (&b"envelope"[..], &b"body"[..])
        );
        assert!(read(&store, [8; 16], 9).is_err());
        let id = FileId::new(FileKind::Quarantine, 9);
        for at in 0..quarantine.bytes() {
            sim.flip(id, at, 0x10);
            assert!(read(&store, DATABASE, 9).is_err(), "at={at}");
            sim.flip(id, at, 0x10);
        }
        assert!(read(&store, DATABASE, 9).is_ok());
    }

    #[test]
    fn one_file_or_byte_above_the_limit_is_refused() {
        let (_sim, store, mut quarantine) = empty();
        quarantine.kept = (1..QUARANTINE_FILES_MAX).map(|lsn| (lsn, 64)).collect();
        quarantine.keep(&store, &poisoned(5_000)).unwrap();
        let refused = quarantine.keep(&store, &poisoned(5_001)).unwrap_err();
        assert!(refused.to_string().contains("files=1025"), "{refused}");
        let size = as_u64(HEADER_BYTES) + 19;
        quarantine.kept = BTreeMap::from([(1, QUARANTINE_BYTES_MAX - size)]);
        quarantine.keep(&store, &poisoned(5_002)).unwrap();
        quarantine.kept = BTreeMap::from([(1, QUARANTINE_BYTES_MAX - size + 1)]);
        assert!(quarantine.keep(&store, &poisoned(5_003)).is_err());
        let named = store.open(FileId::new(FileKind::Quarantine, 5_003));
        assert!(named.is_err(), "a refused record leaves no file");
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let (_sim, store, mut quarantine) = empty();
        let reason = format!("x{}", "é".repeat(REASON_BYTES_MAX));
        let long = Poisoned {
            reason: &reason,
            ..poisoned(1)
        };
        quarantine.keep(&store, &long).unwrap();
        let found = read(&store, DATABASE, 1).unwrap();
        assert_eq!(found.reason.len(), REASON_BYTES_MAX - 1);
    }
}
