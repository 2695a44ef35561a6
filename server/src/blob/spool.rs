//! Bytes on their way in: a file without a name yet, hashed as it grows. Memory holds one piece of it.
//!
//! Owns the directory `spool` of the data directory; what a crash leaves there is removed at start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::key::ContentHash;
use super::sniff::HEAD_BYTES;

/// The directory.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    next: AtomicU64,
    written: Arc<AtomicU64>,
}

impl Spool {
    /// Takes the directory, making it if it is not there and emptying it.
    pub fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            tracing::info!(path = %path.display(), "removing upload of an earlier process");
            fs::remove_file(path)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            next: AtomicU64::new(0),
            written: Arc::default(),
        })
    }

    /// A file that nobody has used.
    pub fn begin(&self) -> io::Result<Spooling> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{number:016x}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Spooling {
            file: Some(file),
            path: Removed(path),
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
        let stats = rustix::fs::statvfs(&self.dir)?;
        Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
    }
}

/// Removes its file, unless it was moved away.
#[derive(Debug)]
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // Moved away, or only space until the next start.
        drop(fs::remove_file(&self.0));
    }
}

/// A file that grows.
#[derive(Debug)]
pub struct Spooling {
    file: Option<File>,
    path: Removed,
    hash: Sha256,
    len: u64,
    head: Vec<u8>,
    written: Arc<AtomicU64>,
}

impl Spooling {
    /// Adds bytes at the end.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        file.write_all(bytes)?;
        self.hash.update(bytes);
        let len = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        self.len += len;
        self.written.fetch_add(len, Ordering::Relaxed);
        let wanted = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(wanted));
        Ok(())
    }

    /// Makes them durable.
    pub fn finish(mut self) -> io::Result<Spooled> {
        let file = self.file.take().ok_or(io::ErrorKind::BrokenPipe)?;
        file.sync_data()?;
        Ok(Spooled {
            file,
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
    file: File,
    path: Removed,
    hash: ContentHash,
    len: u64,
    head: Vec<u8>,
}

impl Spooled {
    /// Where it is; whoever moves it away keeps it.
    pub fn path(&self) -> &Path {
        &self.path.0
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
    pub fn read(&mut self) -> io::Result<&mut (impl Read + use<>)> {
        io::Seek::rewind(&mut self.file)?;
        Ok(&mut self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spooled_is_hashed_whole_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("left over"), "x").unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let count = || fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(count(), 0);
        let bytes: Vec<u8> = (0..=255).cycle().take(HEAD_BYTES * 3).collect();
        let mut spooling = spool.begin().unwrap();
        for piece in bytes.chunks(100) {
            spooling.write(piece).unwrap();
        }
        spool.begin().unwrap().write(b"not kept").unwrap();
        assert_eq!(count(), 1);
        assert_eq!(spool.written(), spooling.len + 8);
        let mut spooled = spooling.finish().unwrap();
        assert_eq!(spooled.hash(), ContentHash::of(&bytes));
        assert_eq!(spooled.len(), u64::try_from(bytes.len()).unwrap());
        assert_eq!(spooled.head(), &bytes[..HEAD_BYTES]);
        let mut read = Vec::new();
        spooled.read().unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        drop(spooled);
        assert_eq!(count(), 0);
    }
}
