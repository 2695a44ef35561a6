//! Stores spans and finds the segments that become of them.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use obsrv_benches::generator::{Generator, Options as Workload};
use obsrv_engine::boundary::LocalStore;
use obsrv_engine::engine::{
    Engine, Envelope, IngestError, InterpretError, Interpreter, Options, Submission,
};
use obsrv_engine::row::{Event, ProjectId};
use obsrv_engine::segment::Segment;
use obsrv_server::dialect::{Context, Dialect, decode};
use obsrv_wal::io::{Disk, FileKind, OsRng, RealDisk};

const MEMORY_BYTES: u64 = 2 << 30;
const RECEIVED_NS: i64 = 1_793_500_000_000_000_000;
/// Where the id of the data directory stands in a segment.
const DATABASE_AT: usize = 20;

struct Decoder;

impl Interpreter for Decoder {
    fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        let wrong = |reason: String| InterpretError { reason };
        let dialect = Dialect::from_u16(envelope.dialect);
        let dialect = dialect.ok_or_else(|| wrong("no such dialect".to_owned()))?;
        let context = Context {
            project: ProjectId(envelope.project),
            body_hash: xxh(body),
            subject: "",
            received_ns: envelope.received_ns,
            key_id: 1,
        };
        let decoded = decode(dialect, &context, body).map_err(|e| wrong(e.to_string()))?;
        Ok(decoded.events)
    }
}

/// Bodies without ids get ids of it.
fn xxh(body: &[u8]) -> u64 {
    obsrv_engine::doc::fingerprint(body)
}

type Outcome = Result<(), Box<dyn Error>>;

fn store(engine: &Engine, project: u64, dialect: Dialect, body: Vec<u8>) -> Outcome {
    let envelope = Envelope {
        project,
        dialect: dialect.number(),
        received_ns: RECEIVED_NS,
        ..Envelope::default()
    };
    let body = Bytes::from(body);
    loop {
        let events = Decoder.interpret(&envelope, &body)?;
        let submission = Submission {
            envelope: envelope.clone(),
            body: body.clone(),
            events,
        };
        let (sender, receiver) = mpsc::channel();
        let done = move |outcome| sender.send(outcome).expect("BUG: the receiver waits");
        engine.submit(submission, Box::new(done));
        match receiver.recv()? {
            Ok(_) => return Ok(()),
            Err(IngestError::Overloaded(_)) => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(error.into()),
        }
    }
}

fn with_engine(dir: &Path, send: impl FnOnce(&Engine) -> Outcome) -> Outcome {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir)?);
    let engine = Engine::open(disk, &OsRng, Options::for_memory(MEMORY_BYTES), &Decoder)?;
    let threads = engine.start()?;
    let sent = send(&engine);
    engine.freeze();
    threads.stop();
    sent
}

/// The generator's workload, profile `core`.
pub(crate) fn workload(dir: &Path, spans: u64) -> Outcome {
    let generator = Generator::new(Workload::core(1, spans)).without_json_bytes();
    with_engine(dir, |engine| {
        for request in generator {
            let project = u64::try_from(request.project)? + 1;
            store(engine, project, Dialect::OtlpProtobuf, request.body)?;
        }
        Ok(())
    })
}

/// A request in each line, a project for each file.
pub(crate) fn files(dir: &Path, files: &[PathBuf]) -> Outcome {
    with_engine(dir, |engine| {
        for (project, file) in (1..).zip(files) {
            let is_otlp = file.to_string_lossy().ends_with(".otlp.jsonl");
            let dialect = if is_otlp {
                Dialect::OtlpJson
            } else {
                Dialect::ThetaImport
            };
            for line in std::fs::read_to_string(file)?.lines() {
                store(engine, project, dialect, line.into())?;
            }
        }
        Ok(())
    })
}

/// The segments of a directory that nobody holds.
pub(crate) fn segments(dir: &Path) -> Vec<Arc<Segment>> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).expect("a directory of ours"));
    let store = LocalStore::over(&disk);
    let ids = disk.list().expect("a directory of ours").into_iter();
    let ids = ids.filter(|id| id.kind == FileKind::Segment);
    let open = |number| {
        let id = obsrv_wal::io::FileId::new(FileKind::Segment, number);
        let mut head = [0; DATABASE_AT + 16];
        let file = disk.open(id).expect("a segment");
        file.read_at(0, &mut head).expect("a segment");
        let database = head.last_chunk::<16>().expect("BUG: 16 bytes");
        Segment::open(&store, number, *database).expect("a segment")
    };
    ids.map(|id| open(id.number)).collect()
}
