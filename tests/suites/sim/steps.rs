//! A merge goes in steps: it can be given up between any two of them, and lets others go first.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use obsrv_engine::engine::check::verify;
use obsrv_engine::engine::{Engine, Envelope, MERGE_PAUSED_MAX, Pace, Submission};
use obsrv_engine::io::{Clock as _, FileId, FileKind};
use obsrv_engine::row::ProjectId;
use obsrv_tests::toy::{Toy, events};
use obsrv_wal::sim::{FaultPlan, Op, SimClock};

use crate::machine::Machine;

const STEP: Duration = Duration::from_millis(10);

/// Who runs a merge: time is the number of steps, and of pauses as long as they are asked for, or longer.
struct Hand<'a> {
    clock: SimClock,
    /// At which step it is given up.
    over_at: u64,
    steps: Cell<u64>,
    pauses: Cell<u64>,
    /// Added to each pause.
    oversleeps: Duration,
    /// What others do in each.
    meanwhile: &'a dyn Fn(),
}

fn nothing() {}

impl Default for Hand<'_> {
    fn default() -> Self {
        Self {
            clock: SimClock::new(0),
            over_at: u64::MAX,
            steps: Cell::new(0),
            pauses: Cell::new(0),
            oversleeps: Duration::ZERO,
            meanwhile: &nothing,
        }
    }
}

impl Hand<'_> {
    fn pass(&self, time: Duration) {
        self.clock.advance(u64::try_from(time.as_nanos()).unwrap());
    }
}

impl Pace for Hand<'_> {
    fn mono_ns(&self) -> u64 {
        self.pass(STEP);
        self.clock.mono_ns()
    }

    fn is_over(&self) -> bool {
        self.steps.set(self.steps.get() + 1);
        self.steps.get() >= self.over_at
    }

    fn pause(&self, time: Duration) {
        self.pauses.set(self.pauses.get() + 1);
        self.pass(time + self.oversleeps);
        (self.meanwhile)();
    }
}

fn store(machine: &Machine, project: u64, trace: &str, spans: u64, filler: usize) {
    let text = "lorem ipsum ".repeat(filler / 12);
    let line = |n: u64| format!("span|{trace}|s{n}|1||1|2|note=word{n},text={text}{trace}{n}");
    let body = (0..spans).map(line).collect::<Vec<_>>().join("\n");
    let submission = Submission {
        envelope: Envelope {
            project,
            ..Envelope::default()
        },
        events: events(body.as_bytes()).unwrap(),
        body: Bytes::from(body),
    };
    let stored = machine.commit(|engine, done| engine.submit(submission, done));
    assert!(stored.is_some());
}

/// A machine on which a merge is due: small sections, one with columns in blocks, and payload of many blocks.
fn before_a_merge() -> Machine {
    let machine = Machine::new(1, &Toy);
    for part in 0..8 {
        store(&machine, 1, &format!("t{part}"), 700, 400);
        store(&machine, 2, &format!("t{part}"), 3, 10);
        store(&machine, 3, &format!("t{part}"), 100, 1_000);
        flush(&machine.engine());
    }
    machine
}

fn flush(engine: &Engine) {
    engine.freeze();
    while engine.flush_step().unwrap() {}
}

fn files(machine: &Machine) -> Vec<FileId> {
    let mut files = machine.disk.handle().list().unwrap();
    files.retain(|file| file.kind == FileKind::Segment);
    files.sort();
    files
}

/// Every row as it is stored, and nothing on the disk that should not be there.
fn rows(machine: &Machine) -> Vec<(String, Bytes)> {
    let checked = verify(&machine.disk.handle()).unwrap();
    assert!(checked.findings.is_empty(), "{:?}", checked.findings);
    let snapshot = machine.engine().snapshot();
    let mut all = Vec::new();
    for (project, part) in (1..=3).flat_map(|project| (0..8).map(move |part| (project, part))) {
        let trace = snapshot
            .trace(ProjectId(project), &format!("t{part}"))
            .unwrap();
        let spans = trace.spans.into_iter();
        all.extend(spans.map(|row| (format!("{project} {:?}", row.core), row.body)));
    }
    assert_eq!(all.len(), 8 * 803);
    all
}

#[test]
fn a_merge_is_given_up_between_any_two_steps_and_leaves_nothing() {
    let machine = before_a_merge();
    let engine = machine.engine();
    let (before, inputs) = (rows(&machine), files(&machine));
    assert_eq!(inputs.len(), 8);
    let mut given_up = 0;
    loop {
        let hand = Hand {
            over_at: given_up + 1,
            ..Hand::default()
        };
        if engine.compact_in_steps(&hand).unwrap() {
            break;
        }
        given_up += 1;
        assert_eq!(hand.steps.get(), given_up, "it stops where it is told to");
        assert_eq!(files(&machine), inputs);
        assert_eq!(engine.stats().merges_stopped, given_up);
    }
    // The order, blocks of payload, columns and terms of three projects.
    assert!(given_up > 30, "{given_up}");
    assert_eq!(files(&machine).len(), 1);
    assert_eq!(rows(&machine), before);
    let stats = engine.stats();
    assert_eq!(stats.compactions, 1);
    assert!(stats.merge_steps > given_up * given_up / 2);
}

