//! Tests of scores: which runs or spans the scores that pass a filter are of.

use std::collections::{HashMap, HashSet};

use roaring::RoaringBitmap;

use super::QueryError;
use super::ast::{Filter, Literal, Test};
use super::beside::ENTRY_BYTES;
use super::document;
use super::meter::Meter;
use super::scan::{Pause, TraceSet, of_traces, with_document};
use crate::doc::{DocError, DocRef, Scalar};
use crate::model::score::Fact;
use crate::source::{Column, Core, Source, SourceError, Visible, reading};

/// The spans that scores are of.
pub(super) const SPAN: Column = Column::Score(Fact::Span);

/// Some score of this name passes a filter over scores, as `scores.NAME` says it.
pub fn scored(name: &str, filter: Filter) -> Filter {
    let named = name_is(name);
    let part = match filter {
        // Whatever its value is, and if it has none.
        Filter::Is(Column::Score(Fact::Value), Test::Exists) => named,
        Filter::Not(part) => return Filter::Not(Box::new(scored(name, *part))),
        other => Filter::And(vec![named, other]),
    };
    Filter::AnyScore(Box::new(part))
}

/// Whether a filter holds a test of scores, wherever it stands.
pub(super) fn asks_scores(filter: &Filter) -> bool {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().any(asks_scores),
        Filter::Not(part) | Filter::AnySpan(part) => asks_scores(part),
        Filter::AnyScore(_) => true,
        Filter::All | Filter::Is(..) | Filter::Text(_) => false,
    }
}

/// Scores of this name.
pub(super) fn name_is(name: &str) -> Filter {
    let name = Test::Eq(Literal::Str(name.to_owned()));
    Filter::Is(Column::Score(Fact::Name), name)
}

/// The spans that some scores are of, by trace.
#[derive(Debug, Default)]
pub(super) struct Scored {
    by_trace: HashMap<Box<str>, HashSet<Box<str>>>,
    spans: usize,
}

impl<T> TraceSet for HashMap<Box<str>, T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn has(&self, trace_id: &str) -> bool {
        self.contains_key(trace_id)
    }

    fn each(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.keys().map(|id| &**id))
    }
}

impl Scored {
    pub(super) const fn len(&self) -> usize {
        self.spans
    }

    pub(super) fn has(&self, core: &Core) -> bool {
        let spans = self.by_trace.get(&core.trace_id);
        spans.is_some_and(|spans| spans.contains(&core.id))
    }

    /// Adds the spans that these scores are of.
    pub(super) fn add(
        &mut self,
        visible: &Visible<'_>,
        scores: &RoaringBitmap,
        meter: &mut Meter<'_>,
    ) -> Result<(), QueryError> {
        let (before, mut bytes) = (self.spans, 0);
        each_span(visible, scores, meter, &mut |_, core, span| {
            if !self.by_trace.contains_key(&core.trace_id) {
                bytes += ENTRY_BYTES + size_of::<HashSet<Box<str>>>() + core.trace_id.len();
            }
            let spans = self.by_trace.entry(core.trace_id.clone()).or_default();
            if spans.insert(span.into()) {
                bytes += ENTRY_BYTES + span.len();
                self.spans += 1;
            }
        })?;
        meter.find(self.spans - before, bytes)
    }

    /// Those of the rows, of spans.
    pub(super) fn rows(
        &self,
        source: &dyn Source,
        within: &RoaringBitmap,
        meter: &Meter<'_>,
    ) -> Result<RoaringBitmap, QueryError> {
        let mut rows = RoaringBitmap::new();
        let is_one = |spans: &HashSet<Box<str>>, id: &str| spans.contains(id).then_some(());
        let visit = &mut |row, ()| {
            rows.insert(row);
        };
        let pause = &mut |n| meter.check_at(n);
        each_scored(
            source,
            (&self.by_trace, &is_one),
            (within, true),
            (visit, pause),
        )?;
        Ok(rows)
    }
}

