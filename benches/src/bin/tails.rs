//! `tails`: many connections watch spans as they come while others are sent as fast as they are taken.
//!
//! The same spans are sent twice: first nobody watches, then everybody does. Every watcher writes down what it is
//! told. Afterwards the server is asked which spans pass each filter: a watcher must have been told each of them
//! once, or have been told of a gap. Some watchers never read: nobody else may notice. Prints a table.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring client's clock is the real one"
)]

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use obsrv_benches::generator::trace::{REGIONS, TOOLS, WORKFLOWS};
use obsrv_benches::generator::{Generator, Options, Request};
use obsrv_benches::load::arguments;
use obsrv_benches::load::client::{Client, Encoding, Form, Wire, percent};
use obsrv_benches::load::ingest::{self, Target};
use obsrv_benches::load::process;
use obsrv_benches::load::server::Server;
use serde_json::Value;

/// Events that a filter passes in a second, on average, at most.
const EVENTS_PER_SECOND_MAX: f64 = 100.0;
/// Connections that send.
const SENDERS: usize = 4;
/// After the last span every watcher has had its events within this time.
const LATE_MAX: Duration = Duration::from_secs(10);
const READ_TIME: Duration = Duration::from_millis(200);
const WATCHER_STACK_BYTES: usize = 256 << 10;

#[derive(Debug, Parser)]
#[command(about = "Watches spans as they come, over many connections")]
struct Settings {
    /// The server to start.
    #[arg(long = "bin")]
    binary: PathBuf,
    /// Spans that are sent, twice.
    #[arg(long, default_value_t = 400_000)]
    spans: u64,
    /// Connections that watch.
    #[arg(long, default_value_t = 500)]
    watchers: usize,
    /// Different filters, given out in turn.
    #[arg(long, default_value_t = 50, value_parser = arguments::at_least::<1>)]
    filters: usize,
    /// Connections that watch and never read.
    #[arg(long, default_value_t = 5)]
    deaf: usize,
}

fn main() -> io::Result<()> {
    let settings = Settings::parse();
    let data = std::env::temp_dir().join(format!("obsrv-tails-{}", std::process::id()));
    let mut server = Server::new(&settings.binary, &data, &[])?;
    server.start()?;
    let outcome = run(&settings, &server);
    drop(server);
    std::fs::remove_dir_all(&data)?;
    outcome
}

/// What a watcher was told.
#[derive(Debug, Default)]
struct Told {
    ids: HashSet<String>,
    /// Told a second time.
    again: u64,
    gaps: u64,
    /// Rows that were not looked at, as far as gaps say how many.
    missed: u64,
    closed: bool,
}

/// What all watchers share.
#[derive(Debug, Default)]
struct Watched {
    ready: AtomicU64,
    over: AtomicBool,
}

/// Filters of few spans each, all different as long as there are combinations: of one workflow, one region and one tool.
fn filters(count: usize) -> Vec<String> {
    let some = (0..count).map(|n| {
        let (tool, rest) = (TOOLS[n % TOOLS.len()], n / TOOLS.len());
        let (region, rest) = (REGIONS[rest % REGIONS.len()], rest / REGIONS.len());
        let workflow = rest % WORKFLOWS;
        format!("metadata.workflow:wf-{workflow} metadata.region:{region} tool:{tool}")
    });
    some.collect()
}

