//! A span in Langfuse's words.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use serde_json::{Map, Value, json};

use super::facts::{
    COMPLETION_START, COST_DETAILS, MODEL_PARAMETERS, PROMPT_NAME, PROMPT_VERSION, PUBLIC, RELEASE,
    STATUS_MESSAGE, TRACE_NAME, USAGE_DETAILS, VERSION, as_json, decoded, environment, first,
    first_text, level, metadata, observation_type,
};
use super::members::Members;
use crate::dialect::theta_read::{StoredRow, talk};
use crate::dialect::{format_nanos, parse_time};
use crate::http::read::preview::whole;
use crate::http::read::shape::{Cost, Tokens};

/// Groups of fields that version 5 asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Core,
    Basic,
    Time,
    Io,
    Metadata,
    Model,
    Usage,
    Prompt,
    Metrics,
    TraceContext,
}

impl Group {
    /// Every group and its name.
    pub(super) const ALL: [(&'static str, Self); 10] = [
        ("core", Self::Core),
        ("basic", Self::Basic),
        ("time", Self::Time),
        ("io", Self::Io),
        ("metadata", Self::Metadata),
        ("model", Self::Model),
        ("usage", Self::Usage),
        ("prompt", Self::Prompt),
        ("metrics", Self::Metrics),
        ("trace_context", Self::TraceContext),
    ];
}

/// How one version of the API tells values that the other tells otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Whole objects, values as they were sent.
    Old,
    /// Groups of fields; input and output as text.
    New,
}

/// An observation with these groups. `run` is the trace's, for what only that says.
pub(super) fn observation(
    row: &StoredRow,
    run: Option<&StoredRow>,
    project: u64,
    (groups, form): (&[Group], Form),
) -> Members {
    let mut out = Members::default();
    core(&mut out, row, project);
    let has = |group| groups.contains(&group);
    if has(Group::Basic) {
        basic(&mut out, row, run);
    }
    if has(Group::Time) {
        let start = format_nanos(row.core.start_ns);
        out.put(
            "completionStartTime",
            completion_start(row).map(format_nanos),
        )
        .put("createdAt", &start)
        .put("updatedAt", row.core.end_ns.map_or(start, format_nanos));
    }
    if has(Group::Io) {
        let (input, output) = said(row);
        out.put("input", input.map(|value| shown(value, form)))
            .put("output", output.map(|value| shown(value, form)));
    }
    if has(Group::Metadata) {
        out.put("metadata", described(row));
    }
    if has(Group::Model) {
        let parameters = first(row.doc(), MODEL_PARAMETERS).map(decoded);
        out.put("model", row.text(model::MODEL))
            .put("internalModelId", Value::Null)
            .put("modelParameters", parameters.filter(Value::is_object));
    }
    if has(Group::Usage) {
        used(&mut out, row, form);
    }
    if has(Group::Prompt) {
        let version = first(row.doc(), PROMPT_VERSION).map(decoded);
        out.put("promptId", Value::Null)
            .put("promptName", first_text(row.doc(), PROMPT_NAME))
            .put("promptVersion", version.filter(Value::is_i64));
    }
    if has(Group::Metrics) {
        let first_token = completion_start(row).map(|at| seconds(at - row.core.start_ns));
        out.put("latency", latency(row))
            .put("timeToFirstToken", first_token);
    }
    if has(Group::TraceContext) {
        let name = run.and_then(|run| first_text(run.doc(), TRACE_NAME));
        out.put("tags", tags(run.unwrap_or(row)))
            .put("release", first_text(row.doc(), RELEASE))
            .put("traceName", name);
    }
    out
}

fn core(out: &mut Members, row: &StoredRow, project: u64) {
    out.put("id", &*row.core.id)
        .put("traceId", &*row.core.trace_id)
        .put("projectId", project.to_string())
        .put("startTime", format_nanos(row.core.start_ns))
        .put("endTime", row.core.end_ns.map(format_nanos))
        .put("parentObservationId", row.text(model::PARENT_ID))
        .put("type", observation_type(row));
}

fn basic(out: &mut Members, row: &StoredRow, run: Option<&StoredRow>) {
    let doc = row.doc();
    let of_run = |key| row.text(key).or_else(|| run?.text(key));
    out.put("name", row.text(model::NAME))
        .put("level", level(row))
        .put("statusMessage", first_text(doc, STATUS_MESSAGE))
        .put("version", first_text(doc, VERSION))
        .put("environment", environment(doc))
        .put("bookmarked", false)
        .put("public", is_public(run.unwrap_or(row)))
        .put("userId", of_run(model::USER_ID))
        .put("sessionId", of_run(model::GROUP))
        .put("isRootObservation", is_root(row));
}

fn is_root(row: &StoredRow) -> bool {
    row.text(model::PARENT_ID).is_none() || row.doc().get(model::ROOT) == Some(DocRef::Bool(true))
}

/// Whether the sender called it public.
pub(super) fn is_public(row: &StoredRow) -> bool {
    first(row.doc(), PUBLIC) == Some(DocRef::Bool(true))
}

/// What went in and what came out, messages where there is nothing else.
fn said(row: &StoredRow) -> (Option<Value>, Option<Value>) {
    let (input, output) = io(row);
    if row.text(model::DIALECT) == Some("langfuse") || (input.is_some() && output.is_some()) {
        return (input, output);
    }
    let talk = talk(row);
    let talk = DocRef::parse(&talk).unwrap_or(DocRef::Null);
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    if let Some(DocRef::Array(messages)) = talk.get("messages") {
        for message in messages.flatten() {
            let is_answer = message.get("role").and_then(DocRef::as_str) == Some("assistant");
            let side = if is_answer { &mut answered } else { &mut asked };
            side.push(decoded(message));
        }
    }
    let some = |all: Vec<Value>| (!all.is_empty()).then_some(Value::Array(all));
    (
        input.or_else(|| some(asked)),
        output.or_else(|| some(answered)),
    )
}

