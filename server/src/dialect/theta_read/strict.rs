//! Objects as theta's read models demand them.
//!
//! The clients' models raise on a null list, an unknown role or type, text where a list is due, a
//! fraction in a whole number. Whatever was sent, what is written here passes them: known keys are
//! brought into form or left out, unknown keys are copied, lists and maps that must be there are.

use obsrv_engine::doc::{DocRef, DocWriter};

use crate::dialect::{JSON_DEPTH_MAX, doc_json, format_micros, json, parse_time};

/// The form of a known key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Whole,
    Number,
    Time,
    Texts,
    Map,
    Role,
    PartType,
    Arguments,
    /// A list of objects.
    List(Model),
    One(Model),
}

/// An object of the read models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    Message,
    Part,
    ToolCall,
    Frame,
    Event,
    Annotation,
    Tokens,
}

type Forms = &'static [(&'static str, Form)];

impl Model {
    const fn forms(self) -> Forms {
        match self {
            Self::Message => &[
                ("role", Form::Role),
                ("content", Form::List(Self::Part)),
                ("tool_calls", Form::List(Self::ToolCall)),
                ("name", Form::Text),
            ],
            Self::Part => &[
                ("type", Form::PartType),
                ("uri", Form::Text),
                ("text", Form::Text),
                ("mime", Form::Text),
                ("width", Form::Whole),
                ("height", Form::Whole),
                ("duration_ms", Form::Whole),
                ("fps", Form::Number),
                ("modality", Form::Text),
                ("size_bytes", Form::Whole),
            ],
            Self::ToolCall => &[
                ("id", Form::Text),
                ("name", Form::Text),
                ("arguments", Form::Arguments),
                ("latency_ms", Form::Whole),
                ("error", Form::Text),
            ],
            Self::Frame => &[
                ("modality", Form::Text),
                ("uri", Form::Text),
                ("mime", Form::Text),
                ("fps", Form::Number),
                ("duration_ms", Form::Whole),
                ("metadata", Form::Map),
            ],
            Self::Event => EVENT,
            Self::Annotation => &[
                ("label", Form::Text),
                ("score", Form::Number),
                ("comment", Form::Text),
                ("user", Form::Text),
                ("created_at", Form::Time),
            ],
            Self::Tokens => &[
                ("input", Form::Whole),
                ("output", Form::Whole),
                ("total", Form::Whole),
            ],
        }
    }

    /// The form of a key, if it is a known one.
    pub(super) fn form(self, key: &str) -> Option<Form> {
        self.forms()
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, form)| *form)
    }

    /// What must be there even if it was not sent.
    const fn required(self) -> &'static [&'static str] {
        match self {
            Self::Message => &["role", "content", "tool_calls"],
            Self::ToolCall => &["id", "name", "arguments"],
            Self::Frame => &["modality", "uri"],
            Self::Part | Self::Event => &["type"],
            Self::Annotation | Self::Tokens => &[],
        }
    }

    /// The key that a bare value in a list of such objects stands for.
    const fn bare(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Part => Some(("text", "text")),
            Self::Event => Some(("value", "custom")),
            _ => None,
        }
    }
}

const EVENT: Forms = &[
    ("event_id", Form::Text),
    ("parent_event_id", Form::Text),
    ("step_id", Form::Text),
    ("parent_step_id", Form::Text),
    ("index", Form::Whole),
    ("type", Form::Text),
    ("name", Form::Text),
    ("role", Form::Text),
    ("status", Form::Text),
    ("started_at", Form::Time),
    ("ended_at", Form::Time),
    ("latency_ms", Form::Whole),
    ("model", Form::Text),
    ("message", Form::One(Model::Message)),
    ("tool_call", Form::One(Model::ToolCall)),
    ("attachment", Form::One(Model::Part)),
    ("sensor_frame", Form::One(Model::Frame)),
    ("metadata", Form::Map),
];

/// Writes `key` and `value` in the form that is due, or nothing if it cannot take it.
pub(super) fn write_field(key: &str, value: DocRef<'_>, form: Form, out: &mut DocWriter) {
    match (form, value) {
        (_, DocRef::Null) => {}
        (Form::Text, _) => put_text(key, &as_text(value), out),
        (Form::Whole, _) => {
            if let Some(n) = truncated(value) {
                out.key(key);
                out.i64(n);
            }
        }
        (Form::Number, DocRef::I64(_) | DocRef::U64(_) | DocRef::F64(_))
        | (Form::Map, DocRef::Map(_)) => {
            out.key(key);
            out.value(value);
        }
        (Form::Time, _) => {
            if let Some(time) = time_text(value) {
                put_text(key, &time, out);
            }
        }
        (Form::Texts, DocRef::Array(items)) => {
            out.key(key);
            let open = out.begin_array();
            items
                .flatten()
                .filter(|v| *v != DocRef::Null)
                .for_each(|v| out.str(&as_text(v)));
            out.end(open);
        }
        (Form::Role, _) => put_role(key, &as_text(value), out),
        (Form::PartType, _) => put_text(key, part_type(&as_text(value)), out),
        (Form::Arguments, _) => put_arguments(key, value, out),
        (Form::List(model), _) => write_list(key, value, model, out),
        (Form::One(model), DocRef::Map(_)) => {
            out.key(key);
            write_object(value, model, 0, out);
        }
        _ => {}
    }
}

fn put_text(key: &str, text: &str, out: &mut DocWriter) {
    out.key(key);
    out.str(text);
}

