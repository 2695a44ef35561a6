//! `POST /v1/metrics/{metric}/events`: what a metric says of a trace. Neither need be there yet.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::App;
use super::access::{Access, TraceWrite};
use super::error::{ApiError, ErrorCode};
use super::ingest::{self, Stored};
use super::routes::Routes;
use super::trace::check_id;
use crate::dialect::Route;

/// What ends the path of an event: clients put the metric's name before it as it is, slashes included.
const EVENTS: &str = "/events";

pub(super) fn add(routes: &mut Routes) {
    routes
        .post("/v1/metrics/{*metric_events}", TraceWrite, event)
        .says("Take what a metric says of a trace: `/v1/metrics/{metric}/events`.");
}

async fn event(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let metric = path.strip_suffix(EVENTS);
    let metric =
        metric.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "no such metric route"))?;
    check_id(metric)?;
    let route = Route::MetricEvents;
    let stored = ingest::accept(&app, &access, request, route, metric.to_owned()).await?;
    answer(stored)
}

/// What became of a definition or an event.
pub(super) fn answer(stored: Stored) -> Result<Response, ApiError> {
    Ok((StatusCode::CREATED, Json(ingest::single(stored)?)).into_response())
}
