//! Cuts a failing workload down to what it needs to fail.

use super::machine::run;
use super::make::{Case, Op};

/// Runs that a shrink may take.
const RUNS_MAX: usize = 1_500;

/// A case that fails, too, with fewer steps and facts, and how it fails.
pub fn shrink(case: &Case, what: String) -> (Case, String) {
    let mut best = (case.clone(), what);
    let mut runs = 0;
    loop {
        let before = size(&best.0);
        drop_ops(&mut best, &mut runs);
        drop_facts(&mut best, &mut runs);
        if size(&best.0) == before || runs >= RUNS_MAX {
            return best;
        }
    }
}

fn size(case: &Case) -> usize {
    let facts = case.ops.iter().map(|op| match op {
        Op::Record { facts, .. } | Op::CutCommit { facts, .. } => facts.len(),
        _ => 0,
    });
    case.ops.len() + facts.sum::<usize>()
}

/// Takes the smaller case if it fails, however it fails.
fn try_it(best: &mut (Case, String), smaller: Case, runs: &mut usize) -> bool {
    *runs += 1;
    match run(&smaller) {
        Err(what) if *runs <= RUNS_MAX => {
            *best = (smaller, what);
            true
        }
        _ => false,
    }
}

fn drop_ops(best: &mut (Case, String), runs: &mut usize) {
    let mut chunk = best.0.ops.len().div_ceil(2);
    while chunk > 0 && *runs < RUNS_MAX {
        let mut at = 0;
        while at < best.0.ops.len() && *runs < RUNS_MAX {
            let mut smaller = best.0.clone();
            let end = (at + chunk).min(smaller.ops.len());
            smaller.ops.drain(at..end);
            if !try_it(best, smaller, runs) {
                at += chunk;
            }
        }
        chunk /= 2;
    }
}

fn drop_facts(best: &mut (Case, String), runs: &mut usize) {
    for at in 0..best.0.ops.len() {
        let mut fact = 0;
        while *runs < RUNS_MAX {
            let mut smaller = best.0.clone();
            let Some(Op::Record { facts, .. } | Op::CutCommit { facts, .. }) =
                smaller.ops.get_mut(at)
            else {
                break;
            };
            if fact >= facts.len() {
                break;
            }
            facts.remove(fact);
            if !try_it(best, smaller, runs) {
                fact += 1;
            }
        }
    }
}
