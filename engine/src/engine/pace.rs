//! A merge goes in steps, and lets others go first between them.
//!
//! A step is what the writer of a segment does between two questions whether to go on: the order of the rows, a payload
//! block, a column, some terms. After each the merge looks who else is there, and [`next`] says what to do. A low priority
//! gives the processor to others; only a pause gives them the disk and its cache, too.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::gate::urgent_from;
use super::{Engine, State, add};
use crate::segment::{Steps, Stopped};

/// A merge pauses for so many times what it worked while somebody waits.
const WAITED_FOR: u32 = 3;
/// Somebody who was there so long ago may be there again.
const LATELY: Duration = Duration::from_millis(250);
/// Shorter pauses are saved up: to fall asleep costs, too.
const PAUSE_MIN: Duration = Duration::from_millis(2);
/// One pause. Whoever wakes up others need not know of it: it is short.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// All pauses of one merge, so that it ends however busy the engine is.
pub const MERGE_PAUSED_MAX: Duration = Duration::from_secs(10);

/// Who runs a merge: tells the time, waits, and says when to give up. Time decides when a merge is done, never what
/// comes of it.
pub trait Pace {
    /// Nanoseconds since an arbitrary start: see [`Clock::mono_ns`](obsrv_wal::io::Clock::mono_ns).
    fn mono_ns(&self) -> u64;

    /// Whether the merge is to be given up. Nothing is left of it, and another may do it later.
    fn is_over(&self) -> bool;

    /// Waits so long, or less.
    fn pause(&self, time: Duration);
}

/// Without pauses, to the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoPauses;

impl Pace for NoPauses {
    fn mono_ns(&self) -> u64 {
        0
    }
    fn is_over(&self) -> bool {
        false
    }
    fn pause(&self, _: Duration) {}
}

/// What a merge sees between two steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// How long it worked since it last paused, or had no reason to.
    worked: Duration,
    /// How long it has paused.
    paused: Duration,
    /// Segments that wait for their first merge.
    fresh: u64,
    /// From how many on merges are urgent.
    urgent: u64,
    /// A request waits for a commit, a memtable for its flush, or a question is being answered.
    waits: bool,
    /// There was a commit or a question lately.
    lately: bool,
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nobody minds: what was worked up to here is nobody's loss.
    Free,
    /// At once, but what was worked counts for the next pause.
    On,
    /// After a pause.
    Pause(Duration),
}

/// Half of the time to others who were there lately, three quarters to those who wait: so a merge takes at most four times
/// as long, and at most [`MERGE_PAUSED_MAX`] longer. None of it once merges are urgent.
fn next(seen: &Seen) -> Next {
    let share = match (seen.waits, seen.lately) {
        (true, _) => WAITED_FOR,
        (false, true) => 1,
        (false, false) => 0,
    };
    let left = MERGE_PAUSED_MAX.saturating_sub(seen.paused);
    if share == 0 || seen.fresh >= seen.urgent || left < PAUSE_MIN {
        return Next::Free;
    }
    let pause = seen.worked.saturating_mul(share).min(PAUSE_MAX).min(left);
    if pause < PAUSE_MIN {
        Next::On
    } else {
        Next::Pause(pause)
    }
}

/// What merges did in steps, and what they look at between two of them.
#[derive(Debug, Default)]
pub(super) struct Beats {
    /// Snapshots that were taken.
    pub(super) asked: AtomicU64,
    pub(super) steps: AtomicU64,
    pub(super) paused_ns: AtomicU64,
    pub(super) stopped: AtomicU64,
}

/// The steps of one merge.
pub(super) struct Pacing<'a> {
    engine: &'a Engine,
    pace: &'a dyn Pace,
    inputs: &'a [u64],
    /// When it last paused, or had no reason to.
    since: Cell<u64>,
    /// When somebody was there last.
    seen_at: Cell<Option<u64>>,
    /// Commits and questions by then.
    others: Cell<u64>,
    paused: Cell<Duration>,
}

impl fmt::Debug for Pacing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacing")
            .field("inputs", &self.inputs)
            .field("paused", &self.paused)
            .finish_non_exhaustive()
    }
}

impl<'a> Pacing<'a> {
    pub(super) fn new(engine: &'a Engine, pace: &'a dyn Pace, inputs: &'a [u64]) -> Self {
        Self {
            engine,
            pace,
            inputs,
            since: Cell::new(pace.mono_ns()),
            seen_at: Cell::new(None),
            others: Cell::new(engine.others()),
            paused: Cell::default(),
        }
    }

