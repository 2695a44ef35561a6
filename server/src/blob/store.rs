//! Where blobs are: objects by name, put once, read in ranges, listed, deleted; nothing renames, appends to or
//! overwrites one. Calls block: they are made off the network threads.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use obsrv_engine::boundary::Object;

use super::key::Key;
use super::spool::Spooled;

/// Objects by [`Key`].
pub trait BlobStore: Send + Sync + Debug {
    /// Makes the spooled bytes durable under a name that has their hash in it. If the name is taken, what has
    /// it holds the same bytes, and stays.
    fn put_once(&self, key: &Key, spooled: Spooled) -> io::Result<()>;

    /// A blob and when it was put, nanoseconds since the epoch.
    ///
    /// # Errors
    /// `NotFound`.
    fn open(&self, key: &Key) -> io::Result<(Arc<dyn Object>, i64)>;

    /// All bytes of a blob that has so many of them; `None` if it has more or fewer, which are not read.
    ///
    /// # Errors
    /// `NotFound`.
    fn whole(&self, key: &Key, len: u64) -> io::Result<Option<Bytes>> {
        let (object, _) = self.open(key)?;
        if object.len() != len {
            return Ok(None);
        }
        object.get_range(0..len).map(Some)
    }

    /// Names that begin with `prefix`, whole parts of a name, and come after `after`, in an order that is the
    /// same each time: at most `max`, fewer only at the end. What is no name of a blob is not listed.
    fn list(&self, prefix: &str, after: &str, max: usize) -> io::Result<Vec<Listed>>;

    /// Removes a blob; one that is not there is removed already.
    fn delete(&self, key: &Key) -> io::Result<()>;

    /// Whether it is in the data directory, so that copies of that have the blobs too.
    fn is_local(&self) -> bool;
}

/// A blob of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: Key,
    /// Its length in bytes.
    pub len: u64,
    /// When it was put, nanoseconds since the epoch.
    pub put_ns: i64,
}
