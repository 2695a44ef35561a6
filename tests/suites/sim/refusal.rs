//! Calls that fail: a sync that is final, a disk that is full, a body that cannot be read again.

use obsrv_engine::engine::{Envelope, IngestError, InterpretError, Interpreter, State};
use obsrv_engine::io::FileKind;
use obsrv_engine::row::{Event, ProjectId};
use obsrv_tests::sim::{Coverage, Flaw, Outcome, Step, World};
use obsrv_tests::toy::Toy;
use obsrv_wal::sim::{Event as Hit, Fault, FaultPlan, Op, Point};

use crate::campaign::{Part, each};

/// A machine with some work done, and nothing under way.
fn settled(seed: u64, steps: u64) -> World {
    let mut world = World::new(seed, Flaw::None);
    assert_eq!(world.open().unwrap(), Outcome::Done);
    assert_eq!(world.work(steps), Outcome::Done);
    // Nothing waits for a flush, so the next request is taken.
    world.goes_on().unwrap();
    world
}

#[test]
fn a_failed_sync_of_the_log_is_final_and_a_restart_converges() {
    let failed = Hit::Failed(Point::of(Op::SyncData, FileKind::Wal), Fault::Eio);
    let mut finals = 0;
    for seed in 0..30 {
        let mut world = settled(seed, seed);
        world.plan(FaultPlan {
            odds: vec![(Op::SyncData, Fault::Eio, 1)],
            ..FaultPlan::default()
        });
        let answer = world.store(1, "score|marks|lost|1||1||").unwrap();
        assert_eq!(answer, Err(IngestError::OutcomeUnknown), "seed {seed}");
        assert!(world.coverage().points.contains_key(&failed));
        finals += 1;
        // The disk is well again: too late for this process.
        world.plan(FaultPlan::default());
        assert_eq!(world.engine().unwrap().state(), State::Failed);
        world.goes_on().unwrap();
        for power in [false, true, true] {
            if power {
                world.cut_power();
            } else {
                world.kill();
            }
            world.open().unwrap();
            world.check().unwrap();
        }
        // Whether it was there is known by now; a retry makes one row of it either way.
        world.store(1, "score|marks|lost|1||1||").unwrap().unwrap();
    }
    assert_eq!(finals, 30);
}

/// A disk that is full but for `room` bytes after so many steps, and later is not.
fn full_from(seed: u64, steps: u64, room: u64) -> Result<Coverage, String> {
    let mut world = settled(seed, steps);
    let quota = Some(world.disk().used_bytes() + room);
    world.plan(FaultPlan {
        quota,
        ..FaultPlan::default()
    });
    let engine = world.engine().ok_or("no engine")?.clone();
    if world.work(12) == Outcome::Down {
        return Err("a full disk is no failure".into());
    }
    // Rows that cannot be flushed are refused as overload; other records go on to fill the log.
    let body = "x".repeat(1_000);
    let mut taken = 0;
    while let Some(Ok(_)) = world.control(&format!("{taken} {body}")) {
        taken += 1;
        if taken > 100 {
            return Err("the log never met the full disk".into());
        }
    }
    if engine.state() != State::ReadOnly {
        return Err(format!("refused, but {:?}", engine.state()));
    }
    // Reads go on and answer right.
    world.check().map_err(|finding| finding.to_string())?;
    world.plan(FaultPlan::default());
    world.goes_on()?;
    world.cut_power();
    world.open()?;
    world.check().map_err(|finding| finding.to_string())?;
    Ok(world.coverage())
}

pub(crate) static FULL: Part = Part::new("full disks", || {
    let run = |number: u64| {
        let (seed, steps) = (number % 3, number / 3);
        let mut sum = Coverage::default();
        for room in [0, 300, 9_000] {
            let done = full_from(seed, steps, room);
            let at = |what| format!("seed {seed} steps {steps} room {room}: {what}");
            sum.add(&done.map_err(at)?);
        }
        Ok(sum)
    };
    each(0, 60, run)
});

#[test]
fn a_full_disk_refuses_reads_on_and_heals() {
    FULL.coverage();
}

#[test]
fn an_open_that_finds_no_space_loses_nothing() {
    let run = |seed: u64| {
        let mut world = settled(seed, 50);
        let mut low = world.disk().used_bytes();
        world.cut_power();
        let mut refused = false;
        loop {
            let mut full = world.fork(low);
            full.plan(FaultPlan {
                quota: Some(low),
                ..FaultPlan::default()
            });
            let opened = full.open()? == Outcome::Done;
            if opened {
                full.check().map_err(|finding| finding.to_string())?;
            }
            refused |= !opened;
            full.cut_power();
            full.open()?;
            full.check().map_err(|finding| finding.to_string())?;
            if opened {
                return Ok((refused, full.coverage()));
            }
            low += 40_000;
        }
    };
    let sum = each(0, 4, |seed| run(seed).map(|(_, coverage)| coverage));
    sum.unwrap_or_else(|what: String| panic!("{what}"));
}

