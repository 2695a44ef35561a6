//! Messages and tool calls out of the attributes of spans that came by OTLP.
//!
//! Each convention has its names and its forms of a message; the tables here and those of [`numbered`] and
//! [`parts`] say which. The first convention that says anything is read, so that a span which speaks two is
//! not told twice. Every attribute also stands in the step's metadata as it was sent.

use obsrv_engine::doc::{DocRef, DocWriter, Items};
use obsrv_engine::model::{self, status};

use super::StoredRow;
use super::numbered;
use super::parts::{put_message, put_messages, put_said, put_use, use_of};
use super::strict::{Form, Model, write_field};
use crate::dialect::{JSON_DEPTH_MAX, json};

/// Attributes of one convention that hold messages, as JSON text or as a list, in the order of a talk; each
/// with who speaks unless the message says so.
type Convention = &'static [(&'static str, &'static str)];

const CONVENTIONS: [Convention; 6] = [
    &[
        ("gen_ai.system_instructions", "system"),
        ("pydantic_ai.all_messages", "user"),
    ],
    &[
        ("gen_ai.system_instructions", "system"),
        ("gen_ai.input.messages", "user"),
        ("gen_ai.output.messages", "assistant"),
    ],
    &[
        ("gcp.vertex.agent.llm_request", "user"),
        ("gcp.vertex.agent.llm_response", "assistant"),
    ],
    &[
        ("langfuse.observation.input", "user"),
        ("langfuse.observation.output", "assistant"),
    ],
    &[
        ("mlflow.spanInputs", "user"),
        ("mlflow.spanOutputs", "assistant"),
    ],
    &[
        ("gen_ai.prompt", "user"),
        ("gen_ai.completion", "assistant"),
    ],
];

/// Those of them that hold what any function took or gave, as JSON.
const ANY_DATA: [&str; 4] = [
    "langfuse.observation.input",
    "langfuse.observation.output",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
];

/// Types of what stands in a list of messages and says no role.
const PARTS_OF_A_TALK: [&str; 4] = [
    "function_call_output",
    "image_url",
    "input_text",
    "reasoning",
];

/// What the AI SDK of Vercel asks with; a run's prompt is an object.
const VERCEL_ASKS: [&str; 2] = ["ai.prompt.messages", "ai.prompt"];

/// Span events of the older conventions of `OTel`: who speaks, and the attribute that holds it, if it is not the
/// whole of them.
const EVENTS: [(&str, &str, &str); 8] = [
    ("gen_ai.system.message", "system", ""),
    ("gen_ai.user.message", "user", ""),
    ("gen_ai.assistant.message", "assistant", ""),
    ("gen_ai.tool.message", "tool", ""),
    ("gen_ai.choice", "assistant", "message"),
    ("gen_ai.choice", "assistant", ""),
    ("gen_ai.content.prompt", "user", "gen_ai.prompt"),
    (
        "gen_ai.content.completion",
        "assistant",
        "gen_ai.completion",
    ),
];

/// Attributes that hold what went in or came out as one text.
const WHOLE: [(&str, &str); 5] = [
    ("input.value", "user"),
    ("user_prompt", "user"),
    ("traceloop.entity.input", "user"),
    ("output.value", "assistant"),
    ("traceloop.entity.output", "assistant"),
];

/// Fields of other protocols' rows that hold what went in or came out.
const IO: [(&str, &str); 2] = [("input", "user"), ("output", "assistant")];

const CALL_ID: [&str; 6] = [
    "gen_ai.tool.call.id",
    "gen_ai.tool.call_id",
    "tool_use_id",
    "ai.toolCall.id",
    "tool_call.id",
    "gcp.vertex.agent.tool_call_id",
];
const ARGUMENTS: [&str; 11] = [
    "gen_ai.tool.call.arguments",
    "ai.toolCall.args",
    "tool_arguments",
    "tool_input",
    "full_command",
    "gcp.vertex.agent.tool_call_args",
    "input.value",
    "traceloop.entity.input",
    "mlflow.spanInputs",
    "langfuse.observation.input",
    "input",
];
const RESULT: [&str; 9] = [
    "gen_ai.tool.call.result",
    "ai.toolCall.result",
    "tool_response",
    "gcp.vertex.agent.tool_response",
    "output.value",
    "traceloop.entity.output",
    "mlflow.spanOutputs",
    "langfuse.observation.output",
    "output",
];

