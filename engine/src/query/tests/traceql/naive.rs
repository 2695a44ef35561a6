//! What a query must leave, worked out span by span from what the test made. Shares nothing with the
//! evaluator but the query as it was read.

use std::collections::{BTreeMap, BTreeSet};

use super::super::rows::{TestRow, V};
use crate::query::traceql::ast::{
    Arith, Cmp, Expr, Field, Fold, Form, Intrinsic, Measure, Query, Relation, Scalar, Spans,
    SpansOp, Stage, Static,
};

/// A value: texts of statuses and kinds are words of their own.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum N {
    Bool(bool),
    Num(f64),
    Str(String),
    Word(&'static str),
    Bytes,
}

pub(super) struct Naive<'a> {
    pub(super) spans: &'a [TestRow],
    pub(super) runs: &'a [TestRow],
    pub(super) range: Option<(i64, i64)>,
}

type Set = BTreeSet<usize>;

#[expect(clippy::cast_precision_loss, reason = "numbers of the tests are small")]
fn num(n: i64) -> N {
    N::Num(n as f64)
}

impl Naive<'_> {
    fn at(&self, row: &TestRow, path: &str) -> Vec<N> {
        let mut found = Vec::new();
        for (p, v) in &row.fields {
            let value = match v {
                _ if p != path => continue,
                V::Null => continue,
                V::Bool(b) => N::Bool(*b),
                V::I64(n) => num(*n),
                V::F64(x) => N::Num(*x),
                V::Str(s) => N::Str(s.clone()),
                V::Bytes(_) => N::Bytes,
            };
            if !found.contains(&value) {
                found.push(value);
            }
        }
        found
    }

    fn text(&self, row: &TestRow, path: &str) -> Option<String> {
        match self.at(row, path).first() {
            Some(N::Str(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn live(&self) -> impl Iterator<Item = (usize, &TestRow)> {
        self.spans.iter().enumerate().filter(|(_, row)| !row.dead)
    }

    fn of_trace(&self, n: usize) -> Vec<usize> {
        let trace = &self.spans[n].core.trace_id;
        self.live()
            .filter(|(_, row)| row.core.trace_id == *trace)
            .map(|(n, _)| n)
            .collect()
    }

    fn key(&self, n: usize) -> (i64, &str) {
        (self.spans[n].core.start_ns, &self.spans[n].core.id)
    }

    /// The span that is named as the parent, rings and all.
    fn named_parent(&self, n: usize) -> Option<usize> {
        let id = self.text(&self.spans[n], "parent_id")?;
        let mut all = self.of_trace(n).into_iter();
        all.find(|m| *self.spans[*m].core.id == *id && *m != n)
    }

    fn parent(&self, n: usize) -> Option<usize> {
        let mut ring = vec![n];
        let mut at = n;
        while let Some(next) = self.named_parent(at) {
            if next == n {
                // In a ring: its earliest span has no parent.
                let first = ring.iter().copied().min_by_key(|m| self.key(*m))?;
                return self.named_parent(n).filter(|_| first != n);
            }
            if ring.contains(&next) {
                break;
            }
            ring.push(next);
            at = next;
        }
        self.named_parent(n)
    }

    fn above(&self, n: usize) -> Vec<usize> {
        let mut all = Vec::new();
        let mut at = n;
        while let Some(next) = self.parent(at) {
            all.push(next);
            at = next;
        }
        all
    }

    /// Left and right of the spans of a trace, as a nested set.
    fn sides(&self, n: usize) -> BTreeMap<usize, (i64, i64)> {
        let mut all = self.of_trace(n);
        all.sort_by_key(|m| self.key(*m));
        let mut sides = BTreeMap::new();
        let mut next = 1;
        let (whole, rings): (Vec<usize>, Vec<usize>) = all
            .iter()
            .filter(|m| self.parent(**m).is_none())
            .partition(|m| self.named_parent(**m).is_none());
        // Of rings the one first that has the earliest span below it.
        let mut rings = rings;
        rings.sort_by_key(|m| {
            let below = all
                .iter()
                .filter(|c| **c == *m || self.above(**c).contains(m));
            below.map(|c| self.key(*c)).min()
        });
        for root in whole.into_iter().chain(rings) {
            self.number(root, &all, &mut next, &mut sides);
        }
        sides
    }

    fn number(
        &self,
        at: usize,
        all: &[usize],
        next: &mut i64,
        sides: &mut BTreeMap<usize, (i64, i64)>,
    ) {
        let left = *next;
        *next += 1;
        for child in all.iter().filter(|m| self.parent(**m) == Some(at)) {
            self.number(*child, all, next, sides);
        }
        sides.insert(at, (left, *next));
        *next += 1;
    }

    fn run(&self, n: usize) -> Option<&TestRow> {
        let trace = &self.spans[n].core.trace_id;
        let runs = self
            .runs
            .iter()
            .filter(|row| !row.dead && row.core.trace_id == *trace);
        runs.min_by_key(|row| (row.core.start_ns, row.core.id.clone()))
    }

    fn union(&self, n: usize, paths: &[String]) -> Vec<N> {
        let mut all = Vec::new();
        for value in paths.iter().flat_map(|path| self.at(&self.spans[n], path)) {
            if !all.contains(&value) {
                all.push(value);
            }
        }
        all
    }

    pub(super) fn field(&self, field: &Field, n: usize) -> Vec<N> {
        let row = &self.spans[n];
        let one = |path: String| self.at(row, &path);
        match field {
            Field::Resource(name) if &**name == "service.name" => one("service".into()),
            Field::Any(name) if &**name == "service.name" => {
                self.union(n, &["service".into(), "attributes.service.name".into()])
            }
            Field::Any(name) => self.union(
                n,
                &["attributes.", "resource.", "metadata.", ""].map(|p| format!("{p}{name}")),
            ),
            Field::Span(name) => one(format!("attributes.{name}")),
            Field::Resource(name) => one(format!("resource.{name}")),
            Field::Event(name) => one(format!("events.attributes.{name}")),
            Field::Link(name) => one(format!("links.attributes.{name}")),
            Field::Instrumentation(name) => one(format!("scope.attributes.{name}")),
            Field::Row(name) => one(name.to_string()),
            Field::Parent(inner) => {
                let parent = self.parent(n);
                parent.map_or_else(Vec::new, |parent| self.field(inner, parent))
            }
            Field::Intrinsic(intrinsic) => self.intrinsic(*intrinsic, n),
        }
    }

    fn intrinsic(&self, intrinsic: Intrinsic, n: usize) -> Vec<N> {
        let row = &self.spans[n];
        let text = |path: &str| self.text(row, path);
        let strings = |text: Option<String>| text.map(N::Str).into_iter().collect();
        let length = |row: &TestRow| row.core.end_ns.map(|end| num(end - row.core.start_ns));
        match intrinsic {
            Intrinsic::Name => self.at(row, "name"),
            Intrinsic::StatusMessage => {
                self.union(n, &["status_message".into(), "error_message".into()])
            }
            Intrinsic::Status => {
                let has = |path: &str, wanted: &str| {
                    self.at(row, path).contains(&N::Str(wanted.to_owned()))
                };
                let ok = has("status_code", "ok")
                    || (has("status", "success") && !has("dialect", "otlp"));
                vec![N::Word(match (has("status", "error"), ok) {
                    (true, _) => "error",
                    (_, true) => "ok",
                    _ => "unset",
                })]
            }
            Intrinsic::Kind => {
                let kinds = ["internal", "server", "client", "producer", "consumer"];
                let said = self.at(row, "otel_kind");
                let found = kinds
                    .into_iter()
                    .find(|k| said.contains(&N::Str((*k).to_owned())));
                vec![N::Word(found.unwrap_or("unspecified"))]
            }
            Intrinsic::Duration => length(row).into_iter().collect(),
            Intrinsic::TraceId => vec![N::Str(row.core.trace_id.to_string())],
            Intrinsic::SpanId => vec![N::Str(row.core.id.to_string())],
            Intrinsic::ParentId => self.at(row, "parent_id"),
            Intrinsic::EventName => self.at(row, "events.name"),
            Intrinsic::EventTimeSinceStart => {
                let times = self.at(row, "events.time_unix_nano");
                let N::Num(start) = num(row.core.start_ns) else {
                    unreachable!()
                };
                let times = times.into_iter().filter_map(|t| match t {
                    N::Num(t) => Some(N::Num(t - start)),
                    _ => None,
                });
                times.collect()
            }
            Intrinsic::LinkTraceId => self.at(row, "links.trace_id"),
            Intrinsic::LinkSpanId => self.at(row, "links.span_id"),
            Intrinsic::ScopeName => self.at(row, "scope.name"),
            Intrinsic::ScopeVersion => self.at(row, "scope.version"),
            Intrinsic::TraceDuration => self.run(n).and_then(length).into_iter().collect(),
            Intrinsic::RootName => strings(self.run(n).and_then(|run| self.text(run, "name"))),
            Intrinsic::RootService => {
                strings(self.run(n).and_then(|run| self.text(run, "service")))
            }
            Intrinsic::ChildCount => {
                let all = self.of_trace(n);
                let below = all.into_iter().filter(|m| self.parent(*m) == Some(n));
                vec![num(i64::try_from(below.count()).unwrap())]
            }
            Intrinsic::NestedSetLeft => vec![num(self.sides(n)[&n].0)],
            Intrinsic::NestedSetRight => vec![num(self.sides(n)[&n].1)],
            Intrinsic::NestedSetParent => vec![match (self.parent(n), text("parent_id")) {
                (Some(parent), _) => num(self.sides(n)[&parent].0),
                (None, None) => num(-1),
                (None, Some(_)) => num(0),
            }],
        }
    }

    pub(super) fn values(&self, part: &Expr, n: usize) -> Vec<N> {
        match part {
            Expr::Static(value) => literal(value),
            Expr::Field(field) => self.field(field, n),
            Expr::Neg(part) => self
                .number_of(part, n)
                .map(|x| N::Num(-x))
                .into_iter()
                .collect(),
            Expr::Arith(op, a, b) => {
                let found = self.number_of(a, n).zip(self.number_of(b, n));
                let found = found.map(|(a, b)| calculate(*op, a, b));
                found
                    .filter(|x| !x.is_nan())
                    .map(N::Num)
                    .into_iter()
                    .collect()
            }
            _ => vec![N::Bool(self.holds(part, n))],
        }
    }

    fn number_of(&self, part: &Expr, n: usize) -> Option<f64> {
        let values = self.values(part, n);
        let numbers: Vec<f64> = values
            .iter()
            .filter_map(|v| if let N::Num(x) = v { Some(*x) } else { None })
            .collect();
        if let [x] = numbers[..] { Some(x) } else { None }
    }

    pub(super) fn holds(&self, part: &Expr, n: usize) -> bool {
        match part {
            Expr::Not(part) => !self.holds(part, n),
            Expr::And(parts) => parts.iter().all(|part| self.holds(part, n)),
            Expr::Or(parts) => parts.iter().any(|part| self.holds(part, n)),
            Expr::Compare(cmp, a, b) => {
                let nil = [a, b]
                    .iter()
                    .any(|part| ***part == Expr::Static(Static::Nil));
                let (a, b) = (self.values(a, n), self.values(b, n));
                if nil {
                    return (a.is_empty() && b.is_empty()) == (*cmp == Cmp::Eq);
                }
                compare(*cmp, &a, &b)
            }
            _ => self.values(part, n).contains(&N::Bool(true)),
        }
    }

    /// The sets that are left of each trace.
    pub(super) fn search(&self, query: &Query) -> BTreeMap<String, Vec<BTreeSet<String>>> {
        let mut traces: BTreeMap<String, Set> = BTreeMap::new();
        for (n, row) in self.live() {
            let start = row.core.start_ns;
            if self
                .range
                .is_none_or(|(from, to)| from <= start && start < to)
            {
                traces
                    .entry(row.core.trace_id.to_string())
                    .or_default()
                    .insert(n);
            }
        }
        let mut found = BTreeMap::new();
        for (trace, spans) in traces {
            let sets = self.stages(query, &query.stages, vec![spans]);
            if !sets.is_empty() {
                let ids = |set: &Set| {
                    set.iter()
                        .map(|n| self.spans[*n].core.id.to_string())
                        .collect()
                };
                found.insert(trace, sets.iter().map(ids).collect());
            }
        }
        found
    }

    fn stages(&self, query: &Query, stages: &[Stage], mut sets: Vec<Set>) -> Vec<Set> {
        for stage in stages {
            sets = match stage {
                Stage::Spans(spans) => {
                    let left = sets.into_iter().map(|set| self.spans(query, spans, &set));
                    left.filter(|set| !set.is_empty()).collect()
                }
                Stage::Where(a, cmp, b) => {
                    let passes = |set: &Set| {
                        let (a, b) = (self.scalar(a, set), self.scalar(b, set));
                        a.zip(b)
                            .is_some_and(|(a, b)| compare(*cmp, &[N::Num(a)], &[N::Num(b)]))
                    };
                    sets.into_iter().filter(passes).collect()
                }
                Stage::By(part) => sets.iter().flat_map(|set| self.groups(part, set)).collect(),
                Stage::Coalesce if sets.is_empty() => sets,
                Stage::Coalesce => vec![sets.into_iter().flatten().collect()],
                Stage::Select(_) => sets,
            };
        }
        sets
    }

    fn groups(&self, part: &Expr, set: &Set) -> Vec<Set> {
        let mut groups: Vec<(Option<N>, Set)> = Vec::new();
        for n in set {
            let values = self.values(part, *n);
            let mut keys: Vec<Option<N>> = values.into_iter().map(Some).collect();
            if keys.is_empty() {
                keys.push(None);
            }
            for key in keys {
                match groups.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, set)) => {
                        set.insert(*n);
                    }
                    None => groups.push((key, Set::from([*n]))),
                }
            }
        }
        groups.into_iter().map(|(_, set)| set).collect()
    }

    fn scalar(&self, scalar: &Scalar, set: &Set) -> Option<f64> {
        match scalar {
            Scalar::Static(value) => match literal(value).first() {
                Some(N::Num(x)) => Some(*x),
                _ => None,
            },
            #[expect(clippy::cast_precision_loss, reason = "a few spans")]
            Scalar::Count => Some(set.len() as f64),
            Scalar::Of(fold, part) => {
                let numbers: Vec<f64> = set
                    .iter()
                    .filter_map(|n| self.number_of(part, *n))
                    .collect();
                folded(*fold, &numbers)
            }
            Scalar::Arith(op, a, b) => {
                let found = self.scalar(a, set).zip(self.scalar(b, set));
                found
                    .map(|(a, b)| calculate(*op, a, b))
                    .filter(|x| !x.is_nan())
            }
        }
    }

    fn spans(&self, query: &Query, spans: &Spans, set: &Set) -> Set {
        match spans {
            Spans::Selector(at) => {
                let part = &query.selectors[*at];
                set.iter()
                    .copied()
                    .filter(|n| self.holds(part, *n))
                    .collect()
            }
            Spans::Pipeline(stages) => {
                let sets = self.stages(query, stages, vec![set.clone()]);
                sets.into_iter().flatten().collect()
            }
            Spans::Both(op, a, b) => {
                let (a, b) = (self.spans(query, a, set), self.spans(query, b, set));
                match op {
                    SpansOp::And if a.is_empty() || b.is_empty() => Set::new(),
                    SpansOp::And | SpansOp::Or => a.union(&b).copied().collect(),
                    SpansOp::Related(relation, form) => {
                        let mut left = Set::new();
                        for r in &b {
                            let mates: Vec<usize> = a
                                .iter()
                                .copied()
                                .filter(|l| self.related(*relation, *l, *r))
                                .collect();
                            if mates.is_empty() == (*form == Form::Not) {
                                left.insert(*r);
                                if *form == Form::Union {
                                    left.extend(mates);
                                }
                            }
                        }
                        left
                    }
                }
            }
        }
    }

    fn related(&self, relation: Relation, left: usize, right: usize) -> bool {
        match relation {
            Relation::Child => self.parent(right) == Some(left),
            Relation::Parent => self.parent(left) == Some(right),
            Relation::Descendant => self.above(right).contains(&left),
            Relation::Ancestor => self.above(left).contains(&right),
            Relation::Sibling => {
                let named = |n: usize| self.text(&self.spans[n], "parent_id");
                left != right && named(left).is_some() && named(left) == named(right)
            }
        }
    }

    /// Points by labels: `a=1 b="x"` to step and value.
    #[expect(clippy::too_many_lines, reason = "one plain walk over all spans")]
    pub(super) fn series(
        &self,
        query: &Query,
        step_ns: i64,
    ) -> BTreeMap<String, BTreeMap<i64, f64>> {
        let metrics = query.metrics.as_ref().unwrap();
        let (from, to) = self.range.unwrap();
        let mut spans = BTreeSet::new();
        for (trace, sets) in self.search(query) {
            for id in sets.into_iter().flatten() {
                let found = self
                    .live()
                    .find(|(_, row)| *row.core.trace_id == *trace && *row.core.id == *id);
                spans.insert(found.unwrap().0);
            }
        }
        let steps = (to - from + step_ns - 1) / step_ns;
        let mut cells: BTreeMap<String, BTreeMap<i64, Vec<f64>>> = BTreeMap::new();
        let of = match &metrics.measure {
            Measure::Of(_, field) | Measure::Quantiles(field, _) | Measure::Histogram(field) => {
                Some(field)
            }
            _ => None,
        };
        for n in spans {
            let step = (self.spans[n].core.start_ns - from) / step_ns;
            let numbers: Vec<f64> = of.map_or_else(
                || vec![0.0],
                |field| {
                    let is_time = matches!(
                        field,
                        Field::Intrinsic(Intrinsic::Duration | Intrinsic::TraceDuration)
                    );
                    let values = self.field(field, n).into_iter();
                    let numbers =
                        values.filter_map(|v| if let N::Num(x) = v { Some(x) } else { None });
                    numbers.map(|x| if is_time { x / 1e9 } else { x }).collect()
                },
            );
            if numbers.is_empty() {
                continue;
            }
            let mut labels = vec![String::new()];
            for field in &metrics.by {
                let mut values: Vec<String> = self
                    .field(field, n)
                    .iter()
                    .map(|v| format!("{v:?}"))
                    .collect();
                if values.is_empty() {
                    values.push("nil".to_owned());
                }
                labels = labels
                    .iter()
                    .flat_map(|l| values.iter().map(move |v| format!("{l}{field}={v} ")))
                    .collect();
            }
            for label in labels {
                let cell = cells.entry(label).or_default().entry(step).or_default();
                cell.extend(&numbers);
            }
        }
        let mut all = BTreeMap::new();
        for (label, cells) in cells {
            let mut points = BTreeMap::new();
            for step in 0..steps {
                let numbers = cells.get(&step).map_or(&[][..], Vec::as_slice);
                #[expect(clippy::cast_precision_loss, reason = "a few spans")]
                let value = match &metrics.measure {
                    Measure::Rate => Some(numbers.len() as f64 / (step_ns as f64 / 1e9)),
                    Measure::Count => Some(numbers.len() as f64),
                    Measure::Of(fold, _) => folded(*fold, numbers),
                    Measure::Quantiles(_, at) => {
                        let mut sorted = numbers.to_vec();
                        sorted.sort_by(f64::total_cmp);
                        let rank = (at[0] * sorted.len() as f64).ceil().max(1.0);
                        #[expect(
                            clippy::cast_possible_truncation,
                            clippy::cast_sign_loss,
                            reason = "a rank"
                        )]
                        sorted.get(rank as usize - 1).copied()
                    }
                    _ => panic!("not for the naive"),
                };
                if let Some(value) = value {
                    points.insert(from + step * step_ns, value);
                }
            }
            all.insert(label, points);
        }
        all
    }
}