/// A dialect that cannot read what it once accepted.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Panics,
    Refuses,
    ReadsOther,
}

impl Interpreter for Broken {
    fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        let events = Toy.interpret(envelope, body)?;
        if !events.iter().any(|event| &*event.key.id == "poison") {
            return Ok(events);
        }
        match self {
            Self::Panics => panic!("planted: the dialect panics"),
            Self::Refuses => Err(InterpretError {
                reason: "planted".into(),
            }),
            Self::ReadsOther => Ok(Vec::new()),
        }
    }
}

#[test]
fn a_record_that_cannot_be_read_again_is_set_aside_and_the_rest_opens() {
    for broken in [Broken::Panics, Broken::Refuses, Broken::ReadsOther] {
        let mut world = World::new(7, Flaw::None);
        world.open().unwrap();
        for id in ["before", "poison", "after"] {
            let body = format!("score|marks|{id}|1||1||");
            world.store(1, &body).unwrap().unwrap();
        }
        world.cut_power();
        world.open_with(&broken).unwrap();
        let engine = world.engine().unwrap();
        assert_eq!(engine.stats().quarantined, 1, "{broken:?}");
        let rows = engine.snapshot().trace(ProjectId(1), "marks").unwrap();
        let ids: Vec<_> = rows.scores.iter().map(|row| &*row.core.id).collect();
        assert_eq!(ids, ["before", "after"], "{broken:?}");
        assert_eq!(engine.state(), State::Ready);
        // A reader that is whole again finds it in the log.
        world.kill();
        world.open().unwrap();
        world.check().unwrap();
        assert_eq!(world.step(Step::Freeze), Outcome::Done);
        assert_eq!(world.step(Step::Flush), Outcome::Done);
        world.check().unwrap();
    }
}

/// F17: a memtable that cannot be flushed three times in a row ends the engine; two times do not,
/// and a flush that works forgets them.
#[test]
fn a_flush_that_fails_three_times_in_a_row_ends_the_engine() {
    let broken = |op| FaultPlan {
        odds: vec![(op, Fault::Eio, 1)],
        ..FaultPlan::default()
    };
    for op in [Op::WriteAt, Op::SyncData, Op::Publish, Op::SyncDir] {
        let mut world = World::new(3, Flaw::None);
        world.open().unwrap();
        for round in 0..2 {
            let body = format!("span|t{round}|s1|1||1|2|k1=2\nscore|marks|r{round}|1||1||");
            world.store(1, &body).unwrap().unwrap();
            world.step(Step::Freeze);
            world.plan(broken(op));
            assert_eq!(world.step(Step::Flush), Outcome::Done, "{op:?}");
            assert_eq!(world.step(Step::Flush), Outcome::Done, "{op:?}");
            assert_eq!(world.engine().unwrap().failure(), None);
            world.plan(FaultPlan::default());
            assert_eq!(world.step(Step::Flush), Outcome::Done, "{op:?}");
        }
        world.store(1, "score|marks|end|1||1||").unwrap().unwrap();
        world.step(Step::Freeze);
        world.plan(broken(op));
        assert_eq!(world.step(Step::Flush), Outcome::Done, "{op:?}");
        assert_eq!(world.step(Step::Flush), Outcome::Done, "{op:?}");
        assert_eq!(world.step(Step::Flush), Outcome::Down, "{op:?}");
        let engine = world.engine().unwrap();
        assert_eq!(engine.state(), State::Failed);
        let cause = engine.failure().unwrap();
        assert!(cause.contains("flush: segment not written"), "{cause}");
        assert!(cause.contains("file=segment-"), "{cause}");
        // Nothing is lost: the log is kept, and a restart does what could not be done.
        world.plan(FaultPlan::default());
        world.goes_on().unwrap();
        world.cut_power();
        world.open().unwrap();
        world.goes_on().unwrap();
    }
}

/// A full disk is no failure, however often a flush meets it.
#[test]
fn a_flush_without_space_is_put_off_for_as_long_as_it_takes() {
    let mut world = settled(4, 10);
    world.store(1, "score|marks|late|1||1||").unwrap().unwrap();
    world.step(Step::Freeze);
    world.plan(FaultPlan {
        odds: vec![(Op::Create, Fault::NoSpace, 1)],
        ..FaultPlan::default()
    });
    for _ in 0..10 {
        assert_eq!(world.step(Step::Flush), Outcome::Done);
    }
    world.plan(FaultPlan::default());
    world.goes_on().unwrap();
}
