//! Power losses and kills, at random and at every call.

use obsrv_engine::io::FileKind;
use obsrv_tests::sim::{Coverage, Flaw, Lie, Outcome, Step, World, lives};
use obsrv_wal::sim::{Fault, FaultPlan};

use crate::campaign::{Part, each, setting};
use crate::{decay, recovery, refusal, stuck};

static RANDOM: Part = Part::new("random lives", || {
    let first = setting("OBSRV_SIM_FIRST", 0);
    let seeds = setting("OBSRV_SIM_SEEDS", 300);
    let run = |seed| lives(seed, Flaw::None).map(|world| world.coverage());
    each(first, seeds, run)
});

static EXHAUSTIVE: Part = Part::new("every call the last", || {
    let run = |number| {
        let end = [End::Power, End::Kill][usize::from(number % 3 == 0)];
        every_call(number, end)
    };
    let first = setting("OBSRV_SIM_FIRST", 0);
    each(first, setting("OBSRV_SIM_WORKLOADS", 24), run)
});

/// States that a loss of power at one call may leave, which are tried.
const LOSSES: u64 = 5;

static STATES: Part = Part::new("every call leaves many states", || {
    let first = setting("OBSRV_SIM_FIRST", 0);
    each(first, setting("OBSRV_SIM_WORKLOADS", 4), every_state)
});

static FAILING: Part = Part::new("every call fails", || {
    let run = |number: u64| {
        let fault = Fault::ALL[usize::try_from(number % 3).unwrap_or(0)];
        every_call(number, End::Fail(fault))
    };
    each(0, 9, run)
});

/// What ends a life at a given call.
#[derive(Clone, Copy, Debug)]
enum End {
    Power,
    Kill,
    Fail(Fault),
}

/// One life in which something goes wrong at a given call, then everything it left behind is
/// checked.
fn ends_at(seed: u64, call: u64, end: End) -> Result<(Outcome, World), String> {
    let mut world = World::new(seed, Flaw::None);
    let mut plan = FaultPlan::default();
    match end {
        End::Power => plan.crash_at = Some(call),
        End::Kill => plan.kill_at = Some(call),
        End::Fail(fault) => plan.fail_at = Some((call, fault)),
    }
    world.plan(plan);
    let mut outcome = world.open()?;
    if outcome == Outcome::Done {
        outcome = world.work(30);
    }
    if world.ops() >= call {
        outcome = Outcome::Down;
    }
    let at = |what: String| format!("seed {seed} call {call} {end:?}: {what}");
    if matches!(end, End::Fail(_)) && outcome == Outcome::Down {
        world.goes_on().map_err(at)?;
    }
    match end {
        End::Power => world.cut_power(),
        End::Kill => world.kill(),
        // What a failed sync left in the cache goes with the power.
        End::Fail(_) => {
            if seed.is_multiple_of(2) {
                world.kill();
                world.open().map_err(at)?;
            }
            world.cut_power();
        }
    }
    world.open().map_err(at)?;
    world.check().map_err(|what| at(what.to_string()))?;
    Ok((outcome, world))
}

/// Work that asks for the log's next file often. Which calls making it took.
fn work_with_spares(world: &mut World) -> Vec<u64> {
    let mut calls = Vec::new();
    for _ in 0..60 {
        if world.work(3) == Outcome::Down {
            break;
        }
        let before = world.ops();
        let outcome = world.step(Step::Spare);
        calls.extend(before + 1..=world.ops());
        if outcome == Outcome::Down {
            break;
        }
    }
    calls
}

/// Lives that end while the log's next file is made: it is rarely due in a small workload.
static SPARES: Part = Part::new("spare files", || {
    let run = |number: u64| {
        let mut sum = Coverage::default();
        let mut whole = World::new(number, Flaw::None);
        whole.open()?;
        for call in work_with_spares(&mut whole) {
            for end in [End::Power, End::Kill] {
                let mut world = World::new(number, Flaw::None);
                let mut plan = FaultPlan::default();
                match end {
                    End::Kill => plan.kill_at = Some(call),
                    _ => plan.crash_at = Some(call),
                }
                world.plan(plan);
                world.open()?;
                work_with_spares(&mut world);
                match end {
                    End::Kill => world.kill(),
                    _ => world.cut_power(),
                }
                let at = |what: String| format!("seed {number} call {call} {end:?}: {what}");
                world.open().map_err(at)?;
                world.check().map_err(|what| at(what.to_string()))?;
                sum.add(&world.coverage());
            }
        }
        Ok(sum)
    };
    each(0, 6, run)
});

