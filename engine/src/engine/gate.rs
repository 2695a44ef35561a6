//! Gates of ingest: where too much waits, a request is refused before it makes that worse, with the name of the gate.
//!
//! Segments that no merge has taken yet are opened by every question. Once there are many, ingest is slowed a little
//! more with each of them, and then refused until merges have caught up.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::pace::Beats;
use super::share::{Part, Shares};
use super::{Done, Engine, IngestError, add};
use crate::manifest::State;
use crate::row::ProjectId;

/// Segments that wait for their first merge at which ingest is refused, if nobody says otherwise.
pub const FRESH_MAX: u64 = 36;
/// How much ingest is slowed at most, for each request.
pub const SLOW_TIME_MAX: Duration = Duration::from_millis(250);

/// How many wait when ingest is slowed first: 20 of 36.
pub const fn slow_from(max: u64) -> u64 {
    max / 9 * 5
}

/// How many wait when a project with more than its part is refused, if there are others: 32 of 36.
const fn fair_max(max: u64) -> u64 {
    max - max / 9
}

/// How many wait when merges get the priority of everything else, before ingest has to wait for them: 16 of 36.
pub(super) const fn urgent_from(max: u64) -> u64 {
    max / 9 * 4
}

/// What refuses ingest. A label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// Bytes that wait for a commit.
    Queue,
    /// Memtables that wait for their flush.
    Memtables,
    /// Segments that wait for their first merge.
    Merges,
    /// Room on the disk.
    Disk,
    /// A record before it that waits for the disk to read: see [`Engine::unreadable`].
    Reads,
}

impl Gate {
    /// All.
    pub const ALL: [Self; 5] = [
        Self::Queue,
        Self::Memtables,
        Self::Merges,
        Self::Disk,
        Self::Reads,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Memtables => "memtables",
            Self::Merges => "merges",
            Self::Disk => "disk",
            Self::Reads => "reads",
        }
    }

    const fn at(self) -> usize {
        match self {
            Self::Queue => 0,
            Self::Memtables => 1,
            Self::Merges => 2,
            Self::Disk => 3,
            Self::Reads => 4,
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far merges are behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Not much.
    Open,
    /// So far that each request waits for so long.
    Slow(Duration),
    /// So far that ingest is refused.
    Shut,
}

impl Pressure {
    /// With so many segments that wait for their first merge, of so many at which ingest is refused.
    pub fn of(fresh: u64, max: u64) -> Self {
        Self::between(slow_from(max), fresh, max)
    }

    /// The same for a project, once one of them put more than its part into the memtable: that one is slowed and refused
    /// first, and the others not before it is refused.
    pub(super) fn fairly(part: Part, fresh: u64, max: u64) -> Self {
        match part {
            Part::Equal => Self::of(fresh, max),
            Part::Over => Self::between(slow_from(max), fresh, fair_max(max)),
            Part::Under => Self::between(fair_max(max), fresh, max),
        }
    }

    fn between(from: u64, fresh: u64, max: u64) -> Self {
        if fresh >= max {
            return Self::Shut;
        }
        let Some(over) = fresh.checked_sub(from) else {
            return Self::Open;
        };
        // By the square, so that the first ones are hardly felt.
        let part = u128::from(over + 1) * u128::from(over + 1);
        let steps = u128::from(max - from);
        let micros = SLOW_TIME_MAX.as_micros() * part / (steps * steps);
        Self::Slow(Duration::from_micros(
            u64::try_from(micros).unwrap_or(u64::MAX),
        ))
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Slow(_) => "slow",
            Self::Shut => "shut",
        }
    }
}

/// Requests that each gate refused.
#[derive(Debug, Default)]
pub(super) struct Refusals([AtomicU64; Gate::ALL.len()]);

impl Refusals {
    pub(super) fn all(&self) -> [u64; Gate::ALL.len()] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Counts the outcome of a request, wherever it comes to that.
    pub(super) fn counting(self: &Arc<Self>, done: Done) -> Done {
        let all = Arc::clone(self);
        Box::new(move |outcome| {
            let gate = match &outcome {
                Err(IngestError::Overloaded(gate)) => Some(*gate),
                Err(IngestError::NoSpace) => Some(Gate::Disk),
                Ok(_)
                | Err(IngestError::OutcomeUnknown | IngestError::Closed | IngestError::TooLarge) => {
                    None
                }
            };
            if let Some(gate) = gate {
                all.count(gate);
            }
            done(outcome);
        })
    }

    fn count(&self, gate: Gate) {
        if let Some(counter) = self.0.get(gate.at()) {
            add(counter, 1);
        }
    }
}

/// What gates look at, and what they did.
#[derive(Debug)]
pub(super) struct Gates {
    pub(super) shares: Shares,
    pub(super) refusals: Arc<Refusals>,
    /// Segments that wait for their first merge, as of the last edit or merge.
    pub(super) fresh: AtomicU64,
    /// See [`super::Stats::merge_priority_low`].
    pub(super) merge_is_low: AtomicBool,
    pub(super) beats: Beats,
}

