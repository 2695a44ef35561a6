//! Rows that records after an LSN made or changed, held against many filters at once: for whoever
//! watches.
//!
//! The rows are found once: in a memtable they are the last ones. Of each column that some filter
//! names the values are read once and grouped (see [`batch`]), so a filter costs the distinct values
//! of a batch and not its rows. What columns leave in doubt is decided on documents.

mod batch;
mod scored;

use std::collections::HashSet;

use roaring::RoaringBitmap;

use self::batch::Batch;
use self::scored::{NewScores, Told};
use super::QueryError;
use super::ast::Filter;
use super::beside::{Beside, each_newer};
use super::meter::{Budget, Meter, len_u64};
use super::plan::{Elsewhere, Node, check, plan};
use super::scan::{evaluate, settle};
use super::scores::asks_scores;
use super::search::Hit;
use crate::row::Lsn;
use crate::source::Visible;

/// Which rows, and held against what.
#[derive(Clone, Copy, Debug)]
pub struct FreshRequest<'a> {
    /// Rows of later records alone.
    pub after: Lsn,
    /// What they are held against.
    pub filters: &'a [Filter],
    /// How many rows are looked at, at most: the newest, and those with new scores as far as there is room; and as
    /// many new scores.
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
    /// By place, ascending.
    pub hits: Vec<News>,
    /// Rows that are not among them though they pass, or may.
    pub missed: u64,
}

/// A row that a filter is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// Its place in [`Fresh::hits`].
    pub at: usize,
    /// The newest record for which it is told: the row's own, or that of a score of it.
    pub lsn: Lsn,
}

/// The rows of a batch that pass a filter, and those that it is told of for scores.
type PassedOf = (RoaringBitmap, Told);
/// The same of each batch; or how many rows were looked at, if that could not be found out.
type Passed = Result<Vec<PassedOf>, u64>;

/// Rows of a source that are looked at.
struct Looked<'a> {
    rows: Batch<'a>,
    /// Those of which a record said something new; the others have new scores.
    new: RoaringBitmap,
}

/// Holds the newest rows of one table of one project against filters.
///
/// A filter that asks for scores is also told of rows of which no record said anything new, but of which a score
/// came that it asks for, and which pass: see [`scored`].
///
/// The budget's bytes are for what is read to decide, and once more for the rows that pass: a filter
/// for which there is no room left has missed its rows, and those before it have not.
pub fn fresh(
    rows: &[Visible<'_>],
    beside: &Beside<'_>,
    budget: &Budget<'_>,
    request: &FreshRequest<'_>,
) -> Result<Fresh, QueryError> {
    let mut meter = Meter::new(budget);
    let bounds = (request.after, request.rows_max);
    let mut scores = NewScores::find(beside, request.filters, bounds, &mut meter)?;
    let mut found = Vec::new();
    for visible in rows {
        found.push((visible, newer(visible, request.after, &meter)?));
    }
    // What is in segments was made before what is in memory.
    found.sort_by_key(|(visible, _)| visible.source.first_after(request.after).is_some());
    let mut scored = Vec::new();
    for (visible, new) in &found {
        scored.push((*visible, scores.rows(visible, &mut meter)? - new));
    }
    let skipped = keep_newest(&mut found, request.rows_max);
    let room = request.rows_max - count(&found);
    scores.skip(keep_newest(&mut scored, room));
    let batches = found
        .into_iter()
        .zip(scored)
        .map(|((visible, new), (_, scored))| Looked {
            rows: Batch::new(visible, &new | scored),
            new,
        });
    let batches: Vec<Looked<'_>> = batches
        .filter(|batch| !batch.rows.rows().is_empty())
        .collect();
    let mut touched = Touched::new(&batches, *beside);
    let mut passed: Vec<Passed> = Vec::with_capacity(request.filters.len());
    let before = meter.found();
    for filter in request.filters {
        meter.check()?;
        let held = holds(filter, &batches, (&scores, &mut touched), &mut meter);
        meter.let_go(before);
        passed.push(match unless_ended(held)? {
            Some(rows) => Ok(rows),
            None => Err(looked_at(&batches, scores.are_asked_by(filter))),
        });
    }
    let mut fresh = give(&batches, &passed, request.passing_max, &mut meter)?;
    for (filter, passing) in request.filters.iter().zip(&mut fresh.passing) {
        passing.missed += scores.missed_by(filter);
    }
    fresh.skipped = skipped;
    Ok(fresh)
}

/// `None` for what failed, but for what ends the whole question.
fn unless_ended<T>(done: Result<T, QueryError>) -> Result<Option<T>, QueryError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(end @ (QueryError::Cancelled | QueryError::Source(_))) => Err(end),
        Err(_) => Ok(None),
    }
}

