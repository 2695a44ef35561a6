//! Live tail: which rows were just made, for whoever watches.
//!
//! When a request has become durable and visible, the publisher of its project is told, if anybody
//! watches there: a number under a lock, whoever watches. The publisher takes what came since it looked
//! last, reads it once and holds it against the filters of all channels (`read/live/rounds.rs`). Each
//! question (rows of what, which filter) has one channel; everybody who asks the same reads the same
//! channel at a pace of their own. A channel is a ring: who is slower than it is long finds a gap, which
//! is told, and holds up nobody.
//!
//! Owns publishers and channels. Locks are held for a push or a copy, never across an await; that of
//! the projects is taken before that of a publisher's channels.

mod channel;
mod ring;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

pub(crate) use channel::{Channel, News, Question, Reader};

use crate::limits::{TAIL_CHANNELS_MAX, TAIL_RING_BYTES, TAIL_RINGS_BYTES, TAIL_WATCHERS_MAX};
use obsrv_engine::row::{Lsn, ProjectId};

/// What became visible since somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The first record.
    pub(crate) first: Lsn,
    /// The last one.
    pub(crate) last: Lsn,
    /// Rows in them.
    pub(crate) rows: u64,
}

/// What it takes to tell those who watch a project what came.
#[derive(Debug)]
pub(crate) struct Publisher {
    project: ProjectId,
    noted: Mutex<(Option<Noted>, Option<Lsn>)>,
    due: Notify,
    channels: Mutex<HashMap<Question, Arc<Channel>>>,
}

impl Publisher {
    fn new(project: ProjectId) -> Self {
        Self {
            project,
            noted: Mutex::default(),
            due: Notify::new(),
            channels: Mutex::default(),
        }
    }

    /// A record with so many rows became visible. Called by the commit thread: it waits for nobody.
    pub(crate) fn note(&self, lsn: Lsn, rows: u64) {
        let mut noted = self.noted.lock();
        let before = noted.0.unwrap_or(Noted {
            first: lsn,
            last: lsn,
            rows: 0,
        });
        noted.0 = Some(Noted {
            first: before.first.min(lsn),
            last: before.last.max(lsn),
            rows: before.rows.saturating_add(rows),
        });
        noted.1 = noted.1.max(Some(lsn));
        drop(noted);
        self.due.notify_one();
    }

    /// What became visible since this was asked last.
    pub(crate) fn take(&self) -> Option<Noted> {
        self.noted.lock().0.take()
    }

    /// It was not looked at after all.
    pub(crate) fn put_back(&self, noted: Noted) {
        self.note(noted.last, 0);
        let mut now = self.noted.lock();
        if let Some(now) = &mut now.0 {
            now.first = now.first.min(noted.first);
            now.rows = now.rows.saturating_add(noted.rows);
        }
    }

    /// Waits until there is something, for so long at most.
    pub(crate) async fn wait(&self, most: Duration) {
        let _ = timeout(most, self.due.notified()).await;
    }

    /// Everything that is watched.
    pub(crate) fn channels(&self) -> Vec<Arc<Channel>> {
        self.channels.lock().values().map(Arc::clone).collect()
    }

    /// The newest record that it was told of.
    fn newest(&self) -> Option<Lsn> {
        self.noted.lock().1
    }
}

/// All publishers.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    projects: Mutex<HashMap<u64, Arc<Publisher>>>,
    /// Projects that anybody watches: nobody is told anything while it is 0.
    watched: AtomicUsize,
    channels: AtomicUsize,
    watchers: AtomicUsize,
}

/// Somebody who watches. Counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher(Arc<Tails>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Tails {
    /// Takes a place among those who watch; `None` if there is none.
    pub(crate) fn watch(self: &Arc<Self>) -> Option<Watcher> {
        let taken = self.watchers.fetch_add(1, Ordering::AcqRel);
        let watcher = Watcher(Arc::clone(self));
        (taken < TAIL_WATCHERS_MAX).then_some(watcher)
    }

    /// Begins to read the channel of a question: after the event that an earlier connection got last,
    /// or with what comes next. `None` if the project has too many channels. `start` runs a new
    /// publisher; events of a new channel are numbered under `epoch`.
    pub(crate) fn read(
        self: &Arc<Self>,
        (project, question): (ProjectId, &Question),
        after: Option<(u64, u64)>,
        epoch: u64,
        start: impl FnOnce(Arc<Publisher>),
    ) -> Option<Reader> {
        let mut projects = self.projects.lock();
        let known = projects.get(&project.0).map(Arc::clone);
        let is_new = known.is_none();
        let publisher = known.unwrap_or_else(|| Arc::new(Publisher::new(project)));
        let mut channels = publisher.channels.lock();
        if let Some(channel) = channels.get(question) {
            return Some(channel.reader(after));
        }
        if channels.len() >= TAIL_CHANNELS_MAX {
            channels.retain(|_, channel| channel.is_read());
            if channels.len() >= TAIL_CHANNELS_MAX {
                return None;
            }
        }
        let channel = Arc::new(Channel::new(question.clone(), epoch, publisher.newest()));
        // Before it can be found idle.
        let reader = channel.reader(after);
        channels.insert(question.clone(), channel);
        drop(channels);
        if is_new {
            projects.insert(project.0, Arc::clone(&publisher));
        }
        self.count(&mut projects);
        drop(projects);
        if is_new {
            start(publisher);
        }
        Some(reader)
    }

    /// Counts projects and channels; those that nobody reads make room when there are more than may be
    /// read at once.
    fn count(&self, projects: &mut HashMap<u64, Arc<Publisher>>) {
        let all = |projects: &HashMap<u64, Arc<Publisher>>| -> usize {
            projects.values().map(|p| p.channels.lock().len()).sum()
        };
        let mut channels = all(projects);
        if channels > TAIL_WATCHERS_MAX {
            for publisher in projects.values() {
                let mut channels = publisher.channels.lock();
                channels.retain(|_, channel| channel.is_read());
            }
            channels = all(projects);
        }
        self.channels.store(channels, Ordering::Release);
        self.watched.store(projects.len(), Ordering::Release);
    }

    /// Ends channels that nobody has read for long; whether the publisher has none left, and ended.
    pub(crate) fn tidy(&self, publisher: &Arc<Publisher>) -> bool {
        let mut projects = self.projects.lock();
        let mut channels = publisher.channels.lock();
        channels.retain(|_, channel| !channel.is_forgotten());
        let is_over = channels.is_empty();
        drop(channels);
        if is_over {
            projects.remove(&publisher.project.0);
        }
        self.count(&mut projects);
        is_over
    }

    /// Bytes of events that each channel may keep: all of them together have a bound.
    pub(crate) fn ring_bytes(&self) -> usize {
        let channels = self.channels.load(Ordering::Acquire).max(1);
        (TAIL_RINGS_BYTES / channels).min(TAIL_RING_BYTES)
    }

    /// Whom to tell when rows of the project are visible; `None` if nobody watches.
    pub(crate) fn publisher(&self, project: ProjectId) -> Option<Arc<Publisher>> {
        if self.watched.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.projects.lock().get(&project.0).map(Arc::clone)
    }
}
