//! Blobs as files in the tree of the data directory: `blobs/<name>`, as `key.rs` writes names.
//!
//! A file gets its name with create-only semantics after its bytes are synced; then every directory on the way
//! is synced, whoever made it, so that an answer never outruns another request's directory. Where that fails the name is
//! taken back.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use obsrv_engine::boundary::Object;
use obsrv_engine::io::{DiskFile, RealTree, Tree};
use parking_lot::Mutex;

use super::DIRECTORY;
use super::key::Key;
use super::spool::Spooled;
use super::store::{BlobStore, Listed};

/// Directories above a file.
const LEVELS: usize = 3;
/// Puts that can go on at once, one for each lock.
const TURNS: usize = 64;

/// The directory of blobs in a tree.
#[derive(Debug)]
pub struct LocalBlobs {
    tree: Arc<dyn Tree>,
    /// Puts of one blob take turns: what one takes back no other one has answered for.
    turns: [Mutex<()>; TURNS],
}

impl LocalBlobs {
    /// The blobs of a data directory; their own is made if it is not there.
    pub fn open(data: &Path) -> io::Result<Self> {
        Self::on(Arc::new(RealTree::new(data)))
    }

    /// The same of a tree.
    pub fn on(tree: Arc<dyn Tree>) -> io::Result<Self> {
        tree.make_dirs(Path::new(DIRECTORY))?;
        tree.sync_dir(Path::new(""))?;
        Ok(Self::over(tree))
    }

    /// The blobs of a data directory; `None` if it has no directory of them.
    pub fn existing(data: &Path) -> Option<Self> {
        let is_there = data.join(DIRECTORY).is_dir();
        is_there.then(|| Self::over(Arc::new(RealTree::new(data))))
    }

    fn over(tree: Arc<dyn Tree>) -> Self {
        let turns = std::array::from_fn(|_| Mutex::default());
        Self { tree, turns }
    }

    /// After a failed sync nothing is known of the names in a directory, and another one proves nothing: they go, so that
    /// the next put makes them anew. Directories that others have something in stay.
    fn take_back(&self, path: &Path) {
        if let Err(error) = self.tree.remove_file(path) {
            tracing::warn!(path = %path.display(), %error, "name that may not last not removed");
        }
        let mut dirs = path.ancestors().skip(1).take(LEVELS);
        while dirs
            .next()
            .is_some_and(|dir| self.tree.remove_dir(dir).is_ok())
        {}
    }
}

fn path_of(key: &Key) -> PathBuf {
    Path::new(DIRECTORY).join(key.to_string())
}

impl BlobStore for LocalBlobs {
    fn put_once(&self, key: &Key, spooled: Spooled) -> io::Result<()> {
        let path = path_of(key);
        let dir = path.parent().ok_or(io::ErrorKind::InvalidFilename)?;
        let turn = usize::from(key.hash().0[0]) % TURNS;
        let _turn = self.turns.get(turn).map(Mutex::lock);
        self.tree.make_dirs(dir)?;
        let is_new = self.tree.rename_new(spooled.path(), &path)?;
        let mut dirs = path.ancestors().skip(1).take(LEVELS + 1);
        let synced = dirs.try_for_each(|dir| self.tree.sync_dir(dir));
        if is_new && synced.is_err() {
            self.take_back(&path);
        }
        synced
    }

    fn open(&self, key: &Key) -> io::Result<(Arc<dyn Object>, i64)> {
        let path = path_of(key);
        let facts = self.tree.facts(&path)?;
        let object = LocalBlob {
            file: self.tree.open(&path)?,
            len: facts.len,
        };
        Ok((Arc::new(object), facts.written_ns))
    }

    fn list(&self, prefix: &str, after: &str, max: usize) -> io::Result<Vec<Listed>> {
        let after: Vec<&str> = after.split('/').filter(|part| !part.is_empty()).collect();
        let above: Vec<&str> = prefix.split('/').filter(|part| !part.is_empty()).collect();
        // Names after `after` below the prefix: all of them unless `after` is below it, too.
        let after = match after.iter().take(above.len()).cmp(above.iter()) {
            std::cmp::Ordering::Less => &[][..],
            std::cmp::Ordering::Equal => after.get(above.len()..).unwrap_or_default(),
            std::cmp::Ordering::Greater => return Ok(Vec::new()),
        };
        let mut found = Vec::new();
        let mut name = above.join("/");
        walk(&*self.tree, &mut name, above.len(), after, max, &mut found)?;
        Ok(found)
    }

