//! Selectors to filters.

use super::ast::{
    Cmp, Expr, Field, Intrinsic, Kind, Measure, Query, Spans, SpansOp, Stage, Static, Status,
};
use super::fields::{Need, OTEL_KIND, STATUS_CODE, fields_of};
use super::value::{Looked, Patterns};
use super::whole;
use crate::model;
use crate::query::ast::{Filter, Literal, Test};
use crate::query::plan::check;
use crate::source::Column;

/// A selector as a filter over spans.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compiled {
    /// Passes at least the spans that the selector does.
    pub(super) filter: Filter,
    /// Passes no others.
    pub(super) is_exact: bool,
}

const NONE: Compiled = Compiled {
    filter: Filter::Or(Vec::new()),
    is_exact: true,
};
const ALL: Compiled = Compiled {
    filter: Filter::All,
    is_exact: true,
};
/// Only the span itself can tell.
const UNKNOWN: Compiled = Compiled {
    filter: Filter::All,
    is_exact: false,
};

/// The filter for a selector. What is too large for one is left to be decided afterwards.
pub(super) fn compile(part: &Expr) -> Compiled {
    let compiled = condition(part);
    if check(&compiled.filter).is_err() {
        return UNKNOWN;
    }
    compiled
}

fn exact(filter: Filter) -> Compiled {
    Compiled {
        filter,
        is_exact: true,
    }
}

fn condition(part: &Expr) -> Compiled {
    match part {
        Expr::Static(Static::Bool(true)) => ALL,
        Expr::Static(_) | Expr::Neg(_) | Expr::Arith(..) => NONE,
        Expr::Field(_) => comparison(Cmp::Eq, part, &Expr::Static(Static::Bool(true))),
        Expr::Not(part) => {
            let inner = condition(part);
            if inner.is_exact {
                exact(not(inner.filter))
            } else {
                UNKNOWN
            }
        }
        Expr::And(parts) => joined(parts, true),
        Expr::Or(parts) => joined(parts, false),
        Expr::Compare(cmp, a, b) => comparison(*cmp, a, b),
    }
}

fn not(filter: Filter) -> Filter {
    match filter {
        Filter::All => Filter::Or(Vec::new()),
        Filter::Or(parts) if parts.is_empty() => Filter::All,
        Filter::Not(inner) => *inner,
        other => Filter::Not(Box::new(other)),
    }
}

fn joined(parts: &[Expr], is_and: bool) -> Compiled {
    let mut filters = Vec::new();
    let mut is_exact = true;
    for part in parts {
        let inner = condition(part);
        is_exact &= inner.is_exact;
        match inner.filter {
            Filter::All if is_and => {}
            Filter::And(more) if is_and => filters.extend(more),
            Filter::Or(more) if !is_and => filters.extend(more),
            other => filters.push(other),
        }
    }
    let filter = if is_and {
        and(filters)
    } else if filters.contains(&Filter::All) {
        Filter::All
    } else {
        or(filters)
    };
    Compiled { filter, is_exact }
}

/// All of these.
pub(super) fn and(mut parts: Vec<Filter>) -> Filter {
    parts.retain(|part| *part != Filter::All);
    match parts.len() {
        0 => Filter::All,
        1 => parts.swap_remove(0),
        _ => Filter::And(parts),
    }
}

fn or(mut parts: Vec<Filter>) -> Filter {
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => Filter::Or(parts),
    }
}

fn comparison(cmp: Cmp, a: &Expr, b: &Expr) -> Compiled {
    match (a, b) {
        (Expr::Field(field), Expr::Static(value)) => test(cmp, field, value),
        // A pattern stands on the right alone.
        (Expr::Static(value), Expr::Field(field)) => test(cmp.turned(), field, value),
        _ => match (field_and_number(a, b), field_and_number(b, a)) {
            (Some((field, number)), _) => test(cmp, field, &number),
            (_, Some((field, number))) => test(cmp.turned(), field, &number),
            _ => {
                let part = Expr::Compare(cmp, Box::new(a.clone()), Box::new(b.clone()));
                let mut fields = Vec::new();
                fields_of(&part, &mut fields);
                match fields.is_empty() {
                    true if constant(&part) => ALL,
                    true => NONE,
                    false => UNKNOWN,
                }
            }
        },
    }
}

/// A field, and the number that the other side comes to for every span.
fn field_and_number<'e>(a: &'e Expr, b: &Expr) -> Option<(&'e Field, Static)> {
    let Expr::Field(field) = a else { return None };
    let mut fields = Vec::new();
    fields_of(b, &mut fields);
    let is_arithmetic = matches!(b, Expr::Arith(..) | Expr::Neg(_));
    if !fields.is_empty() || !is_arithmetic {
        return None;
    }
    let patterns = Patterns::default();
    let looked = Looked {
        values: &|_| &[],
        patterns: &patterns,
    };
    looked.number(b).map(|x| (field, Static::Float(x)))
}