/// What a row has as one value each. Attributes carry JSON as text, the batches carry values.
pub(super) fn io(row: &StoredRow) -> (Option<Value>, Option<Value>) {
    let (input, output) = whole(row.doc());
    let value = |value: DocRef<'_>| match value {
        DocRef::Str(text) if row.text(model::DIALECT) != Some("otlp") => {
            Value::String(text.to_owned())
        }
        value => decoded(value),
    };
    (input.map(value), output.map(value))
}

fn shown(value: Value, form: Form) -> Value {
    match (value, form) {
        (Value::String(text), _) => Value::String(text),
        (value, Form::Old) => value,
        (value, Form::New) => Value::String(value.to_string()),
    }
}

/// What the user attached and, of spans of `OpenTelemetry`, what else they carry.
fn described(row: &StoredRow) -> Map<String, Value> {
    let mut all = metadata(row);
    let mut add = |name: &str, entries: Map<String, Value>| {
        if !entries.is_empty() && !all.contains_key(name) {
            all.insert(name.to_owned(), Value::Object(entries));
        }
    };
    let of = |key: &str, keep: &dyn Fn(&str) -> bool| {
        let entries = row.doc().get(key).and_then(DocRef::entries);
        let entries = entries.into_iter().flatten().flatten();
        let kept = entries.filter(|(name, _)| keep(name));
        kept.map(|(name, of)| (name.to_owned(), as_json(of)))
            .collect()
    };
    add(
        "attributes",
        of(model::ATTRIBUTES, &|name| !name.starts_with("langfuse.")),
    );
    add("resourceAttributes", of(model::RESOURCE, &|_| true));
    all
}

/// Whole counts and their sum, in the names of the sender if these are counts alone.
pub(super) fn usage_details(row: &StoredRow) -> Map<String, Value> {
    let sent = first(row.doc(), USAGE_DETAILS).map(decoded);
    if let Some(Value::Object(mut sent)) = sent {
        sent.retain(|_, count| !count.is_null());
        if sent.values().all(Value::is_i64) && !sent.is_empty() {
            let sum = sent.values().filter_map(Value::as_i64);
            let sum = sum.fold(0_i64, i64::saturating_add);
            sent.entry("total").or_insert(json!(sum));
            return sent;
        }
    }
    let Some(tokens) = Tokens::of(row.doc()) else {
        return Map::new();
    };
    let named = [
        ("input", tokens.input),
        ("output", tokens.output),
        ("input_cached_tokens", tokens.cached),
        ("input_cache_creation", tokens.cache_write),
        ("output_reasoning_tokens", tokens.reasoning),
        ("total", tokens.total),
    ];
    let known = named.into_iter().filter_map(|(name, n)| Some((name, n?)));
    known.map(|(name, n)| (name.to_owned(), json!(n))).collect()
}

/// US dollars, in the names of the sender.
fn cost_details(row: &StoredRow) -> Map<String, Value> {
    let mut all = match first(row.doc(), COST_DETAILS).map(decoded) {
        Some(Value::Object(sent)) => sent,
        _ => Map::new(),
    };
    all.retain(|_, usd| usd.is_number());
    if let Some(cost) = Cost::of(row.doc()) {
        all.entry("total").or_insert(json!(cost.total));
    }
    all
}

fn used(out: &mut Members, row: &StoredRow, form: Form) {
    let (usage, cost) = (usage_details(row), cost_details(row));
    let total = cost.get("total").cloned();
    out.put("usageDetails", &usage).put("costDetails", &cost);
    if form == Form::New {
        out.put("totalCost", total)
            .put("usagePricingTierName", Value::Null);
        return;
    }
    let tokens = Tokens::of(row.doc()).unwrap_or_default();
    let of = |name: &str| cost.get(name).cloned();
    // What went in is told with what of it was cached, as the older form had it.
    let input = [tokens.input, tokens.cached, tokens.cache_write];
    let output = [tokens.output, tokens.reasoning];
    let usage = json!({
        "input": sum(&input), "output": sum(&output), "total": tokens.total, "unit": "TOKENS",
        "inputCost": of("input"), "outputCost": of("output"), "totalCost": total,
    });
    out.put("usage", usage)
        .put("calculatedInputCost", of("input"))
        .put("calculatedOutputCost", of("output"))
        .put("calculatedTotalCost", total)
        .put("modelId", Value::Null)
        .put("inputPrice", Value::Null)
        .put("outputPrice", Value::Null)
        .put("totalPrice", Value::Null);
}

fn sum(counts: &[Option<i64>]) -> i64 {
    counts
        .iter()
        .flatten()
        .copied()
        .fold(0, i64::saturating_add)
}

fn completion_start(row: &StoredRow) -> Option<i64> {
    let text = first_text(row.doc(), COMPLETION_START)?;
    // Version 5 sends the JSON text of the time.
    parse_time(text.trim_matches('"'))
}

/// Labels.
pub(super) fn tags(row: &StoredRow) -> Vec<&str> {
    match row.doc().get(model::TAGS) {
        Some(DocRef::Array(items)) => items.flatten().filter_map(DocRef::as_str).collect(),
        Some(DocRef::Str(one)) => vec![one],
        _ => Vec::new(),
    }
}

/// How long it took, in seconds.
pub(super) fn latency(row: &StoredRow) -> Option<f64> {
    let end = row.core.end_ns?;
    Some(seconds(end.saturating_sub(row.core.start_ns)))
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
pub(super) fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}
