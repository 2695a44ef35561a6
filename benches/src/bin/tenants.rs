//! `tenants`: what many organizations cost, what 200 sign-ins at once do to ingest, and how soon a
//! revoked key is refused. Prints a table for RESULTS.md.
#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring client's clock is the real one"
)]

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use obsrv_benches::load::client::Client;
use obsrv_benches::load::process;
use obsrv_benches::load::server::Server;
use serde_json::json;

const PASSWORD: &str = "a long password for measuring";
/// What a browser's page would send beside its cookie.
const OWN: &str = "x-obsrv-request: 1\r\n";
/// Requests of each kind that are timed.
const TIMED: usize = 300;
/// Connections that send traces while people sign in.
const SENDERS: usize = 4;

#[derive(Debug, Parser)]
#[command(about = "Measures what many organizations cost")]
struct Settings {
    /// The server to start.
    #[arg(long = "bin")]
    binary: PathBuf,
    /// Organizations.
    #[arg(long, default_value_t = 1000)]
    orgs: usize,
    /// Projects of each.
    #[arg(long, default_value_t = 10)]
    projects: usize,
    /// Who signs in at once.
    #[arg(long, default_value_t = 200)]
    people: usize,
}

fn main() -> io::Result<()> {
    let settings = Settings::parse();
    let data = std::env::temp_dir().join(format!("obsrv-tenants-{}", std::process::id()));
    let mut server = Server::new(&settings.binary, &data, &[])?;
    server.start()?;
    let outcome = run(&settings, &mut server);
    drop(server);
    std::fs::remove_dir_all(&data)?;
    outcome
}

fn run(settings: &Settings, server: &mut Server) -> io::Result<()> {
    let people = people(settings.people, server)?;
    let [_, lister, signer, ..] = &people[..] else {
        return Err(io::Error::other("--people: three at least"));
    };
    println!("| what | value |\n|---|---|");
    let before = memory_of_a_start(server)?;
    let one = latencies(server, lister, signer)?;
    let begun = Instant::now();
    fill(settings, server)?;
    let (orgs, projects) = (settings.orgs, settings.orgs * settings.projects);
    println!(
        "| {orgs} organizations with {projects} projects made in | {:.1?} |",
        begun.elapsed()
    );
    let bytes = memory_of_a_start(server)?.saturating_sub(before);
    let each = bytes / u64::try_from(projects.max(1)).unwrap_or(u64::MAX);
    println!(
        "| memory per idle project, its part of an organization and of the log included | {each} bytes |"
    );
    let many = latencies(server, lister, signer)?;
    for ((name, one), (_, many)) in one.iter().zip(&many) {
        let ratio = at(many, 50).as_secs_f64() / at(one, 50).as_secs_f64();
        println!(
            "| {name}, median / p99: one organization, then {orgs} | {:.2?} / {:.2?}, {:.2?} / {:.2?}, ratio of medians {ratio:.2} |",
            at(one, 50),
            at(one, 99),
            at(many, 50),
            at(many, 99),
        );
    }
    let alone = sending(server, || thread::sleep(Duration::from_secs(5)))?;
    let mut took = Duration::ZERO;
    let beside = sending(server, || took = sign_in_at_once(server.address, &people))?;
    let ratio = at(&beside, 99).as_secs_f64() / at(&alone, 99).as_secs_f64();
    println!(
        "| ingest p99 alone, then beside {} sign-ins at once (over in {took:.1?}) | {:.2?}, {:.2?}, ratio {ratio:.2} |",
        people.len(),
        at(&alone, 99),
        at(&beside, 99),
    );
    revoke(server)
}

/// What a server that has just started over these files takes, in bytes: what password hashes and requests
/// took and gave back is not in it.
fn memory_of_a_start(server: &mut Server) -> io::Result<u64> {
    server.kill()?;
    server.start()?;
    process::memory(server.pid().ok_or_else(|| io::Error::other("no server"))?)
}

