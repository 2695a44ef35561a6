//! One question over one snapshot: prune, evaluate, order, materialise.

use std::collections::HashSet;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::QueryError;
use super::ast::Filter;
use super::beside::Beside;
use super::facet::{Counter, FACET_VALUES_MAX, FACETS_MAX, Facet};
use super::given::{Given, seen};
use super::meter::{Budget, Explain, Meter, len_u64};
use super::order::{Order, Position, SortKey};
use super::plan::{Node, Starts, check, plan};
use super::scan::{Verdict, count_term, evaluate, group_count, live_rows, settle};
use super::scores::asks_scores;
use super::top::{Ranked, Top};
use crate::doc::Scalar;
use crate::row::Lsn;
use crate::source::{Column, Core, Source, SourceError, Visible, reading};

/// Most rows of a page.
pub const LIMIT_MAX: usize = 1_000;
/// Most traces, or spans, that the tests of other rows in one question may find together. Their bytes count against
/// [`Budget::bytes_max`] while they are found.
pub const TRACES_MAX: usize = 1_000_000;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Which rows.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// How many at most: up to [`LIMIT_MAX`]. 0 asks for totals and facets alone.
    pub limit: usize,
    /// After which row of an earlier page.
    pub after: Option<Position>,
    /// Whether to count all rows that pass, before and after the page.
    pub total: bool,
    /// The columns whose values to count over all rows that pass.
    pub facets: Vec<Column>,
    /// How many values of each, at most.
    pub facet_values_max: usize,
}

impl Request {
    /// The first page of `limit` rows, newest first.
    pub fn new(filter: Filter, limit: usize) -> Self {
        Self {
            filter,
            order: Order::default(),
            limit,
            after: None,
            total: false,
            facets: Vec::new(),
            facet_values_max: 0,
        }
    }
}

/// A row of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its hot columns.
    pub core: Core,
    /// Its body: see [`crate::body`]; empty after [`search_cores`].
    pub body: Bytes,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The rows, in order.
    pub hits: Vec<Hit>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Position>,
    /// All rows that pass, if asked for. On a later page without the rows made since the first.
    pub total: Option<u64>,
    /// As asked for, over the rows that `total` counts.
    pub facets: Vec<Facet>,
    /// What was done.
    pub explain: Explain,
    /// On a later page: some row that was there at the first page and passes now (or may, where
    /// columns cannot tell) was changed since, so that it may stand on another page than it did. With a
    /// filter, or an order, that asks for scores also: some score came or changed since, of whatever.
    /// Rows and scores that were deleted since, and rows changed so that they pass no more, are not noticed.
    pub snapshot_changed: bool,
}

/// A row group and what is known of it.
pub(super) struct Unit<'a> {
    at: usize,
    pub(super) visible: &'a Visible<'a>,
    pub(super) group: u32,
    pub(super) starts: Option<(i64, i64)>,
    /// May have rows that were made or changed after the first page.
    fresh: bool,
}

