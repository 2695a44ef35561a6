//! Whose body is decoded and logged next: projects in turn, and no project with more than a part of what is worked on.
//!
//! Pure: no clock, nothing that waits. What is in work before a body comes is what it waits for, in the decoder, in the
//! log and in the memtable. So that is bounded: by so many bytes in all, by half of them for each project, and by an
//! eighth while there is another of which nothing waits. It is there as long as one of its bodies is in work or among the
//! last that began: else one that sends now and then came behind as much as another may have alone. Whoever sends little
//! finds room, and little before it.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::{
    INGEST_WAITING_MAX, INGEST_WAITING_PER_PROJECT_MAX, INGEST_WORK_BYTES_PER_PROCESSOR,
    INGEST_WORK_MEMORY_SHARE,
};

/// What the smallest body counts: it costs more than its bytes.
const COST_MIN: u64 = 1 << 10;
/// The largest counts one part in this many of all, so that there are some at once.
const COST_SHARE: u64 = 4;
/// A project's part of all, and while there is another of which nothing waits.
const PROJECT_SHARES: (u64, u64) = (2, 8);
/// The projects of so many bodies that began last are there.
const RECENT: usize = 64;

/// How much is worked on at once, and how many bodies may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Bytes.
    pub(crate) work: u64,
    pub(crate) waiting: usize,
    pub(crate) waiting_per_project: usize,
}

impl Bounds {
    /// With so many processors, and a memory budget of so many bytes.
    pub(crate) fn of(processors: usize, memory_bytes: u64) -> Self {
        let processors = u64::try_from(processors).unwrap_or(1).max(1);
        Self {
            work: INGEST_WORK_BYTES_PER_PROCESSOR
                .saturating_mul(processors)
                .min(memory_bytes / INGEST_WORK_MEMORY_SHARE),
            waiting: INGEST_WAITING_MAX,
            waiting_per_project: INGEST_WAITING_PER_PROJECT_MAX,
        }
    }

    /// What a body of so many bytes counts.
    fn cost(self, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        bytes.max(COST_MIN).min(self.work / COST_SHARE)
    }
}

/// A body in work, or one that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket {
    project: u64,
    number: u64,
    cost: u64,
}

/// What becomes of a body that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It is in work.
    Runs(Ticket),
    /// It will be: see [`Turns::done`].
    Waits(Ticket),
    /// It may not wait.
    Full,
}

#[derive(Debug, Default)]
struct Lane {
    /// What is in work counts so much.
    work: u64,
    /// How many of the last that began are its own.
    recent: usize,
    /// Oldest first.
    waiting: VecDeque<Ticket>,
}

impl Lane {
    fn is_gone(&self) -> bool {
        self.work == 0 && self.recent == 0 && self.waiting.is_empty()
    }
}

/// Bodies in work and bodies that wait.
#[derive(Debug)]
pub(super) struct Turns {
    bounds: Bounds,
    work: u64,
    waiting: usize,
    /// No project without a body, now or among the last that began.
    lanes: BTreeMap<u64, Lane>,
    /// The projects of those, oldest first.
    recent: VecDeque<u64>,
    /// Projects that wait, each once, whose turn comes next first.
    turn: VecDeque<u64>,
    tickets: u64,
}

impl Turns {
    pub(super) const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            work: 0,
            waiting: 0,
            lanes: BTreeMap::new(),
            recent: VecDeque::new(),
            turn: VecDeque::new(),
            tickets: 0,
        }
    }

    /// A body of a project comes. Others may begin by that: one of which something waits makes them wait no longer.
    pub(super) fn ask(&mut self, project: u64, bytes: usize) -> (Asked, Vec<Ticket>) {
        let waiting = self.lanes.get(&project).map_or(0, |l| l.waiting.len());
        // Whoever waits for nothing may wait in any case: else a few could keep everybody else out.
        let is_full = waiting >= self.bounds.waiting_per_project
            || (waiting > 0 && self.waiting >= self.bounds.waiting);
        let ticket = Ticket {
            project,
            number: self.tickets,
            cost: self.bounds.cost(bytes),
        };
        self.tickets += 1;
        self.waiting += 1;
        let lane = self.lanes.entry(project).or_default();
        lane.waiting.push_back(ticket);
        if waiting == 0 {
            self.turn.push_back(project);
        }
        let mut begun = self.advance();
        if let Some(place) = begun.iter().position(|new| *new == ticket) {
            begun.remove(place);
            return (Asked::Runs(ticket), begun);
        }
        if is_full {
            begun.extend(self.leave(ticket));
            return (Asked::Full, begun);
        }
        (Asked::Waits(ticket), begun)
    }

    /// One that was in work is done: these are now.
    pub(super) fn done(&mut self, ticket: Ticket) -> Vec<Ticket> {
        if let Some(lane) = self.lanes.get_mut(&ticket.project) {
            lane.work -= ticket.cost;
            self.work -= ticket.cost;
        }
        self.forget(ticket.project);
        self.advance()
    }

    /// One that waits gives up: these are in work now. One that does not wait any more changes nothing.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Vec<Ticket> {
        let Some(lane) = self.lanes.get_mut(&ticket.project) else {
            return Vec::new();
        };
        let Some(place) = lane.waiting.iter().position(|waits| *waits == ticket) else {
            return Vec::new();
        };
        lane.waiting.remove(place);
        self.waiting -= 1;
        if lane.waiting.is_empty() {
            self.turn.retain(|project| *project != ticket.project);
        }
        self.forget(ticket.project);
        self.advance()
    }

    fn forget(&mut self, project: u64) {
        let lane = self.lanes.get(&project);
        if lane.is_some_and(Lane::is_gone) {
            self.lanes.remove(&project);
        }
    }

    /// A body of a project began; the oldest of the last ones is none of them any more.
    fn remember(&mut self, project: u64) {
        self.recent.push_back(project);
        if self.recent.len() > RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            if let Some(lane) = self.lanes.get_mut(&oldest) {
                lane.recent -= 1;
            }
            self.forget(oldest);
        }
    }

    /// Begins what may begin.
    fn advance(&mut self) -> Vec<Ticket> {
        let mut begun = Vec::new();
        let mut at = 0;
        while let Some(&project) = self.turn.get(at) {
            let part = self.part();
            let Some(lane) = self.lanes.get_mut(&project) else {
                break;
            };
            let Some(&next) = lane.waiting.front() else {
                break;
            };
            // One body it has in any case: a large one may be more than a part.
            if lane.work > 0 && lane.work + next.cost > part {
                // It has its part; the others need not wait for that.
                at += 1;
                continue;
            }
            if self.work + next.cost > self.bounds.work {
                // Smaller ones do not overtake it: it would wait for ever.
                break;
            }
            lane.waiting.pop_front();
            lane.work += next.cost;
            lane.recent += 1;
            self.work += next.cost;
            self.waiting -= 1;
            self.turn.remove(at);
            if !lane.waiting.is_empty() {
                self.turn.push_back(project);
            }
            self.remember(project);
            begun.push(next);
            if self.part() > part {
                // One that was there is not any more: those that were passed over may begin.
                at = 0;
            }
        }
        begun
    }

    /// The most of one project of which something waits.
    fn part(&self) -> u64 {
        let (alone, beside) = PROJECT_SHARES;
        let is_alone = self.lanes.len() == self.turn.len();
        self.bounds.work / if is_alone { alone } else { beside }
    }

    /// What is in work.
    pub(super) const fn work(&self) -> u64 {
        self.work
    }

    /// How many wait.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests;
