//! How the log is trimmed after a flush.

use std::cell::Cell;

use bytes::Bytes;
use obsrv_wal::sim::{SimDisk, SimRng};

use super::super::{Envelope, InterpretError, Interpreter, Options, Submission};
use super::*;
use crate::doc::DocWriter;
use crate::row::{Event, RowKey};

/// Nothing is replayed here.
struct Nothing;

impl Interpreter for Nothing {
    fn interpret(&self, _: &Envelope, _: &[u8]) -> Result<Vec<Event>, InterpretError> {
        Ok(Vec::new())
    }
}

/// Counts pauses, and waits for none.
#[derive(Default)]
struct Counting(Cell<usize>);

impl Pace for Counting {
    fn mono_ns(&self) -> u64 {
        0
    }
    fn is_over(&self) -> bool {
        false
    }
    fn pause(&self, time: Duration) {
        assert_eq!(time, TRIM_PAUSE);
        self.0.set(self.0.get() + 1);
    }
}

fn event(id: usize) -> Event {
    let mut doc = DocWriter::new();
    let open = doc.begin_map();
    doc.end(open);
    Event {
        table: Table::Spans,
        key: RowKey {
            trace_id: "t".into(),
            id: id.to_string().into(),
        },
        start_ns: Some(1),
        end_ns: Some(2),
        version: 1,
        partial: false,
        doc: doc.finish().into(),
    }
}

/// A memtable of records that fill some files of the log, frozen.
fn fill(engine: &Engine, from: usize) {
    for id in from..from + 20 {
        let submission = Submission {
            envelope: Envelope {
                project: 1,
                ..Envelope::default()
            },
            body: Bytes::from(vec![7; 10_000]),
            events: vec![event(id)],
        };
        engine.submit(submission, Box::new(|done| assert!(done.is_ok())));
        engine.commit_step();
    }
    engine.freeze();
}

fn log_files(disk: &SimDisk) -> usize {
    let all = disk.handle().list().unwrap();
    all.iter().filter(|id| id.kind == FileKind::Wal).count()
}

#[test]
fn files_of_the_log_go_one_by_one_unless_there_is_more_to_flush() {
    let disk = SimDisk::new(1);
    let options = Options {
        wal_file_bytes: 1 << 16,
        ..Options::for_memory(128 << 20)
    };
    let engine = Engine::open(disk.handle(), &SimRng::new(1), options, &Nothing).unwrap();
    fill(&engine, 0);
    fill(&engine, 20);
    let (pace, before) = (Counting::default(), log_files(&disk));
    assert!(engine.flush_in_steps(&pace).unwrap());
    let after = log_files(&disk);
    assert!(after + 2 <= before, "{before} {after}");
    assert_eq!(pace.0.get(), 0, "another memtable waits");
    assert!(engine.flush_in_steps(&pace).unwrap());
    assert_eq!(pace.0.get(), after - log_files(&disk) - 1);
    assert!(pace.0.get() > 0);
    assert!(!engine.flush_in_steps(&pace).unwrap());
}
