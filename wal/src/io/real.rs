//! The real disk: one directory, held by one process.
//!
//! Owns the lock file for life. A created file lives under `tmp-<pid>-<random>` until it is
//! published; what a crash leaves under such names is removed at open. The mutex guards the map of
//! temporary names only and is never held across a sync.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, RenameFlags, linkat, renameat_with, unlinkat};
use rustix::io::Errno;
use thiserror::Error;

use super::direct::Direct;
use super::written::Tally;
use super::{Disk, DiskFile, FileId, FileKind, OsRng, Rng, Written};

const LOCK_NAME: &str = "lock";
const TEMP_PREFIX: &str = "tmp-";
const ZERO_CHUNK: usize = 1 << 20;

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("data directory is in use by another process path={0}")]
    InUse(PathBuf),
    /// Something in its way.
    #[error("cannot open data directory path={path} error={source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A directory on a local file system.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    dir: File,
    /// Created and not yet published: the temporary name of each.
    temps: Mutex<BTreeMap<FileId, String>>,
    tally: Arc<Tally>,
    /// Held for life; the kernel lets go of it however the process ends.
    _lock: File,
}

impl RealDisk {
    /// Takes the directory, creating it (0700) if it is not there. One holder at a time, in this
    /// process or any other.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        create_dir(path).map_err(at(path))?;
        let lock_path = path.join(LOCK_NAME);
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(at(&lock_path)(source)),
        }
        let dir = OpenOptions::new().read(true).open(path).map_err(at(path))?;
        let disk = Self {
            path: path.to_owned(),
            dir,
            temps: Mutex::new(BTreeMap::new()),
            tally: Arc::default(),
            _lock: lock,
        };
        disk.remove_stale().map_err(at(path))?;
        Ok(disk)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn remove_stale(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if name
                .to_str()
                .is_some_and(|name| name.starts_with(TEMP_PREFIX))
            {
                tracing::info!(name = ?name, "removing temporary file of an earlier process");
                unlinkat(&self.dir, name.as_os_str(), AtFlags::empty())?;
            }
        }
        Ok(())
    }

    fn temp_of(&self, id: FileId) -> io::Result<String> {
        self.temps
            .lock()
            .get(&id)
            .cloned()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn file_of(&self, kind: FileKind, file: File, direct: Option<Direct>) -> Arc<dyn DiskFile> {
        let tally = Arc::clone(&self.tally);
        Arc::new(RealFile {
            file,
            direct,
            kind,
            tally,
        })
    }

    fn open_named(&self, id: FileId, write: bool) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(write)
            .open(self.path.join(id.to_string()))
    }
}

/// Creates the directory and makes its entry durable.
fn create_dir(path: &Path) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // The umask must not open it, and a parent directory must not forget it.
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    let parent = path.canonicalize()?;
    if let Some(parent) = parent.parent() {
        OpenOptions::new().read(true).open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Gives `temp` the name `name` unless that is taken.
fn rename_new(dir: &File, temp: &str, name: &str) -> io::Result<()> {
    match renameat_with(dir, temp, dir, name, RenameFlags::NOREPLACE) {
        // File systems that cannot do it atomically: a link is create-only just as well.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            linkat(dir, temp, dir, name, AtFlags::empty())?;
            unlinkat(dir, temp, AtFlags::empty())?;
            Ok(())
        }
        other => Ok(other?),
    }
}

impl Disk for RealDisk {
    fn create(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        let mut temps = self.temps.lock();
        if temps.contains_key(&id) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let mut random = [0; 8];
        OsRng.fill(&mut random);
        let name = format!(
            "{TEMP_PREFIX}{}-{:016x}",
            std::process::id(),
            u64::from_le_bytes(random)
        );
        let path = self.path.join(&name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        temps.insert(id, name);
        let direct = Direct::open(&path);
        Ok(self.file_of(id.kind, file, direct))
    }

    fn publish(&self, id: FileId) -> io::Result<()> {
        let temp = self.temp_of(id)?;
        rename_new(&self.dir, &temp, &id.to_string())?;
        self.temps.lock().remove(&id);
        Ok(())
    }

    fn discard(&self, id: FileId) -> io::Result<()> {
        let temp = self.temp_of(id)?;
        unlinkat(&self.dir, temp.as_str(), AtFlags::empty())?;
        self.temps.lock().remove(&id);
        Ok(())
    }

    fn open(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file_of(id.kind, self.open_named(id, true)?, None))
    }

