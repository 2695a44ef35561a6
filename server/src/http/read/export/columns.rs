//! The columns of CSV and Parquet: which there are when none are named, and what is in them.

use serde_json::Value;

use crate::dialect::parse_time;
use crate::http::read::ask::Over;

/// What is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text; of anything else its JSON.
    Text,
    Texts,
    Int,
    Double,
    Bool,
    /// Nanoseconds since the epoch.
    Time,
}

use Kind::{Bool, Double, Int, Text, Texts, Time};

type Columns = &'static [(&'static str, Kind)];

const OF_TRACES: Columns = &[
    ("trace_id", Text),
    ("run_id", Text),
    ("name", Text),
    ("status", Text),
    ("error_message", Text),
    ("start", Time),
    ("end", Time),
    ("duration_ns", Int),
    ("user_id", Text),
    ("thread_id", Text),
    ("service", Text),
    ("environment", Text),
    ("version", Text),
    ("release", Text),
    ("region", Text),
    ("tags", Texts),
    ("metadata", Text),
    ("models", Texts),
    ("tools", Texts),
    ("tokens.total", Int),
    ("cost.total", Double),
    ("span_count", Int),
    ("error_count", Int),
];

const OF_SPANS: Columns = &[
    ("trace_id", Text),
    ("span_id", Text),
    ("parent_id", Text),
    ("name", Text),
    ("kind", Text),
    ("status", Text),
    ("error_message", Text),
    ("start", Time),
    ("end", Time),
    ("duration_ns", Int),
    ("model", Text),
    ("tool", Text),
    ("tokens.input", Int),
    ("tokens.output", Int),
    ("tokens.total", Int),
    ("cost.total", Double),
    ("service", Text),
    ("environment", Text),
    ("version", Text),
    ("release", Text),
    ("region", Text),
    ("user_id", Text),
    ("thread_id", Text),
    ("metadata", Text),
];

const OF_SCORES: Columns = &[
    ("id", Text),
    ("trace_id", Text),
    ("span_id", Text),
    ("name", Text),
    ("value", Text),
    ("comment", Text),
    ("user_id", Text),
    ("at", Time),
];

const OF_LOGS: Columns = &[
    ("id", Text),
    ("trace_id", Text),
    ("span_id", Text),
    ("start", Time),
    ("level", Text),
    ("name", Text),
    ("body", Text),
    ("severity_number", Int),
    ("severity_text", Text),
    ("service", Text),
    ("environment", Text),
    ("version", Text),
    ("release", Text),
    ("region", Text),
    ("user_id", Text),
    ("thread_id", Text),
    ("attributes", Text),
    ("resource", Text),
];

const OF_POINTS: Columns = &[
    ("series", Text),
    ("start", Time),
    ("name", Text),
    ("type", Text),
    ("unit", Text),
    ("temporality", Text),
    ("monotonic", Bool),
    ("value", Double),
    ("count", Int),
    ("sum", Double),
    ("min", Double),
    ("max", Double),
    ("bucket_counts", Text),
    ("explicit_bounds", Text),
    ("service", Text),
    ("environment", Text),
    ("version", Text),
    ("release", Text),
    ("region", Text),
    ("attributes", Text),
    ("resource", Text),
];

/// What only Parquet has beside them: it costs nothing there where a row has none.
const MORE_OF_TRACES: Columns = &[
    ("tokens.input", Int),
    ("tokens.output", Int),
    ("tokens.cached", Int),
    ("tokens.cache_write", Int),
    ("tokens.reasoning", Int),
    ("input_preview", Text),
    ("output_preview", Text),
    ("last_activity", Time),
    ("dialect", Text),
];
const MORE_OF_SPANS: Columns = &[
    ("tokens.cached", Int),
    ("tokens.cache_write", Int),
    ("tokens.reasoning", Int),
    ("tags", Texts),
    ("input_preview", Text),
    ("output_preview", Text),
    ("dialect", Text),
];
const MORE_OF_SCORES: Columns = &[
    ("source", Text),
    ("data_type", Text),
    ("dialect", Text),
    ("raw", Text),
];
const MORE_OF_LOGS: Columns = &[
    ("event_name", Text),
    ("status", Text),
    ("model", Text),
    ("tool", Text),
    ("scope", Text),
    ("dialect", Text),
];
const MORE_OF_POINTS: Columns = &[
    ("description", Text),
    ("start_time_unix_nano", Int),
    ("scale", Int),
    ("zero_count", Int),
    ("positive", Text),
    ("negative", Text),
    ("quantile_values", Text),
    ("exemplars", Text),
    ("scope", Text),
];

/// The columns when none are named.
pub(super) const fn usual(over: Over) -> Columns {
    match over {
        Over::Traces => OF_TRACES,
        Over::Spans => OF_SPANS,
        Over::Scores => OF_SCORES,
        Over::Logs => OF_LOGS,
        Over::Points => OF_POINTS,
    }
}

/// These and all that lists tell beside them.
pub(super) fn all(over: Over) -> impl Iterator<Item = (&'static str, Kind)> {
    let more = match over {
        Over::Traces => MORE_OF_TRACES,
        Over::Spans => MORE_OF_SPANS,
        Over::Scores => MORE_OF_SCORES,
        Over::Logs => MORE_OF_LOGS,
        Over::Points => MORE_OF_POINTS,
    };
    usual(over).iter().chain(more).copied()
}

/// What is in the column of this name. Of a key of the sender's own nobody knows it beforehand.
pub(super) fn kind_of(over: Over, name: &str) -> Kind {
    let known = all(over).find(|(column, _)| *column == name);
    known.map_or(Text, |(_, kind)| kind)
}

/// The value at a path; a key with dots in it is found by its whole name.
pub(super) fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    let (head, rest) = path.split_once('.')?;
    find(value.get(head)?, rest)
}

/// As text, if there is a value.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    match value {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    }
}

/// As a number; what JSON has no number for stands as text in it.
pub(super) fn double(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// As nanoseconds since the epoch.
pub(super) fn time(value: Option<&Value>) -> Option<i64> {
    parse_time(value?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_column_stands_twice() {
        for over in [
            Over::Traces,
            Over::Spans,
            Over::Scores,
            Over::Logs,
            Over::Points,
        ] {
            let mut names: Vec<&str> = all(over).map(|(name, _)| name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{over:?}");
            assert_eq!(kind_of(over, "metadata.plan"), Text);
        }
        assert_eq!(kind_of(Over::Spans, "tokens.cached"), Int);
    }
}
