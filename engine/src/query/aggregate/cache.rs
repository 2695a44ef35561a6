//! What sealed sources came to before.
//!
//! Owns shares of aggregates up to a fixed number of bytes; the least recently used go first. One
//! mutex, held for map operations and for comparing two bitmaps, never while anything is read. A
//! share is used again only for the same source (whose rows never change), the same live rows, and
//! the same question, so an answer is the same with and without the cache.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::Xxh3;

use super::partial::Partial;

/// A share that takes more than one part in so many of the cache is not kept.
const SHARE_MAX: usize = 8;

/// See [`crate::source::Source::sealed`], and the hash of the question.
type Key = ((u64, u64), u128);

/// Shares of aggregates by source and question.
#[derive(Debug)]
pub struct PartialCache {
    capacity: AtomicUsize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    entries: BTreeMap<Key, Entry>,
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    live: RoaringBitmap,
    partial: Arc<Partial>,
    bytes: usize,
    used: u64,
}

impl PartialCache {
    /// A cache of at most so many bytes.
    pub const fn new(capacity: usize) -> Self {
        Self {
            capacity: AtomicUsize::new(capacity),
            inner: Mutex::new(Inner {
                entries: BTreeMap::new(),
                by_use: BTreeMap::new(),
                uses: 0,
                bytes: 0,
            }),
        }
    }

    fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }

    /// At most so many bytes from now on. What is over it goes when something comes.
    pub(crate) fn set_capacity(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }

    pub(super) fn get(&self, key: Key, live: &RoaringBitmap) -> Option<Arc<Partial>> {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let entry = inner.entries.get_mut(&key)?;
        if entry.live != *live {
            return None;
        }
        inner.uses += 1;
        inner.by_use.remove(&entry.used);
        inner.by_use.insert(inner.uses, key);
        entry.used = inner.uses;
        Some(Arc::clone(&entry.partial))
    }

    pub(super) fn put(&self, key: Key, live: RoaringBitmap, partial: Arc<Partial>) {
        let live_bytes = live.serialized_size();
        let bytes = partial.bytes + live_bytes + size_of::<Partial>() + size_of::<Entry>();
        if bytes > self.capacity() / SHARE_MAX {
            return;
        }
        let mut inner = self.inner.lock();
        inner.remove(key);
        while inner.bytes + bytes > self.capacity() {
            let Some((_, oldest)) = inner.by_use.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            inner.remove(oldest);
        }
        inner.uses += 1;
        inner.bytes += bytes;
        let used = inner.uses;
        inner.by_use.insert(used, key);
        let entry = Entry {
            live,
            partial,
            bytes,
            used,
        };
        inner.entries.insert(key, entry);
    }
}

impl Inner {
    fn remove(&mut self, key: Key) {
        if let Some(entry) = self.entries.remove(&key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

/// Hashes what a question is made of.
pub(super) fn shape_of(question: &dyn std::fmt::Debug) -> u128 {
    struct Hash(Xxh3);
    impl std::fmt::Write for Hash {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.update(text.as_bytes());
            Ok(())
        }
    }
    let mut hash = Hash(Xxh3::new());
    write!(hash, "{question:?}").expect("BUG: hashing does not fail");
    hash.0.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(bytes: usize) -> Arc<Partial> {
        Arc::new(Partial {
            bytes,
            ..Partial::default()
        })
    }

    #[test]
    fn bytes_are_bounded_and_other_live_rows_are_another_question() {
        let cache = PartialCache::new(80_000);
        let all: RoaringBitmap = (0..10).collect();
        let key = |n| ((n, 0), 7);
        for n in 0..20 {
            cache.put(key(n), all.clone(), partial(9_000));
            assert!(cache.bytes() <= 80_000);
            assert!(cache.get(key(0), &all).is_some(), "used every time");
        }
        assert!(cache.get(key(1), &all).is_none());
        assert!(cache.get(key(19), &all).is_some());
        assert!(cache.get(((19, 0), 8), &all).is_none());
        let fewer: RoaringBitmap = (0..9).collect();
        assert!(cache.get(key(19), &fewer).is_none());
        cache.put(key(19), fewer.clone(), partial(1));
        assert!(cache.get(key(19), &fewer).is_some());
        cache.put(key(30), all.clone(), partial(10_000));
        assert!(cache.get(key(30), &all).is_none(), "too large a share");
    }
}
