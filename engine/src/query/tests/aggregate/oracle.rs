//! What the figures must be, row by row.
#![expect(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::too_many_lines,
    reason = "small counts, floats to the bit, and one match over the measures"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::doc::fingerprint;
use crate::query::aggregate::{
    AggregateAnswer, AggregateRequest, Figures, GroupValue, Measure, Number, Rank, TimeBuckets,
    Value,
};
use crate::query::ast::Filter;
use crate::query::tests::oracle::{Others, passes, twice, values};
use crate::query::tests::rows::{TestRow, V};
use crate::source::Column;

type Check = Result<(), TestCaseError>;

/// A value as groups tell it apart, in the order of groups.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Bool(bool),
    /// Twice the number.
    Number(i128),
    Nan,
    Str(String),
    Long(u64),
    Absent,
}

fn named(v: &V) -> Named {
    match v {
        V::Null => Named::Absent,
        V::Bool(b) => Named::Bool(*b),
        V::Str(s) if s.len() > 96 => Named::Long(fingerprint(s.as_bytes())),
        V::Str(s) => Named::Str(s.clone()),
        V::Bytes(b) => Named::Long(fingerprint(b)),
        number => twice(number).map_or(Named::Nan, Named::Number),
    }
}

fn named_key(value: Option<&GroupValue>) -> Named {
    match value {
        None => Named::Absent,
        Some(GroupValue::Bool(b)) => Named::Bool(*b),
        Some(GroupValue::I64(n)) => Named::Number(i128::from(*n) * 2),
        Some(GroupValue::F64(x)) => named(&V::F64(*x)),
        Some(GroupValue::Str(s)) => Named::Str(s.to_string()),
        Some(GroupValue::Long(n)) => Named::Long(*n),
    }
}

/// The set of a row's values, told apart by type and bits.
fn set(row: &TestRow, column: &Column) -> Vec<V> {
    let mut seen = BTreeSet::new();
    let mut all = values(row, column);
    all.retain(|v| {
        seen.insert(match v {
            V::F64(x) => format!("f{:x}", x.to_bits()),
            V::Str(s) if s.len() > 96 => format!("l{}", fingerprint(s.as_bytes())),
            V::Bytes(b) => format!("l{}", fingerprint(b)),
            other => format!("{other:?}"),
        })
    });
    all
}

fn bucket(time: &TimeBuckets, start: i64) -> i64 {
    (start - time.origin_ns).div_euclid(time.width_ns)
}

pub(in crate::query::tests) fn asks_elsewhere(request: &AggregateRequest) -> bool {
    let shown = format!("{request:?}");
    shown.contains("AnySpan") || shown.contains("AnyScore")
}

/// The numbers of some rows, twice each, with whether each is a float.
fn numbers(rows: &[&TestRow], column: &Column) -> (Vec<(i128, bool)>, u64) {
    let all: Vec<V> = rows.iter().flat_map(|row| set(row, column)).collect();
    let found: Vec<_> = all
        .iter()
        .filter_map(|v| Some((twice(v)?, matches!(v, V::F64(_)))))
        .collect();
    let others = (all.len() - found.len()) as u64;
    (found, others)
}

/// Rounds half of a whole number to a float: halving is exact.
fn half(n: i128) -> f64 {
    n as f64 / 2.0
}

fn as_float(n: Number) -> f64 {
    match n {
        Number::Whole(n) => n as f64,
        Number::Float(x) => x,
    }
}

