//! Cuts a failing workload down to what it needs to fail.

use super::machine::run;
use super::make::{Case, Op};
use super::value::{Fact, Val};

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
    let facts = case.ops.iter().flat_map(facts_of);
    let fields = facts.map(|fact| 1 + fact.doc.entries().len());
    case.ops.len() + fields.sum::<usize>()
}

fn facts_of(op: &Op) -> &[Fact] {
    match op {
        Op::Record { facts, .. } | Op::CutCommit { facts, .. } => facts,
        _ => &[],
    }
}

fn facts_at(case: &mut Case, op: usize) -> Option<&mut Vec<Fact>> {
    match case.ops.get_mut(op)? {
        Op::Record { facts, .. } | Op::CutCommit { facts, .. } => Some(facts),
        _ => None,
    }
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
    for op in 0..best.0.ops.len() {
        drop_each(best, runs, &|case, n| {
            let facts = facts_at(case, op).filter(|facts| n < facts.len())?;
            facts.remove(n);
            Some(())
        });
        for fact in 0..facts_of(&best.0.ops[op]).len() {
            drop_each(best, runs, &|case, n| {
                match &mut facts_at(case, op)?.get_mut(fact)?.doc {
                    Val::Map(fields) if n < fields.len() => drop(fields.remove(n)),
                    _ => return None,
                }
                Some(())
            });
        }
    }
}

/// Drops the parts of something one by one, as far as it fails without them. `drop` answers `None`
/// beyond the last.
fn drop_each(
    best: &mut (Case, String),
    runs: &mut usize,
    drop: &dyn Fn(&mut Case, usize) -> Option<()>,
) {
    let mut n = 0;
    while *runs < RUNS_MAX {
        let mut smaller = best.0.clone();
        if drop(&mut smaller, n).is_none() {
            return;
        }
        if !try_it(best, smaller, runs) {
            n += 1;
        }
    }
}