/// Answers a request over the sources of one table of one project.
///
/// `snapshot_lsn` is the LSN up to which the sources are complete.
pub fn search(
    rows: &[Visible<'_>],
    beside: &Beside<'_>,
    snapshot_lsn: Lsn,
    budget: &Budget<'_>,
    request: &Request,
) -> Result<Page, QueryError> {
    answer((rows, beside), snapshot_lsn, budget, request, true)
}

/// The same with hits of which the body is empty: for whoever needs the hot columns alone.
pub fn search_cores(
    rows: &[Visible<'_>],
    beside: &Beside<'_>,
    snapshot_lsn: Lsn,
    budget: &Budget<'_>,
    request: &Request,
) -> Result<Page, QueryError> {
    answer((rows, beside), snapshot_lsn, budget, request, false)
}

fn answer(
    (rows, beside): (&[Visible<'_>], &Beside<'_>),
    snapshot_lsn: Lsn,
    budget: &Budget<'_>,
    request: &Request,
    bodies: bool,
) -> Result<Page, QueryError> {
    check_request(request)?;
    let mut meter = Meter::new(budget);
    let node = plan(&request.filter, &mut |asked| {
        beside.answer(asked, &mut meter)
    })?;
    let given = Given::of([&request.order.column], beside, &mut meter)?;
    let sources = given.sources(rows, beside.of);
    let with_given = seen(rows, &sources);
    let rows = if given.is_empty() { rows } else { &with_given };
    let scored_since = match &request.after {
        Some(after) if asks_scores(&request.filter) || !given.is_empty() => {
            beside.has_scores_since(after.lsn, &meter)?
        }
        _ => false,
    };
    let mut scan = Scan {
        node,
        request,
        meter,
        top: Top::new(
            &request.order,
            request.after.as_ref(),
            if request.limit > 0 {
                request.limit + 1
            } else {
                0
            },
        ),
        total: 0,
        facets: request.facets.iter().map(Counter::new).collect(),
        changed: scored_since,
    };
    scan.run(rows)?;
    scan.finish(rows, snapshot_lsn, bodies)
}

/// How many rows pass.
pub fn count(
    rows: &[Visible<'_>],
    beside: &Beside<'_>,
    budget: &Budget<'_>,
    filter: &Filter,
) -> Result<(u64, Explain), QueryError> {
    let request = Request {
        total: true,
        ..Request::new(filter.clone(), 0)
    };
    let page = search(rows, beside, 0, budget, &request)?;
    Ok((page.total.unwrap_or(0), page.explain))
}

fn check_request(request: &Request) -> Result<(), QueryError> {
    if request.limit > LIMIT_MAX {
        return Err(QueryError::LimitTooLarge(request.limit));
    }
    if request.facets.len() > FACETS_MAX {
        return Err(QueryError::TooManyFacets(request.facets.len()));
    }
    if request.facet_values_max > FACET_VALUES_MAX {
        return Err(QueryError::TooManyFacetValues(request.facet_values_max));
    }
    check(&request.filter)
}

/// The rows among `within`, of one row group, that pass.
pub(super) fn passing(
    node: &Node<'_>,
    visible: &Visible<'_>,
    within: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<RoaringBitmap, QueryError> {
    let verdict = evaluate(node, visible.source, within, meter)?;
    settle(node, visible, verdict, meter)
}

/// Adds the traces of rows; answers how many bytes the new ones have.
pub(super) fn add_traces(
    visible: &Visible<'_>,
    rows: &RoaringBitmap,
    traces: &mut HashSet<Box<str>>,
) -> Result<usize, SourceError> {
    let source = visible.source;
    let mut long = Vec::new();
    let mut bytes = 0;
    source.values(&Column::TraceId, rows, &mut |row, value| match value {
        Scalar::Str(id) if !traces.contains(id) => {
            bytes += id.len();
            traces.insert(id.into());
        }
        Scalar::Long(_) => long.push(row),
        _ => {}
    })?;
    for row in long {
        let id = source.core(row)?.trace_id;
        let len = id.len();
        if traces.insert(id) {
            bytes += len;
        }
    }
    Ok(bytes)
}

/// The row groups of the sources. Those that may have changed since `lsn` are marked.
pub(super) fn units<'a>(rows: &'a [Visible<'a>], since: Option<Lsn>) -> Vec<Unit<'a>> {
    let mut units = Vec::new();
    for (at, visible) in rows.iter().enumerate() {
        let fresh =
            since.is_some_and(|since| visible.source.lsn_max().is_none_or(|max| max > since));
        for group in 0..group_count(visible.source) {
            let starts = visible.source.start_range(group);
            units.push(Unit {
                at,
                visible,
                group,
                starts,
                fresh,
            });
        }
    }
    units
}

/// A search under way.
struct Scan<'q> {
    node: Node<'q>,
    request: &'q Request,
    meter: Meter<'q>,
    top: Top<'q>,
    total: u64,
    facets: Vec<Counter<'q>>,
    changed: bool,
}

impl Scan<'_> {
    fn run(&mut self, rows: &[Visible<'_>]) -> Result<(), QueryError> {
        let by_filter = Starts::of(&self.request.filter);
        let by_cursor = by_filter.and(self.starts_after());
        let mut units = units(rows, self.request.after.as_ref().map(|after| after.lsn));
        self.sort(&mut units);
        self.foresee(&units, by_filter)?;
        let mut visited = vec![false; rows.len()];
        for unit in &units {
            self.meter.explain.groups += 1;
            // Fresh row groups are looked into in any case, to learn what was changed in them.
            let whole = unit.fresh || self.is_exhaustive();
            if !(if whole { by_filter } else { by_cursor }).overlaps(unit.starts) {
                self.meter.explain.groups_pruned_by_time += 1;
            } else if !whole && self.is_too_late(unit) {
                self.meter.explain.groups_pruned_by_order += 1;
            } else if self.look_into(unit)? {
                visited[unit.at] = true;
            }
        }
        self.meter.explain.sources = len_u64(rows.len());
        self.meter.explain.sources_pruned = len_u64(visited.iter().filter(|seen| !**seen).count());
        Ok(())
    }

    /// Says before the first row group how many must be looked into, if no page ends the search before.
    fn foresee(&mut self, units: &[Unit<'_>], starts: Starts) -> Result<(), QueryError> {
        if !self.is_exhaustive() && self.is_by_start() {
            return self.meter.check();
        }
        let groups = units.iter().filter(|unit| starts.overlaps(unit.starts));
        let columns = self.node.columns() + len_u64(self.facets.len()).max(1);
        let groups = len_u64(groups.count());
        self.meter.foresee(groups.saturating_mul(columns))
    }

    /// Whether every row that passes must be known.
    fn is_exhaustive(&self) -> bool {
        self.request.total || !self.facets.is_empty()
    }

    fn is_by_start(&self) -> bool {
        self.request.order.column == Column::Start
    }

    /// Where the starts of the rows after the cursor are.
    fn starts_after(&self) -> Starts {
        let key = self
            .request
            .after
            .as_ref()
            .and_then(|after| after.key.as_ref());
        match key {
            Some(SortKey::I64(at)) if self.is_by_start() && self.request.order.descending => {
                Starts {
                    max: *at,
                    ..Starts::ALL
                }
            }
            Some(SortKey::I64(at)) if self.is_by_start() => Starts {
                min: *at,
                ..Starts::ALL
            },
            _ => Starts::ALL,
        }
    }

    /// Row groups with the first starts first, unknown ones before all, so that the page is full
    /// early.
    fn sort(&self, units: &mut [Unit<'_>]) {
        if !self.is_by_start() {
            return;
        }
        if self.request.order.descending {
            units.sort_by_key(|unit| unit.starts.map(|(_, max)| std::cmp::Reverse(max)));
        } else {
            units.sort_by_key(|unit| unit.starts.map(|(min, _)| min));
        }
    }

    /// Whether the page is full of rows that come before every row of the row group.
    fn is_too_late(&self, unit: &Unit<'_>) -> bool {
        if self.request.limit == 0 {
            return true;
        }
        let (Some(worst), Some((min, max)), true) =
            (self.top.worst(), unit.starts, self.is_by_start())
        else {
            return false;
        };
        let best = SortKey::I64(if self.request.order.descending {
            max
        } else {
            min
        });
        self.request.order.cmp_keys(Some(&best), worst).is_gt()
    }

    /// Answers whether there were live rows.
    fn look_into(&mut self, unit: &Unit<'_>) -> Result<bool, QueryError> {
        let live = live_rows(unit.visible, unit.group);
        if live.is_empty() {
            return Ok(false);
        }
        self.meter.visit_group(live.len())?;
        let source = unit.visible.source;
        let mut counted = None;
        if self.request.total && self.facets.is_empty() && !unit.fresh {
            counted = count_term(&self.node, unit.visible, &live, &mut self.meter)?;
        }
        if let Some((total, verdict)) = counted {
            self.total += total;
            self.offer(unit, &verdict)?;
            return Ok(true);
        }
        let mut verdict = evaluate(&self.node, source, &live, &mut self.meter)?;
        if let (Some(after), true) = (&self.request.after, unit.fresh) {
            self.leave_out_later(source, &mut verdict, after.lsn)?;
        }
        if self.is_exhaustive() {
            let passed = settle(&self.node, unit.visible, verdict, &mut self.meter)?;
            self.total += passed.len();
            for facet in &mut self.facets {
                self.meter.check()?;
                facet.add(source, &passed)?;
            }
            verdict = Verdict {
                sure: passed.clone(),
                possible: passed,
            };
        }
        self.offer(unit, &verdict)?;
        Ok(true)
    }

    fn offer(&mut self, unit: &Unit<'_>, verdict: &Verdict) -> Result<(), QueryError> {
        let rows = (unit.at, unit.visible);
        self.top.offer(&self.node, rows, verdict, &mut self.meter)
    }

    /// Leaves out the rows that were first made after the first page.
    fn leave_out_later(
        &mut self,
        source: &dyn Source,
        verdict: &mut Verdict,
        lsn: Lsn,
    ) -> Result<(), QueryError> {
        reading(source, |rows| {
            for (row, n) in verdict.possible.clone().iter().zip(0u64..) {
                self.meter.check_at(n)?;
                let core = rows.core(row)?;
                if core.lsn_first > lsn {
                    verdict.sure.remove(row);
                    verdict.possible.remove(row);
                } else if core.lsn_last > lsn {
                    self.changed = true;
                }
            }
            Ok(())
        })
    }

    fn finish(
        mut self,
        rows: &[Visible<'_>],
        snapshot_lsn: Lsn,
        bodies: bool,
    ) -> Result<Page, QueryError> {
        let limit = self.request.limit;
        let ranked = self.top.into_rows();
        let mut more = ranked.len() > limit;
        let mut hits = Vec::with_capacity(ranked.len().min(limit));
        let mut last = None;
        for row in ranked.into_iter().take(limit) {
            let Ranked { key, core, at, row } = row;
            let visible = rows
                .get(at)
                .expect("BUG: a row of a source that was not given");
            self.meter.check()?;
            let body = if bodies {
                visible.source.body(row)?
            } else {
                Bytes::new()
            };
            if !self.meter.admit_to_page(body.len()) {
                more = true;
                break;
            }
            last = Some((key, core.trace_id.clone(), core.id.clone()));
            hits.push(Hit { core, body });
        }
        let lsn = self
            .request
            .after
            .as_ref()
            .map_or(snapshot_lsn, |after| after.lsn);
        let next = last.filter(|_| more).map(|(key, trace_id, id)| Position {
            key,
            trace_id: trace_id.into(),
            id: id.into(),
            lsn,
        });
        let values_max = self.request.facet_values_max;
        Ok(Page {
            hits,
            next,
            total: self.request.total.then_some(self.total),
            facets: self
                .facets
                .into_iter()
                .map(|facet| facet.finish(values_max))
                .collect(),
            explain: self.meter.explain,
            snapshot_changed: self.changed,
        })
    }
}
