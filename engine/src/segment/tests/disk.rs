//! A directory in memory that can be told to fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::io::{Disk, DiskFile, FileId};

#[derive(Debug, Default)]
pub(crate) struct MemDisk {
    temporary: Mutex<BTreeMap<FileId, Arc<MemFile>>>,
    pub(crate) published: Mutex<BTreeMap<FileId, Arc<MemFile>>>,
    faults: Arc<Faults>,
}

/// The operation that fails, counted from 1; 0 for none.
#[derive(Debug, Default)]
struct Faults {
    done: AtomicU64,
    fail_at: AtomicU64,
    /// How many after it fail, too.
    more: AtomicU64,
}

impl Faults {
    fn step(&self) -> io::Result<()> {
        let at = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let from = self.fail_at.load(Ordering::Relaxed);
        let to = from + self.more.load(Ordering::Relaxed);
        if from > 0 && (from..=to).contains(&at) {
            return Err(io::Error::other("injected"));
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
pub(crate) struct MemFile {
    pub(crate) bytes: Mutex<Vec<u8>>,
    faults: Arc<Faults>,
}

impl MemDisk {
    pub(crate) fn failing_at(operation: u64) -> Self {
        let disk = Self::default();
        disk.faults.fail_at.store(operation, Ordering::Relaxed);
        disk
    }

    pub(crate) fn failing_at_each(operation: u64, times: u64) -> Self {
        let disk = Self::failing_at(operation);
        disk.faults.more.store(times - 1, Ordering::Relaxed);
        disk
    }

    pub(crate) fn operations(&self) -> u64 {
        self.faults.done.load(Ordering::Relaxed)
    }

    pub(crate) fn temporary_files(&self) -> usize {
        self.temporary.lock().len()
    }

    /// Puts a file in place as it is.
    pub(crate) fn place(&self, id: FileId, bytes: Vec<u8>) {
        let file = MemFile {
            bytes: Mutex::new(bytes),
            faults: Arc::clone(&self.faults),
        };
        self.published.lock().insert(id, Arc::new(file));
    }
}

impl Disk for MemDisk {
    fn create(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        self.faults.step()?;
        let file = Arc::new(MemFile {
            bytes: Mutex::default(),
            faults: Arc::clone(&self.faults),
        });
        self.temporary.lock().insert(id, Arc::clone(&file));
        Ok(file)
    }

    fn publish(&self, id: FileId) -> io::Result<()> {
        self.faults.step()?;
        let file = self
            .temporary
            .lock()
            .remove(&id)
            .ok_or(io::ErrorKind::NotFound)?;
        if self.published.lock().contains_key(&id) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.published.lock().insert(id, file);
        Ok(())
    }

    fn discard(&self, id: FileId) -> io::Result<()> {
        let gone = self.temporary.lock().remove(&id);
        gone.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        self.faults.step()?;
        let file = self.published.lock().get(&id).cloned();
        Ok(file.ok_or(io::ErrorKind::NotFound)?)
    }

    fn remove(&self, id: FileId) -> io::Result<()> {
        let gone = self.published.lock().remove(&id);
        gone.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self) -> io::Result<Vec<FileId>> {
        Ok(self.published.lock().keys().copied().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.faults.step()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl DiskFile for MemFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.faults.step()?;
        let bytes = self.bytes.lock();
        let from = usize::try_from(offset).unwrap();
        let found = bytes.get(from..).and_then(|b| b.get(..buf.len()));
        buf.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.faults.step()?;
        let mut bytes = self.bytes.lock();
        let from = usize::try_from(offset).unwrap();
        let end = bytes.len().max(from + buf.len());
        bytes.resize(end, 0);
        bytes[from..from + buf.len()].copy_from_slice(buf);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.step()
    }

    fn zero_fill(&self, len: u64) -> io::Result<()> {
        self.bytes.lock().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().len() as u64)
    }
}