/// Writes `messages` of a step.
pub(super) fn write_messages(row: DocRef<'_>, out: &mut DocWriter) {
    let attributes = row.get(model::ATTRIBUTES).unwrap_or(DocRef::Null);
    let mut raw = DocWriter::new();
    let open = raw.begin_array();
    let empty = raw.len();
    let sources: [&dyn Fn(&mut DocWriter); 5] = [
        &|raw| put_vercel(attributes, raw),
        &|raw| put_convention(attributes, raw),
        &|raw| put_numbered(attributes, raw),
        &|raw| put_events(row, raw),
        &|raw| put_whole(attributes, "", raw),
    ];
    for put in sources {
        if raw.len() == empty {
            put(&mut raw);
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
            told(value, |value| put_messages(value, role, &mut raw));
        }
    }
    raw.end(open);
    let raw = raw.finish();
    if let Ok(messages) = DocRef::parse(&raw) {
        write_field("messages", messages, Form::List(Model::Message), out);
    }
}

/// Whether it is a message.
fn says_who(message: DocRef<'_>) -> bool {
    message.get("role").is_some()
}

/// Whether there are some, and each is a message.
fn all_say_who(items: Items<'_>) -> bool {
    let mut said = items.map(|item| item.is_ok_and(says_who)).peekable();
    said.peek().is_some() && said.all(|says| says)
}

/// Whether there are some, each of them a message, a use of a tool, its result, or a part of one message: what
/// the Responses API takes and gives.
fn all_are_of_a_talk(items: Items<'_>) -> bool {
    let is_part = |item: DocRef<'_>| match item.get("type").and_then(DocRef::as_str) {
        Some("text") => item.get("text").is_some(),
        Some(kind) => PARTS_OF_A_TALK.contains(&kind),
        None => false,
    };
    let mut items = items
        .map(|item| {
            item.is_ok_and(|item| says_who(item) || is_part(item) || use_of(item).is_some())
        })
        .peekable();
    items.peek().is_some() && items.all(|is| is)
}

