//! Rows → what theta clients read: `TraceSummary` and `Trace`.
//!
//! A trace that came from a theta client reads back as it was sent (times that are not RFC 3339
//! UTC with microseconds are given in that form, numbers that are not finite as text). A trace of
//! another protocol is brought into the same shape.

mod from_otlp;
mod numbered;
mod parts;
mod strict;

use std::collections::HashSet;

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model::{self, status};
use obsrv_engine::source::Core;

use self::strict::{Form, Model, write_field};
use super::doc_json;
use super::theta::score;
use super::theta::trace::{EXTRA, NOT_SENT, ORDER, OWN, OWN_FIELDS};
use super::time::format_micros;

/// A row as the engine gives it.
#[derive(Clone, Debug)]
pub struct StoredRow {
    /// The hot columns.
    pub core: Core,
    /// The folded document.
    pub view: Bytes,
}

impl StoredRow {
    /// The document.
    pub fn doc(&self) -> DocRef<'_> {
        // The engine verified the checksum; a view that does not read shows as an empty row.
        DocRef::parse(&self.view).unwrap_or(DocRef::Null)
    }

    /// A field that is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.doc().get(key).and_then(DocRef::as_str)
    }

    fn is_theta(&self) -> bool {
        self.text(model::DIALECT) == Some("theta")
    }

    /// Whether it keeps what went in and came out in `input` and `output`.
    fn has_io(&self) -> bool {
        let dialects = ["langfuse", "langsmith", "aiobs", "tcc"];
        self.text(model::DIALECT)
            .is_some_and(|d| dialects.contains(&d))
    }

    fn is_otlp(&self) -> bool {
        !self.is_theta() && !self.has_io()
    }
}

/// The forms of the fields of a trace and a step that stand in a row under the same name.
const SAME: [(&str, Form); 20] = [
    ("schema_version", Form::Text),
    ("name", Form::Text),
    ("run_id", Form::Text),
    ("run_type", Form::Text),
    ("use_case", Form::Text),
    ("user_id", Form::Text),
    ("group", Form::Text),
    ("platform", Form::Text),
    ("model", Form::Text),
    ("index", Form::Whole),
    ("tags", Form::Texts),
    ("metadata", Form::Map),
    ("latency_ms", Form::Whole),
    ("cost_usd", Form::Number),
    ("error_message", Form::Text),
    ("events", Form::List(Model::Event)),
    ("attachments", Form::List(Model::Part)),
    ("messages", Form::List(Model::Message)),
    ("tool_calls", Form::List(Model::ToolCall)),
    ("sensor_frames", Form::List(Model::Frame)),
];

/// Keys of rows that readers do not see, or see under another name.
const HIDDEN: [&str; 24] = [
    model::BLOBS,
    model::COST,
    model::COST_SOURCE,
    model::COST_UNKNOWN,
    model::DIALECT,
    model::KEY_ID,
    model::STATUS,
    model::KIND,
    model::PARENT_ID,
    model::ROOT,
    model::TOOL,
    model::TOKENS,
    model::ATTRIBUTES,
    model::ROLLUP,
    OWN_FIELDS,
    NOT_SENT,
    ORDER,
    EXTRA,
    "has_error",
    "project_id",
    "started_at",
    "ended_at",
    "annotations",
    "type",
];

const TRACE_LISTS: [&str; 3] = ["tags", "events", "attachments"];
const STEP_LISTS: [&str; 5] = [
    "messages",
    "tool_calls",
    "events",
    "attachments",
    "sensor_frames",
];

/// The step types of the read models.
const STEP_TYPES: [&str; 7] = [
    "llm",
    "tool",
    "retrieval",
    "robotics",
    "human",
    "annotation",
    "custom",
];

/// Appends the JSON of a `TraceSummary`. `project` is the name of the key's project.
pub fn write_summary(project: &str, run: &StoredRow, out: &mut String) {
    let mut doc = DocWriter::new();
    summary(project, run, &mut doc);
    let doc = doc.finish();
    doc_json::write(DocRef::parse(&doc).unwrap_or(DocRef::Null), out);
}

