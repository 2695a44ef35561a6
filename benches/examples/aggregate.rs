//! Aggregates and facets over the spans of one project, without HTTP.
//! `cargo run --release -p obsrv-benches --example aggregate -- 1000000`
//! Each line: median and 95th percentile of 21 runs, without what was kept of sealed segments and
//! with it.
#![expect(clippy::print_stdout, reason = "the figures are the product")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring clock is the real one"
)]

use std::process;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use obsrv_benches::generator::{Generator, Options as Workload};
use obsrv_benches::load::process::until_quiet;
use obsrv_engine::engine::{
    Engine, Envelope, IngestError, InterpretError, Interpreter, Options, Snapshot, Submission,
};
use obsrv_engine::query::aggregate::{
    AggregateRequest, DistinctMode, Key, KeysRequest, Measure, PartialCache, Rank, TimeBuckets, Top,
};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Order, Request as Query};
use obsrv_engine::row::{Event, ProjectId, Table};
use obsrv_engine::source::Column;
use obsrv_server::dialect::{Context, Dialect, decode};
use obsrv_wal::io::{Disk, OsRng, RealDisk};

const CONNECTIONS: usize = 4;
const MEMORY_BYTES: u64 = 512 << 20;
const RECEIVED_NS: i64 = 1_793_500_000_000_000_000;
const PROJECT: u64 = 1;
const RUNS: usize = 21;
const HOUR_NS: i64 = 3_600_000_000_000;

struct Otlp;

impl Interpreter for Otlp {
    fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        let context = Context {
            project: ProjectId(envelope.project),
            body_hash: 0,
            subject: "",
            received_ns: envelope.received_ns,
            key_id: 0,
        };
        let decoded = decode(Dialect::OtlpProtobuf, &context, body);
        decoded.map(|d| d.events).map_err(|e| InterpretError {
            reason: e.to_string(),
        })
    }
}

fn store(engine: &Engine, body: &Bytes) {
    let envelope = Envelope {
        project: PROJECT,
        dialect: Dialect::OtlpProtobuf.number(),
        received_ns: RECEIVED_NS,
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
            Err(IngestError::Overloaded(_)) => thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("not stored: {error}"),
        }
    }
}

fn ingest(engine: &Engine, spans: u64) {
    let generator = Generator::new(Workload::core(1, spans)).without_json_bytes();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel::<Bytes>(CONNECTIONS);
        let receiver = Arc::new(std::sync::Mutex::new(receiver));
        for _ in 0..CONNECTIONS {
            let receiver = Arc::clone(&receiver);
            scope.spawn(move || {
                loop {
                    let next = receiver.lock().expect("BUG: poisoned").recv();
                    let Ok(body) = next else { return };
                    store(engine, &body);
                }
            });
        }
        for request in generator {
            sender.send(request.body.into()).expect("BUG: threads wait");
        }
    });
    until_quiet(process::id(), Duration::from_mins(10)).expect("proc");
}

fn path(path: &str) -> Column {
    Column::Path(path.into())
}

fn times(mut run: impl FnMut()) -> (Duration, Duration) {
    let mut times: Vec<_> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[RUNS / 2], times[RUNS * 19 / 20])
}

const BUDGET: Budget<'static> = Budget {
    rows_max: u64::MAX,
    bytes_max: u64::MAX,
    read_bytes_max: u64::MAX,
    cancelled: &|| false,
    processors: None,
    weigh: None,
};

fn aggregate(snapshot: &Snapshot, name: &str, request: &AggregateRequest) {
    let ask = |known: Option<&PartialCache>| {
        snapshot
            .aggregate_with(ProjectId(PROJECT), Table::Spans, request, &BUDGET, known)
            .expect("BUG: a valid request")
    };
    let plain = times(|| drop(ask(None)));
    let cache = PartialCache::new(64 << 20);
    let known = times(|| drop(ask(Some(&cache))));
    let answer = ask(None);
    let points: usize = answer.groups.iter().map(|group| group.points.len()).sum();
    println!(
        "{name}: median {:?} p95 {:?}, known {:?} {:?}; rows {} groups {} left out {} points {points}",
        plain.0,
        plain.1,
        known.0,
        known.1,
        answer.total.rows,
        answer.groups.len(),
        answer.groups_left_out,
    );
    println!(
        "    estimate {} heavy {} state {} KiB row groups {} kept {} KiB",
        answer.explain.estimate,
        answer.explain.weight().heavy().is_some(),
        answer.explain.state_bytes >> 10,
        answer.explain.groups_visited,
        cache.bytes() >> 10,
    );
}

