//! Figures of many rows, worked out row by row.
#![expect(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "small counts, and floats to the bit"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use obsrv_engine::doc::fingerprint;
use obsrv_engine::engine::Snapshot;
use obsrv_engine::query::Budget;
use obsrv_engine::query::aggregate::{
    AggregateAnswer, AggregateRequest, DistinctMode, Figures, GroupValue, Key, KeysRequest,
    Measure, Number, ObservedKeys, Rank, TimeBuckets, Top, Value,
};
use obsrv_engine::query::ast::{Filter, Test};
use obsrv_engine::row::ProjectId;
use obsrv_engine::source::{Column, LaneKind};

use super::answer::{Leaf, Others, leaves, passing};
use super::coverage::Coverage;
use super::machine::chain;
use super::questions::Question;
use super::state::{Row, Rows};
use super::value::Val;

const BUDGET: Budget<'static> = Budget {
    rows_max: u64::MAX,
    bytes_max: u64::MAX,
    read_bytes_max: u64::MAX,
    cancelled: &|| false,
    processors: None,
    weigh: None,
};
const QUANTILES: [f64; 5] = [0.0, 0.25, 0.5, 0.95, 1.0];
/// Sums of larger floats may leave the range of floats on the way.
const SUMMED_MAX: f64 = 1e300;

/// What tells groups apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Bool(bool),
    Whole(i64),
    Float(u64),
    Text(String),
    /// Content of a text or of bytes that no column holds.
    Long(u64),
    Absent,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whether a float is a whole number is an exact question"
)]
fn name(leaf: &Leaf) -> Name {
    match leaf.listed() {
        Err(bytes) => Name::Long(fingerprint(&bytes)),
        Ok(_) => match leaf {
            Leaf::Bool(b) => Name::Bool(*b),
            Leaf::I64(n) => Name::Whole(*n),
            Leaf::F64(x) if x.is_nan() => Name::Float(f64::NAN.to_bits()),
            Leaf::F64(x) => {
                let whole = i128::from(i64::MIN)..=i128::from(i64::MAX);
                let near = *x as i128;
                if *x == x.trunc() && whole.contains(&near) {
                    Name::Whole(near as i64)
                } else {
                    Name::Float(x.to_bits())
                }
            }
            Leaf::Str(text) => Name::Text(text.clone()),
            Leaf::Bytes(_) => Name::Absent,
        },
    }
}

fn name_of_key(value: Option<&GroupValue>) -> Name {
    match value {
        None => Name::Absent,
        Some(GroupValue::Bool(b)) => Name::Bool(*b),
        Some(GroupValue::I64(n)) => Name::Whole(*n),
        Some(GroupValue::F64(x)) => Name::Float(x.to_bits()),
        Some(GroupValue::Str(text)) => Name::Text(text.to_string()),
        Some(GroupValue::Long(hash)) => Name::Long(*hash),
    }
}

/// The values of a row, each once by type and bits.
fn set(row: &Row, column: &Column) -> Vec<Leaf> {
    let mut seen = BTreeSet::new();
    let mut all = leaves(row, column);
    all.retain(|leaf| seen.insert(leaf.listed()));
    all
}

/// The question that goes with a search: by the columns of its facets, of the column it sorts by.
pub(super) fn request_of(question: &Question) -> AggregateRequest {
    let search = &question.request;
    let column = search.order.column.clone();
    let keys = search.facets.iter().enumerate();
    let keys = keys.map(|(at, column)| Key {
        column: column.clone(),
        absent: at != 1,
    });
    let time = search.total.then(|| TimeBuckets {
        width_ns: 1_000_000 * (1 + search.limit as i64),
        origin_ns: -7,
        range: None,
        fill: false,
    });
    AggregateRequest {
        filter: search.filter.clone(),
        keys: keys.collect(),
        time,
        measures: vec![
            Measure::Count,
            Measure::CountIf(Filter::Is(column.clone(), Test::Exists)),
            Measure::Sum(column.clone()),
            Measure::Avg(column.clone()),
            Measure::Min(column.clone()),
            Measure::Max(column.clone()),
            Measure::Quantiles {
                column: column.clone(),
                at: QUANTILES.to_vec(),
            },
            Measure::Histogram(column.clone()),
            Measure::Distinct {
                column,
                mode: DistinctMode::Exact,
            },
        ],
        top: Top {
            by: if search.order.descending {
                Rank::Rows
            } else {
                Rank::Measure(4, 0)
            },
            descending: search.order.descending,
            limit: 10_000,
        },
    }
}

