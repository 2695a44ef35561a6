//! Bounded caches of what was read, shared by all segments of the process.
//!
//! Owns decoded bytes up to a fixed weight; the least recently used go first. One mutex per cache,
//! held for a map operation only, never while reading or decoding: two threads may decode the same
//! block, and the second result wins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::index::Index;
use super::lookup::TraceIds;
use crate::share;

pub(super) static COLUMNS: Cache<Bytes> = Cache::new(share::COLUMNS);
pub(super) static PAYLOAD: Cache<Bytes> = Cache::new(share::PAYLOAD);
pub(super) static SECTIONS: Cache<Arc<Index>> = Cache::new(share::SECTIONS);
/// By offset of the section and hash of the trace id.
pub(super) static TRACES: Cache<Arc<TraceIds>, (u64, u32)> = Cache::new(share::TRACES);

/// Gives each its share of a memory budget. What is over it goes when something comes.
pub(crate) fn share_out(budget: u64) {
    COLUMNS.set_capacity(share::of(share::COLUMNS, budget));
    PAYLOAD.set_capacity(share::of(share::PAYLOAD, budget));
    SECTIONS.set_capacity(share::of(share::SECTIONS, budget));
    TRACES.set_capacity(share::of(share::TRACES, budget));
}

/// What is held, by the opened segment that it is of and its place there. Two opens of one file
/// do not share entries: the file number alone is not unique when one process holds several data
/// directories.
pub(super) struct Cache<V, P = u64> {
    capacity: AtomicUsize,
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
            capacity: AtomicUsize::new(capacity),
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
    pub(super) fn holds(&self, weight: usize) -> bool {
        weight <= self.capacity()
    }

    fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }

    fn set_capacity(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    pub(super) fn put(&self, key: (u64, P), value: V, weight: usize) {
        if !self.holds(weight) {
            return;
        }
        let mut inner = self.inner.lock();
        inner.remove(key);
        while inner.weight + weight > self.capacity() {
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
        // With less room what is too much goes with the next that comes.
        cache.set_capacity(5);
        cache.put((3, 0), 'f', 5);
        assert_eq!((cache.get((2, 0)), cache.get((3, 0))), (None, Some('f')));
        cache.put((3, 1), 'g', 6);
        assert_eq!(cache.get((3, 1)), None);
    }
}
