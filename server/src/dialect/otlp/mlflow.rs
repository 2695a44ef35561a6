//! Spans of `MLflow`: the value of each attribute is the JSON of what was set, so that a text stands in quotes and a number
//! is text. Where it names attributes as the conventions do, and for tags of a trace, it does not.

use obsrv_engine::doc::DocRef;

use super::usage::{Count, Usage};
use super::value::Any;

/// Beginning of its scopes, and of its own attributes.
const OWN: &str = "mlflow.";
/// Beginnings of attributes whose values are what they say.
const PLAIN: [&str; 2] = ["gen_ai.", TAG];
/// A tag that a program gave to the trace.
pub(super) const TAG: &str = "mlflow.traceTag.";

/// A parameter of a call.
pub(super) const MODEL: &str = "model";

/// Counts of one call, of which the input has what was cached in it.
const COUNTS: [(&str, Count); 5] = [
    ("input_tokens", Count::Input),
    ("output_tokens", Count::Output),
    ("total_tokens", Count::Total),
    ("cache_read_input_tokens", Count::CacheRead),
    ("cache_creation_input_tokens", Count::CacheWrite),
];
/// Below every attribute of its own.
const COUNTS_RANK: u8 = 9;

/// Whether spans of this scope are its own.
pub(super) fn is_scope(name: &str) -> bool {
    name.starts_with(OWN)
}

/// Whether a value under this key, of its scope or not, is JSON.
pub(super) fn is_json(key: &str, of_scope: bool) -> bool {
    (of_scope || key.starts_with(OWN)) && !PLAIN.iter().any(|plain| key.starts_with(plain))
}

/// Whether a program set an attribute of this key.
pub(super) fn is_set_by_program(key: &str) -> bool {
    is_json(key, true) && !key.starts_with(OWN)
}

/// What a text says as JSON, if that is a single value: lists, maps and text with escapes stay as they are.
pub(super) fn read(any: Any<'_>) -> Any<'_> {
    let Any::Str(json) = any else { return any };
    let text = json.strip_prefix('"').and_then(|s| s.strip_suffix('"'));
    if let Some(text) = text.filter(|text| !text.contains(['"', '\\'])) {
        return Any::Str(text);
    }
    match json {
        "true" => Any::Bool(true),
        "false" => Any::Bool(false),
        _ => any,
    }
}

/// Takes note of `mlflow.chat.tokenUsage`.
pub(super) fn count(usage: DocRef<'_>, into: &mut Usage) {
    for (key, count) in COUNTS {
        let n = match usage.get(key) {
            Some(DocRef::I64(n)) if n >= 0 => Some(n),
            _ => None,
        };
        into.offer(count, COUNTS_RANK, n);
    }
}

/// US dollars of `mlflow.llm.cost`.
#[expect(clippy::cast_precision_loss, reason = "a price in dollars")]
pub(super) fn cost(cost: DocRef<'_>) -> Option<f64> {
    match cost.get("total_cost")? {
        DocRef::F64(usd) => Some(usd).filter(|usd| usd.is_finite()),
        DocRef::I64(usd) => Some(usd as f64),
        _ => None,
    }
}
