//! Numbers of the spans that a query leaves, step by step of time.

mod compare;
mod exemplars;
mod math;
mod sums;

use roaring::RoaringBitmap;

use super::ast::{Cmp, Field, Measure, Metrics, Query, Second};
use super::compile::needs;
use super::eval::{Prepared, Runner, holds, planned, ranged};
use super::fields::read;
use super::search::{each_trace, starts};
use super::value::{Value, Values};
use super::{EXEMPLARS_ALL_MAX, POINTS_MAX, STEP_MIN_NS, STEPS_MAX};
use crate::query::QueryError;
use crate::query::ast::Filter;
use crate::query::meter::{Budget, Explain, Meter, len_u64};
use crate::query::plan::Starts;
use crate::query::scan::{evaluate, group_count, live_rows, settle};
use crate::source::{Column, Rows, Visible, reading};
pub use exemplars::Exemplar;
use exemplars::{Most, Who};
use sums::{Span, Sums};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct SeriesRequest<'q> {
    /// The query, which must have a function over time.
    pub query: &'q Query,
    /// The first start that counts.
    pub from_ns: i64,
    /// The first that counts no more.
    pub to_ns: i64,
    /// Length of a step, counted from `from_ns`; the last may be cut off by `to_ns`.
    pub step_ns: i64,
    /// How many spans are shown beside each series: up to [`EXEMPLARS_MAX`](super::EXEMPLARS_MAX).
    pub exemplars: usize,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesAnswer {
    /// By their labels.
    pub series: Vec<Series>,
    /// What was done.
    pub explain: Explain,
}

/// Numbers over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What tells it from others; `None` is no value.
    pub labels: Vec<(String, Option<Value>)>,
    /// Start of a step, and the number of it.
    pub points: Vec<(i64, f64)>,
    /// Spans of it, by start.
    pub exemplars: Vec<Exemplar>,
}

/// The steps of a request.
#[derive(Clone, Copy, Debug)]
struct Steps {
    from: i64,
    to: i64,
    width: i64,
    count: u32,
}

impl Steps {
    fn of(request: &SeriesRequest<'_>) -> Result<Self, QueryError> {
        let (from, to, width) = (request.from_ns, request.to_ns, request.step_ns);
        if width < STEP_MIN_NS {
            return Err(QueryError::Meaningless("width of steps"));
        }
        if from >= to {
            return Err(QueryError::Meaningless("range of steps"));
        }
        let (from_wide, to_wide) = (i128::from(from), i128::from(to));
        let count = (to_wide - from_wide + i128::from(width) - 1) / i128::from(width);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > STEPS_MAX {
            return Err(QueryError::TooMany {
                what: "steps",
                max: STEPS_MAX,
                count,
            });
        }
        Ok(Self {
            from,
            to,
            width,
            count: u32::try_from(count).unwrap_or(u32::MAX),
        })
    }

    /// The step in which a start is.
    fn at(self, start: i64) -> Option<u32> {
        let since = start.checked_sub(self.from)?;
        let step = u32::try_from(since.div_euclid(self.width)).ok()?;
        (start < self.to && step < self.count).then_some(step)
    }

    fn start(self, step: u32) -> i64 {
        self.from
            .saturating_add(self.width.saturating_mul(i64::from(step)))
    }

    #[expect(clippy::cast_precision_loss, reason = "a length of time in seconds")]
    fn seconds(self) -> f64 {
        self.width as f64 / 1e9
    }
}

/// Works out a query over time.
pub fn series(
    spans: &[Visible<'_>],
    runs: &[Visible<'_>],
    budget: &Budget<'_>,
    request: &SeriesRequest<'_>,
) -> Result<SeriesAnswer, QueryError> {
    exemplars::check(request.exemplars)?;
    let steps = Steps::of(request)?;
    let mut meter = Meter::new(budget);
    let mut work = Work {
        sources: (spans, runs),
        steps,
        most: Most {
            each: request.exemplars,
            all: EXEMPLARS_ALL_MAX,
        },
        meter: &mut meter,
        series: 0,
        points: 0,
    };
    let mut series = work.query(request.query, false)?;
    exemplars::finish(steps, &mut series);
    Ok(SeriesAnswer {
        series,
        explain: meter.explain,
    })
}

/// A request at work.
struct Work<'w, 'v, 'b> {
    sources: (&'w [Visible<'v>], &'w [Visible<'v>]),
    steps: Steps,
    most: Most,
    meter: &'w mut Meter<'b>,
    /// Series and points of the functions that are calculated with.
    series: usize,
    points: usize,
}

