//! Crash simulation of the whole engine: flush, compaction, deletes, control events, side files,
//! deletion vectors and recovery itself, on the weakest disk that obsrv promises to survive.
//!
//! `OBSRV_SIM_SEEDS` and `OBSRV_SIM_FIRST` widen the random part for campaigns.

#![expect(clippy::print_stdout, reason = "a suite prints its counts")]

use obsrv_engine::io::FileKind;
use obsrv_tests::sim::{Lie, Outcome, World};
use obsrv_wal::sim::{FaultPlan, SimRng};

/// Crashes per seed, without wiping in between.
const LIVES: u64 = 20;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().expect("a number"))
}

/// Many lives of one machine. Answers how many crash points it went through.
fn lives(seed: u64, lie: Option<Lie>) -> Result<(World, u64), String> {
    let mut world = World::new(seed, lie);
    let rng = SimRng::new(seed);
    let mut crashes = 0;
    for life in 0..LIVES {
        let at = |what: String| format!("seed {seed} life {life}: {what}");
        // Every third life, recovery itself is cut short, maybe more than once.
        while rng.chance(3) {
            let crash_at = Some(world.ops() + 1 + rng.below(60));
            world.plan(FaultPlan {
                crash_at,
                ..FaultPlan::default()
            });
            world.open().map_err(at)?;
            crashes += 1;
            world.cut_power();
        }
        if world.open().map_err(at)? == Outcome::Down {
            return Err(at("open went down without a crash".into()));
        }
        world.check().map_err(at)?;
        let crash_at = Some(world.ops() + 1 + rng.below(400));
        world.plan(FaultPlan {
            crash_at,
            ..FaultPlan::default()
        });
        world.work(5 + rng.below(60));
        crashes += 1;
        if rng.chance(4) {
            world.kill()
        } else {
            world.cut_power()
        }
    }
    world.open()?;
    world
        .check()
        .map_err(|what| format!("seed {seed} at the end: {what}"))?;
    Ok((world, crashes))
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_changed_at_random_crash_points() {
    let first = setting("OBSRV_SIM_FIRST", 0);
    let mut crashes = 0;
    for seed in first..first + setting("OBSRV_SIM_SEEDS", 600) {
        match lives(seed, None) {
            Ok((_, n)) => crashes += n,
            Err(what) => panic!("{what}"),
        }
    }
    println!("random crash points: {crashes}");
}

/// One life up to a given call, then everything it left behind is checked.
fn crash_at(seed: u64, call: u64) -> Result<Outcome, String> {
    let mut world = World::new(seed, None);
    world.plan(FaultPlan {
        crash_at: Some(call),
        ..FaultPlan::default()
    });
    let outcome = match world.open()? {
        Outcome::Down => Outcome::Down,
        Outcome::Done => world.work(30),
    };
    world.cut_power();
    world.open()?;
    world
        .check()
        .map_err(|what| format!("seed {seed} call {call}: {what}"))?;
    Ok(outcome)
}

#[test]
fn every_call_of_small_workloads_may_be_the_last() {
    let mut points = 0;
    for seed in 0..setting("OBSRV_SIM_WORKLOADS", 24) {
        for call in 1.. {
            points += 1;
            match crash_at(seed, call) {
                Ok(Outcome::Down) => {}
                Ok(Outcome::Done) => break,
                Err(what) => panic!("{what}"),
            }
        }
    }
    println!("exhaustive crash points: {points}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let (first, _) = lives(seed, None).unwrap();
        let (second, _) = lives(seed, None).unwrap();
        assert_eq!(first.trace_hash(), second.trace_hash(), "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_caught() {
    for lie in [
        Lie::NoSync(FileKind::Wal),
        Lie::NoSync(FileKind::Manifest),
        Lie::NoSync(FileKind::Segment),
        Lie::NoSync(FileKind::Side),
        Lie::NoDirectorySync,
    ] {
        let caught = (0..200).find(|seed| lives(*seed, Some(lie)).is_err());
        println!("{lie:?} caught at seed {caught:?}");
        assert!(caught.is_some(), "{lie:?} went unnoticed");
    }
}