/// Whether an expression without fields holds.
fn constant(part: &Expr) -> bool {
    let mut patterns = Patterns::default();
    if patterns.add(part).is_err() {
        return false;
    }
    let looked = Looked {
        values: &|_| &[],
        patterns: &patterns,
    };
    looked.holds(part)
}

fn test(cmp: Cmp, field: &Field, value: &Static) -> Compiled {
    match field {
        Field::Intrinsic(Intrinsic::Status) => return status(cmp, value),
        Field::Intrinsic(Intrinsic::Kind) => return kind(cmp, value),
        Field::Intrinsic(Intrinsic::NestedSetParent) => return place(cmp, value),
        _ if field.need() != Need::Row => return UNKNOWN,
        _ => {}
    }
    let Some(columns) = field.columns() else {
        return UNKNOWN;
    };
    let any = |test: &Test| {
        let parts = columns.iter().map(|c| Filter::Is(c.clone(), test.clone()));
        or(parts.collect())
    };
    let but_not = |test: Test| Filter::And(vec![any(&Test::Exists), not(any(&test))]);
    let Some(literal) = literal(value) else {
        return match (value, cmp) {
            (Static::Nil, Cmp::Eq) => exact(not(any(&Test::Exists))),
            // A text at a path is no status and no kind.
            (Static::Nil, _) | (_, Cmp::Ne) => exact(any(&Test::Exists)),
            _ => NONE,
        };
    };
    exact(match (cmp, value) {
        (Cmp::Eq, _) => any(&Test::Eq(literal)),
        (Cmp::Ne, _) => but_not(Test::Eq(literal)),
        (Cmp::Lt, _) => any(&Test::Lt(literal)),
        (Cmp::Le, _) => any(&Test::Le(literal)),
        (Cmp::Gt, _) => any(&Test::Gt(literal)),
        (Cmp::Ge, _) => any(&Test::Ge(literal)),
        (Cmp::Match, Static::Str(pattern)) => any(&Test::Regex(whole(pattern))),
        (Cmp::NotMatch, Static::Str(pattern)) => but_not(Test::Regex(whole(pattern))),
        (Cmp::Match | Cmp::NotMatch, _) => return NONE,
    })
}

fn literal(value: &Static) -> Option<Literal> {
    Some(match value {
        Static::Bool(b) => Literal::Bool(*b),
        Static::Int(n) | Static::Duration(n) => Literal::I64(*n),
        Static::Float(x) => Literal::F64(*x),
        Static::Str(text) => Literal::Str((**text).to_owned()),
        Static::Nil | Static::Status(_) | Static::Kind(_) => return None,
    })
}

fn is(name: &str, test: Test) -> Filter {
    Filter::Is(Column::Path(name.into()), test)
}

fn text(name: &str, value: &str) -> Filter {
    is(name, Test::Eq(Literal::Str(value.to_owned())))
}

/// Every span has one status.
fn status(cmp: Cmp, value: &Static) -> Compiled {
    let Static::Status(wanted) = value else {
        return one_value(cmp);
    };
    let error = || text(model::STATUS, model::status::ERROR);
    let says_ok = || {
        let success = text(model::STATUS, model::status::SUCCESS);
        let other = not(text(model::DIALECT, "otlp"));
        Filter::Or(vec![
            text(STATUS_CODE, "ok"),
            Filter::And(vec![success, other]),
        ])
    };
    let filter = match wanted {
        Status::Error => error(),
        Status::Ok => Filter::And(vec![says_ok(), not(error())]),
        Status::Unset => Filter::And(vec![not(says_ok()), not(error())]),
    };
    exact(if cmp == Cmp::Ne { not(filter) } else { filter })
}

/// Every span has one kind.
fn kind(cmp: Cmp, value: &Static) -> Compiled {
    let Static::Kind(wanted) = value else {
        return one_value(cmp);
    };
    let filter = if *wanted == Kind::Unspecified {
        let others = Kind::ALL.into_iter().filter(|k| *k != Kind::Unspecified);
        let others = others.map(|k| Literal::Str(k.as_str().to_owned()));
        not(is(OTEL_KIND, Test::In(others.collect())))
    } else {
        text(OTEL_KIND, wanted.as_str())
    };
    exact(if cmp == Cmp::Ne { not(filter) } else { filter })
}

/// Of a field that every span has: `nil` is never it, and nothing else compares.
fn one_value(cmp: Cmp) -> Compiled {
    if cmp == Cmp::Ne { ALL } else { NONE }
}

/// `nestedSetParent < 0` and its like ask for spans without a parent. Other numbers need the tree.
fn place(cmp: Cmp, value: &Static) -> Compiled {
    let Static::Int(n) = value else {
        return UNKNOWN;
    };
    let has_parent = is(model::PARENT_ID, Test::Exists);
    match (cmp, n) {
        (Cmp::Lt, 0) | (Cmp::Le | Cmp::Eq, -1) => exact(not(has_parent)),
        (Cmp::Ge, 0) | (Cmp::Gt | Cmp::Ne, -1) => exact(has_parent),
        _ => UNKNOWN,
    }
}

