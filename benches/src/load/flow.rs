//! Load that does not wait: requests are due by a clock, however long answers take.
//!
//! Bodies are made once and sent again and again with other trace ids in them: a body that comes again would be
//! one that the server has already, and cost it next to nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::LoadError;
use super::client::{Answer, Client, Encoding, Form, Wire};
use super::ingest::histogram;
use crate::generator::span::export_request;
use crate::generator::traces;

/// What bodies of a flow are.
const WIRE: Wire = Wire {
    form: Form::Protobuf,
    encoding: Encoding::Identity,
};
/// Longest wait that an overloaded server may ask for, in seconds.
const RETRY_SECONDS_MAX: u64 = 30;
/// Answers that nobody expected, of which the first are kept.
const ODD_KEPT: usize = 5;
/// Stack of a connection's thread.
const STACK_BYTES: usize = 256 << 10;

/// A trace as an export request, and where its id stands in it.
#[derive(Debug)]
struct Body {
    bytes: Vec<u8>,
    places: Vec<usize>,
    spans: u64,
    trace_id: [u8; 16],
}

/// Requests, each a whole trace, of which no two have one id.
#[derive(Debug)]
pub struct Bodies {
    all: Vec<Body>,
    serial: AtomicU64,
}

/// The id of a trace that was sent.
pub type TraceId = [u8; 16];

/// Traces that were sent one after the other and begin with the same bytes; other ones do not.
pub const FAMILY_TRACES: u64 = 1 << 12;
/// Bytes of an id that a family has in common.
pub const FAMILY_BYTES: usize = 4;

/// The id of the trace with a number. Families are spread over all ids, as ids are.
fn numbered(number: u64, mut id: TraceId) -> TraceId {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low halves are told apart by the others"
    )]
    let (family, low) = ((number / FAMILY_TRACES) as u32, number as u32);
    id[..FAMILY_BYTES].copy_from_slice(&family.wrapping_mul(0x9E37_79B1).to_le_bytes());
    id[FAMILY_BYTES..8].copy_from_slice(&low.to_le_bytes());
    id
}

impl Bodies {
    /// So many different traces of so many spans each.
    pub fn make(seed: u64, count: u64, spans: usize) -> Self {
        let body = |trace: Vec<crate::generator::span::Span>| {
            let trace_id = trace.first().map_or([0; 16], |span| span.trace_id);
            let bytes = export_request(&trace);
            let places = memchr::memmem::find_iter(&bytes, &trace_id).collect();
            Body {
                places,
                spans: u64::try_from(trace.len()).unwrap_or(0),
                trace_id,
                bytes,
            }
        };
        Self {
            all: traces(seed, count, spans).into_iter().map(body).collect(),
            serial: AtomicU64::new(seed << 40),
        }
    }

    /// The next request in `buffer`, its spans and its trace.
    fn next(&self, buffer: &mut Vec<u8>) -> (u64, TraceId) {
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        let count = u64::try_from(self.all.len()).unwrap_or(1).max(1);
        let place = usize::try_from(number % count).unwrap_or(0);
        let body = &self.all[place];
        buffer.clear();
        buffer.extend_from_slice(&body.bytes);
        let trace_id = numbered(number, body.trace_id);
        for place in &body.places {
            buffer[*place..*place + 16].copy_from_slice(&trace_id);
        }
        (body.spans, trace_id)
    }
}

/// Who sends how much to whom.
pub struct Flow<'a> {
    /// The server.
    pub address: SocketAddr,
    /// Keys, taken in turns.
    pub keys: &'a [String],
    /// What is sent.
    pub bodies: &'a Bodies,
    /// One request at a time on each.
    pub connections: usize,
    /// Requests a second that are due; `None`: the next one when an answer has come.
    pub rate: Option<f64>,
    /// How long.
    pub time: Duration,
    /// Called for each trace that was acknowledged, with its key's place.
    pub acknowledged: &'a (dyn Fn(usize, TraceId) + Sync),
}

