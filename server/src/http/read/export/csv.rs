//! Rows as CSV (RFC 4180): a head, then a line for each row; lists and objects as JSON.

use std::fmt::Write;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::http::read::ask::Over;
use crate::http::read::project::Fields;

/// Columns when none are named.
const OF_TRACES: [&str; 22] = [
    "trace_id",
    "run_id",
    "name",
    "status",
    "error_message",
    "start",
    "end",
    "duration_ns",
    "user_id",
    "thread_id",
    "service",
    "environment",
    "version",
    "release",
    "tags",
    "metadata",
    "models",
    "tools",
    "tokens.total",
    "cost.total",
    "span_count",
    "error_count",
];
const OF_SPANS: [&str; 20] = [
    "trace_id",
    "span_id",
    "parent_id",
    "name",
    "kind",
    "status",
    "error_message",
    "start",
    "end",
    "duration_ns",
    "model",
    "tool",
    "tokens.input",
    "tokens.output",
    "tokens.total",
    "cost.total",
    "service",
    "user_id",
    "thread_id",
    "metadata",
];
const OF_SCORES: [&str; 8] = [
    "id", "trace_id", "span_id", "name", "value", "comment", "user_id", "at",
];

/// The columns of a table.
#[derive(Debug)]
pub(super) struct Table(Vec<String>);

impl Table {
    pub(super) fn of(over: Over, fields: &Fields) -> Self {
        let usual: &[&str] = match over {
            Over::Traces => &OF_TRACES,
            Over::Spans => &OF_SPANS,
            Over::Scores => &OF_SCORES,
        };
        let usual = || usual.iter().map(|name| (*name).to_owned()).collect();
        Self(fields.names().map_or_else(usual, <[String]>::to_vec))
    }

    pub(super) fn head(&self) -> String {
        let mut out = String::new();
        line(self.0.iter().cloned(), &mut out);
        out
    }

    pub(super) fn write(&self, row: &RawValue, out: &mut String) {
        let row: Value = serde_json::from_str(row.get()).unwrap_or_default();
        let cells = self.0.iter().map(|name| cell(find(&row, name)));
        line(cells, out);
    }
}

fn line(cells: impl Iterator<Item = String>, out: &mut String) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))
                .expect("BUG: writing to a string failed");
        } else {
            out.push_str(&cell);
        }
    }
    out.push_str("\r\n");
}

/// The value at a path; a key with dots in it is found by its whole name.
fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    let (head, rest) = path.split_once('.')?;
    find(value.get(head)?, rest)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::params::Params;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let params = Params::parse("fields=a,b.c,d,e,f").unwrap();
        let table = Table::of(Over::Traces, &Fields::of(&params).unwrap());
        let row = r#"{"a":"x,y","b":{"c":"say \"so\"\n"},"d":null,"e":[1,2],"f":1.5}"#;
        let mut out = table.head();
        table.write(&RawValue::from_string(row.to_owned()).unwrap(), &mut out);
        assert_eq!(
            out,
            "a,b.c,d,e,f\r\n\"x,y\",\"say \"\"so\"\"\n\",,\"[1,2]\",1.5\r\n"
        );
    }
}