/// The JSON of `GET /v1/traces/{id}`: `meta` and `trace`. Spans and scores come in any order.
pub fn detail(project: &str, run: &StoredRow, spans: &[StoredRow], scores: &[StoredRow]) -> String {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key("meta");
    summary(project, run, &mut out);
    out.key("trace");
    trace(project, run, spans, scores, &mut out);
    out.end(open);
    let doc = out.finish();
    doc_json::to_text(DocRef::parse(&doc).unwrap_or(DocRef::Null))
}

fn put_text(key: &str, text: &str, out: &mut DocWriter) {
    out.key(key);
    out.str(text);
}

/// The status, or what the end says of it.
pub fn status_of(row: &StoredRow) -> &'static str {
    match (row.text(model::STATUS), row.core.end_ns) {
        (Some(status::ERROR), _) => status::ERROR,
        (Some(status::RUNNING), _) | (None, None) => status::RUNNING,
        _ => status::SUCCESS,
    }
}

fn latency_ms(core: &Core) -> Option<i64> {
    Some((core.end_ns?.saturating_sub(core.start_ns) / 1_000_000).max(0))
}

fn project_of<'a>(project: &'a str, run: &'a StoredRow) -> &'a str {
    run.text("project_id").unwrap_or(project)
}

fn summary(project: &str, run: &StoredRow, out: &mut DocWriter) {
    let doc = run.doc();
    let open = out.begin_map();
    put_text("trace_id", &run.core.trace_id, out);
    put_text("project_id", project_of(project, run), out);
    let root_name = doc
        .at(&[model::ROLLUP, "root", "name"])
        .and_then(DocRef::as_str);
    let name = run
        .text(model::NAME)
        .or(root_name)
        .unwrap_or(&run.core.trace_id);
    put_text("name", name, out);
    put_text("status", status_of(run), out);
    put_text("started_at", &format_micros(run.core.start_ns), out);
    for key in [
        "run_id", "run_type", "use_case", "group", "platform", "model", "user_id",
    ] {
        if let Some(value) = doc.get(key) {
            write_field(key, value, Form::Text, out);
        }
    }
    match (doc.get("latency_ms"), latency_ms(&run.core)) {
        (Some(sent), _) => write_field("latency_ms", sent, Form::Whole, out),
        (None, Some(ms)) => write_field("latency_ms", DocRef::I64(ms), Form::Whole, out),
        (None, None) => {}
    }
    if let Some(total) = total_tokens(doc) {
        write_field("total_tokens", DocRef::I64(total), Form::Whole, out);
    }
    if let Some(count) = doc.at(&[model::ROLLUP, "span_count"]) {
        write_field("step_count", count, Form::Whole, out);
    }
    if let Some(cost) = doc.get(model::COST_USD) {
        write_field("cost_usd", cost, Form::Number, out);
    }
    let has_some = |key| match doc.get(key) {
        Some(DocRef::Array(mut all)) => all.next().is_some(),
        _ => false,
    };
    if has_some("attachments") || has_some(model::BLOBS) {
        out.key("has_media");
        out.bool(true);
    }
    out_or_empty("tags", doc.get(model::TAGS), Form::Texts, out);
    out_or_empty("metadata", metadata(run), Form::Map, out);
    out.end(open);
}

fn total_tokens(doc: DocRef<'_>) -> Option<i64> {
    let tokens = doc.get(model::TOKENS)?;
    let count = |key| tokens.get(key).and_then(DocRef::as_i64);
    count("total").or_else(|| {
        count("input")
            .unwrap_or(0)
            .checked_add(count("output").unwrap_or(0))
    })
}

