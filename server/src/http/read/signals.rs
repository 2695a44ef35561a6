//! A log line and a point as lists show them: identity and time, then the document as it is.

use obsrv_engine::model;
use obsrv_engine::row::trace_of;
use serde_json::value::RawValue;

use super::ask::Over;
use super::shape::Raw;
use crate::dialect::doc_json::{write, write_str};
use crate::dialect::format_micros;
use crate::dialect::theta_read::StoredRow;

/// The row as JSON of one line. The thread has the name that runs show it under.
pub(super) fn shown(over: Over, row: &StoredRow) -> Raw {
    let cluster = &*row.core.trace_id;
    let mut out = String::from("{");
    let mut text = |key: &str, value: Option<&str>| {
        if !out.ends_with('{') {
            out.push(',');
        }
        write_str(key, &mut out);
        out.push(':');
        match value {
            Some(value) => write_str(value, &mut out),
            None => out.push_str("null"),
        }
    };
    text("id", Some(&row.core.id));
    if over == Over::Points {
        text("series", Some(cluster));
    } else {
        text("trace_id", trace_of(cluster));
    }
    text("start", Some(&to_the_nanosecond(row.core.start_ns)));
    for (key, value) in row.doc().entries().into_iter().flatten().flatten() {
        let key = if key == model::GROUP {
            "thread_id"
        } else {
            key
        };
        out.push(',');
        write_str(key, &mut out);
        out.push(':');
        write(value, &mut out);
    }
    out.push('}');
    RawValue::from_string(out).expect("BUG: a row that was written is no JSON")
}

fn to_the_nanosecond(ns: i64) -> String {
    let micros = format_micros(ns);
    let micros = micros.strip_suffix('Z').unwrap_or(&micros);
    format!("{micros}{:03}Z", ns.rem_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_the_nanosecond() {
        assert_eq!(
            to_the_nanosecond(1_000_000_002),
            "1970-01-01T00:00:01.000000002Z"
        );
        assert_eq!(to_the_nanosecond(-1), "1969-12-31T23:59:59.999999999Z");
    }
}