/// Rows that a filter is held against: those with new scores alone only if it asks for scores.
fn looked_at(batches: &[Looked<'_>], asks_scores: bool) -> u64 {
    let of = |batch: &Looked<'_>| {
        if asks_scores {
            batch.rows.rows().len()
        } else {
            batch.new.len()
        }
    };
    batches.iter().map(of).sum()
}

fn count(found: &[(&Visible<'_>, RoaringBitmap)]) -> u64 {
    found.iter().map(|(_, rows)| rows.len()).sum()
}

/// The live rows of which records after `lsn` said something.
fn newer(visible: &Visible<'_>, lsn: Lsn, meter: &Meter<'_>) -> Result<RoaringBitmap, QueryError> {
    let mut new = RoaringBitmap::new();
    each_newer(visible, lsn, meter, &mut |row| new.insert(row))?;
    Ok(new)
}

/// Leaves out the oldest rows that are too many; answers how many they were.
fn keep_newest(found: &mut [(&Visible<'_>, RoaringBitmap)], rows_max: u64) -> u64 {
    let skipped = count(found).saturating_sub(rows_max);
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
    batches: &[Looked<'_>],
    (scores, touched): (&NewScores<'_>, &mut Touched<'_>),
    meter: &mut Meter<'_>,
) -> Result<Vec<PassedOf>, QueryError> {
    check(filter)?;
    let near = touched.near(scores.are_asked_by(filter))?;
    let node = plan(filter, &mut |asked| near.answer(asked, meter))?;
    let views: Vec<Visible<'_>> = batches.iter().map(|batch| batch.rows.visible()).collect();
    let sources = views.iter().map(|visible| (visible.source, &visible.live));
    let told = scores.told(filter, &sources.collect::<Vec<_>>(), meter)?;
    let mut passed = Vec::with_capacity(batches.len());
    for ((batch, visible), mut told) in batches.iter().zip(&views).zip(told) {
        let within: RoaringBitmap = &batch.new | told.keys().copied().collect::<RoaringBitmap>();
        let verdict = evaluate(&node, &batch.rows, &within, meter)?;
        let rows = settle(&node, visible, verdict, meter)?;
        told.retain(|row, _| rows.contains(*row));
        passed.push((rows, told));
    }
    Ok(passed)
}

/// What belongs to the rows that are looked at: to all for a filter that asks for new scores, to those of which a
/// record said something new for the others.
struct Touched<'a> {
    batches: &'a [Looked<'a>],
    beside: Beside<'a>,
    new: Option<Near<'a>>,
    all: Option<Near<'a>>,
}

impl<'a> Touched<'a> {
    const fn new(batches: &'a [Looked<'a>], beside: Beside<'a>) -> Self {
        Self {
            batches,
            beside,
            new: None,
            all: None,
        }
    }

    fn near(&mut self, asks_scores: bool) -> Result<&mut Near<'a>, QueryError> {
        let near = if asks_scores {
            &mut self.all
        } else {
            &mut self.new
        };
        if let Some(near) = near {
            return Ok(near);
        }
        let mut traces = HashSet::new();
        for batch in self.batches {
            let rows = if asks_scores {
                batch.rows.rows()
            } else {
                &batch.new
            };
            batch.rows.trace_ids(rows, &mut traces)?;
        }
        Ok(near.insert(Near {
            traces,
            beside: self.beside,
            spans: None,
            scores: None,
        }))
    }
}

/// The spans and scores of some traces: each found when the first test asks for them.
struct Near<'a> {
    traces: HashSet<Box<str>>,
    beside: Beside<'a>,
    spans: Option<Vec<Visible<'a>>>,
    scores: Option<Vec<Visible<'a>>>,
}

