//! Definitions of metrics, and what they said of a trace → rows of the scores table.
//!
//! Neither has an id. A definition is known by its name, the latest stands. An event is named by what it
//! says (metric, trace, verdict, score, label and any unknown keys), as annotations are.

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model;
use obsrv_engine::row::{Event, RowKey, Table, outside_traces};
use xxhash_rust::xxh3::xxh3_128;

use super::check::{self, Want, check_id};
use super::{Build, object, parse};
use crate::dialect::bad::Bad;
use crate::dialect::{Context, DecodeError, Decoded, ID_BYTES_MAX, JSON_DEPTH_MAX, json};

/// What definitions are clustered with.
const DEFINITIONS: &str = "metrics";

const DEFINITION: [(&str, Want); 5] = [
    ("name", Want::Id),
    ("type", Want::Text),
    ("project_id", Want::Text),
    ("evaluator_prompt", Want::Text),
    ("description", Want::Text),
];
const EVENT: [(&str, Want); 3] = [
    ("trace_id", Want::Id),
    ("score", Want::Number),
    ("label", Want::Text),
];

/// The definition of a metric.
pub(in crate::dialect) fn decode_definition(
    ctx: &Context<'_>,
    body: &[u8],
) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX)?;
    let doc = object(parse(&doc))?;
    let mut build = Build::new(ctx);
    build.name_project(doc);
    let name = check::check(doc, &DEFINITION).and_then(|()| name_of(doc, "name"));
    match name {
        Err(bad) => build.refuse(0, "metric", None, &bad),
        Ok(name) => {
            let content = document(doc, "metric_definition", None);
            let key = RowKey {
                trace_id: outside_traces(DEFINITIONS).into(),
                id: name.into(),
            };
            let version = u64::try_from(ctx.received_ns).unwrap_or(0);
            build.decoded.events.push(event(ctx, key, version, content));
            build.accept(0, "metric", None, Some(name.to_owned()));
        }
    }
    Ok(build.decoded)
}

/// What the metric that the path names says of a trace.
pub(in crate::dialect) fn decode_event(
    ctx: &Context<'_>,
    body: &[u8],
) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX)?;
    let doc = object(parse(&doc))?;
    let mut build = Build::new(ctx);
    let checked = check_id("metric", ctx.subject)
        .and_then(|()| check::check(doc, &EVENT))
        .and_then(|()| check_passed(doc))
        .and_then(|()| name_of(doc, "trace_id"));
    match checked {
        Err(bad) => build.refuse(0, "metric_event", None, &bad),
        Ok(trace_id) => {
            let content = document(doc, "metric_event", Some(ctx.subject));
            let mut named = trace_id.as_bytes().to_vec();
            named.push(0);
            named.extend_from_slice(&content);
            let id = format!("me_{:032x}", xxh3_128(&named));
            let key = RowKey {
                trace_id: trace_id.into(),
                id: id.as_str().into(),
            };
            // The first arrival stays.
            let version = u64::MAX - u64::try_from(ctx.received_ns).unwrap_or(0);
            build.decoded.events.push(event(ctx, key, version, content));
            build.accept(0, "metric_event", Some(trace_id.to_owned()), Some(id));
        }
    }
    Ok(build.decoded)
}

fn name_of<'a>(doc: DocRef<'a>, key: &str) -> Result<&'a str, Bad> {
    let name = doc.get(key).and_then(DocRef::as_str).unwrap_or("");
    if name.is_empty() {
        return Err(Bad::new(key, "missing"));
    }
    if name.len() > ID_BYTES_MAX {
        let problem = format!("too long limit={ID_BYTES_MAX} bytes={}", name.len());
        return Err(Bad::new(key, problem));
    }
    Ok(name)
}

fn check_passed(doc: DocRef<'_>) -> Result<(), Bad> {
    match doc.get("passed") {
        None | Some(DocRef::Null | DocRef::Bool(_)) => Ok(()),
        Some(_) => Err(Bad::new("passed", "expected true or false")),
    }
}

fn document(doc: DocRef<'_>, kind: &str, metric: Option<&str>) -> Vec<u8> {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for (key, value) in [
        (model::DIALECT, Some("theta")),
        (model::KIND, Some(kind)),
        (model::NAME, metric),
    ] {
        if let Some(value) = value {
            out.key(key);
            out.str(value);
        }
    }
    for (key, value) in doc.entries().into_iter().flatten().flatten() {
        let is_ours = [model::DIALECT, model::KIND, "trace_id"].contains(&key);
        if value != DocRef::Null && !is_ours && (metric.is_none() || key != model::NAME) {
            out.key(key);
            out.value(value);
        }
    }
    out.end(open);
    out.finish()
}

fn event(ctx: &Context<'_>, key: RowKey, version: u64, content: Vec<u8>) -> Event {
    Event {
        table: Table::Scores,
        key,
        start_ns: Some(ctx.received_ns),
        end_ns: None,
        version,
        partial: false,
        doc: Bytes::from(content),
    }
}
