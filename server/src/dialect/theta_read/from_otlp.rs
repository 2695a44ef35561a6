//! Messages and tool calls out of the attributes of spans that came by OTLP.
//!
//! Only what is easy to find is turned into messages; every attribute also stands in the step's
//! metadata as it was sent.

use std::collections::BTreeMap;

use obsrv_engine::doc::{DocRef, DocWriter};

use super::strict::Model;
use super::strict::{Form, as_text, write_field};
use crate::dialect::{JSON_DEPTH_MAX, json};

/// Attributes that hold a list of messages, as JSON text or as a list; in the order of a talk.
const LISTS: [(&str, &str); 7] = [
    ("gen_ai.system_instructions", "system"),
    ("gen_ai.input.messages", "user"),
    ("ai.prompt.messages", "user"),
    ("langfuse.observation.input", "user"),
    ("gen_ai.output.messages", "assistant"),
    ("ai.response.text", "assistant"),
    ("langfuse.observation.output", "assistant"),
];

/// Prefixes of attributes that hold one message per number: `llm.input_messages.0.message.role`.
const NUMBERED: [(&str, &str); 4] = [
    ("llm.input_messages.", "user"),
    ("gen_ai.prompt.", "user"),
    ("llm.output_messages.", "assistant"),
    ("gen_ai.completion.", "assistant"),
];

/// Attributes that hold what went in or came out as one text.
const WHOLE: [(&str, &str); 4] = [
    ("input.value", "user"),
    ("traceloop.entity.input", "user"),
    ("output.value", "assistant"),
    ("traceloop.entity.output", "assistant"),
];

/// Fields of other protocols' rows that hold what went in or came out.
const IO: [(&str, &str); 2] = [("input", "user"), ("output", "assistant")];

const ARGUMENTS: [&str; 5] = [
    "gen_ai.tool.call.arguments",
    "ai.toolCall.args",
    "input.value",
    "traceloop.entity.input",
    "input",
];
const RESULT: [&str; 5] = [
    "gen_ai.tool.call.result",
    "ai.toolCall.result",
    "output.value",
    "traceloop.entity.output",
    "output",
];

/// Writes `messages` of a model call.
pub(super) fn write_messages(attributes: DocRef<'_>, out: &mut DocWriter) {
    let mut raw = DocWriter::new();
    let open = raw.begin_array();
    let empty = raw.len();
    for (key, role) in LISTS {
        if let Some(value) = attributes.get(key) {
            parsed(value, |value| put_messages(value, role, &mut raw));
        }
    }
    if raw.len() == empty {
        for (prefix, role) in NUMBERED {
            put_numbered(attributes, prefix, role, &mut raw);
        }
    }
    if raw.len() == empty {
        for (key, role) in WHOLE {
            if let Some(value) = attributes.get(key) {
                put_message(role, value, &mut raw);
            }
        }
    }
    raw.end(open);
    let raw = raw.finish();
    if let Ok(messages) = DocRef::parse(&raw) {
        write_field("messages", messages, Form::List(Model::Message), out);
    }
}

/// Writes `messages` of a model call whose row has `input` and `output`.
pub(super) fn write_talk(row: DocRef<'_>, out: &mut DocWriter) {
    let mut raw = DocWriter::new();
    let open = raw.begin_array();
    for (key, role) in IO {
        if let Some(value) = row.get(key) {
            told(value, |value| {
                let messages = value.get("messages").unwrap_or(value);
                put_messages(messages, role, &mut raw);
            });
        }
    }
    raw.end(open);
    let raw = raw.finish();
    if let Ok(messages) = DocRef::parse(&raw) {
        write_field("messages", messages, Form::List(Model::Message), out);
    }
}

/// The value, or the messages that its text is as JSON. Other text in JSON is what was said.
fn told(value: DocRef<'_>, then: impl FnOnce(DocRef<'_>)) {
    let says_who = |message: DocRef<'_>| message.get("role").is_some();
    if value.as_str().is_none() {
        return then(value);
    }
    let mut found = None;
    parsed(value, |read| {
        let is_told = match read {
            DocRef::Array(items) => {
                let mut said = items.map(|item| item.is_ok_and(says_who)).peekable();
                said.peek().is_some() && said.all(|says| says)
            }
            _ => says_who(read) || read.get("messages").is_some(),
        };
        found = is_told.then(|| {
            let mut out = DocWriter::new();
            out.value(read);
            out.finish()
        });
    });
    let read = found.as_deref().and_then(|doc| DocRef::parse(doc).ok());
    then(read.unwrap_or(value));
}

/// The value, or what its text means as JSON.
fn parsed(value: DocRef<'_>, mut then: impl FnMut(DocRef<'_>)) {
    let doc = value
        .as_str()
        .and_then(|s| json::read(s.as_bytes(), JSON_DEPTH_MAX).ok());
    then(
        doc.as_deref()
            .and_then(|d| DocRef::parse(d).ok())
            .unwrap_or(value),
    );
}

