//! `load`: sends the workload to obsrv, checks what comes back, prints a table for RESULTS.md.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::print_stderr, reason = "progress goes beside it")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring client's clock is the real one"
)]

use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use obsrv_benches::generator::manifest::Manifest;
use obsrv_benches::generator::{Batch, Generator, Request};
use obsrv_benches::load::client::Wire;
use obsrv_benches::load::ingest::{self, Outcome, Target};
use obsrv_benches::load::mix::{Mix, Reads};
use obsrv_benches::load::queries::Asker;
use obsrv_benches::load::server::Server;
use obsrv_benches::load::settings::{Settings, USAGE};
use obsrv_benches::load::watch::{Verdict, Watch, sustained};
use obsrv_benches::load::{LoadError, process, written};

/// Above this many spans, requests are made while they are sent instead of before.
const PREPARED_SPANS_MAX: u64 = 3_000_000;
/// Longest wait for background work to end.
const QUIET_MAX: Duration = Duration::from_mins(10);

fn main() -> ExitCode {
    let outcome = Settings::read(std::env::args().skip(1)).and_then(|s| run(&s));
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
        keys.extend(server.make_keys(s.options.projects.saturating_sub(1))?);
        address = Some(server.address);
    }
    let address = match (address, &s.url) {
        (Some(address), _) => address,
        (None, Some(url)) => resolve(url)?,
        (None, None) => return Err(LoadError::Argument(USAGE.to_owned())),
    };
    let target = Target {
        address,
        keys,
        wire: s.wire,
        connections: s.connections,
        rate: s.rate,
        resend_every: s.resend_every,
    };
    let pid = server.as_deref().and_then(Server::pid);
    let project = usize::from(s.options.projects > 1);
    let key = target.keys.get(project).map_or("", String::as_str);
    let mix = match (s.mix, server.as_deref()) {
        (true, Some(server)) => {
            let probes = server.make_key("bench-probes")?;
            Some(Mix::start(address, key.to_owned(), probes))
        }
        _ => None,
    };
    let (outcome, manifest) = ingest(s, &target, pid, mix)?;
    write_rows(&outcome, &manifest);
    if let (Some(pid), Some(server)) = (pid, server.as_deref()) {
        size_rows(pid, server, &manifest)?;
        written_rows(pid, address, &manifest)?;
    }
    let asker = |key| Asker {
        address,
        key,
        project,
        manifest: &manifest,
    };
    let (traces, whole) = asker(key).count_check()?;
    row(
        "traces of the project asked, and of them compared span for span",
        &format!("{traces}; {whole}"),
    );
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

fn code(wire: Wire, batch: Batch) -> Request {
    Request {
        project: batch.project,
        body: wire.body(&batch.spans).expect("BUG: compress to memory"),
        spans: batch.spans.len(),
    }
}

/// Makes the workload and sends it; prints what the server spent meanwhile and afterwards.
fn ingest(
    s: &Settings,
    target: &Target,
    pid: Option<u32>,
    mix: Option<Mix>,
) -> Result<(Outcome, Manifest), LoadError> {
    let mut generator = Generator::new(s.options.clone());
    let wire = target.wire;
    let begun = Instant::now();
    let (outcome, manifest, cpu, watch) = if s.options.spans <= PREPARED_SPANS_MAX {
        let next = || generator.next_batch().map(|b| code(wire, b));
        let requests: Vec<_> = std::iter::from_fn(next).collect();
        eprintln!("{} requests made in {:?}", requests.len(), begun.elapsed());
        let (before, watch) = (cpu_of(pid)?, Watch::start(target.address));
        let outcome = ingest::run(target, requests.into_iter())?;
        (outcome, generator.into_manifest(), before, watch)
    } else {
        generator = generator.without_json_bytes();
        let (before, watch) = (cpu_of(pid)?, Watch::start(target.address));
        let (sender, receiver) = sync_channel(256);
        let making = thread::spawn(move || {
            while let Some(batch) = generator.next_batch() {
                if sender.send(code(wire, batch)).is_err() {
                    break;
                }
            }
            generator.into_manifest()
        });
        let outcome = ingest::run(target, receiver.into_iter())?;
        let manifest = making.join().expect("BUG: generator panicked");
        (outcome, manifest, before, watch)
    };
    watch_rows(watch, outcome.elapsed);
    if let Some(mix) = mix {
        mix_rows(&mix.finish()?, &outcome);
    }
    if let Some(pid) = pid {
        quiet_rows(pid, cpu, outcome.spans)?;
    }
    Ok((outcome, manifest))
}

