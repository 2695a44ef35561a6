//! One OTLP data point → one event.

use std::ops::Range;

use bytes::Bytes;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::model;
use obsrv_engine::row::{Event, RowKey, Table};

use super::known::Known;
use super::metric::Metric;
use super::series;
use super::span::{Hex, Shared, count, text, time};
use super::value::{named, write_attributes};
use super::wire::{Field, Fields, WireError};
use crate::dialect::bad::Bad;
use crate::dialect::{BUCKETS_MAX, EXEMPLARS_MAX};

/// What a metric's points are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Sum,
    Histogram,
    Exponential,
    Summary,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Gauge,
        Self::Sum,
        Self::Histogram,
        Self::Exponential,
        Self::Summary,
    ];

    /// The type that this field of a metric holds.
    pub(super) const fn of_field(number: u32) -> Option<Self> {
        Some(match number {
            5 => Self::Gauge,
            7 => Self::Sum,
            9 => Self::Histogram,
            10 => Self::Exponential,
            11 => Self::Summary,
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Sum => "sum",
            Self::Histogram => "histogram",
            Self::Exponential => "exponential_histogram",
            Self::Summary => "summary",
        }
    }

    /// The fields of attributes, flags and exemplars in a point of this type.
    pub(super) const fn fields(self) -> (u32, u32, Option<u32>) {
        match self {
            Self::Gauge | Self::Sum => (7, 8, Some(5)),
            Self::Histogram => (9, 10, Some(8)),
            Self::Exponential => (1, 10, Some(11)),
            Self::Summary => (7, 8, None),
        }
    }
}

/// Reads one point. Its document is written behind what `docs` holds already, and is for the caller to
/// put in, or to take back after an error.
pub(super) fn event(
    fields: Fields<'_>,
    metric: &Metric<'_>,
    shared: &Shared,
    docs: &mut DocWriter,
) -> Result<Event, Bad> {
    let (_, flags_field, _) = metric.kind.fields();
    let (mut began, mut at, mut flags) = (0, 0, 0);
    for field in fields {
        let field = field.map_err(named("point"))?;
        match field.number {
            2 => began = field.fixed64().map_err(named("start_time_unix_nano"))?,
            3 => at = field.fixed64().map_err(named("time_unix_nano"))?,
            n if n == flags_field => flags = field.varint().map_err(named("flags"))?,
            _ => {}
        }
    }
    // With its series the time is all that a point is known by.
    let missing = || Bad::new("time_unix_nano", "missing");
    let start_ns = time("time_unix_nano", at)?.ok_or_else(missing)?;
    let open = docs.begin_map();
    let series = write_metric(fields, metric, shared, docs)?;
    count(docs, "start_time_unix_nano", began);
    count(docs, "flags", flags);
    write_value(fields, metric.kind, docs)?;
    write_exemplars(fields, metric.kind, docs)?;
    docs.end(open);
    Ok(Event {
        table: Table::Points,
        key: RowKey {
            trace_id: series.into(),
            id: at.to_string().into(),
        },
        start_ns: Some(start_ns),
        end_ns: None,
        version: 0,
        partial: false,
        doc: Bytes::new(),
    })
}

/// Writes what the points of a series have in common. Returns the id of the series.
fn write_metric(
    fields: Fields<'_>,
    metric: &Metric<'_>,
    shared: &Shared,
    out: &mut DocWriter,
) -> Result<String, Bad> {
    let temporality = match metric.temporality {
        0 => "",
        1 => "delta",
        2 => "cumulative",
        other => {
            let problem = format!("not known value={other}");
            return Err(Bad::new("aggregation_temporality", problem));
        }
    };
    let kind = metric.kind.name();
    text(out, model::DIALECT, "otlp");
    text(out, model::NAME, metric.name);
    text(out, model::TYPE, kind);
    text(out, model::UNIT, metric.unit);
    text(out, model::TEMPORALITY, temporality);
    if metric.kind == Kind::Sum {
        out.key(model::MONOTONIC);
        out.bool(metric.monotonic);
    }
    text(out, "description", metric.description);
    let (number, ..) = metric.kind.fields();
    let mut known = Known::default();
    let mut attributes: Vec<(&str, Range<usize>)> = Vec::new();
    out.key(model::ATTRIBUTES);
    write_attributes(fields, number, "attributes", out, |attribute| {
        let (start, end) = attribute.written;
        attributes.push((attribute.key, start..end));
        known.note(attribute);
    })?;
    let monotonic = if metric.monotonic { "monotonic" } else { "" };
    let said = [metric.name, metric.unit, kind, temporality, monotonic];
    let series = series::id(&shared.identity, &said, &mut attributes, out);
    known.write(out);
    shared.write(&known, out);
    if metric.has_metadata {
        out.key("metric_metadata");
        write_attributes(metric.message, 12, "metadata", out, |_| {})?;
    }
    Ok(series)
}

