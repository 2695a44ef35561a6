//! A disk that skips what the engine relies on: planted bugs that the simulator must catch.

use std::io;
use std::sync::Arc;

use obsrv_engine::io::{Disk, DiskFile, FileId, FileKind};

/// What the disk leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Files of this kind are not synced.
    NoSync(FileKind),
    /// The directory is not synced.
    NoDirectorySync,
}

/// The disk under test, with one thing left out.
#[derive(Debug)]
pub struct LyingDisk {
    pub(super) honest: Arc<dyn Disk>,
    pub(super) lie: Lie,
}

#[derive(Debug)]
struct LyingFile {
    honest: Arc<dyn DiskFile>,
    skip_sync: bool,
}

impl LyingDisk {
    fn file(&self, id: FileId, honest: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(LyingFile {
            honest,
            skip_sync: self.lie == Lie::NoSync(id.kind),
        })
    }
}

impl Disk for LyingDisk {
    fn create(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(id, self.honest.create(id)?))
    }
    fn publish(&self, id: FileId) -> io::Result<()> {
        self.honest.publish(id)
    }
    fn discard(&self, id: FileId) -> io::Result<()> {
        self.honest.discard(id)
    }
    fn open(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(id, self.honest.open(id)?))
    }
    fn remove(&self, id: FileId) -> io::Result<()> {
        self.honest.remove(id)
    }
    fn list(&self) -> io::Result<Vec<FileId>> {
        self.honest.list()
    }
    fn sync_dir(&self) -> io::Result<()> {
        if self.lie == Lie::NoDirectorySync {
            Ok(())
        } else {
            self.honest.sync_dir()
        }
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.honest.free_bytes()
    }
}

impl DiskFile for LyingFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.honest.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.honest.write_at(offset, buf)
    }
    fn sync_data(&self) -> io::Result<()> {
        if self.skip_sync {
            Ok(())
        } else {
            self.honest.sync_data()
        }
    }
    fn zero_fill(&self, len: u64) -> io::Result<()> {
        self.honest.zero_fill(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.honest.len()
    }
}
