//! Many lives of one machine, without wiping in between.

use obsrv_wal::sim::{Fault, FaultPlan, Op, SimRng};

use super::{Flaw, Outcome, World};

/// Crashes per seed, at least.
pub const LIVES: u64 = 20;

/// Random work, random ends. Everything is held against the ledger after each recovery.
///
/// # Errors
/// What is wrong, in words, with seed and life.
pub fn lives(seed: u64, flaw: Flaw) -> Result<World, String> {
    let mut world = World::new(seed, flaw);
    let rng = SimRng::new(seed);
    for life in 0..LIVES {
        one(&mut world, &rng).map_err(|what| format!("seed {seed} life {life}: {what}"))?;
    }
    recovered(&mut world).map_err(|what| format!("seed {seed} at the end: {what}"))?;
    Ok(world)
}

fn one(world: &mut World, rng: &SimRng) -> Result<(), String> {
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
    world.plan(plan);
    world.work(5 + rng.below(60));
    end(world, rng);
    Ok(())
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