    fn look(&self, now: u64) -> Seen {
        let others = self.engine.others();
        if self.others.replace(others) != others {
            self.seen_at.set(Some(now));
        }
        let ago = |at: u64| Duration::from_nanos(now.saturating_sub(at));
        Seen {
            worked: ago(self.since.get()),
            paused: self.paused.get(),
            fresh: self.engine.gates.fresh.load(Ordering::Relaxed),
            urgent: urgent_from(self.engine.options.fresh_max),
            waits: self.engine.somebody_waits(),
            lately: self.seen_at.get().is_some_and(|at| ago(at) <= LATELY),
        }
    }
}

impl Steps for Pacing<'_> {
    fn next(&self) -> Result<(), Stopped> {
        let beats = &self.engine.gates.beats;
        add(&beats.steps, 1);
        let now = self.pace.mono_ns();
        match next(&self.look(now)) {
            Next::On => {}
            Next::Free => self.since.set(now),
            Next::Pause(time) => {
                self.pace.pause(time);
                let after = self.pace.mono_ns();
                let took = after.saturating_sub(now);
                add(&beats.paused_ns, took);
                let paused = self.paused.get();
                self.paused
                    .set(paused.saturating_add(Duration::from_nanos(took)));
                self.since.set(after);
            }
        }
        // After the pause: much may have happened in it.
        if self.pace.is_over()
            || self.engine.state() == State::Failed
            || !self.engine.has_all(self.inputs)
        {
            add(&beats.stopped, 1);
            return Err(Stopped);
        }
        Ok(())
    }
}

impl Engine {
    /// Commits and questions so far.
    fn others(&self) -> u64 {
        let asked = self.gates.beats.asked.load(Ordering::Relaxed);
        asked.wrapping_add(self.counters.records.load(Ordering::Relaxed))
    }

    /// Whether a request waits for a commit, a memtable for its flush, or a question over the newest version is being
    /// answered: it holds that.
    fn somebody_waits(&self) -> bool {
        self.queue.bytes() > 0
            || self.frozen_count() > 0
            || Arc::strong_count(&self.version.read()) > 1
    }

    /// Whether these segments are all live.
    fn has_all(&self, segments: &[u64]) -> bool {
        let version = self.version.read();
        segments.iter().all(|n| version.segments().contains_key(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn seen() -> Seen {
        Seen {
            worked: MS(10),
            urgent: 16,
            fresh: 15,
            waits: true,
            ..Seen::default()
        }
    }

    #[test]
    fn others_get_half_of_the_time_or_three_quarters() {
        let lately = Seen {
            waits: false,
            lately: true,
            ..seen()
        };
        let nobody = Seen {
            waits: false,
            ..seen()
        };
        let both = Seen {
            lately: true,
            ..seen()
        };
        assert_eq!(next(&seen()), Next::Pause(MS(30)));
        assert_eq!(next(&both), Next::Pause(MS(30)));
        assert_eq!(next(&lately), Next::Pause(MS(10)));
        assert_eq!(next(&nobody), Next::Free);
    }

    #[test]
    fn an_urgent_merge_does_not_pause() {
        let of = |fresh| next(&Seen { fresh, ..seen() });
        assert_eq!(of(15), Next::Pause(MS(30)));
        assert_eq!((of(16), of(u64::MAX)), (Next::Free, Next::Free));
    }

    #[test]
    fn a_pause_is_neither_short_nor_long() {
        let of = |worked| {
            next(&Seen {
                worked,
                waits: false,
                lately: true,
                ..seen()
            })
        };
        assert_eq!(of(Duration::from_nanos(1_999_999)), Next::On);
        assert_eq!(of(MS(2)), Next::Pause(MS(2)));
        assert_eq!(of(MS(50)), Next::Pause(MS(50)));
        assert_eq!(of(MS(51)), Next::Pause(MS(50)));
        assert_eq!(of(Duration::MAX), Next::Pause(MS(50)));
    }

    #[test]
    fn all_pauses_of_a_merge_have_a_bound() {
        let of = |paused| next(&Seen { paused, ..seen() });
        let before_the_end = |ms| of(MERGE_PAUSED_MAX.saturating_sub(MS(ms)));
        assert_eq!(before_the_end(30), Next::Pause(MS(30)));
        assert_eq!(before_the_end(5), Next::Pause(MS(5)));
        assert_eq!(before_the_end(2), Next::Pause(MS(2)));
        assert_eq!(before_the_end(1), Next::Free);
        assert_eq!(of(MERGE_PAUSED_MAX + MS(1)), Next::Free);
    }
}
