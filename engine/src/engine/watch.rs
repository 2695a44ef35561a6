//! What can be told of an engine while it waits for its disk.
//!
//! A sync that does not return holds the log, and an edit of the manifest holds the catalog: whoever
//! looks at the engine then must not wait for them.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Group commits so far, and syncs of a log that is idle. More begun than ended: one runs now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// Begun.
    pub begun: u64,
    /// Ended, well or not.
    pub ended: u64,
}

/// Counts group commits.
#[derive(Debug, Default)]
pub(super) struct Progress {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// One group commit; it ends with this.
pub(super) struct Running<'a>(&'a Progress);

impl Progress {
    pub(super) fn begin(&self) -> Running<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Running(self)
    }

    pub(super) fn commits(&self) -> Commits {
        // In this order: what has ended has begun.
        let ended = self.ended.load(Ordering::Acquire);
        let begun = self.begun.load(Ordering::Relaxed);
        Commits { begun, ended }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

/// A number behind a lock, as it was when the lock was last free.
#[derive(Debug, Default)]
pub(super) struct LastSeen(AtomicU64);

impl LastSeen {
    pub(super) fn of<T>(&self, lock: &Mutex<T>, read: impl FnOnce(&T) -> u64) -> u64 {
        if let Some(free) = lock.try_lock() {
            self.0.store(read(&free), Ordering::Relaxed);
        }
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_runs_until_it_is_dropped() {
        let progress = Progress::default();
        let running = progress.begin();
        assert_eq!(progress.commits(), Commits { begun: 1, ended: 0 });
        drop(running);
        assert_eq!(progress.commits(), Commits { begun: 1, ended: 1 });
    }

    #[test]
    fn a_held_lock_is_not_waited_for() {
        let (seen, lock) = (LastSeen::default(), Mutex::new(7));
        assert_eq!(seen.of(&lock, |n| *n), 7);
        let mut held = lock.lock();
        *held = 8;
        assert_eq!(seen.of(&lock, |n| *n), 7);
        drop(held);
        assert_eq!(seen.of(&lock, |n| *n), 8);
    }
}
