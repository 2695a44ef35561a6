//! Who is refused first when flushes or merges fall behind: whoever took more than a part of the memory (D-58).
//!
//! Memtables are every project's. Were only their number looked at, one project that sends without end would fill
//! them all, and everybody would be refused with it.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::{Engine, FROZEN_MAX};
use crate::row::ProjectId;

/// Memtables behind which a project with more than its part must wait; the others have one more.
const FROZEN_FAIR_MAX: usize = FROZEN_MAX - 1;

/// Bytes that each project put into the active memtable, which bounds how many projects those are.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    by_project: BTreeMap<u64, u64>,
    sum: u64,
    /// The most of a project.
    most: u64,
}

/// What a project has of the active memtable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Nobody has more than one and a half times an equal part.
    Equal,
    /// It has more.
    Over,
    /// Another has more.
    Under,
}

impl Taken {
    fn part(&self, project: u64) -> Part {
        if self.is_over(project) {
            Part::Over
        } else if self.is_too_much(self.most) {
            Part::Under
        } else {
            Part::Equal
        }
    }

    /// Whether a project has more than one and a half times an equal part. One alone never has.
    fn is_over(&self, project: u64) -> bool {
        self.is_too_much(self.by_project.get(&project).copied().unwrap_or(0))
    }

    fn is_too_much(&self, own: u64) -> bool {
        let projects = u64::try_from(self.by_project.len()).unwrap_or(u64::MAX);
        u128::from(own) * u128::from(projects) * 2 > u128::from(self.sum) * 3
    }

    /// Whether a project is refused while so many memtables are frozen.
    fn must_wait(&self, frozen: usize, project: u64) -> bool {
        frozen >= FROZEN_MAX || (frozen >= FROZEN_FAIR_MAX && self.is_over(project))
    }
}

impl Shares {
    /// A memtable was frozen: the next one is empty.
    pub(super) fn begin(&self) {
        *self.0.lock() = Taken::default();
    }

    /// What a project has of the active memtable.
    pub(super) fn part(&self, project: ProjectId) -> Part {
        self.0.lock().part(project.0)
    }

    /// Whether a project is refused while so many memtables are frozen.
    pub(super) fn must_wait(&self, frozen: usize, project: ProjectId) -> bool {
        self.0.lock().must_wait(frozen, project.0)
    }
}

impl Engine {
    /// Counts bytes that a project wants to store, or says that it must wait.
    pub(super) fn takes_its_part(&self, project: u64, bytes: usize) -> bool {
        let frozen = self.frozen_count();
        let mut taken = self.gates.shares.0.lock();
        if taken.must_wait(frozen, project) {
            return false;
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let own = taken.by_project.entry(project).or_default();
        *own = own.saturating_add(bytes);
        let own = *own;
        taken.most = taken.most.max(own);
        taken.sum = taken.sum.saturating_add(bytes);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(by_project: &[(u64, u64)]) -> Taken {
        Taken {
            by_project: by_project.iter().copied().collect(),
            sum: by_project.iter().map(|(_, bytes)| bytes).sum(),
            most: by_project
                .iter()
                .map(|(_, bytes)| *bytes)
                .max()
                .unwrap_or(0),
        }
    }

    #[test]
    fn one_and_a_half_equal_parts_are_the_limit() {
        let at = taken(&[(1, 150), (2, 50), (3, 100)]);
        assert!(!at.is_over(1));
        let above = taken(&[(1, 151), (2, 50), (3, 99)]);
        assert!(above.is_over(1) && !above.is_over(2) && !above.is_over(4));
        let parts = |taken: &Taken| [1, 2, 4].map(|project| taken.part(project));
        assert_eq!(parts(&at), [Part::Equal; 3]);
        assert_eq!(parts(&above), [Part::Over, Part::Under, Part::Under]);
    }

    #[test]
    fn from_one_below_the_most_frozen_on_who_has_too_much_waits_and_then_all_do() {
        let above = taken(&[(1, 151), (2, 50), (3, 99)]);
        let waiting = |frozen| [1, 2].map(|project| above.must_wait(frozen, project));
        assert_eq!(waiting(FROZEN_FAIR_MAX - 1), [false, false]);
        assert_eq!(waiting(FROZEN_FAIR_MAX), [true, false]);
        assert_eq!(waiting(FROZEN_MAX), [true, true]);
    }

    #[test]
    fn who_is_alone_is_never_over() {
        assert!(!taken(&[(1, u64::MAX)]).is_over(1));
        assert!(!taken(&[]).is_over(1));
    }
}