/// Text as it is, anything else as JSON.
pub(super) fn as_text(value: DocRef<'_>) -> String {
    value
        .as_str()
        .map_or_else(|| doc_json::to_text(value), str::to_owned)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
fn truncated(value: DocRef<'_>) -> Option<i64> {
    match value {
        DocRef::I64(n) => Some(n),
        DocRef::F64(n) if n.abs() < 9e15 => Some(n.trunc() as i64),
        _ => None,
    }
}

/// A time that the clients' parser takes: as sent where it has that form.
fn time_text(value: DocRef<'_>) -> Option<String> {
    let text = value.as_str()?;
    let ns = parse_time(text)?;
    let plain = text.len() >= 19 && text.is_char_boundary(10) && text.get(10..11) == Some("T");
    Some(if plain {
        text.to_owned()
    } else {
        format_micros(ns)
    })
}

fn put_role(key: &str, sent: &str, out: &mut DocWriter) {
    let role = match sent.to_ascii_lowercase().as_str() {
        "system" | "developer" => "system",
        "assistant" | "ai" | "model" | "bot" => "assistant",
        "tool" | "function" | "ipython" => "tool",
        _ => "user",
    };
    put_text(key, role, out);
    if role != sent && !sent.is_empty() {
        put_text("role_sent", sent, out);
    }
}

fn part_type(sent: &str) -> &'static str {
    match sent {
        "text" | "input_text" | "output_text" | "refusal" | "thinking" | "reasoning" => "text",
        "image" | "image_url" | "input_image" => "image",
        "audio" | "input_audio" => "audio",
        "video" => "video",
        "sensor" => "sensor",
        _ => "file",
    }
}

/// Arguments are an object: text is read as JSON if it is one.
fn put_arguments(key: &str, value: DocRef<'_>, out: &mut DocWriter) {
    let parsed = value
        .as_str()
        .and_then(|s| json::read_text(s, JSON_DEPTH_MAX).ok());
    let parsed = parsed
        .as_deref()
        .and_then(|doc| DocRef::parse(doc).ok())
        .unwrap_or(value);
    out.key(key);
    if parsed.entries().is_some() {
        out.value(parsed);
    } else {
        let open = out.begin_map();
        out.key("value");
        out.value(parsed);
        out.end(open);
    }
}

fn write_list(key: &str, value: DocRef<'_>, model: Model, out: &mut DocWriter) {
    out.key(key);
    let open = out.begin_array();
    match value {
        DocRef::Array(items) => {
            for (place, item) in items.flatten().enumerate() {
                write_item(item, model, place, out);
            }
        }
        single => write_item(single, model, 0, out),
    }
    out.end(open);
}

fn write_item(item: DocRef<'_>, model: Model, place: usize, out: &mut DocWriter) {
    if item.entries().is_some() {
        return write_object(item, model, place, out);
    }
    let Some((key, kind)) = model.bare().filter(|_| item != DocRef::Null) else {
        return;
    };
    let open = out.begin_map();
    put_text("type", kind, out);
    if model == Model::Part {
        put_text(key, &as_text(item), out);
    } else {
        out.key(key);
        out.value(item);
    }
    out.end(open);
}

/// Writes an object, which is the `place`th of its list.
pub(super) fn write_object(doc: DocRef<'_>, model: Model, place: usize, out: &mut DocWriter) {
    let open = out.begin_map();
    let mut written: Vec<&str> = Vec::new();
    for (key, value) in doc.entries().into_iter().flatten().flatten() {
        match model.form(key) {
            None => {
                out.key(key);
                out.value(value);
            }
            Some(form) if !written.contains(&key) => {
                let before = out.len();
                write_field(key, value, form, out);
                if out.len() > before {
                    written.push(key);
                }
            }
            Some(_) => {}
        }
    }
    for key in model.required().iter().filter(|k| !written.contains(k)) {
        write_missing(doc, model, key, place, out);
    }
    out.end(open);
}

/// What a missing key must be, from where other protocols keep it.
fn write_missing(
    doc: DocRef<'_>,
    model: Model,
    key: &'static str,
    place: usize,
    out: &mut DocWriter,
) {
    let function = doc.get("function");
    match (model, key) {
        (Model::Message, "content") => {
            // OTel's messages call the content parts, and a text part's text content.
            write_list(
                key,
                doc.get("parts").unwrap_or(DocRef::Null),
                Model::Part,
                out,
            );
        }
        (Model::Message, "tool_calls") => write_list(key, DocRef::Null, Model::ToolCall, out),
        (Model::Part, _) => put_text(key, if has_text(doc) { "text" } else { "file" }, out),
        (Model::ToolCall, "id") => put_text(key, &format!("call_{place}"), out),
        (Model::ToolCall, "name") => {
            let name = function.and_then(|f| f.get("name")).map(as_text);
            put_text(key, &name.unwrap_or_default(), out);
        }
        (Model::ToolCall, _) => {
            let sent = function.and_then(|f| f.get("arguments"));
            let sent = sent
                .or_else(|| doc.get("args"))
                .or_else(|| doc.get("input"));
            match sent {
                Some(sent) if sent != DocRef::Null => put_arguments(key, sent, out),
                _ => {
                    out.key(key);
                    let open = out.begin_map();
                    out.end(open);
                }
            }
        }
        (Model::Message, _) => put_text(key, "user", out),
        (Model::Event, _) => put_text(key, "custom", out),
        _ => put_text(key, "", out),
    }
}

fn has_text(doc: DocRef<'_>) -> bool {
    doc.get("text").is_some_and(|v| v != DocRef::Null)
}
