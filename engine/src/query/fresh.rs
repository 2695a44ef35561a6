//! Rows that records after an LSN made or changed, held against many filters at once: for whoever
//! watches.
//!
//! The rows are found once: in a memtable they are the last ones. Of each column that some filter
//! names the values are read once and grouped (see [`batch`]), so a filter costs the distinct values
//! of a batch and not its rows. What columns leave in doubt is decided on documents.

mod batch;

use std::collections::HashSet;

use roaring::RoaringBitmap;

use self::batch::Batch;
use super::QueryError;
use super::ast::Filter;
use super::meter::{Budget, Meter, len_u64};
use super::plan::{check, plan};
use super::scan::{evaluate, live_rows, settle};
use super::search::{Hit, add_traces};
use crate::row::Lsn;
use crate::source::{SourceError, Visible, reading};

/// Which rows, and held against what.
#[derive(Clone, Copy, Debug)]
pub struct FreshRequest<'a> {
    /// Rows of later records alone.
    pub after: Lsn,
    /// What they are held against.
    pub filters: &'a [Filter],
    /// How many rows are looked at, at most: the newest.
    pub rows_max: u64,
    /// How many rows one filter is given, at most: the oldest that pass it.
    pub passing_max: u64,
}

/// Newly made rows.
#[derive(Clone, Debug, Default)]
pub struct Fresh {
    /// Rows that pass some filter, older records first.
    pub hits: Vec<Hit>,
    /// Of each filter, in their order.
    pub passing: Vec<Passing>,
    /// Rows that were not looked at, being more than `rows_max`.
    pub skipped: u64,
}

/// What one filter is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passing {
    /// Places in [`Fresh::hits`], ascending.
    pub hits: Vec<usize>,
    /// Rows that are not among them though they pass, or may.
    pub missed: u64,
}

/// Which rows of each batch pass a filter; `None` if that could not be found out.
type Passed = Option<Vec<RoaringBitmap>>;

/// Holds the newest rows of one table of one project against filters. `spans` are the sources of the
/// project's spans, for span tests.
///
/// The budget's bytes are for what is read to decide, and once more for the rows that pass: a filter
/// for which there is no room left has missed its rows, and those before it have not.
pub fn fresh(
    rows: &[Visible<'_>],
    spans: &[Visible<'_>],
    budget: &Budget<'_>,
    request: &FreshRequest<'_>,
) -> Result<Fresh, QueryError> {
    let mut found = Vec::new();
    for visible in rows {
        let new = newer(visible, request.after)?;
        if !new.is_empty() {
            found.push((visible, new));
        }
    }
    // What is in segments was made before what is in memory.
    found.sort_by_key(|(visible, _)| visible.source.first_after(request.after).is_some());
    let skipped = keep_newest(&mut found, request.rows_max);
    let batches: Vec<Batch<'_>> = found
        .into_iter()
        .map(|(visible, rows)| Batch::new(visible, rows))
        .collect();
    let mut meter = Meter::new(budget);
    let mut touched = Touched::new(&batches, spans);
    let mut passed: Vec<Passed> = Vec::with_capacity(request.filters.len());
    for filter in request.filters {
        meter.check()?;
        passed.push(match holds(filter, &batches, &mut touched, &mut meter) {
            Ok(rows) => Some(rows),
            Err(QueryError::Cancelled) => return Err(QueryError::Cancelled),
            Err(QueryError::Source(damage)) => return Err(QueryError::Source(damage)),
            Err(_) => None,
        });
    }
    let mut fresh = give(&batches, &passed, request.passing_max, &mut meter)?;
    fresh.skipped = skipped;
    Ok(fresh)
}

/// The live rows of which records after `lsn` said something. A row that was derived again (prices, mapping) is made by a later
/// record, which says nothing new of it.
fn newer(visible: &Visible<'_>, lsn: Lsn) -> Result<RoaringBitmap, SourceError> {
    let source = visible.source;
    if source.lsn_max().is_some_and(|max| max <= lsn) {
        return Ok(RoaringBitmap::new());
    }
    let mut rows = visible.live.clone();
    if let Some(first) = source.first_after(lsn) {
        rows.remove_range(..first);
    }
    let mut new = RoaringBitmap::new();
    reading(source, |reader| {
        for row in &rows {
            if reader.core(row)?.lsn_last > lsn {
                new.insert(row);
            }
        }
        Ok::<_, SourceError>(())
    })?;
    Ok(new)
}

/// Leaves out the oldest rows that are too many; answers how many they were.
fn keep_newest(found: &mut [(&Visible<'_>, RoaringBitmap)], rows_max: u64) -> u64 {
    let all: u64 = found.iter().map(|(_, rows)| rows.len()).sum();
    let skipped = all.saturating_sub(rows_max);
    let mut left = skipped;
    for (_, rows) in found {
        let out = left.min(rows.len());
        rows.remove_smallest(out);
        left -= out;
    }
    skipped
}

/// The rows of each batch that pass.
fn holds(
    filter: &Filter,
    batches: &[Batch<'_>],
    touched: &mut Touched<'_>,
    meter: &mut Meter<'_>,
) -> Result<Vec<RoaringBitmap>, QueryError> {
    check(filter)?;
    let node = plan(filter, &mut |part| touched.traces(part, meter))?;
    let mut passed = Vec::with_capacity(batches.len());
    for batch in batches {
        let visible = batch.visible();
        let verdict = evaluate(&node, batch, batch.rows(), meter)?;
        passed.push(settle(&node, &visible, verdict, meter)?);
    }
    Ok(passed)
}

/// The spans of the runs that were touched: found when the first span test asks.
struct Touched<'a> {
    batches: &'a [Batch<'a>],
    spans: &'a [Visible<'a>],
    found: Option<Vec<(&'a Visible<'a>, RoaringBitmap)>>,
}

impl<'a> Touched<'a> {
    const fn new(batches: &'a [Batch<'a>], spans: &'a [Visible<'a>]) -> Self {
        Self {
            batches,
            spans,
            found: None,
        }
    }

    /// Those of the runs that have a span which passes.
    fn traces(
        &mut self,
        filter: &Filter,
        meter: &mut Meter<'_>,
    ) -> Result<HashSet<Box<str>>, QueryError> {
        let node = plan(filter, &mut |_| Err(QueryError::NestedAnySpan))?;
        if self.found.is_none() {
            self.found = Some(self.find()?);
        }
        let mut traces = HashSet::new();
        for (visible, rows) in self.found.iter().flatten() {
            for group in groups_of(rows) {
                let live = live_rows(visible, group) & rows;
                meter.visit_group(live.len())?;
                add_traces(&node, visible, &live, &mut traces, meter)?;
            }
        }
        Ok(traces)
    }

    fn find(&self) -> Result<Vec<(&'a Visible<'a>, RoaringBitmap)>, SourceError> {
        let mut ids = HashSet::new();
        for batch in self.batches {
            batch.trace_ids(&mut ids)?;
        }
        let mut found = Vec::new();
        for visible in self.spans {
            let mut rows = RoaringBitmap::new();
            for id in &ids {
                rows |= visible.source.trace_rows(id)?;
            }
            rows &= &visible.live;
            if !rows.is_empty() {
                found.push((visible, rows));
            }
        }
        Ok(found)
    }
}

