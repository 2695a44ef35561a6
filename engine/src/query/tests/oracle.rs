//! What the answer must be, decided row by row on the values that the test made.

use std::cmp::Ordering;

use super::rows::{TestRow, V};
use crate::model::score::Fact;
use crate::query::Order;
use crate::query::ast::{Filter, Literal, Test, TextTest};
use crate::source::Column;

pub(super) fn values(row: &TestRow, column: &Column) -> Vec<V> {
    let core = &row.core;
    match column {
        Column::TraceId => vec![V::Str(core.trace_id.to_string())],
        Column::Id => vec![V::Str(core.id.to_string())],
        Column::Start => vec![V::I64(core.start_ns)],
        Column::End => core.end_ns.map(V::I64).into_iter().collect(),
        Column::Duration => core
            .end_ns
            .map(|end| V::I64(end - core.start_ns))
            .into_iter()
            .collect(),
        Column::Path(path) => {
            let at_path = row
                .fields
                .iter()
                .filter(|(p, v)| **p == **path && *v != V::Null);
            at_path.map(|(_, v)| v.clone()).collect()
        }
        Column::Score(Fact::Worth) => said(row, "worth"),
        Column::Score(fact) => said(row, fact.name()),
        Column::Scored(..) => unreachable!("no row has it by itself"),
    }
}

/// Twice the number: exact, since the tests make nothing finer than halves.
pub(super) fn twice(v: &V) -> Option<i128> {
    match v {
        V::I64(n) => Some(i128::from(*n) * 2),
        #[expect(clippy::cast_possible_truncation, reason = "halves below 2^65")]
        V::F64(x) if !x.is_nan() => Some((x * 2.0) as i128),
        _ => None,
    }
}

fn literal(l: &Literal) -> V {
    match l {
        Literal::Str(s) => V::Str(s.clone()),
        Literal::I64(n) => V::I64(*n),
        Literal::F64(x) => V::F64(*x),
        Literal::Bool(b) => V::Bool(*b),
    }
}

fn compare(a: &V, b: &V) -> Option<Ordering> {
    match (a, b) {
        (V::Str(a), V::Str(b)) => Some(a.cmp(b)),
        (V::Bool(a), V::Bool(b)) => Some(a.cmp(b)),
        _ => Some(twice(a)?.cmp(&twice(b)?)),
    }
}

fn one(test: &Test, v: &V) -> bool {
    let is = |l: &Literal, orders: &[Ordering]| {
        compare(v, &literal(l)).is_some_and(|order| orders.contains(&order))
    };
    let text = if let V::Str(text) = v {
        Some(text)
    } else {
        None
    };
    match test {
        Test::Eq(l) => is(l, &[Ordering::Equal]),
        Test::In(list) => list.iter().any(|l| is(l, &[Ordering::Equal])),
        Test::Lt(l) => is(l, &[Ordering::Less]),
        Test::Le(l) => is(l, &[Ordering::Less, Ordering::Equal]),
        Test::Gt(l) => is(l, &[Ordering::Greater]),
        Test::Ge(l) => is(l, &[Ordering::Greater, Ordering::Equal]),
        Test::Contains(s) => text.is_some_and(|t| has(&TextTest::Contains(s.clone()), t)),
        Test::Prefix(s) => text.is_some_and(|t| t.starts_with(s)),
        Test::Regex(pattern) => text.is_some_and(|t| has(&TextTest::Regex(pattern.clone()), t)),
        Test::Exists => true,
    }
}

fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words = parts.filter(|w| !w.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

/// A text as it is stored, and as it reads with the escapes of JSON decoded, up to three times.
fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned()];
    for _ in 0..3 {
        let decoded = decoded(&forms[forms.len() - 1]);
        forms.push(decoded);
    }
    forms
}

/// As units of UTF-16, each escape being one.
fn decoded(text: &str) -> String {
    let units: Vec<u16> = text.encode_utf16().collect();
    let (mut rest, mut out) = (&*units, Vec::new());
    while let [unit, after @ ..] = rest {
        let digits = after.get(1..5).and_then(|hex| String::from_utf16(hex).ok());
        let digits = digits.filter(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()));
        let named = after.first().and_then(|c| {
            let at = "\"\\/bfnrt".encode_utf16().position(|known| known == *c)?;
            Some(u16::from(b"\"\\/\x08\x0c\n\r\t"[at]))
        });
        let (decoded, length) = match (*unit, after.first(), digits, named) {
            (0x5c, Some(0x75), Some(hex), _) => (u16::from_str_radix(&hex, 16).unwrap(), 6),
            (0x5c, _, _, Some(named)) => (named, 2),
            (unit, ..) => (unit, 1),
        };
        out.push(decoded);
        rest = &rest[length..];
    }
    String::from_utf16_lossy(&out)
}

fn has(test: &TextTest, text: &str) -> bool {
    forms(text).iter().any(|form| has_as_it_stands(test, form))
}

/// The texts of the tests are ASCII, and their only regular expression is two letters apart.
fn has_as_it_stands(test: &TextTest, text: &str) -> bool {
    let contains = |s: &str| text.to_ascii_lowercase().contains(&s.to_ascii_lowercase());
    let (have, open) = (words(text), matches!(test, TextTest::Beginning(_)));
    match test {
        TextTest::Words(wanted) | TextTest::Beginning(wanted) => {
            let want = words(wanted);
            let Some((last, head)) = want.split_last() else {
                return contains(wanted);
            };
            have.windows(want.len()).any(|window| {
                let (end, start) = window.split_last().unwrap();
                start == head && (end == last || open && end.starts_with(last))
            })
        }
        TextTest::Contains(s) => contains(s),
        TextTest::Regex(pattern) => {
            let (a, b) = pattern.split_once('.').unwrap();
            let bytes: Vec<char> = text.chars().collect();
            bytes
                .windows(3)
                // A dot is any character but the end of a line.
                .any(|w| a.starts_with(w[0]) && w[1] != '\n' && b.starts_with(w[2]))
        }
    }
}