fn quiet_rows(pid: u32, before: Duration, spans: u64) -> Result<(), LoadError> {
    let acknowledged = process::cpu_time(pid)?.saturating_sub(before);
    let (quiet, waited) = process::until_quiet(pid, QUIET_MAX)?;
    row(
        "server CPU to acknowledgement, per 1 M spans",
        &per_million(acknowledged, spans),
    );
    row(
        "server CPU until quiet, per 1 M spans",
        &format!(
            "{} (quiet after {})",
            per_million(quiet.saturating_sub(before), spans),
            millis(waited)
        ),
    );
    Ok(())
}

/// Whether the rate is one that the server can go on with.
fn watch_rows(watch: Watch, elapsed: Duration) {
    let samples = watch.finish();
    let Some((early, late, verdict)) = sustained(&samples, elapsed.as_secs()) else {
        return;
    };
    let seconds = (late.second - early.second).max(1);
    row(
        &format!("spans/s from second {} to {}", early.second, late.second),
        &((late.spans - early.spans) / seconds).to_string(),
    );
    for (name, a, b) in [
        ("frozen memtables", early.frozen, late.frozen),
        ("MiB of log", early.wal_bytes >> 20, late.wal_bytes >> 20),
        ("segments not merged yet", early.fresh, late.fresh),
        ("segments of all levels", early.segments, late.segments),
        ("flushes", early.flushes, late.flushes),
        ("compactions", early.compactions, late.compactions),
    ] {
        row(&format!("{name} then, at the end"), &format!("{a}, {b}"));
    }
    let verdict = match verdict {
        Verdict::Sustained => "yes",
        Verdict::FallingBehind => "NO: more waits at the end than after two minutes",
        Verdict::TooShort => "not known: less than ten minutes",
    };
    row("sustained", verdict);
}

fn mix_rows(reads: &Reads, outcome: &Outcome) {
    let at =
        |h: &hdrhistogram::Histogram<u64>, q| millis(Duration::from_nanos(h.value_at_quantile(q)));
    for (name, times) in &reads.kinds {
        row(
            &format!("{name} beside the writes ({}), p50 / p99", times.len()),
            &format!("{} / {}", at(times, 0.5), at(times, 0.99)),
        );
    }
    let fresh = &reads.freshness;
    row(
        &format!("acknowledged to read ({}), p50 / p99 / max", fresh.len()),
        &format!(
            "{} / {} / {}",
            at(fresh, 0.5),
            at(fresh, 0.99),
            at(fresh, 1.0)
        ),
    );
    let stalls = outcome.latency.count_between(100_000_000, u64::MAX);
    row(
        "acknowledgements after more than 100 ms",
        &stalls.to_string(),
    );
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
    // The size of the other form is not worked out where requests are made while they are sent.
    for (form, bytes) in [
        ("protobuf", manifest.proto_bytes),
        ("JSON", manifest.json_bytes),
    ] {
        if let Some(share) = ((total - wal) * 100).checked_div(bytes) {
            row(
                &format!("bytes a span as OTLP {form}; on disk without WAL, of it"),
                &format!("{}; {share}%", bytes / spans),
            );
        }
    }
    Ok(())
}

/// What was written, of each byte of the spans as OTLP protobuf.
fn written_rows(pid: u32, address: SocketAddr, manifest: &Manifest) -> Result<(), LoadError> {
    let part = |bytes: u64| {
        let hundredths = bytes * 100 / manifest.proto_bytes.max(1);
        let of_one = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        format!("{} / {of_one}", mib(bytes))
    };
    let kinds = written::of(address)?;
    for (kind, bytes) in &kinds {
        row(
            &format!("written, {kind}: bytes, per byte of OTLP protobuf"),
            &part(*bytes),
        );
    }
    let total = kinds.iter().map(|(_, bytes)| bytes).sum();
    row("written, all of it", &part(total));
    let device = process::written_bytes(pid)?;
    row("written, as the kernel counts it", &part(device));
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
