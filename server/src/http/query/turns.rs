//! Who runs next: classes with places of their own, and projects in turn within each.
//!
//! Pure: no clock, no thread, nothing that waits. Light questions have places that heavy ones cannot take, so they
//! never wait behind them. Within a class a project has one turn and then all others that wait have theirs, so however
//! many of its questions wait, another project's is delayed by one of them for each place.

use std::collections::{BTreeMap, VecDeque};

use obsrv_engine::query::Class;

use crate::limits::{
    QUERIES_HEAVY_MAX, QUERIES_HEAVY_WAITING_MAX, QUERIES_HEAVY_WAITING_PER_PROJECT_MAX,
    QUERIES_LIGHT_MAX, QUERIES_LIGHT_WAITING_MAX, QUERIES_LIGHT_WAITING_PER_PROJECT_MAX,
};

/// How many of a class may run, and how many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) waiting_per_project: usize,
}

/// Of each class, as the server has them.
pub(crate) const BOUNDS: [Bounds; Class::ALL.len()] = [
    Bounds {
        running: QUERIES_LIGHT_MAX,
        waiting: QUERIES_LIGHT_WAITING_MAX,
        waiting_per_project: QUERIES_LIGHT_WAITING_PER_PROJECT_MAX,
    },
    Bounds {
        running: QUERIES_HEAVY_MAX,
        waiting: QUERIES_HEAVY_WAITING_MAX,
        waiting_per_project: QUERIES_HEAVY_WAITING_PER_PROJECT_MAX,
    },
];

/// The place of a class in lists of both.
pub(crate) const fn at(class: Class) -> usize {
    match class {
        Class::Light => 0,
        Class::Heavy => 1,
    }
}

/// A question that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    class: Class,
    project: u64,
    number: u64,
}

/// What becomes of a question that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It has a place.
    Runs,
    /// It will have one: see [`Turns::done`].
    Waits(Ticket),
    /// It may not wait.
    Full(Full),
}

/// Which queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// So many questions of the project wait in this class.
    OfProject(usize),
    /// So many questions wait in this class.
    OfAll(usize),
}

#[derive(Debug)]
struct Lane {
    bounds: Bounds,
    running: usize,
    waiting: usize,
    /// Oldest first; no project without a question.
    by_project: BTreeMap<u64, VecDeque<Ticket>>,
    /// Projects that wait, each once, whose turn comes next first.
    turn: VecDeque<u64>,
}

/// Questions that run and wait.
#[derive(Debug)]
pub(crate) struct Turns {
    lanes: [Lane; Class::ALL.len()],
    tickets: u64,
}

impl Turns {
    pub(crate) fn new(bounds: [Bounds; Class::ALL.len()]) -> Self {
        Self {
            lanes: bounds.map(Lane::new),
            tickets: 0,
        }
    }

    fn lane(&mut self, class: Class) -> &mut Lane {
        &mut self.lanes[at(class)]
    }

    /// A question of a project comes.
    pub(crate) fn ask(&mut self, class: Class, project: u64) -> Asked {
        let ticket = Ticket {
            class,
            project,
            number: self.tickets,
        };
        let asked = self.lane(class).ask(ticket);
        self.tickets += u64::from(matches!(asked, Asked::Waits(_)));
        asked
    }

    /// One that ran has ended: the place goes to this one, if any waits.
    pub(crate) fn done(&mut self, class: Class) -> Option<Ticket> {
        self.lane(class).done()
    }

    /// One that waits gives up. False: it waits no more.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> bool {
        self.lane(ticket.class).leave(ticket)
    }

    /// How many of a class run.
    pub(crate) const fn running(&self, class: Class) -> usize {
        self.lanes[at(class)].running
    }

    /// How many of a class wait.
    pub(crate) const fn waiting(&self, class: Class) -> usize {
        self.lanes[at(class)].waiting
    }
}

impl Lane {
    const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            running: 0,
            waiting: 0,
            by_project: BTreeMap::new(),
            turn: VecDeque::new(),
        }
    }

    fn ask(&mut self, ticket: Ticket) -> Asked {
        // A place is free only when nobody waits.
        if self.running < self.bounds.running {
            self.running += 1;
            return Asked::Runs;
        }
        let own = self
            .by_project
            .get(&ticket.project)
            .map_or(0, VecDeque::len);
        if own >= self.bounds.waiting_per_project {
            return Asked::Full(Full::OfProject(self.bounds.waiting_per_project));
        }
        if self.waiting >= self.bounds.waiting {
            return Asked::Full(Full::OfAll(self.bounds.waiting));
        }
        if own == 0 {
            self.turn.push_back(ticket.project);
        }
        self.by_project
            .entry(ticket.project)
            .or_default()
            .push_back(ticket);
        self.waiting += 1;
        Asked::Waits(ticket)
    }

    fn done(&mut self) -> Option<Ticket> {
        let next = self.turn.pop_front().and_then(|project| {
            let tickets = self.by_project.get_mut(&project)?;
            let next = tickets.pop_front();
            if tickets.is_empty() {
                self.by_project.remove(&project);
            } else {
                self.turn.push_back(project);
            }
            next
        });
        match next {
            Some(_) => self.waiting -= 1,
            None => self.running -= 1,
        }
        next
    }

    fn leave(&mut self, ticket: Ticket) -> bool {
        let Some(tickets) = self.by_project.get_mut(&ticket.project) else {
            return false;
        };
        let Some(place) = tickets.iter().position(|waiting| *waiting == ticket) else {
            return false;
        };
        tickets.remove(place);
        if tickets.is_empty() {
            self.by_project.remove(&ticket.project);
            self.turn.retain(|project| *project != ticket.project);
        }
        self.waiting -= 1;
        true
    }
}

#[cfg(test)]
mod tests;
