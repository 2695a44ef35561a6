//! Calls that fail: a sync that is final, a disk that is full, a body that cannot be read again.

use std::sync::Arc;

use obsrv_engine::engine::check::{describe_quarantine, verify};
use obsrv_engine::engine::{Envelope, IngestError, InterpretError, Interpreter, State};
use obsrv_engine::io::{Disk, FileId, FileKind};
use obsrv_engine::row::{Event, ProjectId};
use obsrv_tests::sim::{Coverage, Flaw, Outcome, Step, World};
use obsrv_tests::toy::Toy;
use obsrv_wal::sim::{Event as Hit, Fault, FaultPlan, Op, Point};

use crate::campaign::{Part, each};

/// A machine with some work done, and nothing under way.
pub(crate) fn settled(seed: u64, steps: u64) -> World {
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
        // A reader that is whole again finds it in the log, and nothing stays set aside.
        world.kill();
        world.open().unwrap();
        assert_eq!(world.engine().unwrap().stats().quarantine_files, 0);
        let aside = |id: &FileId| id.kind == FileKind::Quarantine;
        assert!(!world.disk().names().iter().any(aside), "{broken:?}");
        world.check().unwrap();
        assert_eq!(world.step(Step::Freeze), Outcome::Done);
        assert_eq!(world.step(Step::Flush), Outcome::Done);
        world.check().unwrap();
    }
}

/// A machine with a poisoned record between two others, in the log alone; the poisoned one has its
/// body in a side file if it is to be large.
fn poisoned(large: bool) -> World {
    let mut world = World::new(8, Flaw::None);
    world.open().unwrap();
    let filler = if large { 2_000 } else { 10 };
    for (id, size) in [("before", 10), ("poison", filler), ("after", 10)] {
        let text = "x".repeat(size);
        let body = format!("score|marks|{id}|1||1||text={text}");
        world.store(1, &body).unwrap().unwrap();
    }
    world.cut_power();
    world
}

/// What `verify` says once the log has given the record up and the power went.
fn flushed_and_verified(mut world: World) -> Result<(), String> {
    // Not as a step of the world: that may commit other records meanwhile.
    let engine = world.engine().ok_or("no engine")?.clone();
    engine.freeze();
    engine.flush_step().map_err(|error| error.to_string())?;
    drop(engine);
    world.cut_power();
    let disk: Arc<dyn Disk> = world.disk().handle();
    let checked = verify(&disk).map_err(|error| error.to_string())?;
    if checked.quarantined != 1 || checked.records != 0 || !checked.findings.is_empty() {
        return Err(format!("{checked:?}"));
    }
    world.open_with(&Broken::Refuses)?;
    let stats = world.engine().ok_or("no engine")?.stats();
    if (stats.quarantined, stats.quarantine_files) != (0, 1) {
        return Err(format!("{stats:?}"));
    }
    Ok(())
}

/// F31: the bytes of a record that is set aside outlive the log that held them.
#[test]
fn a_record_that_was_set_aside_outlives_the_log() {
    for large in [false, true] {
        let mut world = poisoned(large);
        world.open_with(&Broken::Refuses).unwrap();
        let stats = world.engine().unwrap().stats();
        assert_eq!((stats.quarantined, stats.quarantine_files), (1, 1));
        assert!(stats.quarantine_bytes > 64);
        let poison = world.disk().names();
        let poison = poison.iter().find(|id| id.kind == FileKind::Quarantine);
        let poison = poison.unwrap().number;
        flushed_and_verified(world).unwrap();
        let mut world = poisoned(large);
        world.open_with(&Broken::Panics).unwrap();
        let disk: Arc<dyn Disk> = world.disk().handle();
        let lines = describe_quarantine(&disk, poison).unwrap().join("\n");
        assert!(lines.contains("reason=the interpreter panicked"), "{lines}");
        assert_eq!(lines.contains("side_bytes=0"), !large, "{lines}");
        assert!(lines.contains("project=1"), "{lines}");
    }
}