impl Gates {
    /// Of what is listed when an engine opens.
    pub(super) fn of(state: &State) -> Self {
        Self {
            shares: Shares::default(),
            refusals: Arc::default(),
            fresh: fresh_of(state, &BTreeMap::new()).into(),
            merge_is_low: AtomicBool::default(),
            beats: Beats::default(),
        }
    }
}

/// Segments that wait for their first merge. A damaged one waits for no merge.
fn fresh_of(state: &State, damaged: &BTreeMap<u64, String>) -> u64 {
    let waits = state
        .segments
        .iter()
        .filter(|(number, meta)| meta.level == 0 && !damaged.contains_key(number));
    u64::try_from(waits.count()).unwrap_or(u64::MAX)
}

impl Engine {
    /// How far merges are behind.
    pub fn pressure(&self) -> Pressure {
        self.pressure_of(Part::Equal)
    }

    /// What that is for a project: its request is to wait that long before it is submitted.
    pub fn pressure_on(&self, project: ProjectId) -> Pressure {
        self.pressure_of(self.gates.shares.part(project))
    }

    fn pressure_of(&self, part: Part) -> Pressure {
        let fresh = self.gates.fresh.load(Ordering::Relaxed);
        Pressure::fairly(part, fresh, self.options.fresh_max)
    }

    /// Refuses a request of the project that would be refused now, as far as that can be told without its body: who asks
    /// first need not read one in vain.
    pub fn admit(&self, project: ProjectId) -> Result<(), IngestError> {
        let gate = if self.hold.is_shut() {
            Gate::Reads
        } else if self.pressure_on(project) == Pressure::Shut {
            Gate::Merges
        } else if self.queue.is_full() {
            Gate::Queue
        } else if self.gates.shares.must_wait(self.frozen_count(), project) {
            Gate::Memtables
        } else {
            return Ok(());
        };
        self.gates.refusals.count(gate);
        Err(IngestError::Overloaded(gate))
    }

    /// Segments that wait for their first merge at which it refuses ingest.
    pub fn fresh_max(&self) -> u64 {
        self.options.fresh_max
    }

    /// Whether fresh segments are enough for a merge.
    pub(super) fn fresh_are_due(&self) -> bool {
        let due = u64::try_from(self.options.merge_min).unwrap_or(u64::MAX);
        self.gates.fresh.load(Ordering::Relaxed) >= due
    }

    /// Counts the segments that wait for their first merge.
    pub(super) fn note_fresh(&self, state: &State) {
        let fresh = fresh_of(state, &self.damaged.lock());
        self.gates.fresh.store(fresh, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ingest_is_slowed_from_twenty_and_refused_from_thirty_six() {
        let of = |fresh| Pressure::of(fresh, FRESH_MAX);
        assert_eq!((of(0), of(19)), (Pressure::Open, Pressure::Open));
        let time = |fresh| match of(fresh) {
            Pressure::Slow(time) => time,
            other => panic!("{fresh}: {other:?}"),
        };
        assert!(time(20) <= Duration::from_millis(1));
        for fresh in 21..36 {
            assert!(time(fresh) > time(fresh - 1));
        }
        assert_eq!(time(35), SLOW_TIME_MAX);
        assert_eq!((of(36), of(u64::MAX)), (Pressure::Shut, Pressure::Shut));
        let from = (slow_from(FRESH_MAX), urgent_from(FRESH_MAX));
        assert_eq!((from, fair_max(FRESH_MAX)), ((20, 16), 32));
        assert_eq!(Pressure::of(1 << 40, u64::MAX), Pressure::Open);
        assert_eq!(Pressure::of(0, 0), Pressure::Shut);
    }

    #[test]
    fn whoever_has_too_much_is_refused_before_the_others_are_slowed() {
        let of = |part, fresh| Pressure::fairly(part, fresh, FRESH_MAX);
        for fresh in 0..=FRESH_MAX {
            assert_eq!(of(Part::Equal, fresh), Pressure::of(fresh, FRESH_MAX));
        }
        assert_eq!(of(Part::Over, 19), Pressure::Open);
        assert!(matches!(of(Part::Over, 20), Pressure::Slow(_)));
        assert_eq!(of(Part::Over, 31), Pressure::Slow(SLOW_TIME_MAX));
        assert_eq!(of(Part::Under, 31), Pressure::Open);
        assert_eq!(of(Part::Over, 32), Pressure::Shut);
        assert!(matches!(of(Part::Under, 32), Pressure::Slow(_)));
        assert_eq!(of(Part::Under, 35), Pressure::Slow(SLOW_TIME_MAX));
        assert_eq!(of(Part::Under, 36), Pressure::Shut);
        assert_eq!(Pressure::fairly(Part::Under, 0, 0), Pressure::Shut);
    }
}
