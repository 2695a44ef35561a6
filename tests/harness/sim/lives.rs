//! Many lives of one machine, without wiping in between.

use obsrv_wal::sim::{Fault, FaultPlan, Op, SimRng, Stuck};

use super::{Flaw, Ill, Outcome, World};

/// A slow call takes up to a second, by the disk's clock.
const SLOW_NS_MAX: u64 = 1_000_000_000;
/// A stuck one much longer than anybody waits.
const STUCK_NS: u64 = 60_000_000_000;

/// Crashes per seed, at least.
pub const LIVES: u64 = 20;

/// Random work, random ends. Everything is held against the ledger after each recovery.
///
/// # Errors
/// What is wrong, in words, with seed and life.
pub fn lives(seed: u64, flaw: Flaw) -> Result<World, String> {
    lives_on(World::new(seed, flaw), seed, false)
}

/// The same on a disk of which calls are slow, and now and then one is stuck, until the end of the machine or not.
///
/// # Errors
/// As [`lives`].
pub fn slow_lives(seed: u64) -> Result<World, String> {
    lives_on(World::new(seed, Flaw::None), seed, true)
}

fn lives_on(mut world: World, seed: u64, is_slow: bool) -> Result<World, String> {
    let rng = SimRng::new(seed);
    for life in 0..LIVES {
        one(&mut world, &rng, is_slow)
            .map_err(|what| format!("seed {seed} life {life}: {what}"))?;
    }
    recovered(&mut world).map_err(|what| format!("seed {seed} at the end: {what}"))?;
    Ok(world)
}

fn one(world: &mut World, rng: &SimRng, is_slow: bool) -> Result<(), String> {
    // Now and then recovery itself is cut short, maybe more than once.
    while rng.chance(3) {
        let at = world.ops() + 1 + rng.below(60);
        world.plan(end_at(at, rng));
        world.open()?;
        end(world, rng);
    }
    recovered(world)?;
    let at = world.ops() + 1 + rng.below(400);
    let mut plan = end_at(at, rng);
    if rng.chance(5) {
        plan.odds = odds();
    }
    plan.names_in_order = rng.chance(4);
    if is_slow {
        slow_down(world, &mut plan, rng);
    }
    world.plan(plan);
    world.work(5 + rng.below(60));
    end(world, rng);
    Ok(())
}

fn slow_down(world: &mut World, plan: &mut FaultPlan, rng: &SimRng) {
    plan.slow = Some((1 + rng.below(60), SLOW_NS_MAX));
    if rng.chance(2) {
        plan.stuck = Some(Stuck {
            call: world.ops() + 1 + rng.below(300),
            ns: STUCK_NS,
            is_done: rng.chance(2),
        });
        let ends = [None, Some(Ill::Kill), Some(Ill::PowerLoss)];
        let end = usize::try_from(rng.below(3)).unwrap_or(0);
        world.end_stuck(ends.get(end).copied().flatten());
    }
}

fn recovered(world: &mut World) -> Result<(), String> {
    if world.open()? == Outcome::Down {
        return Err("open went down without a crash".into());
    }
    world.check().map_err(|finding| finding.to_string())
}

fn end_at(at: u64, rng: &SimRng) -> FaultPlan {
    let kill = rng.chance(3);
    FaultPlan {
        crash_at: (!kill).then_some(at),
        kill_at: kill.then_some(at),
        ..FaultPlan::default()
    }
}

fn end(world: &mut World, rng: &SimRng) {
    if rng.chance(4) {
        world.kill();
    } else {
        world.cut_power();
    }
}

/// Calls that fail now and then, each in the ways that it can.
fn odds() -> Vec<(Op, Fault, u64)> {
    vec![
        (Op::SyncData, Fault::Eio, 60),
        (Op::SyncDir, Fault::Eio, 60),
        (Op::WriteAt, Fault::NoSpace, 40),
        (Op::WriteAt, Fault::Short, 200),
        (Op::ZeroFill, Fault::NoSpace, 30),
        (Op::Publish, Fault::Eio, 60),
        (Op::Create, Fault::NoSpace, 60),
        (Op::Remove, Fault::Eio, 30),
        (Op::ReadAt, Fault::Eio, 200),
    ]
}