    fn delete(&self, key: &Key) -> io::Result<()> {
        let path = path_of(key);
        match self.tree.remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        if let Some(dir) = path.parent() {
            // Only the last file of a trace takes the directory with it.
            drop(self.tree.remove_dir(dir));
        }
        Ok(())
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// Adds what is below `name`, in the order of names part by part.
fn walk(
    tree: &dyn Tree,
    name: &mut String,
    level: usize,
    after: &[&str],
    max: usize,
    found: &mut Vec<Listed>,
) -> io::Result<()> {
    let mut names = match sorted(tree, name) {
        // Nothing there, or a file of somebody else in the place of a directory.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        other => other?,
    };
    let (bound, deeper) = after.split_first().unzip();
    if let Some(bound) = bound {
        names.retain(|name| name.as_str() >= *bound);
    }
    for part in names {
        if found.len() >= max {
            return Ok(());
        }
        let end = name.len();
        if end > 0 {
            name.push('/');
        }
        name.push_str(&part);
        let at_bound = bound.is_some_and(|bound| *bound == part);
        if level < LEVELS {
            let after = deeper.filter(|_| at_bound).unwrap_or_default();
            walk(tree, name, level + 1, after, max, found)?;
        } else if !at_bound {
            found.extend(listed(tree, name));
        }
        name.truncate(end);
    }
    Ok(())
}

/// Names in a directory; of a project's or a shard's as few as those levels have.
fn sorted(tree: &dyn Tree, dir: &str) -> io::Result<Vec<String>> {
    let mut names = tree.names(&Path::new(DIRECTORY).join(dir))?;
    names.sort_unstable();
    Ok(names)
}

fn listed(tree: &dyn Tree, name: &str) -> Option<Listed> {
    let key = Key::parse(name)?;
    let facts = tree.facts(&path_of(&key)).ok()?;
    Some(Listed {
        key,
        len: facts.len,
        put_ns: facts.written_ns,
    })
}

#[derive(Debug)]
struct LocalBlob {
    file: Arc<dyn DiskFile>,
    len: u64,
}

impl Object for LocalBlob {
    fn len(&self) -> u64 {
        self.len
    }

    fn get_ranges(&self, ranges: &[std::ops::Range<u64>]) -> io::Result<Vec<Bytes>> {
        let read = |range: &std::ops::Range<u64>| {
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
    use std::collections::BTreeSet;
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::blob::key::{ContentHash, Owner};
    use crate::blob::spool::Spool;
    use obsrv_engine::row::ProjectId;

    fn put(store: &LocalBlobs, spool: &Spool, owner: &Owner, bytes: &[u8]) -> Key {
        let mut spooling = spool.begin().unwrap();
        spooling.write(bytes).unwrap();
        let spooled = spooling.finish().unwrap();
        let key = owner.blob(spooled.hash());
        store.put_once(&key, spooled).unwrap();
        key
    }

    fn owner(project: u64, trace: &str) -> Owner {
        Owner::new(ProjectId(project), trace).unwrap()
    }

    #[test]
    fn a_blob_is_put_read_and_removed_with_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalBlobs::open(dir.path()).unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let key = put(&store, &spool, &owner(1, "t"), b"hello");
        assert_eq!(key.hash(), ContentHash::of(b"hello"));
        assert_eq!(put(&store, &spool, &owner(1, "t"), b"hello"), key);
        let (object, put_ns) = store.open(&key).unwrap();
        assert!(put_ns > 1_700_000_000_000_000_000);
        assert_eq!(object.get_ranges(&[1..3, 0..5]).unwrap(), ["el", "hello"]);
        assert_eq!(
            object.get_range(4..6).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        store.delete(&key).unwrap();
        store.delete(&key).unwrap();
        assert_eq!(
            store.open(&key).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let trace = dir.path().join("blobs").join(owner(1, "t").prefix());
        assert!(!trace.is_dir() && trace.parent().unwrap().is_dir());
        assert_eq!(fs::read_dir(dir.path().join("spool")).unwrap().count(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// However small the pages, each blob is listed once, and below a prefix those of the prefix alone.
        #[test]
        fn pages_list_everything_once(
            owners in prop::collection::vec((1u64..4, "[a-c-]{1,3}"), 1..12),
            max in 1usize..5,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let store = LocalBlobs::open(dir.path()).unwrap();
            let spool = Spool::open(dir.path()).unwrap();
            fs::write(dir.path().join("blobs/0000000000000001.txt"), "not ours").unwrap();
            let mut expected = BTreeSet::new();
            for (place, (project, trace)) in owners.iter().enumerate() {
                let bytes = [u8::try_from(place).unwrap()];
                expected.insert(put(&store, &spool, &owner(*project, trace), &bytes).to_string());
            }
            let (project, trace) = &owners[0];
            let one = owner(*project, trace).prefix();
            for prefix in ["", &one[..16], &one] {
                let (mut found, mut after) = (Vec::new(), String::new());
                loop {
                    let page = store.list(prefix, &after, max).unwrap();
                    prop_assert!(page.len() <= max);
                    found.extend(page.iter().map(|listed| listed.key.to_string()));
                    if page.len() < max {
                        break;
                    }
                    after = found.last().unwrap().clone();
                }
                let wanted: Vec<_> =
                    expected.iter().filter(|name| name.starts_with(prefix)).cloned().collect();
                let once: BTreeSet<_> = found.iter().cloned().collect();
                prop_assert_eq!(once.len(), found.len());
                prop_assert_eq!(once.into_iter().collect::<Vec<_>>(), wanted);
            }
        }
    }
}