fn write_value(fields: Fields<'_>, kind: Kind, out: &mut DocWriter) -> Result<(), Bad> {
    match kind {
        Kind::Gauge | Kind::Sum => write_number(fields, (4, 6), out),
        Kind::Histogram => write_histogram(fields, out),
        Kind::Exponential => write_exponential(fields, out),
        Kind::Summary => write_summary(fields, out),
    }
}

/// `as_double` or `as_int`, which have these numbers, whichever comes last.
fn write_number(
    fields: Fields<'_>,
    (double, int): (u32, u32),
    out: &mut DocWriter,
) -> Result<(), Bad> {
    let numbers = fields
        .flatten()
        .filter(|f| f.number == double || f.number == int);
    let value = numbers.last();
    let Some(field) = value else {
        return Ok(());
    };
    let bits = field.fixed64().map_err(named(model::VALUE))?;
    out.key(model::VALUE);
    if field.number == double {
        out.f64(f64::from_bits(bits));
    } else {
        out.i64(bits.cast_signed());
    }
    Ok(())
}

/// The last field of this number.
fn last(fields: Fields<'_>, number: u32) -> Option<Field<'_>> {
    fields.flatten().filter(|f| f.number == number).last()
}

fn write_count(
    fields: Fields<'_>,
    number: u32,
    name: &str,
    out: &mut DocWriter,
) -> Result<(), Bad> {
    let found = last(fields, number).map(|f| f.fixed64());
    out.key(name);
    out.u64(found.transpose().map_err(named(name))?.unwrap_or(0));
    Ok(())
}

/// Numbers that are there or not.
fn write_f64s(fields: Fields<'_>, numbers: &[(u32, &str)], out: &mut DocWriter) -> Result<(), Bad> {
    for (number, name) in numbers {
        if let Some(field) = last(fields, *number) {
            let bits = field.fixed64().map_err(named(name))?;
            out.key(name);
            out.f64(f64::from_bits(bits));
        }
    }
    Ok(())
}

fn write_histogram(fields: Fields<'_>, out: &mut DocWriter) -> Result<(), Bad> {
    write_count(fields, 4, "count", out)?;
    write_f64s(fields, &[(5, "sum"), (11, "min"), (12, "max")], out)?;
    write_list(
        fields,
        (6, "bucket_counts"),
        out,
        Repeated::Fixed64,
        DocWriter::u64,
    )?;
    write_list(
        fields,
        (7, "explicit_bounds"),
        out,
        Repeated::Fixed64,
        |out, bits| {
            out.f64(f64::from_bits(bits));
        },
    )
}

fn write_exponential(fields: Fields<'_>, out: &mut DocWriter) -> Result<(), Bad> {
    write_count(fields, 4, "count", out)?;
    write_f64s(fields, &[(5, "sum"), (12, "min"), (13, "max")], out)?;
    let scale = last(fields, 6).map(|f| f.zigzag());
    out.key("scale");
    out.i64(scale.transpose().map_err(named("scale"))?.unwrap_or(0));
    write_count(fields, 7, "zero_count", out)?;
    write_f64s(fields, &[(14, "zero_threshold")], out)?;
    for (number, name) in [(8, "positive"), (9, "negative")] {
        let Some(buckets) = last(fields, number) else {
            continue;
        };
        let buckets = buckets.message().map_err(named(name))?;
        out.key(name);
        let open = out.begin_map();
        let offset = last(buckets, 1).map(|f| f.zigzag());
        out.key("offset");
        out.i64(offset.transpose().map_err(named("offset"))?.unwrap_or(0));
        write_list(
            buckets,
            (2, "bucket_counts"),
            out,
            Repeated::Varint,
            DocWriter::u64,
        )?;
        out.end(open);
    }
    Ok(())
}

fn write_summary(fields: Fields<'_>, out: &mut DocWriter) -> Result<(), Bad> {
    const NAME: &str = "quantile_values";
    write_count(fields, 4, "count", out)?;
    write_f64s(fields, &[(5, "sum")], out)?;
    out.key(NAME);
    let list = out.begin_array();
    let quantiles = fields.flatten().filter(|f| f.number == 6);
    for (place, field) in quantiles.enumerate() {
        if place == BUCKETS_MAX {
            return Err(too_many(NAME, BUCKETS_MAX));
        }
        let field = field.message().map_err(named(NAME))?;
        let open = out.begin_map();
        for (number, name) in [(1, "quantile"), (2, "value")] {
            let bits = last(field, number).map(|f| f.fixed64());
            out.key(name);
            out.f64(f64::from_bits(
                bits.transpose().map_err(named(NAME))?.unwrap_or(0),
            ));
        }
        out.end(open);
    }
    out.end(list);
    Ok(())
}

/// How the numbers of a repeated field stand in the message.
#[derive(Clone, Copy, Debug)]
enum Repeated {
    Fixed64,
    Varint,
}

fn write_list(
    fields: Fields<'_>,
    (number, name): (u32, &str),
    out: &mut DocWriter,
    numbers: Repeated,
    write: impl Fn(&mut DocWriter, u64),
) -> Result<(), Bad> {
    let mut left = BUCKETS_MAX;
    out.key(name);
    let list = out.begin_array();
    for field in fields.flatten().filter(|f| f.number == number) {
        let full = WireError {
            problem: "too many",
            offset: field.offset,
        };
        let mut take = |n| {
            left = left.checked_sub(1).ok_or(full)?;
            write(out, n);
            Ok(())
        };
        let taken = match numbers {
            Repeated::Fixed64 => field.each_fixed64(&mut take),
            Repeated::Varint => field.each_varint(&mut take),
        };
        taken.map_err(|e| match e {
            e if e == full => too_many(name, BUCKETS_MAX),
            other => named(name)(other),
        })?;
    }
    out.end(list);
    Ok(())
}

fn too_many(name: &str, limit: usize) -> Bad {
    Bad::new(name, format!("too many limit={limit}"))
}

fn write_exemplars(fields: Fields<'_>, kind: Kind, out: &mut DocWriter) -> Result<(), Bad> {
    const NAME: &str = "exemplars";
    let (.., Some(number)) = kind.fields() else {
        return Ok(());
    };
    if last(fields, number).is_none() {
        return Ok(());
    }
    out.key(NAME);
    let list = out.begin_array();
    let exemplars = fields.flatten().filter(|f| f.number == number);
    for (place, field) in exemplars.enumerate() {
        if place == EXEMPLARS_MAX {
            return Err(too_many(NAME, EXEMPLARS_MAX));
        }
        let open = out.begin_map();
        write_exemplar(field.message().map_err(named(NAME))?, out)?;
        out.end(open);
    }
    out.end(list);
    Ok(())
}

fn write_exemplar(fields: Fields<'_>, out: &mut DocWriter) -> Result<(), Bad> {
    for field in fields {
        let field = field.map_err(named("exemplars"))?;
        match field.number {
            2 => {
                let at = field.fixed64().map_err(named("exemplars.time_unix_nano"))?;
                count(out, "time_unix_nano", at);
            }
            4 => write_id(field, model::SPAN_ID, out)?,
            5 => write_id(field, "trace_id", out)?,
            _ => {}
        }
    }
    write_number(fields, (3, 6), out)?;
    out.key("filtered_attributes");
    write_attributes(fields, 7, "exemplars.filtered_attributes", out, |_| {})
}

fn write_id(field: Field<'_>, name: &str, out: &mut DocWriter) -> Result<(), Bad> {
    let id = field.bytes().map_err(named(name))?;
    if !id.iter().all(|b| *b == 0) {
        text(out, name, Hex::of(name, id)?.as_str());
    }
    Ok(())
}
