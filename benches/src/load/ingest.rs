//! The write side: requests out, acknowledgements timed.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::LoadError;
use super::client::{Answer, Client, Wire};
use crate::generator::Request;

/// Where requests go.
#[derive(Debug)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// The key of each project.
    pub keys: Vec<String>,
    /// What bodies are, and how they are coded already.
    pub wire: Wire,
    /// Connections, one request in flight on each.
    pub connections: usize,
    /// Spans a second in open loop; `None`: as fast as answers come.
    pub rate: Option<u64>,
    /// Every so many requests the client goes away before the answer and sends it again.
    pub resend_every: Option<u64>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Nanoseconds to the acknowledgement.
    pub latency: Histogram<u64>,
    /// From the first request to the last acknowledgement.
    pub elapsed: Duration,
    /// Spans acknowledged.
    pub spans: u64,
    /// Bytes of bodies acknowledged, as sent.
    pub body_bytes: u64,
    /// Requests acknowledged.
    pub requests: u64,
    /// Answers 429 and 503, after which the request was sent again.
    pub overloads: u64,
}

/// Longest latency that the histogram tells apart.
const LATENCY_MAX_NS: u64 = 600_000_000_000;

/// A histogram of latencies with three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("BUG: valid bounds")
}

struct Shared<'a, I> {
    target: &'a Target,
    requests: Mutex<(u64, I)>,
    spans: AtomicU64,
    body_bytes: AtomicU64,
    sent: AtomicU64,
    overloads: AtomicU64,
    begun: Instant,
}

/// Sends every request and waits for every acknowledgement.
pub fn run<I>(target: &Target, requests: I) -> Result<Outcome, LoadError>
where
    I: Iterator<Item = Request> + Send,
{
    let shared = Shared {
        target,
        requests: Mutex::new((0, requests)),
        spans: AtomicU64::new(0),
        body_bytes: AtomicU64::new(0),
        sent: AtomicU64::new(0),
        overloads: AtomicU64::new(0),
        begun: Instant::now(),
    };
    let mut latency = histogram();
    let parts: Result<Vec<_>, LoadError> = thread::scope(|scope| {
        let threads: Vec<_> = (0..target.connections)
            .map(|_| scope.spawn(|| connection(&shared)))
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("BUG: client thread panicked"))
            .collect()
    });
    for part in parts? {
        latency.add(part).expect("BUG: same bounds");
    }
    Ok(Outcome {
        latency,
        elapsed: shared.begun.elapsed(),
        spans: shared.spans.into_inner(),
        body_bytes: shared.body_bytes.into_inner(),
        requests: shared.sent.into_inner(),
        overloads: shared.overloads.into_inner(),
    })
}

fn connection<I>(shared: &Shared<'_, I>) -> Result<Histogram<u64>, LoadError>
where
    I: Iterator<Item = Request>,
{
    let mut client = Client::connect(shared.target.address)?;
    let mut latency = histogram();
    loop {
        let (before, request) = {
            let mut requests = shared.requests.lock().expect("BUG: poisoned by a panic");
            let Some(request) = requests.1.next() else {
                return Ok(latency);
            };
            let before = requests.0;
            requests.0 += count(request.spans);
            (before, request)
        };
        let from = due(shared, before);
        resend(shared, &request)?;
        send(shared, &mut client, &request)?;
        let took = u64::try_from(from.elapsed().as_nanos()).unwrap_or(LATENCY_MAX_NS);
        latency.saturating_record(took);
        shared
            .spans
            .fetch_add(count(request.spans), Ordering::Relaxed);
        shared
            .body_bytes
            .fetch_add(count(request.body.len()), Ordering::Relaxed);
        shared.sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// The moment from which a request's latency counts: now, or in open loop when it was due.
fn due<I>(shared: &Shared<'_, I>, spans_before: u64) -> Instant {
    let Some(rate) = shared.target.rate else {
        return Instant::now();
    };
    let due = shared.begun + Duration::from_nanos(spans_before * 1_000_000_000 / rate.max(1));
    thread::sleep(due.saturating_duration_since(Instant::now()));
    due
}

/// Forces a time-out now and then: the server gets the request, the client no answer to it.
fn resend<I>(shared: &Shared<'_, I>, request: &Request) -> Result<(), LoadError> {
    let target = shared.target;
    let Some(every) = target.resend_every else {
        return Ok(());
    };
    if shared
        .sent
        .load(Ordering::Relaxed)
        .is_multiple_of(every.max(1))
    {
        let key = target.keys.get(request.project).map_or("", String::as_str);
        Client::connect(target.address)?.export_and_leave(key, target.wire, &request.body)?;
    }
    Ok(())
}

fn send<I>(
    shared: &Shared<'_, I>,
    client: &mut Client,
    request: &Request,
) -> Result<(), LoadError> {
    const OVERLOADS_MAX: u32 = 3_000;
    let target = shared.target;
    let key = target.keys.get(request.project).map_or("", String::as_str);
    for _ in 0..OVERLOADS_MAX {
        let Answer { status, body, .. } = client.export(key, target.wire, &request.body)?;
        match status {
            200..300 if target.wire.says_whole(&body) => return Ok(()),
            200..300 => return Err(LoadError::Partial(begin(&body))),
            429 | 503 => {
                shared.overloads.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
            _ => {
                return Err(LoadError::Refused {
                    status,
                    body: begin(&body),
                });
            }
        }
    }
    Err(LoadError::Refused {
        status: 503,
        body: "overloaded for a minute".to_owned(),
    })
}

fn begin(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..300).unwrap_or(body)).into_owned()
}

fn count(n: usize) -> u64 {
    u64::try_from(n).expect("BUG: usize over 64 bits")
}
