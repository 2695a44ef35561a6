//! What a client costs that sends new metadata keys with every span: memory, time, bytes, and what questions of its project take.
//! `cargo run --release -p obsrv-benches --example keys -- [KEYS] [SPANS]`
//!
//! So many different keys, each in one span, among so many spans; 0 keys for comparison. The keys of a span come to about the same bytes
//! whether they are new or not.
#![expect(clippy::print_stdout, reason = "the figures are the product")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring clock is the real one"
)]

use std::process;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use obsrv_benches::load::process::{cpu_time, memory, peak_memory, until_quiet};
use obsrv_engine::engine::{
    Engine, Envelope, IngestError, InterpretError, Interpreter, Options, Submission,
};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Request as Query};
use obsrv_engine::row::{Event, ProjectId, Table};
use obsrv_engine::source::Column;
use obsrv_server::dialect::{Context, Dialect, decode};
use obsrv_wal::io::{Disk, OsRng, RealDisk};
use serde_json::{Value, json};

const MEMORY_BYTES: u64 = 400 << 20;
const SPANS_PER_REQUEST: usize = 64;
const BASE_NS: u64 = 1_793_500_000_000_000_000;
const PROJECT: u64 = 1;

struct Otlp;

impl Interpreter for Otlp {
    fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        let context = Context {
            project: ProjectId(envelope.project),
            body_hash: 0,
            subject: "",
            received_ns: envelope.received_ns,
            key_id: 1,
        };
        let decoded = decode(Dialect::OtlpJson, &context, body);
        decoded.map(|d| d.events).map_err(|e| InterpretError {
            reason: e.to_string(),
        })
    }
}

/// The `n`-th span of so many, with its part of the keys.
fn span(n: usize, spans: usize, keys: usize) -> Value {
    let own = n * keys / spans..(n + 1) * keys / spans;
    let new = own.map(|key| format!("metadata.key-{key:07}"));
    // Without new keys, as many old ones.
    let old = (0..if keys == 0 { 10 } else { 0 }).map(|key| format!("metadata.old-{key:07}"));
    let attributes = new.chain(old).enumerate().map(|(at, key)| {
        json!({ "key": key, "value": { "stringValue": format!("value {}", (n + at) % 1000) } })
    });
    let start = BASE_NS + u64::try_from(n).unwrap_or(0) * 1_000_000;
    json!({
        "traceId": format!("{:032x}", n / 10 + 1),
        "spanId": format!("{:016x}", n + 1),
        "name": format!("step {}", n % 40),
        "startTimeUnixNano": start.to_string(),
        "endTimeUnixNano": (start + 900_000).to_string(),
        "status": { "code": if n.is_multiple_of(17) { 2 } else { 1 } },
        "attributes": attributes.collect::<Vec<_>>(),
    })
}

fn store(engine: &Engine, body: &Bytes) {
    let envelope = Envelope {
        project: PROJECT,
        dialect: Dialect::OtlpJson.number(),
        received_ns: i64::try_from(BASE_NS).unwrap_or(0),
        ..Envelope::default()
    };
    loop {
        let events = Otlp.interpret(&envelope, body).expect("BUG: our own bytes");
        let submission = Submission {
            envelope: envelope.clone(),
            body: body.clone(),
            events,
        };
        let (sender, receiver) = mpsc::channel();
        let done = move |outcome| sender.send(outcome).expect("BUG: the receiver waits");
        engine.submit(submission, Box::new(done));
        match receiver.recv().expect("BUG: done is called") {
            Ok(_) => return,
            Err(IngestError::Overloaded(_)) => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("not stored: {error}"),
        }
    }
}

fn ask(engine: &Engine, name: &str, filter: &Filter) {
    let budget = Budget {
        rows_max: u64::MAX,
        bytes_max: u64::MAX,
        read_bytes_max: u64::MAX,
        cancelled: &|| false,
        processors: None,
        weigh: None,
    };
    let mut times = Vec::new();
    let mut rows = 0;
    for _ in 0..21 {
        let begun = Instant::now();
        let request = Query::new(filter.clone(), 50);
        let found = engine
            .snapshot()
            .search(ProjectId(PROJECT), Table::Spans, &request, &budget);
        rows = found.expect("BUG: a valid query").hits.len();
        times.push(begun.elapsed());
    }
    let first = times.remove(0);
    times.sort_unstable();
    println!(
        "| {name} ({rows} rows), first / median | {first:?} / {:?} |",
        times[10]
    );
}

fn main() {
    let mut args = std::env::args().skip(1).map_while(|n| n.parse().ok());
    let keys: usize = args.next().unwrap_or(100_000);
    let spans: usize = args.next().unwrap_or(100_000);
    let dir = tempfile::tempdir().expect("a directory");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir.path()).expect("a directory"));
    let options = Options::for_memory(MEMORY_BYTES);
    obsrv_engine::share_caches(MEMORY_BYTES);
    let engine = Engine::open(disk, &OsRng, options, &Otlp).expect("opens");
    let threads = engine.start().expect("threads");
    let pid = process::id();
    let (before, held) = (cpu_time(pid).expect("proc"), memory(pid).expect("proc"));
    let begun = Instant::now();
    for from in (0..spans).step_by(SPANS_PER_REQUEST) {
        let to = spans.min(from + SPANS_PER_REQUEST);
        let all: Vec<Value> = (from..to).map(|n| span(n, spans, keys)).collect();
        let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": all }] }] });
        store(&engine, &Bytes::from(body.to_string()));
    }
    let took = begun.elapsed();
    engine.freeze();
    let (cpu, _) = until_quiet(pid, Duration::from_mins(5)).expect("proc");
    let stats = engine.stats();
    println!("| {keys} keys in {spans} spans | |\n|---|---|");
    println!("| stored in | {took:?} |");
    println!(
        "| CPU until quiet, client included | {:?} |",
        cpu.saturating_sub(before)
    );
    let peak = peak_memory(pid).expect("proc").saturating_sub(held);
    println!(
        "| peak memory, of a budget of {} MiB | {} MiB |",
        MEMORY_BYTES >> 20,
        peak >> 20
    );
    println!(
        "| flushes, merges, segments | {}, {}, {} |",
        stats.flushes, stats.compactions, stats.segments
    );
    let spans = u64::try_from(spans).unwrap_or(1).max(1);
    println!(
        "| bytes a span in segments | {} |",
        stats.segment_bytes / spans
    );
    let is = |column: &str, value: &str| {
        Filter::Is(
            Column::Path(column.into()),
            Test::Eq(Literal::Str(value.into())),
        )
    };
    ask(&engine, "status", &is("status", "error"));
    ask(
        &engine,
        "a key of few",
        &is(&format!("metadata.key-{:07}", keys / 2), "value 0"),
    );
    ask(
        &engine,
        "a key of none",
        &is("metadata.no-such-key", "value 0"),
    );
    threads.stop();
}
