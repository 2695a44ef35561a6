//! One message of any convention → {`role`, `content`: parts, `tool_calls`}.

use obsrv_engine::doc::{DocRef, DocWriter};

use super::strict::as_text;

/// Types of parts that are uses of a tool, and keys of parts that hold one (Google's).
const USES: [&str; 5] = [
    "tool_call",
    "tool-call",
    "tool_use",
    "function_call",
    "functionCall",
];

/// Keys of a part of Google's that hold a tool's result.
const RESULTS: [&str; 2] = ["function_response", "functionResponse"];

/// Where a part keeps its text, when not under `text`.
const TEXTS: [&str; 5] = ["content", "response", "result", "output", "thinking"];

/// What the parts of a use are called, by each name that senders have for it.
const USE_KEYS: [(&str, &str); 10] = [
    ("id", "id"),
    ("toolCallId", "id"),
    ("tool_call_id", "id"),
    ("call_id", "id"),
    ("name", "name"),
    ("toolName", "name"),
    ("arguments", "arguments"),
    ("args", "arguments"),
    ("input", "arguments"),
    ("parameters", "arguments"),
];

/// Messages out of whatever holds them: a list, one, an object around them (a request or a response of a model's
/// API), or a bare text.
pub(super) fn put_messages(value: DocRef<'_>, role: &str, raw: &mut DocWriter) {
    match value {
        DocRef::Array(items) => put_list(items.flatten().collect(), role, raw),
        DocRef::Map(_) if value.get("role").is_some() => put_message(role, value, raw),
        DocRef::Map(_) => put_enclosed(value, role, raw),
        DocRef::Null => {}
        other => put_message(role, other, raw),
    }
}

/// A list of messages, or of the parts of one.
fn put_list(items: Vec<DocRef<'_>>, role: &str, raw: &mut DocWriter) {
    let is_part = |item: &DocRef<'_>| {
        item.get("role").is_none() && ["type", "text"].iter().any(|key| item.get(key).is_some())
    };
    if items.is_empty() || !items.iter().all(is_part) {
        return items
            .into_iter()
            .for_each(|item| put_messages(item, role, raw));
    }
    let open = raw.begin_map();
    raw.key("role");
    raw.str(role);
    put_parts(items.into_iter(), &[], raw);
    raw.end(open);
}

/// What holds messages without being one.
fn put_enclosed(value: DocRef<'_>, role: &str, raw: &mut DocWriter) {
    let system = value
        .get("system_instruction")
        .or_else(|| value.at(&["config", "system_instruction"]))
        .or_else(|| value.get("system"));
    let is_message =
        |held: &DocRef<'_>| ["role", "parts"].iter().any(|key| held.get(key).is_some());
    let held = ["messages", "contents", "choices", "candidates", "message"];
    let held = held.iter().find_map(|key| value.get(key));
    let Some(held) = held.or_else(|| value.get("content").filter(is_message)) else {
        return put_message(role, value, raw);
    };
    if let Some(system) = system {
        put_messages(system, "system", raw);
    }
    put_messages(held, role, raw);
}

/// A message of {`role`, `parts`} or {`role`, `content`}, or what somebody of this role said.
pub(super) fn put_message(role: &str, message: DocRef<'_>, raw: &mut DocWriter) {
    let parts = message.get("parts").or_else(|| message.get("content"));
    let is_message = parts.is_some() || message.get("role").is_some();
    let open = raw.begin_map();
    if message.get("role").is_none() {
        raw.key("role");
        raw.str(role);
    }
    if !is_message {
        put_parts(std::iter::once(message), &[], raw);
        return raw.end(open);
    }
    for (key, value) in message.entries().into_iter().flatten().flatten() {
        if !["parts", "content", "tool_calls"].contains(&key) {
            raw.key(key);
            raw.value(value);
        }
    }
    let calls = match message.get("tool_calls") {
        Some(DocRef::Array(calls)) => calls.flatten().collect(),
        _ => Vec::new(),
    };
    match parts {
        Some(DocRef::Array(items)) => put_parts(items.flatten(), &calls, raw),
        Some(DocRef::Null) | None => put_parts(std::iter::empty(), &calls, raw),
        Some(single) => put_parts(std::iter::once(single), &calls, raw),
    }
    raw.end(open);
}

/// `content` and `tool_calls` of a message, which has `calls` beside its parts.
fn put_parts<'a>(
    parts: impl Iterator<Item = DocRef<'a>>,
    calls: &[DocRef<'a>],
    raw: &mut DocWriter,
) {
    let mut uses = calls.to_vec();
    raw.key("content");
    let list = raw.begin_array();
    for part in parts {
        match use_of(part) {
            Some(used) => uses.push(used),
            None => put_said(part, raw),
        }
    }
    raw.end(list);
    if !uses.is_empty() {
        raw.key("tool_calls");
        let list = raw.begin_array();
        uses.into_iter().for_each(|used| put_use(used, raw));
        raw.end(list);
    }
}

/// The use of a tool that a part is, if it is one.
pub(super) fn use_of(part: DocRef<'_>) -> Option<DocRef<'_>> {
    let kind = part.get("type").and_then(DocRef::as_str);
    if kind.is_some_and(|kind| USES.contains(&kind)) {
        return Some(part);
    }
    let held = USES.iter().find_map(|key| part.get(key));
    held.filter(|held| held.get("name").is_some())
}

/// The use of a tool under the names of the model; what has other names stays.
pub(super) fn put_use(used: DocRef<'_>, raw: &mut DocWriter) {
    let open = raw.begin_map();
    for (key, value) in used.entries().into_iter().flatten().flatten() {
        let known = USE_KEYS.iter().find(|(sent, _)| *sent == key);
        raw.key(known.map_or(key, |(_, key)| key));
        raw.value(value);
    }
    raw.end(open);
}

/// One part of what was said.
pub(super) fn put_said(part: DocRef<'_>, raw: &mut DocWriter) {
    let result = RESULTS.iter().find_map(|key| part.get(key));
    let part = result.unwrap_or(part);
    let text = TEXTS.iter().find_map(|key| Some((*key, part.get(key)?)));
    match text {
        Some((held, text)) if part.get("text").is_none() => {
            let open = raw.begin_map();
            for (key, value) in part.entries().into_iter().flatten().flatten() {
                if key != held {
                    raw.key(if key == "type" { "part_type" } else { key });
                    raw.value(value);
                }
            }
            raw.key("type");
            raw.str("text");
            raw.key("text");
            raw.str(&text_of(text));
            raw.end(open);
        }
        _ => raw.value(part),
    }
}

/// A text, the text of its parts, or a value as JSON. The AI SDK says of a result which of these it is.
fn text_of(value: DocRef<'_>) -> String {
    let said = value.get("type").and(value.get("value"));
    let value = said.unwrap_or(value);
    if let DocRef::Array(items) = value {
        let texts: Option<Vec<&str>> = items
            .map(|item| item.ok()?.get("text").and_then(DocRef::as_str))
            .collect();
        if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
            return texts.concat();
        }
    }
    as_text(value)
}
