//! What spans add up to, by labels and step.

use std::collections::BTreeMap;

use super::super::SERIES_MAX;
use super::super::ast::{Fold, Measure, Metrics};
use super::super::eval::Numbers;
use super::super::value::Value;
use super::compare::Compared;
use super::exemplars::{Exemplar, Most, Picked, Power, Who, shared};
use super::{Series, Steps, check_points};
use crate::query::QueryError;
use crate::query::aggregate::Sketch;
use crate::query::meter::Meter;
use crate::source::Visible;
use roaring::RoaringBitmap;

/// Bytes of an entry of a map, beside its value, about.
const ENTRY_BYTES: usize = 64;

/// What is known of a span.
#[derive(Debug)]
pub(super) struct Span<'a> {
    pub(super) start_ns: i64,
    /// Its place among those that are added just now.
    pub(super) place: usize,
    /// The values of each label.
    pub(super) labels: &'a [&'a [Value]],
    /// The values of what is measured.
    pub(super) of: &'a [Value],
}

#[derive(Debug)]
enum Cell {
    Count(u64),
    Numbers(Numbers),
    Sketch(Box<Sketch>),
    /// By the exponent of the power of two that no number is above, and whether it is of durations.
    Powers(BTreeMap<(bool, i32), u64>),
}

type Labels = Vec<Option<Value>>;

/// The series of a request, as they add up.
#[derive(Debug)]
pub(super) struct Sums<'q> {
    metrics: &'q Metrics,
    steps: Steps,
    groups: BTreeMap<Labels, Group>,
    picked: Option<Picked>,
    compared: Compared,
    bytes: usize,
}

/// Spans with the same labels.
#[derive(Debug, Default)]
struct Group {
    /// In the order in which groups were found.
    number: usize,
    cells: BTreeMap<u32, Cell>,
}

impl<'q> Sums<'q> {
    pub(super) fn new(metrics: &'q Metrics, steps: Steps, most: Most) -> Self {
        Self {
            metrics,
            steps,
            groups: BTreeMap::new(),
            picked: Picked::new(&metrics.measure, steps, most),
            compared: Compared::default(),
            bytes: 0,
        }
    }

    /// About what they take.
    pub(super) fn bytes(&self) -> usize {
        let picked = self.picked.as_ref().map_or(0, Picked::bytes);
        self.bytes + self.compared.bytes() + picked
    }

    /// Spans without labels that are counted are a series even if there are none.
    pub(super) fn count_none(&mut self) {
        let is_count = matches!(self.metrics.measure, Measure::Rate | Measure::Count);
        if is_count && self.metrics.by.is_empty() && self.groups.is_empty() {
            self.groups.insert(Vec::new(), Group::default());
        }
    }

    /// Notes whose the spans are that were added since the last time.
    pub(super) fn settle(&mut self, who: Who<'_>) -> Result<(), QueryError> {
        match &mut self.picked {
            Some(picked) => picked.settle(who),
            None => Ok(()),
        }
    }

    /// Takes the rows of a source that pass, and those of them that are chosen, into a comparison.
    pub(super) fn compare(
        &mut self,
        visible: &Visible<'_>,
        (rows, chosen): (&RoaringBitmap, &RoaringBitmap),
        range: Option<(i64, i64)>,
        meter: &mut Meter<'_>,
    ) -> Result<(), QueryError> {
        self.compared
            .add(visible, (rows, chosen), (self.steps, range), meter)?;
        meter.hold(self.bytes())
    }

