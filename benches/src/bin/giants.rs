//! `giants`: a trace of 100,000 spans and an attribute of 20 MB, again and again, beside tenants that send what they always
//! do. Prints a table and a verdict for each bound, and fails if one is broken.
//!
//! What the giants cost the client is on the machine that is measured. So the run is held against one in which they go to a
//! second obsrv, the decoy; only whose neighbours they are differs. The last giants are then read back and held against what
//! was sent, byte for byte.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring client's clock is the real one"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use obsrv_benches::generator::span::{Span, Value, export_request};
use obsrv_benches::load::LoadError;
use obsrv_benches::load::arguments;
use obsrv_benches::load::client::{Client, Encoding, Form, Wire};
use obsrv_benches::load::flow::{Bodies, Flow, Flowed, TraceId, run};
use obsrv_benches::load::process;
use obsrv_benches::load::server::Server;

/// Against the run with the decoy: the neighbours' p99.
const P99_RATIO_MAX: f64 = 2.0;
/// Spans of one request of the long trace.
const PART_SPANS: usize = 1_000;
/// Different traces that the neighbours' bodies are made of.
const TRACES: u64 = 64;
/// After which a refused part is sent again.
const AGAIN: Duration = Duration::from_millis(100);
/// When every run of the giants begins, nanoseconds since the epoch.
const BEGIN_NS: u64 = 1_767_225_600_000_000_000;
const WIRE: Wire = Wire {
    form: Form::Protobuf,
    encoding: Encoding::Identity,
};