fn search(snapshot: &Snapshot, name: &str, request: &Query) {
    let ask = || {
        snapshot
            .search(ProjectId(PROJECT), Table::Spans, request, &BUDGET)
            .expect("BUG: a valid request")
    };
    let (median, p95) = times(|| drop(ask()));
    let page = ask();
    let values: Vec<_> = page.facets.iter().map(|facet| facet.values.len()).collect();
    println!(
        "{name}: median {median:?} p95 {p95:?}; total {:?} hits {} facet values {values:?}",
        page.total,
        page.hits.len()
    );
}

fn error() -> Filter {
    Filter::Is(path("status"), Test::Eq(Literal::Str("error".to_owned())))
}

fn new(measures: Vec<Measure>) -> AggregateRequest {
    AggregateRequest::new(Filter::All, measures)
}

fn model() -> Vec<Key> {
    vec![Key::new(path("model"))]
}

fn duration(at: &[f64]) -> Measure {
    Measure::Quantiles {
        column: Column::Duration,
        at: at.to_vec(),
    }
}

fn by_hour(fill: bool) -> TimeBuckets {
    TimeBuckets {
        width_ns: HOUR_NS,
        origin_ns: 0,
        range: None,
        fill,
    }
}

fn distinct(column: &str) -> Measure {
    Measure::Distinct {
        column: path(column),
        mode: DistinctMode::Exact,
    }
}

fn over_time() -> Vec<(&'static str, AggregateRequest)> {
    vec![
        ("count", new(vec![])),
        (
            "time buckets of an hour: count and errors",
            AggregateRequest {
                time: Some(by_hour(true)),
                ..new(vec![Measure::Count, Measure::CountIf(error())])
            },
        ),
        (
            "p50 and p95 of durations by model",
            AggregateRequest {
                keys: model(),
                ..new(vec![duration(&[0.5, 0.95])])
            },
        ),
        (
            "p99 by model and hour",
            AggregateRequest {
                keys: model(),
                time: Some(by_hour(false)),
                ..new(vec![duration(&[0.99])])
            },
        ),
    ]
}

fn by_key() -> Vec<(&'static str, AggregateRequest)> {
    vec![
        ("distinct models", new(vec![distinct("model")])),
        ("distinct users", new(vec![distinct("metadata.user")])),
        (
            "cost and tokens by model",
            AggregateRequest {
                keys: model(),
                ..new(vec![
                    Measure::Sum(path("cost_usd")),
                    Measure::Sum(path("tokens.input")),
                    Measure::Avg(path("tokens.output")),
                ])
            },
        ),
        (
            "ten users with most rows",
            AggregateRequest {
                keys: vec![Key::new(path("metadata.user"))],
                top: Top {
                    limit: 10,
                    by: Rank::Rows,
                    descending: true,
                },
                ..new(vec![])
            },
        ),
        (
            "p95 of errors by model",
            AggregateRequest {
                filter: error(),
                keys: model(),
                ..new(vec![duration(&[0.95])])
            },
        ),
    ]
}

fn all(snapshot: &Snapshot) {
    for (name, request) in over_time().iter().chain(&by_key()) {
        aggregate(snapshot, name, request);
    }
    let keys = [
        "status",
        "model",
        "kind",
        "metadata.env",
        "metadata.region",
        "metadata.workflow",
        "metadata.experiment",
        "metadata.release",
    ];
    let facets = |filter| Query {
        total: true,
        facets: keys.iter().map(|key| path(key)).collect(),
        facet_values_max: 100,
        ..Query::new(filter, 0)
    };
    search(snapshot, "facets of 8 keys, all rows", &facets(Filter::All));
    search(snapshot, "facets of 8 keys, errors", &facets(error()));
    let by = |column| Query {
        order: Order {
            column,
            descending: true,
        },
        ..Query::new(Filter::All, 50)
    };
    search(snapshot, "50 longest", &by(Column::Duration));
    search(snapshot, "50 dearest", &by(path("cost_usd")));
}

fn main() {
    let mut args = std::env::args().skip(1);
    let spans = args
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let directory = std::env::temp_dir().join(format!("obsrv-aggregate-{}", process::id()));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&directory).expect("a directory"));
    let engine =
        Engine::open(disk, &OsRng, Options::for_memory(MEMORY_BYTES), &Otlp).expect("opens");
    let threads = engine.start().expect("threads");
    ingest(&engine, spans);
    println!("{:?}", engine.stats());
    let snapshot = engine.snapshot();
    let keys = || {
        let request = KeysRequest {
            prefix: "",
            but: None,
            limit: 10_000,
        };
        let all = snapshot.observed_keys(ProjectId(PROJECT), Table::Spans, request, &BUDGET);
        all.expect("BUG: a valid request")
    };
    println!("keys: median {:?}", times(|| drop(keys())).0);
    for key in keys().keys {
        if !key.path.contains("rare") {
            println!("    {} {:?}", key.path, key.types);
        }
    }
    all(&snapshot);
    drop(snapshot);
    threads.stop();
    drop(engine);
    std::fs::remove_dir_all(&directory).expect("a directory of ours");
}
