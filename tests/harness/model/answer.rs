//! Answers worked out row by row: filter, order, page, total, facets.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use obsrv_engine::model::score::Fact;
use obsrv_engine::query::Order;
use obsrv_engine::query::Request;
use obsrv_engine::query::ast::{Filter, Literal, Test, TextTest};
use obsrv_engine::row::Lsn;
use obsrv_engine::source::Column;

use super::state::{Row, Rows};
use super::text;
use super::value::Val;

/// Longest text that a column holds and that orders rows.
const SHORT_BYTES_MAX: usize = 96;

/// A value of a row that is no container and not null.
#[derive(Clone, Debug)]
pub(super) enum Leaf {
    Bool(bool),
    I64(i64),
    F64(f64),
    Str(String),
    Bytes(Vec<u8>),
}

impl Leaf {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the rule for whole numbers above i64"
    )]
    fn of(value: &Val) -> Option<Self> {
        Some(match value {
            Val::Bool(b) => Self::Bool(*b),
            Val::I64(n) => Self::I64(*n),
            Val::U64(n) => Self::F64(*n as f64),
            Val::F64(x) => Self::F64(*x),
            Val::Str(text) => Self::Str(text.clone()),
            Val::Bytes(bytes) => Self::Bytes(bytes.clone()),
            Val::Null | Val::Array(_) | Val::Map(_) => return None,
        })
    }

    fn of_literal(literal: &Literal) -> Self {
        match literal {
            Literal::Str(text) => Self::Str(text.clone()),
            Literal::I64(n) => Self::I64(*n),
            Literal::F64(x) => Self::F64(*x),
            Literal::Bool(b) => Self::Bool(*b),
        }
    }

    /// As a number, yes as 1 and no as 0.
    #[expect(clippy::cast_precision_loss, reason = "means are floats")]
    fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(yes) => Some(f64::from(u8::from(*yes))),
            Self::I64(n) => Some(*n as f64),
            Self::F64(x) => Some(*x),
            Self::Str(_) | Self::Bytes(_) => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// By value among values of one type, numbers being one; `None` for others and for NaN.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::I64(a), Self::I64(b)) => a.cmp(b),
            (Self::F64(a), Self::F64(b)) => a.partial_cmp(b)?,
            (Self::I64(a), Self::F64(b)) => whole_and_float(*a, *b)?,
            (Self::F64(a), Self::I64(b)) => whole_and_float(*b, *a)?.reverse(),
            (Self::Str(a), Self::Str(b)) => a.as_bytes().cmp(b.as_bytes()),
            _ => return None,
        })
    }

    /// The listed form of a facet's value, which tells floats apart by their bits; `Err` if it is
    /// too long to be listed.
    pub(super) fn listed(&self) -> Result<Listed, Vec<u8>> {
        match self {
            Self::Bool(b) => Ok(Listed::Bool(*b)),
            Self::I64(n) => Ok(Listed::I64(*n)),
            Self::F64(x) => Ok(Listed::F64(x.to_bits())),
            Self::Str(text) if text.len() <= SHORT_BYTES_MAX => Ok(Listed::Str(text.clone())),
            Self::Str(text) => Err(text.clone().into_bytes()),
            Self::Bytes(bytes) => Err(bytes.clone()),
        }
    }
}

/// A facet's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Listed {
    Bool(bool),
    I64(i64),
    F64(u64),
    Str(String),
}