fn check_measure(
    rows: &[&TestRow],
    others: Others<'_>,
    measure: &Measure,
    got: &Value,
    (count, not_numbers): (u64, u64),
) -> Check {
    let column = match measure {
        Measure::Count => {
            prop_assert_eq!(got, &Value::Count(rows.len() as u64));
            return Ok(());
        }
        Measure::CountIf(part) => {
            let passed = rows.iter().filter(|row| passes(part, row, others)).count() as u64;
            prop_assert_eq!(got, &Value::Count(passed));
            prop_assert_eq!(count, passed);
            return Ok(());
        }
        Measure::Distinct { column, .. } => {
            let all = rows.iter().flat_map(|row| set(row, column));
            let different: BTreeSet<_> = all.map(|v| named(&v)).collect();
            let count = different.len() as u64;
            prop_assert_eq!(got, &Value::Distinct { count, exact: true });
            return Ok(());
        }
        Measure::Sum(column)
        | Measure::Avg(column)
        | Measure::Min(column)
        | Measure::Max(column)
        | Measure::Histogram(column)
        | Measure::Quantiles { column, .. } => column,
    };
    let (mut found, others) = numbers(rows, column);
    prop_assert_eq!((count, not_numbers), (found.len() as u64, others));
    let sum: i128 = found.iter().map(|n| n.0).sum();
    let whole = found.iter().all(|n| !n.1);
    found.sort_unstable();
    match (measure, got) {
        (Measure::Sum(_), Value::Number(Some(Number::Whole(n)))) => {
            prop_assert!(whole && n * 2 == sum, "{} is not {}", n * 2, sum);
        }
        (Measure::Sum(_), Value::Number(Some(Number::Float(x)))) => {
            prop_assert!(!whole && *x == half(sum), "{} is not {}", x, half(sum));
        }
        (Measure::Avg(_), Value::Number(Some(n))) => {
            let right = half(sum) / found.len() as f64;
            prop_assert_eq!(as_float(*n), right);
        }
        (Measure::Min(_), Value::Number(Some(n))) => check_extreme(*n, &found, found[0].0)?,
        (Measure::Max(_), Value::Number(Some(n))) => {
            check_extreme(*n, &found, found[found.len() - 1].0)?;
        }
        (_, Value::Number(None)) => prop_assert!(found.is_empty()),
        (Measure::Quantiles { at, .. }, Value::Quantiles(got)) => {
            prop_assert_eq!(at.len(), got.len());
            for (p, got) in at.iter().zip(got) {
                let rank = ((p * found.len() as f64).ceil() as usize).max(1);
                let right = found.get(rank - 1).map(|n| half(n.0));
                let near = match (got, right) {
                    (Some(got), Some(right)) => (got - right).abs() <= right.abs() * 0.004,
                    (None, None) => true,
                    _ => false,
                };
                prop_assert!(near, "p={} {:?} is not {:?}", p, got, right);
            }
        }
        (Measure::Histogram(_), Value::Histogram(buckets)) => {
            let mut counted = 0;
            for (low, high, count) in buckets {
                let inside = found.iter().map(|n| half(n.0));
                let inside = inside.filter(|x| low <= x && x <= high).count() as u64;
                prop_assert_eq!(*count, inside);
                counted += count;
            }
            prop_assert_eq!(counted, found.len() as u64);
        }
        _ => prop_assert!(false, "{:?} of {:?}", got, measure),
    }
    Ok(())
}

/// The number itself, whole if some row has it so.
fn check_extreme(got: Number, found: &[(i128, bool)], right: i128) -> Check {
    let whole = found.contains(&(right, false));
    match got {
        Number::Whole(n) => prop_assert!(whole && n * 2 == right),
        Number::Float(x) => prop_assert!(!whole && twice(&V::F64(x)) == Some(right)),
    }
    Ok(())
}

fn check_figures(
    rows: &[&TestRow],
    others: Others<'_>,
    request: &AggregateRequest,
    got: &Figures,
) -> Check {
    prop_assert_eq!(got.rows, rows.len() as u64);
    prop_assert_eq!(got.measures.len(), request.measures.len());
    for (measure, got) in request.measures.iter().zip(&got.measures) {
        let counts = (got.count, got.not_numbers);
        check_measure(rows, others, measure, &got.value, counts)?;
    }
    Ok(())
}

/// The groups of a row: every combination of the values of its keys.
fn groups_of(row: &TestRow, request: &AggregateRequest) -> BTreeSet<Vec<Named>> {
    let mut groups = BTreeSet::from([Vec::new()]);
    for key in &request.keys {
        let mut here: BTreeSet<Named> = values(row, &key.column).iter().map(named).collect();
        if here.is_empty() && key.absent {
            here.insert(Named::Absent);
        }
        let longer = |group: &Vec<Named>| {
            let group = group.clone();
            let longer = here
                .iter()
                .map(move |v| [&group[..], std::slice::from_ref(v)].concat());
            longer.collect::<Vec<_>>()
        };
        groups = groups.iter().flat_map(longer).collect();
    }
    groups
}