    fn remove(&self, id: FileId) -> io::Result<()> {
        Ok(unlinkat(&self.dir, id.to_string(), AtFlags::empty())?)
    }

    fn list(&self) -> io::Result<Vec<FileId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            ids.extend(entry?.file_name().to_str().and_then(FileId::from_name));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.dir.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stats = rustix::fs::fstatvfs(&self.dir)?;
        Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
    }

    fn written(&self, kind: FileKind) -> Written {
        self.tally.written(kind)
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    direct: Option<Direct>,
    kind: FileKind,
    tally: Arc<Tally>,
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        let len = buf.len() as u64;
        let direct = self.direct.as_ref();
        let in_pages = direct.map(|direct| direct.write(offset, buf)).transpose()?;
        let written = if let Some(written) = in_pages.flatten() {
            written
        } else {
            self.file.write_all_at(buf, offset)?;
            len
        };
        self.tally.of(self.kind).wrote(len, written);
        Ok(())
    }

    fn write_cold(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        let whole = match &self.direct {
            Some(direct) => direct.write_pages(offset, buf)?,
            None => 0,
        };
        self.file
            .write_all_at(&buf[whole..], offset + whole as u64)?;
        let len = buf.len() as u64;
        self.tally.of(self.kind).wrote(len, len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn zero_fill(&self, len: u64) -> io::Result<()> {
        // Written, not only allocated: writes into allocated but unwritten extents change
        // metadata, and then each sync of the log waits for the file system's journal.
        let zeroes = vec![0; ZERO_CHUNK.min(usize::try_from(len).unwrap_or(ZERO_CHUNK))];
        let begun = self.file.metadata()?.len();
        let mut at = begun;
        if let (0, Some(direct)) = (at, &self.direct) {
            at = direct.zero_fill(len)?;
        }
        while at < len {
            let part = zeroes
                .len()
                .min(usize::try_from(len - at).unwrap_or(usize::MAX));
            self.file.write_all_at(&zeroes[..part], at)?;
            at += part as u64;
        }
        self.tally.of(self.kind).filled(at.saturating_sub(begun));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::FileKind;

    const ID: FileId = FileId::new(FileKind::Segment, 0x2a);

    #[test]
    fn a_file_is_seen_under_its_name_only_after_publish() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let disk = RealDisk::open(&path).unwrap();
        let file = disk.create(ID).unwrap();
        file.zero_fill(10_000).unwrap();
        file.write_at(4_000, b"text").unwrap();
        file.sync_data().unwrap();
        assert_eq!(disk.list().unwrap(), []);
        assert!(disk.create(ID).is_err(), "one creation at a time");
        disk.publish(ID).unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(disk.list().unwrap(), [ID]);
        let mut part = [0; 4];
        disk.open(ID).unwrap().read_at(4_000, &mut part).unwrap();
        assert_eq!(&part, b"text");
        assert_eq!(file.len().unwrap(), 10_000);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(ID.to_string())), 0o600);
        assert!(disk.free_bytes().unwrap() > 0);
    }

    /// Writes in order, across pages, into a page again, back, and far ahead: what is read is what
    /// plain memory would hold. On a file system with and on one without `O_DIRECT`.
    #[test]
    fn whatever_the_way_of_a_write_what_is_read_is_what_was_written() {
        const LEN: usize = 3 << 20;
        let writes = [
            (0, 4_096),
            (4_096, 100),
            (4_196, 3_996),
            (8_192, 9_000),
            (17_192, 1),
            (17_000, 300),
            (17_300, 2 << 20),
            (2_200_000, 50),
            (100, 60),
            (2_300_000, 70_000),
            (LEN - 5_000, 5_000),
            (2_400_000, 10),
        ];
        for parent in [Path::new("/dev/shm"), &std::env::temp_dir(), Path::new(".")] {
            let Ok(dir) = tempfile::tempdir_in(parent) else {
                continue;
            };
            let disk = RealDisk::open(dir.path().join("data")).unwrap();
            let file = disk.create(ID).unwrap();
            file.zero_fill(LEN as u64).unwrap();
            let mut expected = vec![0; LEN];
            for (n, (at, len)) in (1..).zip(writes) {
                file.write_at(at as u64, &vec![n; len]).unwrap();
                expected[at..at + len].fill(n);
                let mut found = vec![0; LEN];
                file.read_at(0, &mut found).unwrap();
                assert!(found == expected, "write {n} at {at}, {}", parent.display());
            }
            let cold = disk.create(FileId::new(FileKind::Segment, 7)).unwrap();
            let bytes: Vec<u8> = (0u8..251).cycle().take(100_001).collect();
            cold.write_cold(0, &bytes[..8_192]).unwrap();
            cold.write_cold(8_192, &bytes[8_192..70_000]).unwrap();
            cold.write_cold(70_000, &bytes[70_000..]).unwrap();
            cold.sync_data().unwrap();
            let mut found = vec![0; bytes.len()];
            cold.read_at(0, &mut found).unwrap();
            assert!(found == bytes && cold.len().unwrap() == 100_001);
        }
    }

    /// What is asked for counts as such whatever its way; what whole pages and zeroes take beside it does apart.
    #[test]
    fn what_is_written_is_counted_by_kind_of_file() {
        for parent in [Path::new("/dev/shm"), &std::env::temp_dir(), Path::new(".")] {
            let Ok(dir) = tempfile::tempdir_in(parent) else {
                continue;
            };
            let disk = RealDisk::open(dir.path().join("data")).unwrap();
            let log = FileId::new(FileKind::Wal, 1);
            let file = disk.create(log).unwrap();
            let is_direct =
                Direct::open(dir.path().join("data").join(LOCK_NAME).as_path()).is_some();
            file.zero_fill(20_000).unwrap();
            file.write_at(0, &[1; 100]).unwrap();
            file.write_at(100, &[2; 4_000]).unwrap();
            disk.publish(log).unwrap();
            disk.open(log).unwrap().write_at(50, &[3; 10]).unwrap();
            let written = Written {
                content: 4_110,
                // One page, then two, of which 100 and 4,000 bytes were asked for.
                pages: if is_direct { 3 * 4_096 - 4_100 } else { 0 },
                zeroes: 20_000,
            };
            assert_eq!(disk.written(FileKind::Wal), written, "{}", parent.display());
            assert_eq!(disk.written(FileKind::Segment), Written::default());
            let cold = disk.create(ID).unwrap();
            cold.write_cold(0, &[4; 5_000]).unwrap();
            let content = 5_000;
            let written = Written {
                content,
                ..Written::default()
            };
            assert_eq!(disk.written(FileKind::Segment), written);
            assert_eq!(disk.written(FileKind::Side), Written::default());
        }
    }

    #[test]
    fn a_taken_name_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path()).unwrap();
        disk.create(ID).unwrap().write_at(0, b"first").unwrap();
        disk.publish(ID).unwrap();
        disk.create(ID).unwrap();
        assert_eq!(
            disk.publish(ID).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(disk.open(ID).unwrap().len().unwrap(), 5);
        disk.discard(ID).unwrap();
        disk.remove(ID).unwrap();
        assert_eq!(disk.open(ID).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn one_holder_and_no_stale_temporary_files() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path()).unwrap();
        disk.create(ID).unwrap();
        assert!(matches!(
            RealDisk::open(dir.path()),
            Err(OpenError::InUse(_))
        ));
        drop(disk);
        let count = || fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(count(), 2, "lock and temporary file");
        drop(RealDisk::open(dir.path()).unwrap());
        assert_eq!(count(), 1, "lock");
    }

    #[test]
    fn file_names_have_one_spelling() {
        for kind in FileKind::ALL {
            let id = FileId::new(kind, 0xabc);
            assert_eq!(FileId::from_name(&id.to_string()), Some(id));
        }
        for name in [
            "wal-1",
            "wal-+00000000000000a",
            "wal-000000000000000A",
            "lock",
            "tmp-1-2",
        ] {
            assert_eq!(FileId::from_name(name), None, "name={name}");
        }
    }
}
