//! Rows of other tables that a filter looks at: a run passes by its spans and scores, a span by its scores.

use std::collections::HashSet;

use super::QueryError;
use super::ast::Filter;
use super::meter::{Meter, len_u64};
use super::plan::{Elsewhere, Node, Starts, plan};
use super::scan::live_rows;
use super::scores::{Scored, stored, within_bounds};
use super::search::{add_traces, passing, units};
use crate::row::Table;
use crate::source::Visible;

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
            add_traces(visible, &passed, &mut traces)?;
            within_bounds(traces.len())
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
        self.each_score(filter, meter, &mut |visible, passed, _| {
            add_traces(visible, passed, &mut traces)?;
            within_bounds(traces.len())
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

    /// Calls `visit` with the scores that pass, some at a time.
    pub(super) fn each_score<'m>(
        &self,
        filter: &Filter,
        meter: &mut Meter<'m>,
        visit: Visit<'_, 'm>,
    ) -> Result<(), QueryError> {
        let filter = stored(filter);
        let node = plan(&filter, &mut |_| Err(QueryError::NestedAnyScore))?;
        let before = (meter.explain.groups_visited, meter.explain.rows_visited);
        walk(&filter, self.scores, meter, &mut |visible, live, meter| {
            let passed = passing(&node, visible, live, meter)?;
            visit(visible, &passed, meter)
        })?;
        let explain = &mut meter.explain;
        explain.score_groups_visited += explain.groups_visited - before.0;
        explain.score_rows_visited += explain.rows_visited - before.1;
        Ok(())
    }
}

/// Called with a source and rows of one row group of it.
pub(super) type Visit<'a, 'm> = &'a mut dyn FnMut(
    &Visible<'_>,
    &roaring::RoaringBitmap,
    &mut Meter<'m>,
) -> Result<(), QueryError>;

/// Calls `visit` with the live rows of each row group that may have rows which pass.
fn walk<'m>(
    filter: &Filter,
    sources: &[Visible<'_>],
    meter: &mut Meter<'m>,
    visit: Visit<'_, 'm>,
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
