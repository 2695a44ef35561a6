//! Bounded caches of what was read, shared by all segments of the process.
//!
//! Owns decoded bytes up to a fixed weight; the least recently used go first. One mutex per cache,
//! held for a map operation only, never while reading or decoding: two threads may decode the same
//! block, and the second result wins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::index::Index;
use super::lookup::TraceIds;

/// Decoded column blocks.
const COLUMN_CACHE_BYTES: usize = 64 << 20;
/// Decoded payload blocks.
const PAYLOAD_CACHE_BYTES: usize = 32 << 20;
/// Decoded section directories and compact sections.
const SECTION_CACHE_BYTES: usize = 56 << 20;
/// Ids of traces in the order of their hashes: a million rows of long traces, 16,000 short ones.
const TRACE_CACHE_BYTES: usize = 8 << 20;

pub(super) static COLUMNS: Cache<Bytes> = Cache::new(COLUMN_CACHE_BYTES);
pub(super) static PAYLOAD: Cache<Bytes> = Cache::new(PAYLOAD_CACHE_BYTES);
pub(super) static SECTIONS: Cache<Arc<Index>> = Cache::new(SECTION_CACHE_BYTES);
/// By offset of the section and hash of the trace id.
pub(super) static TRACES: Cache<Arc<TraceIds>, (u64, u32)> = Cache::new(TRACE_CACHE_BYTES);

/// What is held, by the opened segment that it is of and its place there. Two opens of one file
/// do not share entries: the file number alone is not unique when one process holds several data
/// directories.
pub(super) struct Cache<V, P = u64> {
    capacity: usize,
    inner: Mutex<Inner<V, P>>,
}

struct Inner<V, P> {
    entries: BTreeMap<(u64, P), Entry<V>>,
    by_use: BTreeMap<u64, (u64, P)>,
    uses: u64,
    weight: usize,
}

struct Entry<V> {
    value: V,
    weight: usize,
    used: u64,
}

/// A number for an opened segment.
pub(super) fn next_instance() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Drops what is held of a segment that nobody reads any more.
pub(super) fn forget(instance: u64) {
    COLUMNS.forget(instance);
    PAYLOAD.forget(instance);
    SECTIONS.forget(instance);
    TRACES.forget(instance);
}

impl<V: Clone, P: Copy + Default + Ord> Cache<V, P> {
    const fn new(capacity: usize) -> Self {
        let inner = Inner {
            entries: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            weight: 0,
        };
        Self {
            capacity,
            inner: Mutex::new(inner),
        }
    }

    pub(super) fn get(&self, key: (u64, P)) -> Option<V> {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let entry = inner.entries.get_mut(&key)?;
        inner.uses += 1;
        inner.by_use.remove(&entry.used);
        inner.by_use.insert(inner.uses, key);
        entry.used = inner.uses;
        Some(entry.value.clone())
    }

    /// Whether something of this weight can be held.
    pub(super) const fn holds(&self, weight: usize) -> bool {
        weight <= self.capacity
    }

    pub(super) fn put(&self, key: (u64, P), value: V, weight: usize) {
        if !self.holds(weight) {
            return;
        }
        let mut inner = self.inner.lock();
        inner.remove(key);
        while inner.weight + weight > self.capacity {
            let Some((_, oldest)) = inner.by_use.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            inner.remove(oldest);
        }
        inner.uses += 1;
        let used = inner.uses;
        inner.weight += weight;
        inner.by_use.insert(used, key);
        inner.entries.insert(
            key,
            Entry {
                value,
                weight,
                used,
            },
        );
    }

    fn forget(&self, instance: u64) {
        let mut inner = self.inner.lock();
        let keys: Vec<(u64, P)> = inner
            .entries
            .range((instance, P::default())..)
            .map(|(key, _)| *key)
            .take_while(|(of, _)| *of == instance)
            .collect();
        for key in keys {
            inner.remove(key);
        }
    }
}

impl<V, P: Copy + Ord> Inner<V, P> {
    fn remove(&mut self, key: (u64, P)) {
        if let Some(entry) = self.entries.remove(&key) {
            self.by_use.remove(&entry.used);
            self.weight -= entry.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_weight_is_bounded() {
        let cache = Cache::new(10);
        cache.put((1, 0), 'a', 4);
        cache.put((1, 1), 'b', 4);
        assert_eq!(cache.get((1, 0)), Some('a'));
        cache.put((2, 0), 'c', 4);
        assert_eq!(cache.get((1, 1)), None);
        assert_eq!(cache.get((1, 0)), Some('a'));
        cache.put((2, 1), 'd', 11);
        assert_eq!(cache.get((2, 1)), None);
        cache.put((1, 0), 'e', 5);
        assert_eq!(cache.inner.lock().weight, 9);
        cache.forget(1);
        assert_eq!(cache.get((1, 0)), None);
        assert_eq!(cache.get((2, 0)), Some('c'));
        assert_eq!(cache.inner.lock().weight, 4);
    }
}
