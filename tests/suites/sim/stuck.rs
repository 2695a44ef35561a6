//! Calls that take long or never return: nobody but who called waits for them, and what they did of their work is the
//! only thing that is not known. Time is that of the disk; nothing sleeps.

use obsrv_tests::sim::{Coverage, Flaw, Ill, Outcome, World, slow_lives};
use obsrv_wal::sim::{Event, FaultPlan, Stuck};

use crate::campaign::{Part, each, setting};
use crate::recovery::crashed;

const STUCK_NS: u64 = 60_000_000_000;
/// What becomes of the machine; nothing: the call returns late, and others are slow.
const ENDS: [Option<Ill>; 3] = [None, Some(Ill::Kill), Some(Ill::PowerLoss)];

pub(crate) static SLOW: Part = Part::new("slow lives", || {
    let first = setting("OBSRV_SIM_FIRST", 0);
    let seeds = setting("OBSRV_SIM_SEEDS", 300) / 10;
    let run = |seed| slow_lives(seed).map(|world| world.coverage());
    each(first, seeds, run)
});

pub(crate) static STUCK: Part = Part::new("every call stuck", || {
    let first = setting("OBSRV_SIM_FIRST", 0);
    each(first, setting("OBSRV_SIM_WORKLOADS", 24) / 8, every_call)
});

pub(crate) static RECOVERING: Part = Part::new("recoveries stuck", || each(0, 6, recovering));

/// Makes this call stuck, with that end.
fn plan(world: &mut World, call: u64, end: Option<Ill>) {
    world.plan(FaultPlan {
        stuck: Some(Stuck {
            call,
            ns: STUCK_NS,
            is_done: call.is_multiple_of(2),
        }),
        slow: end.is_none().then_some((4, STUCK_NS / 60)),
        ..FaultPlan::default()
    });
    world.end_stuck(end);
}

fn was_stuck(world: &World) -> bool {
    let hits = world.disk().hits();
    hits.keys().any(|event| matches!(event, Event::Stuck(_)))
}

/// A life in which a call is stuck; then the machine ends, or the call returns and all goes on as if nothing had been.
fn stuck_at(seed: u64, call: u64, end: Option<Ill>) -> Result<(bool, World), String> {
    let at = |what: String| format!("seed {seed} call {call} {end:?}: {what}");
    let mut world = World::new(seed, Flaw::None);
    plan(&mut world, call, end);
    let mut outcome = world.open().map_err(at)?;
    if outcome == Outcome::Done {
        outcome = world.work(30);
    }
    let is_hit = was_stuck(&world);
    if end.is_none() {
        if outcome == Outcome::Down {
            return Err(at("a call that returns is no failure".into()));
        }
        world.goes_on().map_err(at)?;
    }
    match end {
        Some(Ill::Kill) => world.kill(),
        _ => world.cut_power(),
    }
    world.open().map_err(at)?;
    world.check().map_err(|what| at(what.to_string()))?;
    Ok((is_hit, world))
}

fn every_call(seed: u64) -> Result<Coverage, String> {
    let mut sum = Coverage::default();
    for call in 1.. {
        let mut is_hit = false;
        for end in ENDS {
            let (hit, world) = stuck_at(seed, call, end)?;
            sum.add(&world.coverage());
            is_hit |= hit;
        }
        if !is_hit {
            break;
        }
    }
    Ok(sum)
}

/// The same of the calls of a recovery.
fn recovering(seed: u64) -> Result<Coverage, String> {
    let (origin, mut sum) = (crashed(seed)?, Coverage::default());
    for call in 1.. {
        let mut is_hit = false;
        for end in ENDS {
            let at = |what: String| format!("seed {seed} call {call} {end:?}: {what}");
            let mut world = origin.fork(call);
            let number = world.ops() + call;
            plan(&mut world, number, end);
            let opened = world.open().map_err(at)?;
            is_hit |= was_stuck(&world);
            if end.is_none() && opened == Outcome::Down {
                return Err(at("a call that returns is no failure".into()));
            }
            match end {
                None => {}
                Some(Ill::Kill) => world.kill(),
                Some(_) => world.cut_power(),
            }
            if end.is_some() {
                world.open().map_err(at)?;
            }
            world.check().map_err(|what| at(what.to_string()))?;
            sum.add(&world.coverage());
        }
        if !is_hit {
            break;
        }
    }
    Ok(sum)
}

#[test]
fn a_call_that_takes_long_keeps_nobody_else_waiting() {
    let sum = SLOW.coverage();
    let slow = sum
        .points
        .keys()
        .filter(|event| matches!(event, Event::Slow(_)));
    assert!(slow.count() > 20);
}

#[test]
fn every_call_of_small_workloads_may_be_stuck() {
    STUCK.coverage();
}

#[test]
fn every_call_of_recovery_may_be_stuck() {
    RECOVERING.coverage();
}
