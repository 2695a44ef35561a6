//! `soak`: half of what the server can do, with questions and deletes beside it, for as long as one lets it. Judged
//! from its own samples: memory, descriptors, bytes on disk and the p99 of acknowledgements are at the end what
//! they were after the warm-up, or it fails.
//!
//! Traces are deleted some minutes after they came, so what is stored stays the same and everything else must.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring client's clock is the real one"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use obsrv_benches::load::arguments;
use obsrv_benches::load::client::Client;
use obsrv_benches::load::flow::{Bodies, FAMILY_BYTES, Flow, Flowed, TraceId, run};
use obsrv_benches::load::server::Server;
use obsrv_benches::load::{LoadError, process};
use serde_json::Value;

/// Samples of a whole run.
const SAMPLES: u32 = 60;
/// Samples that are not judged: the first quarter.
const WARM_UP: usize = 15;
/// Spans of each trace.
const SPANS: usize = 32;
const TRACES: u64 = 64;
const CONNECTIONS: usize = 16;
const TENANTS: usize = 4;
/// Each waits for one delete at a time.
const DELETERS: usize = 2;
/// How much higher the last third of the judged samples may be than the first third, in percent, and beside that.
const MEMORY: (u64, u64) = (5, 16 << 20);
const DESCRIPTORS: (u64, u64) = (10, 16);
const DISK: (u64, u64) = (10, 256 << 20);
/// In microseconds.
const P99: (u64, u64) = (10, 2_000);
/// How often somebody asks.
const ASK_EVERY: Duration = Duration::from_millis(200);
const ASKED: [&str; 4] = [
    "/v1/traces?limit=20",
    "/v1/projects/1/spans?limit=20&q=status:error",
    "/v1/projects/1/facets?over=spans&keys=model,name",
    "/v1/projects/1/threads?limit=20",
];

#[derive(Debug, Parser)]
#[command(about = "Sends half of what the server can do, for long")]
struct Settings {
    /// The server to start.
    #[arg(long = "bin")]
    binary: PathBuf,
    /// Of the whole run.
    #[arg(long = "seconds", default_value = "3600", value_parser = arguments::seconds)]
    time: Duration,
    /// Requests a second; half of what the server takes for good if none, found out before in twice `--keep-seconds`.
    #[arg(long)]
    rate: Option<f64>,
    /// After so many seconds a trace is deleted; the run is twice as long at least.
    #[arg(long = "keep-seconds", default_value = "120", value_parser = arguments::seconds)]
    keep: Duration,
    /// The server's budget.
    #[arg(long, default_value_t = 512)]
    memory_mib: u64,
    /// Of the bodies.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match soak(&Settings::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the process was like at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    memory: u64,
    descriptors: u64,
    disk: u64,
    p99_us: u64,
}

type Family = [u8; FAMILY_BYTES];
/// Whose traces are there, by the place of their key, and when the last came.
type Kept = Mutex<BTreeMap<(usize, Family), Instant>>;

/// What the threads beside the load share.
struct Beside {
    kept: Kept,
    over: AtomicBool,
    deleted: AtomicU64,
    asked: AtomicU64,
    failed: AtomicU64,
}

