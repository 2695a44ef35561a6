//! Files with names of their own, in directories below one: attachments, and uploads on their way.
//!
//! Paths are relative and of plain names. As on a [`super::Disk`], a name is durable after its directory was synced, and
//! the directory's own name after the one above it was.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::DiskFile;

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its length in bytes.
    pub len: u64,
    /// When it was written last, nanoseconds since the epoch.
    pub written_ns: i64,
}

/// A tree of directories and files.
pub trait Tree: fmt::Debug + Send + Sync {
    /// Makes a directory, and those above it that are not there.
    fn make_dirs(&self, dir: &Path) -> io::Result<()>;

    /// Makes a file; one that is there is `AlreadyExists`.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file to read it.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// What is known of a file.
    fn facts(&self, path: &Path) -> io::Result<Facts>;

    /// The names in a directory, in no order. What is no text is left out.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name, which nobody has; false if somebody has it.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<bool>;

    /// Removes a file. Open handles stay readable.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory that has nothing in it.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable; the empty path is the directory of the tree.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that can still be written.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// A directory of the file system.
#[derive(Debug)]
pub struct RealTree {
    root: PathBuf,
}

impl RealTree {
    /// What is below a directory, which need not be there yet.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

/// A file or a directory, to be read or synced.
fn opened(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

impl Tree for RealTree {
    fn make_dirs(&self, dir: &Path) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(self.at(dir))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Arc::new(PlainFile(options.open(self.at(path))?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(PlainFile(opened(&self.at(path))?)))
    }

    fn facts(&self, path: &Path) -> io::Result<Facts> {
        let metadata = fs::metadata(self.at(path))?;
        let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Facts {
            len: metadata.len(),
            written_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        })
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.at(dir))? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<bool> {
        let (from, to) = (self.at(from), self.at(to));
        match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            // File systems that cannot do it atomically: a link is create-only just as well.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match fs::hard_link(from, to) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            },
            Err(other) => Err(other.into()),
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(self.at(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        opened(&self.at(dir))?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stats = rustix::fs::statvfs(&self.root)?;
        Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
    }
}

/// A file that is read and written through the page cache.
#[derive(Debug)]
struct PlainFile(File);

impl DiskFile for PlainFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn zero_fill(&self, len: u64) -> io::Result<()> {
        static ZEROES: [u8; 1 << 16] = [0; 1 << 16];
        let mut at = self.len()?;
        while at < len {
            let part = usize::try_from(len - at).map_or(ZEROES.len(), |n| n.min(ZEROES.len()));
            self.write_at(at, ZEROES.get(..part).unwrap_or_default())?;
            at += u64::try_from(part).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both trees, as far as one process sees them.
    #[test]
    fn the_real_tree_and_the_simulated_one_answer_alike() {
        let dir = tempfile::tempdir().unwrap();
        let trees: [Arc<dyn Tree>; 2] = [
            Arc::new(RealTree::new(dir.path())),
            crate::sim::SimDisk::new(1).tree(),
        ];
        for tree in trees {
            let path = |text: &str| PathBuf::from(text);
            let kind = |error: io::Error| error.kind();
            let absent = io::ErrorKind::NotFound;
            tree.make_dirs(&path("a/b")).unwrap();
            tree.make_dirs(&path("a/b")).unwrap();
            assert_eq!(tree.create(&path("x/y")).map_err(kind).unwrap_err(), absent);
            let file = tree.create(&path("a/one")).unwrap();
            let again = tree.create(&path("a/one")).map_err(kind);
            assert_eq!(again.unwrap_err(), io::ErrorKind::AlreadyExists);
            file.write_at(0, b"hello").unwrap();
            file.sync_data().unwrap();
            file.zero_fill(8).unwrap();
            assert_eq!(tree.facts(&path("a/one")).unwrap().len, 8);
            assert_eq!(
                tree.facts(&path("a/two")).map_err(kind).unwrap_err(),
                absent
            );
            assert!(tree.rename_new(&path("a/one"), &path("a/b/two")).unwrap());
            tree.create(&path("a/one")).unwrap();
            assert!(!tree.rename_new(&path("a/one"), &path("a/b/two")).unwrap());
            let gone = tree
                .rename_new(&path("a/none"), &path("a/three"))
                .map_err(kind);
            assert_eq!(gone.unwrap_err(), absent);
            let mut read = [0; 5];
            let two = tree.open(&path("a/b/two")).unwrap();
            two.read_at(0, &mut read).unwrap();
            assert_eq!(&read, b"hello");
            let past = two.read_at(4, &mut read).map_err(kind);
            assert_eq!(past.unwrap_err(), io::ErrorKind::UnexpectedEof);
            let mut names = tree.names(&path("a")).unwrap();
            names.sort_unstable();
            assert_eq!(names, ["b", "one"]);
            assert_eq!(tree.names(&path("c")).map_err(kind).unwrap_err(), absent);
            let no_dir = tree.names(&path("a/one")).map_err(kind);
            assert_eq!(no_dir.unwrap_err(), io::ErrorKind::NotADirectory);
            let full = tree.remove_dir(&path("a")).map_err(kind);
            assert_eq!(full.unwrap_err(), io::ErrorKind::DirectoryNotEmpty);
            tree.remove_file(&path("a/b/two")).unwrap();
            two.read_at(0, &mut read).unwrap();
            assert_eq!(
                tree.remove_file(&path("a/b/two"))
                    .map_err(kind)
                    .unwrap_err(),
                absent
            );
            tree.remove_dir(&path("a/b")).unwrap();
            assert_eq!(tree.names(&path("a")).unwrap(), ["one"]);
            for dir in ["a", ""] {
                tree.sync_dir(&path(dir)).unwrap();
            }
            assert_eq!(
                tree.sync_dir(&path("a/b")).map_err(kind).unwrap_err(),
                absent
            );
            assert!(tree.free_bytes().unwrap() > 0);
        }
    }
}
