//! Values in the JSON form of OTLP's `AnyValue`.

use obsrv_engine::query::traceql::Value as Said;
use obsrv_engine::query::traceql::ast::Field;
use serde_json::{Value, json};

/// A value; `None` is nil.
pub(super) fn any(value: Option<&Said>) -> Value {
    match value {
        None => json!({ "stringValue": "nil" }),
        Some(Said::Bool(b)) => json!({ "boolValue": b }),
        Some(Said::Int(n)) => json!({ "intValue": n.to_string() }),
        Some(Said::Float(x)) if x.is_finite() => json!({ "doubleValue": x }),
        Some(Said::Float(x)) => json!({ "stringValue": x.to_string() }),
        Some(Said::Duration(ns)) => json!({ "stringValue": seconds(*ns) }),
        Some(Said::Str(text)) => json!({ "stringValue": text }),
        Some(Said::Status(status)) => json!({ "stringValue": status.as_str() }),
        Some(Said::Kind(kind)) => json!({ "stringValue": kind.as_str() }),
        Some(Said::Bytes) => json!({ "stringValue": "" }),
    }
}

/// Several values as a list.
pub(super) fn all(values: &[Said]) -> Value {
    match values {
        [one] => any(Some(one)),
        many => {
            let many: Vec<Value> = many.iter().map(|value| any(Some(value))).collect();
            json!({ "arrayValue": { "values": many } })
        }
    }
}

/// A value with its key.
pub(super) fn entry(key: &str, value: Value) -> Value {
    json!({ "key": key, "value": value })
}

/// What a field is called in answers: attributes without their scopes.
pub(super) fn name_of(field: &Field) -> String {
    match field {
        Field::Any(name)
        | Field::Span(name)
        | Field::Resource(name)
        | Field::Event(name)
        | Field::Link(name)
        | Field::Instrumentation(name)
        | Field::Row(name) => name.to_string(),
        Field::Parent(_) | Field::Intrinsic(_) => field.to_string(),
    }
}

/// `1.5s`
#[expect(clippy::cast_precision_loss, reason = "shown to people")]
fn seconds(ns: i64) -> String {
    format!("{}s", ns as f64 / 1e9)
}
