//! Reads beside writes: the query mix of I4, and how soon a span can be read after its
//! acknowledgement. The queries are of all that is there by then: what the benchmark asks of the last
//! hours is of a time that has not come yet while the workload is sent.
//!
//! Owns two threads, which end when the mix is stopped. Queries are due at fixed moments: a slow one
//! delays those behind it, and their latency counts from when they were due. Their answers are not
//! compared with the manifest, which is not complete while spans come in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value as Json, json};

use super::LoadError;
use super::client::{Answer, Client, Encoding, Form, Wire, percent};
use super::ingest::histogram;
use crate::generator::rng::Rng;
use crate::generator::span::{Span, hex};
use crate::generator::trace::NEEDLE_COMMON;

/// Between two queries of the mix.
const EVERY: Duration = Duration::from_millis(50);
/// Between two probes of freshness.
const PROBE_EVERY: Duration = Duration::from_millis(100);
/// Longest that a span may take to be visible.
const VISIBLE_MAX: Duration = Duration::from_secs(10);

/// Queries of the mix and their weights.
const KINDS: [(&str, u64); 8] = [
    ("Q1 newest 50", 35),
    ("Q2 filtered list", 15),
    ("Q3 trace by id", 20),
    ("Q4 duration by model and hour", 10),
    ("Q5 cost by model and day", 5),
    ("Q7 longest failed calls of a tool", 5),
    ("Q8 word", 5),
    ("Q10 facets", 5),
];

/// What was measured.
#[derive(Debug)]
pub struct Reads {
    /// Per kind: its name, and nanoseconds from when it was due.
    pub kinds: Vec<(&'static str, Histogram<u64>)>,
    /// Nanoseconds from a probe's acknowledgement until it was read.
    pub freshness: Histogram<u64>,
}

/// A running mix.
#[derive(Debug)]
pub struct Mix {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Result<Vec<Histogram<u64>>, LoadError>>,
    probing: JoinHandle<Result<Histogram<u64>, LoadError>>,
}

impl Mix {
    /// Asks the project of `key`, and sends probes to that of `probe_key`.
    pub fn start(address: SocketAddr, key: String, probe_key: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (a, b) = (Arc::clone(&stop), Arc::clone(&stop));
        Self {
            stop,
            asking: thread::spawn(move || ask(address, &key, &a)),
            probing: thread::spawn(move || probe(address, &probe_key, &b)),
        }
    }

    /// Ends it.
    pub fn finish(self) -> Result<Reads, LoadError> {
        self.stop.store(true, Ordering::Relaxed);
        let kinds = self.asking.join().expect("BUG: the mix panicked")?;
        let freshness = self.probing.join().expect("BUG: the probe panicked")?;
        let names = KINDS.iter().map(|k| k.0);
        Ok(Reads {
            kinds: names.zip(kinds).collect(),
            freshness,
        })
    }
}

fn ask(
    address: SocketAddr,
    key: &str,
    stop: &AtomicBool,
) -> Result<Vec<Histogram<u64>>, LoadError> {
    let mut client = Client::connect(address)?;
    let project = project_of(&mut client, key)?;
    let headers = format!("x-api-key: {key}\r\n");
    let mut times: Vec<_> = KINDS.iter().map(|_| histogram()).collect();
    let mut rng = Rng::new(4);
    let mut known = Vec::new();
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        due += EVERY;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let kind = choose(&mut rng);
        let Some(question) = question(kind, &project, &known, &mut rng) else {
            continue;
        };
        let answer = match question {
            Question::Get(path) => client.get(&path, key)?,
            Question::Aggregate(body) => {
                let path = format!("/v1/projects/{project}/aggregate");
                client.ask("POST", &path, &headers, &body.to_string())?
            }
        };
        if answer.status != 200 {
            return Err(refused(&answer));
        }
        if let Some(times) = times.get_mut(kind) {
            times.saturating_record(nanos(due.elapsed()));
        }
        if kind == 0 {
            known = trace_ids(&answer.body);
        }
    }
    Ok(times)
}

fn refused(answer: &Answer) -> LoadError {
    let body = String::from_utf8_lossy(&answer.body);
    LoadError::Refused {
        status: answer.status,
        body: body.chars().take(300).collect(),
    }
}

/// The id of the project that a key opens.
fn project_of(client: &mut Client, key: &str) -> Result<String, LoadError> {
    let answer = client.get("/api/public/projects", key)?;
    let said: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
    let id = said.pointer("/data/0/id").and_then(Json::as_str);
    id.map(str::to_owned).ok_or_else(|| refused(&answer))
}

