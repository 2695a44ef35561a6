//! What is worked out, and figures of the same group put together.
//!
//! Quantiles come of the engine's histograms, 128 buckets between powers of two, since those add up: within 0.4%, and never
//! beyond the smallest and the largest number.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use obsrv_engine::model;
use obsrv_engine::query::aggregate::{Figures, Measure, Number, Value as Figure};
use obsrv_engine::query::ast::{Literal, Test};
use obsrv_engine::source::Column;
use serde_json::{Map, Value, json};

use super::super::facts::{column, is};
use super::super::score;
use crate::http::read::ask::Over;

/// What is done with the numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Sum,
    Avg,
    Count,
    Max,
    Min,
    Quantile(f64),
    Histogram,
}

/// A metric of the question.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Its name in answers: `p95_latency`.
    pub(super) name: String,
    how: How,
    /// Of which columns, of which a row has one; none for the count of rows.
    columns: Vec<Column>,
    /// What a number is divided by.
    unit: f64,
    /// Whether true counts as one and false as none.
    flags: bool,
}

impl Asked {
    pub(super) fn of(
        over: Over,
        view: &str,
        measure: &str,
        aggregation: &str,
    ) -> Result<Self, String> {
        let how = match aggregation {
            "sum" => How::Sum,
            "avg" => How::Avg,
            "count" => How::Count,
            "max" => How::Max,
            "min" => How::Min,
            "p50" => How::Quantile(0.5),
            "p75" => How::Quantile(0.75),
            "p90" => How::Quantile(0.9),
            "p95" => How::Quantile(0.95),
            "p99" => How::Quantile(0.99),
            "histogram" => How::Histogram,
            _ => return Err("no such aggregation".to_owned()),
        };
        let columns = columns(over, view, measure).ok_or("no such measure of this view")?;
        let flags = view == "scores-boolean" && !columns.is_empty();
        if flags && !matches!(how, How::Sum | How::Avg | How::Count) {
            return Err("of true and false only count, sum and avg".to_owned());
        }
        if columns.is_empty() && !matches!(how, How::Count | How::Sum) {
            return Err("of the count of rows only count and sum".to_owned());
        }
        Ok(Self {
            name: format!("{aggregation}_{measure}"),
            how,
            columns,
            unit: if measure == "latency" { 1e6 } else { 1.0 },
            flags,
        })
    }

    fn needs(&self) -> Vec<Measure> {
        let of = |column: &Column| {
            let (sum, ends) = (
                Measure::Sum(column.clone()),
                [Measure::Min(column.clone()), Measure::Max(column.clone())],
            );
            let flag = |yes| match column {
                Column::Path(path) => Measure::CountIf(is(path, Test::Eq(Literal::Bool(yes)))),
                _ => Measure::Count,
            };
            match self.how {
                How::Sum | How::Avg | How::Count if self.flags => {
                    vec![sum, flag(true), flag(false)]
                }
                How::Sum | How::Avg | How::Count => vec![sum],
                How::Min => vec![ends[0].clone()],
                How::Max => vec![ends[1].clone()],
                How::Quantile(_) | How::Histogram => {
                    let [min, max] = ends;
                    vec![Measure::Histogram(column.clone()), min, max]
                }
            }
        };
        self.columns.iter().flat_map(of).collect()
    }
}

fn columns(over: Over, view: &str, measure: &str) -> Option<Vec<Column>> {
    let path = |path: &str| Some(vec![column(path)]);
    match (over, measure) {
        (_, "count") => Some(Vec::new()),
        (Over::Traces | Over::Spans, "latency") => Some(vec![Column::Duration]),
        (Over::Traces | Over::Spans, "totalTokens") => path("tokens.total"),
        (Over::Traces | Over::Spans, "totalCost") => path(model::COST),
        (Over::Traces, "observationsCount") => path("rollup.span_count"),
        (Over::Spans, "inputTokens") => path("tokens.input"),
        (Over::Spans, "outputTokens") => path("tokens.output"),
        (Over::Scores, "value") if view != "scores-categorical" => {
            let places = score::VALUES.iter().map(|place| column(place));
            Some(places.collect())
        }
        _ => None,
    }
}

/// What the engine has to work out, each once.
pub(super) fn measures(asked: &[Asked]) -> Vec<Measure> {
    let mut all = Vec::new();
    for measure in asked.iter().flat_map(Asked::needs) {
        if !all.contains(&measure) {
            all.push(measure);
        }
    }
    all
}

