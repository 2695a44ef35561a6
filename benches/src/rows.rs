//! The text forms of a row that other engines load.

use std::fmt::Write as _;

use crate::generator::flat::Flat;
use crate::generator::points::{BOUNDS, Figure};
use crate::generator::span::json_text;
use crate::generator::{logs, points};

/// Appends a line with one JSON object.
pub fn push_json(row: &Flat<'_>, out: &mut String) {
    let _ = write!(out, "{{\"project\":{}", row.project);
    let texts = [
        ("trace_id", row.trace_id.as_str()),
        ("span_id", &row.span_id),
        ("parent_id", &row.parent_id),
        ("name", row.name),
        ("status", row.status()),
        ("kind", row.kind),
        ("model", row.model),
        ("tool", row.tool),
        ("env", row.env),
        ("region", row.region),
        ("workflow", row.workflow),
        ("experiment", row.experiment),
        ("release", row.release),
        ("user_id", row.user),
        ("session", row.session),
        ("input", row.input),
        ("output", row.output),
        ("error", row.error),
    ];
    push_texts(&texts, out);
    let _ = writeln!(
        out,
        ",\"start_ns\":{},\"duration_ns\":{},\"input_tokens\":{},\"output_tokens\":{},\
         \"cost\":{:?},\"extra\":{}}}",
        row.start_ns,
        row.duration_ns,
        row.input_tokens,
        row.output_tokens,
        row.cost,
        row.rest_json(),
    );
}

fn push_texts(texts: &[(&str, &str)], out: &mut String) {
    for (key, value) in texts {
        let _ = write!(out, ",\"{key}\":");
        json_text(value, out);
    }
}

/// Appends a line with one JSON object: a log line.
pub fn push_log_json(row: &logs::Row<'_>, out: &mut String) {
    let (line, from) = (row.line, row.from);
    let _ = write!(out, "{{\"project\":{}", row.project);
    let (trace_id, span_id) = (row.trace_id(), row.span_id());
    let texts = [
        ("severity", line.severity),
        ("service", &from.service),
        ("host", &from.host),
        ("env", from.env),
        ("region", from.region),
        ("scope", line.scope),
        ("logger", &line.logger),
        ("trace_id", &trace_id),
        ("span_id", &span_id),
        ("user_id", &line.user),
        ("request_id", &line.request),
        ("body", &line.body),
    ];
    push_texts(&texts, out);
    let _ = writeln!(
        out,
        ",\"time_ns\":{},\"observed_ns\":{},\"severity_number\":{},\
         \"extra\":{{\"code_function_name\":\"{}\",\"code_line_number\":{}}}}}",
        line.time_ns, line.observed_ns, line.severity_number, line.function, line.line_number,
    );
}

/// Appends a line with one JSON object: a metric point.
pub fn push_point_json(row: &points::Row<'_>, out: &mut String) {
    let (point, from) = (row.point, row.from);
    let metric = point.metric;
    let _ = write!(out, "{{\"project\":{}", row.project);
    let sums = metric.kind != points::Kind::Gauge;
    let texts = [
        ("name", metric.name),
        ("kind", metric.kind.name()),
        ("unit", metric.unit),
        ("description", metric.description),
        ("temporality", if sums { "delta" } else { "" }),
        ("scope", metric.scope()),
        ("service", &from.service),
        ("host", &from.host),
        ("env", from.env),
        ("region", from.region),
        ("instance", row.instance),
        ("model", point.model),
    ];
    push_texts(&texts, out);
    let _ = write!(
        out,
        ",\"time_ns\":{},\"start_ns\":{},\"monotonic\":{}",
        point.time_ns,
        point.start_ns,
        metric.kind == points::Kind::Sum,
    );
    let _ = match &point.figure {
        Figure::Whole(n) => writeln!(out, ",\"value\":{n}}}"),
        Figure::Real(x) => writeln!(out, ",\"value\":{x:?}}}"),
        Figure::Histogram(of) => writeln!(
            out,
            ",\"count\":{},\"sum\":{:?},\"min\":{:?},\"max\":{:?},\"buckets\":{:?},\"bounds\":{BOUNDS:?}}}",
            of.count(),
            of.sum,
            of.min,
            of.max,
            of.buckets,
        ),
    };
}

/// Appends a line of `PostgreSQL`'s `COPY`, in the order of the columns of `peers/postgres.sql`.
pub fn push_copy(row: &Flat<'_>, out: &mut String) {
    let _ = write!(out, "{}", row.project);
    let extra = row.rest_json().to_string();
    let texts = [
        row.trace_id.as_str(),
        &row.span_id,
        &row.parent_id,
        row.name,
        row.status(),
        row.kind,
        row.model,
        row.tool,
        row.env,
        row.region,
        row.workflow,
        row.experiment,
        row.release,
        row.user,
        row.session,
        row.input,
        row.output,
        row.error,
        &extra,
    ];
    for text in texts {
        out.push('\t');
        for c in text.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c => out.push(c),
            }
        }
    }
    let _ = writeln!(
        out,
        "\t{}\t{}\t{}\t{}\t{:?}",
        row.start_ns, row.duration_ns, row.input_tokens, row.output_tokens, row.cost,
    );
}
