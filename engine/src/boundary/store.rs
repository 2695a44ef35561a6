//! Immutable objects: segments and side files.

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::io::FileId;

/// Objects by name. Nothing above it renames, appends to, overwrites or updates one.
pub trait Store: Send + Sync + Debug {
    /// Begins an object. Nobody sees anything of it before [`Upload::put_once`].
    fn upload(&self, id: FileId) -> io::Result<Box<dyn Upload>>;

    /// An object that was put.
    ///
    /// # Errors
    /// `NotFound`.
    fn open(&self, id: FileId) -> io::Result<Arc<dyn Object>>;

    /// The names of all objects, in no order.
    fn list(&self) -> io::Result<Vec<FileId>>;

    /// Removes an object. Whoever has it open may go on reading it.
    ///
    /// # Errors
    /// `NotFound`.
    fn delete(&self, id: FileId) -> io::Result<()>;
}

/// An object that is being written. Dropped before it was put, it leaves nothing.
pub trait Upload: Send {
    /// Adds bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// As [`Upload::append`], for bytes that nobody reads soon: see [`crate::io::DiskFile::write_cold`].
    fn append_cold(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.append(bytes)
    }

    /// Makes it durable under its name.
    ///
    /// # Errors
    /// `AlreadyExists`: the name is taken, the object that has it is as it was. After any other
    /// error the object may be there.
    fn put_once(self: Box<Self>) -> io::Result<()>;
}

/// An object that was put.
pub trait Object: Send + Sync + Debug {
    /// Its length in bytes.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes in each range, in order.
    ///
    /// # Errors
    /// `UnexpectedEof`: a range goes past its end.
    fn get_ranges(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>>;

    /// Its bytes in one range.
    fn get_range(&self, range: Range<u64>) -> io::Result<Bytes> {
        let mut found = self.get_ranges(&[range])?;
        found
            .pop()
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