/// Asks and checks, with what is kept of segments and without.
pub(super) fn ask(
    snapshot: &Snapshot,
    rows: &Rows,
    others: &Others,
    question: &Question,
    coverage: &mut Coverage,
) -> Result<(), String> {
    let request = request_of(question);
    let (project, table) = (ProjectId(question.project), question.table);
    let ask = |known: bool| {
        let answer = if known {
            snapshot.aggregate(project, table, &request, &BUDGET)
        } else {
            snapshot.aggregate_with(project, table, &request, &BUDGET, None)
        };
        answer.map_err(|e| chain(&e))
    };
    let answer = ask(false)?;
    check(rows, others, &request, &answer).map_err(|what| format!("figures: {what}"))?;
    for _ in 0..2 {
        let kept = ask(true)?;
        if format!("{:?}", kept.groups) != format!("{:?}", answer.groups) {
            return Err(format!("figures with kept shares differ: {kept:?}"));
        }
        let used = usize::from(kept.explain.partials_known > 0);
        coverage.note_many("kept shares", used);
    }
    coverage.note("figures");
    coverage.note_many("several groups", usize::from(answer.groups.len() > 1));
    let wanted = KeysRequest {
        prefix: "",
        but: None,
        limit: 10_000,
    };
    let keys = snapshot.observed_keys(project, table, wanted, &BUDGET);
    check_keys(rows, &keys.map_err(|e| chain(&e))?)
}

fn check(
    rows: &Rows,
    others: &Others,
    request: &AggregateRequest,
    got: &AggregateAnswer,
) -> Result<(), String> {
    let passed = passing(rows, others, &request.filter);
    let all: Vec<&Row> = passed.iter().map(Arc::as_ref).collect();
    figures(&all, request, &got.total).map_err(|e| format!("total: {e}"))?;
    let mut groups: BTreeMap<Vec<Name>, Vec<&Row>> = BTreeMap::new();
    if request.keys.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for row in &all {
        for group in groups_of(row, request) {
            groups.entry(group).or_default().push(row);
        }
    }
    let listed = groups.len().min(request.top.limit);
    let left_out = u64::try_from(groups.len() - listed).unwrap_or(u64::MAX);
    if got.groups.len() != listed || got.groups_left_out != left_out {
        let (got, right) = (got.groups.len(), groups.len());
        return Err(format!("{got} groups not {listed} of {right}"));
    }
    for group in &got.groups {
        let key: Vec<Name> = group.keys.iter().map(|v| name_of_key(v.as_ref())).collect();
        let rows = groups.remove(&key).ok_or(format!("no group {key:?}"))?;
        figures(&rows, request, &group.figures).map_err(|e| format!("{key:?}: {e}"))?;
        let Some(time) = &request.time else { continue };
        let mut buckets: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            let from = i128::from(row.start) - i128::from(time.origin_ns);
            let past = from.rem_euclid(i128::from(time.width_ns));
            let start = i128::from(row.start) - past;
            let start = i64::try_from(start).unwrap_or(i64::MIN);
            buckets.entry(start).or_default().push(row);
        }
        if group.points.len() != buckets.len() {
            return Err(format!("{key:?}: {} points", group.points.len()));
        }
        for (point, (start, rows)) in group.points.iter().zip(&buckets) {
            if point.start_ns != *start {
                return Err(format!("{key:?}: point at {}", point.start_ns));
            }
            figures(rows, request, &point.figures)
                .map_err(|e| format!("{key:?} at {start}: {e}"))?;
        }
    }
    Ok(())
}