impl Listed {
    pub(super) fn of_literal(literal: &Literal) -> Self {
        match literal {
            Literal::Str(text) => Self::Str(text.clone()),
            Literal::I64(n) => Self::I64(*n),
            Literal::F64(x) => Self::F64(x.to_bits()),
            Literal::Bool(b) => Self::Bool(*b),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "saturates beyond any i64")]
fn whole_and_float(a: i64, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    let below = b.floor();
    let fraction = if b > below {
        Ordering::Less
    } else {
        Ordering::Equal
    };
    Some(i128::from(a).cmp(&(below as i128)).then(fraction))
}

/// Every value of a column of a row.
pub(super) fn leaves(row: &Row, column: &Column) -> Vec<Leaf> {
    let time = |t: Option<i64>| t.map(Leaf::I64).into_iter().collect();
    match column {
        Column::TraceId => vec![Leaf::Str(row.trace.clone())],
        Column::Id => vec![Leaf::Str(row.id.clone())],
        Column::Start => time(Some(row.start)),
        Column::End => time(row.end),
        Column::Duration => time(row.end.map(|end| end.saturating_sub(row.start))),
        Column::Path(path) => {
            let mut found = Vec::new();
            collect(&row.doc, "", path, &mut found);
            found
        }
        Column::Score(fact) => said(row, *fact),
        Column::Scored(..) => Vec::new(),
    }
}

/// Keys are joined by dots, arrays leave no trace in the path.
fn collect(value: &Val, here: &str, path: &str, found: &mut Vec<Leaf>) {
    match value {
        Val::Array(items) => items.iter().for_each(|v| collect(v, here, path, found)),
        Val::Map(entries) => {
            for (key, child) in entries {
                let below = if here.is_empty() {
                    key.clone()
                } else {
                    format!("{here}.{key}")
                };
                if path.starts_with(&below) {
                    collect(child, &below, path, found);
                }
            }
        }
        leaf if here == path => found.extend(Leaf::of(leaf)),
        _ => {}
    }
}

/// Whether some key or text passes.
fn has_text(value: &Val, test: &TextTest) -> bool {
    match value {
        Val::Str(text) => text::passes(test, text),
        Val::Array(items) => items.iter().any(|v| has_text(v, test)),
        Val::Map(entries) => entries
            .iter()
            .any(|(k, v)| text::passes(test, k) || has_text(v, test)),
        _ => false,
    }
}

fn value_passes(leaf: &Leaf, test: &Test) -> bool {
    let is = |literal: &Literal, wanted: &[Ordering]| {
        let order = leaf.compare(&Leaf::of_literal(literal));
        order.is_some_and(|order| wanted.contains(&order))
    };
    let text = |check: &dyn Fn(&str) -> bool| leaf.text().is_some_and(check);
    match test {
        Test::Eq(l) => is(l, &[Ordering::Equal]),
        Test::In(list) => list.iter().any(|l| is(l, &[Ordering::Equal])),
        Test::Lt(l) => is(l, &[Ordering::Less]),
        Test::Le(l) => is(l, &[Ordering::Less, Ordering::Equal]),
        Test::Gt(l) => is(l, &[Ordering::Greater]),
        Test::Ge(l) => is(l, &[Ordering::Greater, Ordering::Equal]),
        Test::Contains(needle) => text(&|t| text::has_folded(t, needle)),
        Test::Prefix(prefix) => text(&|t| t.starts_with(prefix.as_str())),
        Test::Regex(pattern) => text(&|t| text::matches(pattern, t)),
        Test::Exists => true,
    }
}

/// Rows of a project that a filter may look at beside those that it is about.
#[derive(Debug)]
pub(super) struct Others {
    /// Whether those that it is about are spans.
    of_spans: bool,
    /// By trace.
    spans: BTreeMap<String, Rows>,
    /// By trace.
    scores: BTreeMap<String, Rows>,
}

impl Others {
    pub(super) fn new(of_spans: bool, spans: Rows, scores: Rows) -> Self {
        let by_trace = |rows: Rows| {
            let mut traces: BTreeMap<String, Rows> = BTreeMap::new();
            for row in rows {
                traces.entry(row.trace.clone()).or_default().push(row);
            }
            traces
        };
        Self {
            of_spans,
            spans: by_trace(spans),
            scores: by_trace(scores),
        }
    }
}

impl Others {
    fn scores_of<'a>(&'a self, row: &'a Row, of_spans: bool) -> impl Iterator<Item = &'a Row> {
        let of_trace = of_trace(&self.scores, row).iter().map(Arc::as_ref);
        of_trace.filter(move |score| !of_spans || names(score, &row.id))
    }

    /// What a row's scores of a name say.
    pub(super) fn score_values(&self, row: &Row, name: &str) -> Vec<Leaf> {
        let mut values = Vec::new();
        for score in self.scores_of(row, self.of_spans) {
            if is_called(score, name) {
                values.extend(said(score, Fact::Value));
            }
        }
        values
    }

    /// The mean of the numbers of a row's scores of a name.
    pub(super) fn score_mean(&self, row: &Row, name: &str) -> Option<f64> {
        let mut numbers = Vec::new();
        let scores = self.scores_of(row, self.of_spans);
        for score in scores.filter(|score| is_called(score, name)) {
            let mut here: Vec<f64> = Vec::new();
            let mut seen = BTreeSet::new();
            for leaf in said(score, Fact::Worth) {
                // What a score says twice counts once.
                let is_new = leaf.listed().is_ok_and(|listed| seen.insert(listed));
                here.extend(leaf.number().filter(|x| is_new && !x.is_nan()));
            }
            numbers.extend(here);
        }
        numbers.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let count = numbers.len() as f64;
        (count > 0.0).then(|| numbers.iter().sum::<f64>() / count)
    }