fn put_messages(value: DocRef<'_>, role: &str, raw: &mut DocWriter) {
    match value {
        DocRef::Array(items) => {
            for item in items.flatten() {
                put_messages(item, role, raw);
            }
        }
        DocRef::Map(_) if value.get("role").is_some() => put_otel_message(value, raw),
        DocRef::Null => {}
        other => put_message(role, other, raw),
    }
}

/// A message of {`role`, `parts`} or {`role`, `content`}; parts become content and tool calls.
fn put_otel_message(message: DocRef<'_>, raw: &mut DocWriter) {
    let parts = message.get("parts").or_else(|| message.get("content"));
    let open = raw.begin_map();
    for (key, value) in message.entries().into_iter().flatten().flatten() {
        if !["parts", "content"].contains(&key) {
            raw.key(key);
            raw.value(value);
        }
    }
    let (mut calls, mut contents) = (Vec::new(), Vec::new());
    match parts {
        Some(DocRef::Array(items)) => {
            for part in items.flatten() {
                let kind = part.get("type").and_then(DocRef::as_str);
                let is_call = matches!(kind, Some("tool_call" | "tool-call" | "tool_use"));
                if is_call {
                    calls.push(part);
                } else {
                    contents.push(part);
                }
            }
        }
        Some(DocRef::Null) | None => {}
        Some(single) => contents.push(single),
    }
    raw.key("content");
    let list = raw.begin_array();
    contents.into_iter().for_each(|part| put_part(part, raw));
    raw.end(list);
    if !calls.is_empty() {
        raw.key("tool_calls");
        let list = raw.begin_array();
        calls.into_iter().for_each(|call| raw.value(call));
        raw.end(list);
    }
    raw.end(open);
}

/// `OTel` keeps a text part's text under `content`.
fn put_part(part: DocRef<'_>, raw: &mut DocWriter) {
    let text = part
        .get("content")
        .or_else(|| part.get("response"))
        .or_else(|| part.get("result"));
    match text {
        Some(text) if part.get("text").is_none() => {
            let open = raw.begin_map();
            for (key, value) in part.entries().into_iter().flatten().flatten() {
                if !["content", "response", "result"].contains(&key) {
                    raw.key(if key == "type" { "part_type" } else { key });
                    raw.value(value);
                }
            }
            raw.key("type");
            raw.str("text");
            raw.key("text");
            raw.str(&as_text(text));
            raw.end(open);
        }
        _ => raw.value(part),
    }
}

fn put_message(role: &str, content: DocRef<'_>, raw: &mut DocWriter) {
    let open = raw.begin_map();
    raw.key("role");
    raw.str(role);
    raw.key("content");
    let list = raw.begin_array();
    put_part(content, raw);
    raw.end(list);
    raw.end(open);
}

/// Messages whose fields are attributes of their own.
fn put_numbered(attributes: DocRef<'_>, prefix: &str, role: &str, raw: &mut DocWriter) {
    let mut messages: BTreeMap<u32, (Option<&str>, Option<DocRef<'_>>)> = BTreeMap::new();
    for (key, value) in attributes.entries().into_iter().flatten().flatten() {
        let Some((number, field)) = key.strip_prefix(prefix).and_then(|k| k.split_once('.')) else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        let message = messages.entry(number).or_default();
        match field.strip_prefix("message.").unwrap_or(field) {
            "role" => message.0 = value.as_str(),
            "content" => message.1 = Some(value),
            _ => {}
        }
    }
    for (said, content) in messages.into_values() {
        put_message(
            said.unwrap_or(role),
            content.unwrap_or(DocRef::Str("")),
            raw,
        );
    }
}

/// Writes `tool_calls` of a tool's span: the one call that it is.
pub(super) fn write_tool_call(attributes: DocRef<'_>, id: &str, name: &str, out: &mut DocWriter) {
    let first = |keys: &[&str]| keys.iter().find_map(|k| attributes.get(k));
    let mut raw = DocWriter::new();
    let list = raw.begin_array();
    let open = raw.begin_map();
    raw.key("id");
    raw.value(first(&["gen_ai.tool.call.id", "ai.toolCall.id"]).unwrap_or(DocRef::Str(id)));
    raw.key("name");
    raw.str(name);
    if let Some(arguments) = first(&ARGUMENTS) {
        raw.key("arguments");
        raw.value(arguments);
    }
    if let Some(result) = first(&RESULT) {
        raw.key("result");
        parsed(result, |value| raw.value(value));
    }
    raw.end(open);
    raw.end(list);
    let raw = raw.finish();
    if let Ok(calls) = DocRef::parse(&raw) {
        write_field("tool_calls", calls, Form::List(Model::ToolCall), out);
    }
}
