//! Backups: of an engine that goes on writing, whole or not at all.

use std::sync::Arc;

use obsrv_engine::engine::backup::{BackupError, copy_closed};
use obsrv_engine::engine::check::verify;
use obsrv_engine::io::{Disk, FileId, FileKind};
use obsrv_tests::sim::{Flaw, Outcome, Step, World};
use obsrv_wal::sim::{Fault, FaultPlan, Op, SimDisk};

/// A machine with work done and everything up to some record flushed; and that record.
fn sealed(seed: u64, steps: u64) -> (World, u64) {
    let mut world = World::new(seed, Flaw::None);
    world.open().unwrap();
    world.work(steps);
    let through = world.engine().unwrap().seal();
    assert!(world.engine().unwrap().prefix(through + 1).is_none());
    while world.engine().unwrap().prefix(through).is_none() {
        assert_eq!(world.step(Step::Flush), Outcome::Done);
    }
    (world, through)
}

#[test]
fn a_backup_is_every_record_up_to_one_and_none_after() {
    let mut removed = 0;
    for seed in 0..40 {
        let (mut world, through) = sealed(seed, 20 + seed * 3);
        let prefix = world.engine().unwrap().prefix(through).unwrap();
        let before = world.disk().names();
        // What goes on meanwhile is not in it, and takes nothing away from it.
        world.work(60);
        for _ in 0..8 {
            world.step(Step::Compact);
        }
        let after = world.disk().names();
        removed += before.iter().filter(|name| !after.contains(name)).count();
        let copy = SimDisk::new(seed ^ 0xb4c);
        prefix.copy_to(&copy.handle()).unwrap();
        copy.cut_power();
        copy.restart();
        let mut restored = world.restored(copy, prefix.watermark());
        restored.open().unwrap();
        restored
            .check()
            .unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        restored.goes_on().unwrap();
        assert_eq!(restored.work(40), Outcome::Done);
        restored.check().unwrap();
        world.check().unwrap();
    }
    assert!(
        removed > 100,
        "segments must vanish while they are copied: {removed}"
    );
}

#[test]
fn a_backup_that_was_cut_short_at_any_call_does_not_open() {
    let (world, through) = sealed(7, 120);
    let prefix = world.engine().unwrap().prefix(through).unwrap();
    let mut refused = 0;
    for call in 1.. {
        let copy = SimDisk::new(call);
        copy.set_plan(FaultPlan {
            crash_at: Some(call),
            ..FaultPlan::default()
        });
        let done = prefix.copy_to(&copy.handle());
        copy.cut_power();
        copy.restart();
        copy.set_plan(FaultPlan::default());
        let target: Arc<dyn Disk> = copy.handle();
        if target.list().unwrap().is_empty() {
            continue;
        }
        let whole = verify(&target).is_ok_and(|checked| checked.findings.is_empty());
        if whole {
            let mut restored = world.restored(copy, prefix.watermark());
            restored.open().unwrap();
            restored.check().unwrap();
        } else {
            let mut restored = world.restored(copy, prefix.watermark());
            assert!(restored.open().is_err(), "call {call}: half a copy opens");
            refused += 1;
        }
        if done.is_ok() {
            assert!(whole, "call {call}");
            break;
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn every_failing_call_fails_the_backup_by_name() {
    let (world, through) = sealed(3, 80);
    let prefix = world.engine().unwrap().prefix(through).unwrap();
    for op in [
        Op::Create,
        Op::WriteAt,
        Op::SyncData,
        Op::Publish,
        Op::SyncDir,
    ] {
        let copy = SimDisk::new(1);
        copy.set_plan(FaultPlan {
            odds: vec![(op, Fault::Eio, 1)],
            ..FaultPlan::default()
        });
        assert!(prefix.copy_to(&copy.handle()).is_err(), "{op:?}");
    }
}

#[test]
fn a_target_that_is_used_is_refused() {
    let (world, through) = sealed(5, 30);
    let prefix = world.engine().unwrap().prefix(through).unwrap();
    let copy = SimDisk::new(1);
    prefix.copy_to(&copy.handle()).unwrap();
    let again = prefix.copy_to(&copy.handle());
    assert!(matches!(again, Err(BackupError::NotEmpty(_))), "{again:?}");
}

#[test]
fn a_closed_directory_is_copied_with_its_log() {
    for seed in 0..20 {
        let mut world = World::new(seed, Flaw::None);
        world.open().unwrap();
        world.work(40 + seed);
        world.kill();
        let source: Arc<dyn Disk> = world.disk().handle();
        let copy = SimDisk::new(seed);
        copy_closed(&source, &copy.handle()).unwrap();
        copy.cut_power();
        copy.restart();
        let mut restored = world.restored(copy, u64::MAX);
        restored.open().unwrap();
        restored.check().unwrap();
        restored.goes_on().unwrap();
    }
}

#[test]
fn a_damaged_segment_is_not_copied_in_silence() {
    let (world, through) = sealed(11, 100);
    let prefix = world.engine().unwrap().prefix(through).unwrap();
    let name = world
        .disk()
        .names()
        .into_iter()
        .find(|n| n.kind == FileKind::Segment);
    let segment = world.disk().handle().open(name.unwrap()).unwrap();
    let mut byte = [0];
    segment.read_at(40, &mut byte).unwrap();
    segment.write_at(40, &[!byte[0]]).unwrap();
    let done = prefix.copy_to(&SimDisk::new(1).handle());
    assert!(matches!(done, Err(BackupError::Damaged { .. })), "{done:?}");
}

#[test]
fn a_scrub_reads_every_segment_and_names_the_damaged_one() {
    let (world, _) = sealed(11, 200);
    let engine = world.engine().unwrap();
    let scrub = || {
        let steps =
            std::iter::successors(engine.scrub_step(0), |last| engine.scrub_step(last.segment));
        let steps = steps.map(|done| (done.segment, done.found.is_ok()));
        steps.collect::<Vec<_>>()
    };
    let names = world.disk().names();
    let is_segment = |n: &&FileId| n.kind == FileKind::Segment;
    let segments: Vec<u64> = names.iter().filter(is_segment).map(|n| n.number).collect();
    assert!(segments.len() > 1, "{segments:?}");
    assert_eq!(
        scrub(),
        segments.iter().map(|n| (*n, true)).collect::<Vec<_>>()
    );
    assert_eq!(engine.stats().damaged_segments, 0);
    let bad = segments[1];
    let flip = || {
        world
            .disk()
            .flip(FileId::new(FileKind::Segment, bad), 60, 1)
    };
    flip();
    assert_eq!(
        scrub(),
        segments.iter().map(|n| (*n, *n != bad)).collect::<Vec<_>>()
    );
    assert_eq!(
        engine.damaged().first().map(|(number, _)| *number),
        Some(bad)
    );
    assert_eq!(engine.stats().damaged_segments, 1);
    flip();
    scrub();
    assert_eq!(engine.stats().damaged_segments, 0);
}
