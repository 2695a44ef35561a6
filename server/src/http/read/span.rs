//! `GET …/traces/{trace}/spans/{span}`: everything that is stored of a span.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use obsrv_engine::query::Budget;
use obsrv_engine::row::Table;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::check_known;
use super::list::json;
use super::origins::origins_of_span;
use super::path;
use super::preview::whole;
use super::shape::{Raw, SpanShown, raw};
use super::trace::trace_id;
use crate::dialect::origin::Origins;
use crate::dialect::theta_read::talk;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::whole::named;
use crate::http::{App, query};
use crate::wire;

/// A span with everything that is stored of it.
#[derive(Debug, Serialize, JsonSchema)]
struct FullSpan<'a> {
    #[serde(flatten)]
    span: SpanShown<'a>,
    #[schemars(with = "serde_json::Value")]
    input: Option<Raw>,
    #[schemars(with = "serde_json::Value")]
    output: Option<Raw>,
    /// Messages of a model call, whatever protocol they came by: `role`, `content` (parts), `tool_calls`.
    #[schemars(with = "Vec<serde_json::Value>")]
    messages: Option<Raw>,
    /// `id`, `name`, `arguments`, `result`.
    #[schemars(with = "Vec<serde_json::Value>")]
    tool_calls: Option<Raw>,
    #[schemars(with = "serde_json::Value")]
    attributes: Option<Raw>,
    #[schemars(with = "Vec<serde_json::Value>")]
    events: Option<Raw>,
    #[schemars(with = "Vec<serde_json::Value>")]
    links: Option<Raw>,
    #[schemars(with = "serde_json::Value")]
    resource: Option<Raw>,
    #[schemars(with = "serde_json::Value")]
    scope: Option<Raw>,
    /// Of each field that was found in what was sent: the paths of the values in `raw` that it comes from. Only with `origins`.
    #[serde(skip_serializing_if = "Option::is_none")]
    origins: Option<Origins>,
    /// The document as it is stored.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    raw: Raw,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/traces/{trace}/spans/{span}"), TraceRead, show)
        .says("Everything that is stored of a span.")
        .asks(
            "media",
            "`inline` gives values as they were sent, with media that is kept as attachments; `reference` names the attachment in its place; `inline` if not given",
        )
        .asks(
            "origins",
            "`true` says of each field which of the values that were sent it comes from",
        )
        .gives::<FullSpan<'_>>();
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(asked): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(asked.as_deref().unwrap_or(""))?;
    check_known(&params, &["media", "origins"])?;
    let asks_origins = params.flag("origins")?;
    let is_whole = match params.one("media")? {
        None | Some("inline") => true,
        Some("reference") => false,
        Some(_) => return Err(ApiError::parameter("media", "not of inline, reference")),
    };
    let trace_id = trace_id(&place, "trace")?;
    let span_id = super::trace::trace_id(&place, "span")?;
    let store = app.core()?.store(access.tenant());
    let work = move |budget: &Budget<'_>| {
        let view = store.view();
        let found = view.row(Table::Spans, (&trace_id, &span_id))?;
        let found = found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "no such span"))?;
        let mut row = wire::row_of(&found.core, &found.body)?;
        if is_whole {
            row = view.whole(budget).row(row)?;
        }
        let doc = row.doc();
        // Turns are held against each other by their messages.
        let talk = talk(&named(row.clone()));
        let talk = DocRef::parse(&talk).unwrap_or(DocRef::Null);
        let (input, output) = whole(doc);
        let found = if asks_origins {
            Some(origins_of_span(&row, budget)?)
        } else {
            None
        };
        json(&FullSpan {
            span: SpanShown::of(&row),
            input: input.map(raw),
            output: output.map(raw),
            messages: talk.get("messages").map(raw),
            tool_calls: talk.get("tool_calls").map(raw),
            attributes: doc.get(model::ATTRIBUTES).map(raw),
            events: doc.get("events").map(raw),
            links: doc.get("links").map(raw),
            resource: doc.get(model::RESOURCE).map(raw),
            scope: doc.get("scope").map(raw),
            origins: found,
            raw: raw(doc),
        })
    };
    let body = if asks_origins {
        query::ask_heavy(&app, access.tenant(), work).await?
    } else {
        query::ask(&app, access.tenant(), work).await?
    };
    Ok(wire::json_response(body))
}
