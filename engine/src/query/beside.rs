//! Rows of other tables that a filter looks at: a run passes by its spans and scores, a span by its scores.

use std::collections::HashSet;

use roaring::RoaringBitmap;

use super::QueryError;
use super::ast::Filter;
use super::meter::{Meter, len_u64};
use super::plan::{Elsewhere, Node, Starts, plan};
use super::scan::live_rows;
use super::scores::Scored;
use super::search::{add_traces, passing, units};
use crate::row::{Lsn, Table};
use crate::source::{Visible, reading};

/// The sources of one project that tests of spans and of scores look into.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// The table of the rows that are asked for: a score test finds their traces, or them.
    pub of: Table,
    /// Its spans.
    pub spans: &'a [Visible<'a>],
    /// Its scores.
    pub scores: &'a [Visible<'a>],
}

impl Beside<'_> {
    /// Nothing.
    pub const fn nothing(of: Table) -> Self {
        Self {
            of,
            spans: &[],
            scores: &[],
        }
    }

    /// A test of other rows as a test of those that are asked for.
    pub(super) fn answer<'f>(
        &self,
        asked: Elsewhere<'f>,
        meter: &mut Meter<'_>,
    ) -> Result<Node<'f>, QueryError> {
        match (asked, self.of) {
            (Elsewhere::Span(part), _) => Ok(Node::Traces(self.with_span(part, meter)?)),
            (Elsewhere::Score(part), Table::Runs) => {
                Ok(Node::Traces(self.with_score(part, meter)?))
            }
            (Elsewhere::Score(part), Table::Spans) => self.scored_spans(part, meter),
            (Elsewhere::Score(_), _) => Err(QueryError::Meaningless(
                "scores of rows that are neither runs nor spans",
            )),
        }
    }

    /// The traces of the spans that pass.
    fn with_span(
        &self,
        filter: &Filter,
        meter: &mut Meter<'_>,
    ) -> Result<HashSet<Box<str>>, QueryError> {
        let node = plan(filter, &mut |asked| match asked {
            Elsewhere::Span(_) => Err(QueryError::NestedAnySpan),
            Elsewhere::Score(part) => self.scored_spans(part, &mut *meter),
        })?;
        let mut traces = HashSet::new();
        walk(filter, self.spans, meter, &mut |visible, live, meter| {
            let passed = passing(&node, visible, live, meter)?;
            find_traces(visible, &passed, &mut traces, meter)
        })?;
        Ok(traces)
    }

    /// The traces of the scores that pass.
    fn with_score(
        &self,
        filter: &Filter,
        meter: &mut Meter<'_>,
    ) -> Result<HashSet<Box<str>>, QueryError> {
        let mut traces = HashSet::new();
        self.each_score(filter, meter, &mut |visible, passed, meter| {
            find_traces(visible, passed, &mut traces, meter)
        })?;
        meter.explain.scored += len_u64(traces.len());
        Ok(traces)
    }

    /// Spans that a score which passes is of.
    fn scored_spans<'f>(
        &self,
        filter: &Filter,
        meter: &mut Meter<'_>,
    ) -> Result<Node<'f>, QueryError> {
        let mut spans = Scored::default();
        self.each_score(filter, meter, &mut |visible, passed, meter| {
            spans.add(visible, passed, meter)
        })?;
        meter.explain.scored += len_u64(spans.len());
        Ok(Node::Scored(spans))
    }

    /// Whether a record after `lsn` said something of a score that is there.
    pub(super) fn has_scores_since(&self, lsn: Lsn, meter: &Meter<'_>) -> Result<bool, QueryError> {
        let mut found = false;
        for visible in self.scores {
            each_newer(visible, lsn, meter, &mut |_| {
                found = true;
                false
            })?;
        }
        Ok(found)
    }

    /// Calls `visit` with the scores that pass, some at a time.
    pub(super) fn each_score<'m>(
        &self,
        filter: &Filter,
        meter: &mut Meter<'m>,
        visit: &mut dyn FnMut(
            &Visible<'_>,
            &RoaringBitmap,
            &mut Meter<'m>,
        ) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let node = plan(filter, &mut |_| Err(QueryError::NestedAnyScore))?;
        let before = (meter.explain.groups_visited, meter.explain.rows_visited);
        walk(filter, self.scores, meter, &mut |visible, live, meter| {
            let passed = passing(&node, visible, live, meter)?;
            visit(visible, &passed, meter)
        })?;
        let explain = &mut meter.explain;
        explain.score_groups_visited += explain.groups_visited - before.0;
        explain.score_rows_visited += explain.rows_visited - before.1;
        Ok(())
    }
}

/// Calls `visit`, until it says no, with the live rows of which records after `lsn` said something. A row that was
/// derived again (prices, mapping) is made by a later record, which says nothing new of it.
pub(super) fn each_newer(
    visible: &Visible<'_>,
    lsn: Lsn,
    meter: &Meter<'_>,
    visit: &mut dyn FnMut(u32) -> bool,
) -> Result<(), QueryError> {
    let source = visible.source;
    if source.lsn_max().is_some_and(|max| max <= lsn) {
        return Ok(());
    }
    let mut rows = visible.live.clone();
    if let Some(first) = source.first_after(lsn) {
        rows.remove_range(..first);
    }
    reading(source, |reader| {
        for (row, n) in rows.iter().zip(0u64..) {
            meter.check_at(n)?;
            if reader.core(row)?.lsn_last > lsn && !visit(row) {
                break;
            }
        }
        Ok(())
    })
}

/// What a text takes in a set, or a table, beside its bytes: pointer, length, what is free in the table.
pub(super) const ENTRY_BYTES: usize = 48;

/// Adds the traces of rows, against the budget.
pub(super) fn find_traces(
    visible: &Visible<'_>,
    rows: &RoaringBitmap,
    traces: &mut HashSet<Box<str>>,
    meter: &mut Meter<'_>,
) -> Result<(), QueryError> {
    meter.check()?;
    let before = traces.len();
    let bytes = add_traces(visible, rows, traces)?;
    let new = traces.len() - before;
    meter.find(new, bytes + new * ENTRY_BYTES)
}

/// Called with a source and rows of one row group of it.
pub(super) type Visit<'a, 's, 'm> =
    &'a mut dyn FnMut(&'s Visible<'s>, &RoaringBitmap, &mut Meter<'m>) -> Result<(), QueryError>;

/// Calls `visit` with the live rows of each row group that may have rows which pass.
pub(super) fn walk<'s, 'm>(
    filter: &Filter,
    sources: &'s [Visible<'s>],
    meter: &mut Meter<'m>,
    visit: Visit<'_, 's, 'm>,
) -> Result<(), QueryError> {
    let starts = Starts::of(filter);
    for unit in units(sources, None) {
        meter.explain.groups += 1;
        if !starts.overlaps(unit.starts) {
            meter.explain.groups_pruned_by_time += 1;
            continue;
        }
        let live = live_rows(unit.visible, unit.group);
        if live.is_empty() {
            continue;
        }
        meter.visit_group(live.len())?;
        visit(unit.visible, &live, meter)?;
    }
    Ok(())
}