    /// What the scores are called that rows may have.
    pub(super) fn score_names(&self) -> BTreeSet<String> {
        let scores = self.scores.values().flatten();
        let scores = scores.filter(|score| !self.of_spans || !said(score, Fact::Span).is_empty());
        let names = scores.flat_map(|score| said(score, Fact::Name));
        let names = names.filter_map(|name| match name {
            Leaf::Str(text) if text.len() <= SHORT_BYTES_MAX => Some(text),
            _ => None,
        });
        names.collect()
    }
}

fn of_trace<'a>(rows: &'a BTreeMap<String, Rows>, row: &Row) -> &'a [Arc<Row>] {
    rows.get(&row.trace).map(Vec::as_slice).unwrap_or_default()
}

fn passes(filter: &Filter, row: &Row, others: &Others, of_spans: bool) -> bool {
    let part = |part: &Filter| passes(part, row, others, of_spans);
    match filter {
        Filter::All => true,
        Filter::And(parts) => parts.iter().all(part),
        Filter::Or(parts) => parts.iter().any(part),
        Filter::Not(inner) => !part(inner),
        Filter::Is(column, test) => {
            let numbers = as_numbers(test).filter(|_| *column == Column::Score(Fact::Value));
            let mut tests = [test].into_iter().chain(&numbers);
            let values = leaves(row, column);
            tests.any(|test| values.iter().any(|v| value_passes(v, test)))
        }
        Filter::Text(test) => has_text(&row.doc, test),
        Filter::AnySpan(inner) => {
            let mut spans = of_trace(&others.spans, row).iter();
            spans.any(|span| passes(inner, span, others, true))
        }
        Filter::AnyScore(inner) => {
            let mut scores = others.scores_of(row, of_spans);
            let nothing = Others::new(false, Rows::new(), Rows::new());
            scores.any(|score| passes(inner, score, &nothing, false))
        }
    }
}

fn is_called(score: &Row, name: &str) -> bool {
    let names = said(score, Fact::Name);
    names.iter().any(|n| n.text() == Some(name))
}

/// Whether a score is of this span.
fn names(score: &Row, span: &str) -> bool {
    let said = said(score, Fact::Span);
    said.iter().any(|leaf| leaf.text() == Some(span))
}

/// The values of a score by what a filter calls them, wherever its protocol has put them.
fn said(score: &Row, fact: Fact) -> Vec<Leaf> {
    let at = |path: &str| leaves(score, &Column::Path(path.into()));
    let or = |first: &str, then: &str| match at(first) {
        found if found.is_empty() => at(then),
        found => found,
    };
    let or_else = |first: &str, then: &str, last: &str| match or(first, then) {
        found if found.is_empty() => at(last),
        found => found,
    };
    match fact {
        Fact::Name => or("name", "label"),
        Fact::Value | Fact::Worth => {
            let mut values = or("score", "value");
            let has_words = fact == Fact::Value || values.is_empty();
            if has_words && !at("name").is_empty() {
                values.extend(at("label"));
            }
            values
        }
        Fact::User => or_else("user_id", "metadata.user_id", "feedback_source.user_id"),
        Fact::Source => or_else("source", "feedback_source.type", "annotation_type"),
        Fact::Span => {
            let places = ["step_id", "span_id", "observation_id", "run_id"];
            places.into_iter().flat_map(at).collect()
        }
    }
}

/// Yes and no as the numbers that some protocols make of them.
fn as_numbers(test: &Test) -> Option<Test> {
    let number = |literal: &Literal| match literal {
        Literal::Bool(yes) => Some(Literal::I64(i64::from(*yes))),
        _ => None,
    };
    match test {
        Test::Eq(literal) => number(literal).map(Test::Eq),
        Test::In(list) => Some(Test::In(list.iter().filter_map(number).collect())),
        _ => None,
    }
}

/// The rows that pass.
pub(super) fn passing(rows: &Rows, others: &Others, filter: &Filter) -> Rows {
    let passed = rows
        .iter()
        .filter(|row| passes(filter, row, others, others.of_spans));
    passed.cloned().collect()
}

