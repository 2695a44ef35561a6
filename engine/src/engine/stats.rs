//! What the engine counts, and what it tells of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::written::{SegmentBytes, WrittenBytes};
use super::{Engine, Gate};
use crate::row::Lsn;

/// Counters and gauges.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Records committed.
    pub records: u64,
    /// Group commits, each one sync.
    pub groups: u64,
    /// Events published.
    pub events: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Rows that a newer version or a delete made dead.
    pub superseded: u64,
    /// Rows and sections that a write passed over because they do not read.
    pub lost: u64,
    /// Records that are durable and wait for the disk to read what they change.
    pub waiting: u64,
    /// Roll-ups that were made again of all spans of their run, which takes longer the more these are.
    pub rollups: u64,
    /// Bytes of request bodies committed.
    pub body_bytes: u64,
    /// Flushes done.
    pub flushes: u64,
    /// Compactions done.
    pub compactions: u64,
    /// Marks of dead rows that compactions carried to their output.
    pub marks_moved: u64,
    /// Those of them that became durable while the compaction ran.
    pub marks_moved_durable: u64,
    /// Records that the open found in the log alone, and read again: none after a clean stop.
    pub replayed: u64,
    /// Records that replay could not read again.
    pub quarantined: u64,
    /// Files that keep such records, of this open and earlier ones.
    pub quarantine_files: u64,
    /// Bytes of those.
    pub quarantine_bytes: u64,
    /// Dead rows in the deletion vectors of the manifest.
    pub dead_rows: u64,
    /// Bytes waiting for a commit.
    pub queue_bytes: u64,
    /// Bytes in memtables.
    pub memtable_bytes: u64,
    /// Frozen memtables.
    pub frozen: u64,
    /// Requests that each gate refused, in the order of [`Gate::ALL`].
    pub refused: [u64; Gate::ALL.len()],
    /// Segments that wait for their first merge.
    pub fresh_segments: u64,
    /// Whether the last merge had less priority than everything else: 1 if so, 0 if it was urgent or the system refused.
    pub merge_priority_low: u64,
    /// Steps of merges: see [`Engine::compact_in_steps`].
    pub merge_steps: u64,
    /// Nanoseconds that merges paused between two steps.
    pub merge_paused_ns: u64,
    /// Merges that were given up between two steps.
    pub merges_stopped: u64,
    /// Live segments.
    pub segments: u64,
    /// Live segments of which something does not read.
    pub damaged_segments: u64,
    /// See [`Engine::purge_left`].
    pub purge_left: u64,
    /// Bytes of live segments.
    pub segment_bytes: u64,
    /// Bytes of the log.
    pub wal_bytes: u64,
    /// Bytes written since the open, by what for.
    pub written: WrittenBytes,
    /// Room on the disk; 0 if nobody looks.
    pub disk_free_bytes: u64,
    /// Room that ingest leaves.
    pub disk_reserve_bytes: u64,
    /// The newest visible record.
    pub visible_lsn: Lsn,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) records: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) superseded: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) rollups: AtomicU64,
    pub(super) body_bytes: AtomicU64,
    pub(super) flushes: AtomicU64,
    pub(super) compactions: AtomicU64,
    pub(super) marks_moved: AtomicU64,
    pub(super) marks_moved_durable: AtomicU64,
    pub(super) quarantined: AtomicU64,
    pub(super) replayed: AtomicU64,
    pub(super) segments: SegmentBytes,
}

pub(super) fn count(counter: &AtomicU64, n: usize) {
    add(counter, u64::try_from(n).unwrap_or(u64::MAX));
}

pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl Engine {
    /// Counters and gauges. Waits for no sync.
    pub fn stats(&self) -> Stats {
        let version = Arc::clone(&self.version.read());
        let read = |c: &AtomicU64| c.load(Ordering::Relaxed);
        let wal_bytes = self.log_bytes.of(&self.log, |log| log.bytes());
        let dead_rows = self
            .dead_rows
            .of(&self.catalog, |catalog| catalog.state().dead_rows());
        Stats {
            records: read(&self.counters.records),
            groups: read(&self.counters.groups),
            events: read(&self.counters.events),
            duplicates: read(&self.counters.duplicates),
            superseded: read(&self.counters.superseded),
            lost: read(&self.counters.lost),
            waiting: self.hold.waiting(),
            rollups: read(&self.counters.rollups),
            body_bytes: read(&self.counters.body_bytes),
            flushes: read(&self.counters.flushes),
            compactions: read(&self.counters.compactions),
            marks_moved: read(&self.counters.marks_moved),
            marks_moved_durable: read(&self.counters.marks_moved_durable),
            replayed: read(&self.counters.replayed),
            quarantined: read(&self.counters.quarantined),
            quarantine_files: self.quarantine.files(),
            quarantine_bytes: self.quarantine.bytes(),
            dead_rows,
            queue_bytes: self.queue.bytes(),
            memtable_bytes: version.memtables().iter().map(|m| m.bytes()).sum(),
            frozen: u64::try_from(version.memtables().len().saturating_sub(1)).unwrap_or(0),
            refused: self.gates.refusals.all(),
            fresh_segments: read(&self.gates.fresh),
            merge_priority_low: u64::from(self.gates.merge_is_low.load(Ordering::Relaxed)),
            merge_steps: read(&self.gates.beats.steps),
            merge_paused_ns: read(&self.gates.beats.paused_ns),
            merges_stopped: read(&self.gates.beats.stopped),
            segments: u64::try_from(version.segments().len()).unwrap_or(0),
            damaged_segments: u64::try_from(self.damaged().len()).unwrap_or(u64::MAX),
            purge_left: self.purge_left(),
            segment_bytes: version.segments().values().map(|s| s.bytes()).sum(),
            wal_bytes,
            written: WrittenBytes::of(&*self.disk, &self.counters.segments),
            disk_free_bytes: self.free_bytes().unwrap_or(0),
            disk_reserve_bytes: self.options.reserve_bytes,
            visible_lsn: self.writer.lock().visible,
        }
    }
}