#[derive(Debug, Parser)]
#[command(about = "Sends a giant trace and a giant attribute beside a normal load")]
struct Settings {
    /// The server to start.
    #[arg(long = "bin")]
    binary: PathBuf,
    /// Of each run.
    #[arg(long = "seconds", default_value = "30", value_parser = arguments::seconds)]
    time: Duration,
    /// Spans of the giant trace.
    #[arg(long, default_value_t = 100_000, value_parser = arguments::at_least::<1>)]
    spans: usize,
    /// Bytes of the giant attribute.
    #[arg(long, default_value_t = 20 << 20, value_parser = arguments::at_least::<1>)]
    attribute_bytes: usize,
    /// Requests a second of the neighbours, of 32 spans each.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Of the neighbours.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Of the bodies.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match measure(&Settings::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(broken) => {
            println!("\n{broken} bounds broken");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(settings: &Settings) -> Result<u32, LoadError> {
    let folder = std::env::temp_dir().join(format!("obsrv-giants-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = compare(settings, &folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn compare(settings: &Settings, folder: &Path) -> Result<u32, LoadError> {
    let mut server = Server::new(&settings.binary, &folder.join("data"), &[])?;
    let mut decoy = Server::new(&settings.binary, &folder.join("decoy"), &[])?;
    server.start()?;
    decoy.start()?;
    let neighbour = [server.make_key("neighbour")?];
    let bodies = Bodies::make(settings.seed, TRACES, 32);
    let calm = Flow {
        address: server.address,
        keys: &neighbour,
        bodies: &bodies,
        connections: settings.connections,
        rate: Some(settings.rate),
        time: settings.time,
        acknowledged: &|_, _| {},
    };
    println!("| what | value |\n|---|---|");
    let quiet = run(&calm)?;
    let (apart, _) = beside(&calm, settings, &decoy)?;
    let (near, giants) = beside(&calm, settings, &server)?;
    for (name, flowed) in [
        ("neighbours alone", &quiet),
        ("giants elsewhere", &apart),
        ("giants beside them", &near),
    ] {
        row(name, &said(flowed));
    }
    row(
        "giants sent, spans and attributes",
        &format!("{} / {}", giants.spans, giants.attributes),
    );
    let ratio = near.at(0.99).as_secs_f64() / apart.at(0.99).as_secs_f64().max(0.000_001);
    let memory = server.pid().map(process::peak_memory).transpose()?;
    row(
        "peak memory, MiB",
        &format!("{}", memory.unwrap_or(0) >> 20),
    );
    read_back(settings, &server, &giants)?;
    Ok([
        holds(
            &format!("p99 of the neighbours within {P99_RATIO_MAX}x ({ratio:.2})"),
            ratio <= P99_RATIO_MAX,
        ),
        holds(
            "the neighbours are refused nothing",
            near.refused + near.odd + near.broken == 0,
        ),
        holds(
            "a giant of each kind was sent whole",
            giants.long.is_some() && giants.large.is_some(),
        ),
    ]
    .into_iter()
    .map(u32::from)
    .sum())
}

fn said(flowed: &Flowed) -> String {
    format!(
        "{} stored, {} refused, p50 {:.2?}, p99 {:.2?}",
        flowed.accepted,
        flowed.refused,
        flowed.at(0.5),
        flowed.at(0.99)
    )
}

/// Giants that were acknowledged.
#[derive(Debug, Default)]
struct Giants {
    spans: usize,
    attributes: usize,
    /// The last whole trace.
    long: Option<TraceId>,
    /// The trace of the last large attribute.
    large: Option<TraceId>,
}

/// The neighbours' flow, while a giant of each kind after the other goes to `to`.
fn beside(
    calm: &Flow<'_>,
    settings: &Settings,
    to: &Server,
) -> Result<(Flowed, Giants), LoadError> {
    thread::scope(|scope| {
        let end = Instant::now() + settings.time;
        let sender = scope.spawn(move || send_giants(settings, (to.address, to.key()), end));
        let flowed = run(calm)?;
        let giants = sender.join().expect("BUG: the giants' thread panicked")?;
        Ok((flowed, giants))
    })
}

fn send_giants(
    settings: &Settings,
    (address, key): (SocketAddr, &str),
    end: Instant,
) -> Result<Giants, LoadError> {
    let mut client = Client::connect(address)?;
    let mut sent = Giants::default();
    for serial in (settings.seed..).map(|n| n * 2) {
        let large = trace_id(serial);
        send(
            &mut client,
            key,
            &[attribute_span(large, settings.attribute_bytes)],
        )?;
        sent.attributes += 1;
        sent.large = Some(large);
        let long = trace_id(serial + 1);
        for first in (0..settings.spans).step_by(PART_SPANS) {
            // A trace that was begun is sent to its end, so that there is one to be read back.
            if Instant::now() >= end && sent.long.is_some() {
                return Ok(sent);
            }
            let part: Vec<_> = (first..settings.spans.min(first + PART_SPANS))
                .map(|n| step(long, n))
                .collect();
            send(&mut client, key, &part)?;
            sent.spans += part.len();
        }
        sent.long = Some(long);
    }
    Ok(sent)
}

/// Sends until it is stored: who sends giants waits when told so.
fn send(client: &mut Client, key: &str, spans: &[Span]) -> Result<(), LoadError> {
    let body = export_request(spans);
    loop {
        let answer = client.export(key, WIRE, &body)?;
        match answer.status {
            200 if answer.body.is_empty() => return Ok(()),
            200 => {
                return Err(LoadError::Partial(
                    String::from_utf8_lossy(&answer.body).into_owned(),
                ));
            }
            429 | 503 => thread::sleep(AGAIN),
            status => {
                let body = String::from_utf8_lossy(&answer.body)
                    .chars()
                    .take(200)
                    .collect();
                return Err(LoadError::Refused { status, body });
            }
        }
    }
}

fn trace_id(serial: u64) -> TraceId {
    let mut id = [0x67; 16];
    id[8..].copy_from_slice(&serial.to_le_bytes());
    id
}

/// A span of the long trace: a tree in which each has ten below it.
fn step(trace_id: TraceId, number: usize) -> Span {
    let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let id = |number: usize| (wide(number) + 1).to_le_bytes();
    let text = format!("step {number} of {}", hex(&trace_id));
    let start_ns = BEGIN_NS + wide(number) * 1_000;
    Span {
        trace_id,
        span_id: id(number),
        parent: number.checked_sub(1).map(|n| id(n / 10)),
        name: format!("step-{}", number % 50),
        start_ns,
        end_ns: start_ns + 500,
        attributes: vec![("text", Value::Text(text.repeat(1 + number % 20)))],
        error: None,
    }
}

/// A span with a large attribute, no two parts of which are equal.
fn attribute_span(trace_id: TraceId, bytes: usize) -> Span {
    let mut text = String::with_capacity(bytes + 32);
    let mut part = 0_u64;
    while text.len() < bytes {
        text.push_str(&format!(
            "{:016x} ",
            part.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ));
        part += 1;
    }
    text.truncate(bytes);
    Span {
        attributes: vec![("text", Value::Text(text))],
        parent: None,
        ..step(trace_id, 0)
    }
}

/// Reads the last giants and holds every span against what was sent.
fn read_back(settings: &Settings, server: &Server, giants: &Giants) -> Result<(), LoadError> {
    let mut client = Client::connect(server.address)?;
    if let Some(long) = giants.long {
        let begun = Instant::now();
        let mut got = exported(&mut client, server.key(), long)?;
        let took = begun.elapsed();
        let mut sent: Vec<_> = (0..settings.spans).map(|n| told(&step(long, n))).collect();
        got.sort_unstable();
        sent.sort_unstable();
        same("the long trace", &got, &sent)?;
        row("the long trace read back equal in", &format!("{took:.2?}"));
    }
    if let Some(large) = giants.large {
        let begun = Instant::now();
        let got = exported(&mut client, server.key(), large)?;
        let took = begun.elapsed();
        let sent = [told(&attribute_span(large, settings.attribute_bytes))];
        same("the large attribute", &got, &sent)?;
        row(
            "the large attribute read back equal in",
            &format!("{took:.2?}"),
        );
    }
    Ok(())
}

/// What is held against each other of a span: id, parent, name, text.
type Told = (String, String, String, String);

fn told(span: &Span) -> Told {
    let text = match span.attributes.first() {
        Some((_, Value::Text(text))) => text.clone(),
        _ => String::new(),
    };
    let parent = span.parent.map(|id| hex(&id)).unwrap_or_default();
    (hex(&span.span_id), parent, span.name.clone(), text)
}

fn exported(client: &mut Client, key: &str, trace: TraceId) -> Result<Vec<Told>, LoadError> {
    let path = format!(
        "/v1/projects/1/export?over=spans&raw=true&q=trace_id:{}",
        hex(&trace)
    );
    let answer = client.get(&path, key)?;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status != 200 {
        return Err(LoadError::Refused {
            status: answer.status,
            body: body.chars().take(200).collect(),
        });
    }
    let field = |row: &serde_json::Value, at: &str| {
        row.pointer(at)
            .and_then(|v| v.as_str())
            .unwrap_or("")
            .to_owned()
    };
    let rows = body.lines().map(|line| {
        let row: serde_json::Value = serde_json::from_str(line).map_err(std::io::Error::from)?;
        Ok((
            field(&row, "/span_id"),
            field(&row, "/parent_id"),
            field(&row, "/name"),
            field(&row, "/raw/attributes/text"),
        ))
    });
    rows.collect()
}

fn same(what: &str, got: &[Told], sent: &[Told]) -> Result<(), LoadError> {
    if got == sent {
        return Ok(());
    }
    let first = got.iter().zip(sent).find(|(got, sent)| got != sent);
    let short = |told: &Told| format!("{told:.200?}");
    Err(LoadError::Wrong {
        query: what.to_owned(),
        expected: format!(
            "{} spans {}",
            sent.len(),
            first.map(|(_, s)| short(s)).unwrap_or_default()
        ),
        got: format!(
            "{} spans {}",
            got.len(),
            first.map(|(g, _)| short(g)).unwrap_or_default()
        ),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn row(what: &str, value: &str) {
    println!("| {what} | {value} |");
}

/// Prints a verdict; whether the bound is broken.
fn holds(what: &str, is_so: bool) -> bool {
    row(what, if is_so { "holds" } else { "BROKEN" });
    !is_so
}