fn soak(settings: &Settings) -> Result<bool, LoadError> {
    if settings.time < settings.keep * 2 {
        let least = "--seconds: twice as long as --keep-seconds at least";
        return Err(LoadError::Argument(least.to_owned()));
    }
    let folder = std::env::temp_dir().join(format!("obsrv-soak-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = soak_in(settings, &folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn soak_in(settings: &Settings, folder: &std::path::Path) -> Result<bool, LoadError> {
    let memory = ["--memory".to_owned(), format!("{}MiB", settings.memory_mib)];
    let mut server = Server::new(&settings.binary, &folder.join("data"), &memory)?;
    server.start()?;
    let mut keys = vec![server.key().to_owned()];
    for n in 1..TENANTS {
        keys.push(server.make_key(&format!("soak-{n}"))?);
    }
    let bodies = Bodies::make(settings.seed, TRACES, SPANS);
    let beside = Beside {
        kept: Kept::default(),
        over: AtomicBool::new(false),
        deleted: AtomicU64::new(0),
        asked: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    };
    let keep = |place: usize, trace: TraceId| {
        let mut family = Family::default();
        family.copy_from_slice(&trace[..FAMILY_BYTES]);
        let mut kept = beside.kept.lock().expect("BUG: poisoned by a panic");
        kept.insert((place, family), Instant::now());
    };
    let flow = |rate, time| Flow {
        address: server.address,
        keys: &keys,
        bodies: &bodies,
        connections: CONNECTIONS,
        rate,
        time,
        acknowledged: &keep,
    };
    let samples = thread::scope(|scope| {
        for _ in 0..DELETERS {
            scope.spawn(|| delete(&beside, &server, &keys, settings.keep));
        }
        scope.spawn(|| ask(&beside, &server));
        let samples = half(settings, &|rate, time| run(&flow(rate, time))).and_then(|rate| {
            println!("requests a second: {rate:.0}, {SPANS} spans each\n");
            sampled(settings, &server, &|time| run(&flow(Some(rate), time)))
        });
        beside.over.store(true, Ordering::Relaxed);
        samples
    })?;
    let failed = beside.failed.load(Ordering::Relaxed);
    println!(
        "\ndeleted {} traces, asked {} questions, failed {failed}",
        beside.deleted.load(Ordering::Relaxed),
        beside.asked.load(Ordering::Relaxed),
    );
    let is_flat = judged(&samples);
    Ok(is_flat && failed == 0)
}

type Run<'a> = &'a dyn Fn(Duration) -> Result<Flowed, LoadError>;
type RunAt<'a> = &'a dyn Fn(Option<f64>, Duration) -> Result<Flowed, LoadError>;

/// Half of the requests a second that the server takes for good: merges, deletes and questions beside them. A server that
/// has just started takes more than it can go on with, so what is counted begins when traces are deleted as fast as they come.
fn half(settings: &Settings, load: RunAt<'_>) -> Result<f64, LoadError> {
    if let Some(rate) = settings.rate {
        return Ok(rate);
    }
    load(None, settings.keep)?;
    let taken = load(None, settings.keep)?.accepted_per_second();
    println!("requests a second that are taken for good: {taken:.0}");
    Ok(taken / 2.0)
}

/// Runs the load piece by piece, and looks at the server after each.
fn sampled(settings: &Settings, server: &Server, load: Run<'_>) -> Result<Vec<Sample>, LoadError> {
    println!(
        "| second | memory MiB | descriptors | disk MiB | p99 us | refused |\n|---|---|---|---|---|---|"
    );
    let begun = Instant::now();
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let flowed = load(settings.time / SAMPLES)?;
        let pid = server.pid().unwrap_or_default();
        let sample = Sample {
            memory: process::memory(pid)?,
            descriptors: process::descriptors(pid)?,
            disk: disk_bytes(server)?,
            p99_us: u64::try_from(flowed.at(0.99).as_micros()).unwrap_or(u64::MAX),
        };
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            begun.elapsed().as_secs(),
            sample.memory >> 20,
            sample.descriptors,
            sample.disk >> 20,
            sample.p99_us,
            flowed.refused + flowed.odd + flowed.broken,
        );
        samples.push(sample);
    }
    Ok(samples)
}

/// Files come and go while they are looked at.
fn disk_bytes(server: &Server) -> Result<u64, LoadError> {
    let mut last = process::disk_bytes(server.data());
    for _ in 0..10 {
        if last.is_ok() {
            break;
        }
        last = process::disk_bytes(server.data());
    }
    Ok(last?.values().sum())
}

