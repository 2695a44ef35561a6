//! Bugs that the simulator found, each pinned by the shortest story that shows it.

use obsrv_engine::engine::{Ahead, State};
use obsrv_engine::io::FileKind;
use obsrv_tests::sim::{Flaw, Outcome, Step, World};
use obsrv_wal::sim::{Event, Fault, FaultPlan, Op, Point};

const BODY: &str = "span|t1|s1|1||1|2|k1=2\nscore|marks|kept|1||1||";

fn opened(seed: u64) -> World {
    let mut world = World::new(seed, Flaw::None);
    assert_eq!(world.open().unwrap(), Outcome::Done);
    world
}

fn fails(op: Op, fault: Fault) -> FaultPlan {
    FaultPlan {
        odds: vec![(op, fault, 1)],
        ..FaultPlan::default()
    }
}

/// The identity file got its name, the directory sync after it failed, and the next life believed
/// the name: a power cut then left data without an identity, and no open ever again.
#[test]
fn an_identity_whose_directory_sync_failed_does_not_lock_the_directory() {
    for seed in 0..20 {
        let mut world = World::new(seed, Flaw::None);
        world.plan(fails(Op::SyncDir, Fault::Eio));
        assert_eq!(world.open().unwrap(), Outcome::Down);
        world.kill();
        world.open().unwrap();
        world.store(1, "score|marks|kept|1||1||").unwrap().unwrap();
        world.cut_power();
        world.open().unwrap();
        world.check().unwrap();
    }
}

/// A flush whose directory sync failed left a segment under its name, and every later try at the
/// same memtable found the name taken: ingest was refused as overload until a restart.
#[test]
fn a_flush_whose_directory_sync_failed_is_done_by_the_next_one() {
    let mut world = opened(1);
    world.store(1, BODY).unwrap().unwrap();
    world.step(Step::Freeze);
    world.plan(fails(Op::SyncDir, Fault::Eio));
    assert_eq!(world.step(Step::Flush), Outcome::Done);
    let failed = Event::Failed(Point::of(Op::SyncDir, FileKind::Segment), Fault::Eio);
    assert!(world.coverage().points.contains_key(&failed));
    world.plan(FaultPlan::default());
    world.goes_on().unwrap();
}

/// An edit of the manifest whose sync failed was on disk all the same, and the next try at the flush removed the
/// segment that it names in order to write it again: no open ever after.
#[test]
fn a_flush_after_an_edit_of_unknown_outcome_leaves_its_segment() {
    let mut failed = 0;
    for (at, after) in (1..40).flat_map(|at| (1..20).map(move |after| (at, after))) {
        let mut world = opened(at * 100 + after);
        world.store(1, BODY).unwrap().unwrap();
        world.step(Step::Freeze);
        world.plan(FaultPlan {
            fail_at: Some((world.ops() + at, Fault::Eio)),
            ..FaultPlan::default()
        });
        failed += u64::from(world.step(Step::Flush) == Outcome::Down);
        world.plan(FaultPlan {
            crash_at: Some(world.ops() + after),
            ..FaultPlan::default()
        });
        world.step(Step::Flush);
        world.cut_power();
        world.open().unwrap();
        world.check().unwrap();
    }
    assert!(failed > 0);
}

/// The state said "ready" while every request was refused for want of space: a sync of nothing
/// counted as proof of space.
#[test]
fn a_full_log_says_read_only() {
    let mut world = opened(2);
    world.plan(fails(Op::ZeroFill, Fault::NoSpace));
    let body = "x".repeat(1_000);
    let taken = (0..200).take_while(|n| world.control(&format!("{n} {body}")).unwrap().is_ok());
    assert!(taken.count() < 200);
    for n in 200..203 {
        assert!(world.control(&format!("{n} {body}")).unwrap().is_err());
        assert_eq!(world.engine().unwrap().state(), State::ReadOnly);
    }
    world.plan(FaultPlan::default());
    world.goes_on().unwrap();
}

/// Segments without any manifest were taken for an empty directory and swept away as orphans.
#[test]
fn a_directory_without_its_manifest_is_not_taken_for_empty() {
    let mut world = opened(3);
    world.store(1, BODY).unwrap().unwrap();
    world.goes_on().unwrap();
    world.cut_power();
    let disk = world.disk().handle();
    let gone = [FileKind::Manifest, FileKind::Wal];
    for id in world.disk().names() {
        if gone.contains(&id.kind) {
            disk.remove(id).unwrap();
        }
    }
    let refused = world.open().unwrap_err();
    assert!(refused.contains("manifest is missing"), "{refused}");
    let segment = |kind: FileKind| kind == FileKind::Segment;
    assert!(world.disk().names().iter().any(|id| segment(id.kind)));
}

/// The manifest's checkpoint found no space, though the edit before it was durable, and the engine
/// counted as failed: a full disk ended the process.
#[test]
fn a_checkpoint_of_the_manifest_without_space_waits() {
    let mut world = opened(4);
    let no_space = Event::Failed(Point::of(Op::Create, FileKind::Manifest), Fault::NoSpace);
    for n in 0..270 {
        if n == 250 {
            world.plan(fails(Op::Create, Fault::NoSpace));
        }
        world.control(&format!("{n}")).unwrap().unwrap();
        world.step(Step::Freeze);
        assert_eq!(world.step(Step::Flush), Outcome::Done, "flush {n}");
    }
    assert!(world.coverage().points.contains_key(&no_space));
    world.plan(FaultPlan::default());
    world.goes_on().unwrap();
    world.cut_power();
    world.open().unwrap();
    world.check().unwrap();
}

/// A next file of the log that could not be made counted as work done, and the thread that makes it tried
/// again at once: without descriptors or space it took a whole core and wrote 7,000 lines a second.
#[test]
fn a_next_file_that_cannot_be_made_is_told_from_one_that_was() {
    let mut world = opened(5);
    let spare = |world: &World| world.engine().unwrap().spare_step();
    assert_eq!(spare(&world), Ahead::NotDue);
    let body = "x".repeat(100);
    world.plan(fails(Op::Create, Fault::NoSpace));
    let mut n = 0;
    while spare(&world) == Ahead::NotDue {
        n += 1;
        world.control(&format!("{n} {body}")).unwrap().unwrap();
    }
    for _ in 0..3 {
        assert_eq!(spare(&world), Ahead::Wanting);
    }
    world.plan(FaultPlan::default());
    assert_eq!(spare(&world), Ahead::Made);
    assert_eq!(spare(&world), Ahead::NotDue);
    world.check().unwrap();
}
