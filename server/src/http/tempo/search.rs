//! `GET …/api/search`

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::query::traceql::ast::{Cmp, Expr, Field, Intrinsic, Query, Spans, Stage, Static};
use obsrv_engine::query::traceql::{
    PATTERNS_MAX, SPANS_SHOWN_MAX, SearchRequest, SpanFound, SpanSet, TRACES_LISTED_MAX, TraceFound,
};
use serde_json::{Value, json};

use super::read::{length, query, range, up_to};
use super::said::{all, any, entry, name_of};
use super::trace::shown_id;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::{App, query as ask};
use crate::limits::{TEMPO_SPANS_DEFAULT, TEMPO_TRACES_DEFAULT};
use crate::wire;

pub(super) async fn search(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let asked = asked(&params)?;
    let range = range(&params)?;
    let limit = up_to(&params, "limit", TEMPO_TRACES_DEFAULT, TRACES_LISTED_MAX)?;
    if limit == 0 {
        return Err(ApiError::parameter("limit", "not a number above 0"));
    }
    let spans_shown = match up_to(&params, "spss", TEMPO_SPANS_DEFAULT, SPANS_SHOWN_MAX)? {
        0 => SPANS_SHOWN_MAX,
        n => n,
    };
    let store = app.core()?.store(access.tenant());
    let body = ask::ask(&app, access.tenant(), move |budget| {
        let request = SearchRequest {
            query: &asked,
            range,
            limit,
            spans_shown,
        };
        let found = store.view().traceql(&request, budget)?;
        let traces: Vec<Value> = found.traces.iter().map(trace).collect();
        Ok(json!({
            "traces": traces,
            "metrics": {
                "inspectedTraces": found.looked_at,
                "inspectedBytes": found.explain.bytes_read.to_string(),
                "inspectedSpans": found.explain.rows_visited.to_string(),
                "totalBlocks": found.explain.groups,
                "completedJobs": 1,
                "totalJobs": 1,
            },
        })
        .to_string())
    })
    .await?;
    Ok(wire::json_response(body))
}

/// What is asked, in either form.
fn asked(params: &Params) -> Result<Query, ApiError> {
    let mut parts = Vec::new();
    if let Some(text) = params.one("tags")? {
        tags(text, &mut parts)?;
    }
    for (name, cmp) in [("minDuration", Cmp::Ge), ("maxDuration", Cmp::Le)] {
        if let Some(text) = params.one(name)? {
            let ns = Static::Duration(length(name, text)?);
            let field = Expr::Field(Field::Intrinsic(Intrinsic::TraceDuration));
            parts.push(compare(cmp, field, ns));
        }
    }
    match params.one("q")? {
        Some(_) if !parts.is_empty() => {
            let message = "can't specify tags and q in the same query";
            Err(ApiError::parameter("q", message))
        }
        Some(text) => query("q", text),
        None if parts.is_empty() => query("q", "{}"),
        None => Ok(Query {
            selectors: vec![Expr::And(parts)],
            stages: vec![Stage::Spans(Spans::Selector(0))],
            metrics: None,
            hints: Vec::new(),
        }),
    }
}

fn compare(cmp: Cmp, field: Expr, value: Static) -> Expr {
    Expr::Compare(cmp, Box::new(field), Box::new(Expr::Static(value)))
}

/// `key=value key2="a value"`: a part of a text with case ignored, or the number or bool.
fn tags(text: &str, parts: &mut Vec<Expr>) -> Result<(), ApiError> {
    let wrong = |message: &str| ApiError::parameter("tags", message.to_owned());
    let mut rest = text.trim_start();
    let mut count = 0;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(|| wrong("not key=value"))?;
        let (value, after) = match after.strip_prefix('"') {
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
            Some(quoted) => quoted
                .split_once('"')
                .ok_or_else(|| wrong("quote not closed"))?,
        };
        rest = after.trim_start();
        count += 1;
        if count > PATTERNS_MAX {
            return Err(wrong(&format!("too many tags max={PATTERNS_MAX}")));
        }
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(wrong("not key=value"));
        }
        let field = || match key {
            "name" => Expr::Field(Field::Intrinsic(Intrinsic::Name)),
            "status.message" => Expr::Field(Field::Intrinsic(Intrinsic::StatusMessage)),
            key => Expr::Field(Field::Any(key.into())),
        };
        let pattern = format!("(?is).*{}.*", escaped(value));
        let mut some = vec![compare(Cmp::Match, field(), Static::Str(pattern.into()))];
        let number = value.parse::<f64>().ok().filter(|x| x.is_finite());
        some.extend(number.map(|x| compare(Cmp::Eq, field(), Static::Float(x))));
        let bool = value.parse::<bool>().ok();
        some.extend(bool.map(|b| compare(Cmp::Eq, field(), Static::Bool(b))));
        parts.push(Expr::Or(some));
    }
    Ok(())
}

/// A text in a regular expression.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // With a backslash the two others are borders of words.
        if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn trace(found: &TraceFound) -> Value {
    let sets: Vec<Value> = found.sets.iter().map(set).collect();
    let duration_ms = found.duration_ns.map_or(0, |ns| ns.max(0) / 1_000_000);
    let mut shown = json!({
        "traceID": shown_id(&found.trace_id),
        "rootServiceName": found.root_service.as_deref().unwrap_or(""),
        "rootTraceName": found.root_name.as_deref().unwrap_or("<root span not yet received>"),
        "startTimeUnixNano": found.start_ns.to_string(),
        "durationMs": u32::try_from(duration_ms).unwrap_or(u32::MAX),
    });
    // Older clients read the first alone.
    shown["spanSet"] = sets.first().cloned().unwrap_or(Value::Null);
    shown["spanSets"] = Value::Array(sets);
    shown
}

fn set(found: &SpanSet) -> Value {
    let says = found
        .says
        .iter()
        .map(|(name, value)| entry(name, any(value.as_ref())));
    json!({
        "spans": found.spans.iter().map(span).collect::<Vec<Value>>(),
        "matched": u32::try_from(found.matched).unwrap_or(u32::MAX),
        "attributes": says.collect::<Vec<Value>>(),
    })
}

fn span(found: &SpanFound) -> Value {
    let fields = found
        .fields
        .iter()
        .map(|(field, values)| entry(&name_of(field), all(values)));
    json!({
        "spanID": found.id,
        "name": found.name.as_deref().unwrap_or(""),
        "startTimeUnixNano": found.start_ns.to_string(),
        "durationNanos": found.duration_ns.unwrap_or(0).max(0).to_string(),
        "attributes": fields.collect::<Vec<Value>>(),
    })
}
