//! Requests of one signal from a file into the engine, eight at a time.

use std::path::Path;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use obsrv_engine::doc::fingerprint;
use obsrv_engine::engine::{
    Engine, Envelope, IngestError, InterpretError, Interpreter, Submission,
};
use obsrv_engine::row::{Event, ProjectId};
use obsrv_server::dialect::{Context, Dialect, decode};

use super::Outcome;

const WRITERS: usize = 8;
/// How long a writer waits that was refused.
const BUSY: Duration = Duration::from_millis(2);
const RECEIVED_NS: i64 = 1_793_500_000_000_000_000;

/// Reads OTLP protobuf as the server does.
pub(crate) struct Otlp;

impl Interpreter for Otlp {
    fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        let dialect = Dialect::from_u16(envelope.dialect).ok_or_else(|| InterpretError {
            reason: format!("unknown dialect number={}", envelope.dialect),
        })?;
        let context = Context {
            project: ProjectId(envelope.project),
            body_hash: fingerprint(body),
            subject: "",
            received_ns: envelope.received_ns,
            key_id: 1,
        };
        let decoded = decode(dialect, &context, body);
        decoded.map(|d| d.events).map_err(|e| InterpretError {
            reason: e.to_string(),
        })
    }
}

/// What the requests of a profile are.
pub(crate) fn dialect(profile: &str) -> Dialect {
    match profile {
        "logs" => Dialect::OtlpLogsProtobuf,
        "points" => Dialect::OtlpMetricsProtobuf,
        _ => Dialect::OtlpProtobuf,
    }
}

/// The engine's id of a project of the workload.
pub(crate) const fn project(index: u64) -> ProjectId {
    ProjectId(index + 1)
}

/// The requests of a file of `rows --form otlp`.
pub(crate) fn read(path: &Path) -> Outcome<Vec<(ProjectId, Bytes)>> {
    let mut rest = Bytes::from(std::fs::read(path)?);
    let mut requests = Vec::new();
    while !rest.is_empty() {
        if rest.len() < 8 {
            return Err("cut file".into());
        }
        let head = rest.split_to(8);
        let number = |at: usize| {
            let bytes = head.get(at..at + 4).unwrap_or_default().try_into();
            bytes.map(u32::from_le_bytes).unwrap_or_default()
        };
        let len = usize::try_from(number(4))?;
        if rest.len() < len {
            return Err("cut file".into());
        }
        requests.push((project(u64::from(number(0))), rest.split_to(len)));
    }
    Ok(requests)
}

/// Stores every request; each is acknowledged after its sync.
pub(crate) fn send(engine: &Engine, dialect: Dialect, requests: Vec<(ProjectId, Bytes)>) {
    let queue = Mutex::new(requests.into_iter());
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("BUG: poisoned").next();
                    let Some((project, body)) = next else { return };
                    store(engine, dialect, (project, &body));
                }
            });
        }
    });
}

fn store(engine: &Engine, dialect: Dialect, (project, body): (ProjectId, &Bytes)) {
    let envelope = Envelope {
        project: project.0,
        dialect: dialect.number(),
        received_ns: RECEIVED_NS,
        ..Envelope::default()
    };
    loop {
        // As the server does: what would be refused is not read.
        if engine.admit(project).is_err() {
            thread::sleep(BUSY);
            continue;
        }
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
            Err(IngestError::Overloaded(_)) => thread::sleep(BUSY),
            Err(error) => panic!("not stored: {error}"),
        }
    }
}
