//! How slowly a connection may talk.
//!
//! hyper times a request's head, but also counts the quiet time between two requests, and does not
//! see connections that never say anything or take no byte of their answer. So the socket itself is
//! watched: it notes when bytes move, and [`Pace::is_overdue`] is asked once a second.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::limits::{HEAD_TIME_MAX, IDLE_TIME_MAX, WRITE_STALL_TIME_MAX};
use obsrv_engine::io::Clock;

/// What a connection does, as monotonic nanoseconds; 0 is "not now".
#[derive(Debug)]
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    accepted: u64,
    spoke: AtomicBool,
    in_flight: AtomicUsize,
    head_since: AtomicU64,
    moved: AtomicU64,
    write_stuck_since: AtomicU64,
    kick: Notify,
}

impl Pace {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let now = clock.mono_ns().max(1);
        Arc::new(Self {
            clock,
            accepted: now,
            spoke: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            head_since: AtomicU64::new(0),
            moved: AtomicU64::new(now),
            write_stuck_since: AtomicU64::new(0),
            kick: Notify::new(),
        })
    }

    fn now(&self) -> u64 {
        self.clock.mono_ns().max(1)
    }

    /// Whether it ever sent a byte.
    pub(super) fn has_spoken(&self) -> bool {
        self.spoke.load(Ordering::Relaxed)
    }

    /// Ends the connection to make room for another.
    pub(super) fn kick(&self) {
        self.kick.notify_one();
    }

    /// Waits for [`Pace::kick`].
    pub(super) async fn kicked(&self) {
        self.kick.notified().await;
    }

    /// A request's head is read; until the guard is dropped the connection is at work.
    pub(super) fn begin_request(self: &Arc<Self>) -> RequestGuard {
        self.head_since.store(0, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        RequestGuard(Arc::clone(self))
    }

    fn did_read(&self) {
        self.spoke.store(true, Ordering::Relaxed);
        if self.in_flight.load(Ordering::Relaxed) == 0 {
            let now = self.now();
            // Keeps the time of the head's first byte.
            let _ = self
                .head_since
                .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn did_write<T>(&self, poll: &Poll<io::Result<T>>) {
        let now = self.now();
        if poll.is_pending() {
            let stuck = &self.write_stuck_since;
            let _ = stuck.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        } else {
            self.write_stuck_since.store(0, Ordering::Relaxed);
            self.moved.store(now, Ordering::Relaxed);
        }
    }

    /// Whether the client has used up one of its times.
    pub(super) fn is_overdue(&self) -> bool {
        let now = self.now();
        let over = |since: u64, max: Duration| {
            since != 0
                && now.saturating_sub(since) > u64::try_from(max.as_nanos()).unwrap_or(u64::MAX)
        };
        let head_since = self.head_since.load(Ordering::Relaxed);
        let is_quiet = self.in_flight.load(Ordering::Relaxed) == 0;
        (!self.has_spoken() && over(self.accepted, HEAD_TIME_MAX))
            || (is_quiet && over(head_since, HEAD_TIME_MAX))
            || (is_quiet && over(self.moved.load(Ordering::Relaxed), IDLE_TIME_MAX))
            || over(
                self.write_stuck_since.load(Ordering::Relaxed),
                WRITE_STALL_TIME_MAX,
            )
    }
}

/// A request at work.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<Pace>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.moved.store(self.0.now(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket that tells its [`Pace`] when bytes move.
#[derive(Debug)]
pub(super) struct Paced<S> {
    socket: S,
    pace: Arc<Pace>,
}

impl<S> Paced<S> {
    pub(super) const fn new(socket: S, pace: Arc<Pace>) -> Self {
        Self { socket, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.socket).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pace.did_read();
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.pace.did_write(&poll);
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.pace.did_write(&poll);
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn wall_ns(&self) -> i64 {
            0
        }

        fn mono_ns(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn pace() -> (Arc<Hand>, Arc<Pace>) {
        let clock = Arc::new(Hand::default());
        let pace = Pace::new(Arc::<Hand>::clone(&clock));
        (clock, pace)
    }

    fn pass(clock: &Hand, time: Duration) {
        clock
            .0
            .fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }

    const INSTANT: Duration = Duration::from_nanos(2);

    #[test]
    fn a_silent_connection_has_the_time_of_a_head() {
        let (clock, pace) = pace();
        pass(&clock, HEAD_TIME_MAX);
        assert!(!pace.is_overdue());
        pass(&clock, INSTANT);
        assert!(pace.is_overdue());
    }

    #[test]
    fn a_dripping_head_has_the_same_time_and_a_request_at_work_none() {
        let (clock, pace) = pace();
        pass(&clock, HEAD_TIME_MAX / 2);
        pace.did_read();
        pass(&clock, HEAD_TIME_MAX);
        pace.did_read();
        assert!(!pace.is_overdue());
        pass(&clock, INSTANT);
        pace.did_read();
        assert!(pace.is_overdue());
        let request = pace.begin_request();
        pass(&clock, IDLE_TIME_MAX * 9);
        pace.did_read();
        assert!(!pace.is_overdue());
        drop(request);
        pass(&clock, IDLE_TIME_MAX);
        assert!(!pace.is_overdue());
        pass(&clock, INSTANT);
        assert!(pace.is_overdue());
    }

    #[test]
    fn an_answer_that_is_not_taken_is_given_up() {
        let (clock, pace) = pace();
        pace.did_read();
        let _request = pace.begin_request();
        pace.did_write(&Poll::<io::Result<()>>::Pending);
        pass(&clock, WRITE_STALL_TIME_MAX);
        pace.did_write(&Poll::<io::Result<()>>::Pending);
        assert!(!pace.is_overdue());
        pass(&clock, INSTANT);
        assert!(pace.is_overdue());
        pace.did_write(&Poll::Ready(Ok(())));
        assert!(!pace.is_overdue());
    }
}
