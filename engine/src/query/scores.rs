//! Tests of scores: what a filter over scores means in the words of every protocol, and which runs or spans
//! the scores that pass it are of.

use std::collections::{HashMap, HashSet};

use roaring::RoaringBitmap;

use super::QueryError;
use super::ast::{Filter, Literal, Test};
use super::beside::ENTRY_BYTES;
use super::document;
use super::meter::Meter;
use super::scan::{TraceSet, of_traces, with_document};
use crate::doc::{DocRef, Scalar};
use crate::model::{self, score};
use crate::source::{Column, Core, Source, SourceError, Visible, reading};

/// What a score's value is called in a filter over scores.
pub const VALUE: &str = "value";
/// What the span that it is of is called there.
const SPAN: &str = "span_id";

/// Some score of this name passes a filter over scores, as `scores.NAME` says it.
pub fn scored(name: &str, filter: Filter) -> Filter {
    let named = name_is(name);
    let part = match filter {
        // Whatever its value is, and if it has none.
        Filter::Is(Column::Path(path), Test::Exists) if &*path == VALUE => named,
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
    Filter::Is(Column::Path(model::NAME.into()), name)
}

/// A filter over scores by the places where their rows have what it names.
pub(super) fn stored(filter: &Filter) -> Filter {
    let all = |parts: &[Filter]| parts.iter().map(stored).collect();
    match filter {
        Filter::And(parts) => Filter::And(all(parts)),
        Filter::Or(parts) => Filter::Or(all(parts)),
        Filter::Not(part) => Filter::Not(Box::new(stored(part))),
        Filter::Is(Column::Path(path), test) => match &**path {
            model::NAME => first_of(&score::NAMES, test),
            VALUE => value(test),
            model::USER_ID => first_of(&score::USERS, test),
            SPAN => Filter::Or(score::SPANS.iter().map(|place| is(place, test)).collect()),
            _ => filter.clone(),
        },
        other => other.clone(),
    }
}

fn is(place: &str, test: &Test) -> Filter {
    Filter::Is(Column::Path(place.into()), test.clone())
}

fn has(place: &str) -> Filter {
    is(place, &Test::Exists)
}

/// The first of the places that has a value has one that passes.
fn first_of(places: &[&str], test: &Test) -> Filter {
    let ways = (0..).zip(places).map(|(before, place)| {
        let none = places.iter().take(before);
        let none = none.map(|place| Filter::Not(Box::new(has(place))));
        Filter::And(none.chain([is(place, test)]).collect())
    });
    Filter::Or(ways.collect())
}

fn value(test: &Test) -> Filter {
    let test = &with_numbers(test);
    let words = Filter::And(vec![has(model::NAME), is(score::LABEL, test)]);
    Filter::Or(vec![first_of(&score::VALUES, test), words])
}

/// Some protocols store yes and no as 1 and 0, so those are asked for, too.
fn with_numbers(test: &Test) -> Test {
    let also = |literal: &Literal| match literal {
        Literal::Bool(yes) => vec![Literal::Bool(*yes), Literal::I64(i64::from(*yes))],
        other => vec![other.clone()],
    };
    match test {
        Test::Eq(literal @ Literal::Bool(_)) => Test::In(also(literal)),
        Test::In(list) => Test::In(list.iter().flat_map(also).collect()),
        other => other.clone(),
    }
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

    fn each(
        &self,
        visit: &mut dyn FnMut(&str) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        self.keys().try_for_each(|trace| visit(trace))
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
    ) -> Result<RoaringBitmap, QueryError> {
        let near = of_traces(source, &self.by_trace, within)?;
        let mut of_row = HashMap::new();
        let mut rows = RoaringBitmap::new();
        let mut long = RoaringBitmap::new();
        source.values(&Column::TraceId, &near, &mut |row, value| {
            if let Scalar::Str(trace) = value {
                of_row.insert(row, self.by_trace.get(trace));
            } else {
                long.insert(row);
            }
        })?;
        source.values(&Column::Id, &near, &mut |row, value| match value {
            Scalar::Str(id) => {
                if let Some(Some(spans)) = of_row.get(&row)
                    && spans.contains(id)
                {
                    rows.insert(row);
                }
            }
            _ => {
                long.insert(row);
            }
        })?;
        for row in long {
            if self.has(&source.core(row)?) {
                rows.insert(row);
            }
        }
        Ok(rows)
    }
}

/// Calls `visit` with each of the scores and a span that it is of: none for scores of whole traces.
pub(super) fn each_span(
    visible: &Visible<'_>,
    scores: &RoaringBitmap,
    meter: &mut Meter<'_>,
    visit: &mut dyn FnMut(u32, &Core, &str),
) -> Result<(), QueryError> {
    let mut named: Vec<(u32, Option<Box<str>>)> = Vec::new();
    for place in score::SPANS {
        let column = Column::Path(place.into());
        let found = &mut |row, value: Scalar<'_>| match value {
            Scalar::Str(span) => named.push((row, Some(span.into()))),
            // Too long for a column: its document has it.
            Scalar::Long(_) => named.push((row, None)),
            _ => {}
        };
        visible.source.values(&column, scores, found)?;
    }
    named.sort();
    named.dedup();
    reading(visible.source, |rows| {
        for of_row in named.chunk_by(|a, b| a.0 == b.0) {
            let Some((row, _)) = of_row.first() else {
                continue;
            };
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

fn spans_of(
    core: &Core,
    doc: DocRef<'_>,
    visit: &mut dyn FnMut(&str),
) -> Result<(), crate::doc::DocError> {
    for place in score::SPANS {
        let column = Column::Path(place.into());
        document::leaves(&column, core, doc, &mut |leaf| {
            leaf.as_str().into_iter().for_each(&mut *visit);
            false
        })?;
    }
    Ok(())
}
