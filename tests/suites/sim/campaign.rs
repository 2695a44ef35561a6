//! Runs machines on every core and adds up what they went through.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use obsrv_tests::sim::Coverage;

/// A part of the suite: run once, whichever test asks first.
pub(crate) struct Part {
    name: &'static str,
    run: fn() -> Result<Coverage, String>,
    done: OnceLock<Result<Coverage, String>>,
}

impl Part {
    pub(crate) const fn new(name: &'static str, run: fn() -> Result<Coverage, String>) -> Self {
        Self {
            name,
            run,
            done: OnceLock::new(),
        }
    }

    /// What it went through.
    pub(crate) fn coverage(&self) -> &Coverage {
        let done = self.done.get_or_init(|| {
            let done = (self.run)();
            if let Ok(coverage) = &done {
                println!("{}: {} crash points", self.name, coverage.crashes);
            }
            done
        });
        match done {
            Ok(coverage) => coverage,
            Err(what) => panic!("{}: {what}", self.name),
        }
    }
}

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().expect("a number"))
}

/// Runs `run` for every number below `count`, two at a time as the machine of the CI has it, or as many as
/// `OBSRV_SIM_THREADS` says. Which run is on which thread changes nothing: each is a machine of its own. The
/// first violation wins.
///
/// # Errors
/// As `run`, of the lowest number that failed.
pub(crate) fn each(
    first: u64,
    count: u64,
    run: impl Fn(u64) -> Result<Coverage, String> + Sync,
) -> Result<Coverage, String> {
    let next = AtomicU64::new(first);
    let sum = Mutex::new((Coverage::default(), None::<(u64, String)>));
    let lock = || sum.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..setting("OBSRV_SIM_THREADS", 2).max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first + count || lock().1.is_some() {
                        return;
                    }
                    let outcome = run(number);
                    let mut sum = lock();
                    match outcome {
                        Ok(coverage) => sum.0.add(&coverage),
                        Err(what) if sum.1.as_ref().is_none_or(|(n, _)| number < *n) => {
                            sum.1 = Some((number, what));
                        }
                        Err(_) => {}
                    }
                }
            });
        }
    });
    match sum.into_inner().unwrap_or_else(PoisonError::into_inner) {
        (coverage, None) => Ok(coverage),
        (_, Some((_, what))) => Err(what),
    }
}
