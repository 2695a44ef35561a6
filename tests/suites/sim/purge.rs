//! What was deleted leaves every file: after a purge no block, frame or side file has a word of it, and all
//! else is where it was.

use std::collections::BTreeMap;

use bytes::Bytes;
use obsrv_engine::engine::check::{files_with, verify};
use obsrv_engine::engine::{Engine, Envelope, PurgeError, Submission};
use obsrv_engine::io::FileKind;
use obsrv_engine::row::ProjectId;
use obsrv_tests::toy::{Toy, events};
use obsrv_wal::log::LogError;
use obsrv_wal::sim::{Fault, FaultPlan, Op, SimDisk};

use crate::machine::Machine;

const PROJECT: ProjectId = ProjectId(1);

/// A story of traces, each with a word that no other has.
struct Story {
    machine: Machine,
    serial: u64,
    /// Words of what is there and of what was deleted, by trace.
    kept: BTreeMap<String, String>,
    gone: Vec<String>,
}

impl Story {
    fn new(seed: u64) -> Self {
        Self {
            machine: Machine::new(seed, &Toy),
            serial: 0,
            kept: BTreeMap::new(),
            gone: Vec::new(),
        }
    }

    /// Stores a trace of so many spans, each with its word and a text of so many bytes.
    fn store(&mut self, spans: u64, filler: usize) -> String {
        self.serial += 1;
        let (trace, word) = (
            format!("t{}", self.serial),
            format!("needle{:05}", self.serial),
        );
        let text = "lorem ipsum ".repeat(filler / 12);
        let line = |n: u64| format!("span|{trace}|s{n}|1||1|2|note={word},text={text}{n}");
        let body = (0..spans).map(line).collect::<Vec<_>>().join("\n");
        let submission = Submission {
            envelope: Envelope {
                project: PROJECT.0,
                ..Envelope::default()
            },
            events: events(body.as_bytes()).unwrap(),
            body: Bytes::from(body),
        };
        let stored = self
            .machine
            .commit(|engine, done| engine.submit(submission, done));
        assert!(stored.is_some());
        self.kept.insert(trace.clone(), word);
        trace
    }

    fn delete(&mut self, trace: &str) {
        let done = self
            .machine
            .commit(|engine, done| engine.delete_trace(PROJECT, trace, done));
        assert!(done.is_some());
        self.gone.extend(self.kept.remove(trace));
    }

    fn kinds_with(&self, word: &str) -> Vec<FileKind> {
        let files = files_with(&self.machine.disk.handle(), word.as_bytes()).unwrap();
        files.iter().map(|file| file.kind).collect()
    }

    /// No word of what was deleted is anywhere, every other one is, and the directory is sound.
    fn check(&self) {
        for word in &self.gone {
            assert_eq!(self.kinds_with(word), [], "{word} was deleted");
        }
        for word in self.kept.values() {
            assert!(!self.kinds_with(word).is_empty(), "{word} is lost");
        }
        let checked = verify(&self.machine.disk.handle()).unwrap();
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
    }
}

fn flush(engine: &Engine) {
    engine.freeze();
    while engine.flush_step().unwrap() {}
}

/// What the background threads do.
fn purge(engine: &Engine) {
    engine.purge().unwrap();
    while engine.purge_left() > 0 {
        let flushed = engine.flush_step().unwrap();
        let merged = engine.compact_step().unwrap();
        assert!(
            flushed || merged || engine.purge_left() == 0,
            "a purge that does not end"
        );
    }
}

#[test]
fn what_was_deleted_is_in_no_file_after_a_purge() {
    let mut story = Story::new(1);
    let engine = story.machine.engine();
    // Few small rows, rows in blocks of their own, and one body that is too large for the log.
    let sizes = [(1, 10), (40, 10), (300, 300), (3, 10), (1, 1 << 20)];
    let traces: Vec<_> = sizes
        .map(|(spans, filler)| story.store(spans, filler))
        .into();
    let others: Vec<_> = (0..4).map(|_| story.store(400, 300)).collect();
    flush(&engine);
    let unflushed = story.store(5, 100);
    story.delete(&unflushed);
    for trace in &traces {
        story.delete(trace);
    }
    flush(&engine);
    story.store(2, 10);
    // It is there to be found.
    let found: Vec<_> = story
        .gone
        .iter()
        .flat_map(|word| story.kinds_with(word))
        .collect();
    assert!(
        found.contains(&FileKind::Segment) && found.contains(&FileKind::Wal),
        "{found:?}"
    );
    purge(&engine);
    story.check();
    for trace in &others {
        assert!(engine.snapshot().has_trace(PROJECT, trace).unwrap());
    }
    // Another has nothing to do.
    let before = engine.stats().compactions;
    purge(&engine);
    assert_eq!(engine.stats().compactions, before);
    story.check();
}

/// A log that nothing was written to since the last flush is cut, too.
#[test]
fn a_purge_of_an_idle_engine_cuts_the_log() {
    let mut story = Story::new(2);
    let engine = story.machine.engine();
    let trace = story.store(3, 10);
    story.delete(&trace);
    flush(&engine);
    assert_eq!(story.kinds_with(&story.gone[0]), [FileKind::Wal]);
    purge(&engine);
    story.check();
}

#[test]
fn a_purge_goes_on_whatever_was_cut_short_before() {
    let mut purged = 0;
    for seed in 0..60 {
        let mut story = Story::new(seed);
        for _ in 0..40 {
            match story.machine.below(6) {
                0 | 1 => drop(story.store(1 + seed % 7, 400)),
                2 => {
                    let nth = story.machine.below(story.kept.len().max(1) as u64);
                    let trace = story
                        .kept
                        .keys()
                        .nth(usize::try_from(nth).unwrap())
                        .cloned();
                    if let Some(trace) = trace {
                        story.delete(&trace);
                    }
                }
                3 => {
                    story.machine.keep_house(&Toy);
                }
                4 => {
                    let engine = story.machine.engine();
                    engine.purge().unwrap();
                    engine.flush_step().unwrap();
                }
                _ => {
                    // The power goes in the middle of one.
                    let engine = story.machine.engine();
                    let at = story.machine.disk.ops() + 1 + story.machine.below(30);
                    story.machine.disk.set_plan(FaultPlan {
                        crash_at: Some(at),
                        ..FaultPlan::default()
                    });
                    if engine.purge().is_ok() {
                        drop((
                            engine.flush_step(),
                            engine.compact_step(),
                            engine.compact_step(),
                        ));
                    }
                    drop(engine);
                    story.machine.cut(&SimDisk::cut_power, &Toy);
                }
            }
        }
        purge(&story.machine.engine());
        story.check();
        purged += story.gone.len();
    }
    assert!(purged > 100);
}

/// Without room for a next file of the log nothing is begun, and the log goes on.
#[test]
fn a_purge_without_room_is_refused_and_may_be_asked_for_again() {
    let mut story = Story::new(4);
    let engine = story.machine.engine();
    let trace = story.store(3, 10);
    // This one takes the file that was made ahead.
    purge(&engine);
    story.delete(&trace);
    story.machine.disk.set_plan(FaultPlan {
        odds: vec![(Op::ZeroFill, Fault::NoSpace, 1)],
        ..FaultPlan::default()
    });
    assert!(matches!(engine.purge(), Err(PurgeError(LogError::NoSpace))));
    assert_eq!(engine.purge_left(), 0);
    story.machine.disk.set_plan(FaultPlan::default());
    story.store(1, 10);
    purge(&engine);
    story.check();
}
