//! What an open does with each sort of file and of record that it finds.

use std::sync::atomic::Ordering;

use obsrv_wal::sim::{Fault, FaultPlan, Op, SimDisk, SimRng};

use super::super::runs::Amount;
use super::super::{InterpretError, Submission};
use super::*;
use crate::doc::DocWriter;
use crate::row::{RowKey, Table};

const PROJECT: ProjectId = ProjectId(1);

/// Each body is the name of a trace of one span.
#[derive(Clone, Copy, Debug)]
enum Names {
    Sound,
    Panics,
    Refuses,
    ReadsOther,
    ReadsAnother,
}

fn event(name: &str) -> Event {
    let mut doc = DocWriter::new();
    let open = doc.begin_map();
    doc.key("name");
    doc.str(name);
    doc.end(open);
    Event {
        table: Table::Spans,
        key: RowKey {
            trace_id: name.into(),
            id: "1".into(),
        },
        start_ns: Some(1),
        end_ns: Some(2),
        version: 1,
        partial: false,
        doc: doc.finish().into(),
    }
}

impl Interpreter for Names {
    fn interpret(&self, _: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        let name = String::from_utf8_lossy(body);
        if !name.starts_with("poison") {
            return Ok(vec![event(&name)]);
        }
        match self {
            Self::Sound => Ok(vec![event(&name)]),
            Self::Panics => panic!("planted: the dialect panics"),
            Self::Refuses => Err(InterpretError {
                reason: "planted".into(),
            }),
            Self::ReadsOther => Ok(Vec::new()),
            Self::ReadsAnother => Ok(vec![event("other")]),
        }
    }
}

fn options() -> Options {
    Options {
        // Of more than that a body has a file of its own.
        side_bytes_min: 16,
        wal_file_bytes: 1 << 16,
        ..Options::for_memory(128 << 20)
    }
}

fn open_as(disk: &SimDisk, names: Names) -> Result<Arc<Engine>, OpenError> {
    let rng = SimRng::new(disk.ops());
    Engine::open(disk.handle(), &rng, options(), &names)
}

fn open(disk: &SimDisk) -> Arc<Engine> {
    open_as(disk, Names::Sound).unwrap()
}

/// The process is killed and started again.
fn reopened(disk: &SimDisk, engine: Arc<Engine>) -> Arc<Engine> {
    drop(engine);
    restart(disk);
    open(disk)
}

fn restart(disk: &SimDisk) {
    disk.kill();
    disk.restart();
}

fn store(engine: &Engine, name: &str) {
    let body = Bytes::copy_from_slice(name.as_bytes());
    let submission = Submission {
        envelope: Envelope {
            project: PROJECT.0,
            ..Envelope::default()
        },
        events: vec![event(name)],
        body,
    };
    engine.submit(submission, Box::new(|done| assert!(done.is_ok())));
    engine.commit_step();
}

fn flush(engine: &Engine) {
    engine.freeze();
    while engine.flush_step().unwrap() {}
}

/// How many spans each trace has.
fn spans(engine: &Engine, names: &[&str]) -> Vec<usize> {
    let snapshot = engine.snapshot();
    let of = |name: &&str| snapshot.trace(PROJECT, name).unwrap().spans.len();
    names.iter().map(of).collect()
}

fn remove(disk: &SimDisk, gone: impl Fn(&FileId) -> bool) {
    for file in disk.names().iter().filter(|file| gone(file)) {
        disk.handle().remove(*file).unwrap();
    }
}

fn put(disk: &SimDisk, file: FileId) {
    put_bytes(disk, file, b"left over");
}

fn put_bytes(disk: &SimDisk, file: FileId, bytes: &[u8]) {
    let disk = disk.handle();
    let made = disk.create(file).unwrap();
    made.write_at(0, bytes).unwrap();
    made.sync_data().unwrap();
    disk.publish(file).unwrap();
    disk.sync_dir().unwrap();
}

#[test]
fn a_directory_has_an_id_of_its_own_and_keeps_it() {
    let disks = [SimDisk::new(1), SimDisk::new(2)];
    let opened = |disk: &SimDisk, seed| {
        let rng = SimRng::new(seed);
        Engine::open(disk.handle(), &rng, options(), &Names::Sound).unwrap()
    };
    let [first, second] = [opened(&disks[0], 1), opened(&disks[1], 2)];
    let id = first.database;
    assert_ne!(id, second.database);
    let stored = disks[0].peek(IDENTITY).unwrap();
    assert_eq!(stored[..16], id);
    assert_eq!(stored[16..], crc32fast::hash(&id).to_le_bytes());
    let log = |file: &FileId| file.kind == FileKind::Wal;
    let newest = disks[0].names().into_iter().rfind(log).unwrap();
    let expected = usize::try_from(options().wal_file_bytes).unwrap();
    assert_eq!(disks[0].peek(newest).unwrap().len(), expected);
    assert_eq!(reopened(&disks[0], first).database, id);
    assert_eq!(read_identity(&disks[0].handle()).unwrap(), id);
}