/// What the user attached; for other protocols their attributes where the user attached nothing.
fn metadata(row: &StoredRow) -> Option<DocRef<'_>> {
    let doc = row.doc();
    doc.get(model::METADATA)
        .or_else(|| doc.get(model::ATTRIBUTES).filter(|_| row.is_otlp()))
}

/// Writes a list or map that must not be missing.
fn out_or_empty(key: &str, value: Option<DocRef<'_>>, form: Form, out: &mut DocWriter) {
    let before = out.len();
    if let Some(value) = value {
        write_field(key, value, form, out);
    }
    if out.len() == before {
        out.key(key);
        let open = if form == Form::Map {
            out.begin_map()
        } else {
            out.begin_array()
        };
        out.end(open);
    }
}

fn trace(
    project: &str,
    run: &StoredRow,
    spans: &[StoredRow],
    scores: &[StoredRow],
    out: &mut DocWriter,
) {
    let doc = run.doc();
    // Without the mask the run has no event of its own, or one of another protocol.
    let own = doc
        .get(OWN_FIELDS)
        .and_then(DocRef::as_i64)
        .unwrap_or(i64::MAX);
    let is_own = |key: &str| {
        let at = OWN.iter().position(|k| *k == key);
        at.is_none_or(|i| own >> i & 1 == 1) && is_sent(doc, key)
    };
    let open = out.begin_map();
    put_text("trace_id", &run.core.trace_id, out);
    put_text("project_id", project_of(project, run), out);
    put_text("status", status_of(run), out);
    if !is_own(model::NAME) || doc.get(model::NAME).is_none() {
        put_text("name", run.text(model::NAME).unwrap_or(""), out);
    }
    write_times(run, &is_own, out);
    if let Some(tokens) = doc.get(model::TOKENS).filter(|_| is_own(model::TOKENS)) {
        write_field("token_usage", tokens, Form::One(Model::Tokens), out);
    }
    write_fields(run, &is_own, &["index"], out);
    for key in TRACE_LISTS
        .into_iter()
        .filter(|k| !is_own(k) || doc.get(k).is_none())
    {
        out_or_empty(key, None, Form::Texts, out);
    }
    if !is_own(model::METADATA) || doc.get(model::METADATA).is_none() {
        out_or_empty(
            "metadata",
            metadata(run).filter(|_| run.is_otlp()),
            Form::Map,
            out,
        );
    }
    let steps: HashSet<&str> = spans.iter().map(|s| &*s.core.id).collect();
    let of_trace = |step: Option<&str>| step.is_none_or(|s| !steps.contains(s));
    write_annotations(run, None, scores, &of_trace, out);
    out.key("steps");
    let list = out.begin_array();
    let mut sorted: Vec<&StoredRow> = spans.iter().collect();
    sorted.sort_by_key(|s| {
        let order = s
            .doc()
            .get(ORDER)
            .and_then(DocRef::as_i64)
            .unwrap_or(i64::MAX);
        (order, s.core.start_ns, s.core.id.clone())
    });
    for (place, span) in sorted.into_iter().enumerate() {
        step(span, place, scores, out);
    }
    out.end(list);
    out.end(open);
}

/// Whether a field was sent under its name, as far as the row says.
fn is_sent(doc: DocRef<'_>, key: &str) -> bool {
    let not_sent = doc.get(NOT_SENT).and_then(DocRef::as_i64).unwrap_or(0);
    let at = model::PLACE.iter().position(|field| *field == key);
    at.is_none_or(|i| not_sent >> i & 1 == 0)
}

fn write_times(row: &StoredRow, is_own: &dyn Fn(&str) -> bool, out: &mut DocWriter) {
    if is_own("started_at") {
        put_text("started_at", &format_micros(row.core.start_ns), out);
    }
    if let Some(end) = row.core.end_ns.filter(|_| is_own("ended_at")) {
        put_text("ended_at", &format_micros(end), out);
    }
    let sent = row.doc().get("latency_ms");
    if let (None, false, Some(ms)) = (sent, row.is_theta(), latency_ms(&row.core)) {
        write_field("latency_ms", DocRef::I64(ms), Form::Whole, out);
    }
}