pub(super) fn check(
    rows: &[TestRow],
    others: Others<'_>,
    request: &AggregateRequest,
    got: &AggregateAnswer,
) -> Check {
    let in_range = |row: &&TestRow| {
        let range = request.time.and_then(|time| time.range);
        range.is_none_or(|(from, to)| from <= row.core.start_ns && row.core.start_ns < to)
    };
    let passed = |filter: &Filter, row: &&TestRow| !row.dead && passes(filter, row, others);
    let all: Vec<&TestRow> = rows
        .iter()
        .filter(|row| passed(&request.filter, row))
        .filter(in_range)
        .collect();
    check_figures(&all, others, request, &got.total)?;
    let mut groups: BTreeMap<Vec<Named>, Vec<&TestRow>> = BTreeMap::new();
    if request.keys.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for row in &all {
        for group in groups_of(row, request) {
            groups.entry(group).or_default().push(row);
        }
    }
    let listed = groups.len().min(request.top.limit);
    prop_assert_eq!(got.groups.len(), listed);
    prop_assert_eq!(got.groups_left_out, (groups.len() - listed) as u64);
    let mut seen = BTreeSet::new();
    let grouped = groups.values().flatten();
    let times: Vec<i64> = grouped.map(|row| row.core.start_ns).collect();
    for group in &got.groups {
        let key: Vec<_> = group.keys.iter().map(|v| named_key(v.as_ref())).collect();
        let Some(rows) = groups.get(&key) else {
            return Err(TestCaseError::fail(format!("no such group {key:?}")));
        };
        prop_assert!(seen.insert(key));
        check_figures(rows, others, request, &group.figures)?;
        check_points(rows, others, request, &times, group)?;
    }
    check_order(&groups, request, got)
}

fn check_points(
    rows: &[&TestRow],
    others: Others<'_>,
    request: &AggregateRequest,
    times: &[i64],
    group: &crate::query::aggregate::Group,
) -> Check {
    let Some(time) = &request.time else {
        prop_assert!(group.points.is_empty());
        return Ok(());
    };
    let mut buckets: BTreeMap<i64, Vec<&TestRow>> = BTreeMap::new();
    if time.fill {
        let ends = time.range.map(|(from, to)| (from, to - 1));
        let seen = times.iter().min().zip(times.iter().max());
        if let Some((first, last)) = ends.or(seen.map(|(a, b)| (*a, *b))) {
            for at in bucket(time, first)..=bucket(time, last) {
                buckets.insert(at, Vec::new());
            }
        }
    }
    for row in rows {
        let at = bucket(time, row.core.start_ns);
        buckets.entry(at).or_default().push(row);
    }
    prop_assert_eq!(group.points.len(), buckets.len());
    for (point, (at, rows)) in group.points.iter().zip(&buckets) {
        let start = time.origin_ns + at * time.width_ns;
        let (from, to) = time.range.unwrap_or((i64::MIN, i64::MAX));
        let right = (start.max(from), (start + time.width_ns).min(to));
        prop_assert_eq!((point.start_ns, point.end_ns), right);
        check_figures(rows, others, request, &point.figures)?;
    }
    Ok(())
}

/// The listed groups are in order, and none that is left out comes before the last of them.
fn check_order(
    groups: &BTreeMap<Vec<Named>, Vec<&TestRow>>,
    request: &AggregateRequest,
    got: &AggregateAnswer,
) -> Check {
    let key = |group: &crate::query::aggregate::Group| -> Vec<Named> {
        group.keys.iter().map(|v| named_key(v.as_ref())).collect()
    };
    let listed: Vec<_> = got.groups.iter().map(key).collect();
    let mut order: Vec<Vec<Named>> = groups.keys().cloned().collect();
    match request.top.by {
        Rank::Keys if request.top.descending => order.reverse(),
        Rank::Keys => {}
        Rank::Rows => order.sort_by_key(|group| {
            let rows = groups[group].len() as i64;
            if request.top.descending { -rows } else { rows }
        }),
        // The figures of listed groups were checked: they are in order.
        Rank::Measure(at, _) => {
            let place =
                |group: &crate::query::aggregate::Group| match &group.figures.measures[at].value {
                    Value::Count(n) | Value::Distinct { count: n, .. } => Some(*n as f64),
                    Value::Number(n) => n.map(as_float).filter(|x| !x.is_nan()),
                    _ => None,
                };
            let sorted = got.groups.is_sorted_by(|a, b| match (place(a), place(b)) {
                (Some(x), Some(y)) if x != y => (x < y) != request.top.descending,
                (Some(x), Some(y)) if x == y && x.abs() < 1e15 => key(a) < key(b),
                (None, None) => key(a) < key(b),
                (None, Some(_)) => false,
                _ => true,
            });
            prop_assert!(sorted);
            return Ok(());
        }
    }
    order.truncate(listed.len());
    prop_assert_eq!(listed, order);
    Ok(())
}
