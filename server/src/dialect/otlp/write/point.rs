//! Rows of points → `Metric`s, those of one metric together.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;

use super::form::{At, Form, Number};
use super::{Groups, count, count_of, flags_of, hex_id, text, text_of, time, write_attributes};
use crate::dialect::otlp::point::Kind;
use crate::dialect::theta_read::StoredRow;

/// What tells the data of a metric from that of another.
#[derive(Clone, Copy)]
struct Data {
    kind: Kind,
    temporality: u64,
    monotonic: bool,
}

impl Data {
    fn of(doc: DocRef<'_>) -> Self {
        let name = text_of(doc, model::TYPE);
        let mut kinds = Kind::ALL.into_iter();
        Self {
            kind: kinds
                .find(|kind| kind.name() == name)
                .unwrap_or(Kind::Gauge),
            temporality: match text_of(doc, model::TEMPORALITY) {
                "delta" => 1,
                "cumulative" => 2,
                _ => 0,
            },
            monotonic: doc.get(model::MONOTONIC) == Some(DocRef::Bool(true)),
        }
    }

    /// The field of a metric that it stands in.
    const fn at(self) -> At {
        match self.kind {
            Kind::Gauge => (5, "gauge"),
            Kind::Sum => (7, "sum"),
            Kind::Histogram => (9, "histogram"),
            Kind::Exponential => (10, "exponentialHistogram"),
            Kind::Summary => (11, "summary"),
        }
    }
}

/// Puts the metrics of a scope as items of a repeated field.
pub(super) fn write<F: Form>(at: At, rows: &[&StoredRow], out: &mut F) {
    let mut metrics: Groups<(F, Data), Vec<&StoredRow>> = Groups::default();
    for row in rows {
        let (head, data) = (head::<F>(row.doc()), Data::of(row.doc()));
        let mut key = head.written().to_vec();
        let (number, _) = data.at();
        key.extend(number.to_le_bytes());
        key.extend(data.temporality.to_le_bytes());
        key.push(u8::from(data.monotonic));
        metrics.of(key, (head, data)).push(row);
    }
    for ((head, data), rows) in metrics.all {
        let metric = out.item(at);
        out.splice(&head);
        let open = out.begin(data.at());
        out.begin_list((1, "dataPoints"));
        for row in rows {
            let point = out.item((1, "dataPoints"));
            write_point(row, data.kind, out);
            out.end(point);
        }
        out.end_list();
        count((2, "aggregationTemporality"), data.temporality, out);
        if data.monotonic {
            out.bool((3, "isMonotonic"), true);
        }
        out.end(open);
        out.end(metric);
    }
}

/// The fields of a metric beside its data.
fn head<F: Form>(doc: DocRef<'_>) -> F {
    let mut out = F::default();
    text((1, "name"), text_of(doc, model::NAME), &mut out);
    text((2, "description"), text_of(doc, "description"), &mut out);
    text((3, "unit"), text_of(doc, model::UNIT), &mut out);
    write_attributes((12, "metadata"), doc.get("metric_metadata"), &mut out);
    out
}

fn write_point<F: Form>(row: &StoredRow, kind: Kind, out: &mut F) {
    let doc = row.doc();
    let (attributes, flags, exemplars) = kind.fields();
    write_attributes((attributes, "attributes"), doc.get(model::ATTRIBUTES), out);
    let began = count_of(doc, "start_time_unix_nano");
    time((2, "startTimeUnixNano"), began, out);
    let at = u64::try_from(row.core.start_ns).unwrap_or(0);
    time((3, "timeUnixNano"), at, out);
    match kind {
        Kind::Gauge | Kind::Sum => write_number(doc, (4, 6), out),
        Kind::Histogram => {
            out.fixed64((4, "count"), count_of(doc, "count"));
            write_f64s(doc, &[(5, "sum"), (11, "min"), (12, "max")], out);
            let counts = numbers(doc.get("bucket_counts"), Number::Fixed64);
            write_numbers((6, "bucketCounts"), &counts, out);
            write_numbers(
                (7, "explicitBounds"),
                &doubles(doc.get("explicit_bounds")),
                out,
            );
        }
        Kind::Exponential => write_exponential(doc, out),
        Kind::Summary => write_summary(doc, out),
    }
    count((flags, "flags"), u64::from(flags_of(doc)), out);
    if let (Some(number), Some(DocRef::Array(items))) = (exemplars, doc.get("exemplars")) {
        out.begin_list((number, "exemplars"));
        for item in items.flatten() {
            let open = out.item((number, "exemplars"));
            write_exemplar(item, out);
            out.end(open);
        }
        out.end_list();
    }
}

