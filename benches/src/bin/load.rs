//! `load`: sends the workload to obsrv, checks what comes back, prints a table for RESULTS.md.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::print_stderr, reason = "progress goes beside it")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring client's clock is the real one"
)]

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use obsrv_benches::generator::manifest::Manifest;
use obsrv_benches::generator::{Generator, Options, Request};
use obsrv_benches::load::client::Encoding;
use obsrv_benches::load::ingest::{self, Outcome, Target};
use obsrv_benches::load::queries::Asker;
use obsrv_benches::load::server::Server;
use obsrv_benches::load::{LoadError, process};

const USAGE: &str = "\
load --bin PATH | --url HOST:PORT --key KEY
     [--data DIR] [--server-arg ARG]… [--keep]
     [--spans 1000000] [--seed 1] [--projects 24] [--batch 64] [--messy]
     [--connections 8] [--encoding identity|zstd] [--rate SPANS_PER_SECOND]";

/// Above this many spans, requests are made while they are sent instead of before.
const PREPARED_SPANS_MAX: u64 = 3_000_000;
/// Longest wait for background work to end.
const QUIET_MAX: Duration = Duration::from_mins(10);

struct Settings {
    binary: Option<PathBuf>,
    url: Option<String>,
    key: String,
    data: PathBuf,
    server_arguments: Vec<String>,
    keep: bool,
    options: Options,
    connections: usize,
    encoding: Encoding,
    rate: Option<u64>,
}

