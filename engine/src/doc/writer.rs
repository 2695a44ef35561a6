//! Writing documents.

use std::ops::Range;

use super::{ARRAY, BYTES, DocRef, Entries, F64, FALSE, I64, Items, MAP, NULL, STR, TRUE, U64};

/// Builds a document front to back. Containers are opened and closed by the caller; a container's
/// length is filled in when it is closed.
#[derive(Debug, Default)]
pub struct DocWriter {
    out: Vec<u8>,
}

/// An open container of a [`DocWriter`]: where its length goes.
#[derive(Debug)]
#[must_use = "close it with DocWriter::end"]
pub struct Open(usize);

impl DocWriter {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for so many more bytes. One writer may hold several documents one behind the
    /// other; [`DocWriter::len`] tells where each ends.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Takes back what was written after the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// How many bytes so far.
    pub const fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The bytes. Every container must be closed.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Opens a map; write `key` and a value in turn, then [`DocWriter::end`].
    #[inline]
    pub fn begin_map(&mut self) -> Open {
        self.begin(MAP)
    }

    /// Opens an array; write values, then [`DocWriter::end`].
    #[inline]
    pub fn begin_array(&mut self) -> Open {
        self.begin(ARRAY)
    }

    #[inline]
    fn begin(&mut self, tag: u8) -> Open {
        let at = self.out.len() + 1;
        self.out.extend_from_slice(&[tag, 0, 0, 0, 0]);
        Open(at)
    }

    /// Closes a container.
    #[inline]
    pub fn end(&mut self, open: Open) {
        let len = len_u32(self.out.len() - open.0 - 4);
        if let Some(slot) = self.out.get_mut(open.0..open.0 + 4) {
            slot.copy_from_slice(&len.to_le_bytes());
        }
    }

    /// The key of the next value of the open map.
    #[inline]
    pub fn key(&mut self, key: &str) {
        self.sized(key.as_bytes());
    }

    /// A null.
    #[inline]
    pub fn null(&mut self) {
        self.out.push(NULL);
    }

    /// A bool.
    #[inline]
    pub fn bool(&mut self, v: bool) {
        self.out.push(if v { TRUE } else { FALSE });
    }

    /// A whole number.
    #[inline]
    pub fn i64(&mut self, v: i64) {
        self.out.push(I64);
        self.out.extend_from_slice(&v.to_le_bytes());
    }

    /// A whole number without sign; stored as [`DocRef::I64`] where it fits.
    #[inline]
    pub fn u64(&mut self, v: u64) {
        if let Ok(v) = i64::try_from(v) {
            self.i64(v);
        } else {
            self.out.push(U64);
            self.out.extend_from_slice(&v.to_le_bytes());
        }
    }

    /// A number.
    #[inline]
    pub fn f64(&mut self, v: f64) {
        self.out.push(F64);
        self.out.extend_from_slice(&v.to_le_bytes());
    }

    /// Text.
    #[inline]
    pub fn str(&mut self, v: &str) {
        self.tagged(STR, v.as_bytes());
    }

    /// Bytes.
    #[inline]
    pub fn bytes(&mut self, v: &[u8]) {
        self.tagged(BYTES, v);
    }

    /// A value copied from another document.
    pub fn value(&mut self, v: DocRef<'_>) {
        match v {
            DocRef::Null => self.null(),
            DocRef::Bool(b) => self.bool(b),
            DocRef::I64(n) => self.i64(n),
            DocRef::U64(n) => self.u64(n),
            DocRef::F64(n) => self.f64(n),
            DocRef::Str(s) => self.str(s),
            DocRef::Bytes(b) => self.bytes(b),
            DocRef::Array(Items(raw)) => self.tagged(ARRAY, raw),
            DocRef::Map(Entries(raw)) => self.tagged(MAP, raw),
        }
    }

    /// All entries of a map of another document, into the open map.
    pub fn entries(&mut self, entries: Entries<'_>) {
        self.out.extend_from_slice(entries.0);
    }

    /// What was written from one length to another.
    pub fn written(&self, range: Range<usize>) -> &[u8] {
        self.out.get(range).unwrap_or_default()
    }

    /// A value that stands in these bytes of this writer already; nothing if they are not there.
    pub fn again(&mut self, written: Range<usize>) {
        if written.start <= written.end && written.end <= self.out.len() {
            self.out.extend_from_within(written);
        }
    }

    #[inline]
    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        let [a, b, c, d] = len_u32(bytes.len()).to_le_bytes();
        self.out.extend_from_slice(&[tag, a, b, c, d]);
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    fn sized(&mut self, bytes: &[u8]) {
        self.out
            .extend_from_slice(&len_u32(bytes.len()).to_le_bytes());
        self.out.extend_from_slice(bytes);
    }
}

/// Request bodies are capped far below 4 GiB, so a longer part is our own mistake.
#[inline]
pub(super) fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("BUG: document part over 4 GiB")
}
