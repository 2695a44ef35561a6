//! A conversation in the form of chat APIs as the steps of a theta trace: an answer with what was said since
//! the answer before is one llm step, what a tool gave back one tool step.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::text;

/// A message of a theta trace. What the source has beside the known keys stays on it.
pub(super) fn message(source: &Value) -> Value {
    let mut made = Map::new();
    for (key, value) in source.as_object().into_iter().flatten() {
        match key.as_str() {
            "content" => made.insert(key.clone(), Value::Array(parts(value))),
            "tool_calls" => made.insert(key.clone(), Value::Array(calls(source))),
            _ => made.insert(key.clone(), value.clone()),
        };
    }
    made.retain(|_, value| !value.is_null());
    made.entry("content").or_insert_with(|| json!([]));
    Value::Object(made)
}

/// Content as parts: a text is one.
pub(super) fn parts(content: &Value) -> Vec<Value> {
    match content {
        Value::Null => Vec::new(),
        Value::Array(parts) => parts.iter().map(part).collect(),
        Value::String(text) => vec![json!({ "type": "text", "text": text })],
        other => vec![json!({ "type": "text", "text": other.to_string(), "value": other })],
    }
}

/// One part. What is neither text nor media is a text with the part beside it.
fn part(source: &Value) -> Value {
    match text(source, "type") {
        Some("text") => source.clone(),
        Some("thinking" | "reasoning") => {
            let thought = text(source, "thinking").or_else(|| text(source, "reasoning"));
            json!({ "type": "text", "text": thought.unwrap_or(""), "part": source })
        }
        Some(kind @ ("image" | "audio" | "video")) => {
            let uri = text(source, kind).or_else(|| source.pointer("/source/url")?.as_str());
            let mut made = json!({ "type": kind, "part": source });
            super::set(&mut made, "uri", uri);
            super::set(
                &mut made,
                "mime",
                source.pointer("/source/media_type").cloned(),
            );
            made
        }
        _ => {
            let shown = source
                .as_str()
                .map_or_else(|| source.to_string(), str::to_owned);
            json!({ "type": "text", "text": shown, "part": source })
        }
    }
}

/// Calls of tools in the two forms that there are, as theta has them.
pub(super) fn calls(message: &Value) -> Vec<Value> {
    let all = message.get("tool_calls").and_then(Value::as_array);
    all.into_iter().flatten().map(call).collect()
}

fn call(source: &Value) -> Value {
    let nested = source
        .get("function")
        .filter(|function| function.is_object());
    let name = nested
        .and_then(|function| text(function, "name"))
        .or_else(|| text(source, "function"))
        .or_else(|| text(source, "name"));
    let given = nested.unwrap_or(source).get("arguments");
    json!({
        "id": text(source, "id").unwrap_or(""),
        "name": name.unwrap_or(""),
        "arguments": arguments(given),
    })
}

/// Arguments are an object, or the text of one; anything else stands in one under `arguments`.
pub(super) fn arguments(given: Option<&Value>) -> Value {
    let read = match given {
        Some(Value::String(text)) => serde_json::from_str(text).ok(),
        other => other.cloned(),
    };
    match read.filter(Value::is_object) {
        Some(object) => object,
        None if given.is_none_or(Value::is_null) => json!({}),
        None => json!({ "arguments": given }),
    }
}

/// The steps of a conversation; `fields` adds to each (its id and its times) by its place.
pub(super) fn steps(
    messages: &[Value],
    model: Option<&str>,
    fields: &dyn Fn(usize, &mut Value),
) -> Vec<Value> {
    let (mut made, mut said, mut asked) = (Vec::new(), Vec::new(), HashMap::new());
    let mut push = |mut step: Value| {
        fields(made.len(), &mut step);
        made.push(step);
    };
    for source in messages {
        match text(source, "role") {
            Some("tool") => push(tool(source, &asked)),
            Some("assistant") => {
                for call in calls(source) {
                    let id = text(&call, "id").unwrap_or("").to_owned();
                    asked.insert(id, call);
                }
                said.push(message(source));
                let mut step = json!({
                    "type": "llm", "name": "answer", "status": "success", "messages": std::mem::take(&mut said),
                });
                super::set(&mut step, "model", text(source, "model").or(model));
                push(step);
            }
            _ => said.push(message(source)),
        }
    }
    if !said.is_empty() {
        push(
            json!({ "type": "human", "name": "last word", "status": "success", "messages": said }),
        );
    }
    made
}

fn tool(source: &Value, asked: &HashMap<String, Value>) -> Value {
    let id = text(source, "tool_call_id").unwrap_or("");
    let name = text(source, "name").or_else(|| text(source, "function"));
    let unknown = || json!({ "id": id, "name": name.unwrap_or(""), "arguments": {} });
    let mut call = asked.get(id).cloned().unwrap_or_else(unknown);
    call["result"] = source.get("content").cloned().unwrap_or_default();
    let name = name
        .or_else(|| text(&call, "name"))
        .unwrap_or("")
        .to_owned();
    let error = source.get("error").filter(|error| !error.is_null());
    let problem =
        error.map(|error| text(error, "message").map_or_else(|| error.to_string(), str::to_owned));
    super::set(&mut call, "error", problem.clone());
    let status = if problem.is_some() {
        "error"
    } else {
        "success"
    };
    let mut step = json!({ "type": "tool", "name": name, "status": status, "tool_calls": [call] });
    super::set(&mut step, "error_message", problem);
    step
}
