//! A question that is watched: what passes, in the order in which it came.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ring::{Read, Ring};
use crate::http::read::Over;
use crate::limits::{TAIL_IDLE_TIME, TAIL_RING_BYTES};
use obsrv_engine::row::Lsn;

/// Rows of what, and which.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) over: Over,
    pub(crate) q: String,
    /// A filter as JSON beside it, or nothing.
    pub(crate) filter: String,
}

/// What passes.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A row as JSON.
    Row(Bytes),
    /// So many rows were touched and not looked at.
    Missed(u64),
}

/// What an event takes beside its text.
const NEWS_BYTES: usize = 64;

/// Where what passes is put.
#[derive(Debug)]
pub(crate) struct Channel {
    question: Question,
    /// Tells the numbers of its events from those of an earlier channel of the same question.
    epoch: u64,
    /// It is told of later records alone; `None`: of every one.
    from: Option<Lsn>,
    ring: Mutex<Ring<News>>,
    news: watch::Sender<u64>,
    readers: AtomicUsize,
    /// Since when nobody reads it, as far as anybody looked.
    unread: Mutex<Option<Instant>>,
}

/// Somebody who reads a channel. Counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Reader {
    channel: Arc<Channel>,
    news: watch::Receiver<u64>,
    at: u64,
    /// It was asked to go on after an event that is not known here.
    is_lost: bool,
}

impl Channel {
    pub(super) fn new(question: Question, epoch: u64, from: Option<Lsn>) -> Self {
        Self {
            question,
            epoch,
            from,
            unread: Mutex::default(),
            ring: Mutex::new(Ring::new(TAIL_RING_BYTES)),
            news: watch::Sender::new(0),
            readers: AtomicUsize::new(0),
        }
    }

    pub(crate) const fn question(&self) -> &Question {
        &self.question
    }

    /// Whether anybody reads it.
    pub(crate) fn is_read(&self) -> bool {
        self.readers.load(Ordering::Acquire) > 0
    }

    /// Whether a row of this record is news here.
    pub(crate) fn is_later(&self, lsn: Lsn) -> bool {
        self.from.is_none_or(|from| lsn > from)
    }

    /// Whether nobody has read it for [`TAIL_IDLE_TIME`], as far as this is asked every now and then.
    pub(super) fn is_forgotten(&self) -> bool {
        let mut unread = self.unread.lock();
        if self.is_read() {
            *unread = None;
            return false;
        }
        let since = *unread.get_or_insert_with(Instant::now);
        since.elapsed() >= TAIL_IDLE_TIME
    }

    /// Puts what passes at the end; what is kept has `room` bytes.
    pub(crate) fn push(&self, all: impl IntoIterator<Item = News>, room: usize) {
        let mut ring = self.ring.lock();
        ring.resize(room);
        for news in all {
            let bytes = match &news {
                News::Row(json) => json.len(),
                News::Missed(_) => 0,
            };
            ring.push(news, NEWS_BYTES + bytes);
        }
        let end = ring.end();
        drop(ring);
        self.news.send_replace(end);
    }

    /// Begins to read: after the event with this epoch and number, or with what comes next.
    pub(super) fn reader(self: &Arc<Self>, after: Option<(u64, u64)>) -> Reader {
        self.readers.fetch_add(1, Ordering::AcqRel);
        let end = self.ring.lock().end();
        let known = after.filter(|(epoch, number)| *epoch == self.epoch && *number < end);
        Reader {
            news: self.news.subscribe(),
            channel: Arc::clone(self),
            at: known.map_or(end, |(_, number)| number + 1),
            is_lost: after.is_some() && known.is_none(),
        }
    }
}

impl Reader {
    /// Under which its events are numbered.
    pub(crate) fn epoch(&self) -> u64 {
        self.channel.epoch
    }

    /// Whether it goes on from elsewhere than it was asked to.
    pub(crate) const fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// What is there now: up to so many events of so many bytes.
    pub(crate) fn read(&mut self, most: (usize, usize)) -> (u64, Read<News>) {
        self.news.mark_unchanged();
        let read = self.channel.ring.lock().read(self.at, most);
        let first = self.at.saturating_add(read.missed);
        self.at = read.next;
        (first, read)
    }

    /// Waits until there is more.
    pub(crate) async fn wait(&mut self) {
        // The sender is in the channel, which this holds.
        let _ = self.news.changed().await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.channel.readers.fetch_sub(1, Ordering::AcqRel);
    }
}
