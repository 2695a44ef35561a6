//! The right answers of P1 to P7, worked out point by point while the workload is made, as those of
//! spans are.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::metric::{CALLS, CPU, FIRST_TOKEN, INPUT_TOKENS};
use super::{Batch, Figure, Row, export_request};
use crate::generator::answers::json::around;
use crate::generator::answers::{LIST, PROJECT};
use crate::generator::keep::Best;
use crate::generator::options::{DAY_NS, Options};

/// Width of the buckets of P2.
const BUCKET_NS: u64 = DAY_NS / 24 / 12;
/// The quantiles of P4.
const QUANTILES: [f64; 1] = [0.95];
/// Points that P6 keeps: a list, and the rest of the export that it ends in.
const HOST_POINTS: usize = 4 * LIST;

/// Accumulators, one per query.
#[derive(Debug)]
pub struct Answers {
    now_ns: u64,
    points: u64,
    projects: usize,
    proto_bytes: u64,
    /// Times and values of the last day, by instance and model.
    values: BTreeMap<(String, &'static str), Vec<(u64, f64)>>,
    /// Count and sum, by bucket and service.
    cpu: BTreeMap<(u64, String), (u64, f64)>,
    tokens: BTreeMap<&'static str, i64>,
    first_token: BTreeMap<String, Vec<f64>>,
    names: BTreeMap<&'static str, u64>,
    /// How many points each has, and its newest.
    hosts: BTreeMap<String, (u64, Best<u64, Json>)>,
    /// Calls and their milliseconds, by service.
    calls: BTreeMap<String, (u64, f64)>,
}

impl Answers {
    /// Nothing seen yet.
    pub fn new(options: &Options) -> Self {
        Self {
            now_ns: options.end_ns,
            points: 0,
            projects: options.projects,
            proto_bytes: 0,
            values: BTreeMap::new(),
            cpu: BTreeMap::new(),
            tokens: BTreeMap::new(),
            first_token: BTreeMap::new(),
            names: BTreeMap::new(),
            hosts: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    /// Takes in an export.
    pub fn add(&mut self, batch: &Batch) {
        let bytes = export_request(batch).len();
        self.proto_bytes += u64::try_from(bytes).expect("BUG: usize over 64 bits");
        self.points += u64::try_from(batch.points.len()).expect("BUG: usize over 64 bits");
        if batch.project == PROJECT {
            batch.rows().for_each(|row| self.row(&row));
        }
    }

    fn row(&mut self, row: &Row<'_>) {
        let point = row.point;
        *self.names.entry(point.metric.name).or_default() += 1;
        let host = self
            .hosts
            .entry(row.from.host.clone())
            .or_insert_with(|| (0, Best::new(HOST_POINTS)));
        host.0 += 1;
        host.1
            .offer(point.time_ns, point.metric.name, || shown(row));
        let today = point.time_ns >= self.now_ns - DAY_NS;
        match (point.metric.name, &point.figure) {
            (CPU, Figure::Real(value)) if today => {
                let at = (point.time_ns / BUCKET_NS, row.from.service.clone());
                let bucket = self.cpu.entry(at).or_default();
                bucket.0 += 1;
                bucket.1 += value;
            }
            (FIRST_TOKEN, Figure::Real(value)) => {
                let of = self
                    .first_token
                    .entry(row.from.service.clone())
                    .or_default();
                of.push(*value);
                if today {
                    let series = (row.instance.to_owned(), point.model);
                    let of = self.values.entry(series).or_default();
                    of.push((point.time_ns, *value));
                }
            }
            (INPUT_TOKENS, Figure::Whole(n)) => *self.tokens.entry(point.model).or_default() += n,
            (CALLS, Figure::Histogram(of)) if today => {
                let calls = self.calls.entry(row.from.service.clone()).or_default();
                calls.0 += of.count();
                calls.1 += of.sum;
            }
            _ => {}
        }
    }

    /// What is asked, and what is right.
    pub fn into_json(mut self) -> Json {
        let mut answers = Map::new();
        let mut put = |name: &str, value: Json| answers.insert(name.to_owned(), value);
        // The series with the most points: one whose process lives as long as any.
        let longest = self.values.iter().max_by_key(|(_, values)| values.len());
        let ((instance, model), values) =
            longest.map_or_else(Default::default, |(series, v)| (series.clone(), v.clone()));
        put("P1", json!(values));
        let cpu = self.cpu.iter().map(|((bucket, service), (count, sum))| {
            (
                format!("{bucket}|{service}"),
                json!([count, sum / float(*count)]),
            )
        });
        put("P2", Json::Object(cpu.collect()));
        put("P3", by_name(&self.tokens, |sum| json!([sum])));
        let quantiles = self.first_token.iter_mut().map(|(service, values)| {
            values.sort_by(f64::total_cmp);
            let around: Vec<_> = QUANTILES.iter().map(|q| around(values, *q)).collect();
            (service.clone(), json!([values.len(), around]))
        });
        put("P4", Json::Object(quantiles.collect()));
        put("P5", by_name(&self.names, |count| json!([count])));
        let busiest = self.hosts.into_iter().max_by_key(|(_, (count, _))| *count);
        let (host, newest) = busiest.map_or_else(Default::default, |(host, (_, mut best))| {
            (host, ended(best.finish().cloned().collect()))
        });
        put("P6", json!(newest));
        let calls = self.calls.iter();
        let calls = calls.map(|(service, of)| (service.clone(), json!([of.0, of.1])));
        put("P7", Json::Object(calls.collect()));
        json!({
            "rows": self.points,
            "proto_bytes": self.proto_bytes,
            "asked": {
                "now_ns": self.now_ns, "project": PROJECT, "projects": self.projects,
                "list": LIST, "quantiles": QUANTILES, "gauge": CPU, "wide": FIRST_TOKEN,
                "counter": INPUT_TOKENS, "histogram": CALLS, "host": host,
                "instance": instance, "model": model,
            },
            "answers": answers,
        })
    }
}

fn by_name<T>(of: &BTreeMap<&'static str, T>, json: impl Fn(&T) -> Json) -> Json {
    let entries = of
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json(value)));
    Json::Object(entries.collect())
}

fn float(n: u64) -> f64 {
    f64::from(u32::try_from(n).expect("BUG: small number"))
}

/// A point as a list shows it: of a histogram the sum.
fn shown(row: &Row<'_>) -> Json {
    let point = row.point;
    let value = match &point.figure {
        Figure::Whole(n) => json!(n),
        Figure::Real(x) => json!(x),
        Figure::Histogram(of) => json!(of.sum),
    };
    json!([point.time_ns, point.metric.name, point.model, value])
}

/// The list, and behind it what is as old as its last row: any of these may stand in its place.
fn ended(mut rows: Vec<Json>) -> Vec<Json> {
    let last = rows.get(LIST - 1).map(|row| row[0].as_u64());
    if let Some(last) = last {
        rows.retain(|row| row[0].as_u64() >= last);
    }
    rows
}
