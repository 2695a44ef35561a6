//! When keys and sessions were last used, and which names requests gave to projects: what is counted
//! rather than decided. It changes with every request and is worth little, so it stays out of the log,
//! which only grows. Owns the bytes of the file that keeps it over a restart.
//!
//! ```text
//! magic "obsrvuse", version u8 = 3, counts in bincode, CRC-32 u32 LE over everything before
//! (version 2, as older ones wrote it: without `purged_ns`; version 1: without `priced`, too)
//! ```
//!
//! Each file has a number of its own, and the newest that reads counts. One that does not read is
//! reported and left out: keys then look unused, and sessions end as if unused since they began.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bincode::{Decode, Encode};
use parking_lot::Mutex;

use crate::limits::{USES_BYTES_MAX, USES_SESSIONS_MAX};
use crate::price::Book;
use crate::secret;
use crate::tenancy::ControlPlane;
use obsrv_engine::io::{Disk, FileId, FileKind};

const MAGIC: &[u8; 8] = b"obsrvuse";
const VERSION: u8 = 3;
const WITHOUT_PURGE: u8 = 2;
const WITHOUT_PRICES: u8 = 1;

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Counts {
    /// Keys by id, and when each was last used, nanoseconds since the epoch.
    pub(crate) keys: Vec<(u64, i64)>,
    /// The same of sessions, by public id.
    pub(crate) sessions: Vec<(u64, i64)>,
    /// Projects, names that their requests gave them, and how often.
    pub(crate) names: Vec<(u64, String, u64)>,
    /// Projects, and a fingerprint of the prices that what is stored of them was priced by.
    pub(crate) priced: Vec<(u64, u64)>,
    /// When the last purge of the disk began that came to its end, nanoseconds since the epoch; 0: none did.
    pub(crate) purged_ns: i64,
}

/// What version 2 has.
type Unpurged = (
    Vec<(u64, i64)>,
    Vec<(u64, i64)>,
    Vec<(u64, String, u64)>,
    Vec<(u64, u64)>,
);

/// Keys, sessions and names, as version 1 has them.
type Unpriced = (Vec<(u64, i64)>, Vec<(u64, i64)>, Vec<(u64, String, u64)>);

impl Counts {
    fn of(plane: &ControlPlane, book: &Book, purged_ns: i64) -> Self {
        let directory = plane.directory();
        Self {
            keys: directory.read(|state| state.keys.uses()),
            sessions: plane.users().seen(USES_SESSIONS_MAX),
            names: directory.named(),
            priced: book.applied(),
            purged_ns,
        }
    }

