//! Rows that new scores may have made pass: no record says anything new of them, and still they are news to
//! whoever asks for their scores.
//!
//! A row is told to a filter for a score if a score that came passes a test of scores in the filter which stands
//! under no `not`, and the row passes the whole filter, by all of its scores. So a score that no test asks for
//! tells nothing again, and what passes since a score is gone is no news.

use std::collections::{BTreeMap, HashMap, HashSet};

use roaring::RoaringBitmap;

use super::super::QueryError;
use super::super::ast::Filter;
use super::super::beside::Beside;
use super::super::meter::Meter;
use super::super::scan::of_traces;
use super::super::scores::each_span;
use super::{keep_newest, newer};
use crate::row::{Lsn, Table};
use crate::source::{Core, Source, SourceError, Visible, reading};

/// The tests of scores in a filter that stand under no `not`. Those in a test of spans are about runs: over spans
/// they tell nothing.
fn asked(filter: &Filter, of: Table) -> Vec<&Filter> {
    fn walk<'f>(filter: &'f Filter, is_not: bool, of: Table, out: &mut Vec<&'f Filter>) {
        match filter {
            Filter::And(parts) | Filter::Or(parts) => {
                parts.iter().for_each(|part| walk(part, is_not, of, out));
            }
            Filter::Not(part) => walk(part, !is_not, of, out),
            Filter::AnySpan(part) if of == Table::Runs => walk(part, is_not, of, out),
            Filter::AnyScore(part) if !is_not => out.push(part),
            Filter::AnySpan(_)
            | Filter::AnyScore(_)
            | Filter::All
            | Filter::Is(..)
            | Filter::Text(_) => {}
        }
    }
    let mut out = Vec::new();
    walk(filter, false, of, &mut out);
    out
}

/// Which rows a filter is told of for a score, each with the record that brought it.
pub(super) type Told = BTreeMap<u32, Lsn>;

/// The scores that came.
#[derive(Debug)]
pub(super) struct NewScores<'a> {
    of: Table,
    sources: Vec<Visible<'a>>,
    /// The spans that they are of, by trace; over runs none.
    spans: HashMap<Box<str>, HashSet<Box<str>>>,
    /// Scores that were not looked at.
    skipped: u64,
}

impl<'a> NewScores<'a> {
    /// The newest that records after `after` made or changed, if any filter asks for them.
    pub(super) fn find(
        beside: &Beside<'a>,
        filters: &[Filter],
        (after, rows_max): (Lsn, u64),
        meter: &mut Meter<'_>,
    ) -> Result<Self, QueryError> {
        let of = beside.of;
        let mut found = Vec::new();
        let is_asked = || filters.iter().any(|filter| !asked(filter, of).is_empty());
        if matches!(of, Table::Runs | Table::Spans) && is_asked() {
            for visible in beside.scores {
                found.push((visible, newer(visible, after)?));
            }
        }
        found.retain(|(_, new)| !new.is_empty());
        found.sort_by_key(|(visible, _)| visible.source.first_after(after).is_some());
        let skipped = keep_newest(&mut found, rows_max);
        let sources = found.into_iter().map(|(visible, live)| Visible {
            source: visible.source,
            live,
            name: visible.name.clone(),
        });
        let sources: Vec<Visible<'a>> = sources.collect();
        let mut spans: HashMap<Box<str>, HashSet<Box<str>>> = HashMap::new();
        for scores in &sources {
            if of == Table::Runs {
                reading(scores.source, |rows| {
                    for row in &scores.live {
                        spans.entry(rows.core(row)?.trace_id).or_default();
                    }
                    Ok::<_, SourceError>(())
                })?;
            } else {
                each_span(scores, &scores.live, meter, &mut |_, core, span| {
                    let of_trace = spans.entry(core.trace_id.clone()).or_default();
                    of_trace.insert(span.into());
                })?;
            }
        }
        Ok(Self {
            of,
            sources,
            spans,
            skipped,
        })
    }

    /// How many were not looked at, of which some might be ones that the filter asks for.
    pub(super) fn missed_by(&self, filter: &Filter) -> u64 {
        if self.skipped > 0 && !asked(filter, self.of).is_empty() {
            self.skipped
        } else {
            0
        }
    }

    /// The live rows of a source that these scores are of.
    pub(super) fn rows(&self, visible: &Visible<'_>) -> Result<RoaringBitmap, QueryError> {
        let near = of_traces(visible.source, &self.spans, &visible.live)?;
        if self.of == Table::Runs {
            return Ok(near);
        }
        reading(visible.source, |rows| {
            let mut passed = RoaringBitmap::new();
            for row in &near {
                let core = rows.core(row)?;
                let of_trace = self.spans.get(&core.trace_id);
                if of_trace.is_some_and(|ids| ids.contains(&core.id)) {
                    passed.insert(row);
                }
            }
            Ok(passed)
        })
    }

    /// Which of the rows of each source the filter is told of, if they pass: in the order of the sources.
    pub(super) fn told(
        &self,
        filter: &Filter,
        rows: &[(&dyn Source, &RoaringBitmap)],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Told>, QueryError> {
        let mut told = vec![Told::new(); rows.len()];
        if self.sources.is_empty() {
            return Ok(told);
        }
        let beside = Beside {
            of: self.of,
            spans: &[],
            scores: &self.sources,
        };
        let by_trace = self.of == Table::Runs;
        for part in asked(filter, self.of) {
            let found = found(&beside, part, meter)?;
            for ((source, rows), told) in rows.iter().zip(&mut told) {
                reading(*source, |reader| {
                    for row in *rows {
                        let core = reader.core(row)?;
                        let id = if by_trace { "" } else { &*core.id };
                        let ids = found.get(&core.trace_id);
                        if let Some(lsn) = ids.and_then(|ids| ids.get(id)) {
                            let known = told.entry(row).or_default();
                            *known = (*known).max(*lsn);
                        }
                    }
                    Ok::<_, SourceError>(())
                })?;
            }
        }
        Ok(told)
    }
}

/// By trace and span, the newest record of a score that passes; over runs with no name for the span.
type Found = HashMap<Box<str>, HashMap<Box<str>, Lsn>>;

fn found(beside: &Beside<'_>, part: &Filter, meter: &mut Meter<'_>) -> Result<Found, QueryError> {
    let mut found = Found::new();
    let mut note = |_: u32, core: &Core, id: &str| {
        let of_trace = found.entry(core.trace_id.clone()).or_default();
        let known = of_trace.entry(id.into()).or_default();
        *known = (*known).max(core.lsn_last);
    };
    beside.each_score(part, meter, &mut |visible, passed, meter| {
        if beside.of != Table::Runs {
            return each_span(visible, passed, meter, &mut note);
        }
        Ok(reading(visible.source, |rows| {
            for row in passed {
                note(row, &rows.core(row)?, "");
            }
            Ok::<_, SourceError>(())
        })?)
    })?;
    Ok(found)
}
