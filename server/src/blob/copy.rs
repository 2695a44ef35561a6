//! Every blob of a store: copied, or read again and held against the hash in its name.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::key::ContentHash;
use super::local::LocalBlobs;
use super::spool::{Spool, Spooling};
use super::store::{BlobStore, Listed};
use crate::limits::{BLOB_PIECE_BYTES, BLOB_SWEEP_KEYS};

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Blobs that hold what their names say.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The names of those that do not.
    pub damaged: Vec<String>,
}

impl Seen {
    fn note(&mut self, listed: &Listed, hash: ContentHash) {
        if hash == listed.key.hash() {
            self.blobs += 1;
            self.bytes += listed.len;
        } else {
            self.damaged.push(listed.key.to_string());
        }
    }
}

/// Calls `visit` with each piece of a blob; false if it is gone.
fn each_piece(
    store: &dyn BlobStore,
    listed: &Listed,
    visit: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<bool> {
    let (object, _) = match store.open(&listed.key) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    let piece = u64::try_from(BLOB_PIECE_BYTES).unwrap_or(u64::MAX);
    let mut at = 0;
    while at < object.len() {
        let end = object.len().min(at.saturating_add(piece));
        visit(&object.get_range(at..end)?)?;
        at = end;
    }
    Ok(true)
}

/// Reads the blobs after a name, at most `max` of them. Also says the last one's name, if there may be more.
pub fn read_page(
    store: &dyn BlobStore,
    after: &str,
    max: usize,
) -> io::Result<(Seen, Option<String>)> {
    let page = store.list("", after, max)?;
    let mut seen = Seen::default();
    for listed in &page {
        let mut hash = Sha256::new();
        let mut add = |piece: &[u8]| {
            hash.update(piece);
            Ok(())
        };
        if each_piece(store, listed, &mut add)? {
            seen.note(listed, ContentHash(hash.finalize().into()));
        }
    }
    let last = page.last().filter(|_| page.len() == max);
    Ok((seen, last.map(|listed| listed.key.to_string())))
}

/// Reads all of them.
pub fn read_all(store: &dyn BlobStore) -> io::Result<Seen> {
    let (mut all, mut after) = (Seen::default(), Some(String::new()));
    while let Some(from) = after {
        let (seen, next) = read_page(store, &from, BLOB_SWEEP_KEYS)?;
        all.blobs += seen.blobs;
        all.bytes += seen.bytes;
        all.damaged.extend(seen.damaged);
        after = next;
    }
    Ok(all)
}

/// Copies all of them into a data directory. What is damaged is not copied, what is deleted meanwhile neither.
pub fn copy_all(store: &dyn BlobStore, data: &Path) -> io::Result<Seen> {
    let target = LocalBlobs::open(data)?;
    let spool = Spool::open(data)?;
    let (mut seen, mut after) = (Seen::default(), String::new());
    loop {
        let page = store.list("", &after, BLOB_SWEEP_KEYS)?;
        for listed in &page {
            after = listed.key.to_string();
            let mut spooling: Spooling = spool.begin()?;
            let mut add = |piece: &[u8]| spooling.write(piece);
            if !each_piece(store, listed, &mut add)? {
                continue;
            }
            let spooled = spooling.finish()?;
            seen.note(listed, spooled.hash());
            if spooled.hash() == listed.key.hash() {
                target.put_once(&listed.key, spooled)?;
            }
        }
        if page.len() < BLOB_SWEEP_KEYS {
            return Ok(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use obsrv_engine::row::ProjectId;

    use super::*;
    use crate::blob::DIRECTORY;
    use crate::blob::key::Owner;

    #[test]
    fn copies_are_read_again_and_damage_is_named() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = LocalBlobs::open(from.path()).unwrap();
        let spool = Spool::open(from.path()).unwrap();
        let mut keys = Vec::new();
        for (trace, len) in [("a", 10), ("a", 20), ("b", BLOB_PIECE_BYTES + 1)] {
            let mut spooling = spool.begin().unwrap();
            spooling.write(&vec![7; len]).unwrap();
            let spooled = spooling.finish().unwrap();
            let owner = Owner::new(ProjectId(1), trace).unwrap();
            keys.push(owner.blob(spooled.hash()));
            store.put_once(keys.last().unwrap(), spooled).unwrap();
        }
        let bytes = u64::try_from(30 + BLOB_PIECE_BYTES + 1).unwrap();
        let sound = Seen {
            blobs: 3,
            bytes,
            damaged: Vec::new(),
        };
        assert_eq!(read_all(&store).unwrap(), sound);
        assert_eq!(copy_all(&store, to.path()).unwrap(), sound);
        let copied = LocalBlobs::existing(to.path()).unwrap();
        assert_eq!(read_all(&copied).unwrap(), sound);
        let file = from.path().join(DIRECTORY).join(keys[1].to_string());
        std::fs::write(file, vec![8; 20]).unwrap();
        let damaged = vec![keys[1].to_string()];
        assert_eq!(read_all(&store).unwrap().damaged, damaged);
        let fresh = tempfile::tempdir().unwrap();
        let seen = copy_all(&store, fresh.path()).unwrap();
        assert_eq!((seen.blobs, seen.damaged), (2, damaged));
        // Page by page it is the same.
        let (mut after, mut pages, mut found) = (Some(String::new()), 0, 0);
        while let Some(from) = after {
            let (seen, next) = read_page(&store, &from, 1).unwrap();
            (after, pages, found) = (next, pages + 1, found + seen.blobs);
        }
        assert_eq!((pages, found), (4, 2));
    }
}