fn groups_of(row: &Row, request: &AggregateRequest) -> BTreeSet<Vec<Name>> {
    let mut groups = BTreeSet::from([Vec::new()]);
    for key in &request.keys {
        let mut here: BTreeSet<Name> = leaves(row, &key.column).iter().map(name).collect();
        if here.is_empty() && key.absent {
            here.insert(Name::Absent);
        }
        let mut longer = BTreeSet::new();
        for group in &groups {
            longer.extend(
                here.iter()
                    .map(|v| [&group[..], std::slice::from_ref(v)].concat()),
            );
        }
        groups = longer;
    }
    groups
}

fn figures(rows: &[&Row], request: &AggregateRequest, got: &Figures) -> Result<(), String> {
    if got.rows != rows.len() as u64 {
        return Err(format!("{} rows not {}", got.rows, rows.len()));
    }
    let Some(Measure::Sum(column)) = request.measures.get(2) else {
        return Err("no sum".to_owned());
    };
    let sets: Vec<Vec<Leaf>> = rows.iter().map(|row| set(row, column)).collect();
    let present = sets.iter().filter(|set| !set.is_empty()).count() as u64;
    let all: Vec<&Leaf> = sets.iter().flatten().collect();
    let mut numbers: Vec<&Leaf> = all.iter().copied().filter(|v| is_number(v)).collect();
    numbers.sort_by(|a, b| a.compare(b).expect("BUG: NaN is no number"));
    let different = all.iter().map(|v| name(v)).collect::<BTreeSet<_>>().len() as u64;
    for (measure, got) in request.measures.iter().zip(&got.measures) {
        let right = match (measure, &got.value) {
            (Measure::Count, Value::Count(n)) => *n == rows.len() as u64,
            (Measure::CountIf(_), Value::Count(n)) => *n == present,
            (Measure::Distinct { .. }, Value::Distinct { count, exact }) => {
                *exact && *count == different
            }
            (Measure::Quantiles { .. }, Value::Quantiles(got)) => quantiles(&numbers, got),
            (Measure::Histogram(_), Value::Histogram(got)) => histogram(&numbers, got),
            (_, Value::Number(None)) => numbers.is_empty(),
            (Measure::Min(_), Value::Number(Some(n))) => same(numbers.first(), *n),
            (Measure::Max(_), Value::Number(Some(n))) => same(numbers.last(), *n),
            (Measure::Sum(_), Value::Number(Some(n))) => sum(&numbers, *n),
            // The sum was checked just before.
            (Measure::Avg(_), Value::Number(Some(_))) => got.count == numbers.len() as u64,
            _ => false,
        };
        let others = match measure {
            Measure::Count | Measure::CountIf(_) | Measure::Distinct { .. } => 0,
            _ => (all.len() - numbers.len()) as u64,
        };
        if !right || got.not_numbers != others {
            return Err(format!("{measure:?} is not {got:?} of {all:?}"));
        }
    }
    Ok(())
}

fn is_number(leaf: &Leaf) -> bool {
    match leaf {
        Leaf::I64(_) => true,
        Leaf::F64(x) => !x.is_nan(),
        _ => false,
    }
}

fn float(leaf: &Leaf) -> f64 {
    match leaf {
        Leaf::I64(n) => *n as f64,
        Leaf::F64(x) => *x,
        _ => f64::NAN,
    }
}

fn same(leaf: Option<&&Leaf>, got: Number) -> bool {
    match (leaf, got) {
        (Some(Leaf::I64(n)), Number::Whole(got)) => i128::from(*n) == got,
        (Some(leaf), Number::Whole(got)) => float(leaf) == got as f64,
        (Some(leaf), Number::Float(got)) => float(leaf) == got,
        (None, _) => false,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of few numbers"
)]
fn quantiles(numbers: &[&Leaf], got: &[Option<f64>]) -> bool {
    QUANTILES.iter().zip(got).all(|(p, got)| {
        let rank = ((p * numbers.len() as f64).ceil() as usize).max(1);
        match (numbers.get(rank - 1).map(|n| float(n)), got) {
            (Some(right), Some(got)) => {
                right == *got || (right - got).abs() <= right.abs() * 0.004 + 1e-305
            }
            (None, None) => true,
            _ => false,
        }
    })
}

