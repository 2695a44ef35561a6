//! The newest traces of which a query leaves spans.

use std::collections::HashSet;

use roaring::RoaringBitmap;

use super::ast::{Field, Intrinsic, Query, Stage};
use super::compile::left;
use super::eval::{Prepared, Runner, Set, planned, ranged};
use super::fields::{Need, fields_of};
use super::newest::Newest;
use super::trace::Trace;
use super::value::{Value, Values};
use super::{SPANS_SHOWN_MAX, TRACES_LISTED_MAX};
use crate::query::QueryError;
use crate::query::meter::{Budget, Explain, Meter, len_u64};
use crate::query::plan::Starts;
use crate::query::search::TRACES_MAX;
use crate::source::{Column, Visible};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct SearchRequest<'q> {
    /// The query.
    pub query: &'q Query,
    /// Spans count that start at the first or after, and before the second. The tree of a trace is
    /// that of all its spans.
    pub range: Option<(i64, i64)>,
    /// How many traces at most: up to [`TRACES_LISTED_MAX`].
    pub limit: usize,
    /// How many spans of a set are shown: up to [`SPANS_SHOWN_MAX`].
    pub spans_shown: usize,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TracesFound {
    /// Those with the newest spans left come first; ties by id, the largest first.
    pub traces: Vec<TraceFound>,
    /// How many traces were looked at.
    pub looked_at: u64,
    /// What was done.
    pub explain: Explain,
}

/// A trace of which spans are left.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceFound {
    /// Its id.
    pub trace_id: Box<str>,
    /// Start of its run, nanoseconds.
    pub start_ns: i64,
    /// How long it took; `None` while it runs.
    pub duration_ns: Option<i64>,
    /// Its name.
    pub root_name: Option<Box<str>>,
    /// Its service.
    pub root_service: Option<Box<str>>,
    /// The latest start of a span that is left.
    pub latest_ns: i64,
    /// The spans that are left.
    pub sets: Vec<SpanSet>,
}

/// Spans that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanSet {
    /// How many.
    pub matched: u64,
    /// The first of them by start, then id.
    pub spans: Vec<SpanFound>,
    /// What `by()` and comparisons of numbers say of it.
    pub says: Vec<(String, Option<Value>)>,
}

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanFound {
    /// Its id.
    pub id: Box<str>,
    /// Its name.
    pub name: Option<Box<str>>,
    /// Its start, nanoseconds.
    pub start_ns: i64,
    /// How long it took; `None` while it runs.
    pub duration_ns: Option<i64>,
    /// The fields that the query names, where it has values.
    pub fields: Vec<(Field, Values)>,
}

