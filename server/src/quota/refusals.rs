//! How often something was refused: by project, key and reason. Bounded; since the start of the
//! process.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::limits::REFUSALS_MAX;

/// Counts of one project, key and reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Requests, or items of one.
    pub count: u64,
    /// The last one, nanoseconds since the epoch.
    pub last_ns: i64,
}

type Place = (u64, u64, &'static str);

/// The table.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: Mutex<HashMap<Place, Count>>,
}

impl Refusals {
    /// Counts. When the table is full, keys of a project share a place, then all of them.
    pub(super) fn count(&self, project: u64, key: u64, reason: &'static str, n: u64, at_ns: i64) {
        let mut counts = self.counts.lock();
        let full = counts.len() >= REFUSALS_MAX;
        let shared = [(project, key, reason), (project, 0, reason), (0, 0, reason)];
        let spare = REFUSALS_MAX + shared.len();
        let place = shared
            .into_iter()
            .find(|place| !full || counts.contains_key(place))
            .unwrap_or((0, 0, "other"));
        if counts.len() >= spare && !counts.contains_key(&place) {
            return;
        }
        let entry = counts.entry(place).or_insert(Count {
            count: 0,
            last_ns: at_ns,
        });
        entry.count = entry.count.saturating_add(n);
        entry.last_ns = entry.last_ns.max(at_ns);
    }

    /// Those of a project, most frequent first.
    pub(super) fn of(&self, project: u64) -> Vec<(u64, &'static str, Count)> {
        let counts = self.counts.lock();
        let mut all: Vec<_> = counts
            .iter()
            .filter(|((p, _, _), _)| *p == project)
            .map(|((_, key, reason), count)| (*key, *reason, *count))
            .collect();
        all.sort_by_key(|(key, reason, count)| (std::cmp::Reverse(count.count), *key, *reason));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded_and_loses_no_count() {
        let refusals = Refusals::default();
        let many = u64::try_from(REFUSALS_MAX).unwrap() + 100;
        for key in 1..=many {
            refusals.count(1, key, "rate", 1, 5);
        }
        refusals.count(1, 1, "rate", 2, 4);
        let counts = refusals.counts.lock();
        assert_eq!(counts.len(), REFUSALS_MAX + 1);
        assert_eq!(counts.values().map(|c| c.count).sum::<u64>(), many + 2);
        drop(counts);
        assert_eq!(
            refusals.of(1)[0],
            (
                1,
                "rate",
                Count {
                    count: 3,
                    last_ns: 5
                }
            )
        );
        assert!(refusals.of(2).is_empty());
    }
}
