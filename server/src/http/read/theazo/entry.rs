//! A log line in Theazo's words.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::filter::{AGENT_IDS, level_of};

/// A line. Times are ISO 8601.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    id: String,
    timestamp: String,
    /// `debug`, `info`, `warn` or `error`.
    level: &'static str,
    agent_id: Option<String>,
    session_id: Option<String>,
    user_id: Option<String>,
    trace_id: Option<String>,
    span_id: Option<String>,
    /// What it says; what is no text as JSON.
    message: String,
    /// As they were sent.
    attributes: Map<String, Value>,
}

impl Entry {
    /// Of a line as lists and live tails show it.
    pub(super) fn of(row: &Value) -> Self {
        let text = |key: &str| row[key].as_str().map(str::to_owned);
        let attributes = row["attributes"].as_object();
        Self {
            id: text("id").unwrap_or_default(),
            timestamp: text("start").unwrap_or_default(),
            level: level_of(row["level"].as_str()),
            agent_id: attributes.and_then(agent_of).map(str::to_owned),
            session_id: text("thread_id"),
            user_id: text("user_id"),
            trace_id: text("trace_id"),
            span_id: text("span_id"),
            message: match &row["body"] {
                Value::String(text) => text.clone(),
                Value::Null => text("name").unwrap_or_default(),
                other => other.to_string(),
            },
            attributes: attributes.cloned().unwrap_or_default(),
        }
    }
}

/// The agent that attributes name.
pub(super) fn agent_of(attributes: &Map<String, Value>) -> Option<&str> {
    let mut names = AGENT_IDS.iter();
    names.find_map(|name| attributes.get(*name)?.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_has_the_words_of_the_client() {
        let line = Entry::of(&json!({
            "id": "l", "trace_id": null, "start": "2026-01-31T12:00:00.000000001Z", "level": "fatal",
            "body": { "a": 1 }, "thread_id": "ses_1", "attributes": { "theazo.agent.id": "agt_1" },
        }));
        assert_eq!(
            serde_json::to_value(line).unwrap(),
            json!({
                "id": "l", "timestamp": "2026-01-31T12:00:00.000000001Z", "level": "error",
                "agentId": "agt_1", "sessionId": "ses_1", "userId": null, "traceId": null,
                "spanId": null, "message": "{\"a\":1}",
                "attributes": { "theazo.agent.id": "agt_1" },
            })
        );
        let bare = Entry::of(&json!({ "name": "boot" }));
        assert_eq!((bare.level, &*bare.message), ("info", "boot"));
    }
}