    pub(super) fn add(&mut self, span: &Span<'_>, who: Who<'_>) -> Result<(), QueryError> {
        let Some(step) = self.steps.at(span.start_ns) else {
            return Ok(());
        };
        let is_count = matches!(self.metrics.measure, Measure::Rate | Measure::Count);
        let numbers: Vec<(bool, f64)> = span.of.iter().filter_map(number).collect();
        if !is_count && numbers.is_empty() {
            return Ok(());
        }
        let sizes = span.labels.iter().map(|values| values.len().max(1));
        let combinations = sizes.fold(1usize, usize::saturating_mul);
        if combinations > SERIES_MAX {
            return Err(too_many(combinations));
        }
        for n in 0..combinations {
            let labels = combination(span.labels, n);
            let label_bytes: usize = labels.iter().flatten().map(Value::heap_bytes).sum();
            let known = self.groups.len();
            let group = self.groups.entry(labels).or_insert_with(|| Group {
                number: known,
                cells: BTreeMap::new(),
            });
            if let Some(picked) = &mut self.picked {
                offer(
                    picked,
                    &self.metrics.measure,
                    group.number,
                    (span, &numbers),
                    who,
                )?;
            }
            let cells = &mut group.cells;
            let before = cells.len();
            let cell = cells
                .entry(step)
                .or_insert_with(|| empty(&self.metrics.measure));
            match cell {
                Cell::Count(count) => *count += 1,
                Cell::Numbers(all) => numbers.iter().for_each(|(_, x)| all.add(*x)),
                Cell::Sketch(sketch) => {
                    let held = sketch.heap_bytes();
                    numbers.iter().for_each(|(_, x)| sketch.add(*x));
                    self.bytes += sketch.heap_bytes().saturating_sub(held);
                }
                Cell::Powers(powers) => {
                    for (is_time, x) in &numbers {
                        if let Some(power) = power_above(*x, *is_time) {
                            *powers.entry((*is_time, power)).or_default() += 1;
                        }
                    }
                    self.bytes += ENTRY_BYTES;
                }
            }
            self.bytes += (cells.len() - before) * (ENTRY_BYTES + size_of::<Cell>());
            if self.groups.len() > known {
                self.bytes += label_bytes + ENTRY_BYTES + span.labels.len() * size_of::<Value>();
                if self.groups.len() > SERIES_MAX {
                    return Err(too_many(self.groups.len()));
                }
            }
        }
        Ok(())
    }

    /// The series, by their labels.
    pub(super) fn finish(self) -> Result<Vec<Series>, QueryError> {
        if let Measure::Compare { top, .. } = &self.metrics.measure {
            return self.compared.finish(*top, self.steps);
        }
        let names: Vec<String> = self.metrics.by.iter().map(ToString::to_string).collect();
        let count = usize::try_from(self.steps.count).unwrap_or(usize::MAX);
        let mut all = Vec::new();
        let mut points = 0usize;
        let mut picked = self.picked;
        for (labels, group) in self.groups {
            let labels: Vec<(String, Option<Value>)> = names.iter().cloned().zip(labels).collect();
            let before = all.len();
            put(
                &self.metrics.measure,
                &labels,
                &group.cells,
                self.steps,
                &mut all,
            );
            if let (Some(picked), Some(own)) = (&mut picked, all.get_mut(before..)) {
                show(
                    &self.metrics.measure,
                    picked.of(group.number),
                    self.steps,
                    own,
                );
            }
            points = points.saturating_add((all.len() - before).saturating_mul(count));
            check_points(points)?;
            if all.len() > SERIES_MAX {
                return Err(too_many(all.len()));
            }
        }
        Ok(all)
    }
}

