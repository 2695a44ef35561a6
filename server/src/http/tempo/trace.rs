//! `GET …/api/traces/{trace}` and `…/api/v2/traces/{trace}`

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use obsrv_engine::engine::TraceRows;
use obsrv_engine::query::{Budget, QueryError};

use super::read::range;
use crate::dialect::otlp_write::{Rows, json_groups, protobuf};
use crate::dialect::theta_read::StoredRow;
use crate::http::access::{Access, TraceRead};
use crate::http::auth::Tenant;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::protobuf::{put_bytes, response};
use crate::http::store::Store;
use crate::http::trace::{check_id, stored_id};
use crate::http::{App, query};
use crate::wire;

/// A trace of version 1 of the API is the spans themselves, of version 2 something around them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Wrapped,
}

pub(super) async fn plain(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    show(&access, app, &place, &headers, (raw, Form::Plain)).await
}

pub(super) async fn wrapped(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    show(&access, app, &place, &headers, (raw, Form::Wrapped)).await
}

async fn show(
    access: &Access<TraceRead>,
    app: Arc<App>,
    place: &InPath,
    headers: &HeaderMap,
    (raw, form): (Option<String>, Form),
) -> Result<Response, ApiError> {
    // Read so that a wrong one is refused; a trace is given whole.
    range(&Params::parse(raw.as_deref().unwrap_or(""))?)?;
    let ids = names(&app, access.tenant(), place.text("trace")).await?;
    let accepted = headers.get(ACCEPT).and_then(|v| v.to_str().ok());
    let is_binary = accepted.is_some_and(|accepted| accepted.contains("protobuf"));
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let spans = spans(&whole(&store, &ids, budget)?)?;
        let spans = store.view().whole(budget).rows(spans)?;
        Ok(if is_binary {
            let spans = protobuf(Rows::Spans, &spans);
            if form == Form::Plain {
                spans
            } else {
                let mut out = Vec::with_capacity(spans.len() + 8);
                put_bytes(&mut out, 1, &spans);
                out
            }
        } else {
            let groups = json_groups(Rows::Spans, &spans);
            let text = match form {
                Form::Plain => format!("{{\"batches\":{groups}}}"),
                Form::Wrapped => format!("{{\"trace\":{{\"resourceSpans\":{groups}}}}}"),
            };
            text.into_bytes()
        })
    })
    .await?;
    if is_binary {
        return Ok(response(StatusCode::OK, body));
    }
    let text = String::from_utf8(body);
    let text = text.map_err(|_| ApiError::new(ErrorCode::Internal, "answer is not utf-8"))?;
    Ok(wire::json_response(text))
}

/// A trace's id as Grafana takes it, which is hex alone: another text as the hex of its bytes.
pub(in crate::http) fn shown_id(id: &str) -> String {
    if id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return id.to_owned();
    }
    id.bytes().map(|b| format!("{b:02x}")).collect()
}

/// The ids that a text in a path can mean, as they are stored, the likeliest first.
pub(in crate::http) async fn names(
    app: &Arc<App>,
    tenant: &Tenant,
    text: &str,
) -> Result<Vec<String>, ApiError> {
    check_id(text)?;
    let mut names = vec![text.to_owned(), text.to_ascii_lowercase()];
    if text.bytes().all(|b| b.is_ascii_hexdigit()) {
        // Tempo leaves out zeros in front.
        names.push(format!("{:0>32}", text.to_ascii_lowercase()));
        names.extend(unhex(text));
    }
    let mut stored: Vec<String> = Vec::new();
    for name in names {
        let name = stored_id(app, tenant, name).await?;
        if !stored.contains(&name) {
            stored.push(name);
        }
    }
    Ok(stored)
}

/// The text whose bytes stand in hex.
fn unhex(hex: &str) -> Option<String> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    String::from_utf8(bytes).ok().filter(|_| rest.is_empty())
}

/// The trace of the first of these ids that there is.
pub(in crate::http) fn whole(
    store: &Store,
    ids: &[String],
    budget: &Budget<'_>,
) -> Result<TraceRows, ApiError> {
    for id in ids {
        if !store.has_trace(id)? {
            continue;
        }
        let rows = store
            .trace_within(id, budget)
            .map_err(|error| match error {
                QueryError::BudgetExceeded { max, .. } => ApiError::new(
                    ErrorCode::QueryTooExpensive,
                    format!("trace too large for one answer max_bytes={max}"),
                ),
                other => other.into(),
            })?;
        if !rows.spans.is_empty() {
            return Ok(rows);
        }
    }
    Err(ApiError::new(ErrorCode::NotFound, "trace not found"))
}

/// Its spans as they are read.
pub(in crate::http) fn spans(rows: &TraceRows) -> Result<Vec<StoredRow>, ApiError> {
    let spans = rows
        .spans
        .iter()
        .map(|row| wire::row_of(&row.core, &row.body));
    spans.collect()
}
