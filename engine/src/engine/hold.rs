//! A group that is durable and waits for the disk to read.
//!
//! To publish a record the older versions of its rows are read. A disk that refuses that twice may do it later: whether
//! there is an older version is not known, and to go on without it would show the row twice or lose what
//! it said. So nothing of the record is applied, it waits with all that come after, and the commit thread
//! tries again. Questions go on over what was published before. A refusal that passes within [`TRIES_MAX`] tries costs
//! that time alone. After that requests are refused before anything of them is logged, those in the queue included,
//! and [`Engine::unreadable`] says why. A memtable that is full and has a run that cannot be remade holds up the next group
//! in the same way.
//! Bytes that are wrong are another matter (see `locate`): what was there is lost for certain.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use obsrv_wal::log::Durable;
use parking_lot::Mutex;

use super::commit::Committed;
use super::{Engine, Gate, IngestError, Receipt, chain, count};

/// Tries until requests are refused: a second, since the commit thread waits for a tenth of one between them.
pub(super) const TRIES_MAX: u32 = 10;

/// What waits.
#[derive(Debug, Default)]
struct Held {
    /// Records that are not published yet; none if only a memtable has to be frozen.
    group: Option<(Durable, Vec<Committed>)>,
    /// How often the disk refused.
    tries: u32,
}

/// What waits, if anything does, and what others see of it.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// Gone while it is tried.
    held: Mutex<Option<Held>>,
    waiting: AtomicU64,
    /// Requests are refused.
    shut: AtomicBool,
    /// What the disk refuses, while requests are refused.
    why: Mutex<String>,
}

impl Hold {
    /// How many records wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether requests are refused.
    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    /// Keeps it for the next try.
    fn keep(&self, mut held: Held, cause: String) {
        held.tries = held.tries.saturating_add(1);
        if held.tries == 1 {
            tracing::error!(cause, "a record waits for the disk to read");
        }
        let waiting = held.group.as_ref().map_or(0, |(_, rest)| rest.len());
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        self.waiting.store(waiting, Ordering::Relaxed);
        if held.tries >= TRIES_MAX {
            (*self.why.lock()).clone_from(&cause);
            if !self.shut.swap(true, Ordering::AcqRel) {
                tracing::error!(cause, waiting, "requests are refused until the disk reads");
            }
        }
        *self.held.lock() = Some(held);
    }

    /// Nothing waits any more.
    fn end(&self, tries: u32) {
        self.waiting.store(0, Ordering::Relaxed);
        self.shut.store(false, Ordering::Release);
        if tries > 0 {
            tracing::warn!(tries, "the disk reads again");
        }
    }
}

impl Engine {
    /// What the disk refuses to read, with file and offset, so that requests are refused; none if it reads.
    pub fn unreadable(&self) -> Option<String> {
        self.hold.is_shut().then(|| self.hold.why.lock().clone())
    }

    /// Whether it refuses.
    pub fn is_unreadable(&self) -> bool {
        self.hold.is_shut()
    }

    /// Whether a group waits for the disk to read. Of the commit thread: while it tries, nothing is there to be seen.
    pub(super) fn is_held(&self) -> bool {
        self.hold.held.lock().is_some()
    }

    /// Publishes a group and answers it, as far as the disk reads. How many pieces of work were answered.
    pub(super) fn publish_all(&self, durable: Durable, group: Vec<Committed>) -> usize {
        self.go_on(Held {
            group: Some((durable, group)),
            tries: 0,
        })
    }

    /// Tries again what waits. How many pieces of work were answered.
    pub(super) fn try_held(&self) -> usize {
        let held = self.hold.held.lock().take();
        held.map_or(0, |held| self.go_on(held))
    }

    /// Refuses what is queued behind a group that waits, once that takes long. How many pieces of work that were.
    pub(super) fn refuse_queued(&self) -> usize {
        if self.hold.is_shut() {
            self.finish_queued(IngestError::Overloaded(Gate::Reads))
        } else {
            0
        }
    }

    fn go_on(&self, mut held: Held) -> usize {
        let mut answered = 0;
        let mut refused = None;
        if let Some((durable, mut group)) = held.group.take() {
            let published = match self.publish(&durable, &mut group) {
                Ok(()) => group.len(),
                Err((published, error)) if error.may_pass() => {
                    refused = Some(chain(&error));
                    published
                }
                Err((_, error)) => {
                    // The records are on disk: replay will publish them, so the outcome is not "stored".
                    self.fail("publish", &error);
                    self.hold.end(0);
                    answered = group.len();
                    finish_unknown(group);
                    return answered;
                }
            };
            let rest = group.split_off(published);
            answered = group.len();
            count(&self.counters.records, answered);
            for c in group {
                let (lsn, hidden) = (c.lsn, c.hidden);
                c.work.finish(Ok(Receipt { lsn, hidden }));
            }
            if rest.is_empty() {
                count(&self.counters.groups, 1);
            } else {
                held.group = Some((durable, rest));
            }
        }
        match refused.map_or_else(|| self.freeze_if_full(), Err) {
            Ok(()) => self.hold.end(held.tries),
            Err(cause) => self.hold.keep(held, cause),
        }
        self.wake_helpers();
        answered
    }

    /// Ends the wait without an outcome: the process ends, and the next one finds the records in the log.
    pub(super) fn give_up(&self) {
        let held = self.hold.held.lock().take();
        if let Some((_, group)) = held.and_then(|held| held.group) {
            finish_unknown(group);
        }
        self.finish_queued(IngestError::Closed);
    }

    fn finish_queued(&self, outcome: IngestError) -> usize {
        let mut finished = 0;
        loop {
            let group = self.queue.drain();
            if group.is_empty() {
                return finished;
            }
            finished += group.len();
            for work in group {
                work.finish(Err(outcome));
            }
        }
    }
}

fn finish_unknown(group: Vec<Committed>) {
    for c in group {
        c.work.finish(Err(IngestError::OutcomeUnknown));
    }
}