fn main() -> ExitCode {
    let outcome = settings().and_then(|s| run(&s));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            let mut cause = std::error::Error::source(&e);
            while let Some(inner) = cause {
                eprintln!("  because: {inner}");
                cause = inner.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn settings() -> Result<Settings, LoadError> {
    let mut s = Settings {
        binary: None,
        url: None,
        key: String::new(),
        data: std::env::temp_dir().join(format!("obsrv-load-{}", std::process::id())),
        server_arguments: Vec::new(),
        keep: false,
        options: Options::core(1, 1_000_000),
        connections: 8,
        encoding: Encoding::Identity,
        rate: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || {
            args.next()
                .ok_or_else(|| LoadError::Argument(format!("{arg}: no value\n{USAGE}")))
        };
        match arg.as_str() {
            "--bin" => s.binary = Some(value()?.into()),
            "--url" => s.url = Some(value()?),
            "--key" => s.key = value()?,
            "--data" => s.data = value()?.into(),
            "--server-arg" => s.server_arguments.push(value()?),
            "--keep" => s.keep = true,
            "--spans" => s.options.spans = number(&value()?)?,
            "--seed" => s.options.seed = number(&value()?)?,
            "--projects" => s.options.projects = number(&value()?)?,
            "--batch" => s.options.batch = number(&value()?)?,
            "--messy" => {
                let messy = Options::messy(1, 1);
                s.options.duplicate_ppm = messy.duplicate_ppm;
                s.options.late_ppm = messy.late_ppm;
                s.options.pair_ppm = messy.pair_ppm;
            }
            "--connections" => s.connections = number(&value()?)?,
            "--encoding" => {
                s.encoding = match value()?.as_str() {
                    "identity" => Encoding::Identity,
                    "zstd" => Encoding::Zstd,
                    other => return Err(LoadError::Argument(format!("--encoding {other}"))),
                }
            }
            "--rate" => s.rate = Some(number(&value()?)?),
            _ => return Err(LoadError::Argument(format!("{arg}\n{USAGE}"))),
        }
    }
    if s.binary.is_none() == s.url.is_none() {
        return Err(LoadError::Argument(format!("give --bin or --url\n{USAGE}")));
    }
    if s.binary.is_none() {
        // One key is one project.
        s.options.projects = 1;
    }
    Ok(s)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, LoadError> {
    text.replace('_', "")
        .parse()
        .map_err(|_| LoadError::Argument(format!("not a number: {text}")))
}

fn run(s: &Settings) -> Result<(), LoadError> {
    let mut server = match &s.binary {
        Some(binary) => {
            std::fs::create_dir_all(&s.data)?;
            Some(Server::new(binary, &s.data, &s.server_arguments)?)
        }
        None => None,
    };
    let outcome = measure(s, server.as_mut());
    if let Some(server) = &mut server {
        server.kill()?;
        if !s.keep {
            std::fs::remove_dir_all(&s.data)?;
        }
    }
    outcome
}

fn measure(s: &Settings, mut server: Option<&mut Server>) -> Result<(), LoadError> {
    let mut keys = vec![s.key.clone()];
    let mut address = None;
    if let Some(server) = server.as_deref_mut() {
        let took = server.start()?;
        row("empty start to ready", &millis(took));
        keys = vec![server.key().to_owned()];
        for project in 1..s.options.projects {
            keys.push(server.make_key(&format!("bench-{project}"))?);
        }
        address = Some(server.address);
    }
    let address = match (address, &s.url) {
        (Some(address), _) => address,
        (None, Some(url)) => resolve(url)?,
        (None, None) => return Err(LoadError::Argument(USAGE.to_owned())),
    };
    let (encoding, connections, rate) = (s.encoding, s.connections, s.rate);
    let target = Target {
        address,
        keys,
        encoding,
        connections,
        rate,
    };
    let pid = server.as_deref().and_then(Server::pid);
    let (outcome, manifest) = ingest(s, &target, pid)?;
    write_rows(&outcome, &manifest);
    if let (Some(pid), Some(server)) = (pid, server.as_deref()) {
        size_rows(pid, server, &manifest)?;
    }
    let project = usize::from(s.options.projects > 1);
    let asker = |key| Asker {
        address,
        key,
        project,
        manifest: &manifest,
    };
    let key = target.keys.get(project).map_or("", String::as_str);
    query_rows(&asker(key))?;
    if let Some(server) = server {
        server.kill()?;
        let took = server.start()?;
        let checked = asker(key).spot_check()?;
        row(
            "kill -9, restart to ready",
            &format!("{} ({checked} traces read back whole)", millis(took)),
        );
    }
    Ok(())
}

fn resolve(url: &str) -> Result<SocketAddr, LoadError> {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    host.to_socket_addrs()?
        .next()
        .ok_or_else(|| LoadError::Argument(format!("--url {url}")))
}

fn code(encoding: Encoding, mut request: Request) -> Request {
    if encoding == Encoding::Zstd {
        request.body = zstd::bulk::compress(&request.body, 1).expect("BUG: compress to memory");
    }
    request
}

/// Makes the workload and sends it; prints what the server spent meanwhile and afterwards.
fn ingest(
    s: &Settings,
    target: &Target,
    pid: Option<u32>,
) -> Result<(Outcome, Manifest), LoadError> {
    let mut generator = Generator::new(s.options.clone());
    let encoding = target.encoding;
    let begun = Instant::now();
    let (outcome, manifest, cpu) = if s.options.spans <= PREPARED_SPANS_MAX {
        let requests: Vec<_> = generator.by_ref().map(|r| code(encoding, r)).collect();
        eprintln!("{} requests made in {:?}", requests.len(), begun.elapsed());
        let before = cpu_of(pid)?;
        let outcome = ingest::run(target, requests.into_iter())?;
        (outcome, generator.into_manifest(), before)
    } else {
        let before = cpu_of(pid)?;
        let (sender, receiver) = sync_channel(256);
        let making = thread::spawn(move || {
            for request in generator.by_ref() {
                if sender.send(code(encoding, request)).is_err() {
                    break;
                }
            }
            generator.into_manifest()
        });
        let outcome = ingest::run(target, receiver.into_iter())?;
        (
            outcome,
            making.join().expect("BUG: generator panicked"),
            before,
        )
    };
    if let Some(pid) = pid {
        let acknowledged = process::cpu_time(pid)?.saturating_sub(cpu);
        let (quiet, waited) = process::until_quiet(pid, QUIET_MAX)?;
        row(
            "server CPU to acknowledgement, per 1 M spans",
            &per_million(acknowledged, outcome.spans),
        );
        row(
            "server CPU until quiet, per 1 M spans",
            &format!(
                "{} (quiet after {})",
                per_million(quiet.saturating_sub(cpu), outcome.spans),
                millis(waited)
            ),
        );
    }
    Ok((outcome, manifest))
}

fn cpu_of(pid: Option<u32>) -> Result<Duration, LoadError> {
    Ok(pid.map(process::cpu_time).transpose()?.unwrap_or_default())
}

fn write_rows(outcome: &Outcome, manifest: &Manifest) {
    let micros = outcome.elapsed.as_micros().max(1);
    let rate = u128::from(outcome.spans) * 1_000_000 / micros;
    row(
        "spans acknowledged",
        &format!("{} ({} distinct)", outcome.spans, manifest.spans()),
    );
    row("spans/s durable", &rate.to_string());
    row(
        "body MB/s",
        &(u128::from(outcome.body_bytes) / micros).to_string(),
    );
    let at = |q| millis(Duration::from_nanos(outcome.latency.value_at_quantile(q)));
    row(
        "acknowledgement p50 / p99 / p99.9 / max",
        &format!("{} / {} / {} / {}", at(0.5), at(0.99), at(0.999), at(1.0)),
    );
    row(
        "requests; 429 and 503 answers",
        &format!("{}; {}", outcome.requests, outcome.overloads),
    );
}

fn size_rows(pid: u32, server: &Server, manifest: &Manifest) -> Result<(), LoadError> {
    let spans = u64::try_from(manifest.spans()).unwrap_or(1).max(1);
    let sizes = process::disk_bytes(server.data())?;
    let total: u64 = sizes.values().sum();
    // The log, and the next file of it that is zero-filled ahead of need.
    let wal: u64 = ["wal", "tmp"].iter().filter_map(|k| sizes.get(*k)).sum();
    let parts: Vec<_> = sizes
        .iter()
        .map(|(k, v)| format!("{k} {}", mib(*v)))
        .collect();
    row("peak memory", &mib(process::peak_memory(pid)?));
    row(
        "data directory",
        &format!("{} ({})", mib(total), parts.join(", ")),
    );
    row(
        "bytes a span on disk, all / without WAL",
        &format!("{} / {}", total / spans, (total - wal) / spans),
    );
    row(
        "bytes a span as OTLP protobuf / OTLP JSON",
        &format!(
            "{} / {}",
            manifest.proto_bytes / spans,
            manifest.json_bytes / spans
        ),
    );
    let percent = |raw: u64| (total - wal) * 100 / raw.max(1);
    row(
        "on disk without WAL, of OTLP protobuf / OTLP JSON",
        &format!(
            "{}% / {}%",
            percent(manifest.proto_bytes),
            percent(manifest.json_bytes)
        ),
    );
    row(
        "bytes written to the device",
        &mib(process::written_bytes(pid)?),
    );
    Ok(())
}

fn query_rows(asker: &Asker<'_>) -> Result<(), LoadError> {
    for timing in asker.run()? {
        let name = format!(
            "query: {} ({} rows), median / p95",
            timing.name, timing.rows
        );
        match timing.result {
            Ok((median, p95)) => row(&name, &format!("{} / {}", millis(median), millis(p95))),
            Err(wrong) => row(&name, &format!("WRONG: {wrong}")),
        }
    }
    Ok(())
}

fn row(name: &str, value: &str) {
    println!("| {name} | {value} |");
}

fn per_million(cpu: Duration, spans: u64) -> String {
    let micros = cpu.as_micros() * 1_000_000 / u128::from(spans.max(1));
    format!("{}.{:02} s", micros / 1_000_000, micros / 10_000 % 100)
}

fn millis(d: Duration) -> String {
    format!("{}.{:03} ms", d.as_millis(), d.as_micros() % 1_000)
}

fn mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}