fn literal(value: &Static) -> Vec<N> {
    vec![match value {
        Static::Nil => return Vec::new(),
        Static::Bool(b) => N::Bool(*b),
        Static::Int(n) | Static::Duration(n) => num(*n),
        Static::Float(x) => N::Num(*x),
        Static::Str(s) => N::Str(s.to_string()),
        Static::Status(s) => N::Word(s.as_str()),
        Static::Kind(k) => N::Word(k.as_str()),
    }]
}

fn calculate(op: Arith, a: f64, b: f64) -> f64 {
    match op {
        Arith::Add => a + b,
        Arith::Sub => a - b,
        Arith::Mul => a * b,
        Arith::Div => a / b,
        Arith::Mod => a % b,
        Arith::Pow => a.powf(b),
    }
}

fn folded(fold: Fold, numbers: &[f64]) -> Option<f64> {
    let sum: f64 = numbers.iter().sum();
    match fold {
        _ if numbers.is_empty() => None,
        Fold::Min => numbers.iter().copied().reduce(f64::min),
        Fold::Max => numbers.iter().copied().reduce(f64::max),
        Fold::Sum => Some(sum),
        #[expect(clippy::cast_precision_loss, reason = "a few spans")]
        Fold::Avg => Some(sum / numbers.len() as f64),
    }
}

