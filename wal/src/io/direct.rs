//! Writes that go past the page cache.
//!
//! The kernel's copy into the page cache costs several times what the device costs, and the log is
//! never read back while it is written. So the log's files and the payload of segments are written
//! with `O_DIRECT`: whole pages from an aligned buffer. A log file is filled with zeroes first and
//! then written from front to back, so what stands around a write in its first and last page is
//! known and those pages are written whole. Any other write goes through the page cache, as does
//! everything on file systems without `O_DIRECT`; the kernel keeps both views of a file the same.
//!
//! Owns a second descriptor of the file. The mutex guards the aligned buffer and is held across
//! the write, never across a sync.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use parking_lot::Mutex;

/// What offsets, lengths and addresses are multiples of: no device has larger blocks.
const PAGE: usize = 4096;
/// Bytes that one call writes.
const BUFFER_BYTES: usize = 1 << 20;

/// A file's way past the page cache.
#[derive(Debug)]
pub(super) struct Direct {
    file: File,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    buffer: Aligned,
    /// Of a file filled with zeroes by this handle and written in order since.
    front: Option<Front>,
}

/// Where a file that is written in order stands.
#[derive(Debug)]
struct Front {
    /// The page that was written last, whole; behind it is nothing but zeroes.
    page: Box<[u8; PAGE]>,
    page_at: u64,
    /// Where the zeroes end.
    filled: u64,
}

/// A buffer of which a range starts at an address that is a multiple of a page.
#[derive(Debug, Default)]
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
}

impl Aligned {
    /// The first `len` bytes of the range, `len` at most [`BUFFER_BYTES`].
    fn first(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = vec![0; BUFFER_BYTES + PAGE];
            self.start = self.bytes.as_ptr().align_offset(PAGE).min(PAGE);
        }
        &mut self.bytes[self.start..self.start + len]
    }
}

const fn wide(n: usize) -> u64 {
    n as u64
}

const fn page_of(offset: u64) -> u64 {
    offset - offset % wide(PAGE)
}

impl Direct {
    /// `None` if the file system has no such way.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(path);
        let file = opened.ok()?;
        let state = State {
            buffer: Aligned::default(),
            front: None,
        };
        Some(Self {
            file,
            state: Mutex::new(state),
        })
    }

    /// Writes zeroes to a file without bytes, up to the last whole page below `len`. Says how far.
    pub(super) fn zero_fill(&self, len: u64) -> io::Result<u64> {
        let mut state = self.state.lock();
        let filled = page_of(len);
        let mut at = 0;
        while at < filled {
            let part = (filled - at).min(wide(BUFFER_BYTES));
            let zeroes = state
                .buffer
                .first(usize::try_from(part).unwrap_or(BUFFER_BYTES));
            zeroes.fill(0);
            self.file.write_all_at(zeroes, at)?;
            at += part;
        }
        state.front = Some(Front {
            page: Box::new([0; PAGE]),
            page_at: 0,
            filled,
        });
        Ok(filled)
    }

    /// Writes in order, and says how many bytes that took in whole pages. `None`, and nothing was written,
    /// if this write is not one of that kind; then no later one is.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<Option<u64>> {
        let mut state = self.state.lock();
        let Some(mut front) = state.front.take() else {
            return Ok(None);
        };
        let end = offset.saturating_add(wide(bytes.len()));
        if offset < front.page_at || end.saturating_add(wide(PAGE)) > front.filled {
            return Ok(None);
        }
        let mut rest = bytes;
        let mut at = offset;
        let mut written = 0;
        while !rest.is_empty() {
            let page_at = page_of(at);
            let head = usize::try_from(at - page_at).unwrap_or(0);
            let (part, next) = rest.split_at(rest.len().min(BUFFER_BYTES - PAGE));
            let len = (head + part.len()).next_multiple_of(PAGE);
            let buffer = state.buffer.first(len);
            // What stood in the first page stays, around the new bytes.
            let known = [0; PAGE];
            let known = if page_at == front.page_at {
                &*front.page
            } else {
                &known
            };
            buffer[..PAGE].copy_from_slice(known);
            buffer[head..head + part.len()].copy_from_slice(part);
            buffer[(head + part.len()).max(PAGE)..].fill(0);
            // After an error nothing is known about the page: the front is gone.
            self.file.write_all_at(buffer, page_at)?;
            written += wide(len);
            let last = len - PAGE;
            front.page.copy_from_slice(&buffer[last..]);
            front.page_at = page_at + wide(last);
            at += wide(part.len());
            rest = next;
        }
        state.front = Some(front);
        Ok(Some(written))
    }

    /// Writes the whole pages at the front of `bytes`, which begin a page. Says how many bytes.
    pub(super) fn write_pages(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        if page_of(offset) != offset {
            return Ok(0);
        }
        let mut state = self.state.lock();
        state.front = None;
        let whole = bytes.len() - bytes.len() % PAGE;
        let mut at = offset;
        for part in bytes[..whole].chunks(BUFFER_BYTES) {
            let buffer = state.buffer.first(part.len());
            buffer.copy_from_slice(part);
            self.file.write_all_at(buffer, at)?;
            at += wide(part.len());
        }
        Ok(whole)
    }
}
