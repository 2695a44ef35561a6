//! The commit queue: bounded, fair between projects.
//!
//! One lock, held for a push or a drain. Lanes are drained by deficit round robin (Shreedhar and
//! Varghese 1995), so a project with a deep queue does not delay another's single record.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Work;

/// Bytes of one group commit.
pub const GROUP_BYTES_MAX: u64 = 4 << 20;
/// Records of one group commit.
pub const GROUP_RECORDS_MAX: usize = 1024;
/// Bytes that a lane may send per round.
const QUANTUM_BYTES: u64 = 256 << 10;

#[derive(Debug, Default)]
struct Lane {
    work: VecDeque<Work>,
    deficit: u64,
}

#[derive(Debug, Default)]
struct Inner {
    lanes: HashMap<u64, Lane>,
    /// Lanes that hold work, each once.
    turn: VecDeque<u64>,
    bytes: u64,
    closed: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    ready: Condvar,
    bytes_max: u64,
}

/// Why [`Queue::wait`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Work,
    /// Nothing came for as long as one was ready to wait.
    Idle,
    /// Closed, and nothing is left in it.
    Closed,
}

/// Why work was not taken; it comes back with its callback.
#[derive(Debug)]
pub(super) enum Refused {
    Full(Box<Work>),
    Closed(Box<Work>),
}

impl Queue {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            inner: Mutex::default(),
            ready: Condvar::new(),
            bytes_max,
        }
    }

    /// Queues work. A single piece larger than the bound is taken when the queue is empty.
    pub(super) fn push(&self, work: Work) -> Result<(), Refused> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(Refused::Closed(Box::new(work)));
        }
        let cost = work.cost();
        if inner.bytes > 0 && inner.bytes.saturating_add(cost) > self.bytes_max {
            return Err(Refused::Full(Box::new(work)));
        }
        inner.bytes = inner.bytes.saturating_add(cost);
        let id = work.lane();
        let lane = inner.lanes.entry(id).or_default();
        let was_empty = lane.work.is_empty();
        lane.work.push_back(work);
        if was_empty {
            inner.turn.push_back(id);
        }
        drop(inner);
        self.ready.notify_one();
        Ok(())
    }

    /// Whether it takes nothing more for now, however small.
    pub(super) fn is_full(&self) -> bool {
        self.inner.lock().bytes >= self.bytes_max
    }

    /// The next group, fair between lanes; empty when there is no work.
    pub(super) fn drain(&self) -> Vec<Work> {
        let mut inner = self.inner.lock();
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(id) = inner.turn.pop_front() {
            let Some(lane) = inner.lanes.get_mut(&id) else {
                continue;
            };
            lane.deficit = lane.deficit.saturating_add(QUANTUM_BYTES);
            let mut full = false;
            while let Some(cost) = lane.work.front().map(Work::cost) {
                let over = bytes > 0 && bytes + cost > GROUP_BYTES_MAX;
                full = over || group.len() >= GROUP_RECORDS_MAX;
                // Work over the quantum goes alone at the head of a group: it must go some time.
                if full || (cost > lane.deficit && bytes > 0) {
                    break;
                }
                lane.deficit = lane.deficit.saturating_sub(cost);
                bytes += cost;
                group.extend(lane.work.pop_front());
            }
            if lane.work.is_empty() {
                inner.lanes.remove(&id);
            } else if full {
                inner.turn.push_front(id);
            } else {
                inner.turn.push_back(id);
            }
            if full || bytes >= GROUP_BYTES_MAX {
                break;
            }
        }
        inner.bytes = inner.bytes.saturating_sub(bytes);
        group
    }

    /// Blocks until there is work, the queue is closed, or it stayed empty for `patience`.
    pub(super) fn wait(&self, patience: Option<Duration>) -> Wake {
        let mut inner = self.inner.lock();
        while inner.turn.is_empty() {
            if inner.closed {
                return Wake::Closed;
            }
            let Some(time) = patience else {
                self.ready.wait(&mut inner);
                continue;
            };
            let waited = self.ready.wait_for(&mut inner, time);
            if waited.timed_out() && inner.turn.is_empty() && !inner.closed {
                return Wake::Idle;
            }
        }
        Wake::Work
    }

    /// Waits for `time`, whatever comes, or until it is closed. Whether it is.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let mut inner = self.inner.lock();
        let is_open = |inner: &mut Inner| !inner.closed;
        self.ready.wait_while_for(&mut inner, is_open, time);
        inner.closed
    }

    /// Takes no more work; what is queued is still drained.
    pub(super) fn close(&self) {
        self.inner.lock().closed = true;
        self.ready.notify_all();
    }

    pub(super) fn bytes(&self) -> u64 {
        self.inner.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Deletion;
    use crate::row::ProjectId;

    fn work(project: u64, trace: &str) -> Work {
        Work::Delete {
            project: ProjectId(project),
            deletion: Deletion::Trace(trace.into()),
            done: Box::new(|_| ()),
        }
    }

    fn lanes(group: &[Work]) -> Vec<u64> {
        group.iter().map(Work::lane).collect()
    }

    #[test]
    fn a_deep_lane_does_not_keep_another_out_of_the_group() {
        let queue = Queue::new(u64::MAX);
        for _ in 0..5000 {
            queue.push(work(1, &"x".repeat(2000))).unwrap();
        }
        queue.push(work(2, "y")).unwrap();
        let group = queue.drain();
        assert!(lanes(&group).contains(&2));
        assert!(group.len() <= GROUP_RECORDS_MAX);
    }

    #[test]
    fn everything_pushed_is_drained_in_lane_order() {
        let queue = Queue::new(u64::MAX);
        for i in 0..3000 {
            queue.push(work(i % 3 + 1, &i.to_string())).unwrap();
        }
        let mut seen = Vec::new();
        loop {
            let group = queue.drain();
            if group.is_empty() {
                break;
            }
            seen.extend(group.into_iter().filter_map(|w| match w {
                Work::Delete {
                    project,
                    deletion: Deletion::Trace(trace_id),
                    ..
                } => Some((project.0, trace_id.parse::<u64>().unwrap())),
                _ => None,
            }));
        }
        assert_eq!(seen.len(), 3000);
        for lane in 1..=3 {
            let of_lane: Vec<_> = seen.iter().filter(|(p, _)| *p == lane).collect();
            assert!(of_lane.is_sorted());
        }
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn full_at_the_limit_and_one_above() {
        let cost = work(1, "x").cost();
        let queue = Queue::new(2 * cost);
        queue.push(work(1, "x")).unwrap();
        assert!(!queue.is_full());
        queue.push(work(1, "x")).unwrap();
        assert!(queue.is_full());
        assert!(matches!(queue.push(work(2, "x")), Err(Refused::Full(_))));
        queue.close();
        assert!(matches!(queue.push(work(2, "x")), Err(Refused::Closed(_))));
        assert_eq!(queue.wait(None), Wake::Work);
        assert_eq!(queue.drain().len(), 2);
        assert_eq!(queue.wait(None), Wake::Closed);
    }

    #[test]
    fn an_empty_queue_is_idle_after_the_patience() {
        let queue = Queue::new(u64::MAX);
        assert_eq!(queue.wait(Some(Duration::ZERO)), Wake::Idle);
        queue.push(work(1, "x")).unwrap();
        assert_eq!(queue.wait(Some(Duration::ZERO)), Wake::Work);
        queue.drain();
        queue.close();
        assert_eq!(queue.wait(Some(Duration::ZERO)), Wake::Closed);
    }
}