#[test]
fn an_id_without_data_is_made_anew_and_data_without_an_id_is_refused() {
    let disk = SimDisk::new(1);
    put_identity(&disk.handle(), [9; 16]).unwrap();
    let engine = open(&disk);
    assert_ne!(engine.database, [9; 16]);
    drop(engine);
    for at in [0, 15, 16, 19] {
        restart(&disk);
        disk.flip(IDENTITY, at, 1);
        let refused = open_as(&disk, Names::Sound).unwrap_err();
        assert!(matches!(refused, OpenError::Identity), "{at}: {refused}");
        disk.flip(IDENTITY, at, 1);
    }
    open(&disk);
    restart(&disk);
    remove(&disk, |file| *file == IDENTITY);
    let refused = open_as(&disk, Names::Sound).unwrap_err();
    assert!(matches!(refused, OpenError::Identity), "{refused}");
}

#[test]
fn a_manifest_may_be_missing_only_where_nothing_was_stored_yet() {
    let is_manifest = |file: &FileId| file.kind == FileKind::Manifest;
    // An open that was cut short after the log was begun.
    let disk = SimDisk::new(1);
    put_identity(&disk.handle(), [9; 16]).unwrap();
    begin_log(&disk.handle(), [9; 16], &disk.names()).unwrap();
    let engine = open(&disk);
    assert_eq!(engine.database, [9; 16], "there is a log with this id");
    // A record in the log, and nothing else.
    store(&engine, "a");
    drop(engine);
    restart(&disk);
    remove(&disk, is_manifest);
    let refused = open_as(&disk, Names::Sound).unwrap_err();
    assert!(matches!(refused, OpenError::NoManifest), "{refused}");
    // A segment beside an empty log.
    let disk = SimDisk::new(2);
    let engine = open(&disk);
    drop(engine);
    restart(&disk);
    put(&disk, FileId::new(FileKind::Segment, 5));
    remove(&disk, is_manifest);
    let refused = open_as(&disk, Names::Sound).unwrap_err();
    assert!(matches!(refused, OpenError::NoManifest), "{refused}");
}

#[test]
fn what_nothing_names_goes_and_no_number_of_it_is_used_again() {
    let disk = SimDisk::new(1);
    let engine = open(&disk);
    store(&engine, "in a segment");
    flush(&engine);
    store(&engine, "in a file of its own, as large bodies are");
    let live = disk.names();
    let of = |kind| live.iter().filter(|file| file.kind == kind).count();
    assert_eq!((of(FileKind::Segment), of(FileKind::Side)), (1, 1));
    drop(engine);
    restart(&disk);
    let orphans = [
        FileId::new(FileKind::Segment, 50),
        FileId::new(FileKind::Side, 60),
        // Has the number of a record.
        FileId::new(FileKind::Quarantine, 7_000),
    ];
    orphans.iter().for_each(|file| put(&disk, *file));
    let engine = open(&disk);
    let next = engine.next_number.load(Ordering::Relaxed);
    assert!((61..7_000).contains(&next), "{next}");
    let names = disk.names();
    assert!(
        orphans.iter().all(|file| !names.contains(file)),
        "{names:?}"
    );
    let is_object = |file: &&FileId| matches!(file.kind, FileKind::Segment | FileKind::Side);
    assert!(
        live.iter()
            .filter(is_object)
            .all(|file| names.contains(file))
    );
    let names = ["in a segment", "in a file of its own, as large bodies are"];
    assert_eq!(spans(&engine, &names), [1, 1]);
    // The side file is named again in the next life, until its record is in a segment.
    let engine = reopened(&disk, engine);
    assert_eq!(spans(&engine, &names), [1, 1]);
    flush(&engine);
    assert!(disk.names().iter().all(|file| file.kind != FileKind::Side));
    assert_eq!(spans(&reopened(&disk, engine), &names), [1, 1]);
}