/// Offers a span to be shown beside the series of its group.
fn offer(
    picked: &mut Picked,
    measure: &Measure,
    group: usize,
    (span, numbers): (&Span<'_>, &[(bool, f64)]),
    who: Who<'_>,
) -> Result<(), QueryError> {
    let at = (span.start_ns, span.place);
    if matches!(measure, Measure::Histogram(_)) {
        for (is_time, x) in numbers {
            if let Some(power) = power_above(*x, *is_time) {
                picked.offer((group, Some((*is_time, power))), *x, at, who)?;
            }
        }
        return Ok(());
    }
    let numbers = numbers.iter().map(|(_, x)| *x);
    let number = if matches!(measure, Measure::Of(Fold::Min, _)) {
        numbers.reduce(f64::min)
    } else {
        numbers.reduce(f64::max)
    };
    picked.offer((group, None), number.unwrap_or(0.0), at, who)
}

/// Gives the spans that are shown to the series of their group.
fn show(
    measure: &Measure,
    picked: Vec<(Option<Power>, Exemplar)>,
    steps: Steps,
    own: &mut [Series],
) {
    if !matches!(measure, Measure::Histogram(_)) {
        let exemplars = picked.into_iter().map(|(_, one)| one).collect();
        match own {
            [one] => one.exemplars = exemplars,
            many => shared(steps, many, exemplars),
        }
        return;
    }
    for (power, exemplar) in picked {
        let end = power.map(|(is_time, power)| Value::Float(end_of(is_time, power)));
        let of_bucket = own.iter_mut().find(|series| {
            let bucket = series.labels.last();
            bucket.is_some_and(|(_, value)| *value == end)
        });
        if let Some(series) = of_bucket {
            series.exemplars.push(exemplar);
        }
    }
}

/// The end of a bucket, durations in seconds.
fn end_of(is_time: bool, power: i32) -> f64 {
    let end = 2f64.powi(power);
    if is_time { end / 1e9 } else { end }
}

pub(super) fn too_many(count: usize) -> QueryError {
    QueryError::TooMany {
        what: "series",
        max: SERIES_MAX,
        count,
    }
}

fn empty(measure: &Measure) -> Cell {
    match measure {
        Measure::Rate | Measure::Count | Measure::Compare { .. } | Measure::Math(_) => {
            Cell::Count(0)
        }
        Measure::Of(..) => Cell::Numbers(Numbers::default()),
        Measure::Quantiles(..) => Cell::Sketch(Box::default()),
        Measure::Histogram(_) => Cell::Powers(BTreeMap::new()),
    }
}

/// The n-th choice of one value of each label.
fn combination(labels: &[&[Value]], mut n: usize) -> Labels {
    let mut chosen = Vec::with_capacity(labels.len());
    for values in labels {
        let size = values.len().max(1);
        chosen.push(values.get(n % size).map(|value| value.clone().into_key()));
        n /= size;
    }
    chosen
}

/// A number as series have it, durations in seconds, and whether it is a duration.
fn number(value: &Value) -> Option<(bool, f64)> {
    let x = value.as_f64().filter(|x| !x.is_nan())?;
    let is_time = matches!(value, Value::Duration(_));
    Some((is_time, if is_time { x / 1e9 } else { x }))
}

/// The exponent of the smallest power of two that is not below; of durations in nanoseconds.
fn power_above(x: f64, is_time: bool) -> Option<i32> {
    let x = if is_time { (x * 1e9).round() } else { x };
    if x.is_nan() || x <= 0.0 || x.is_infinite() {
        return None;
    }
    let bits = x.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).ok()? - 1023;
    let is_power = bits & ((1 << 52) - 1) == 0;
    Some(exponent + i32::from(!is_power))
}

/// Adds the series of one group.
fn put(
    measure: &Measure,
    labels: &[(String, Option<Value>)],
    cells: &BTreeMap<u32, Cell>,
    steps: Steps,
    all: &mut Vec<Series>,
) {
    let mut push = |more: Option<(&str, Value)>, value: &dyn Fn(Option<&Cell>) -> Option<f64>| {
        let mut labels = labels.to_vec();
        labels.extend(more.map(|(name, value)| (name.to_owned(), Some(value))));
        let points = (0..steps.count).filter_map(|step| {
            let value = value(cells.get(&step))?;
            Some((steps.start(step), value))
        });
        let points = points.collect();
        all.push(Series {
            labels,
            points,
            exemplars: Vec::new(),
        });
    };
    match measure {
        Measure::Rate => push(None, &|cell| Some(count_of(cell) / steps.seconds())),
        Measure::Count | Measure::Compare { .. } | Measure::Math(_) => {
            push(None, &|cell| Some(count_of(cell)));
        }
        Measure::Of(fold, _) => push(None, &|cell| folded(cell, *fold)),
        Measure::Quantiles(_, at) => {
            for p in at {
                push(Some(("p", Value::Float(*p))), &|cell| match cell {
                    Some(Cell::Sketch(sketch)) => {
                        sketch.quantiles(&[*p]).into_iter().next().flatten()
                    }
                    _ => None,
                });
            }
        }
        Measure::Histogram(_) => {
            let mut powers = std::collections::BTreeSet::new();
            for cell in cells.values() {
                if let Cell::Powers(found) = cell {
                    powers.extend(found.keys().copied());
                }
            }
            for (is_time, power) in powers {
                let end = end_of(is_time, power);
                push(Some(("__bucket", Value::Float(end))), &|cell| {
                    let found = match cell {
                        Some(Cell::Powers(found)) => found.get(&(is_time, power)).copied(),
                        _ => None,
                    };
                    Some(as_f64(found.unwrap_or(0)))
                });
            }
        }
    }
}

fn folded(cell: Option<&Cell>, fold: Fold) -> Option<f64> {
    match cell {
        Some(Cell::Numbers(numbers)) => numbers.fold(fold),
        _ => None,
    }
}

fn count_of(cell: Option<&Cell>) -> f64 {
    match cell {
        Some(Cell::Count(count)) => as_f64(*count),
        _ => 0.0,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of spans as a point of a series"
)]
pub(super) const fn as_f64(count: u64) -> f64 {
    count as f64
}
