//! What is kept of rows in segments while a record that changes them is read.

use obsrv_wal::sim::{SimDisk, SimRng};

use super::super::{Engine, Envelope, InterpretError, Interpreter, Options, Submission};
use super::*;
use crate::doc::DocWriter;
use crate::row::ProjectId;

const PROJECT: ProjectId = ProjectId(1);
const ROWS: usize = 40;
/// Of a stored row.
const STORED_BYTES: usize = 200_000;

/// Nothing is replayed here.
struct Nothing;

impl Interpreter for Nothing {
    fn interpret(&self, _: &Envelope, _: &[u8]) -> Result<Vec<Event>, InterpretError> {
        Ok(Vec::new())
    }
}

fn open() -> Arc<Engine> {
    let disk = SimDisk::new(1);
    let options = Options::for_memory(1 << 30);
    Engine::open(disk.handle(), &SimRng::new(1), options, &Nothing).unwrap()
}

fn event(id: usize, version: u64, partial: bool, bytes: usize) -> Event {
    let mut doc = DocWriter::new();
    let open = doc.begin_map();
    doc.key(&format!("key{version}"));
    doc.str(&"x".repeat(bytes));
    doc.end(open);
    Event {
        table: Table::Spans,
        key: RowKey {
            trace_id: "t".into(),
            id: id.to_string().into(),
        },
        start_ns: Some(1),
        end_ns: Some(2),
        version,
        partial,
        doc: doc.finish().into(),
    }
}

fn store(engine: &Engine, events: Vec<Event>) {
    let envelope = Envelope {
        project: PROJECT.0,
        ..Envelope::default()
    };
    let submission = Submission {
        envelope,
        body: bytes::Bytes::new(),
        events,
    };
    engine.submit(submission, Box::new(|done| assert!(done.is_ok())));
    engine.commit_step();
}

fn flush(engine: &Engine) {
    engine.freeze();
    while engine.flush_step().unwrap() {}
}

/// By the place of its event, how many bytes are kept of each row.
fn kept(engine: &Engine, events: &[Event]) -> Vec<(usize, Option<usize>)> {
    let mut writer = engine.writer.lock();
    let mut applying = Applying::new(&mut writer, 100, PROJECT);
    let changes = applying.changes_of_stored(events, &Ready::default());
    let bytes = |change: Change| change.content.body_len();
    let changes = changes.unwrap().into_iter();
    changes
        .map(|(place, change)| (place, change.map(bytes)))
        .collect()
}

#[test]
fn of_older_versions_no_more_is_kept_than_what_the_record_makes_of_them() {
    let engine = open();
    let all = |version: u64, partial, bytes| -> Vec<Event> {
        (0..ROWS)
            .map(|id| event(id, version, partial, bytes))
            .collect()
    };
    store(&engine, all(1, false, STORED_BYTES));
    flush(&engine);
    let sum = |events: &[Event]| -> usize {
        let kept = kept(&engine, events);
        assert_eq!(kept.len(), ROWS, "each is in a segment");
        kept.into_iter().filter_map(|(_, bytes)| bytes).sum()
    };
    assert_eq!(sum(&all(1, false, STORED_BYTES)), 0, "what is there");
    assert!(sum(&all(2, false, 10)) < ROWS * 100, "what is newer alone");
    // What only adds to a row has the row in it, and is what the memtable takes.
    let added = all(2, true, 10);
    let kept = u64::try_from(sum(&added)).unwrap();
    assert!(kept > u64::try_from(ROWS * STORED_BYTES).unwrap());
    let before = engine.stats().memtable_bytes;
    store(&engine, added);
    assert!(engine.stats().memtable_bytes - before >= kept);
}

#[test]
fn events_of_one_row_in_one_record_are_folded_one_after_the_other() {
    let first = event(0, 1, false, 5);
    let record = || {
        vec![
            event(0, 1, false, 5),
            event(0, 2, true, 6),
            event(0, 3, true, 7),
            event(0, 2, true, 6),
            event(1, 1, false, 8),
        ]
    };
    let body = |engine: &Engine| {
        let rows = engine.snapshot().trace(PROJECT, "t").unwrap().spans;
        rows.into_iter().map(|row| row.body).collect::<Vec<_>>()
    };
    let (flushed, fresh) = (open(), open());
    store(&flushed, vec![first.clone()]);
    store(&fresh, vec![first]);
    flush(&flushed);
    let changes = kept(&flushed, &record());
    let places: Vec<_> = changes
        .iter()
        .map(|(place, bytes)| (*place, bytes.is_some()))
        .collect();
    assert_eq!(places, [(0, false), (1, true)], "of the row in a segment");
    for engine in [&flushed, &fresh] {
        store(engine, record());
        assert_eq!(engine.stats().duplicates, 2);
    }
    assert_eq!(body(&flushed), body(&fresh));
    assert_eq!(body(&flushed).len(), 2);
    assert!(kept(&flushed, &record()).is_empty(), "all are in memory");
}
