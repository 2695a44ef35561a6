//! Which segments to merge next: a pure policy over the manifest.
//!
//! Fresh segments (level 0) are merged when there are enough of them; level 1 by the UTC hour and
//! level 2 by the UTC day of their latest start, so that time windows stay apart (time-window
//! compaction, as in Cassandra's TWCS). Once there are rows of a later day, what is left of a day is
//! merged, however few segments it is: a question opens each of them. Late rows are merged with
//! their like, not each time with the whole day. A segment of which much is dead, or that a purge asks for,
//! is rewritten alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::{SegmentMeta, State};

/// Most segments of one merge.
pub(super) const INPUTS_MAX: usize = 15;
/// No level above this.
const LEVEL_MAX: u8 = 3;
/// A segment of a day that is over is merged with smaller ones that come to this share of it, at least:
/// one part in so many.
const LATE_SHARE: u64 = 4;
const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) inputs: Vec<u64>,
    pub(super) level: u8,
}

/// The next merge, if one is due. `rows_max` bounds the rows of one merge; `damaged` segments stay
/// where they are; those in `purged` are written anew, if nothing else is due.
pub(super) fn pick(
    state: &State,
    damaged: &BTreeSet<u64>,
    purged: &BTreeSet<u64>,
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
        let (mut rows, mut taken) = (0, 0);
        let fits = |number: &u64| {
            rows += state.segments.get(number).map_or(0, rows_of);
            taken += 1;
            // Ingest waits for fresh ones to become fewer, so two of them are merged whatever their size: one is
            // what a memtable held.
            rows <= rows_max || (level == 0 && taken <= 2)
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
    day_that_is_over(state, damaged, rows_max)
        .or_else(|| mostly_dead(state, damaged))
        .or_else(|| purged.iter().find_map(|number| alone(state, *number)))
}

/// Segments of one day with rows of a later one there: neighbours in size, the smallest first.
fn day_that_is_over(state: &State, damaged: &BTreeSet<u64>, rows_max: u64) -> Option<Choice> {
    let merged = || state.segments.iter().filter(|(_, meta)| meta.level > 0);
    let newest = merged().map(|(_, meta)| day(meta)).max()?;
    let mut days: BTreeMap<i64, Vec<(u64, u64)>> = BTreeMap::new();
    for (number, meta) in merged().filter(|(number, _)| !damaged.contains(number)) {
        let rows = rows_of(meta);
        days.entry(day(meta)).or_default().push((rows, *number));
    }
    days.range_mut(..newest).find_map(|(_, segments)| {
        segments.sort_unstable();
        (0..segments.len()).find_map(|from| of_like_size(&segments[from..], rows_max))
    })
}

/// The first of these that can be merged, if they are more than one. By size, the smallest first.
fn of_like_size(segments: &[(u64, u64)], rows_max: u64) -> Option<Choice> {
    let (mut inputs, mut sum) = (Vec::new(), 0u64);
    for (rows, number) in segments.iter().take(INPUTS_MAX) {
        let is_like = inputs.is_empty() || *rows <= sum.saturating_mul(LATE_SHARE);
        if !is_like || sum.saturating_add(*rows) > rows_max {
            break;
        }
        sum = sum.saturating_add(*rows);
        inputs.push(*number);
    }
    inputs.sort_unstable();
    (inputs.len() > 1).then_some(Choice {
        inputs,
        level: LEVEL_MAX,
    })
}

fn day(meta: &SegmentMeta) -> i64 {
    latest(meta).div_euclid(DAY_NS)
}

fn latest(meta: &SegmentMeta) -> i64 {
    meta.sections.iter().map(|s| s.start_max).max().unwrap_or(0)
}

fn window(meta: &SegmentMeta) -> i64 {
    match meta.level {
        0 => 0,
        1 => latest(meta).div_euclid(HOUR_NS),
        _ => day(meta),
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
        due.then(|| alone(state, number)).flatten()
    })
}

