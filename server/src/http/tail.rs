//! Live tail: which rows were just made, for whoever watches.
//!
//! When a request has become durable and visible, the keys of its rows go into the feed of its
//! project, if anybody watches there. Each question (rows of what, which filter) has one channel
//! that looks the rows up and keeps what passes; everybody who asks the same reads the same channel
//! at a pace of their own. Feed and channel are rings: who is slower than they are long finds a gap,
//! which is told, and holds up nobody.
//!
//! Owns the rings. Locks are held for a push or a copy, never across an await.

mod channel;
mod ring;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) use channel::{Channel, Follower, News, Question, Reader};
pub(crate) use ring::{Read, Ring};

use crate::limits::{TAIL_CHANNELS_MAX, TAIL_FEED_BYTES, TAIL_WATCHERS_MAX};
use obsrv_engine::row::{Event, ProjectId, RowKey, Table};

/// What a key takes beside its texts.
const KEY_BYTES: usize = 64;

/// A row that was made or changed.
#[derive(Clone, Debug)]
pub(crate) struct Touched {
    pub(crate) table: Table,
    pub(crate) key: RowKey,
    pub(crate) start_ns: Option<i64>,
}

/// The rows of a project that were just made.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Mutex<Ring<Touched>>,
    /// How many there were so far.
    news: watch::Sender<u64>,
}

impl Feed {
    fn new() -> Self {
        Self {
            ring: Mutex::new(Ring::new(TAIL_FEED_BYTES)),
            news: watch::Sender::new(0),
        }
    }

    /// Rows became visible.
    pub(crate) fn push(&self, touched: Vec<Touched>) {
        let mut ring = self.ring.lock();
        for row in touched {
            let bytes = KEY_BYTES + row.key.trace_id.len() + row.key.id.len();
            ring.push(row, bytes);
        }
        let end = ring.end();
        drop(ring);
        self.news.send_replace(end);
    }

    fn read(&self, from: u64, most: usize) -> Read<Touched> {
        self.ring.lock().read(from, most)
    }
}

type Key = (u64, Question);

/// All feeds and channels.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    /// Weak: a feed lives as long as a channel reads it.
    feeds: Mutex<HashMap<u64, Weak<Feed>>>,
    channels: Mutex<HashMap<Key, Arc<Channel>>>,
    /// Projects that anybody watches: nothing is collected while it is 0.
    watched: AtomicUsize,
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
    /// or with what comes next. `None` if there are too many channels. `start` runs a new one, whose
    /// events are numbered under `epoch`.
    pub(crate) fn read(
        self: &Arc<Self>,
        (project, question): (ProjectId, &Question),
        after: Option<(u64, u64)>,
        epoch: u64,
        start: impl FnOnce(Arc<Channel>, Arc<Feed>),
    ) -> Option<Reader> {
        let mut channels = self.channels.lock();
        let key = (project.0, question.clone());
        if let Some(channel) = channels.get(&key) {
            return Some(channel.reader(after));
        }
        if channels.len() >= TAIL_CHANNELS_MAX {
            return None;
        }
        let channel = Arc::new(Channel::new(question.clone(), epoch));
        // Before it can be found idle.
        let reader = channel.reader(after);
        channels.insert(key, Arc::clone(&channel));
        self.watched.store(channels.len(), Ordering::Release);
        let feed = self.feed_or_new(project);
        start(channel, feed);
        Some(reader)
    }

    /// Ends a channel unless somebody reads it; whether it ended.
    pub(crate) fn end(&self, project: ProjectId, channel: &Arc<Channel>) -> bool {
        let mut channels = self.channels.lock();
        if channel.is_read() {
            return false;
        }
        channels.remove(&(project.0, channel.question().clone()));
        self.watched.store(channels.len(), Ordering::Release);
        let mut feeds = self.feeds.lock();
        feeds.retain(|_, feed| feed.strong_count() > 0);
        true
    }

    fn feed_or_new(&self, project: ProjectId) -> Arc<Feed> {
        let mut feeds = self.feeds.lock();
        if let Some(feed) = feeds.get(&project.0).and_then(Weak::upgrade) {
            return feed;
        }
        let feed = Arc::new(Feed::new());
        feeds.insert(project.0, Arc::downgrade(&feed));
        feed
    }

    /// The feed for these events, and what to push when they are visible; `None` if nobody watches.
    pub(crate) fn touched(
        &self,
        project: ProjectId,
        events: &[Event],
    ) -> Option<(Arc<Feed>, Vec<Touched>)> {
        if self.watched.load(Ordering::Acquire) == 0 {
            return None;
        }
        let feed = self.feeds.lock().get(&project.0).and_then(Weak::upgrade)?;
        // More than the ring holds would be a gap anyway, of which the ring must still know.
        let touched = events.iter().map(|event| Touched {
            table: event.table,
            key: event.key.clone(),
            start_ns: event.start_ns,
        });
        Some((feed, touched.collect()))
    }
}