/// The value, or the messages that its text is as JSON. Other text in JSON is what was said.
fn told(value: DocRef<'_>, then: impl FnOnce(DocRef<'_>)) {
    if value.as_str().is_none() {
        return then(value);
    }
    let mut found = None;
    parsed(value, |read| {
        let is_told = match read {
            DocRef::Array(items) => all_say_who(items),
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
fn parsed(value: DocRef<'_>, then: impl FnOnce(DocRef<'_>)) {
    let doc = value
        .as_str()
        .and_then(|s| json::read_text(s, JSON_DEPTH_MAX).ok());
    then(
        doc.as_deref()
            .and_then(|d| DocRef::parse(d).ok())
            .unwrap_or(value),
    );
}

/// The first convention that says more than its instructions.
fn put_convention(attributes: DocRef<'_>, raw: &mut DocWriter) {
    let says = |(key, role): &(&str, &str)| *role != "system" && attributes.get(key).is_some();
    let Some(convention) = CONVENTIONS.iter().find(|all| all.iter().any(says)) else {
        return;
    };
    for (key, role) in *convention {
        if let Some(value) = attributes.get(key) {
            parsed(value, |read| {
                let is_data = ANY_DATA.contains(key) && !holds_talk(read);
                put_messages(if is_data { value } else { read }, role, raw);
            });
        }
    }
}

/// Whether it is a message, messages, or what a model's API takes or gives, and not other data.
fn holds_talk(value: DocRef<'_>) -> bool {
    match value {
        DocRef::Array(items) => all_say_who(items) || all_are_of_a_talk(items),
        DocRef::Map(_) => {
            let around = ["role", "messages", "contents", "choices", "candidates"];
            around.iter().any(|key| value.get(key).is_some()) || use_of(value).is_some()
        }
        // A text, said as it is.
        DocRef::Str(_) => true,
        _ => false,
    }
}

/// Text, uses of tools and reasoning of the AI SDK's answer stand in attributes of their own.
fn put_vercel(attributes: DocRef<'_>, raw: &mut DocWriter) {
    if let Some(asks) = VERCEL_ASKS.iter().find_map(|key| attributes.get(key)) {
        parsed(asks, |asks| {
            if let Some(system) = asks.get("system") {
                put_messages(system, "system", raw);
            }
            let asks = asks.get("messages").or(asks.get("prompt")).unwrap_or(asks);
            put_messages(asks, "user", raw);
        });
    }
    let said = [
        "ai.response.reasoning",
        "ai.response.text",
        "ai.response.object",
    ];
    let said = said.map(|key| attributes.get(key));
    let calls = attributes.get("ai.response.toolCalls");
    if calls.is_none() && said.iter().all(Option::is_none) {
        return;
    }
    let open = raw.begin_map();
    raw.key("role");
    raw.str("assistant");
    raw.key("content");
    let list = raw.begin_array();
    for text in said
        .into_iter()
        .flatten()
        .filter(|text| *text != DocRef::Str(""))
    {
        put_said(text, raw);
    }
    raw.end(list);
    raw.key("tool_calls");
    let list = raw.begin_array();
    parsed(calls.unwrap_or(DocRef::Null), |calls| {
        if let DocRef::Array(calls) = calls {
            calls.flatten().for_each(|call| put_use(call, raw));
        }
    });
    raw.end(list);
    raw.end(open);
}

/// A chain has what went in as messages and what came out as a text.
fn put_numbered(attributes: DocRef<'_>, raw: &mut DocWriter) {
    let before = raw.len();
    let has_answer = numbered::put(attributes, raw);
    if raw.len() > before && !has_answer {
        put_whole(attributes, "assistant", raw);
    }
}

fn put_events(row: DocRef<'_>, raw: &mut DocWriter) {
    let Some(DocRef::Array(events)) = row.get("events") else {
        return;
    };
    for event in events.flatten() {
        let name = event.get("name").and_then(DocRef::as_str).unwrap_or("");
        let attributes = event.get(model::ATTRIBUTES).unwrap_or(DocRef::Null);
        let said = EVENTS.iter().filter(|(of, ..)| *of == name);
        let mut said = said.filter_map(|(_, role, key)| match *key {
            "" => Some((*role, attributes)),
            key => Some((*role, attributes.get(key)?)),
        });
        if let Some((role, value)) = said.next() {
            parsed(value, |value| put_message(role, value, raw));
        }
    }
}

/// What went in, by "user", and what came out, by "assistant"; all of it with neither.
fn put_whole(attributes: DocRef<'_>, who: &str, raw: &mut DocWriter) {
    for (key, role) in WHOLE
        .into_iter()
        .filter(|(_, role)| who.is_empty() || *role == who)
    {
        if let Some(value) = attributes.get(key) {
            told(value, |value| put_messages(value, role, raw));
        }
    }
}

/// Writes `tool_calls` of a tool's span: the one call that it is. `said` has the attributes or fields that tell.
pub(super) fn write_tool_call(span: &StoredRow, said: DocRef<'_>, name: &str, out: &mut DocWriter) {
    let first = |keys: &[&str]| keys.iter().find_map(|k| said.get(k));
    let mut raw = DocWriter::new();
    let list = raw.begin_array();
    let open = raw.begin_map();
    raw.key("id");
    raw.value(first(&CALL_ID).unwrap_or(DocRef::Str(&span.core.id)));
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
    let failed = span.text(model::STATUS) == Some(status::ERROR);
    if let Some(error) = span.text(model::ERROR_MESSAGE).filter(|_| failed) {
        raw.key("error");
        raw.str(error);
    }
    if let Some(ms) = super::latency_ms(&span.core) {
        raw.key("latency_ms");
        raw.i64(ms);
    }
    raw.end(open);
    raw.end(list);
    let raw = raw.finish();
    if let Ok(calls) = DocRef::parse(&raw) {
        write_field("tool_calls", calls, Form::List(Model::ToolCall), out);
    }
}
