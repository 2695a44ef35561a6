//! A metric point: its value, and its wire form.

use std::ptr;

use super::Batch;
use super::metric::{BOUNDS, Kind, Law, Metric};
use crate::generator::rng::Rng;
use crate::generator::sender::Sender;
use crate::generator::span::Value;
use crate::generator::wire::{
    self, attribute, put_bytes, put_fixed64, put_packed64, put_varint_field,
};

/// Fractions are whole parts of this, so that sums are the same in any order.
const PARTS: u32 = 1 << 20;
/// Parts of a millisecond in histograms.
const MS_PARTS: u32 = 1_024;
/// Calls that a histogram counts in one export, at most.
const CALLS_MAX: u64 = 40;

/// What a point says.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// A whole number.
    Whole(i64),
    /// A number.
    Real(f64),
    /// How many between the bounds.
    Histogram(Histogram),
}

/// Counts between [`BOUNDS`].
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// One more than there are bounds.
    pub buckets: Vec<u64>,
    /// Milliseconds, of all.
    pub sum: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Histogram {
    /// How many in all.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// A point as the workload has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Of which metric.
    pub metric: &'static Metric,
    /// Of which model; empty: none.
    pub model: &'static str,
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// Since when; 0: it is of a moment.
    pub start_ns: u64,
    /// What it says.
    pub figure: Figure,
}

/// A point and where it came from: what engines without OTLP are given, and what answers are worked
/// out from.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Index of the project.
    pub project: usize,
    /// The process.
    pub from: &'a Sender,
    /// Its id.
    pub instance: &'a str,
    /// The point.
    pub point: &'a Point,
}

/// What a process exports a point of each time.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) metric: &'static Metric,
    pub(super) model: &'static str,
    /// Where a walk is, or around which bucket durations fall.
    at: u64,
}

impl Series {
    pub(super) fn new(metric: &'static Metric, model: &'static str, rng: &mut Rng) -> Self {
        let at = match metric.law {
            Law::Walk(top, _) => rng.below(top),
            Law::Share => rng.below(u64::from(PARTS)),
            Law::Durations => rng.range(2, 10),
            Law::Same(_) | Law::Wide | Law::Count(_) | Law::Amount => 0,
        };
        Self { metric, model, at }
    }

    fn walk(&mut self, top: u64, step: u64, rng: &mut Rng) -> u64 {
        let up = self.at + rng.below(step + 1);
        self.at = up.saturating_sub(rng.below(step + 1)).min(top);
        self.at
    }
}

/// The next value of a series.
pub(super) fn figure(series: &mut Series, rng: &mut Rng) -> Figure {
    match series.metric.law {
        Law::Same(value) => whole(value),
        Law::Walk(top, step) => whole(series.walk(top, step, rng)),
        Law::Share => parts(series.walk(u64::from(PARTS), 20_000, rng), PARTS),
        Law::Wide => {
            let octave = 1 << rng.range(21, 30);
            parts(octave + rng.below(octave), PARTS)
        }
        Law::Count(top) => whole(rng.below(top)),
        Law::Amount => parts(rng.below(u64::from(PARTS) * 30), PARTS),
        Law::Durations => Figure::Histogram(durations(series.at, rng)),
    }
}

fn whole(n: u64) -> Figure {
    Figure::Whole(i64::try_from(n).expect("BUG: small number"))
}

fn parts(n: u64, of: u32) -> Figure {
    Figure::Real(real(n, of))
}

fn real(n: u64, of: u32) -> f64 {
    f64::from(u32::try_from(n).expect("BUG: small number")) / f64::from(of)
}

/// Calls that take about as long as the bucket says.
fn durations(bucket: u64, rng: &mut Rng) -> Histogram {
    let mut buckets = vec![0; BOUNDS.len() + 1];
    let (mut sum, mut min, mut max) = (0, u64::MAX, 0);
    for _ in 0..rng.range(1, CALLS_MAX) {
        let at = usize::try_from(bucket + rng.below(4)).expect("BUG: a small number");
        let bound = |at: usize| u64::from(*BOUNDS.get(at).expect("BUG: within the list"));
        let (low, high) = (bound(at - 1), bound(at));
        let took = low * u64::from(MS_PARTS) + 1 + rng.below((high - low) * u64::from(MS_PARTS));
        *buckets.get_mut(at).expect("BUG: within the list") += 1;
        sum += took;
        min = min.min(took);
        max = max.max(took);
    }
    Histogram {
        buckets,
        sum: real(sum, MS_PARTS),
        min: real(min, MS_PARTS),
        max: real(max, MS_PARTS),
    }
}

/// A batch as OTLP protobuf: its points by scope and metric.
pub fn export_request(batch: &Batch) -> Vec<u8> {
    let mut resource = batch.from.attributes();
    resource.push(("service.instance.id", Value::Text(batch.instance.clone())));
    let scopes = batch
        .points
        .chunk_by(|a, b| a.metric.of_models == b.metric.of_models);
    let scopes = scopes.filter_map(|points| {
        let scope = points.first()?.metric.scope();
        let metrics = points.chunk_by(|a, b| ptr::eq(a.metric, b.metric));
        Some((scope, metrics.filter_map(metric)))
    });
    wire::export_request(&resource, scopes)
}

/// A metric with these points of it.
fn metric(points: &[Point]) -> Option<Vec<u8>> {
    let metric = points.first()?.metric;
    let mut data = Vec::with_capacity(points.len() * 128);
    for point in points {
        put_bytes(&mut data, 1, &data_point(point));
    }
    if metric.kind != Kind::Gauge {
        put_varint_field(&mut data, 2, 1);
    }
    if metric.kind == Kind::Sum {
        put_varint_field(&mut data, 3, 1);
    }
    let mut out = Vec::with_capacity(data.len() + 128);
    put_bytes(&mut out, 1, metric.name.as_bytes());
    put_bytes(&mut out, 2, metric.description.as_bytes());
    put_bytes(&mut out, 3, metric.unit.as_bytes());
    let field = match metric.kind {
        Kind::Gauge => 5,
        Kind::Sum => 7,
        Kind::Histogram => 9,
    };
    put_bytes(&mut out, field, &data);
    Some(out)
}

fn data_point(point: &Point) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    if point.start_ns != 0 {
        put_fixed64(&mut out, 2, point.start_ns);
    }
    put_fixed64(&mut out, 3, point.time_ns);
    match &point.figure {
        Figure::Whole(n) => put_fixed64(&mut out, 6, n.cast_unsigned()),
        Figure::Real(x) => put_fixed64(&mut out, 4, x.to_bits()),
        Figure::Histogram(of) => {
            put_fixed64(&mut out, 4, of.count());
            put_fixed64(&mut out, 5, of.sum.to_bits());
            put_packed64(&mut out, 6, of.buckets.iter().copied());
            let bounds = BOUNDS.iter().map(|bound| f64::from(*bound).to_bits());
            put_packed64(&mut out, 7, bounds);
            put_fixed64(&mut out, 11, of.min.to_bits());
            put_fixed64(&mut out, 12, of.max.to_bits());
        }
    }
    if !point.model.is_empty() {
        let model = Value::Text(point.model.to_owned());
        let field = if point.metric.kind == Kind::Histogram {
            9
        } else {
            7
        };
        put_bytes(&mut out, field, &attribute("gen_ai.request.model", &model));
    }
    out
}