/// The value below which so many percent are.
fn at(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

fn timed(mut ask: impl FnMut() -> io::Result<()>, times: usize) -> io::Result<Vec<Duration>> {
    let mut all = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        ask()?;
        all.push(begun.elapsed());
    }
    all.sort_unstable();
    Ok(all)
}

/// Somebody who may sign in.
struct Person {
    email: String,
    cookie: String,
}

/// The owner, and so many more of the first organization.
fn people(count: usize, server: &Server) -> io::Result<Vec<Person>> {
    let link = std::fs::read_to_string(server.data().join("setup-link"))?;
    let token = link
        .trim()
        .rsplit_once("token=")
        .map_or("", |(_, token)| token);
    let mut client = Client::connect(server.address)?;
    let mut join = |path: &str, token: &str, email: &str| {
        let mut body = json!({"token": token, "name": "Somebody", "password": PASSWORD});
        if path.ends_with("setup") {
            body["email"] = email.into();
        }
        let answer = client.ask("POST", path, OWN, &body.to_string())?;
        let cookie = answer.cookie.filter(|_| answer.status == 200);
        let cookie =
            cookie.ok_or_else(|| io::Error::other(format!("{path}: {}", answer.status)))?;
        Ok::<_, io::Error>(Person {
            email: email.to_owned(),
            cookie,
        })
    };
    let mut all = vec![join("/v1/auth/setup", token, "owner@example.org")?];
    for n in 1..count {
        let email = format!("user-{n}@example.org");
        let invite = json!({"email": email, "role": "viewer"});
        let made = server.operate("POST", "/v1/orgs/1/invitations", &invite)?;
        let token = made["token"].as_str().unwrap_or("");
        all.push(join("/v1/auth/join", token, &email)?);
    }
    Ok(all)
}

fn fill(settings: &Settings, server: &Server) -> io::Result<()> {
    for n in 0..settings.orgs {
        let new = json!({"name": format!("Organization {n}"), "slug": format!("o{n}")});
        let org = server.operate("POST", "/v1/orgs", &new)?["id"].clone();
        for n in 0..settings.projects {
            let path = format!("/v1/orgs/{org}/projects");
            let new = json!({"name": format!("project {n}")});
            server.operate("POST", &path, &new)?;
        }
    }
    Ok(())
}

fn trace(n: usize) -> String {
    let step = json!({"step_id": format!("s{n}"), "type": "llm", "status": "success",
        "started_at": "2026-01-01T00:00:00Z", "metadata": {"text": "x".repeat(1500)}});
    let trace = json!({"trace_id": format!("t{n}"), "name": "n", "status": "success",
        "started_at": "2026-01-01T00:00:00Z", "steps": [step]});
    trace.to_string()
}

fn expect(status: u16, wanted: u16) -> io::Result<()> {
    if status == wanted {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "status {status} instead of {wanted}"
    )))
}