/// What is known of a span, or over runs of the trace, whose name is then empty.
pub(super) type Find<'f, 't, K, T> = &'f dyn Fn(&'t K, &str) -> Option<T>;

/// Calls `visit` with each of the rows of which something is known, ascending, by what is known of their traces.
pub(super) fn each_scored<'t, K, T, E: From<SourceError>>(
    source: &dyn Source,
    (known, find): (&'t HashMap<Box<str>, K>, Find<'_, 't, K, T>),
    (within, of_spans): (&RoaringBitmap, bool),
    (visit, pause): (&mut dyn FnMut(u32, T), Pause<'_, E>),
) -> Result<(), E> {
    let near = of_traces(source, known, within, pause)?;
    let mut of_row: HashMap<u32, &'t K> = HashMap::new();
    let (mut found, mut long) = (Vec::new(), RoaringBitmap::new());
    pause(0)?;
    source.values(&Column::TraceId, &near, &mut |row, value| {
        if let Scalar::Str(trace) = value {
            of_row.extend(known.get(trace).map(|of_trace| (row, of_trace)));
        } else {
            long.insert(row);
        }
    })?;
    if of_spans {
        pause(0)?;
        source.values(&Column::Id, &near, &mut |row, value| match value {
            Scalar::Str(id) => {
                let of_span = of_row.get(&row).and_then(|of_trace| find(of_trace, id));
                found.extend(of_span.map(|of_span| (row, of_span)));
            }
            _ => {
                long.insert(row);
            }
        })?;
    } else {
        let rows = of_row.into_iter();
        found.extend(rows.filter_map(|(row, of_trace)| Some((row, find(of_trace, "")?))));
    }
    for (row, n) in long.iter().zip(0u64..) {
        pause(n)?;
        let core = source.core(row)?;
        let id = if of_spans { &*core.id } else { "" };
        let of_row = known.get(&core.trace_id).and_then(|spans| find(spans, id));
        found.extend(of_row.map(|of_row| (row, of_row)));
    }
    found.sort_unstable_by_key(|(row, _)| *row);
    for (row, of_row) in found {
        visit(row, of_row);
    }
    Ok(())
}

/// Calls `visit` with each of the scores and a span that it is of: none for scores of whole traces.
pub(super) fn each_span(
    visible: &Visible<'_>,
    scores: &RoaringBitmap,
    meter: &mut Meter<'_>,
    visit: &mut dyn FnMut(u32, &Core, &str),
) -> Result<(), QueryError> {
    let mut named: Vec<(u32, Option<Box<str>>)> = Vec::new();
    let found = &mut |row, value: Scalar<'_>| match value {
        Scalar::Str(span) => named.push((row, Some(span.into()))),
        // Too long for a column: its document has it.
        Scalar::Long(_) => named.push((row, None)),
        _ => {}
    };
    visible.source.values(&SPAN, scores, found)?;
    reading(visible.source, |rows| {
        for (of_row, n) in named.chunk_by(|a, b| a.0 == b.0).zip(0u64..) {
            let Some((row, _)) = of_row.first() else {
                continue;
            };
            meter.check_at(n)?;
            let core = rows.core(*row)?;
            if of_row.iter().any(|(_, span)| span.is_none()) {
                with_document((visible, rows), *row, meter, |doc| {
                    spans_of(&core, doc, &mut |span| visit(*row, &core, span))
                })?;
                continue;
            }
            for span in of_row.iter().filter_map(|(_, span)| span.as_deref()) {
                visit(*row, &core, span);
            }
        }
        Ok(())
    })
}

fn spans_of(core: &Core, doc: DocRef<'_>, visit: &mut dyn FnMut(&str)) -> Result<(), DocError> {
    document::leaves(&SPAN, core, doc, &mut |leaf| {
        leaf.as_str().into_iter().for_each(&mut *visit);
        false
    })
}
