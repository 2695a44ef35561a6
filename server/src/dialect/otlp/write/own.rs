//! What obsrv knows of a span that did not come as OTLP, as attributes.
//!
//! The names are those of the conventions where there are any (`gen_ai.…`, `openinference.…`), and what
//! `known` reads from them on the way in is what the row has. The rest of the document goes under
//! `obsrv.`, so that nothing is lost. An attribute that the sender set under such a name stays.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;

use super::{exact, is_empty};
use crate::dialect::doc_json;
use crate::dialect::theta::trace::NOT_SENT;
use crate::dialect::theta_read::StoredRow;

/// Kinds of spans, with the words that `OpenInference` and the conventions of `OTel` have for them.
const KINDS: [(&str, &str, &str); 7] = [
    ("llm", "LLM", "chat"),
    ("tool", "TOOL", "execute_tool"),
    ("retrieval", "RETRIEVER", "retrieval"),
    ("agent", "AGENT", "invoke_agent"),
    ("chain", "CHAIN", ""),
    ("embedding", "EMBEDDING", "embeddings"),
    ("guardrail", "GUARDRAIL", ""),
];

/// Fields that have one name, and it is text.
const TEXTS: [(&str, &[&str]); 4] = [
    (model::MODEL, &["gen_ai.request.model"]),
    (model::TOOL, &["gen_ai.tool.name"]),
    (model::USER_ID, &["user.id"]),
    (model::GROUP, &["session.id", "gen_ai.conversation.id"]),
];

/// Fields of the resource.
const OF_RESOURCE: [(&str, &str); 5] = [
    (model::SERVICE, "service.name"),
    (model::VERSION, "service.version"),
    (model::ENVIRONMENT, "deployment.environment.name"),
    (model::RELEASE, "deployment.release"),
    (model::REGION, "cloud.region"),
];

/// Fields that stand elsewhere in the message, or are worked out from others.
const ELSEWHERE: [&str; 18] = [
    model::COST,
    model::COST_SOURCE,
    model::COST_UNKNOWN,
    model::DIALECT,
    model::KEY_ID,
    model::NAME,
    model::STATUS,
    model::ROOT,
    model::ERROR_MESSAGE,
    model::ATTRIBUTES,
    model::RESOURCE,
    model::ROLLUP,
    "resource_info",
    "scope",
    "status_message",
    "otel_kind",
    "has_error",
    NOT_SENT,
];

/// Attributes of the resource beside those that the sender set.
pub(super) fn resource(doc: DocRef<'_>) -> Vec<(&'static str, DocRef<'_>)> {
    let sent = doc.get(model::RESOURCE).unwrap_or(DocRef::Null);
    OF_RESOURCE
        .iter()
        .filter(|(_, name)| sent.get(name).is_none())
        .filter_map(|(key, name)| {
            let value = doc.get(key).filter(|v| v.as_str().is_some())?;
            Some((*name, value))
        })
        .collect()
}

/// Gives every attribute of the span beside those that the sender set.
pub(super) fn span(row: &StoredRow, mut put: impl FnMut(&str, DocRef<'_>)) {
    let doc = row.doc();
    let sent = doc.get(model::ATTRIBUTES).unwrap_or(DocRef::Null);
    let mut put = |key: &str, value: DocRef<'_>| {
        if sent.get(key).is_none() {
            put(key, value);
        }
    };
    put_ids(row, &mut put);
    for (key, value) in doc.entries().into_iter().flatten().flatten() {
        field(key, value, &mut put);
    }
}

type Give<'a> = dyn FnMut(&str, DocRef<'_>) + 'a;

/// The ids as they were sent, where OTLP has others for them.
fn put_ids(row: &StoredRow, put: &mut Give<'_>) {
    let is_hex = |id: &str, bytes: usize| id.len() == 2 * bytes;
    let (trace, span) = (&*row.core.trace_id, &*row.core.id);
    if exact::<16>(trace).is_none() || !is_hex(trace, 16) {
        put("obsrv.trace_id", DocRef::Str(trace));
    }
    if exact::<8>(span).is_none() {
        put("obsrv.span_id", DocRef::Str(span));
    }
    if let Some(parent) = row.text(model::PARENT_ID).filter(|id| !id.is_empty())
        && exact::<8>(parent).is_none()
    {
        put("obsrv.parent_id", DocRef::Str(parent));
    }
}