fn choose(rng: &mut Rng) -> usize {
    let mut at = rng.below(KINDS.iter().map(|k| k.1).sum());
    for (kind, (_, weight)) in KINDS.iter().enumerate() {
        if at < *weight {
            return kind;
        }
        at -= weight;
    }
    0
}

enum Question {
    Get(String),
    Aggregate(Json),
}

fn question(kind: usize, project: &str, known: &[String], rng: &mut Rng) -> Option<Question> {
    let list = |rest: &str| Question::Get(format!("/v1/traces?{rest}"));
    let aggregate = |interval: &str, measures: Json| {
        Question::Aggregate(json!({
            "q": "has:model",
            "group_by": ["model"],
            "interval": interval,
            "measures": measures,
            "fill": false,
            "limit": 10_000,
        }))
    };
    Some(match kind {
        0 => list("limit=50"),
        1 => {
            let filter = percent("metadata.env:prod metadata.workflow:wf-3 status:error");
            list(&format!("limit=50&q={filter}"))
        }
        2 => {
            let id = known.get(rng.index(known.len().max(1)))?;
            Question::Get(format!("/v1/traces/{id}"))
        }
        3 => aggregate(
            "1h",
            json!([
                { "fn": "count" },
                { "fn": "count", "where": "status:error" },
                { "fn": "quantile", "of": "duration", "q": [0.5, 0.95, 0.99] },
            ]),
        ),
        4 => aggregate(
            "1d",
            json!([
                { "fn": "sum", "of": "tokens.input" },
                { "fn": "sum", "of": "tokens.output" },
                { "fn": "sum", "of": "cost_usd" },
            ]),
        ),
        5 => {
            let filter = percent("tool:run_sql status:error");
            Question::Get(format!(
                "/v1/projects/{project}/spans?q={filter}&sort=-duration&limit=100&fields=span_id,duration_ns"
            ))
        }
        6 => list(&format!("limit=50&q={NEEDLE_COMMON}")),
        _ => list(
            "limit=1&status=error&facets=metadata.env&facets=metadata.region\
             &facets=metadata.workflow&facets=metadata.experiment&facets=metadata.release\
             &facets=model&facets=name&facets=status",
        ),
    })
}

fn trace_ids(body: &[u8]) -> Vec<String> {
    let answer: Json = serde_json::from_slice(body).unwrap_or_default();
    let items = answer.get("items").and_then(Json::as_array);
    let ids = items
        .into_iter()
        .flatten()
        .filter_map(|i| i.get("trace_id"));
    ids.filter_map(|id| id.as_str().map(str::to_owned))
        .collect()
}

/// Sends a span, and as soon as it is acknowledged asks for it until it is there.
fn probe(address: SocketAddr, key: &str, stop: &AtomicBool) -> Result<Histogram<u64>, LoadError> {
    const WIRE: Wire = Wire {
        form: Form::Protobuf,
        encoding: Encoding::Identity,
    };
    let mut client = Client::connect(address)?;
    let mut freshness = histogram();
    let mut rng = Rng::new(0x9e0b);
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(PROBE_EVERY);
        let span = probe_span(&mut rng);
        if client
            .export(key, WIRE, &WIRE.body(std::slice::from_ref(&span))?)?
            .status
            != 200
        {
            continue;
        }
        let acknowledged = Instant::now();
        let path = format!("/v1/traces/{}", hex(&span.trace_id));
        while client.get(&path, key)?.status != 200 {
            if acknowledged.elapsed() > VISIBLE_MAX {
                return Err(LoadError::Wrong {
                    query: path,
                    expected: "an acknowledged span".to_owned(),
                    got: "none".to_owned(),
                });
            }
        }
        freshness.saturating_record(nanos(acknowledged.elapsed()));
    }
    Ok(freshness)
}

fn probe_span(rng: &mut Rng) -> Span {
    let mut trace_id = [1; 16];
    trace_id[..8].copy_from_slice(&rng.u64().to_le_bytes());
    let start_ns = crate::generator::Options::core(1, 1).end_ns;
    Span {
        trace_id,
        span_id: (rng.u64() | 1).to_le_bytes(),
        parent: None,
        name: "probe".to_owned(),
        start_ns,
        end_ns: start_ns + 1_000,
        attributes: Vec::new(),
        error: None,
    }
}

fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}
