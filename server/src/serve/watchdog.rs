//! Notices an engine that has failed and a disk that does not answer.

use std::time::Duration;

use obsrv_engine::engine::{Commits, Engine, State};
use tokio::time::interval;

use crate::http::App;
use crate::limits::STUCK_TIME;

/// How often the server looks whether its engine has failed.
const WATCH_TIME: Duration = Duration::from_millis(200);

/// Looks at group commits from time to time. One that runs for [`STUCK_TIME`] is stuck, until it ends.
#[derive(Debug, Default)]
struct Watchdog {
    last: Commits,
    since_ns: u64,
}

impl Watchdog {
    /// Whether the commit that runs now is stuck; `now_ns` never goes back.
    fn is_stuck(&mut self, now: Commits, now_ns: u64) -> bool {
        if now != self.last {
            self.last = now;
            self.since_ns = now_ns;
        }
        let for_ns = u128::from(now_ns.saturating_sub(self.since_ns));
        now.begun > now.ended && for_ns >= STUCK_TIME.as_nanos()
    }
}

/// Returns when the engine has failed. Waits for nothing that waits for the disk.
pub(crate) async fn watch_over(app: &App, engine: &Engine) {
    let mut look = interval(WATCH_TIME);
    let mut watchdog = Watchdog::default();
    let mut was_stuck = false;
    while engine.state() != State::Failed {
        let is_stuck = watchdog.is_stuck(engine.commits(), app.clock.mono_ns());
        if is_stuck != was_stuck {
            app.set_stuck(is_stuck);
            was_stuck = is_stuck;
            if is_stuck {
                tracing::error!(seconds = STUCK_TIME.as_secs(), "the disk does not answer");
            } else {
                tracing::warn!("the disk answers again");
            }
        }
        look.tick().await;
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