fn field(key: &str, value: DocRef<'_>, put: &mut Give<'_>) {
    let texts = TEXTS.iter().find(|(name, _)| *name == key);
    match (key, value) {
        (_, DocRef::Null) | (model::PARENT_ID, DocRef::Str(_)) => {}
        (key, DocRef::Str(_)) if OF_RESOURCE.iter().any(|(name, _)| *name == key) => {}
        (key, _) if ELSEWHERE.contains(&key) => {}
        (model::KIND, DocRef::Str(kind)) => put_kind(kind, put),
        (model::TOKENS, DocRef::Map(_)) => put_tokens(value, put),
        (model::COST_USD, DocRef::F64(_) | DocRef::I64(_)) => put("gen_ai.usage.cost", value),
        (model::TAGS, DocRef::Array(_)) => put("tag.tags", value),
        (model::METADATA, DocRef::Map(_)) if !is_empty(Some(value)) => {
            for (key, value) in value.entries().into_iter().flatten().flatten() {
                put(&format!("metadata.{key}"), value);
            }
        }
        ("input" | "output", _) => put_text(key, value, put),
        _ => match texts {
            Some((_, names)) if value.as_str().is_some() => {
                names.iter().for_each(|name| put(name, value));
            }
            // Such a name has its sender's prefix already.
            _ if key.contains('.') => put(key, value),
            _ => put(&format!("obsrv.{key}"), value),
        },
    }
}

fn put_kind(kind: &str, put: &mut Give<'_>) {
    match KINDS.iter().find(|(name, ..)| *name == kind) {
        Some((_, word, operation)) => {
            put("openinference.span.kind", DocRef::Str(word));
            if !operation.is_empty() {
                put("gen_ai.operation.name", DocRef::Str(operation));
            }
        }
        None => put("obsrv.kind", DocRef::Str(kind)),
    }
}

/// The conventions count what was cached within the input, and what was thought within the output.
fn put_tokens(tokens: DocRef<'_>, put: &mut Give<'_>) {
    let of = |key: &str| tokens.get(key).and_then(DocRef::as_i64);
    let sum = |keys: &[&str]| {
        let found = keys.iter().filter_map(|key| of(key));
        found.reduce(i64::saturating_add)
    };
    let counts = [
        (
            "gen_ai.usage.input_tokens",
            sum(&["input", "cache_read", "cache_write"]),
        ),
        ("gen_ai.usage.output_tokens", sum(&["output", "reasoning"])),
        ("gen_ai.usage.cache_read.input_tokens", of("cache_read")),
        (
            "gen_ai.usage.cache_creation.input_tokens",
            of("cache_write"),
        ),
        ("gen_ai.usage.reasoning.output_tokens", of("reasoning")),
        ("gen_ai.usage.total_tokens", of("total")),
    ];
    for (name, n) in counts {
        if let Some(n) = n {
            put(name, DocRef::I64(n));
        }
    }
    let known = [
        "input",
        "output",
        "cache_read",
        "cache_write",
        "reasoning",
        "total",
    ];
    for (key, value) in tokens.entries().into_iter().flatten().flatten() {
        if !known.contains(&key) || value.as_i64().is_none() {
            put(&format!("obsrv.tokens.{key}"), value);
        }
    }
}

/// What went in or came out: text as it is, anything else as JSON.
fn put_text(key: &str, value: DocRef<'_>, put: &mut Give<'_>) {
    if let DocRef::Str(_) = value {
        put(&format!("{key}.value"), value);
        return;
    }
    let text = doc_json::to_text(value);
    put(&format!("{key}.value"), DocRef::Str(&text));
    put(&format!("{key}.mime_type"), DocRef::Str("application/json"));
}
