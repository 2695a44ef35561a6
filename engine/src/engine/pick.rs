//! Which segments to merge next: a pure policy over the manifest.
//!
//! Fresh segments (level 0) are merged when there are enough of them; level 1 by the UTC hour and
//! level 2 by the UTC day of their latest start, so that time windows stay apart (time-window
//! compaction, as in Cassandra's TWCS). A segment of which much is dead is rewritten alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::{SegmentMeta, State};

/// Most segments of one merge.
pub(super) const INPUTS_MAX: usize = 15;
/// No level above this.
const LEVEL_MAX: u8 = 3;
const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) inputs: Vec<u64>,
    pub(super) level: u8,
}

/// The next merge, if one is due. `rows_max` bounds the rows of one merge; `damaged` segments stay
/// where they are.
pub(super) fn pick(
    state: &State,
    damaged: &BTreeSet<u64>,
    merge_min: usize,
    rows_max: u64,
) -> Option<Choice> {
    let mut groups: BTreeMap<(u8, i64), Vec<u64>> = BTreeMap::new();
    let whole = |(number, _): &(&u64, &SegmentMeta)| !damaged.contains(number);
    for (number, meta) in state.segments.iter().filter(whole) {
        groups
            .entry((meta.level, window(meta)))
            .or_default()
            .push(*number);
    }
    for ((level, _), numbers) in groups {
        if level >= LEVEL_MAX || numbers.len() < merge_min {
            continue;
        }
        let mut rows = 0;
        let fits = |number: &u64| {
            rows += state.segments.get(number).map_or(0, rows_of);
            rows <= rows_max
        };
        let inputs: Vec<u64> = numbers
            .into_iter()
            .take(INPUTS_MAX)
            .take_while(fits)
            .collect();
        if inputs.len() > 1 {
            return Some(Choice {
                inputs,
                level: level + 1,
            });
        }
    }
    mostly_dead(state, damaged)
}

fn window(meta: &SegmentMeta) -> i64 {
    let latest = meta.sections.iter().map(|s| s.start_max).max().unwrap_or(0);
    match meta.level {
        0 => 0,
        1 => latest.div_euclid(HOUR_NS),
        _ => latest.div_euclid(DAY_NS),
    }
}

fn rows_of(meta: &SegmentMeta) -> u64 {
    meta.sections.iter().map(|s| u64::from(s.rows)).sum()
}

/// A segment of which over a quarter of the rows are dead.
fn mostly_dead(state: &State, damaged: &BTreeSet<u64>) -> Option<Choice> {
    let dead_of = |number: u64| -> u64 {
        let range = state.dead.iter().filter(|((n, _, _), _)| *n == number);
        range.map(|(_, rows)| rows.len()).sum()
    };
    state.segments.iter().find_map(|(&number, meta)| {
        let due = !damaged.contains(&number) && dead_of(number) * 4 > rows_of(meta);
        due.then(|| Choice {
            inputs: vec![number],
            level: meta.level,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::SectionMeta;
    use crate::row::{ProjectId, Table};

    fn state(segments: &[(u64, u8, i64)]) -> State {
        let meta = |&(number, level, start_max)| {
            let section = SectionMeta {
                project: ProjectId(1),
                table: Table::Spans,
                rows: 8,
                start_min: 0,
                start_max,
            };
            (
                number,
                SegmentMeta {
                    level,
                    bytes: 10,
                    sections: vec![section],
                },
            )
        };
        State {
            segments: segments.iter().map(meta).collect(),
            ..State::default()
        }
    }

    #[test]
    fn merges_at_the_least_number_and_not_one_below() {
        let fresh: Vec<_> = (1..=8).map(|n| (n, 0, 5)).collect();
        assert_eq!(pick(&state(&fresh[..7]), &BTreeSet::new(), 8, 1000), None);
        let choice = pick(&state(&fresh), &BTreeSet::new(), 8, 1000).unwrap();
        assert_eq!(
            choice,
            Choice {
                inputs: (1..=8).collect(),
                level: 1
            }
        );
        // Eight rows each.
        let choice = pick(&state(&fresh), &BTreeSet::new(), 8, 39).unwrap();
        assert_eq!(choice.inputs, vec![1, 2, 3, 4]);
        let choice = pick(&state(&fresh), &BTreeSet::new(), 8, 32).unwrap();
        assert_eq!(choice.inputs, vec![1, 2, 3, 4]);
    }

    #[test]
    fn damaged_segments_are_left_where_they_are() {
        let fresh: Vec<_> = (1..=9).map(|n| (n, 0, 5)).collect();
        let mut state = state(&fresh);
        let damaged = BTreeSet::from([3]);
        let choice = pick(&state, &damaged, 8, 1000).unwrap();
        assert_eq!(choice.inputs, [1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!(pick(&state, &BTreeSet::from([3, 4]), 8, 1000), None);
        let section = (3, ProjectId(1), Table::Spans);
        state.dead.insert(section, (0..8).collect());
        assert_eq!(pick(&state, &damaged, 9, 1000), None);
    }

    #[test]
    fn hours_are_not_mixed() {
        let apart: Vec<_> = (1i64..=8)
            .map(|n| (n.unsigned_abs(), 1, n * HOUR_NS))
            .collect();
        assert_eq!(pick(&state(&apart), &BTreeSet::new(), 2, 1000), None);
        let hostile = [(1, 1, i64::MIN), (2, 1, i64::MAX)];
        assert_eq!(pick(&state(&hostile), &BTreeSet::new(), 2, 1000), None);
    }

    #[test]
    fn a_mostly_dead_segment_is_rewritten() {
        let mut state = state(&[(1, 2, 5)]);
        let section = (1, ProjectId(1), Table::Spans);
        state.dead.insert(section, (0..2).collect());
        assert_eq!(pick(&state, &BTreeSet::new(), 8, 1000), None);
        state.dead.insert(section, (0..3).collect());
        assert_eq!(
            pick(&state, &BTreeSet::new(), 8, 1000),
            Some(Choice {
                inputs: vec![1],
                level: 2
            })
        );
    }
}