/// Writes the fields that need no more than their form, and the unknown keys as they came.
fn write_fields(row: &StoredRow, is_own: &dyn Fn(&str) -> bool, not: &[&str], out: &mut DocWriter) {
    for (key, value) in row.doc().entries().into_iter().flatten().flatten() {
        let form = SAME.iter().find(|(k, _)| *k == key).map(|(_, form)| *form);
        match form {
            _ if HIDDEN.contains(&key) || not.contains(&key) || !is_own(key) => {}
            Some(form) => write_field(key, value, form, out),
            None => {
                out.key(key);
                out.value(value);
            }
        }
    }
    for (key, value) in row
        .doc()
        .get(EXTRA)
        .and_then(DocRef::entries)
        .into_iter()
        .flatten()
        .flatten()
    {
        out.key(key);
        out.value(value);
    }
}

/// What an event of an envelope holds one of, and the list of a step that it belongs to.
const SINGLE: [(&str, &str); 4] = [
    ("message", "messages"),
    ("tool_call", "tool_calls"),
    ("attachment", "attachments"),
    ("sensor_frame", "sensor_frames"),
];

fn step(span: &StoredRow, place: usize, scores: &[StoredRow], out: &mut DocWriter) {
    let doc = span.doc();
    let open = out.begin_map();
    put_text("step_id", &span.core.id, out);
    if let Some(parent) = span.text(model::PARENT_ID) {
        put_text("parent_step_id", parent, out);
    }
    let kind = span.text(model::KIND).unwrap_or("custom");
    put_text(
        "type",
        if STEP_TYPES.contains(&kind) {
            kind
        } else {
            "custom"
        },
        out,
    );
    let sent = doc
        .get("type")
        .or_else(|| doc.get(model::KIND).filter(|_| !STEP_TYPES.contains(&kind)));
    if let Some(sent) = sent {
        write_field("type_sent", sent, Form::Text, out);
    }
    put_text("status", status_of(span), out);
    let is_own = |key: &str| is_sent(doc, key);
    write_times(span, &is_own, out);
    if let Some(tokens) = doc.get(model::TOKENS) {
        write_field("token_usage", tokens, Form::One(Model::Tokens), out);
    }
    if doc.get("index").is_none() {
        out.key("index");
        out.u64(u64::try_from(place).unwrap_or(u64::MAX));
    }
    let moved: &[&str] = if span.is_otlp() {
        &["events", model::METADATA]
    } else {
        &["message", "tool_call", "attachment", "sensor_frame"]
    };
    write_fields(span, &is_own, moved, out);
    step_lists(span, kind, out);
    let of_step = |step: Option<&str>| step == Some(&*span.core.id);
    write_annotations(span, Some(&span.core.id), scores, &of_step, out);
    out.end(open);
}

/// The document of a map with the `messages` and the `tool_calls` of a span, in theta's form.
pub fn talk(span: &StoredRow) -> Vec<u8> {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    let kind = span.text(model::KIND).unwrap_or("custom");
    let doc = span.doc();
    for (key, model) in [
        ("messages", Model::Message),
        ("tool_calls", Model::ToolCall),
    ] {
        match doc.get(key) {
            Some(sent) => write_field(key, sent, Form::List(model), &mut out),
            None => step_list(span, kind, key, &mut out),
        }
    }
    out.end(open);
    out.finish()
}

fn step_lists(span: &StoredRow, kind: &str, out: &mut DocWriter) {
    let doc = span.doc();
    let attributes = doc.get(model::ATTRIBUTES).unwrap_or(DocRef::Null);
    if span.is_otlp() {
        out_or_empty("metadata", Some(attributes), Form::Map, out);
        if let Some(events) = doc.get("events") {
            write_span_events(events, out);
        }
    } else if doc.get(model::METADATA).is_none() {
        out_or_empty("metadata", None, Form::Map, out);
    }
    for key in STEP_LISTS {
        if doc.get(key).is_none() {
            step_list(span, kind, key, out);
        }
    }
}