impl Work<'_, '_, '_> {
    /// The series of a query, which may be part of a calculation.
    fn query(&mut self, query: &Query, is_part: bool) -> Result<Vec<Series>, QueryError> {
        let Some(metrics) = &query.metrics else {
            return Err(QueryError::Meaningless(
                "a query without a function over time",
            ));
        };
        let mut series = match &metrics.measure {
            Measure::Math(math) => self.math(math)?,
            _ => self.function(query, metrics, is_part)?,
        };
        for second in &metrics.second {
            apply(*second, &mut series);
        }
        series.retain(|one| !one.points.is_empty());
        Ok(series)
    }

    fn function(
        &mut self,
        query: &Query,
        metrics: &Metrics,
        is_part: bool,
    ) -> Result<Vec<Series>, QueryError> {
        let mut sums = Sums::new(metrics, self.steps, self.most);
        let of = (metrics, self.steps);
        if needs(query).whole_trace {
            by_trace(self.sources, query, of, &mut sums, self.meter)?;
        } else {
            by_row(self.sources.0, query, of, &mut sums, self.meter)?;
        }
        if is_part {
            sums.count_none();
        }
        sums.finish()
    }
}

/// The fields whose values are read of each span: those of the labels, then the measure's.
fn read_fields(metrics: &Metrics) -> (Vec<Field>, Option<Field>) {
    let of = match &metrics.measure {
        Measure::Of(_, field) | Measure::Quantiles(field, _) | Measure::Histogram(field) => {
            Some(field.clone())
        }
        Measure::Rate | Measure::Count | Measure::Compare { .. } | Measure::Math(_) => None,
    };
    (metrics.by.clone(), of)
}

