//! The text forms of a row that other engines load.

use std::fmt::Write as _;

use crate::generator::flat::Flat;
use crate::generator::span::json_text;

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
    for (key, value) in texts {
        let _ = write!(out, ",\"{key}\":");
        json_text(value, out);
    }
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
