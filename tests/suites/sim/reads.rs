//! Reads that the disk refuses more than once, while records are published that need them (F15).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use obsrv_engine::engine::check::verify;
use obsrv_engine::engine::repair::repair;
use obsrv_engine::engine::{Deletion, Engine, Envelope, Gate, IngestError, State, Submission};
use obsrv_engine::io::{Disk, FileKind};
use obsrv_engine::row::{ProjectId, Table};
use obsrv_tests::sim::{Coverage, Flaw, Outcome, Step, World};
use obsrv_tests::toy;
use obsrv_wal::sim::{FaultPlan, SimDisk};
use parking_lot::Mutex;

use crate::campaign::{Part, each};

const PROJECT: ProjectId = ProjectId(1);
/// A span and its run, in a segment that no read has been answered from: what the engine keeps of blocks went with
/// the process.
const FIRST: &str = "span|t1|s1|1||1|2|k1=1\nscore|marks|first|1||1||";
/// Changes the span.
const SECOND: &str = "span|t1|s1|2||1|3|k1=2\nscore|marks|second|1||1||";

fn flushed() -> World {
    let mut world = World::new(1, Flaw::None);
    world.open().unwrap();
    world.store(1, FIRST).unwrap().unwrap();
    // Not as a step of the world: that may commit other records meanwhile.
    let engine = world.engine().unwrap().clone();
    engine.freeze();
    assert!(engine.flush_step().unwrap());
    drop(engine);
    world.kill();
    world.open().unwrap();
    world
}

/// Reads fail from now on.
fn refuse_reads(world: &mut World) {
    world.plan(FaultPlan {
        refuse_reads: Some((0, u64::MAX)),
        ..FaultPlan::default()
    });
}

