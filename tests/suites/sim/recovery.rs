//! Recovery that is itself cut short, level after level.

use obsrv_tests::sim::{Coverage, Flaw, Outcome, World};
use obsrv_wal::sim::{Fault, FaultPlan};

use crate::campaign::{Part, each};

/// A machine that went down with work in every place. Its recovery removes the manifest of its first life.
pub(crate) fn crashed(seed: u64) -> Result<World, String> {
    let mut world = World::new(seed, Flaw::None);
    world.open()?;
    world.kill();
    world.open()?;
    world.work(60);
    world.cut_power();
    Ok(world)
}

/// Opens until the power goes, or the process is killed, at the `call`th call. False: it was done
/// before that.
fn cut_at(world: &mut World, call: u64, kill: bool) -> Result<bool, String> {
    let at = world.ops() + call;
    world.plan(FaultPlan {
        crash_at: (!kill).then_some(at),
        kill_at: kill.then_some(at),
        ..FaultPlan::default()
    });
    let outcome = world.open()?;
    let cut = world.disk().is_down();
    if outcome == Outcome::Down && !cut {
        return Err("open went down without a crash".into());
    }
    if !cut {
        // What comes after the recovery is not part of it.
        world.plan(FaultPlan::default());
    }
    Ok(cut)
}

fn whole(world: &mut World) -> Result<(), String> {
    world.open()?;
    world.check().map_err(|finding| finding.to_string())
}

/// Every call of the first recovery, then every fourth of the second, then one of the third.
fn nested(seed: u64) -> Result<Coverage, String> {
    let mut sum = Coverage::default();
    let origin = crashed(seed)?;
    let kill = seed % 2 == 1;
    for first in 1.. {
        let at = |what: String| format!("seed {seed} first {first}: {what}");
        let mut one = origin.fork(first);
        if !cut_at(&mut one, first, kill).map_err(at)? {
            one.check().map_err(|finding| at(finding.to_string()))?;
            sum.add(&one.coverage());
            return Ok(sum);
        }
        if kill {
            one.kill();
        } else {
            one.cut_power();
        }
        for second in (1 + first % 4..).step_by(4) {
            let at = |what: String| format!("seed {seed} calls {first}, {second}: {what}");
            let mut two = one.fork(first * 1_000 + second);
            let cut = cut_at(&mut two, second, false).map_err(at)?;
            if cut {
                two.cut_power();
                if cut_at(&mut two, 1 + (first * 7 + second) % 40, kill).map_err(at)? {
                    two.cut_power();
                }
            }
            if two.engine().is_none() {
                two.open().map_err(at)?;
            }
            two.check().map_err(|finding| at(finding.to_string()))?;
            sum.add(&two.coverage());
            if !cut {
                break;
            }
        }
    }
    Ok(sum)
}

pub(crate) static NESTED: Part = Part::new("nested recoveries", || each(0, 4, nested));

/// Every call of a recovery fails, once; then the disk is well.
fn failing(seed: u64) -> Result<Coverage, String> {
    let mut sum = Coverage::default();
    let origin = crashed(seed)?;
    let fault = Fault::ALL[usize::try_from(seed % 3).unwrap_or(0)];
    for call in 1.. {
        let at = |what: String| format!("seed {seed} call {call} {fault:?}: {what}");
        let mut world = origin.fork(call);
        let before = world.ops();
        world.plan(FaultPlan {
            fail_at: Some((before + call, fault)),
            ..FaultPlan::default()
        });
        let opened = world.open().map_err(at)? == Outcome::Done;
        let failed = world.ops() >= before + call;
        if opened && failed {
            world.goes_on().map_err(at)?;
        }
        // What a failed sync left in the cache is seen by the next life and goes with the power.
        world.kill();
        whole(&mut world).map_err(at)?;
        world.cut_power();
        whole(&mut world).map_err(at)?;
        sum.add(&world.coverage());
        if !failed {
            return Ok(sum);
        }
    }
    Ok(sum)
}

pub(crate) static FAILING: Part = Part::new("failing recoveries", || each(0, 6, failing));

#[test]
fn recovery_may_be_cut_short_at_every_call_again_and_again() {
    assert!(NESTED.coverage().crashes > 1_000);
}

#[test]
fn every_call_of_recovery_may_fail() {
    FAILING.coverage();
}