/// A live segment on its own, at its level.
fn alone(state: &State, number: u64) -> Option<Choice> {
    let level = state.segments.get(&number)?.level;
    Some(Choice {
        inputs: vec![number],
        level,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::SectionMeta;
    use crate::row::{ProjectId, Table};

    const NONE: BTreeSet<u64> = BTreeSet::new();

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
        assert_eq!(pick(&state(&fresh[..7]), &NONE, &NONE, 8, 1000), None);
        let choice = pick(&state(&fresh), &NONE, &NONE, 8, 1000).unwrap();
        assert_eq!(
            choice,
            Choice {
                inputs: (1..=8).collect(),
                level: 1
            }
        );
        // Eight rows each.
        let choice = pick(&state(&fresh), &NONE, &NONE, 8, 39).unwrap();
        assert_eq!(choice.inputs, vec![1, 2, 3, 4]);
        let choice = pick(&state(&fresh), &NONE, &NONE, 8, 32).unwrap();
        assert_eq!(choice.inputs, vec![1, 2, 3, 4]);
        // However large, fresh ones become fewer; merged ones may stay apart.
        let choice = pick(&state(&fresh), &NONE, &NONE, 8, 1).unwrap();
        assert_eq!(choice.inputs, vec![1, 2]);
        let merged: Vec<_> = (1..=8).map(|n| (n, 1, 5)).collect();
        assert_eq!(pick(&state(&merged), &NONE, &NONE, 8, 15), None);
    }

    #[test]
    fn damaged_segments_are_left_where_they_are() {
        let fresh: Vec<_> = (1..=9).map(|n| (n, 0, 5)).collect();
        let mut state = state(&fresh);
        let damaged = BTreeSet::from([3]);
        let choice = pick(&state, &damaged, &NONE, 8, 1000).unwrap();
        assert_eq!(choice.inputs, [1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!(pick(&state, &BTreeSet::from([3, 4]), &NONE, 8, 1000), None);
        let section = (3, ProjectId(1), Table::Spans);
        state.dead.insert(section, (0..8).collect());
        assert_eq!(pick(&state, &damaged, &NONE, 9, 1000), None);
    }

    #[test]
    fn hours_are_not_mixed() {
        let apart: Vec<_> = (1i64..=8)
            .map(|n| (n.unsigned_abs(), 1, n * HOUR_NS))
            .collect();
        assert_eq!(pick(&state(&apart), &NONE, &NONE, 2, 1000), None);
        let hostile = [(1, 1, i64::MIN), (2, 1, i64::MAX)];
        assert_eq!(pick(&state(&hostile), &NONE, &NONE, 2, 1000), None);
    }

    #[test]
    fn a_day_is_merged_once_there_is_a_later_one() {
        let today = [(1, 1, HOUR_NS), (2, 2, 3 * HOUR_NS), (3, 3, 5 * HOUR_NS)];
        assert_eq!(pick(&state(&today), &NONE, &NONE, 8, 1000), None);
        // Not yet merged itself: nothing is known of its day.
        let fresh = [&today[..], &[(4, 0, DAY_NS)]].concat();
        assert_eq!(pick(&state(&fresh), &NONE, &NONE, 8, 1000), None);
        let tomorrow = [&today[..], &[(4, 1, DAY_NS)]].concat();
        let choice = pick(&state(&tomorrow), &NONE, &NONE, 8, 1000).unwrap();
        let level = 3;
        assert_eq!(
            choice,
            Choice {
                inputs: vec![1, 2, 3],
                level
            }
        );
        let damaged = BTreeSet::from([2, 3]);
        assert_eq!(pick(&state(&tomorrow), &damaged, &NONE, 8, 1000), None);
        // Eight rows each: two fit.
        let choice = pick(&state(&tomorrow), &NONE, &NONE, 8, 23).unwrap();
        assert_eq!(choice.inputs, [1, 2]);
        assert_eq!(pick(&state(&tomorrow), &NONE, &NONE, 8, 15), None);
    }

    #[test]
    fn late_rows_are_merged_with_their_like() {
        let all = [(1, 3, 0), (2, 1, 0), (3, 1, 0), (4, 1, DAY_NS)];
        let mut state = state(&all);
        let rows = |state: &mut State, number, rows| {
            state.segments.get_mut(&number).unwrap().sections[0].rows = rows;
        };
        let inputs = |state: &State| pick(state, &NONE, &NONE, 8, 1000).map(|c| c.inputs);
        rows(&mut state, 1, 65);
        assert_eq!(inputs(&state).unwrap(), [2, 3]);
        rows(&mut state, 1, 64);
        assert_eq!(inputs(&state).unwrap(), [1, 2, 3]);
        rows(&mut state, 2, 1);
        rows(&mut state, 3, 5);
        assert_eq!(inputs(&state), None);
        rows(&mut state, 3, 16);
        assert_eq!(inputs(&state).unwrap(), [1, 3]);
    }

    #[test]
    fn a_mostly_dead_segment_is_rewritten() {
        let mut state = state(&[(1, 2, 5)]);
        let section = (1, ProjectId(1), Table::Spans);
        state.dead.insert(section, (0..2).collect());
        assert_eq!(pick(&state, &NONE, &NONE, 8, 1000), None);
        state.dead.insert(section, (0..3).collect());
        assert_eq!(
            pick(&state, &NONE, &NONE, 8, 1000),
            Some(Choice {
                inputs: vec![1],
                level: 2
            })
        );
    }

    #[test]
    fn a_purge_asks_for_segments_once_nothing_else_is_due() {
        let fresh: Vec<_> = (1..=8).map(|n| (n, 0, 5)).collect();
        let purged = BTreeSet::from([3, 9]);
        let inputs = |state: &State| pick(state, &NONE, &purged, 8, 1000).map(|c| c.inputs);
        assert_eq!(inputs(&state(&fresh)).unwrap().len(), 8);
        assert_eq!(inputs(&state(&fresh[..7])).unwrap(), [3]);
        assert_eq!(inputs(&state(&fresh[..2])), None);
    }
}