fn k1(engine: &Engine, trace: &str) -> String {
    match engine.snapshot().trace(PROJECT, trace) {
        Ok(rows) => rows
            .spans
            .iter()
            .map(|row| format!("{:?}", row.body))
            .collect(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_record_waits_for_a_read_and_is_stored_once_the_disk_reads() {
    let mut world = flushed();
    let engine = world.engine().unwrap().clone();
    refuse_reads(&mut world);
    let before = engine.snapshot().lsn();
    for n in 1..4 {
        let body = SECOND.replace("second", &format!("second{n}"));
        let answer = world.store(1, &body).unwrap();
        assert_eq!(answer, Err(IngestError::OutcomeUnknown), "not answered");
        assert_eq!((engine.state(), engine.stats().waiting), (State::Ready, 1));
    }
    let commits = engine.commits();
    assert_eq!(commits.begun, commits.ended, "the log is not stuck");
    assert_eq!(engine.unreadable(), None, "it may pass");
    // Nothing of them is shown, and what needs no read is answered.
    assert_eq!(engine.snapshot().lsn(), before);
    let refused = engine.snapshot().trace(PROJECT, "t1").unwrap_err();
    assert!(refused.to_string().contains("segment-"), "{refused}");
    engine.snapshot().trace(ProjectId(2), "t1").unwrap();
    world.plan(FaultPlan::default());
    world.step(Step::Commit);
    assert_eq!(engine.stats().waiting, 0);
    world.check().unwrap();
    world.goes_on().unwrap();
    assert_eq!(engine.stats().lost, 0);
    world.cut_power();
    world.open().unwrap();
    world.check().unwrap();
}

/// Nobody waits for long behind a record that waits: what is not in the log yet is refused, whatever it is.
#[test]
fn after_ten_tries_all_that_comes_is_refused_until_the_disk_reads() {
    let mut world = flushed();
    let engine = world.engine().unwrap().clone();
    refuse_reads(&mut world);
    let queued = Arc::new(Mutex::new(Vec::new()));
    let ask = |trace: &str| {
        let tell = Arc::clone(&queued);
        let done = Box::new(move |answer| tell.lock().push(answer));
        engine.delete(PROJECT, Deletion::Trace(trace.into()), done);
    };
    assert_eq!(
        world.store(1, SECOND).unwrap(),
        Err(IngestError::OutcomeUnknown)
    );
    ask("other");
    for _ in 2..10 {
        engine.commit_step();
    }
    assert_eq!(engine.unreadable(), None, "nine tries");
    assert_eq!(queued.lock().len(), 0);
    engine.commit_step();
    let why = engine.unreadable().unwrap();
    assert!(
        why.contains("file=segment-") && why.contains("offset="),
        "{why}"
    );
    let refused = || Err(IngestError::Overloaded(Gate::Reads));
    assert_eq!(*queued.lock(), [refused()], "what was queued");
    ask("another");
    assert_eq!(*queued.lock(), [refused(), refused()], "what comes");
    let more = SECOND.replace("second", "more");
    assert_eq!(
        world.store(2, &more).unwrap(),
        Err(IngestError::NoSpace),
        "not stored"
    );
    assert_eq!(
        world.control("said").unwrap(),
        Err(IngestError::NoSpace),
        "not stored"
    );
    let stats = engine.stats();
    assert_eq!(
        (engine.state(), stats.waiting, stats.queue_bytes),
        (State::Ready, 1, 0)
    );
    let at = Gate::ALL
        .iter()
        .position(|gate| *gate == Gate::Reads)
        .unwrap();
    assert_eq!(stats.refused[at], 1, "of ingest");
    engine.snapshot().trace(ProjectId(2), "t1").unwrap();
    world.plan(FaultPlan::default());
    world.step(Step::Commit);
    assert_eq!((engine.unreadable(), engine.stats().waiting), (None, 0));
    world.check().unwrap();
    world.goes_on().unwrap();
}

/// By the threads of a server: nobody but they ask again.
#[test]
fn the_commit_thread_asks_again_and_a_stop_does_not_wait() {
    for heals in [true, false] {
        let mut world = flushed();
        let engine = world.engine().unwrap().clone();
        refuse_reads(&mut world);
        let threads = engine.start().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let ask = |body: &str| {
            let tell = tell.clone();
            let envelope = Envelope {
                project: PROJECT.0,
                ..Envelope::default()
            };
            let submission = Submission {
                envelope,
                events: toy::events(body.as_bytes()).unwrap(),
                body: Bytes::copy_from_slice(body.as_bytes()),
            };
            engine.submit(submission, Box::new(move |answer| drop(tell.send(answer))));
        };
        ask(SECOND);
        while engine.unreadable().is_none() {
            std::thread::yield_now();
        }
        ask(&SECOND.replace("second", "third"));
        assert_eq!(
            told.recv().unwrap(),
            Err(IngestError::Overloaded(Gate::Reads))
        );
        if heals {
            world.plan(FaultPlan::default());
            told.recv().unwrap().unwrap();
            threads.stop();
        } else {
            threads.stop();
            assert_eq!(told.recv().unwrap(), Err(IngestError::OutcomeUnknown));
        }
        drop(engine);
        world.kill();
        world.open().unwrap();
        let stats = world.engine().unwrap().stats();
        assert_eq!(
            stats.events,
            if heals { 0 } else { 2 },
            "what is left to replay"
        );
        assert!(k1(world.engine().unwrap(), "t1").contains("k1"));
    }
}

#[test]
fn a_record_that_waits_when_the_process_ends_is_in_the_log() {
    for power in [false, true] {
        let mut world = flushed();
        refuse_reads(&mut world);
        assert!(world.store(1, SECOND).unwrap().is_err());
        if power {
            world.cut_power();
        } else {
            world.kill();
        }
        world.open().unwrap();
        let changed = k1(world.engine().unwrap(), "t1");
        world.check().unwrap();
        // The same again changes nothing: it is there.
        let events = world.engine().unwrap().stats().duplicates;
        world
            .store(1, &SECOND.replace("|second|", "|third|"))
            .unwrap()
            .unwrap();
        assert_eq!(world.engine().unwrap().stats().duplicates, events + 1);
        assert_eq!(k1(world.engine().unwrap(), "t1"), changed);
    }
}

/// A run that its span's new version changes is remade when somebody looks: it is not there to be shown until the
/// disk reads, and nobody else's question waits for it.
#[test]
fn a_run_that_cannot_be_remade_fails_the_questions_of_its_project_alone() {
    let mut world = flushed();
    let other = "span|t1|s1|1||1|2|k1=1\nscore|marks|other|1||1||";
    world.store(2, other).unwrap().unwrap();
    let engine = world.engine().unwrap().clone();
    // All but the run is read already, so the record is published.
    for (table, at) in [
        (Table::Spans, ("t1", "s1")),
        (Table::Scores, ("marks", "first")),
    ] {
        engine.snapshot().row(PROJECT, table, at).unwrap().unwrap();
    }
    refuse_reads(&mut world);
    let late = "span|t1|s9|1||1|2|k1=1\nscore|marks|late|1||1||";
    world.store(1, late).unwrap().unwrap();
    let snapshot = engine.snapshot();
    assert_eq!(snapshot.trace(ProjectId(2), "t1").unwrap().spans.len(), 1);
    let refused = snapshot.trace(PROJECT, "t1").unwrap_err();
    assert!(refused.to_string().contains("segment-"), "{refused}");
    let partial = engine.snapshot().allowing_partial();
    assert!(partial.trace(PROJECT, "t1").unwrap().run.is_none());
    let said: Vec<String> = partial
        .left_out()
        .into_iter()
        .map(|left| left.part)
        .collect();
    assert!(
        said.iter().any(|part| part.contains("newest version")),
        "{said:?}"
    );
    // What is not whole is not frozen, so it is not flushed, and the log keeps it.
    engine.freeze();
    assert_eq!(engine.stats().frozen, 0);
    assert_eq!(engine.state(), State::Ready);
    world.plan(FaultPlan::default());
    engine.index_step();
    assert_eq!(engine.stats().frozen, 1, "it was due");
    world.step(Step::Commit);
    world.check().unwrap();
    world.goes_on().unwrap();
}

#[test]
fn deletes_wait_for_a_read_whole() {
    let mut world = flushed();
    let engine = world.engine().unwrap().clone();
    refuse_reads(&mut world);
    let told = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&told);
    let done = Box::new(move |answer| *tell.lock() = Some(answer));
    engine.delete(PROJECT, Deletion::Trace("t1".into()), done);
    engine.commit_step();
    assert!(told.lock().is_none(), "it needs the index of traces");
    world.plan(FaultPlan::default());
    engine.commit_step();
    let receipt = told.lock().take().unwrap().unwrap();
    assert_eq!(receipt.hidden.rows, 2, "the span and its run");
    assert!(
        engine
            .snapshot()
            .trace(PROJECT, "t1")
            .unwrap()
            .spans
            .is_empty()
    );
}

/// Neither a wait nor an open ends it, and a repair says what is lost with it.
#[test]
fn a_byte_that_never_reads_again_is_given_up_by_a_repair() {
    let mut world = flushed();
    refuse_reads(&mut world);
    assert!(world.store(1, SECOND).unwrap().is_err());
    let refused = k1(world.engine().unwrap(), "t1");
    let offset = refused.split("offset=").nth(1).unwrap();
    let offset: u64 = offset.split(':').next().unwrap().trim().parse().unwrap();
    let files = world.disk().names().into_iter();
    let segment = files.filter(|file| file.kind == FileKind::Segment).min();
    let segment = segment.unwrap();
    world.kill();
    let before = world.disk().peek(segment).unwrap();
    world.plan(FaultPlan {
        refuse_byte: Some((segment, offset)),
        ..FaultPlan::default()
    });
    assert_eq!(world.open().unwrap(), Outcome::Down);
    let disk: Arc<dyn Disk> = world.disk().handle();
    let aside = SimDisk::new(1);
    let keep: Arc<dyn Disk> = aside.handle();
    let plan = repair(&disk, None).unwrap();
    let done = repair(&disk, Some(&keep)).unwrap();
    assert_eq!(plan, done, "the dry run");
    let is_named = |lost: &String| lost.contains("segment-") && lost.contains("Spans");
    assert!(done.lost.iter().any(is_named), "{done:?}");
    let kept = aside.peek(segment).unwrap();
    assert_eq!(kept.len(), before.len(), "the copy");
    assert!(kept != before, "what the disk refuses is not in it");
    world.plan(FaultPlan::default());
    world.open().unwrap();
    let rows = world.engine().unwrap().snapshot().trace(PROJECT, "t1");
    assert_eq!(rows.unwrap().spans.len(), 1, "what the record says alone");
    assert_eq!(verify(&disk).unwrap().findings, Vec::<String>::new());
}

/// The disk refuses so many calls long, from each call of a workload on: no process ends, and nothing is lost, doubled
/// or answered wrong when it reads again.
fn refused_from(seed: u64, call: u64) -> Result<(bool, Coverage), String> {
    let mut world = World::new(seed, Flaw::None);
    let at = |what: String| format!("seed {seed} call {call}: {what}");
    world.plan(FaultPlan {
        refuse_reads: Some((call, 60)),
        ..FaultPlan::default()
    });
    if world.open().map_err(at)? == Outcome::Down {
        // An open that cannot read says so, and the next one may.
        world.kill();
        world.open().map_err(at)?;
    }
    let mut done = Outcome::Done;
    for _ in 0..40 {
        done = world.work(1);
        if done == Outcome::Down {
            break;
        }
        let waits = world
            .engine()
            .is_some_and(|engine| engine.stats().waiting > 0);
        WAITED.fetch_add(u64::from(waits), Ordering::Relaxed);
    }
    let is_over = world.ops() < call;
    if done == Outcome::Down {
        let why = world.engine().and_then(|engine| engine.failure());
        // A new segment that does not read, three times in a row, is F17.
        let is_flush = why.as_ref().is_some_and(|why| why.starts_with("flush"));
        if !is_flush {
            return Err(at(format!("failed: {why:?}")));
        }
        world.kill();
        world.open().map_err(at)?;
    }
    world.plan(FaultPlan::default());
    world.step(Step::Commit);
    world.check().map_err(|finding| at(finding.to_string()))?;
    world.goes_on().map_err(at)?;
    world.cut_power();
    world.open().map_err(at)?;
    world.check().map_err(|finding| at(finding.to_string()))?;
    Ok((is_over, world.coverage()))
}

/// Steps after which a record waited.
static WAITED: AtomicU64 = AtomicU64::new(0);

static REFUSED: Part = Part::new("refused reads", || {
    each(0, 6, |seed| {
        let mut sum = Coverage::default();
        for call in (1..).step_by(7) {
            let (is_over, coverage) = refused_from(seed, call)?;
            sum.add(&coverage);
            if is_over {
                return Ok(sum);
            }
        }
        Ok(sum)
    })
});

#[test]
fn a_disk_that_refuses_to_read_for_a_while_ends_nothing() {
    REFUSED.coverage();
    let waited = WAITED.load(Ordering::Relaxed);
    println!("refused reads: a record waited after {waited} steps");
    assert!(waited > 100);
}