/// Where a row stands: its value, if it has one that can be ordered, and its identity.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) key: Option<Leaf>,
    pub(super) trace: String,
    pub(super) id: String,
}

impl Place {
    pub(super) fn of(row: &Row, order: &Order) -> Self {
        let keys = leaves(row, &order.column).into_iter().filter_map(key_of);
        let key = keys.reduce(|best, key| {
            let first = compare_keys(&key, &best) == turned(Ordering::Less, order);
            if first { key } else { best }
        });
        Self {
            key,
            trace: row.trace.clone(),
            id: row.id.clone(),
        }
    }

    pub(super) fn compare(&self, other: &Self, order: &Order) -> Ordering {
        let by_key = match (&self.key, &other.key) {
            (Some(a), Some(b)) => turned(compare_keys(a, b), order),
            // Whatever the direction, those without a value are last.
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        let by_name = (&self.trace, &self.id).cmp(&(&other.trace, &other.id));
        by_key.then(turned(by_name, order))
    }
}

fn turned(ordering: Ordering, order: &Order) -> Ordering {
    if order.descending {
        ordering.reverse()
    } else {
        ordering
    }
}

/// What a value orders by: texts by their first bytes, NaN and bytes not at all.
fn key_of(leaf: Leaf) -> Option<Leaf> {
    match leaf {
        Leaf::F64(x) if x.is_nan() => None,
        Leaf::Bytes(_) => None,
        Leaf::Str(text) => {
            let mut end = text.len().min(SHORT_BYTES_MAX);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            Some(Leaf::Str(text[..end].to_owned()))
        }
        other => Some(other),
    }
}

/// Bools before numbers before texts.
fn compare_keys(a: &Leaf, b: &Leaf) -> Ordering {
    let rank = |leaf: &Leaf| match leaf {
        Leaf::Bool(_) => 0,
        Leaf::I64(_) | Leaf::F64(_) => 1,
        Leaf::Str(_) | Leaf::Bytes(_) => 2,
    };
    let within = || a.compare(b).unwrap_or(Ordering::Equal);
    rank(a).cmp(&rank(b)).then_with(within)
}

/// A page as it must be.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) rows: Rows,
    /// Whether there is another page.
    pub(super) more: bool,
    /// How many rows pass, on whatever page.
    pub(super) total: usize,
    pub(super) facets: Vec<Counts>,
    /// Where the last row of the page stands.
    pub(super) last: Option<Place>,
    /// All that pass, whether or not on the page.
    pub(super) all: Rows,
}

/// A facet in full.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) values: BTreeMap<Listed, u64>,
    pub(super) long: u64,
}

/// The page after `after`, which names the LSN of the first page.
pub(super) fn page(
    rows: &Rows,
    others: &Others,
    request: &Request,
    after: Option<(&Place, Lsn)>,
) -> Expected {
    let mut all = passing(rows, others, &request.filter);
    if let Some((_, lsn)) = after {
        all.retain(|row| row.first <= lsn);
    }
    let order = &request.order;
    let placed = all.iter().map(|row| (Place::of(row, order), row));
    let mut placed: Vec<(Place, &Arc<Row>)> = placed
        .filter(|(place, _)| after.is_none_or(|(at, _)| place.compare(at, order).is_gt()))
        .collect();
    placed.sort_by(|(a, _), (b, _)| a.compare(b, order));
    let more = request.limit > 0 && placed.len() > request.limit;
    placed.truncate(request.limit);
    let facets = request.facets.iter().map(|column| facet(&all, column));
    Expected {
        more,
        total: all.len(),
        facets: facets.collect(),
        last: placed.last().map(|(place, _)| place.clone()),
        rows: placed.into_iter().map(|(_, row)| Arc::clone(row)).collect(),
        all,
    }
}

/// How many rows have each value.
fn facet(rows: &Rows, column: &Column) -> Counts {
    let mut counts = Counts::default();
    for row in rows {
        let (mut listed, mut long) = (BTreeSet::new(), BTreeSet::new());
        for leaf in leaves(row, column) {
            match leaf.listed() {
                Ok(value) => listed.insert(value),
                Err(bytes) => long.insert(bytes),
            };
        }
        counts.long += u64::try_from(long.len()).unwrap_or(u64::MAX);
        for value in listed {
            *counts.values.entry(value).or_default() += 1;
        }
    }
    counts
}
