//! A span as one row of a table: what engines without OTLP are given, and what answers are worked
//! out from.

use serde_json::{Map, Value as Json, json};

use super::span::{Span, Value, hex};

/// A span, its well-known attributes by name.
#[derive(Clone, Debug, Default)]
pub struct Flat<'a> {
    /// Index of the project.
    pub project: usize,
    /// Lower-case hex.
    pub trace_id: String,
    /// Lower-case hex.
    pub span_id: String,
    /// Lower-case hex; empty on the root.
    pub parent_id: String,
    /// Display name.
    pub name: &'a str,
    /// Nanoseconds since the epoch.
    pub start_ns: u64,
    /// Nanoseconds.
    pub duration_ns: u64,
    /// The message of an error status; empty on success.
    pub error: &'a str,
    /// `invoke_agent`, `chat`, `execute_tool` or `retrieval`.
    pub kind: &'a str,
    /// Empty: none, as in the texts that follow.
    pub model: &'a str,
    /// Tool name.
    pub tool: &'a str,
    /// `metadata.env`
    pub env: &'a str,
    /// `metadata.region`
    pub region: &'a str,
    /// `metadata.workflow`
    pub workflow: &'a str,
    /// `metadata.experiment`
    pub experiment: &'a str,
    /// `metadata.release`
    pub release: &'a str,
    /// `metadata.user`
    pub user: &'a str,
    /// `metadata.session`
    pub session: &'a str,
    /// 0: none.
    pub input_tokens: i64,
    /// 0: none.
    pub output_tokens: i64,
    /// Dollars; 0: none.
    pub cost: f64,
    /// What went in.
    pub input: &'a str,
    /// What came out.
    pub output: &'a str,
    /// All other attributes, `metadata.` cut off.
    pub rest: Vec<(&'a str, &'a Value)>,
}

impl<'a> Flat<'a> {
    /// Of a span that has ended.
    pub fn of(project: usize, span: &'a Span) -> Self {
        let mut flat = Self {
            project,
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            parent_id: span.parent.map(|id| hex(&id)).unwrap_or_default(),
            name: &span.name,
            start_ns: span.start_ns,
            duration_ns: span.end_ns - span.start_ns,
            error: span.error.as_deref().unwrap_or_default(),
            ..Self::default()
        };
        for (key, value) in &span.attributes {
            flat.take(key, value);
        }
        flat
    }

    fn take(&mut self, key: &'a str, value: &'a Value) {
        let place = match (key, value) {
            ("gen_ai.usage.input_tokens", Value::Int(n)) => {
                self.input_tokens = *n;
                return;
            }
            ("gen_ai.usage.output_tokens", Value::Int(n)) => {
                self.output_tokens = *n;
                return;
            }
            ("gen_ai.usage.cost", Value::Double(x)) => {
                self.cost = *x;
                return;
            }
            ("gen_ai.operation.name", _) => &mut self.kind,
            ("gen_ai.request.model", _) => &mut self.model,
            ("gen_ai.tool.name", _) => &mut self.tool,
            ("metadata.env", _) => &mut self.env,
            ("metadata.region", _) => &mut self.region,
            ("metadata.workflow", _) => &mut self.workflow,
            ("metadata.experiment", _) => &mut self.experiment,
            ("metadata.release", _) => &mut self.release,
            ("metadata.user", _) => &mut self.user,
            ("metadata.session", _) => &mut self.session,
            (key, _) if INPUTS.contains(&key) => &mut self.input,
            (key, _) if OUTPUTS.contains(&key) => &mut self.output,
            _ => {
                let key = key.strip_prefix("metadata.").unwrap_or(key);
                self.rest.push((key, value));
                return;
            }
        };
        if let Value::Text(text) = value {
            *place = text;
        }
    }

    /// `error` or `ok`.
    pub const fn status(&self) -> &'static str {
        if self.error.is_empty() { "ok" } else { "error" }
    }

    /// The remaining attributes as an object.
    pub fn rest_json(&self) -> Json {
        let mut map = Map::new();
        for (key, value) in &self.rest {
            let value = match value {
                Value::Text(text) => json!(text),
                Value::Int(n) => json!(n),
                Value::Double(x) => json!(x),
                Value::Bool(b) => json!(b),
            };
            map.insert((*key).replace('.', "_"), value);
        }
        Json::Object(map)
    }
}

/// Attributes that are a span's input; one of them each.
pub const INPUTS: [&str; 4] = [
    "gen_ai.input.messages",
    "gen_ai.tool.call.arguments",
    "retrieval.query",
    "input.value",
];
/// Attributes that are a span's output; one of them each.
pub const OUTPUTS: [&str; 4] = [
    "gen_ai.output.messages",
    "gen_ai.tool.call.result",
    "retrieval.documents",
    "output.value",
];