/// What passes at least every span that a query can leave.
pub(super) fn left(stages: &[Stage], filters: &[Compiled]) -> Filter {
    match stages.first() {
        Some(Stage::Spans(spans)) => left_of(spans, filters),
        _ => Filter::All,
    }
}

fn left_of(spans: &Spans, filters: &[Compiled]) -> Filter {
    use super::ast::Form::Union;
    match spans {
        Spans::Selector(at) => filters.get(*at).map_or(Filter::All, |c| c.filter.clone()),
        Spans::Pipeline(stages) => left(stages, filters),
        Spans::Both(SpansOp::And | SpansOp::Or | SpansOp::Related(_, Union), a, b) => {
            let (a, b) = (left_of(a, filters), left_of(b, filters));
            if a == Filter::All || b == Filter::All {
                return Filter::All;
            }
            let both = Filter::Or(vec![a, b]);
            if check(&both).is_ok() {
                both
            } else {
                Filter::All
            }
        }
        Spans::Both(SpansOp::Related(..), _, b) => left_of(b, filters),
    }
}

/// The query as a filter over spans, or over runs with such spans: `None` if one cannot say it.
pub fn as_filter(query: &Query, over_runs: bool) -> Option<Filter> {
    if query.metrics.is_some() {
        return None;
    }
    let [Stage::Spans(spans)] = &query.stages[..] else {
        return None;
    };
    let filters: Vec<Compiled> = query.selectors.iter().map(compile).collect();
    let filter = filter_of(spans, &filters, over_runs)?;
    check(&filter).is_ok().then_some(filter)
}

fn filter_of(spans: &Spans, filters: &[Compiled], over_runs: bool) -> Option<Filter> {
    match spans {
        Spans::Selector(at) => {
            let compiled = filters.get(*at).filter(|c| c.is_exact)?;
            Some(if over_runs {
                Filter::AnySpan(Box::new(compiled.filter.clone()))
            } else {
                compiled.filter.clone()
            })
        }
        // Of spans, `{a} && {b}` leaves those of either if the trace has both.
        Spans::Both(op @ (SpansOp::And | SpansOp::Or), a, b) if over_runs => {
            let parts = vec![filter_of(a, filters, true)?, filter_of(b, filters, true)?];
            Some(if *op == SpansOp::And {
                Filter::And(parts)
            } else {
                Filter::Or(parts)
            })
        }
        Spans::Both(SpansOp::Or, a, b) => Some(Filter::Or(vec![
            filter_of(a, filters, false)?,
            filter_of(b, filters, false)?,
        ])),
        Spans::Both(..) | Spans::Pipeline(_) => None,
    }
}

/// What of a trace a query must know beside the spans' rows.
pub(super) fn needs(query: &Query) -> Needs {
    let mut needs = Needs::default();
    let mut fields = Vec::new();
    for part in &query.selectors {
        fields_of(part, &mut fields);
    }
    needs.whole_trace = query.stages.len() != 1;
    for stage in &query.stages {
        stage_needs(stage, &mut needs, &mut fields);
    }
    if let Some(metrics) = &query.metrics {
        fields.extend(metrics.by.iter().cloned());
        match &metrics.measure {
            Measure::Of(_, field) | Measure::Quantiles(field, _) | Measure::Histogram(field) => {
                fields.push(field.clone());
            }
            Measure::Rate | Measure::Count | Measure::Compare { .. } | Measure::Math(_) => {}
        }
    }
    for field in &fields {
        if field.need() != Need::Row && !is_place(field, query) {
            needs.whole_trace = true;
        }
    }
    needs
}

/// What a query must know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    /// Traces are looked at one by one.
    pub(super) whole_trace: bool,
}

/// Whether the field stands only where a filter decides it.
fn is_place(field: &Field, query: &Query) -> bool {
    if *field != Field::Intrinsic(Intrinsic::NestedSetParent) {
        return false;
    }
    let used = |part: &Expr| {
        let mut fields = Vec::new();
        fields_of(part, &mut fields);
        fields.contains(field)
    };
    let mut with_it = query.selectors.iter().filter(|part| used(part));
    let in_metrics = query.metrics.as_ref().is_some_and(|metrics| {
        let of = match &metrics.measure {
            Measure::Of(_, of) | Measure::Quantiles(of, _) | Measure::Histogram(of) => Some(of),
            _ => None,
        };
        metrics.by.contains(field) || of == Some(field)
    });
    with_it.all(|part| compile(part).is_exact) && !in_metrics
}

fn stage_needs(stage: &Stage, needs: &mut Needs, fields: &mut Vec<Field>) {
    match stage {
        Stage::Spans(Spans::Selector(_)) => {}
        Stage::Spans(_) | Stage::Where(..) | Stage::Coalesce => needs.whole_trace = true,
        Stage::By(part) => {
            needs.whole_trace = true;
            fields_of(part, fields);
        }
        Stage::Select(selected) => fields.extend(selected.iter().cloned()),
    }
}
