//! The rows of a memtable's table: found by key, by trace and by number.

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use roaring::RoaringBitmap;

use crate::body::Content;
use crate::row::{Lsn, RowKey};

/// What a row costs beside its content and its columns: keys, indexes.
const ROW_OVERHEAD_BYTES: u64 = 256;
/// No earlier row of the trace.
const NONE: u32 = u32::MAX;

/// A row as it stands in memory.
#[derive(Clone, Debug)]
pub struct MemRow {
    /// Its identity.
    pub key: RowKey,
    /// Start.
    pub start_ns: i64,
    /// End.
    pub end_ns: Option<i64>,
    /// The record that first made the row, maybe in an older place.
    pub lsn_first: Lsn,
    /// The record that last said something of it.
    pub lsn_last: Lsn,
    /// The record that made this version: readers at it or later see it.
    pub made: Lsn,
    /// What it says.
    pub content: Content,
}

impl MemRow {
    /// Bytes charged to the memory budget.
    pub fn charged_bytes(&self) -> u64 {
        u64::try_from(self.content.body_len())
            .unwrap_or(u64::MAX)
            .saturating_add(ROW_OVERHEAD_BYTES)
    }
}

/// The rows in the order in which they were appended. At every LSN that a reader may ask for, the
/// rows up to it stand before the others (rows of runs are appended when a reader comes).
#[derive(Debug, Default)]
pub(super) struct Rows {
    all: Vec<MemRow>,
    /// The row of the same trace before each row.
    before: Vec<u32>,
    /// (LSN that killed it, row), in the order of the kills.
    dead: Vec<(Lsn, u32)>,
    /// The live row of each key.
    by_key: HashTable<u32>,
    /// The newest row of each trace, dead ones included.
    by_trace: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The highest LSN of any row.
    newest: Lsn,
}

impl Rows {
    pub(super) fn newest(&self) -> Lsn {
        self.newest
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, row: u32) -> Option<&MemRow> {
        self.all.get(usize::try_from(row).ok()?)
    }

    /// How many of the rows are of records up to `lsn`.
    pub(super) fn up_to(&self, lsn: Lsn) -> u32 {
        let count = self.all.partition_point(|row| row.made <= lsn);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    pub(super) fn push(&mut self, row: MemRow) -> u32 {
        let at = u32::try_from(self.all.len()).expect("BUG: over 4 G rows in a memtable");
        let trace = self.hasher.hash_one(&row.key.trace_id);
        let key = self.key_hash(&row.key);
        self.newest = self.newest.max(row.made);
        self.all.push(row);
        let (rows, hasher) = (&self.all, &self.hasher);
        let key_of = |at: u32| rows.get(index(at)).map(|r| &r.key);
        let pushed = key_of(at);
        let same_trace = |other: &u32| {
            let other = key_of(*other);
            other.map(|k| &k.trace_id) == pushed.map(|k| &k.trace_id)
        };
        let rehash = |at: &u32| key_of(*at).map_or(0, |k| hasher.hash_one(&k.trace_id));
        match self.by_trace.entry(trace, same_trace, rehash) {
            Entry::Occupied(mut newest) => {
                self.before.push(*newest.get());
                *newest.get_mut() = at;
            }
            Entry::Vacant(first) => {
                self.before.push(NONE);
                first.insert(at);
            }
        }
        let same_key = |other: &u32| key_of(*other) == pushed;
        let rehash = |at: &u32| key_of(*at).map_or(0, |k| hasher.hash_one((&k.trace_id, &k.id)));
        match self.by_key.entry(key, same_key, rehash) {
            Entry::Occupied(mut live) => *live.get_mut() = at,
            Entry::Vacant(first) => {
                first.insert(at);
            }
        }
        at
    }

    /// Marks a row dead from `lsn` on.
    pub(super) fn kill(&mut self, row: u32, lsn: Lsn) {
        self.dead.push((lsn, row));
        let Some(key) = self.get(row).map(|r| self.key_hash(&r.key)) else {
            return;
        };
        if let Ok(live) = self.by_key.find_entry(key, |at| *at == row) {
            live.remove();
        }
    }

    /// The live row of a key.
    pub(super) fn find(&self, key: &RowKey) -> Option<(u32, &MemRow)> {
        let same = |at: &u32| self.get(*at).is_some_and(|r| r.key == *key);
        let row = *self.by_key.find(self.key_hash(key), same)?;
        Some((row, self.get(row)?))
    }

    /// The rows of a trace, newest first, dead ones included.
    pub(super) fn of_trace(&self, trace_id: &str) -> impl Iterator<Item = u32> {
        let hash = self.hasher.hash_one(trace_id);
        let same = |at: &u32| self.get(*at).is_some_and(|r| &*r.key.trace_id == trace_id);
        let newest = self.by_trace.find(hash, same).copied();
        let before = |row: &u32| {
            let before = self.before.get(index(*row)).copied();
            before.filter(|row| *row != NONE)
        };
        std::iter::successors(newest, before)
    }

    /// Rows that are dead at `lsn`.
    pub(super) fn dead_at(&self, lsn: Lsn) -> RoaringBitmap {
        let end = self.dead.partition_point(|(at, _)| *at <= lsn);
        self.dead.iter().take(end).map(|(_, row)| *row).collect()
    }

    /// Rows that were made dead after `lsn`.
    pub(super) fn dead_after(&self, lsn: Lsn) -> RoaringBitmap {
        let end = self.dead.partition_point(|(at, _)| *at <= lsn);
        self.dead.iter().skip(end).map(|(_, row)| *row).collect()
    }

    fn key_hash(&self, key: &RowKey) -> u64 {
        self.hasher.hash_one((&key.trace_id, &key.id))
    }
}

fn index(row: u32) -> usize {
    usize::try_from(row).unwrap_or(usize::MAX)
}
