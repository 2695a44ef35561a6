//! Notices a disk that does not answer.

use obsrv_engine::engine::Commits;

use crate::limits::STUCK_TIME;

/// Looks at group commits from time to time. One that runs for [`STUCK_TIME`] is stuck, until it ends.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    last: Commits,
    since_ns: u64,
}

impl Watchdog {
    /// Whether the commit that runs now is stuck; `now_ns` never goes back.
    pub(super) fn is_stuck(&mut self, now: Commits, now_ns: u64) -> bool {
        if now != self.last {
            self.last = now;
            self.since_ns = now_ns;
        }
        let for_ns = u128::from(now_ns.saturating_sub(self.since_ns));
        now.begun > now.ended && for_ns >= STUCK_TIME.as_nanos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: Commits = Commits { begun: 5, ended: 4 };

    fn limit() -> u64 {
        u64::try_from(STUCK_TIME.as_nanos()).unwrap()
    }

    #[test]
    fn a_commit_is_stuck_at_the_limit_and_not_before() {
        let mut dog = Watchdog::default();
        assert!(!dog.is_stuck(RUNS, 1_000));
        assert!(!dog.is_stuck(RUNS, limit() + 999));
        assert!(dog.is_stuck(RUNS, limit() + 1_000));
        assert!(!dog.is_stuck(Commits { ended: 5, ..RUNS }, limit() + 1_001));
    }

    #[test]
    fn commits_that_end_and_an_idle_log_are_not_stuck() {
        let mut dog = Watchdog::default();
        for n in 0..100 {
            let now = Commits {
                begun: n + 1,
                ended: n,
            };
            assert!(!dog.is_stuck(now, n * limit()));
        }
        let idle = Commits { begun: 9, ended: 9 };
        assert!(!dog.is_stuck(idle, 200 * limit()));
        assert!(!dog.is_stuck(idle, 900 * limit()));
    }
}
