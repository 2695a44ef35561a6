//! Traces, in Jaeger's form and as OTLP.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::engine::TraceRows;
use obsrv_engine::query::Budget;
use obsrv_engine::query::traceql::SearchRequest;
use serde_json::{Value, json};

use super::ask::Asked;
use super::names::classic;
use super::spans::trace;
use super::summaries::Summary;
use crate::dialect::otlp_write::{Rows, json_groups};
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::store::Store;
use crate::http::tempo::{names, spans, whole};
use crate::http::{App, Whole, query};
use crate::wire;

/// Counts the bytes of traces that are held at once.
struct Room<'b, 'a> {
    budget: &'b Budget<'a>,
    held: u64,
}

impl Room<'_, '_> {
    fn add(&mut self, rows: &TraceRows) -> Result<(), ApiError> {
        let bytes: usize = rows.spans.iter().map(|row| row.body.len()).sum();
        self.held = self
            .held
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.held > self.budget.bytes_max {
            let message = format!(
                "traces too large for one answer, ask for fewer max_bytes={}",
                self.budget.bytes_max
            );
            return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
        }
        Ok(())
    }
}

/// The traces that a search finds, whole.
fn found(
    store: &Store,
    asked: &Asked,
    budget: &Budget<'_>,
) -> Result<Vec<(String, TraceRows)>, ApiError> {
    let request = SearchRequest {
        query: &asked.query,
        range: asked.range,
        limit: asked.limit,
        spans_shown: 0,
    };
    let ids = store.view().traceql(&request, budget)?.traces;
    let ids = ids
        .into_iter()
        .map(|found| vec![found.trace_id.to_string()]);
    read(store, ids.collect(), budget)
}

/// Traces by the ids that each may have; those that are not there are left out.
fn read(
    store: &Store,
    ids: Vec<Vec<String>>,
    budget: &Budget<'_>,
) -> Result<Vec<(String, TraceRows)>, ApiError> {
    let mut room = Room { budget, held: 0 };
    let mut traces = Vec::new();
    for names in ids {
        match whole(store, &names, budget) {
            Ok(rows) => {
                room.add(&rows)?;
                let id = rows.spans.first().map(|row| row.core.trace_id.to_string());
                traces.push((id.unwrap_or_default(), rows));
            }
            Err(error) if error.code == ErrorCode::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(traces)
}

fn not_found() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "trace not found")
}

pub(super) async fn search(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let mut ids = Vec::new();
    // No more of them than a URL has parameters.
    for text in params.all("traceID") {
        ids.push(names(&app, access.tenant(), text).await?);
    }
    let asked = Asked::classic(&params, app.clock.wall_ns())?;
    let store = app.core()?.store(access.tenant());
    let traces = query::ask(&app, access.tenant(), move |budget| {
        let found = if ids.is_empty() {
            found(&store, &asked, budget)?
        } else {
            read(&store, ids, budget)?
        };
        let view = store.view();
        let mut whole = view.whole(budget);
        let traces = found
            .iter()
            .map(|(id, rows)| trace(id, &whole.rows(spans(rows)?)?));
        traces.collect::<Result<Vec<Value>, ApiError>>()
    })
    .await?;
    Ok(classic(traces))
}

pub(super) async fn one(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let ids = names(&app, access.tenant(), place.text("trace")).await?;
    let store = app.core()?.store(access.tenant());
    let shown = query::ask(&app, access.tenant(), move |budget| {
        let found = read(&store, vec![ids], budget)?;
        let (id, rows) = found.first().ok_or_else(not_found)?;
        trace(id, &store.view().whole(budget).rows(spans(rows)?)?)
    })
    .await?;
    Ok(classic(vec![shown]))
}

fn otlp(found: &[(String, TraceRows)], whole: &mut Whole<'_>) -> Result<String, ApiError> {
    let mut all = Vec::new();
    for (_, rows) in found {
        all.extend(whole.rows(spans(rows)?)?);
    }
    let groups = json_groups(Rows::Spans, &all);
    Ok(format!("{{\"result\":{{\"resourceSpans\":{groups}}}}}"))
}

pub(super) async fn search_v3(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let asked = Asked::v3(&params)?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view();
        otlp(&found(&store, &asked, budget)?, &mut view.whole(budget))
    })
    .await?;
    Ok(wire::json_response(body))
}

pub(super) async fn summaries_v3(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let asked = Asked::v3(&params)?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let found = found(&store, &asked, budget)?;
        let all = found
            .iter()
            .map(|(id, rows)| Ok(Summary::of(id, &spans(rows)?)));
        let all = all.collect::<Result<Vec<Summary>, ApiError>>()?;
        Ok(json!({ "summaries": all }).to_string())
    })
    .await?;
    Ok(wire::json_response(body))
}

pub(super) async fn one_v3(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let ids = names(&app, access.tenant(), place.text("trace")).await?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let found = read(&store, vec![ids], budget)?;
        if found.is_empty() {
            return Err(not_found());
        }
        let view = store.view();
        otlp(&found, &mut view.whole(budget))
    })
    .await?;
    Ok(wire::json_response(body))
}
