//! F31: a record that was accepted once and cannot be read again keeps nothing else from opening.
#![expect(clippy::unwrap_used, reason = "the functions that the tests share")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use obsrv_engine::engine::{
    Engine, Envelope, InterpretError, Interpreter, Options, Receipt, Submission,
};
use obsrv_engine::io::{OsRng, RealDisk};
use obsrv_engine::row::{Event, ProjectId};
use obsrv_server::dialect::{Context, Dialect, decode};

const KEY: &str = "a-key-for-this-test";
/// No dialect has this number.
const UNKNOWN: u16 = 999;
/// The interpreter below panics at it; to the binary it is as unknown.
const PANICS: u16 = 1_000;

fn trace(id: &str) -> String {
    format!(r#"{{"trace_id":"{id}","started_at":"2026-01-01T00:00:00Z","steps":[]}}"#)
}

fn events_of(body: &[u8]) -> Vec<Event> {
    let context = Context {
        project: ProjectId(1),
        body_hash: xxhash_rust::xxh3::xxh3_64(body),
        subject: "",
        received_ns: 5,
        key_id: 0,
    };
    decode(Dialect::ThetaTrace, &context, body).unwrap().events
}

struct Moody;

impl Interpreter for Moody {
    fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        assert_ne!(envelope.dialect, PANICS, "a poisoned body");
        if envelope.dialect == UNKNOWN {
            let reason = "unknown".to_owned();
            return Err(InterpretError { reason });
        }
        Ok(events_of(body))
    }
}

fn open(data: &Path) -> Arc<Engine> {
    let disk = Arc::new(RealDisk::open(data).unwrap());
    Engine::open(disk, &OsRng, Options::for_memory(64 << 20), &Moody).unwrap()
}

/// Stores a trace as if this dialect had read it.
fn store(engine: &Engine, id: &str, dialect: u16) {
    let body = Bytes::from(trace(id));
    let submission = Submission {
        envelope: Envelope {
            project: 1,
            dialect,
            received_ns: 5,
            ..Envelope::default()
        },
        events: events_of(&body),
        body,
    };
    let (sender, stored) = std::sync::mpsc::channel::<Receipt>();
    let done = Box::new(move |outcome: Result<Receipt, _>| sender.send(outcome.unwrap()).unwrap());
    engine.submit(submission, done);
    assert_eq!(engine.commit_step(), 1);
    stored.recv().unwrap();
}

fn assert_half_is_there(engine: &Engine) {
    assert_eq!(engine.stats().quarantined, 2);
    for (id, is_there) in [("a", true), ("b", false), ("c", true), ("d", false)] {
        let rows = engine.snapshot().trace(ProjectId(1), id).unwrap();
        assert_eq!(rows.run.is_some(), is_there, "{id}");
    }
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_obsrv"))
            .args(["serve", "--grpc", "off", "--http", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("OBSRV_BOOTSTRAP_KEY", KEY)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log
            .find_map(|line| {
                let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
                let address = line["address"].as_str().map(str::to_owned);
                address.filter(|_| line["message"] == "ready")
            })
            .expect("the server said that it is ready");
        // Nobody reads the rest: a log that goes nowhere must not matter.
        drop(log);
        Self { child, address }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("host: x\r\nx-api-key: {KEY}\r\nconnection: close");
        write!(stream, "GET {path} HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn f31_a_poisoned_record_is_put_aside_and_the_rest_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    for (id, dialect) in [
        ("a", Dialect::ThetaTrace.number()),
        ("b", UNKNOWN),
        ("c", Dialect::ThetaTrace.number()),
        ("d", PANICS),
    ] {
        store(&engine, id, dialect);
    }
    drop(engine);
    // No thread ran, so nothing was flushed: every open reads the log again.
    for _ in 0..2 {
        assert_half_is_there(&open(dir.path()));
    }
    for _ in 0..2 {
        let server = Server::start(dir.path());
        let metrics = server.get("/metrics");
        let quarantined = "obsrv_quarantined_records_total 2";
        assert!(metrics.lines().any(|l| l == quarantined), "{metrics}");
        for (id, status) in [("a", "200"), ("b", "404"), ("c", "200"), ("d", "404")] {
            let answer = server.get(&format!("/v1/traces/{id}"));
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{answer}"
            );
        }
    }
}