fn by_row(
    spans: &[Visible<'_>],
    query: &Query,
    (metrics, steps): (&Metrics, Steps),
    sums: &mut Sums<'_>,
    meter: &mut Meter<'_>,
) -> Result<(), QueryError> {
    let prepared = Prepared::new(query)?;
    let runner = Runner::new(query, &prepared)?;
    let in_range = ranged(Filter::All, Some((steps.from, steps.to)));
    let (node, starts) = (planned(&in_range)?, Starts::of(&in_range));
    meter.explain.sources += len_u64(spans.len());
    for visible in spans {
        for group in 0..group_count(visible.source) {
            meter.explain.groups += 1;
            if !starts.overlaps(visible.source.start_range(group)) {
                meter.explain.groups_pruned_by_time += 1;
                continue;
            }
            let live = live_rows(visible, group);
            if live.is_empty() {
                continue;
            }
            meter.visit_group(live.len())?;
            let verdict = evaluate(&node, visible.source, &live, meter)?;
            let rows = settle(&node, visible, verdict, meter)?;
            let rows = runner.rows(first_selector(query), visible, &rows, meter)?;
            if let Measure::Compare {
                selector, range, ..
            } = metrics.measure
            {
                let chosen = runner.rows(selector, visible, &rows, meter)?;
                sums.compare(visible, (&rows, &chosen), range, meter)?;
                continue;
            }
            let mut read_some = |field: &Field| read(field, visible, &rows, &mut *meter);
            let known = Known::read(metrics, &mut read_some)?;
            let starts = super::fields::read_column(Some(&Column::Start), visible, &rows, meter)?;
            let starts = starts.iter().map(|values| match values.first() {
                Some(Value::Int(ns)) => *ns,
                _ => i64::MIN,
            });
            reading(visible.source, |read| {
                known.feed(starts, sums, &mut |place| ids_of(read, &rows, place))
            })?;
            meter.hold(sums.bytes())?;
        }
    }
    Ok(())
}

/// The one selector of a query that is no more than that.
fn first_selector(query: &Query) -> usize {
    match query.stages.first() {
        Some(super::ast::Stage::Spans(super::ast::Spans::Selector(at))) => *at,
        _ => usize::MAX,
    }
}

fn by_trace(
    sources: (&[Visible<'_>], &[Visible<'_>]),
    query: &Query,
    (metrics, steps): (&Metrics, Steps),
    sums: &mut Sums<'_>,
    meter: &mut Meter<'_>,
) -> Result<(), QueryError> {
    if matches!(metrics.measure, Measure::Compare { .. }) {
        return Err(QueryError::Meaningless(
            "compare() after more than one selector",
        ));
    }
    let range = Some((steps.from, steps.to));
    each_trace(sources, query, range, meter, &mut |_,
                                                   (
        mut trace,
        runner,
        meter,
    )| {
        let mut spans = RoaringBitmap::new();
        for set in runner.run(&mut trace, meter)? {
            spans |= set.spans;
        }
        if spans.is_empty() {
            return Ok(true);
        }
        let known = Known::read(metrics, &mut |field| trace.read(field, &spans, meter))?;
        let starts = starts(&trace, &spans, meter)?;
        let times = starts.iter().map(|(start, _)| *start);
        known.feed(times, sums, &mut |place| {
            let number = starts.get(place).map(|(_, number)| *number);
            let mut ids = (trace.id.clone(), Box::default());
            trace.cores(&number.into_iter().collect(), &mut |_, core| {
                ids.1 = core.id
            })?;
            Ok(ids)
        })?;
        meter.hold(sums.bytes())?;
        Ok(true)
    })?;
    Ok(())
}

/// Whose span is in the row at a place among these.
fn ids_of(
    read: &mut dyn Rows,
    rows: &RoaringBitmap,
    place: usize,
) -> Result<exemplars::Ids, QueryError> {
    let nth = u32::try_from(place).unwrap_or(u32::MAX);
    let row = rows.select(nth).expect("BUG: a span without a row");
    let core = read.core(row)?;
    Ok((core.trace_id, core.id))
}

/// The values of what a function needs, span by span.
struct Known {
    labels: Vec<Vec<Values>>,
    of: Option<Vec<Values>>,
}

impl Known {
    fn read(
        metrics: &Metrics,
        read: &mut dyn FnMut(&Field) -> Result<Vec<Values>, QueryError>,
    ) -> Result<Self, QueryError> {
        let (by, of) = read_fields(metrics);
        let labels = by.iter().map(&mut *read).collect::<Result<_, _>>()?;
        let of = of.as_ref().map(read).transpose()?;
        Ok(Self { labels, of })
    }

    fn feed(
        &self,
        starts: impl Iterator<Item = i64>,
        sums: &mut Sums<'_>,
        who: Who<'_>,
    ) -> Result<(), QueryError> {
        let mut labels: Vec<&[Value]> = Vec::with_capacity(self.labels.len());
        for (place, start_ns) in starts.enumerate() {
            labels.clear();
            labels.extend(self.labels.iter().map(|list| at(list, place)));
            let span = Span {
                start_ns,
                place,
                labels: &labels,
                of: self.of.as_ref().map_or(&[], |list| at(list, place)),
            };
            sums.add(&span, who)?;
        }
        sums.settle(who)
    }
}

/// The values of one span.
fn at(list: &[Values], place: usize) -> &[Value] {
    list.get(place).map_or(&[], Vec::as_slice)
}

fn apply(second: Second, series: &mut [Series]) {
    let (limit, is_top) = match second {
        Second::Keep(cmp, x) => {
            for one in series {
                one.points.retain(|(_, value)| keeps(*value, cmp, x));
            }
            return;
        }
        Second::Top(limit) => (limit, true),
        Second::Bottom(limit) => (limit, false),
    };
    let mut at_step: std::collections::BTreeMap<i64, Vec<(f64, usize)>> =
        std::collections::BTreeMap::new();
    for (place, one) in series.iter().enumerate() {
        for (at, value) in &one.points {
            at_step.entry(*at).or_default().push((*value, place));
        }
    }
    for (at, mut values) in at_step {
        // Series are ordered by their labels, which break ties.
        values.sort_by(|a, b| {
            let by_value = if is_top {
                b.0.total_cmp(&a.0)
            } else {
                a.0.total_cmp(&b.0)
            };
            by_value.then(a.1.cmp(&b.1))
        });
        for (_, place) in values.into_iter().skip(limit) {
            if let Some(one) = series.get_mut(place) {
                one.points.retain(|(known, _)| *known != at);
            }
        }
    }
}

fn keeps(value: f64, cmp: Cmp, x: f64) -> bool {
    holds(value, cmp, x)
}

fn check_points(points: usize) -> Result<(), QueryError> {
    if points > POINTS_MAX {
        return Err(QueryError::TooMany {
            what: "points",
            max: POINTS_MAX,
            count: points,
        });
    }
    Ok(())
}
