//! Where the fields of a row come from: `origins` of a span, `GET …/logs/{log}/origins`, `GET …/points/{point}/origins`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, QueryError, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use schemars::JsonSchema;
use serde::Serialize;

use super::list::json;
use super::path;
use super::preview::whole;
use super::trace::trace_id;
use crate::dialect::origin::{Fields, Origins, origins, origins_read};
use crate::dialect::theta_read::{StoredRow, talk};
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::routes::Routes;
use crate::http::whole::named;
use crate::http::{App, query};
use crate::wire;

/// Where the fields of a log line or a metric point come from.
#[derive(Debug, Serialize, JsonSchema)]
struct OfRow {
    /// Of each field that was found in what was sent: the paths of the values in the row that it comes from.
    origins: Origins,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/logs/{log}/origins"), TraceRead, log)
        .says("Which of the values that were sent each field of a log line comes from.")
        .gives::<OfRow>();
    routes
        .get(&path("/points/{point}/origins"), TraceRead, point)
        .says("Which of the values that were sent each field of a metric point comes from.")
        .gives::<OfRow>();
}

async fn log(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let id = trace_id(&place, "log")?;
    show(access, app, (Table::Logs, id)).await
}

async fn point(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let id = trace_id(&place, "point")?;
    show(access, app, (Table::Points, id)).await
}

async fn show(
    access: Access<TraceRead>,
    app: Arc<App>,
    (table, id): (Table, String),
) -> Result<Response, ApiError> {
    let store = app.core()?.store(access.tenant());
    let body = query::ask_heavy(&app, access.tenant(), move |budget| {
        let filter = Filter::Is(Column::Id, Test::Eq(Literal::Str(id)));
        let page = store
            .view()
            .search(table, &Request::new(filter, 1), budget)?;
        let none = || ApiError::new(ErrorCode::NotFound, "no such row");
        let hit = page.hits.first().ok_or_else(none)?;
        let row = wire::row_of(&hit.core, &hit.body)?;
        let origins = origins(table, row.doc(), budget.cancelled).ok_or(QueryError::Cancelled)?;
        json(&OfRow { origins })
    })
    .await?;
    Ok(wire::json_response(body))
}

/// Where the fields of a span come from, and what is made of it when it is read.
pub(super) fn origins_of_span(row: &StoredRow, budget: &Budget<'_>) -> Result<Origins, ApiError> {
    let is_over = budget.cancelled;
    let mut found = origins(Table::Spans, row.doc(), is_over).ok_or(QueryError::Cancelled)?;
    let make = |view: Vec<u8>| {
        made_of(&StoredRow {
            core: row.core.clone(),
            view: view.into(),
        })
    };
    found.extend(origins_read(&row.view, &make, is_over).ok_or(QueryError::Cancelled)?);
    Ok(found)
}

/// What is made of a span when it is read.
fn made_of(row: &StoredRow) -> Fields {
    let talk = talk(&named(row.clone()));
    let talk = DocRef::parse(&talk).unwrap_or(DocRef::Null);
    let (input, output) = whole(row.doc());
    let parts = [
        ("input", input),
        ("output", output),
        ("messages", talk.get("messages")),
        ("tool_calls", talk.get("tool_calls")),
    ];
    let made = parts.into_iter().filter_map(|(key, value)| {
        let mut out = DocWriter::new();
        out.value(value?);
        Some((key.to_owned(), out.finish()))
    });
    made.collect()
}
