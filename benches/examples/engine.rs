//! The engine without HTTP under the same workload: decode, commit, flush, compaction, queries.
//! `cargo run --release -p obsrv-benches --example engine -- 1000000 [DIR]`
//! What this costs is the engine's share of what `load` prints.
#![expect(clippy::print_stdout, reason = "the figures are the product")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring clock is the real one"
)]

use std::path::PathBuf;
use std::process;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use obsrv_benches::generator::manifest::Manifest;
use obsrv_benches::generator::{Generator, Options as Workload, Request};
use obsrv_benches::load::ingest::histogram;
use obsrv_benches::load::process::{cpu_time, disk_bytes, peak_memory, until_quiet};
use obsrv_engine::engine::{
    Engine, Envelope, IngestError, InterpretError, Interpreter, Options, Submission,
};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Request as Query};
use obsrv_engine::row::{Event, ProjectId, Table};
use obsrv_engine::source::Column;
use obsrv_server::dialect::{Context, Dialect, decode};
use obsrv_wal::io::{Disk, OsRng, RealDisk};

const CONNECTIONS: usize = 8;
const MEMORY_BYTES: u64 = 512 << 20;
const RECEIVED_NS: i64 = 1_793_500_000_000_000_000;

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

fn project(request: &Request) -> u64 {
    u64::try_from(request.project).expect("BUG: a small number") + 1
}

/// One request, from bytes to acknowledgement.
fn store(engine: &Engine, request: Request) {
    let envelope = Envelope {
        project: project(&request),
        dialect: Dialect::OtlpProtobuf.number(),
        received_ns: RECEIVED_NS,
        ..Envelope::default()
    };
    let body = Bytes::from(request.body);
    loop {
        let events = Otlp
            .interpret(&envelope, &body)
            .expect("BUG: our own bytes");
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

fn ingest(engine: &Arc<Engine>, requests: Vec<Request>, spans: u64) {
    let pid = process::id();
    let before = cpu_time(pid).expect("proc");
    let begun = Instant::now();
    let queue = Mutex::new(requests.into_iter());
    let mut latency = histogram();
    thread::scope(|scope| {
        let submit = || {
            let mut mine = histogram();
            loop {
                let request = queue.lock().expect("BUG: poisoned").next();
                let Some(request) = request else { return mine };
                let from = Instant::now();
                store(engine, request);
                mine.saturating_record(u64::try_from(from.elapsed().as_nanos()).unwrap_or(1));
            }
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(submit)).collect();
        for thread in threads {
            latency
                .add(thread.join().expect("BUG: panicked"))
                .expect("BUG: same bounds");
        }
    });
    let elapsed = begun.elapsed();
    let acknowledged = cpu_time(pid).expect("proc").saturating_sub(before);
    let (quiet, waited) = until_quiet(pid, Duration::from_mins(10)).expect("proc");
    let quiet = quiet.saturating_sub(before);
    let at = |q| Duration::from_nanos(latency.value_at_quantile(q));
    println!(
        "spans/s: {}",
        u128::from(spans) * 1_000_000 / elapsed.as_micros().max(1)
    );
    println!(
        "acknowledgement p50 {:?} p99 {:?} max {:?}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!(
        "CPU for {spans} spans: acknowledged {acknowledged:?}, quiet {quiet:?} after {waited:?}"
    );
    println!(
        "peak memory, workload included: {} MiB",
        peak_memory(pid).expect("proc") >> 20
    );
    println!("{:?}", engine.stats());
}

fn queries(engine: &Engine, manifest: &Manifest) {
    let budget = Budget {
        rows_max: u64::MAX,
        bytes_max: u64::MAX,
        read_bytes_max: u64::MAX,
        cancelled: &|| false,
        processors: None,
        weigh: None,
    };
    let is = |path: &str, value: &str| {
        Filter::Is(
            Column::Path(path.into()),
            Test::Eq(Literal::Str(value.to_owned())),
        )
    };
    let newest = manifest.newest(1, |_| true);
    let middle = newest.get(newest.len() / 2).expect("BUG: traces");
    let filters = [
        ("newest 50", Filter::All),
        ("status", is("status", "error")),
        ("env", is("metadata.env", "staging")),
        ("workflow", is("metadata.workflow", "wf-40")),
        ("user", is("metadata.user", &middle.user)),
        ("session", is("metadata.session", &middle.session)),
    ];
    for (name, filter) in filters {
        let mut times = Vec::new();
        let mut rows = 0;
        let mut explain = None;
        for _ in 0..33 {
            let begun = Instant::now();
            let request = Query::new(filter.clone(), 50);
            let page = engine
                .snapshot()
                .search(ProjectId(2), Table::Runs, &request, &budget);
            let page = page.expect("BUG: a valid query");
            times.push(begun.elapsed());
            rows = page.hits.len();
            explain = Some(page.explain);
        }
        times.sort_unstable();
        println!(
            "query {name}: {rows} rows, median {:?} p95 {:?}",
            times[16], times[31]
        );
        println!("    {explain:?}");
    }
    let begun = Instant::now();
    let mut wrong = 0;
    let step = (newest.len() / 200).max(1);
    let chosen: Vec<_> = newest.iter().step_by(step).collect();
    for trace in &chosen {
        let rows = engine
            .snapshot()
            .trace(ProjectId(2), &trace.trace_id)
            .expect("BUG: reads");
        wrong += usize::from(rows.spans.len() != trace.spans);
    }
    let count = u32::try_from(chosen.len()).expect("BUG: few");
    println!(
        "trace by id: mean {:?} over {count}, wrong {wrong}",
        begun.elapsed() / count
    );
}

fn main() {
    let mut args = std::env::args().skip(1);
    let spans = args
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let scratch = std::env::temp_dir().join(format!("obsrv-engine-{}", process::id()));
    let directory = args.next().map_or(scratch, PathBuf::from);
    let mut generator = Generator::new(Workload::core(1, spans)).without_json_bytes();
    let requests: Vec<_> = generator.by_ref().collect();
    let manifest = generator.into_manifest();
    let open = || {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&directory).expect("a directory"));
        Engine::open(disk, &OsRng, Options::for_memory(MEMORY_BYTES), &Otlp).expect("opens")
    };
    let engine = open();
    let threads = engine.start().expect("threads");
    println!("pid {}", process::id());
    ingest(&engine, requests, spans);
    println!("{:?}", disk_bytes(&directory).expect("a directory"));
    println!("OTLP protobuf bytes: {}", manifest.proto_bytes);
    queries(&engine, &manifest);
    threads.stop();
    drop(engine);
    let begun = Instant::now();
    let engine = open();
    println!(
        "open again: {:?}, visible {}",
        begun.elapsed(),
        engine.stats().visible_lsn
    );
    drop(engine);
    std::fs::remove_dir_all(&directory).expect("a directory of ours");
}
