//! Aggregates: many rows to a few figures.
//!
//! Every source is read on its own, row group by row group and column by column: filter to rows,
//! keys to numbers of groups through arrays, values into accumulators. What a source comes to is a
//! value of its own (a partial): shares are merged by the values of the keys, in any order with
//! the same result, and those of sealed sources are kept for the next time. Sums are exact, sketches
//! are counts per bucket, sets are sets: which rows stand in which source changes no answer.

mod answer;
mod cache;
mod distinct;
mod gather;
mod key;
mod merge;
mod numbers;
mod observe;
mod partial;
mod request;
mod scored;
mod sketch;
mod slots;
mod state;
mod sum;
mod time;

use std::sync::Arc;

pub use answer::{AggregateAnswer, Figures, Group, Measured, Number, Point, Value};
pub use cache::PartialCache;
pub use key::GroupValue;
pub use observe::{
    KEYS_LISTED_MAX, KeysRequest, ObservedKey, ObservedKeys, ObservedRequest, observed_keys,
    observed_values,
};
pub use scored::{ScoreValuesRequest, score_facts, score_names, score_values};
pub(super) use sketch::Sketch;

pub use request::{
    AggregateRequest, BUCKET_WIDTH_MIN_NS, BUCKETS_MAX, CELLS_MAX, DISTINCT_EXACT_MAX,
    DistinctMode, GROUPS_LISTED_MAX, KEYS_MAX, Key, MEASURES_MAX, Measure, POINTS_MAX,
    QUANTILES_MAX, Rank, TimeBuckets, Top,
};

use super::QueryError;
use super::ast::Filter;
use super::beside::Beside;
use super::given::{Given, seen};
use super::meter::{Budget, Meter, len_u64};
use super::plan::{Starts, plan};
use super::scan::group_count;
use crate::source::Visible;
use merge::Merged;
use partial::{Partial, Task, partial};
use state::Need;

/// Works out a request over the sources of one table of one project. Shares of sealed sources are taken
/// from `known` and left there.
pub fn aggregate(
    rows: &[Visible<'_>],
    beside: &Beside<'_>,
    budget: &Budget<'_>,
    known: Option<&PartialCache>,
    request: &AggregateRequest,
) -> Result<AggregateAnswer, QueryError> {
    request::check(request)?;
    let mut meter = Meter::new(budget);
    let task = task(request, beside, &mut meter)?;
    let keys = task.keys.iter().map(|key| &key.column);
    let columns = keys.chain(task.needs.iter().filter_map(Need::column));
    let given = Given::of(columns, beside, &mut meter)?;
    let sources = given.sources(rows, beside.of);
    let with_given = seen(rows, &sources);
    let rows = if given.is_empty() { rows } else { &with_given };
    meter.foresee(estimate(rows, &task))?;
    let known = known.filter(|_| !asks_elsewhere(request));
    let mut merged = Merged::new(request);
    let mut used = 0;
    for visible in rows {
        let share = match known {
            Some(known) => share(&task, visible, known, &mut meter, merged.bytes())?,
            None => Arc::new(partial(&task, visible, &mut meter, merged.bytes())?),
        };
        used += u64::from(share.visited.0 > 0);
        merged.add(&share, &mut meter)?;
        meter.hold(merged.bytes())?;
    }
    meter.explain.sources += len_u64(rows.len());
    meter.explain.sources_pruned += len_u64(rows.len()) - used;
    merged.finish(meter)
}

fn task<'q>(
    request: &'q AggregateRequest,
    beside: &Beside<'_>,
    meter: &mut Meter<'_>,
) -> Result<Task<'q>, QueryError> {
    let (needs, _) = Need::of_all(&request.measures);
    let mut planned =
        |filter: &'q Filter| plan(filter, &mut |asked| beside.answer(asked, &mut *meter));
    let filters = needs.iter().map(|need| match need {
        Need::Rows(filter) => planned(filter).map(Some),
        _ => Ok(None),
    });
    let filters = filters.collect::<Result<_, _>>()?;
    let mut starts = Starts::of(&request.filter);
    if let Some((from, to)) = request.time.and_then(|time| time.range) {
        let max = to.saturating_sub(1);
        starts = starts.and(Starts { min: from, max });
    }
    Ok(Task {
        node: planned(&request.filter)?,
        starts,
        keys: &request.keys,
        time: request.time,
        needs,
        filters,
    })
}

/// Row groups that may be looked into, times the columns that are read.
fn estimate(rows: &[Visible<'_>], task: &Task<'_>) -> u64 {
    let columns = task.node.columns() + len_u64(task.keys.len() + task.needs.len()).max(1);
    let groups = rows.iter().map(|visible| {
        let all = 0..group_count(visible.source);
        let inside = |group: &u32| task.starts.overlaps(visible.source.start_range(*group));
        len_u64(all.filter(inside).count())
    });
    groups.sum::<u64>().saturating_mul(columns)
}

/// Whether the answer depends on other sources, too.
fn asks_elsewhere(request: &AggregateRequest) -> bool {
    fn has(filter: &Filter) -> bool {
        match filter {
            Filter::AnySpan(_) | Filter::AnyScore(_) => true,
            Filter::And(parts) | Filter::Or(parts) => parts.iter().any(has),
            Filter::Not(part) => has(part),
            Filter::All | Filter::Is(..) | Filter::Text(_) => false,
        }
    }
    let in_measure = |measure: &Measure| matches!(measure, Measure::CountIf(part) if has(part));
    has(&request.filter) || request.measures.iter().any(in_measure)
}

/// A source's share, from the cache if it is there.
fn share(
    task: &Task<'_>,
    visible: &Visible<'_>,
    known: &PartialCache,
    meter: &mut Meter<'_>,
    held: usize,
) -> Result<Arc<Partial>, QueryError> {
    let Some(sealed) = visible.source.sealed() else {
        return Ok(Arc::new(partial(task, visible, meter, held)?));
    };
    let key = (sealed, shape(task, visible));
    if let Some(share) = known.get(key, &visible.live) {
        meter.explain.partials_known += 1;
        return Ok(share);
    }
    let share = Arc::new(partial(task, visible, meter, held)?);
    known.put(key, visible.live.clone(), Arc::clone(&share));
    Ok(share)
}

/// What of the question the source's share depends on. A range that cuts no row of it off is left
/// out, so that a dashboard whose range moves on finds what it asked before.
fn shape(task: &Task<'_>, visible: &Visible<'_>) -> u128 {
    let time = task.time.map(|time| {
        let cuts = time.range.filter(|(from, to)| {
            let inside = |group| {
                let starts = visible.source.start_range(group);
                starts.is_some_and(|(first, last)| *from <= first && last < *to)
            };
            !(0..group_count(visible.source)).all(inside)
        });
        (time::Grid::new(&time), cuts)
    });
    cache::shape_of(&(&task.node, task.keys, &task.needs, time))
}
