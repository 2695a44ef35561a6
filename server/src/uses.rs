//! When keys and sessions were last used, and which names requests gave to projects: what is counted
//! rather than decided. It changes with every request and is worth little, so it stays out of the log,
//! which only grows. Owns the bytes of the file that keeps it over a restart.
//!
//! ```text
//! magic "obsrvuse", version u8 = 1, counts in bincode, CRC-32 u32 LE over everything before
//! ```
//!
//! Each file has a number of its own, and the newest that reads counts. One that does not read is
//! reported and left out: keys then look unused, and sessions end as if unused since they began.

use std::io;
use std::sync::Arc;

use bincode::{Decode, Encode};
use parking_lot::Mutex;

use crate::limits::{USES_BYTES_MAX, USES_SESSIONS_MAX};
use crate::secret;
use crate::tenancy::ControlPlane;
use obsrv_engine::io::{Disk, FileId, FileKind};

const MAGIC: &[u8; 8] = b"obsrvuse";
const VERSION: u8 = 1;

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Counts {
    /// Keys by id, and when each was last used, nanoseconds since the epoch.
    pub(crate) keys: Vec<(u64, i64)>,
    /// The same of sessions, by public id.
    pub(crate) sessions: Vec<(u64, i64)>,
    /// Projects, names that their requests gave them, and how often.
    pub(crate) names: Vec<(u64, String, u64)>,
}

impl Counts {
    fn of(plane: &ControlPlane) -> Self {
        let directory = plane.directory();
        Self {
            keys: directory.read(|state| state.keys.uses()),
            sessions: plane.users().seen(USES_SESSIONS_MAX),
            names: directory.named(),
        }
    }

    fn restore(&self, plane: &ControlPlane) {
        let directory = plane.directory();
        directory.read(|state| state.keys.used(&self.keys));
        directory.restore_named(&self.names);
        plane.users().restore_seen(&self.sessions);
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct Uses {
    disk: Arc<dyn Disk>,
    /// What the newest file holds.
    newest: Mutex<(u64, Counts)>,
}

impl Uses {
    /// Reads what an earlier process left, and gives it to keys, sessions and names.
    pub(crate) fn load(disk: Arc<dyn Disk>, plane: &ControlPlane) -> io::Result<Self> {
        let mut newest = (secret::FILE.number, Counts::default());
        let files = numbers(&*disk)?;
        for number in files.iter().rev() {
            newest.0 = newest.0.max(*number);
            if let Some(counts) = read(&*disk, *number)? {
                counts.restore(plane);
                newest.1 = counts;
                break;
            }
            tracing::warn!(number, "file of uses does not read and is left out");
        }
        Ok(Self {
            disk,
            newest: Mutex::new(newest),
        })
    }

    /// Writes a new file, if anything was used since the last one. Blocks.
    pub(crate) fn store(&self, plane: &ControlPlane) -> io::Result<()> {
        let mut newest = self.newest.lock();
        let counts = Counts::of(plane);
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

fn parse(bytes: &[u8]) -> Option<Counts> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let body = body.strip_prefix(MAGIC)?.strip_prefix(&[VERSION])?;
    let config = bincode::config::standard().with_limit::<USES_BYTES_MAX>();
    let (counts, used) = bincode::decode_from_slice(body, config).ok()?;
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
        }
    }

    /// Written down: older files must go on reading.
    #[test]
    fn bytes_are_golden() {
        let mut golden = b"obsrvuse\x01\x01\x03\x0a\x01\xfb\xfb\x00\x01\x01\x01\x01x\x02".to_vec();
        golden.extend_from_slice(&crc32fast::hash(&golden).to_le_bytes());
        assert_eq!(bytes_of(&counts()), golden);
        assert_eq!(parse(&golden), Some(counts()));
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
