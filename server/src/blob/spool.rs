//! Bytes on their way in: a file without a name yet, hashed as it grows. Memory holds one piece of it.
//!
//! Owns the directory `spool` of the data directory; what a crash leaves there is removed at start.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use obsrv_engine::io::{DiskFile, RealTree, Tree};
use sha2::{Digest, Sha256};

use super::SPOOL;
use super::key::ContentHash;
use super::sniff::HEAD_BYTES;

/// The directory.
#[derive(Debug)]
pub struct Spool {
    tree: Arc<dyn Tree>,
    next: AtomicU64,
    written: Arc<AtomicU64>,
}

impl Spool {
    /// Takes the directory in a data directory, making it if it is not there and emptying it.
    pub fn open(data: &Path) -> io::Result<Self> {
        Self::on(Arc::new(RealTree::new(data)))
    }

    /// The same of a tree.
    pub fn on(tree: Arc<dyn Tree>) -> io::Result<Self> {
        let dir = Path::new(SPOOL);
        tree.make_dirs(dir)?;
        for name in tree.names(dir)? {
            let path = dir.join(name);
            tracing::info!(path = %path.display(), "removing upload of an earlier process");
            tree.remove_file(&path)?;
        }
        Ok(Self {
            tree,
            next: AtomicU64::new(0),
            written: Arc::default(),
        })
    }

    /// A file that nobody has used.
    pub fn begin(&self) -> io::Result<Spooling> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(SPOOL).join(format!("{number:016x}"));
        let file = self.tree.create(&path)?;
        Ok(Spooling {
            file,
            path: Removed(Arc::clone(&self.tree), path),
            hash: Sha256::new(),
            len: 0,
            head: Vec::new(),
            written: Arc::clone(&self.written),
        })
    }

    /// Bytes that were spooled since it was opened, of uploads that were not kept, too.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Bytes that the disk has room for.
    pub fn free_bytes(&self) -> io::Result<u64> {
        self.tree.free_bytes()
    }
}

/// Removes its file, unless it was moved away.
#[derive(Debug)]
struct Removed(Arc<dyn Tree>, PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // Moved away, or only space until the next start.
        drop(self.0.remove_file(&self.1));
    }
}

/// A file that grows.
#[derive(Debug)]
pub struct Spooling {
    file: Arc<dyn DiskFile>,
    path: Removed,
    hash: Sha256,
    len: u64,
    head: Vec<u8>,
    written: Arc<AtomicU64>,
}

impl Spooling {
    /// Adds bytes at the end.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(self.len, bytes)?;
        self.hash.update(bytes);
        let len = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        self.len += len;
        self.written.fetch_add(len, Ordering::Relaxed);
        let wanted = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(wanted));
        Ok(())
    }

    /// Makes them durable.
    pub fn finish(self) -> io::Result<Spooled> {
        self.file.sync_data()?;
        Ok(Spooled {
            file: self.file,
            path: self.path,
            hash: ContentHash(self.hash.finalize().into()),
            len: self.len,
            head: self.head,
        })
    }
}

/// A whole file, durable, without a name.
#[derive(Debug)]
pub struct Spooled {
    file: Arc<dyn DiskFile>,
    path: Removed,
    hash: ContentHash,
    len: u64,
    head: Vec<u8>,
}

impl Spooled {
    /// Where it is in the tree; whoever moves it away keeps it.
    pub fn path(&self) -> &Path {
        &self.path.1
    }

    /// Its hash.
    pub const fn hash(&self) -> ContentHash {
        self.hash
    }

    /// Its length.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its first bytes.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Reads it from its beginning.
    pub fn read(&self) -> impl Read + use<> {
        Reading {
            file: Arc::clone(&self.file),
            at: 0,
            len: self.len,
        }
    }
}

struct Reading {
    file: Arc<dyn DiskFile>,
    at: u64,
    len: u64,
}

impl Read for Reading {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let part = buf.len().min(left);
        self.file
            .read_at(self.at, buf.get_mut(..part).unwrap_or_default())?;
        self.at += u64::try_from(part).map_err(io::Error::other)?;
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_spooled_is_hashed_whole_and_leaves_nothing() {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().join(SPOOL);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("left over"), "x").unwrap();
        let spool = Spool::open(data.path()).unwrap();
        let count = || fs::read_dir(&dir).unwrap().count();
        assert_eq!(count(), 0);
        let bytes: Vec<u8> = (0..=255).cycle().take(HEAD_BYTES * 3).collect();
        let mut spooling = spool.begin().unwrap();
        for piece in bytes.chunks(100) {
            spooling.write(piece).unwrap();
        }
        spool.begin().unwrap().write(b"not kept").unwrap();
        assert_eq!(count(), 1);
        assert_eq!(spool.written(), spooling.len + 8);
        let spooled = spooling.finish().unwrap();
        assert_eq!(spooled.hash(), ContentHash::of(&bytes));
        assert_eq!(spooled.len(), u64::try_from(bytes.len()).unwrap());
        assert_eq!(spooled.head(), &bytes[..HEAD_BYTES]);
        let mut read = Vec::new();
        spooled.read().read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        drop(spooled);
        assert_eq!(count(), 0);
    }
}