/// Answers a search. `spans` and `runs` are the sources of the project's spans and runs.
pub fn search(
    spans: &[Visible<'_>],
    runs: &[Visible<'_>],
    budget: &Budget<'_>,
    request: &SearchRequest<'_>,
) -> Result<TracesFound, QueryError> {
    if request.limit > TRACES_LISTED_MAX {
        return Err(QueryError::LimitTooLarge(request.limit));
    }
    if request.spans_shown > SPANS_SHOWN_MAX {
        return Err(QueryError::LimitTooLarge(request.spans_shown));
    }
    if request.query.metrics.is_some() {
        return Err(QueryError::Meaningless("a function over time in a search"));
    }
    let mut meter = Meter::new(budget);
    let (mut found, mut held) = (Vec::new(), 0);
    let mut look = |at: i64, (mut trace, runner, meter): AtHand<'_, '_, '_, '_>| {
        if request.limit == 0 || is_complete(&mut found, request.limit, at) {
            return Ok(false);
        }
        let sets = runner.run(&mut trace, meter)?;
        if !sets.is_empty() {
            let one = shown(trace, &sets, request, meter)?;
            held += bytes_of(&one);
            meter.hold(held)?;
            found.push(one);
        }
        Ok(true)
    };
    let sources = (spans, runs);
    let looked_at = each_trace(sources, request.query, request.range, &mut meter, &mut look)?;
    sort(&mut found);
    found.truncate(request.limit);
    Ok(TracesFound {
        traces: found,
        looked_at,
        explain: meter.explain,
    })
}

fn sort(found: &mut [TraceFound]) {
    found.sort_by(|a, b| (b.latest_ns, &b.trace_id).cmp(&(a.latest_ns, &a.trace_id)));
}

/// Whether no trace whose spans all start at `at` or before can be among the first any more. Drops
/// what is not.
fn is_complete(found: &mut Vec<TraceFound>, limit: usize, at: i64) -> bool {
    if found.len() < limit {
        return false;
    }
    sort(found);
    found.truncate(limit);
    found.last().is_some_and(|last| last.latest_ns > at)
}

/// What is at hand when a trace is looked at.
pub(super) type AtHand<'a, 'v, 'q, 'b> = (Trace<'v>, &'a Runner<'q>, &'a mut Meter<'b>);

/// Calls `look` for each trace that may have spans left, by the latest start of such a span, until it
/// answers false. Answers how many were looked at.
pub(super) fn each_trace(
    (spans, runs): (&[Visible<'_>], &[Visible<'_>]),
    query: &Query,
    range: Option<(i64, i64)>,
    meter: &mut Meter<'_>,
    look: &mut dyn FnMut(i64, AtHand<'_, '_, '_, '_>) -> Result<bool, QueryError>,
) -> Result<u64, QueryError> {
    let prepared = Prepared::new(query)?;
    let runner = Runner::new(query, &prepared)?;
    let filter = ranged(left(&query.stages, &prepared.filters), range);
    let mut newest = Newest::new(spans, planned(&filter)?, Starts::of(&filter), meter);
    let mut seen: HashSet<Box<str>> = HashSet::new();
    meter.explain.sources += len_u64(spans.len());
    while let Some((at, id)) = newest.next(meter)? {
        if seen.contains(&id) {
            continue;
        }
        seen.insert(id.clone());
        if seen.len() > TRACES_MAX {
            return Err(QueryError::BudgetExceeded {
                what: "traces",
                max: len_u64(TRACES_MAX),
            });
        }
        meter.check()?;
        let trace = Trace::new(id, (spans, runs), range, meter)?;
        if !look(at, (trace, &runner, &mut *meter))? {
            break;
        }
    }
    Ok(len_u64(seen.len()))
}

/// The fields that are shown of each span.
fn shown_fields(query: &Query) -> Vec<Field> {
    let mut fields = Vec::new();
    for part in &query.selectors {
        fields_of(part, &mut fields);
    }
    // What stands in a condition is shown if that costs nothing more than rows.
    fields.retain(|field| field.need() == Need::Row);
    selected(&query.stages, &mut fields);
    fields.retain(|field| {
        let Field::Intrinsic(intrinsic) = field else {
            return true;
        };
        !matches!(
            intrinsic,
            Intrinsic::Name | Intrinsic::Duration | Intrinsic::SpanId | Intrinsic::TraceId
        )
    });
    fields
}

fn selected(stages: &[Stage], fields: &mut Vec<Field>) {
    for stage in stages {
        if let Stage::Select(more) = stage {
            for field in more {
                if !fields.contains(field) {
                    fields.push(field.clone());
                }
            }
        }
    }
}

fn shown(
    mut trace: Trace<'_>,
    sets: &[Set],
    request: &SearchRequest<'_>,
    meter: &mut Meter<'_>,
) -> Result<TraceFound, QueryError> {
    let fields = shown_fields(request.query);
    let mut latest_ns = i64::MIN;
    let mut shown = Vec::with_capacity(sets.len());
    for set in sets {
        let starts = starts(&trace, &set.spans, meter)?;
        latest_ns = latest_ns.max(
            starts
                .iter()
                .map(|(start, _)| *start)
                .max()
                .unwrap_or(i64::MIN),
        );
        let first = first_by_start(&trace, starts, request.spans_shown)?;
        shown.push(SpanSet {
            matched: set.spans.len(),
            spans: spans_shown(&mut trace, first, &fields, meter)?,
            says: set.says.clone(),
        });
    }
    let run = trace.run(meter)?;
    Ok(TraceFound {
        trace_id: trace.id,
        start_ns: run.start_ns.unwrap_or(latest_ns),
        duration_ns: run.duration_ns,
        root_name: run.name,
        root_service: run.service,
        latest_ns,
        sets: shown,
    })
}

/// The start of each span, and its number.
pub(super) fn starts(
    trace: &Trace<'_>,
    spans: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Vec<(i64, u32)>, QueryError> {
    let columns = trace.column(&Column::Start, spans, meter)?;
    let starts = columns.iter().zip(spans);
    let starts = starts.filter_map(|(values, number)| match values.first() {
        Some(Value::Int(ns)) => Some((*ns, number)),
        _ => None,
    });
    Ok(starts.collect())
}

/// The first `limit` of them by start, then id, with what their rows say.
fn first_by_start(
    trace: &Trace<'_>,
    mut starts: Vec<(i64, u32)>,
    limit: usize,
) -> Result<Vec<(u32, crate::source::Core)>, QueryError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    if starts.len() > limit {
        let (_, last, _) = starts.select_nth_unstable(limit - 1);
        let last = last.0;
        starts.retain(|(start, _)| *start <= last);
    }
    let spans: RoaringBitmap = starts.iter().map(|(_, number)| *number).collect();
    let mut cores = Vec::with_capacity(starts.len());
    trace.cores(&spans, &mut |number, core| cores.push((number, core)))?;
    cores.sort_by(|(_, a), (_, b)| (a.start_ns, &a.id).cmp(&(b.start_ns, &b.id)));
    cores.truncate(limit);
    Ok(cores)
}

fn spans_shown(
    trace: &mut Trace<'_>,
    cores: Vec<(u32, crate::source::Core)>,
    fields: &[Field],
    meter: &mut Meter<'_>,
) -> Result<Vec<SpanFound>, QueryError> {
    let spans: RoaringBitmap = cores.iter().map(|(number, _)| *number).collect();
    let names = trace.read(&Field::Intrinsic(Intrinsic::Name), &spans, meter)?;
    let mut values = Vec::with_capacity(fields.len());
    for field in fields {
        values.push(trace.read(field, &spans, meter)?);
    }
    let shown = cores.into_iter().map(|(number, core)| {
        let place = usize::try_from(spans.rank(number)).unwrap_or(1) - 1;
        let name = names.get(place).into_iter().flatten();
        let name = name.filter_map(|name| match name {
            Value::Str(name) => Some(name.clone()),
            _ => None,
        });
        let said = fields.iter().zip(&values).filter_map(|(field, values)| {
            let values = values.get(place).filter(|values| !values.is_empty())?;
            Some((field.clone(), values.clone()))
        });
        SpanFound {
            name: name.take(1).next(),
            fields: said.collect(),
            start_ns: core.start_ns,
            duration_ns: core.end_ns.map(|end| end.saturating_sub(core.start_ns)),
            id: core.id,
        }
    });
    Ok(shown.collect())
}

/// About what it takes in an answer.
fn bytes_of(trace: &TraceFound) -> usize {
    let of_span = |span: &SpanFound| {
        let values = span.fields.iter().flat_map(|(_, values)| values);
        let values = values.map(|value| value.heap_bytes() + 64);
        128 + span.id.len() + values.sum::<usize>()
    };
    let of_set = |set: &SpanSet| 128 + set.spans.iter().map(of_span).sum::<usize>();
    256 + trace.sets.iter().map(of_set).sum::<usize>()
}