/// The calls of one workload, each the last one.
fn every_call(seed: u64, end: End) -> Result<Coverage, String> {
    let mut sum = Coverage::default();
    for call in 1.. {
        let (outcome, world) = ends_at(seed, call, end)?;
        sum.add(&world.coverage());
        if outcome == Outcome::Done {
            break;
        }
    }
    Ok(sum)
}

/// The calls of one workload, each the last one; and of each, what a kill leaves and several of the states
/// that a loss of power may leave. The work up to the call is done once for all of them.
fn every_state(seed: u64) -> Result<Coverage, String> {
    let mut sum = Coverage::default();
    for call in 1.. {
        let mut world = World::new(seed, Flaw::None);
        world.plan(FaultPlan {
            kill_at: Some(call),
            ..FaultPlan::default()
        });
        if world.open()? == Outcome::Done {
            world.work(30);
        }
        let is_last = world.ops() < call;
        world.kill();
        for loss in 0..LOSSES {
            let mut other = world.fork(seed ^ (call << 32) ^ (loss << 56));
            other.plan(FaultPlan {
                names_in_order: loss == 0,
                ..FaultPlan::default()
            });
            other.cut_power();
            let at = |what: String| format!("seed {seed} call {call} loss {loss}: {what}");
            other.open().map_err(at)?;
            other.check().map_err(|what| at(what.to_string()))?;
            sum.add(&other.coverage());
        }
        let at = |what: String| format!("seed {seed} call {call} killed: {what}");
        world.open().map_err(at)?;
        world.check().map_err(|what| at(what.to_string()))?;
        sum.add(&world.coverage());
        if is_last {
            break;
        }
    }
    Ok(sum)
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_changed_at_random_crash_points() {
    RANDOM.coverage();
}

#[test]
fn every_call_of_small_workloads_may_be_the_last() {
    EXHAUSTIVE.coverage();
}

#[test]
fn every_call_of_small_workloads_may_leave_many_states() {
    STATES.coverage();
}

#[test]
fn every_call_of_small_workloads_may_fail_in_every_way() {
    FAILING.coverage();
}

#[test]
fn every_fault_point_is_hit() {
    let mut sum = Coverage::default();
    for part in [
        &RANDOM,
        &EXHAUSTIVE,
        &STATES,
        &FAILING,
        &SPARES,
        &recovery::NESTED,
        &recovery::FAILING,
        &refusal::FULL,
        &decay::DAMAGED,
        &stuck::SLOW,
        &stuck::STUCK,
        &stuck::RECOVERING,
    ] {
        sum.add(part.coverage());
    }
    println!("{}", sum.table());
    let missing = sum.missing();
    assert!(missing.is_empty(), "never happened: {missing:#?}");
    assert!(sum.crashes >= 20_000, "crash points {}", sum.crashes);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let first = lives(seed, Flaw::None).unwrap();
        let second = lives(seed, Flaw::None).unwrap();
        assert_eq!(first.trace_hash(), second.trace_hash(), "seed {seed}");
    }
}

#[test]
fn a_lying_disk_is_caught() {
    for lie in [
        Lie::NoSync(FileKind::Wal),
        Lie::NoSync(FileKind::Manifest),
        Lie::NoSync(FileKind::Segment),
        Lie::NoSync(FileKind::Side),
        Lie::NoDirectorySync,
    ] {
        let caught = (0..200).find(|seed| lives(*seed, Flaw::Disk(lie)).is_err());
        println!("{lie:?} caught at seed {caught:?}");
        assert!(caught.is_some(), "{lie:?} went unnoticed");
    }
}