#[test]
fn a_merge_pauses_for_who_waits_and_not_for_ever() {
    let pauses_while = |queued: bool, oversleeps: Duration| {
        let machine = before_a_merge();
        let engine = machine.engine();
        if queued {
            engine.control(Bytes::from_static(b"waits"), Box::new(|_| {}));
        }
        let hand = Hand {
            oversleeps,
            ..Hand::default()
        };
        assert!(engine.compact_in_steps(&hand).unwrap());
        let paused = Duration::from_nanos(engine.stats().merge_paused_ns);
        (hand.steps.get(), hand.pauses.get(), paused)
    };
    assert_eq!(pauses_while(false, Duration::ZERO).1, 0);
    let (steps, pauses, paused) = pauses_while(true, Duration::ZERO);
    assert_eq!(pauses, steps);
    // Looking at the clock takes a step's time here.
    assert_eq!(paused, (STEP * 3 + STEP) * u32::try_from(pauses).unwrap());
    let (steps, pauses, paused) = pauses_while(true, Duration::from_secs(3));
    assert_eq!(pauses, 4, "of {steps}");
    assert!(paused > MERGE_PAUSED_MAX);
}

/// A question counts while it is answered, and a quarter of a second longer.
#[test]
fn a_merge_pauses_for_questions() {
    let machine = before_a_merge();
    let engine = machine.engine();
    let asked = engine.snapshot();
    let hand = Hand {
        over_at: 5,
        ..Hand::default()
    };
    assert!(!engine.compact_in_steps(&hand).unwrap());
    assert_eq!(hand.pauses.get(), 5);
    drop(asked);
    let held = std::cell::RefCell::new(Some(engine.snapshot()));
    let hand = Hand {
        meanwhile: &|| drop(held.borrow_mut().take()),
        ..Hand::default()
    };
    // Nothing was asked since it began, and what held the version lets it go in the first pause.
    assert!(engine.compact_in_steps(&hand).unwrap());
    assert_eq!(hand.pauses.get(), 1);
    let machine = before_a_merge();
    let engine = machine.engine();
    let is_first = Cell::new(true);
    engine.control(Bytes::from_static(b"waits"), Box::new(|_| {}));
    let hand = Hand {
        meanwhile: &|| {
            if is_first.take() {
                while engine.commit_step() > 0 {}
                drop(engine.snapshot());
            }
        },
        ..Hand::default()
    };
    assert!(engine.compact_in_steps(&hand).unwrap());
    // 40 ms of the first pause, then 10 of a step and 20 of a pause until 250 ms are over.
    let pauses = hand.pauses.get();
    assert!((5..hand.steps.get() / 2).contains(&pauses), "{pauses}");
}

#[test]
fn a_merge_whose_inputs_somebody_else_merged_is_given_up() {
    let machine = before_a_merge();
    let engine = machine.engine();
    let before = rows(&machine);
    engine.control(Bytes::from_static(b"waits"), Box::new(|_| {}));
    let hand = Hand {
        meanwhile: &|| assert!(engine.compact_step().unwrap()),
        ..Hand::default()
    };
    assert!(!engine.compact_in_steps(&hand).unwrap());
    assert_eq!(hand.pauses.get(), 1);
    while engine.commit_step() > 0 {}
    assert_eq!(files(&machine).len(), 1);
    assert_eq!(rows(&machine), before);
    assert_eq!(engine.stats().compactions, 1);
}

/// The same after its last step: another merge is done while the output gets its name.
#[test]
fn a_merge_that_comes_too_late_is_not_committed() {
    let machine = before_a_merge();
    let engine = machine.engine();
    let before = rows(&machine);
    let (is_first, busy) = (AtomicBool::new(true), Arc::downgrade(&engine));
    machine.disk.meanwhile(Some(Arc::new(move |wait| {
        if wait.point.op == Op::Publish && is_first.swap(false, Ordering::Relaxed) {
            let merged = Weak::upgrade(&busy).map(|engine| engine.compact_step().unwrap());
            assert_eq!(merged, Some(true));
        }
    })));
    machine.disk.set_plan(FaultPlan {
        slow: Some((1, 1_000)),
        ..FaultPlan::default()
    });
    assert!(!engine.compact_in_steps(&Hand::default()).unwrap());
    machine.disk.meanwhile(None);
    assert_eq!(files(&machine).len(), 1);
    assert_eq!(rows(&machine), before);
    assert_eq!(engine.stats().compactions, 1);
}