/// A list that the span's document does not have under this key.
fn step_list(span: &StoredRow, kind: &str, key: &str, out: &mut DocWriter) {
    let doc = span.doc();
    let attributes = doc.get(model::ATTRIBUTES).unwrap_or(DocRef::Null);
    let single = SINGLE
        .iter()
        .find(|(_, list)| *list == key)
        .and_then(|(one, _)| doc.get(one));
    let form = SAME
        .iter()
        .find(|(k, _)| *k == key)
        .map_or(Form::Texts, |(_, form)| *form);
    match key {
        "messages" if span.is_otlp() => from_otlp::write_messages(doc, out),
        "messages" if span.has_io() && kind == "llm" => from_otlp::write_talk(doc, out),
        "tool_calls" if span.has_io() && kind == "tool" => {
            let name = span.text(model::NAME).unwrap_or("");
            from_otlp::write_tool_call(span, doc, name, out);
        }
        "tool_calls" if span.is_otlp() && kind == "tool" => {
            let name = span
                .text(model::TOOL)
                .or(span.text(model::NAME))
                .unwrap_or("");
            from_otlp::write_tool_call(span, attributes, name, out);
        }
        _ => out_or_empty(key, single.filter(|_| !span.is_otlp()), form, out),
    }
}

/// Span events of OTLP in the shape of theta's.
fn write_span_events(events: DocRef<'_>, out: &mut DocWriter) {
    let DocRef::Array(items) = events else { return };
    out.key("events");
    let list = out.begin_array();
    for event in items.flatten() {
        let open = out.begin_map();
        let name = event
            .get("name")
            .and_then(DocRef::as_str)
            .unwrap_or("event");
        put_text("type", name, out);
        put_text("name", name, out);
        if let Some(ns) = event.get("time_unix_nano").and_then(DocRef::as_i64) {
            put_text("started_at", &format_micros(ns), out);
        }
        out_or_empty("metadata", event.get("attributes"), Form::Map, out);
        out.end(open);
    }
    out.end(list);
}

/// The annotations that came in the trace, then those that came by themselves and are not among
/// them.
fn write_annotations(
    row: &StoredRow,
    step_id: Option<&str>,
    scores: &[StoredRow],
    is_here: &dyn Fn(Option<&str>) -> bool,
    out: &mut DocWriter,
) {
    out.key("annotations");
    let list = out.begin_array();
    let mut seen = HashSet::new();
    if let Some(DocRef::Array(items)) = row.doc().get("annotations") {
        for (place, item) in items
            .flatten()
            .enumerate()
            .filter(|(_, i)| i.entries().is_some())
        {
            seen.insert(score::id(&row.core.trace_id, step_id, item));
            strict::write_object(item, Model::Annotation, place, out);
        }
    }
    let mut others: Vec<&StoredRow> = scores
        .iter()
        .filter(|s| is_here(s.text("step_id")) && !seen.contains(&*s.core.id))
        .filter(|s| s.text(model::KIND) != Some("metric_event"))
        .collect();
    others.sort_by_key(|s| (s.core.start_ns, s.core.lsn_first, s.core.id.clone()));
    for score in others {
        let open = out.begin_map();
        for (key, value) in score.doc().entries().into_iter().flatten().flatten() {
            let key = if key == model::USER_ID { "user" } else { key };
            let form = Model::Annotation.form(key);
            match (key, form) {
                (model::DIALECT, _) => {}
                ("step_id", _) if step_id.is_some() => {}
                (_, Some(form)) => write_field(key, value, form, out),
                (_, None) => {
                    out.key(key);
                    out.value(value);
                }
            }
        }
        out.end(open);
    }
    out.end(list);
}

#[cfg(test)]
mod tests;
