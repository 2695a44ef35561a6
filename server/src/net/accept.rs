//! The accept loop: a bounded number of connections, each watched, all told when to stop.
//!
//! At the limit the oldest connection that never sent a byte is closed to make room: a flood of
//! silent sockets keeps nobody out.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::forwarded::Peer;
use super::pace::{Pace, Paced};
use crate::http::App;
use crate::http::metrics::{Metrics, increment};
use crate::limits::{
    CONNECTIONS_MAX, DRAIN_TIME_MAX, HEAD_BYTES_MAX, HEADERS_MAX, PACE_CHECK_TIME,
    STREAMS_PER_CONNECTION_MAX,
};

/// How long the loop rests when the system has no file for another connection.
const REST: Duration = Duration::from_millis(100);

/// Connections that may still be silent, oldest first.
#[derive(Debug, Default)]
struct Silent(VecDeque<Weak<Pace>>);

impl Silent {
    fn add(&mut self, pace: &Arc<Pace>) {
        if self.0.len() >= CONNECTIONS_MAX * 2 {
            self.0
                .retain(|known| known.upgrade().is_some_and(|pace| !pace.has_spoken()));
        }
        self.0.push_back(Arc::downgrade(pace));
    }

    /// Closes the oldest one; false if there is none.
    fn kick_oldest(&mut self) -> bool {
        while let Some(known) = self.0.pop_front() {
            if let Some(pace) = known.upgrade().filter(|pace| !pace.has_spoken()) {
                pace.kick();
                return true;
            }
        }
        false
    }
}

/// Serves until `stop` says so, then waits for the requests at work, at most
/// [`DRAIN_TIME_MAX`].
pub(crate) async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    router: Router,
    tls: Option<TlsAcceptor>,
    mut stop: watch::Receiver<bool>,
) {
    let mut silent = Silent::default();
    let graceful = GracefulShutdown::new();
    let builder = Arc::new(builder());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, peer),
            Err(error) => {
                rest_after(&error).await;
                continue;
            }
        };
        if !has_room(&app.metrics, &mut silent) {
            increment(&app.metrics.connections_dropped);
            continue;
        }
        let pace = Pace::new(Arc::clone(&app.clock));
        silent.add(&pace);
        let connection = Connection {
            app: Arc::clone(&app),
            router: router.clone(),
            pace,
            peer: Peer(peer.ip()),
            builder: Arc::clone(&builder),
        };
        let tls = tls.clone();
        let watcher = graceful.watcher();
        connection
            .app
            .metrics
            .connections
            .fetch_add(1, Ordering::Relaxed);
        tokio::spawn(connection.run(stream, tls, watcher));
    }
    drop(listener);
    if timeout(DRAIN_TIME_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests cut off by the stop");
    }
}

fn has_room(metrics: &Metrics, silent: &mut Silent) -> bool {
    let open = usize::try_from(metrics.connections.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
    open < CONNECTIONS_MAX || silent.kick_oldest()
}

async fn rest_after(error: &io::Error) {
    // A client that went away between its connect and our accept is nobody's fault.
    if !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        tracing::warn!(%error, "no connection accepted");
        sleep(REST).await;
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The pace does that, without counting the time between requests.
        .header_read_timeout(None)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    builder
}

struct Connection {
    app: Arc<App>,
    router: Router,
    pace: Arc<Pace>,
    peer: Peer,
    builder: Arc<auto::Builder<TokioExecutor>>,
}

/// Counts the connection out, also when its task is dropped.
struct Leave(Arc<App>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>, watcher: Watcher) {
        let app = Arc::clone(&self.app);
        let _leave = Leave(Arc::clone(&app));
        // Answers are small and whole; a failure here costs latency, nothing else.
        let _ = stream.set_nodelay(true);
        let stream = Paced::new(stream, Arc::clone(&self.pace));
        let ended = match tls {
            None => self.talk(stream, watcher).await,
            Some(tls) => {
                let pace = Arc::clone(&self.pace);
                match watched(&pace, tls.accept(stream)).await {
                    Ok(Ok(stream)) => self.talk(stream, watcher).await,
                    // Not TLS, or nothing that both speak: the client knows.
                    Ok(Err(_)) => Ok(()),
                    Err(overdue) => Err(overdue),
                }
            }
        };
        if ended.is_err() {
            increment(&app.metrics.connections_dropped);
        }
    }

    async fn talk<S>(self, stream: S, watcher: Watcher) -> Result<(), Overdue>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            router,
            pace,
            peer,
            builder,
            ..
        } = self;
        let service_pace = Arc::clone(&pace);
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            let guard = service_pace.begin_request();
            let router = router.clone();
            request.extensions_mut().insert(peer);
            async move {
                let answer = hyper::service::Service::call(
                    &hyper_util::service::TowerToHyperService::new(router),
                    request.map(Body::new),
                )
                .await;
                drop(guard);
                answer
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let served = watcher.watch(connection.into_owned());
        // Errors here are broken connections: the client knows.
        watched(&pace, served).await.map(drop)
    }
}

/// The client used up one of its times, or had to make room.
struct Overdue;

/// Waits for the work of a connection for as long as its client keeps to its times.
async fn watched<T>(pace: &Pace, work: impl Future<Output = T>) -> Result<T, Overdue> {
    tokio::pin!(work);
    let mut check = interval(PACE_CHECK_TIME);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            () = pace.kicked() => return Err(Overdue),
            _ = check.tick() => if pace.is_overdue() { return Err(Overdue) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Still;

    impl obsrv_engine::io::Clock for Still {
        fn wall_ns(&self) -> i64 {
            0
        }

        fn mono_ns(&self) -> u64 {
            1
        }
    }

    #[tokio::test]
    async fn the_oldest_silent_connection_makes_room() {
        let mut silent = Silent::default();
        let paces: Vec<_> = (0..3).map(|_| Pace::new(Arc::new(Still))).collect();
        for pace in &paces {
            silent.add(pace);
        }
        drop(paces[0].begin_request());
        let [_, second, third] = &paces[..] else {
            unreachable!()
        };
        assert!(silent.kick_oldest());
        paces[0].kicked().await;
        assert!(silent.kick_oldest());
        second.kicked().await;
        let _ = third;
        drop(paces);
        assert!(!silent.kick_oldest(), "the third one is gone");
    }
}
