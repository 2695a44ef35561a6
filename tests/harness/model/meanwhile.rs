//! A disk on which something else happens while a job writes its segment: what the other threads of
//! a running engine do, at a place that a seed repeats.

use std::io;
use std::sync::{Arc, Mutex};

use obsrv_engine::io::{Disk, DiskFile, FileId, FileKind};

type Thunk = Box<dyn FnOnce() + Send>;

/// What happens when the next segment is published.
#[derive(Clone, Default)]
pub(super) struct Meanwhile(Arc<Mutex<Option<Thunk>>>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Meanwhile {
    pub(super) fn plan(&self, thunk: Thunk) {
        *self.0.lock().expect("no panic under this lock") = Some(thunk);
    }

    /// Does it now, unless it has happened. Answers whether it had not.
    pub(super) fn happen(&self) -> bool {
        // Taken out first: it may write a segment itself.
        let thunk = self.0.lock().expect("no panic under this lock").take();
        thunk.map(|thunk| thunk()).is_some()
    }
}

/// The disk.
#[derive(Debug)]
pub(super) struct BusyDisk {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) meanwhile: Meanwhile,
}

impl Disk for BusyDisk {
    fn create(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(id)
    }
    fn publish(&self, id: FileId) -> io::Result<()> {
        if id.kind == FileKind::Segment {
            self.meanwhile.happen();
        }
        self.disk.publish(id)
    }
    fn discard(&self, id: FileId) -> io::Result<()> {
        self.disk.discard(id)
    }
    fn open(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(id)
    }
    fn remove(&self, id: FileId) -> io::Result<()> {
        self.disk.remove(id)
    }
    fn list(&self) -> io::Result<Vec<FileId>> {
        self.disk.list()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }
}