    /// False if some of it does not hold any more.
    fn restore(&self, plane: &ControlPlane, book: &Book) -> bool {
        let holds = book.restore_applied(&self.priced);
        let directory = plane.directory();
        directory.read(|state| state.keys.used(&self.keys));
        directory.restore_named(&self.names);
        plane.users().restore_seen(&self.sessions);
        holds
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct Uses {
    disk: Arc<dyn Disk>,
    book: Arc<Book>,
    purged_ns: AtomicI64,
    /// What the newest file holds.
    newest: Mutex<(u64, Counts)>,
}

impl Uses {
    /// Reads what an earlier process left, and gives it to keys, sessions and names.
    pub(crate) fn load(
        disk: Arc<dyn Disk>,
        plane: &ControlPlane,
        book: Arc<Book>,
    ) -> io::Result<Self> {
        let mut newest = (secret::FILE.number, Counts::default());
        let mut holds = true;
        let files = numbers(&*disk)?;
        for number in files.iter().rev() {
            newest.0 = newest.0.max(*number);
            if let Some(counts) = read(&*disk, *number)? {
                holds = counts.restore(plane, &book);
                newest.1 = counts;
                break;
            }
            tracing::warn!(number, "file of uses does not read and is left out");
        }
        let uses = Self {
            disk,
            book,
            purged_ns: newest.1.purged_ns.into(),
            newest: Mutex::new(newest),
        };
        if !holds {
            // Before anything is stored by the prices that hold now.
            uses.store(plane)?;
        }
        Ok(uses)
    }

    /// When the last purge of the disk began that came to its end, nanoseconds since the epoch; 0: none did.
    pub(crate) fn purged_ns(&self) -> i64 {
        self.purged_ns.load(Ordering::Relaxed)
    }

    /// Notes that one that began then has come to its end.
    pub(crate) fn note_purge(&self, began_ns: i64) {
        self.purged_ns.store(began_ns, Ordering::Relaxed);
    }

    /// Writes a new file, if anything was used since the last one. Blocks.
    pub(crate) fn store(&self, plane: &ControlPlane) -> io::Result<()> {
        let mut newest = self.newest.lock();
        let counts = Counts::of(plane, &self.book, self.purged_ns());
        if counts == newest.1 {
            return Ok(());
        }
        let (number, bytes) = (newest.0 + 1, bytes_of(&counts));
        let id = FileId::new(FileKind::Secret, number);
        let file = self.disk.create(id)?;
        if let Err(error) = file.write_at(0, &bytes).and_then(|()| file.sync_data()) {
            // A disk that is full also keeps what is half written: it goes at the next start.
            drop(self.disk.discard(id));
            return Err(error);
        }
        self.disk.publish(id)?;
        self.disk.sync_dir()?;
        *newest = (number, counts);
        for old in numbers(&*self.disk)? {
            if old < number {
                self.disk.remove(FileId::new(FileKind::Secret, old))?;
            }
        }
        Ok(())
    }
}

/// The files, oldest first.
fn numbers(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let files = disk.list()?.into_iter();
    let ours = files.filter(|id| id.kind == FileKind::Secret && id.number > secret::FILE.number);
    let mut numbers: Vec<u64> = ours.map(|id| id.number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn read(disk: &dyn Disk, number: u64) -> io::Result<Option<Counts>> {
    let file = disk.open(FileId::new(FileKind::Secret, number))?;
    let length = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if length > USES_BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    file.read_at(0, &mut bytes)?;
    Ok(parse(&bytes))
}

fn bytes_of(counts: &Counts) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &[VERSION]].concat();
    bincode::encode_into_std_write(counts, &mut bytes, bincode::config::standard())
        .expect("BUG: encoding into memory failed");
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Whether a file reads that says this and has the checksum of it; one that does is written as a file that
/// says the same. For fuzzing.
#[cfg(feature = "forge")]
pub(crate) fn reads(body: &[u8]) -> bool {
    let sealed = [body, &crc32fast::hash(body).to_le_bytes()].concat();
    let Some(read) = parse(&sealed) else {
        return false;
    };
    assert_eq!(
        parse(&bytes_of(&read)),
        Some(read),
        "BUG: counts read as others"
    );
    true
}

/// A file without its checksum: for fuzzing.
#[cfg(feature = "forge")]
pub(crate) fn file() -> Vec<u8> {
    let counts = Counts {
        keys: vec![(3, 5)],
        sessions: vec![(251, -1)],
        names: vec![(1, "x".into(), 2)],
        priced: vec![(1, 3)],
        purged_ns: -2,
    };
    let mut bytes = bytes_of(&counts);
    bytes.truncate(bytes.len().saturating_sub(4));
    bytes
}

fn parse(bytes: &[u8]) -> Option<Counts> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (version, body) = body.strip_prefix(MAGIC)?.split_first()?;
    let config = bincode::config::standard().with_limit::<USES_BYTES_MAX>();
    let (counts, used) = match *version {
        VERSION => bincode::decode_from_slice(body, config).ok()?,
        WITHOUT_PURGE => {
            let (read, used): (Unpurged, _) = bincode::decode_from_slice(body, config).ok()?;
            let (keys, sessions, names, priced) = read;
            let counts = Counts {
                keys,
                sessions,
                names,
                priced,
                purged_ns: 0,
            };
            (counts, used)
        }
        WITHOUT_PRICES => {
            let (read, used): (Unpriced, _) = bincode::decode_from_slice(body, config).ok()?;
            let (keys, sessions, names) = read;
            let counts = Counts {
                keys,
                sessions,
                names,
                ..Counts::default()
            };
            (counts, used)
        }
        _ => return None,
    };
    (used == body.len()).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        Counts {
            keys: vec![(3, 5)],
            sessions: vec![(251, -1)],
            names: vec![(1, "x".into(), 2)],
            priced: vec![(1, 3)],
            purged_ns: -2,
        }
    }

    /// Written down: older files must go on reading.
    #[test]
    fn bytes_are_golden() {
        let sealed = |bytes: &[u8]| [bytes, &crc32fast::hash(bytes).to_le_bytes()].concat();
        let old = b"obsrvuse\x01\x01\x03\x0a\x01\xfb\xfb\x00\x01\x01\x01\x01x\x02";
        let mut second = old.to_vec();
        second[8] = 2;
        second.extend_from_slice(b"\x01\x01\x03");
        let mut third = second.clone();
        third[8] = 3;
        third.extend_from_slice(b"\x03");
        assert_eq!(bytes_of(&counts()), sealed(&third));
        assert_eq!(parse(&sealed(&third)), Some(counts()));
        let unpurged = Counts {
            purged_ns: 0,
            ..counts()
        };
        assert_eq!(parse(&sealed(&second)), Some(unpurged.clone()));
        let unpriced = Counts {
            priced: Vec::new(),
            ..unpurged
        };
        assert_eq!(parse(&sealed(old)), Some(unpriced));
    }

    #[test]
    fn no_bit_may_change() {
        let bytes = bytes_of(&counts());
        for at in 0..bytes.len() * 8 {
            let mut edited = bytes.clone();
            edited[at / 8] ^= 1 << (at % 8);
            assert_eq!(parse(&edited), None, "bit {at}");
        }
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), None, "cut at {end}");
        }
    }
}