/// The rows that a filter may look at beside the one that it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others<'a> {
    /// Whether the rows are spans; else they are runs.
    pub(super) of_spans: bool,
    pub(super) spans: &'a [TestRow],
    pub(super) scores: &'a [TestRow],
}

impl Others<'_> {
    const NONE: Self = Self {
        of_spans: false,
        spans: &[],
        scores: &[],
    };
}

/// Yes is 1 and no is 0 to some who score.
fn is(column: &Column, test: &Test, v: &V) -> bool {
    let as_number = |l: &Literal| match l {
        Literal::Bool(yes) => one(&Test::Eq(Literal::I64(i64::from(*yes))), v),
        _ => false,
    };
    let as_bool = match test {
        Test::Eq(l) => as_number(l),
        Test::In(list) => list.iter().any(as_number),
        _ => false,
    };
    one(test, v) || *column == Column::Score(Fact::Value) && as_bool
}

pub(super) fn passes(filter: &Filter, row: &TestRow, others: Others<'_>) -> bool {
    let is_of_trace = |other: &&TestRow| !other.dead && other.core.trace_id == row.core.trace_id;
    match filter {
        Filter::All => true,
        Filter::And(parts) => parts.iter().all(|part| passes(part, row, others)),
        Filter::Or(parts) => parts.iter().any(|part| passes(part, row, others)),
        Filter::Not(part) => !passes(part, row, others),
        Filter::Is(column, test) => values(row, column).iter().any(|v| is(column, test, v)),
        Filter::Text(test) => row.fields.iter().any(|(path, v)| {
            path.split('.').any(|key| has(test, key)) || matches!(v, V::Str(s) if has(test, s))
        }),
        Filter::AnySpan(part) => {
            let of_spans = Others {
                of_spans: true,
                ..others
            };
            let mut of_trace = others.spans.iter().filter(is_of_trace);
            of_trace.any(|span| passes(part, span, of_spans))
        }
        Filter::AnyScore(part) => {
            let mut of_trace = others.scores.iter().filter(is_of_trace);
            of_trace.any(|score| {
                (!others.of_spans || scored_spans(score).contains(&&*row.core.id))
                    && passes(part, score, Others::NONE)
            })
        }
    }
}

/// The spans that a score names.
pub(super) fn scored_spans(score: &TestRow) -> Vec<&str> {
    let names = ["step_id", "span_id", "observation_id", "run_id"];
    let fields = score.fields.iter();
    let named = fields.filter(|(path, _)| names.contains(&path.as_str()));
    let text = |v: &'_ V| matches!(v, V::Str(_));
    let texts = named.filter(|(_, v)| text(v)).map(|(_, v)| v);
    texts
        .map(|v| match v {
            V::Str(text) => text.as_str(),
            _ => unreachable!(),
        })
        .collect()
}

/// The values of a score by what a filter calls them.
pub(super) fn said(score: &TestRow, name: &str) -> Vec<V> {
    let at = |path: &str| values(score, &Column::Path(path.into()));
    let first = |paths: [&str; 3]| {
        let found = paths.into_iter().map(at).find(|found| !found.is_empty());
        found.unwrap_or_default()
    };
    match name {
        "name" => first(["name", "label", ""]),
        "user_id" => first(["user_id", "metadata.user_id", "feedback_source.user_id"]),
        "source" => first(["source", "feedback_source.type", "annotation_type"]),
        "worth" => {
            let number = first(["score", "value", ""]);
            if number.is_empty() && !at("name").is_empty() {
                at("label")
            } else {
                number
            }
        }
        "span_id" => ["step_id", "span_id", "observation_id", "run_id"]
            .into_iter()
            .flat_map(at)
            .collect(),
        "value" => {
            let words = if at("name").is_empty() {
                Vec::new()
            } else {
                at("label")
            };
            [first(["score", "value", ""]), words].concat()
        }
        other => at(other),
    }
}

fn key(row: &TestRow, order: &Order) -> Option<(u8, i128, String)> {
    let keys = values(row, &order.column)
        .into_iter()
        .filter_map(|v| match v {
            V::Bool(b) => Some((0, i128::from(b), String::new())),
            // The texts of the tests are ASCII.
            V::Str(s) => Some((2, 0, s.chars().take(96).collect())),
            number => twice(&number).map(|n| (1, n, String::new())),
        });
    if order.descending {
        keys.max()
    } else {
        keys.min()
    }
}

/// The rows that pass, in order.
pub(super) fn answer(
    rows: &[TestRow],
    others: Others<'_>,
    filter: &Filter,
    order: &Order,
) -> Vec<TestRow> {
    let live = rows
        .iter()
        .filter(|row| !row.dead && passes(filter, row, others));
    let (mut with, mut without): (Vec<_>, Vec<_>) =
        live.cloned().partition(|row| key(row, order).is_some());
    let id = |row: &TestRow| (row.core.trace_id.clone(), row.core.id.clone());
    with.sort_by_key(|row| (key(row, order), id(row)));
    without.sort_by_key(id);
    if order.descending {
        with.reverse();
        without.reverse();
    }
    with.into_iter().chain(without).collect()
}