/// `as_double` or `as_int`, which have these numbers.
fn write_number<F: Form>(doc: DocRef<'_>, (double, int): (u32, u32), out: &mut F) {
    match doc.get(model::VALUE) {
        Some(DocRef::F64(n)) => out.double((double, "asDouble"), n),
        Some(DocRef::I64(n)) => out.sfixed64((int, "asInt"), n),
        _ => {}
    }
}

fn write_f64s<F: Form>(doc: DocRef<'_>, fields: &[At], out: &mut F) {
    for (number, name) in fields {
        if let Some(DocRef::F64(n)) = doc.get(name) {
            out.double((*number, name), n);
        }
    }
}

fn numbers(list: Option<DocRef<'_>>, number: fn(u64) -> Number) -> Vec<Number> {
    let Some(DocRef::Array(items)) = list else {
        return Vec::new();
    };
    let whole = |item| match item {
        DocRef::I64(n) => u64::try_from(n).unwrap_or(0),
        DocRef::U64(n) => n,
        _ => 0,
    };
    items.flatten().map(|item| number(whole(item))).collect()
}

fn doubles(list: Option<DocRef<'_>>) -> Vec<Number> {
    let Some(DocRef::Array(items)) = list else {
        return Vec::new();
    };
    let double = |item: DocRef<'_>| Number::Double(item.as_f64().unwrap_or(0.0));
    items.flatten().map(double).collect()
}

fn write_numbers<F: Form>(at: At, numbers: &[Number], out: &mut F) {
    if !numbers.is_empty() {
        out.numbers(at, numbers);
    }
}

fn write_exponential<F: Form>(doc: DocRef<'_>, out: &mut F) {
    out.fixed64((4, "count"), count_of(doc, "count"));
    write_f64s(doc, &[(5, "sum"), (12, "min"), (13, "max")], out);
    let whole = |doc: DocRef<'_>, key| doc.get(key).and_then(DocRef::as_i64).unwrap_or(0);
    out.zigzag((6, "scale"), whole(doc, "scale"));
    out.fixed64((7, "zeroCount"), count_of(doc, "zero_count"));
    if let Some(DocRef::F64(n)) = doc.get("zero_threshold") {
        out.double((14, "zeroThreshold"), n);
    }
    for at @ (_, name) in [(8, "positive"), (9, "negative")] {
        if let Some(buckets) = doc.get(name) {
            let open = out.begin(at);
            out.zigzag((1, "offset"), whole(buckets, "offset"));
            let counts = numbers(buckets.get("bucket_counts"), Number::Varint);
            write_numbers((2, "bucketCounts"), &counts, out);
            out.end(open);
        }
    }
}

fn write_summary<F: Form>(doc: DocRef<'_>, out: &mut F) {
    out.fixed64((4, "count"), count_of(doc, "count"));
    write_f64s(doc, &[(5, "sum")], out);
    let at = (6, "quantileValues");
    if let Some(DocRef::Array(items)) = doc.get("quantile_values") {
        out.begin_list(at);
        for item in items.flatten() {
            let open = out.item(at);
            write_f64s(item, &[(1, "quantile"), (2, "value")], out);
            out.end(open);
        }
        out.end_list();
    }
}

fn write_exemplar<F: Form>(exemplar: DocRef<'_>, out: &mut F) {
    time(
        (2, "timeUnixNano"),
        count_of(exemplar, "time_unix_nano"),
        out,
    );
    hex_id((4, "spanId"), text_of(exemplar, model::SPAN_ID), out);
    hex_id((5, "traceId"), text_of(exemplar, "trace_id"), out);
    write_number(exemplar, (3, 6), out);
    write_attributes(
        (7, "filteredAttributes"),
        exemplar.get("filtered_attributes"),
        out,
    );
}