/// What one of the engine's measures came to, over several groups.
#[derive(Clone, Debug, Default)]
struct Part {
    count: u64,
    number: Option<Number>,
    buckets: BTreeMap<(u64, u64), u64>,
}

/// What a row of the answer comes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Figured {
    rows: u64,
    parts: Vec<Part>,
}

/// Rows of the answer, by start and by values as JSON.
#[derive(Debug, Default)]
pub(super) struct Rows(pub(super) BTreeMap<(Option<String>, Vec<String>), Figured>);

impl Rows {
    pub(super) fn add(
        &mut self,
        key: (Option<String>, Vec<String>),
        figures: &Figures,
        measures: &[Measure],
    ) {
        if figures.rows == 0 {
            return;
        }
        let row = self.0.entry(key).or_default();
        row.rows += figures.rows;
        row.parts.resize_with(measures.len(), Part::default);
        for ((part, figure), measure) in row.parts.iter_mut().zip(&figures.measures).zip(measures) {
            part.count += figure.count;
            match &figure.value {
                Figure::Number(number) => {
                    part.number = match (part.number, *number) {
                        (Some(a), Some(b)) => Some(joined(measure, a, b)),
                        (a, b) => a.or(b),
                    };
                }
                Figure::Count(n) => {
                    let n = Number::Whole(i128::from(*n));
                    let before = part.number.unwrap_or(Number::Whole(0));
                    part.number = Some(joined(&Measure::Count, before, n));
                }
                Figure::Histogram(buckets) => {
                    for (from, to, count) in buckets {
                        let key = (ordered(*from), ordered(*to));
                        *part.buckets.entry(key).or_default() += count;
                    }
                }
                Figure::Quantiles(_) | Figure::Distinct { .. } => {}
            }
        }
    }
}