fn histogram(numbers: &[&Leaf], got: &[(f64, f64, u64)]) -> bool {
    let counted: u64 = got.iter().map(|bucket| bucket.2).sum();
    let right = |(low, high, count): &(f64, f64, u64)| {
        let inside = numbers.iter().map(|n| float(n));
        inside.filter(|x| low <= x && x <= high).count() as u64 == *count
    };
    counted == numbers.len() as u64 && got.iter().all(right)
}

fn sum(numbers: &[&Leaf], got: Number) -> bool {
    let whole: i128 = numbers
        .iter()
        .map(|n| {
            if let Leaf::I64(n) = n {
                i128::from(*n)
            } else {
                0
            }
        })
        .sum();
    let floats: Vec<f64> = numbers
        .iter()
        .filter_map(|n| if let Leaf::F64(x) = n { Some(*x) } else { None })
        .collect();
    match got {
        Number::Whole(got) => floats.is_empty() && got == whole,
        Number::Float(got) => {
            if floats.iter().any(|x| x.abs() > SUMMED_MAX) {
                return !floats.is_empty();
            }
            got == exact(&floats, whole)
        }
    }
}

/// Shewchuk's sum: floats that do not overlap and add up to it exactly.
fn exact(floats: &[f64], whole: i128) -> f64 {
    let mut parts: Vec<f64> = Vec::new();
    let mut add = |mut x: f64| {
        let mut kept = Vec::new();
        for part in &parts {
            let (big, small) = if x.abs() < part.abs() {
                (*part, x)
            } else {
                (x, *part)
            };
            let sum = big + small;
            let rest = small - (sum - big);
            if rest != 0.0 {
                kept.push(rest);
            }
            x = sum;
        }
        kept.push(x);
        parts = kept;
    };
    floats.iter().for_each(|x| add(*x));
    for shift in [0u32, 32, 64, 96] {
        let digit = (whole.unsigned_abs() >> shift) & u128::from(u32::MAX);
        let part = digit as f64 * 2f64.powi(i32::try_from(shift).unwrap_or(0));
        add(if whole < 0 { -part } else { part });
    }
    // From the largest down until one does not fit; half of it may decide the rounding.
    let mut sum = parts.pop().unwrap_or(0.0);
    while let Some(part) = parts.pop() {
        let before = sum;
        sum = before + part;
        let rest = part - (sum - before);
        if rest != 0.0 {
            let next = parts.last().copied().unwrap_or(0.0);
            if (rest < 0.0 && next < 0.0) || (rest > 0.0 && next > 0.0) {
                let twice = rest * 2.0;
                let up = sum + twice;
                if up - sum == twice {
                    sum = up;
                }
            }
            break;
        }
    }
    sum
}

/// Every path with the types of its values.
fn check_keys(rows: &Rows, got: &ObservedKeys) -> Result<(), String> {
    let mut right: BTreeMap<(String, LaneKind), u64> = BTreeMap::new();
    for row in rows {
        let mut here = BTreeSet::new();
        paths(&row.doc, "", &mut here);
        for key in here {
            *right.entry(key).or_default() += 1;
        }
    }
    let mut found = BTreeMap::new();
    for key in &got.keys {
        for (kind, rows) in &key.types {
            found.insert((key.path.to_string(), *kind), *rows);
        }
    }
    if found != right {
        let wrong = found.iter().find(|(key, n)| right.get(key) != Some(n));
        return Err(format!(
            "keys: {wrong:?} of {} not {}",
            found.len(),
            right.len()
        ));
    }
    Ok(())
}

fn paths(value: &Val, here: &str, found: &mut BTreeSet<(String, LaneKind)>) {
    let kind = match value {
        Val::Null => return,
        Val::Array(items) => return items.iter().for_each(|item| paths(item, here, found)),
        Val::Map(entries) => {
            for (key, child) in entries {
                let path = if here.is_empty() {
                    key.clone()
                } else {
                    format!("{here}.{key}")
                };
                paths(child, &path, found);
            }
            return;
        }
        Val::Bool(_) => LaneKind::Bool,
        Val::I64(_) => LaneKind::I64,
        Val::U64(_) | Val::F64(_) => LaneKind::F64,
        Val::Str(text) if text.len() <= 96 => LaneKind::Str,
        Val::Str(_) | Val::Bytes(_) => LaneKind::Long,
    };
    found.insert((here.to_owned(), kind));
}