/// The row groups that have some of these rows.
fn groups_of(rows: &RoaringBitmap) -> Vec<u32> {
    let mut groups: Vec<u32> = rows.iter().map(|row| row >> 16).collect();
    groups.dedup();
    groups
}

/// Reads the rows that pass, each once, and says which filter is given which.
fn give(
    batches: &[Batch<'_>],
    passed: &[Passed],
    passing_max: u64,
    meter: &mut Meter<'_>,
) -> Result<Fresh, QueryError> {
    let all: u64 = batches.iter().map(|batch| batch.rows().len()).sum();
    let mut given: Vec<(Passing, u64)> = passed
        .iter()
        .map(|rows| match rows {
            Some(rows) => (
                Passing::default(),
                rows.iter().map(RoaringBitmap::len).sum(),
            ),
            None => (
                Passing {
                    missed: all,
                    ..Passing::default()
                },
                0,
            ),
        })
        .collect();
    let mut hits = Vec::new();
    let mut is_full = false;
    for (at, batch) in batches.iter().enumerate() {
        let mut wanted = RoaringBitmap::new();
        let mut takers: Vec<(usize, RoaringBitmap)> = Vec::new();
        for (filter, rows) in passed.iter().enumerate() {
            let Some(rows) = rows.as_ref().and_then(|rows| rows.get(at)) else {
                continue;
            };
            let had = given.get(filter).map_or(0, |(p, _)| len_u64(p.hits.len()));
            let mut rows = rows.clone();
            let room = passing_max.saturating_sub(had);
            let over = rows.len().saturating_sub(room);
            rows.remove_biggest(over);
            wanted |= &rows;
            takers.push((filter, rows));
        }
        for row in &wanted {
            let (core, body) = batch.row(row)?;
            is_full = is_full || !meter.admit_to_page(body.len());
            if is_full {
                break;
            }
            for (filter, rows) in &takers {
                if rows.contains(row)
                    && let Some((passing, _)) = given.get_mut(*filter)
                {
                    passing.hits.push(hits.len());
                }
            }
            hits.push(Hit { core, body });
        }
    }
    let passing = given.into_iter().map(|(mut passing, all)| {
        passing.missed += all.saturating_sub(len_u64(passing.hits.len()));
        passing
    });
    Ok(Fresh {
        hits,
        passing: passing.collect(),
        skipped: 0,
    })
}