fn joined(measure: &Measure, a: Number, b: Number) -> Number {
    let (x, y) = (float(a), float(b));
    match measure {
        Measure::Min(_) => {
            if x <= y {
                a
            } else {
                b
            }
        }
        Measure::Max(_) => {
            if x >= y {
                a
            } else {
                b
            }
        }
        _ => match (a, b) {
            (Number::Whole(a), Number::Whole(b)) => Number::Whole(a.saturating_add(b)),
            _ => Number::Float(x + y),
        },
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn float(number: Number) -> f64 {
    match number {
        Number::Whole(n) => n as f64,
        Number::Float(n) => n,
    }
}

/// A float as a number that sorts as it does.
fn ordered(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 0 {
        bits | (1 << 63)
    } else {
        !bits
    }
}

fn unordered(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 0 {
        !bits
    } else {
        bits & !(1 << 63)
    })
}

impl Figured {
    /// The value of a metric; null if there are no numbers.
    pub(super) fn value(&self, asked: &Asked, measures: &[Measure], bins: usize) -> Value {
        if asked.columns.is_empty() {
            return json!(self.rows);
        }
        let needs = asked.needs();
        let here = measures.iter().zip(&self.parts);
        let parts: Vec<(&Measure, &Part)> = here.filter(|(m, _)| needs.contains(m)).collect();
        let number = |wanted: fn(&Measure) -> bool| {
            let meant = parts.iter().filter(|(measure, _)| wanted(measure));
            let some = meant.filter_map(|(measure, part)| Some((*measure, part.number?)));
            let joined = some.reduce(|(m, a), (_, b)| (m, joined(m, a, b)));
            joined.map(|(_, number)| number)
        };
        let min = || number(|m| matches!(m, Measure::Min(_)));
        let max = || number(|m| matches!(m, Measure::Max(_)));
        match asked.how {
            How::Sum | How::Avg | How::Count => {
                let sum = number(|m| matches!(m, Measure::Sum(_)));
                added(asked, &parts, sum)
            }
            How::Min => min().map_or(Value::Null, |n| shown(n, asked.unit)),
            How::Max => max().map_or(Value::Null, |n| shown(n, asked.unit)),
            How::Quantile(_) | How::Histogram => {
                let (Some(min), Some(max)) = (min(), max()) else {
                    return Value::Null;
                };
                let spread = Spread::of(&parts, (float(min), float(max)));
                match asked.how {
                    How::Quantile(p) => json!(spread.quantile(p) / asked.unit),
                    _ => spread.histogram(bins, asked.unit),
                }
            }
        }
    }
}

/// Sum, mean or count of the numbers, and of yes as one and no as none.
fn added(asked: &Asked, parts: &[(&Measure, &Part)], sum: Option<Number>) -> Value {
    let numbers = parts.iter().filter(|(m, _)| matches!(m, Measure::Sum(_)));
    let flags = parts
        .iter()
        .filter(|(m, _)| matches!(m, Measure::CountIf(_)));
    let flags: Vec<u64> = flags.map(|(_, part)| count_of(part)).collect();
    // Those of yes, then those of no, of each column.
    let (flagged, yes): (u64, u64) = (flags.iter().sum(), flags.iter().step_by(2).sum());
    let count = numbers.map(|(_, part)| part.count).sum::<u64>() + flagged;
    if asked.how == How::Count {
        return json!(count);
    }
    let yes = (flagged > 0).then_some(Number::Whole(i128::from(yes)));
    let both = sum.into_iter().chain(yes);
    let Some(sum) = both.reduce(|a, b| joined(&Measure::Count, a, b)) else {
        return Value::Null;
    };
    if asked.how == How::Avg {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let count = count as f64;
        return json!(float(sum) / count / asked.unit);
    }
    shown(sum, asked.unit)
}

fn count_of(part: &Part) -> u64 {
    match part.number {
        Some(Number::Whole(n)) => u64::try_from(n).unwrap_or(u64::MAX),
        _ => 0,
    }
}

#[expect(clippy::float_cmp, reason = "one is one")]
fn shown(number: Number, unit: f64) -> Value {
    match number {
        Number::Whole(n) if unit == 1.0 => {
            i64::try_from(n).map_or_else(|_| json!(float(number)), |n| json!(n))
        }
        number => json!(float(number) / unit),
    }
}

/// How numbers are spread.
struct Spread {
    buckets: Vec<(f64, f64, u64)>,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(parts: &[(&Measure, &Part)], (min, max): (f64, f64)) -> Self {
        let mut buckets: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for (ends, count) in parts.iter().flat_map(|(_, part)| &part.buckets) {
            *buckets.entry(*ends).or_default() += count;
        }
        let buckets = buckets.into_iter();
        Self {
            buckets: buckets
                .map(|((from, to), count)| (unordered(from), unordered(to), count))
                .collect(),
            min,
            max,
        }
    }

    /// The number of rank `ceil(p * count)`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank of counted numbers"
    )]
    fn quantile(&self, p: f64) -> f64 {
        let all: u64 = self.buckets.iter().map(|(.., count)| count).sum();
        let rank = ((p * all as f64).ceil() as u64).max(1);
        let mut before = 0;
        for (from, to, count) in &self.buckets {
            before += count;
            if before >= rank {
                return f64::midpoint(*from, *to).clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// Bars of one width between the smallest and the largest: `[from, to, count]`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a bar's place"
    )]
    fn histogram(&self, bins: usize, unit: f64) -> Value {
        let wide = (self.max - self.min) / bins as f64;
        let mut bars = vec![0_u64; bins];
        for (from, to, count) in &self.buckets {
            let middle = f64::midpoint(*from, *to).clamp(self.min, self.max);
            let at = if wide > 0.0 {
                ((middle - self.min) / wide) as usize
            } else {
                0
            };
            if let Some(bar) = bars.get_mut(at.min(bins - 1)) {
                *bar += count;
            }
        }
        let bars = bars.into_iter().enumerate().map(|(at, count)| {
            let from = self.min + wide * at as f64;
            json!([from / unit, (from + wide) / unit, count])
        });
        bars.collect()
    }
}

/// In which order two rows stand; null is last.
pub(super) fn compare(
    order: &[(String, bool)],
    a: &Map<String, Value>,
    b: &Map<String, Value>,
) -> Ordering {
    for (name, descending) in order {
        let (a, b) = (a.get(name), b.get(name));
        let null = |v: Option<&Value>| v.is_none_or(Value::is_null);
        let found = match (a, b) {
            _ if null(a) || null(b) => {
                let last = null(a).cmp(&null(b));
                if last.is_ne() {
                    return last;
                }
                continue;
            }
            (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
            (Some(a), Some(b)) => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                _ => a.to_string().cmp(&b.to_string()),
            },
            _ => Ordering::Equal,
        };
        let found = if *descending { found.reverse() } else { found };
        if found.is_ne() {
            return found;
        }
    }
    Ordering::Equal
}