fn compare(cmp: Cmp, a: &[N], b: &[N]) -> bool {
    let mut pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    let equal = |a: &N, b: &N| match (a, b) {
        (N::Num(a), N::Num(b)) => (a - b).abs() == 0.0,
        (N::Bytes, _) | (_, N::Bytes) => false,
        _ => a == b,
    };
    let less = |a: &N, b: &N| match (a, b) {
        (N::Num(a), N::Num(b)) => a < b,
        (N::Str(a), N::Str(b)) => a < b,
        _ => false,
    };
    let matches = |a: &N, b: &N| match (a, b) {
        (N::Str(text), N::Str(pattern)) => {
            let found = regex::Regex::new(pattern)
                .unwrap()
                .find(text)
                .map(|m| m.range());
            // Some match may be the whole though the first is not: alternatives are in brackets.
            found.is_some()
                && regex::Regex::new(&format!("\\A(?:{pattern})\\z"))
                    .unwrap()
                    .is_match(text)
        }
        _ => false,
    };
    match cmp {
        Cmp::Eq => pairs.any(|(a, b)| equal(a, b)),
        Cmp::Ne => !a.is_empty() && !b.is_empty() && !pairs.any(|(a, b)| equal(a, b)),
        Cmp::Lt => pairs.any(|(a, b)| less(a, b)),
        Cmp::Gt => pairs.any(|(a, b)| less(b, a)),
        Cmp::Le => pairs.any(|(a, b)| less(a, b) || equal(a, b)),
        Cmp::Ge => pairs.any(|(a, b)| less(b, a) || equal(a, b)),
        Cmp::Match => pairs.any(|(a, b)| matches(a, b)),
        Cmp::NotMatch => !a.is_empty() && !pairs.any(|(a, b)| matches(a, b)),
    }
}