impl<'a> Near<'a> {
    fn answer<'f>(
        &mut self,
        asked: Elsewhere<'f>,
        meter: &mut Meter<'_>,
    ) -> Result<Node<'f>, QueryError> {
        let (spans, scores) = match asked {
            Elsewhere::Span(part) => (true, asks_scores(part)),
            Elsewhere::Score(_) => (false, true),
        };
        if spans && self.spans.is_none() {
            self.spans = Some(self.find(self.beside.spans, meter)?);
        }
        if scores && self.scores.is_none() {
            self.scores = Some(self.find(self.beside.scores, meter)?);
        }
        let near = Beside {
            of: self.beside.of,
            spans: self.spans.as_deref().unwrap_or_default(),
            scores: self.scores.as_deref().unwrap_or_default(),
        };
        near.answer(asked, meter)
    }

    /// Of these sources the rows that belong to one of the traces.
    fn find(
        &self,
        sources: &'a [Visible<'a>],
        meter: &Meter<'_>,
    ) -> Result<Vec<Visible<'a>>, QueryError> {
        let mut found = Vec::new();
        for visible in sources {
            let mut live = RoaringBitmap::new();
            for (id, n) in self.traces.iter().zip(0u64..) {
                meter.check_at(n)?;
                live |= visible.source.trace_rows(id)?;
            }
            live &= &visible.live;
            if !live.is_empty() {
                found.push(Visible {
                    source: visible.source,
                    live,
                    name: visible.name.clone(),
                });
            }
        }
        Ok(found)
    }
}

/// Reads the rows that pass, each once, and says which filter is given which.
fn give(
    batches: &[Looked<'_>],
    passed: &[Passed],
    passing_max: u64,
    meter: &mut Meter<'_>,
) -> Result<Fresh, QueryError> {
    let mut given: Vec<(Passing, u64)> = passed.iter().map(begun).collect();
    let mut hits = Vec::new();
    let mut is_full = false;
    for (at, batch) in batches.iter().enumerate() {
        let mut wanted = RoaringBitmap::new();
        let mut takers: Vec<(usize, RoaringBitmap, &Told)> = Vec::new();
        for (filter, rows) in passed.iter().enumerate() {
            let Some((rows, told)) = rows.as_ref().ok().and_then(|rows| rows.get(at)) else {
                continue;
            };
            let had = given.get(filter).map_or(0, |(p, _)| len_u64(p.hits.len()));
            let mut rows = rows.clone();
            let room = passing_max.saturating_sub(had);
            let over = rows.len().saturating_sub(room);
            rows.remove_biggest(over);
            wanted |= &rows;
            takers.push((filter, rows, told));
        }
        for row in &wanted {
            let (core, body) = batch.rows.row(row)?;
            let own = if batch.new.contains(row) {
                core.lsn_last
            } else {
                0
            };
            is_full = is_full || !meter.admit_to_page(body.len());
            if is_full {
                break;
            }
            for (filter, rows, told) in &takers {
                if rows.contains(row)
                    && let Some((passing, _)) = given.get_mut(*filter)
                {
                    let lsn = told.get(&row).map_or(own, |of_score| own.max(*of_score));
                    let at = hits.len();
                    passing.hits.push(News { at, lsn });
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

/// A filter to which nothing is given yet, and how many rows pass it; what could not be found out is missed.
fn begun(passed: &Passed) -> (Passing, u64) {
    match passed {
        Ok(rows) => (
            Passing::default(),
            rows.iter().map(|(rows, _)| rows.len()).sum(),
        ),
        Err(missed) => (
            Passing {
                missed: *missed,
                ..Passing::default()
            },
            0,
        ),
    }
}