fn run(settings: &Settings, server: &Server) -> io::Result<()> {
    let (address, pid) = (server.address, server.pid().unwrap_or(0));
    println!("| what | value |\n|---|---|");
    let alone = send(settings, server, 1)?;
    println!("| ingest, nobody watches | {alone:.0} spans/s |");
    process::until_quiet(pid, Duration::from_mins(5))?;
    let project = project(address, server.key())?;
    let filters = filters(settings.filters);
    let since = started(address, server.key(), project)?;
    let watched = Arc::new(Watched::default());
    let mut watchers = Vec::new();
    for n in 0..settings.watchers {
        let filter = n % filters.len();
        let (stream, watched) = (
            open(address, server.key(), project, &filters[filter])?,
            Arc::clone(&watched),
        );
        let thread = thread::Builder::new().stack_size(WATCHER_STACK_BYTES);
        watchers.push((filter, thread.spawn(move || listen(stream, &watched))?));
    }
    // They hold a connection and read nothing.
    let deaf: Vec<TcpStream> = (0..settings.deaf)
        .map(|n| open(address, server.key(), project, &filters[n % filters.len()]))
        .collect::<Result<_, _>>()?;
    while watched.ready.load(Ordering::Acquire) < u64::try_from(watchers.len()).unwrap_or(u64::MAX)
    {
        thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    let beside = send(settings, server, 2)?;
    let took = begun.elapsed();
    thread::sleep(LATE_MAX);
    watched.over.store(true, Ordering::Release);
    let told: Vec<(usize, Told)> = watchers
        .into_iter()
        .map(|(filter, thread)| (filter, thread.join().expect("BUG: a watcher panicked")))
        .collect();
    drop(deaf);
    println!(
        "| the same beside {} watchers of {} filters and {} that never read | {beside:.0} spans/s |",
        settings.watchers, settings.filters, settings.deaf
    );
    println!("| ratio | {:.3} |", beside / alone);
    check(
        (address, server.key(), project),
        (&filters, &since),
        &told,
        took,
    )
}

/// Sends the workload of a seed; spans in a second.
fn send(settings: &Settings, server: &Server, seed: u64) -> io::Result<f64> {
    let options = Options {
        projects: 1,
        ..Options::core(seed, settings.spans)
    };
    let wire = Wire {
        form: Form::Protobuf,
        encoding: Encoding::Identity,
    };
    let target = Target {
        address: server.address,
        keys: vec![server.key().to_owned()],
        wire,
        connections: SENDERS,
        rate: None,
        resend_every: None,
    };
    let requests: Vec<Request> = Generator::new(options).collect();
    let outcome = ingest::run(&target, requests.into_iter()).map_err(io::Error::other)?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let spans = outcome.spans as f64;
    Ok(spans / outcome.elapsed.as_secs_f64())
}

fn json(client: &mut Client, key: &str, path: &str) -> io::Result<Value> {
    let answer = client.get(path, key)?;
    if answer.status != 200 {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        return Err(io::Error::other(format!(
            "{path}: {}: {body}",
            answer.status
        )));
    }
    serde_json::from_slice(&answer.body).map_err(io::Error::other)
}

fn project(address: SocketAddr, key: &str) -> io::Result<u64> {
    let said = json(&mut Client::connect(address)?, key, "/api/public/projects")?;
    let id = said["data"][0]["id"]
        .as_str()
        .and_then(|id| id.parse().ok());
    id.ok_or_else(|| io::Error::other("no project"))
}

/// The traces that there were before anybody watched.
fn started(address: SocketAddr, key: &str, project: u64) -> io::Result<HashSet<String>> {
    ids(
        address,
        key,
        &format!("/v1/projects/{project}/traces?fields=trace_id"),
        "trace_id",
    )
}

/// One id of every row of a list.
fn ids(address: SocketAddr, key: &str, path: &str, name: &str) -> io::Result<HashSet<String>> {
    let mut client = Client::connect(address)?;
    let (mut all, mut cursor) = (HashSet::new(), String::new());
    loop {
        let page = json(&mut client, key, &format!("{path}&limit=1000{cursor}"))?;
        for row in page["data"].as_array().into_iter().flatten() {
            let of = |key: &str| row[key].as_str().unwrap_or_default();
            let id = match name {
                "trace_id" => of(name).to_owned(),
                _ => format!("{} {}", of("trace_id"), of(name)),
            };
            all.insert(id);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}

fn open(address: SocketAddr, key: &str, project: u64, filter: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(READ_TIME))?;
    write!(
        stream,
        "GET /v1/projects/{project}/tail?over=spans&q={} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n\r\n",
        percent(filter)
    )?;
    Ok(stream)
}

/// Writes down what is told until it is over. Lines of chunks' lengths are passed over: no event begins so.
fn listen(stream: TcpStream, watched: &Watched) -> Told {
    let mut told = Told::default();
    let mut stream = BufReader::new(stream);
    let (mut line, mut event) = (String::new(), String::new());
    loop {
        match stream.read_line(&mut line) {
            Ok(0) => {
                told.closed = true;
                return told;
            }
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                if watched.over.load(Ordering::Acquire) {
                    return told;
                }
                continue;
            }
            Err(_) => {
                told.closed = true;
                return told;
            }
        }
        let text = line.trim_end();
        if text.starts_with("retry:") {
            watched.ready.fetch_add(1, Ordering::AcqRel);
        } else if let Some(kind) = text.strip_prefix("event: ") {
            kind.clone_into(&mut event);
        } else if let Some(data) = text.strip_prefix("data: ") {
            told.hear(&event, data);
        }
        line.clear();
    }
}

impl Told {
    fn hear(&mut self, event: &str, data: &str) {
        let data: Value = serde_json::from_str(data).unwrap_or_default();
        let of = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
        match event {
            "span" => {
                let id = format!("{} {}", of("trace_id"), of("span_id"));
                self.again += u64::from(!self.ids.insert(id));
            }
            "gap" => {
                self.gaps += 1;
                self.missed += data["missed"].as_u64().unwrap_or(0);
            }
            _ => {}
        }
    }
}

/// Every span that passes was told once, or there was a gap.
fn check(
    (address, key, project): (SocketAddr, &str, u64),
    (filters, before): (&[String], &HashSet<String>),
    told: &[(usize, Told)],
    took: Duration,
) -> io::Result<()> {
    let mut passing = HashMap::new();
    let mut fastest = 0.0_f64;
    for (n, filter) in filters.iter().enumerate() {
        let path = format!(
            "/v1/projects/{project}/spans?q={}&fields=span_id",
            percent(filter)
        );
        let mut all = ids(address, key, &path, "span_id")?;
        all.retain(|id| !before.contains(id.split(' ').next().unwrap_or_default()));
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = all.len() as f64 / took.as_secs_f64();
        fastest = fastest.max(rate);
        passing.insert(n, all);
    }
    let (mut events, mut gaps, mut missed, mut again) = (0, 0, 0, 0);
    let (mut unmarked, mut whole, mut strange) = (0, 0, 0);
    for (filter, told) in told {
        let wanted = &passing[filter];
        events += told.ids.len();
        (gaps, missed, again) = (gaps + told.gaps, missed + told.missed, again + told.again);
        strange += told.ids.difference(wanted).count();
        let lost = wanted.difference(&told.ids).count();
        whole += usize::from(lost == 0);
        unmarked += usize::from((lost > 0 && told.gaps == 0) || told.closed);
    }
    println!("| events that the fastest filter passes | {fastest:.1}/s on average |");
    println!("| events told, all watchers | {events} |");
    println!(
        "| watchers that were told every span that passes | {whole} of {} |",
        told.len()
    );
    println!("| gaps told, and rows in them that were not looked at | {gaps}, {missed} |");
    println!(
        "| spans told twice; told and not passing; watchers that lost one and were told of no gap | {again}; {strange}; {unmarked} |"
    );
    if again > 0 || strange > 0 || unmarked > 0 {
        return Err(io::Error::other(
            "a watcher was told something else than what passes",
        ));
    }
    if fastest > EVENTS_PER_SECOND_MAX {
        return Err(io::Error::other(
            "a filter passes more than the campaign is about",
        ));
    }
    Ok(())
}