/// Deletes families of traces that are old enough, by a filter: whoever deletes a thousand traces a second by their
/// ids is told to slow down, since each is a record of the audit log.
fn delete(beside: &Beside, server: &Server, keys: &[String], keep: Duration) {
    let mut client = None;
    while !beside.over.load(Ordering::Relaxed) {
        let Some((place, family)) = due(&beside.kept, keep) else {
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let prefix: String = family.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = format!("/v1/projects/{}/traces?q=trace_id:{prefix}*", place + 1);
        let key = format!("x-api-key: {}\r\n", keys[place]);
        while !beside.over.load(Ordering::Relaxed) {
            match ask_once(&mut client, server, "DELETE", &path, &key) {
                Asked::Answered(body) => {
                    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
                    let traces = answer["deleted"]["traces"].as_u64().unwrap_or(0);
                    beside.deleted.fetch_add(traces, Ordering::Relaxed);
                    if answer["done"] == true {
                        break;
                    }
                }
                Asked::PutOff => thread::sleep(Duration::from_millis(500)),
                Asked::Failed => {
                    beside.failed.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
        }
    }
}

/// The next that nothing was sent of for so long. It is not there any more.
fn due(kept: &Kept, keep: Duration) -> Option<(usize, Family)> {
    let mut kept = kept.lock().expect("BUG: poisoned by a panic");
    let old = kept.iter().find(|(_, last)| last.elapsed() >= keep);
    let family = old.map(|(family, _)| *family)?;
    kept.remove(&family);
    Some(family)
}

/// Asks what people ask.
fn ask(beside: &Beside, server: &Server) {
    let (mut client, key) = (None, format!("x-api-key: {}\r\n", server.key()));
    for path in ASKED.iter().cycle() {
        if beside.over.load(Ordering::Relaxed) {
            return;
        }
        let asked = ask_once(&mut client, server, "GET", path, &key);
        beside.asked.fetch_add(1, Ordering::Relaxed);
        let failed = matches!(asked, Asked::Failed);
        beside
            .failed
            .fetch_add(u64::from(failed), Ordering::Relaxed);
        thread::sleep(ASK_EVERY);
    }
}

/// What came of a question.
enum Asked {
    Answered(Vec<u8>),
    /// As an overloaded server may.
    PutOff,
    Failed,
}

fn ask_once(
    client: &mut Option<Client>,
    server: &Server,
    method: &str,
    path: &str,
    key: &str,
) -> Asked {
    if client.is_none() {
        *client = Client::connect(server.address).ok();
    }
    let Some(connected) = client.as_mut() else {
        return Asked::Failed;
    };
    let Ok(answer) = connected.ask(method, path, key, "") else {
        *client = None;
        return Asked::Failed;
    };
    match answer.status {
        200 => Asked::Answered(answer.body),
        429 | 503 => Asked::PutOff,
        _ => Asked::Failed,
    }
}

type Figure = fn(&Sample) -> u64;

/// Whether everything stayed where it was.
fn judged(samples: &[Sample]) -> bool {
    let judged = samples.get(WARM_UP..).unwrap_or_default();
    let third = judged.len() / 3;
    let early = judged.get(..third).unwrap_or_default();
    let late = judged.get(judged.len() - third..).unwrap_or_default();
    let of: [(&str, Figure, (u64, u64)); 4] = [
        ("memory", |sample| sample.memory, MEMORY),
        ("descriptors", |sample| sample.descriptors, DESCRIPTORS),
        ("disk", |sample| sample.disk, DISK),
        ("p99, us", |sample| sample.p99_us, P99),
    ];
    let mut all = true;
    for (what, value, (percent, beside)) in of {
        let (before, after) = (median(early, value), median(late, value));
        let most = before + before * percent / 100 + beside;
        let is_flat = after <= most && !early.is_empty();
        let verdict = if is_flat { "flat" } else { "NOT FLAT" };
        println!("{what}: {before} then, {after} at the end, at most {most}: {verdict}");
        all &= is_flat;
    }
    all
}

fn median(samples: &[Sample], value: Figure) -> u64 {
    let mut all: Vec<u64> = samples.iter().map(value).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(memory: impl Fn(u64) -> u64) -> Vec<Sample> {
        let sample = |n| Sample {
            memory: memory(n),
            descriptors: 100,
            disk: 1 << 30,
            p99_us: 5_000,
        };
        (0..u64::from(SAMPLES)).map(sample).collect()
    }

    #[test]
    fn a_leak_is_not_flat_and_a_warm_up_is() {
        assert!(judged(&samples(|_| 400 << 20)));
        assert!(judged(&samples(|n| n.min(15) << 25)));
        assert!(!judged(&samples(|n| (200 + n * 4) << 20)));
        assert!(!judged(&[]));
    }
}
