//! The accept loop: a bounded number of connections, each watched, all told when to stop.
//!
//! At the limit the oldest connection that never sent a byte is closed to make room: a flood of
//! silent sockets keeps nobody out.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::forwarded::{Peer, Proxies, place_of};
use super::pace::{Pace, Paced};
use crate::http::App;
use crate::http::metrics::increment;
use crate::limits::{
    CONNECTION_BYTES, CONNECTION_MEMORY_SHARE, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX,
    DRAIN_TIME_MAX, HEAD_BYTES_MAX, HEADERS_MAX, PACE_CHECK_TIME, SEND_BYTES,
    STREAMS_PER_CONNECTION_MAX, TLS_HANDSHAKE_TIME_MAX, TLS_HANDSHAKES_MAX, WINDOW_BYTES,
};

/// How long the loop rests when the system has no file for another connection.
const REST: Duration = Duration::from_millis(100);

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    all: usize,
    of_address: usize,
}

impl Room {
    /// With a memory budget of so many bytes.
    pub(crate) fn of(memory_bytes: u64) -> Self {
        let fit = memory_bytes / CONNECTION_MEMORY_SHARE / CONNECTION_BYTES;
        let all = usize::try_from(fit)
            .unwrap_or(usize::MAX)
            .min(CONNECTIONS_MAX);
        Self {
            all,
            of_address: (all / 2).min(CONNECTIONS_PER_ADDRESS_MAX),
        }
    }
}

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

/// How many connections each place has, in a bounded table: as many places as connections.
#[derive(Debug, Default)]
struct Places(Mutex<HashMap<u128, usize>>);

impl Places {
    /// Counts another connection from there; `None` if it has too many.
    fn enter(self: &Arc<Self>, peer: IpAddr, max: usize) -> Option<Entered> {
        let place = place_of(peer)?;
        let mut all = self.0.lock();
        let there = all.entry(place).or_default();
        if *there >= max {
            return None;
        }
        *there += 1;
        Some(Entered {
            places: Arc::clone(self),
            place,
        })
    }
}

/// Counts a connection out of its place.
#[derive(Debug)]
struct Entered {
    places: Arc<Places>,
    place: u128,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut all = self.places.0.lock();
        if let Some(there) = all.get_mut(&self.place) {
            *there -= 1;
            if *there == 0 {
                all.remove(&self.place);
            }
        }
    }
}

/// What connections come with.
#[derive(Clone)]
pub(crate) struct Doorway {
    /// TLS, if this server speaks it.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Which addresses may be many people's.
    pub(crate) proxies: Proxies,
}

/// Serves until `stop` says so, then waits for the requests at work, at most
/// [`DRAIN_TIME_MAX`].
pub(crate) async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    router: Router,
    Doorway { tls, proxies }: Doorway,
    mut stop: watch::Receiver<bool>,
) {
    let mut silent = Silent::default();
    let places = Arc::<Places>::default();
    let handshakes = Arc::new(Semaphore::new(TLS_HANDSHAKES_MAX));
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
        let is_shared = proxies.is_shared(peer.ip());
        let entered = places.enter(peer.ip(), app.connections.of_address);
        if (entered.is_none() && !is_shared) || !has_room(&app, &mut silent) {
            increment(&app.metrics.connections_dropped);
            continue;
        }
        // Who shares an address is counted by nobody.
        let entered = entered.filter(|_| !is_shared);
        let pace = Pace::new(Arc::clone(&app.clock));
        silent.add(&pace);
        let connection = Connection {
            app: Arc::clone(&app),
            router: router.clone(),
            pace,
            peer: Peer(peer.ip()),
            builder: Arc::clone(&builder),
            handshakes: Arc::clone(&handshakes),
            _entered: entered,
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

fn has_room(app: &App, silent: &mut Silent) -> bool {
    let open = app.metrics.connections.load(Ordering::Relaxed);
    usize::try_from(open).unwrap_or(usize::MAX) < app.connections.all || silent.kick_oldest()
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
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    builder
}

struct Connection {
    app: Arc<App>,
    router: Router,
    pace: Arc<Pace>,
    peer: Peer,
    builder: Arc<auto::Builder<TokioExecutor>>,
    handshakes: Arc<Semaphore>,
    _entered: Option<Entered>,
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
                let handshakes = Arc::clone(&self.handshakes);
                let handshake = async move {
                    // The semaphore is never closed.
                    let _turn = handshakes.acquire_owned().await.ok();
                    timeout(TLS_HANDSHAKE_TIME_MAX, tls.accept(stream)).await
                };
                match watched(&pace, handshake).await {
                    Ok(Ok(Ok(stream))) => self.talk(stream, watcher).await,
                    // Not TLS, or nothing that both speak: the client knows.
                    Ok(Ok(Err(_))) => Ok(()),
                    Ok(Err(_)) | Err(Overdue) => Err(Overdue),
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
            _entered,
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
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
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

    #[test]
    fn connections_grow_with_the_budget_up_to_their_limit() {
        let room = |mib: u64| {
            let room = Room::of(mib << 20);
            (room.all, room.of_address)
        };
        assert_eq!(room(128), (256, 128));
        assert_eq!(room(512), (1024, CONNECTIONS_PER_ADDRESS_MAX));
        assert_eq!(room(2048), (CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX));
        assert_eq!(
            room(1 << 30),
            (CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX)
        );
    }

    #[test]
    fn one_address_has_so_many_connections_and_not_one_more() {
        let places = Arc::<Places>::default();
        let at = |text: &str| places.enter(text.parse().unwrap(), 3);
        let mut held: Vec<_> = (0..3)
            .map(|n| at(&format!("2001:db8::{n:x}")).unwrap())
            .collect();
        assert!(at("2001:db8::ffff").is_none(), "the same /64");
        assert!(at("2001:db8:0:1::1").is_some());
        held.pop();
        held.push(at("2001:db8::ffff").unwrap());
        drop(held);
        assert!(places.0.lock().is_empty());
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
