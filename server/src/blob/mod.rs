//! Attachments: bytes that belong to a trace and have no place in a row.
//!
//! A blob's name has its project, its trace and the SHA-256 of its bytes in it (`key.rs`), so nothing is shared
//! between traces and what a trace had goes with it. That a run has a blob is a fact of the run's row
//! (`reference.rs`), and a blob is served only while that row says so. It is durable before the record of the
//! row is written: what a crash leaves between the two is removed by the sweep.
//!
//! Owns the store, the spool and the locks: an upload has its trace's lock shared from the put until the row
//! is durable; whoever removes what no row refers to has it alone.

pub mod copy;
pub mod key;
pub mod link;
pub mod local;
pub mod reference;
pub mod s3;
pub mod sniff;
pub mod spool;
pub mod store;
pub mod sweep;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::timeout;

use crate::keys::Macs;
use crate::limits::{BLOB_LOCK_TIME_MAX, BLOB_LOCKS};
use key::Owner;
use link::{Link, LinkError};
use local::LocalBlobs;
use obsrv_engine::io::{RealTree, Rng, Tree};
use spool::Spool;
use store::BlobStore;

/// Where blobs are in a data directory.
pub const DIRECTORY: &str = "blobs";
/// Where they grow.
pub const SPOOL: &str = "spool";

/// What a server's blobs are kept with.
#[derive(Debug)]
pub struct Terms {
    /// Makes the MACs of links.
    pub links: Macs,
    /// Makes names of what is not there yet.
    pub rng: Arc<dyn Rng>,
    /// What links begin with.
    pub base: String,
    /// Largest blob.
    pub bytes_max: u64,
    /// Room on the disk that uploads leave.
    pub reserve_bytes: u64,
}

/// What was counted since the server started.
#[derive(Debug, Default)]
pub struct Tally {
    /// Uploads that were kept.
    pub kept: AtomicU64,
    /// Their bytes.
    pub kept_bytes: AtomicU64,
    /// Files that were removed.
    pub removed: AtomicU64,
    /// Files that the last whole pass of the sweep saw.
    pub files: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
}

/// The blobs of a server.
#[derive(Debug)]
pub struct Blobs {
    tally: Tally,
    store: Arc<dyn BlobStore>,
    spool: Spool,
    terms: Terms,
    hasher: RandomState,
    owners: Vec<Arc<RwLock<()>>>,
}

impl Blobs {
    /// Blobs in a data directory.
    pub fn local(data: &Path, terms: Terms) -> io::Result<Self> {
        let tree: Arc<dyn Tree> = Arc::new(RealTree::new(data));
        let store = LocalBlobs::on(Arc::clone(&tree))?;
        Self::over(Arc::new(store), tree, terms)
    }

    /// Blobs in a store; uploads pass through the tree of the data directory.
    pub fn over(store: Arc<dyn BlobStore>, tree: Arc<dyn Tree>, terms: Terms) -> io::Result<Self> {
        Ok(Self {
            tally: Tally::default(),
            store,
            spool: Spool::on(tree)?,
            terms,
            hasher: RandomState::new(),
            owners: (0..BLOB_LOCKS).map(|_| Arc::default()).collect(),
        })
    }

    /// Where they are.
    pub fn store(&self) -> &Arc<dyn BlobStore> {
        &self.store
    }

    /// What was counted.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Where uploads grow.
    pub const fn spool(&self) -> &Spool {
        &self.spool
    }

    /// What they are kept with.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The lock of a trace alone: no upload to it goes on meanwhile. `None` if it is not to be had in time.
    pub async fn lone_lock(&self, owner: &Owner) -> Option<OwnedRwLockWriteGuard<()>> {
        let lock = Arc::clone(&self.owners[self.lock_place(owner)]);
        timeout(BLOB_LOCK_TIME_MAX, lock.write_owned()).await.ok()
    }

    fn lock_place(&self, owner: &Owner) -> usize {
        let hash = self.hasher.hash_one(owner);
        let locks = u64::try_from(self.owners.len()).unwrap_or(1).max(1);
        usize::try_from(hash % locks).unwrap_or(0)
    }

    /// The locks of several traces, shared. Each is taken once and in the order of all: whoever waits for one holds none
    /// that whoever has it waits for. `None` if one of them is not to be had in time: its store is slow, or away.
    pub async fn shared_locks(&self, owners: &[Owner]) -> Option<Vec<OwnedRwLockReadGuard<()>>> {
        let mut places: Vec<usize> = owners.iter().map(|owner| self.lock_place(owner)).collect();
        places.sort_unstable();
        places.dedup();
        let take = async {
            let mut held = Vec::with_capacity(places.len());
            for place in places {
                held.push(Arc::clone(&self.owners[place]).read_owned().await);
            }
            held
        };
        timeout(BLOB_LOCK_TIME_MAX, take).await.ok()
    }

    /// The text form of a link, and what it opens.
    pub fn seal_link(&self, link: &Link) -> String {
        let sealed = link::seal(&self.terms.links, link);
        format!("{}/v1/blobs/{sealed}", self.terms.base)
    }

    /// What the text of a link opens now.
    pub fn open_link(&self, text: &str, now_ns: i64) -> Result<Link, LinkError> {
        link::open(&self.terms.links, text, now_ns)
    }

    /// A name that nobody has: 22 signs of base64url.
    pub fn fresh_name(&self) -> String {
        let mut bytes = [0; 32];
        self.terms.rng.fill(&mut bytes);
        key::ContentHash(bytes).id()
    }
}
