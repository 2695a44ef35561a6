//! Objects as files of the data directory.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::store::{Object, Store, Upload};
use crate::io::{Disk, DiskFile, FileId, FileKind};

/// The files of a [`Disk`] that are objects. An object gets its name with create-only semantics,
/// never by a rename over a name.
#[derive(Clone, Debug)]
pub struct LocalStore {
    disk: Arc<dyn Disk>,
}

impl LocalStore {
    /// The store in a directory.
    pub fn over(disk: &Arc<dyn Disk>) -> Arc<dyn Store> {
        Arc::new(Self {
            disk: Arc::clone(disk),
        })
    }
}

impl Store for LocalStore {
    fn upload(&self, id: FileId) -> io::Result<Box<dyn Upload>> {
        let file = self.disk.create(id)?;
        Ok(Box::new(LocalUpload {
            disk: Arc::clone(&self.disk),
            id,
            file,
            len: 0,
            is_done: false,
        }))
    }

    fn open(&self, id: FileId) -> io::Result<Arc<dyn Object>> {
        let file = self.disk.open(id)?;
        let len = file.len()?;
        Ok(Arc::new(LocalObject { file, len }))
    }

    fn list(&self) -> io::Result<Vec<FileId>> {
        use FileKind::{Quarantine, Segment, Side};
        let is_object = |id: &FileId| matches!(id.kind, Segment | Side | Quarantine);
        let files = self.disk.list()?;
        Ok(files.into_iter().filter(is_object).collect())
    }

    fn delete(&self, id: FileId) -> io::Result<()> {
        self.disk.remove(id)
    }
}

struct LocalUpload {
    disk: Arc<dyn Disk>,
    id: FileId,
    file: Arc<dyn DiskFile>,
    len: u64,
    is_done: bool,
}

impl LocalUpload {
    fn grow(&mut self, bytes: &[u8]) {
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.len = self.len.saturating_add(added);
    }
}

impl Upload for LocalUpload {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(self.len, bytes)?;
        self.grow(bytes);
        Ok(())
    }

    fn append_cold(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_cold(self.len, bytes)?;
        self.grow(bytes);
        Ok(())
    }

    fn put_once(mut self: Box<Self>) -> io::Result<()> {
        self.file.sync_data()?;
        self.disk.publish(self.id)?;
        self.is_done = true;
        self.disk.sync_dir()
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let id = self.id;
        // Only space: nothing refers to it, and the next open sweeps it.
        if let Err(error) = self.disk.discard(id) {
            tracing::debug!(%id, %error, "unfinished file not discarded");
        }
    }
}

#[derive(Debug)]
struct LocalObject {
    file: Arc<dyn DiskFile>,
    len: u64,
}

impl Object for LocalObject {
    fn len(&self) -> u64 {
        self.len
    }

    fn get_ranges(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let read = |range: &Range<u64>| {
            let past_end = || io::Error::from(io::ErrorKind::UnexpectedEof);
            let len = range.end.checked_sub(range.start).ok_or_else(past_end)?;
            if range.end > self.len {
                return Err(past_end());
            }
            let mut bytes = vec![0; usize::try_from(len).map_err(|_| past_end())?];
            self.file.read_at(range.start, &mut bytes)?;
            Ok(Bytes::from(bytes))
        };
        ranges.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use obsrv_wal::sim::SimDisk;

    use super::*;

    const ID: FileId = FileId::new(FileKind::Segment, 7);

    fn store() -> (SimDisk, Arc<dyn Store>) {
        let sim = SimDisk::new(1);
        let disk: Arc<dyn Disk> = sim.handle();
        (sim, LocalStore::over(&disk))
    }

    #[test]
    fn an_object_is_there_whole_or_not_at_all() {
        let (_sim, store) = store();
        let mut upload = store.upload(ID).unwrap();
        upload.append(b"hel").unwrap();
        assert!(store.open(ID).is_err());
        upload.append(b"lo").unwrap();
        upload.put_once().unwrap();
        let object = store.open(ID).unwrap();
        assert_eq!(object.len(), 5);
        assert_eq!(object.get_ranges(&[1..3, 0..5]).unwrap(), ["el", "hello"]);
        assert_eq!(store.list().unwrap(), [ID]);
        store.delete(ID).unwrap();
        assert_eq!(
            store.delete(ID).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert!(store.list().unwrap().is_empty());
    }

    #[test]
    fn a_name_is_given_once() {
        let (_sim, store) = store();
        store.upload(ID).unwrap().put_once().unwrap();
        let again = store.upload(ID).and_then(Upload::put_once);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(store.open(ID).unwrap().len(), 0);
    }

    #[test]
    fn what_was_dropped_leaves_nothing() {
        let (_sim, store) = store();
        let mut upload = store.upload(ID).unwrap();
        upload.append(b"x").unwrap();
        drop(upload);
        assert!(store.list().unwrap().is_empty());
        store.upload(ID).unwrap().put_once().unwrap();
    }

    #[test]
    fn a_range_past_the_end_is_refused() {
        let (_sim, store) = store();
        let mut upload = store.upload(ID).unwrap();
        upload.append(b"abc").unwrap();
        upload.put_once().unwrap();
        let object = store.open(ID).unwrap();
        assert_eq!(object.get_range(0..3).unwrap(), "abc");
        for range in [0..4, 3..5, Range { start: 2, end: 1 }] {
            let error = object.get_range(range).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