#[test]
fn records_are_replayed_from_the_watermark_on() {
    let disk = SimDisk::new(1);
    let engine = open(&disk);
    store(&engine, "a");
    flush(&engine);
    let engine = reopened(&disk, engine);
    assert_eq!(engine.stats().events, 0, "it is in a segment");
    assert_eq!(spans(&engine, &["a"]), [1]);
    store(&engine, "b");
    store(&engine, "c");
    engine.delete_trace(PROJECT, "a", Box::new(|done| assert!(done.is_ok())));
    engine.delete_trace(PROJECT, "b", Box::new(|done| assert!(done.is_ok())));
    engine.control(
        Bytes::from_static(b"said"),
        Box::new(|done| assert!(done.is_ok())),
    );
    engine.commit_step();
    let last = engine.stats().visible_lsn;
    let engine = reopened(&disk, engine);
    // Nobody looked yet: the rows of runs were remade before it opened.
    assert_eq!(engine.writer.lock().behind.amount(), Amount::default());
    let stats = engine.stats();
    assert_eq!((stats.events, stats.visible_lsn), (2, last));
    assert_eq!(spans(&engine, &["a", "b", "c"]), [0, 0, 1]);
    let controls = engine.controls();
    assert_eq!(controls.len(), 1);
    assert_eq!(&*controls[0].1, b"said");
}

#[test]
fn an_old_copy_of_the_log_is_refused() {
    let is_log = |file: &FileId| file.kind == FileKind::Wal;
    let log = |disk: &SimDisk| {
        let files = disk.names().into_iter().filter(is_log);
        let bytes = |file| (file, disk.peek(file).unwrap());
        files.map(bytes).collect::<Vec<_>>()
    };
    for is_flushed in [false, true] {
        let disk = SimDisk::new(1);
        let engine = open(&disk);
        store(&engine, "a");
        let old = log(&disk);
        store(&engine, "b");
        if is_flushed {
            flush(&engine);
        } else {
            engine.witness_catalog_step();
        }
        drop(engine);
        restart(&disk);
        let whole = log(&disk);
        let restore = |files: &[(FileId, Vec<u8>)]| {
            remove(&disk, is_log);
            let put = |(file, bytes): &(FileId, Vec<u8>)| put_bytes(&disk, *file, bytes);
            files.iter().for_each(put);
        };
        restore(&old);
        let refused = open_as(&disk, Names::Sound).unwrap_err();
        let is_right = match refused {
            OpenError::Recover(RecoverError::Uncovered { .. }) => is_flushed,
            OpenError::Recover(RecoverError::Short { .. }) => !is_flushed,
            _ => false,
        };
        assert!(is_right, "{refused}");
        restart(&disk);
        restore(&whole);
        assert_eq!(spans(&open(&disk), &["a", "b"]), [1, 1]);
    }
}

#[test]
fn a_record_that_reads_otherwise_is_set_aside_with_its_bytes() {
    let names = ["a", "poison", "poison with a file of its own", "z"];
    for broken in [
        Names::Panics,
        Names::Refuses,
        Names::ReadsOther,
        Names::ReadsAnother,
    ] {
        let disk = SimDisk::new(1);
        let engine = open(&disk);
        names.iter().for_each(|name| store(&engine, name));
        drop(engine);
        restart(&disk);
        let engine = open_as(&disk, broken).unwrap();
        let stats = engine.stats();
        assert_eq!((stats.quarantined, stats.quarantine_files), (2, 2));
        assert_eq!(spans(&engine, &names), [1, 0, 0, 1], "{broken:?}");
        let aside = |disk: &SimDisk| {
            let names = disk.names().into_iter();
            names
                .filter(|file| file.kind == FileKind::Quarantine)
                .collect::<Vec<_>>()
        };
        assert_eq!(aside(&disk).len(), 2, "{broken:?}");
        // A version that reads them has no use for the copies.
        let engine = reopened(&disk, engine);
        assert_eq!(spans(&engine, &names), [1, 1, 1, 1], "{broken:?}");
        assert_eq!(aside(&disk), []);
    }
}

#[test]
fn an_open_that_the_disk_refuses_to_read_for_may_be_tried_again() {
    let disk = SimDisk::new(1);
    let engine = open(&disk);
    store(&engine, "a");
    flush(&engine);
    store(&engine, "a");
    drop(engine);
    restart(&disk);
    let mut refused = 0;
    for call in 1.. {
        let disk = disk.fork(call);
        restart(&disk);
        disk.set_plan(FaultPlan {
            refuse_reads: Some((disk.ops() + call, u64::MAX)),
            ..FaultPlan::default()
        });
        let Err(error) = open_as(&disk, Names::Sound) else {
            break;
        };
        refused += u64::from(matches!(error, OpenError::Replay { .. }));
        restart(&disk);
        assert_eq!(spans(&open(&disk), &["a"]), [1], "call {call}");
    }
    assert!(refused > 0, "a row that a record changes was read");
    disk.set_plan(FaultPlan {
        odds: vec![(Op::List, Fault::Eio, 1)],
        ..FaultPlan::default()
    });
    assert!(matches!(
        open_as(&disk, Names::Sound),
        Err(OpenError::Io { what: "list", .. })
    ));
}