type Named = (&'static str, Vec<Duration>);

/// How long a list, a sign-in and a trace take, one at a time.
fn latencies(server: &Server, lister: &Person, signer: &Person) -> io::Result<Vec<Named>> {
    let mut client = Client::connect(server.address)?;
    let cookie = format!("cookie: {}\r\n", lister.cookie);
    let list = || {
        expect(
            client
                .ask("GET", "/v1/projects?limit=10", &cookie, "")?
                .status,
            200,
        )
    };
    let list = timed(list, TIMED)?;
    let mut client = Client::connect(server.address)?;
    let sign_in = || expect(signed_in(&mut client, &signer.email)?, 200);
    let sign_in = timed(sign_in, 40)?;
    let mut client = Client::connect(server.address)?;
    let key = format!("x-api-key: {}\r\n", server.key());
    let mut n = 0;
    let send = || {
        n += 1;
        expect(
            client.ask("POST", "/v1/traces", &key, &trace(n))?.status,
            201,
        )
    };
    let send = timed(send, TIMED)?;
    Ok(vec![
        ("list of 10 projects", list),
        ("sign-in", sign_in),
        ("ingest of one trace", send),
    ])
}

fn signed_in(client: &mut Client, email: &str) -> io::Result<u16> {
    let body = json!({"email": email, "password": PASSWORD});
    Ok(client
        .ask("POST", "/v1/auth/signin", OWN, &body.to_string())?
        .status)
}

/// Everybody at the same time, each on a connection of their own; how long until the last was in.
fn sign_in_at_once(address: SocketAddr, people: &[Person]) -> Duration {
    let start = Barrier::new(people.len());
    let begun = Instant::now();
    thread::scope(|scope| {
        for person in people {
            scope.spawn(|| {
                let client = Client::connect(address);
                start.wait();
                let status = client.and_then(|mut client| signed_in(&mut client, &person.email));
                if !matches!(status, Ok(200)) {
                    println!("| a sign-in was not answered 200 | {status:?} |");
                }
            });
        }
    });
    begun.elapsed()
}

/// Sends traces at a steady rate for as long as `meanwhile` takes.
fn sending(server: &Server, meanwhile: impl FnOnce()) -> io::Result<Vec<Duration>> {
    let over = AtomicBool::new(false);
    let key = format!("x-api-key: {}\r\n", server.key());
    let send = |sender: usize| {
        let mut client = Client::connect(server.address)?;
        let (mut all, mut n) = (Vec::new(), 0);
        while !over.load(Ordering::Relaxed) {
            n += 1;
            let body = trace(sender * 1_000_000 + n);
            let begun = Instant::now();
            expect(client.ask("POST", "/v1/traces", &key, &body)?.status, 201)?;
            all.push(begun.elapsed());
            thread::sleep(Duration::from_millis(5));
        }
        Ok::<_, io::Error>(all)
    };
    let mut all = thread::scope(|scope| {
        let senders: Vec<_> = (1..=SENDERS)
            .map(|n| scope.spawn(move || send(n)))
            .collect();
        meanwhile();
        over.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for sender in senders {
            let sent = sender
                .join()
                .map_err(|_| io::Error::other("a sender panicked"))?;
            all.extend(sent?);
        }
        Ok::<_, io::Error>(all)
    })?;
    all.sort_unstable();
    Ok(all)
}

/// How long after a revoke was asked for, and after it was answered, a key still opens something.
fn revoke(server: &Server) -> io::Result<()> {
    let (mut from_ask, mut from_answer) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let made = server.operate("POST", "/v1/projects/1/keys", &json!({}))?;
        let text = |name: &str| made[name].as_str().unwrap_or("").to_owned();
        let key = format!("x-api-key: {}\r\n", text("key"));
        let mut client = Client::connect(server.address)?;
        let last = thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut last = Instant::now();
                while client.ask("GET", "/v1/projects", &key, "")?.status == 200 {
                    last = Instant::now();
                }
                Ok::<_, io::Error>(last)
            });
            thread::sleep(Duration::from_millis(20));
            let asked = Instant::now();
            let path = format!("/v1/projects/1/keys/{}", text("key_id"));
            server.operate("DELETE", &path, &json!({}))?;
            let answered = Instant::now();
            let last = asking
                .join()
                .map_err(|_| io::Error::other("a client panicked"))??;
            Ok::<_, io::Error>((
                last.saturating_duration_since(asked),
                last.saturating_duration_since(answered),
            ))
        })?;
        from_ask.push(last.0);
        from_answer.push(last.1);
    }
    from_ask.sort_unstable();
    from_answer.sort_unstable();
    println!(
        "| last answer to a key that is revoked, after the revoke was asked for / answered, worst of 20 | {:.2?} / {:.2?} |",
        at(&from_ask, 100),
        at(&from_answer, 100),
    );
    Ok(())
}