impl std::fmt::Debug for Flow<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow")
            .field("address", &self.address)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Flowed {
    /// Nanoseconds to the acknowledgement, from when the request was due.
    pub latency: Histogram<u64>,
    /// Requests sent.
    pub sent: u64,
    /// Requests that were due and could not be sent in time: no connection was free.
    pub unsent: u64,
    /// Requests acknowledged.
    pub accepted: u64,
    /// Spans acknowledged.
    pub spans: u64,
    /// Requests refused with 503 or 429 and a small `Retry-After`.
    pub refused: u64,
    /// Connections that ended without an answer.
    pub broken: u64,
    /// Any other answer.
    pub odd: u64,
    /// The first of these.
    pub odd_kept: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Flowed {
    fn new() -> Self {
        Self {
            latency: histogram(),
            sent: 0,
            unsent: 0,
            accepted: 0,
            spans: 0,
            refused: 0,
            broken: 0,
            odd: 0,
            odd_kept: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// Spans acknowledged a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn spans_per_second(&self) -> f64 {
        self.spans as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    /// Requests acknowledged a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn accepted_per_second(&self) -> f64 {
        self.accepted as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    /// Requests sent a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn sent_per_second(&self) -> f64 {
        self.sent as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    /// A quantile of the acknowledgements.
    pub fn at(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.latency.value_at_quantile(quantile))
    }

    fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("BUG: same bounds");
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.spans += other.spans;
        self.refused += other.refused;
        self.broken += other.broken;
        self.odd += other.odd;
        let room = ODD_KEPT.saturating_sub(self.odd_kept.len());
        self.odd_kept
            .extend(other.odd_kept.iter().take(room).cloned());
    }

    fn note(&mut self, answer: &Answer) -> bool {
        let small = |seconds: u64| (1..=RETRY_SECONDS_MAX).contains(&seconds);
        match answer.status {
            200 => return true,
            429 | 503 if answer.retry_after.is_some_and(small) => self.refused += 1,
            status => {
                self.odd += 1;
                if self.odd_kept.len() < ODD_KEPT {
                    let body: String = String::from_utf8_lossy(&answer.body)
                        .chars()
                        .take(200)
                        .collect();
                    let wait = answer.retry_after;
                    self.odd_kept
                        .push(format!("{status} retry_after={wait:?} {body}"));
                }
            }
        }
        false
    }
}

/// Sends for as long as the flow says.
///
/// # Errors
/// When no connection can be made.
pub fn run(flow: &Flow<'_>) -> Result<Flowed, LoadError> {
    let begun = Instant::now();
    let slots = AtomicU64::new(0);
    let mut all = Flowed::new();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for _ in 0..flow.connections {
            let one = || connection(flow, &slots, begun);
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            threads.push(thread.spawn_scoped(scope, one)?);
        }
        for thread in threads {
            all.add(&thread.join().expect("BUG: a client's thread panicked")?);
        }
        Ok::<_, LoadError>(())
    })?;
    all.elapsed = begun.elapsed();
    if let Some(rate) = flow.rate {
        all.unsent = due_by(rate, flow.time).saturating_sub(all.sent);
    }
    Ok(all)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of requests, far below 2^53"
)]
fn due_by(rate: f64, time: Duration) -> u64 {
    (rate * time.as_secs_f64()).max(0.0) as u64
}

fn connection(flow: &Flow<'_>, slots: &AtomicU64, begun: Instant) -> Result<Flowed, LoadError> {
    let mut out = Flowed::new();
    let mut buffer = Vec::new();
    let mut client = Client::connect(flow.address)?;
    loop {
        let slot = slots.fetch_add(1, Ordering::Relaxed);
        let due = match flow.rate {
            None => Instant::now(),
            Some(rate) => begun + wait_of(slot, rate),
        };
        if due.duration_since(begun) >= flow.time || begun.elapsed() >= flow.time {
            return Ok(out);
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let (spans, trace_id) = flow.bodies.next(&mut buffer);
        let place = usize::try_from(slot).unwrap_or(0) % flow.keys.len().max(1);
        let key = flow.keys.get(place).map_or("", String::as_str);
        out.sent += 1;
        match client.export(key, WIRE, &buffer) {
            Ok(answer) if out.note(&answer) => {
                let took = u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX);
                out.latency.saturating_record(took);
                out.accepted += 1;
                out.spans += spans;
                (flow.acknowledged)(place, trace_id);
            }
            Ok(_) => {}
            Err(_) => {
                out.broken += 1;
                client = Client::connect(flow.address)?;
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn wait_of(slot: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(slot as f64 / rate.max(0.001))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_bodies_have_one_trace_and_every_span_of_one_does() {
        let bodies = Bodies::make(3, 2, 5);
        let mut seen = std::collections::BTreeSet::new();
        let mut buffer = Vec::new();
        for _ in 0..10 {
            let (spans, trace_id) = bodies.next(&mut buffer);
            assert_eq!(spans, 5);
            assert!(seen.insert(trace_id));
            assert_eq!(memchr::memmem::find_iter(&buffer, &trace_id).count(), 5);
        }
    }

    #[test]
    fn a_family_has_its_first_bytes_for_itself() {
        let family = |number| numbered(number, [7; 16])[..FAMILY_BYTES].to_vec();
        let first = 3 << 40;
        assert_eq!(family(first), family(first + FAMILY_TRACES - 1));
        let all: std::collections::BTreeSet<_> = (0..1000)
            .map(|n| family(first + n * FAMILY_TRACES))
            .collect();
        assert_eq!(all.len(), 1000);
        assert_eq!(numbered(first, [7; 16])[8..], [7; 8]);
    }

    #[test]
    fn only_a_small_wait_makes_a_refusal_a_clean_one() {
        let mut out = Flowed::new();
        let answer = |status, retry_after| Answer {
            status,
            body: Vec::new(),
            cookie: None,
            retry_after,
        };
        assert!(out.note(&answer(200, None)));
        for (status, wait) in [
            (503, Some(1)),
            (429, Some(30)),
            (503, None),
            (503, Some(31)),
            (500, Some(1)),
        ] {
            assert!(!out.note(&answer(status, wait)));
        }
        assert_eq!((out.refused, out.odd), (2, 3));
    }
}
