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
use super::super::beside::{Beside, find_traces};
use super::super::meter::Meter;
use super::super::plan::Node;
use super::super::scan::evaluate;
use super::super::scores::{Scored, each_span};
use super::{count, keep_newest, newer, unless_ended};
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
    /// What they are of.
    scored: Node<'a>,
    /// Scores that were not looked at, and rows of those that were.
    skipped: u64,
}

impl<'a> NewScores<'a> {
    /// The newest that records after `after` made or changed, if any filter asks for them. If it cannot be told what
    /// they are of, none was looked at.
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
                found.push((visible, newer(visible, after, meter)?));
            }
        }
        found.retain(|(_, new)| !new.is_empty());
        found.sort_by_key(|(visible, _)| visible.source.first_after(after).is_some());
        let skipped = keep_newest(&mut found, rows_max);
        let all = count(&found);
        let sources = found.into_iter().map(|(visible, live)| Visible {
            source: visible.source,
            live,
            name: visible.name.clone(),
        });
        let sources: Vec<Visible<'a>> = sources.collect();
        let (mark, before) = (meter.mark(), meter.found());
        if let Some(scored) = unless_ended(scored(of, &sources, meter))? {
            return Ok(Self {
                of,
                sources,
                scored,
                skipped,
            });
        }
        meter.back_to(mark);
        meter.let_go(before);
        Ok(Self {
            of,
            sources: Vec::new(),
            scored: Node::Traces(HashSet::new()),
            skipped: skipped + all,
        })
    }

    /// Whether a filter asks for scores that come.
    pub(super) fn are_asked_by(&self, filter: &Filter) -> bool {
        !asked(filter, self.of).is_empty()
    }

    /// So many rows that they are of are not looked at.
    pub(super) const fn skip(&mut self, rows: u64) {
        self.skipped += rows;
    }

    /// How many of them, or of their rows, were not looked at, of which some might be what the filter asks for.
    pub(super) fn missed_by(&self, filter: &Filter) -> u64 {
        if self.skipped > 0 && self.are_asked_by(filter) {
            self.skipped
        } else {
            0
        }
    }

    /// The live rows of a source that these scores are of.
    pub(super) fn rows(
        &self,
        visible: &Visible<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<RoaringBitmap, QueryError> {
        meter.check()?;
        if self.sources.is_empty() {
            return Ok(RoaringBitmap::new());
        }
        Ok(evaluate(&self.scored, visible.source, &visible.live, meter)?.sure)
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
                    for (row, n) in rows.iter().zip(0u64..) {
                        meter.check_at(n)?;
                        let core = reader.core(row)?;
                        let id = if by_trace { "" } else { &*core.id };
                        let ids = found.get(&core.trace_id);
                        if let Some(lsn) = ids.and_then(|ids| ids.get(id)) {
                            let known = told.entry(row).or_default();
                            *known = (*known).max(*lsn);
                        }
                    }
                    Ok::<_, QueryError>(())
                })?;
            }
        }
        Ok(told)
    }
}

/// What scores are of, as a test of rows.
fn scored(
    of: Table,
    sources: &[Visible<'_>],
    meter: &mut Meter<'_>,
) -> Result<Node<'static>, QueryError> {
    if of == Table::Spans {
        let mut spans = Scored::default();
        for scores in sources {
            spans.add(scores, &scores.live, meter)?;
        }
        return Ok(Node::Scored(spans));
    }
    let mut traces = HashSet::new();
    for scores in sources {
        find_traces(scores, &scores.live, &mut traces, meter)?;
    }
    Ok(Node::Traces(traces))
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