/// Whatever ends the open that sets it aside, at whichever call.
#[test]
fn setting_a_record_aside_may_be_cut_short_at_every_call() {
    let start = poisoned(true);
    let mut ends = 0;
    for call in start.ops() + 1.. {
        let mut whole = 0;
        for (plan, power) in [
            (
                FaultPlan {
                    crash_at: Some(call),
                    ..FaultPlan::default()
                },
                true,
            ),
            (
                FaultPlan {
                    kill_at: Some(call),
                    ..FaultPlan::default()
                },
                false,
            ),
            (
                FaultPlan {
                    fail_at: Some((call, Fault::Eio)),
                    ..FaultPlan::default()
                },
                false,
            ),
        ] {
            let mut world = start.fork(call);
            world.plan(plan);
            let opened = world.open_with(&Broken::Refuses).unwrap();
            whole += u64::from(opened == Outcome::Done && world.ops() < call);
            if power {
                world.cut_power();
            } else {
                world.kill();
            }
            world.open_with(&Broken::Refuses).unwrap();
            flushed_and_verified(world).unwrap_or_else(|what| panic!("call {call}: {what}"));
            ends += 1;
        }
        if whole == 3 {
            break;
        }
    }
    assert!(ends > 60, "calls {ends}");
}

/// F17: a memtable that cannot be flushed three times in a row ends the engine; two times do not,
/// and a flush that works forgets them.
#[test]
fn a_flush_that_fails_three_times_in_a_row_ends_the_engine() {
    for op in [Op::WriteAt, Op::SyncData, Op::Publish, Op::SyncDir] {
        let broken = FaultPlan {
            odds: vec![(op, Fault::Eio, 1)],
            ..FaultPlan::default()
        };
        let mut world = World::new(3, Flaw::None);
        world.open().unwrap();
        let engine = Arc::clone(world.engine().unwrap());
        for round in 0..3 {
            let body = format!("span|t{round}|s1|1||1|2|k1=2\nscore|marks|r{round}|1||1||");
            world.store(1, &body).unwrap().unwrap();
            world.step(Step::Freeze);
            world.plan(broken.clone());
            for _ in 0..2 {
                engine.flush_step().unwrap_err();
                assert_eq!(engine.failure(), None, "{op:?}");
            }
            if round < 2 {
                world.plan(FaultPlan::default());
                assert!(engine.flush_step().unwrap(), "{op:?}");
            }
        }
        engine.flush_step().unwrap_err();
        assert_eq!(engine.state(), State::Failed, "{op:?}");
        let cause = engine.failure().unwrap();
        assert!(cause.contains("flush: segment not written"), "{cause}");
        assert!(cause.contains("file=segment-"), "{cause}");
        // Nothing is lost: the log is kept, and a restart does what could not be done.
        world.plan(FaultPlan::default());
        world.goes_on().unwrap();
        drop(engine);
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

/// F18: with less room than the reserve, rows are refused while keys can be revoked and traces deleted;
/// those make room, and rows are taken again without a restart.
#[test]
fn a_nearly_full_disk_takes_deletes_and_control_events_until_there_is_room() {
    keeps_its_reserve(Flaw::None);
}

pub(crate) fn keeps_its_reserve(flaw: Flaw) {
    let mut world = World::new(8, flaw);
    world.reserve(200_000);
    world.open().unwrap();
    let engine = Arc::clone(world.engine().unwrap());
    let body = |n: u64| {
        let letter = |at: u64| char::from(b'a' + u8::try_from((n * 7 + at * at) % 26).unwrap());
        let text: String = (0..2_000).map(letter).collect();
        format!(
            "span|t{}|s{n}|1||1|2|text={text}\nscore|marks|m{n}|1||1||",
            n % 3
        )
    };
    for n in 0..60 {
        world.store(1, &body(n)).unwrap().unwrap();
        while engine.flush_step().unwrap() {}
    }
    engine.freeze();
    while engine.flush_step().unwrap() {}
    assert_eq!(engine.state(), State::Ready);
    let used = world.disk().used_bytes();
    let room = |world: &mut World, bytes: u64| {
        world.plan(FaultPlan {
            quota: Some(used + bytes),
            ..FaultPlan::default()
        });
    };
    // At the limit it is taken, one byte below it is not.
    room(&mut world, 200_000);
    assert!(engine.space_step());
    room(&mut world, 199_999);
    let refused = world.store(1, &body(100)).unwrap();
    assert_eq!(refused, Err(IngestError::NoSpace));
    assert_eq!(engine.state(), State::ReadOnly);
    world.check().unwrap();
    // What must go on goes on, also when a file of the log is full.
    for n in 0..40 {
        world
            .control(&format!("revoke {n} {}", "x".repeat(900)))
            .unwrap()
            .unwrap();
    }
    assert_eq!(
        world.store(1, &body(101)).unwrap(),
        Err(IngestError::NoSpace)
    );
    // A little more than the reserve is no reason yet, a quarter more is: it does not flicker.
    let now = world.disk().used_bytes();
    let give = |world: &mut World, bytes: u64| {
        world.plan(FaultPlan {
            quota: Some(now + bytes),
            ..FaultPlan::default()
        });
    };
    give(&mut world, 249_999);
    assert!(!engine.space_step());
    give(&mut world, 250_000);
    assert!(engine.space_step());
    assert_eq!(engine.state(), State::Ready);
    while engine.flush_step().unwrap() {}
    world.store(1, &body(102)).unwrap().unwrap();
    world.check().unwrap();
}

/// F19: a merge that has no room is not begun.
#[test]
fn a_merge_without_room_for_its_output_is_not_begun() {
    let mut world = World::new(9, Flaw::None);
    world.reserve(10_000);
    world.open().unwrap();
    let engine = Arc::clone(world.engine().unwrap());
    for n in 0..4 {
        let body = format!("span|t{n}|s{n}|1||1|2|k1={n}\nscore|marks|m{n}|1||1||");
        world.store(1, &body).unwrap().unwrap();
        engine.freeze();
        while engine.flush_step().unwrap() {}
    }
    let plan = |world: &World, room: u64| FaultPlan {
        quota: Some(world.disk().used_bytes() + room),
        ..FaultPlan::default()
    };
    let tight = plan(&world, 5_100);
    world.plan(tight);
    let before = engine.stats().segments;
    assert!(!engine.compact_step().unwrap());
    let wide = plan(&world, 50_000);
    world.plan(wide);
    assert!(engine.compact_step().unwrap());
    assert!(engine.stats().segments < before);
    world.check().unwrap();
}

/// One project that sends without end filled every memtable, and all were refused with it.
#[test]
fn who_took_more_than_a_part_is_refused_before_the_others() {
    let mut number = 0;
    let mut store = |world: &mut World, project: u64| {
        number += 1;
        let body = format!("score|marks|part{}|1||1||", 1_000 + number);
        let has_room = world.engine().unwrap().admit(ProjectId(project)).is_ok();
        let is_stored = world.store(project, &body).unwrap().is_ok();
        assert_eq!(has_room, is_stored, "told otherwise before than after");
        is_stored
    };
    let mut tried = 0;
    for seed in 0..20 {
        let mut world = settled(seed, 0);
        // Alone, a project may fill all memtables but the active one.
        for _ in 0..3 {
            assert!(store(&mut world, 1));
            world.step(Step::Freeze);
        }
        let taken = [1, 1, 1, 1, 2, 1, 2, 2, 1].map(|project| store(&mut world, project));
        // Where memtables are small there is no room for anybody by now.
        if world.engine().unwrap().stats().frozen > 3 {
            continue;
        }
        tried += 1;
        // The sixth is of who has four of five parts; the last one of who has four of seven.
        assert_eq!(
            taken,
            [true, true, true, true, true, false, true, true, true]
        );
        world.goes_on().unwrap();
    }
    assert!(tried > 0);
}
