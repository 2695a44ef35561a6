//! OTLP over HTTP: the three signals, at every address that SDKs have built in.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::access::{Access, TraceWrite};
use super::error::ApiError;
use super::ingest::{self, Stored};
use super::routes::Routes;
use super::{App, protobuf, theta_metrics, traces};
use crate::dialect::{Dialect, Route};

/// What stands before `/traces`, `/logs` and `/metrics`. Those after the first are built into SDKs that
/// are made for other products.
pub(super) const PREFIXES: [&str; 6] = [
    "/v1",
    "/otlp/v1",
    "/api/public/otel/v1",
    "/otel/v1",
    "/api/v1/private/otel/v1",
    "/api/otel/v1",
];

/// The first address of the signal that a route takes.
pub(super) fn signal_of(route: &str) -> Option<&'static str> {
    if route == "/v1/otel-steps" {
        return Some("/v1/traces");
    }
    let mut signals = PREFIXES
        .iter()
        .filter_map(|prefix| route.strip_prefix(prefix));
    match signals.next()? {
        "/traces" => Some("/v1/traces"),
        "/logs" => Some("/v1/logs"),
        "/metrics" => Some("/v1/metrics"),
        _ => None,
    }
}

/// Most of the refusals that are spelled out in an answer.
const REASONS_MAX: usize = 3;

/// Every address of the three signals.
pub(super) fn add(routes: &mut Routes) {
    for prefix in PREFIXES {
        routes
            .post(&format!("{prefix}/traces"), TraceWrite, traces::ingest)
            .says("Take spans over OTLP, or one trace.");
        routes
            .post(&format!("{prefix}/logs"), TraceWrite, logs)
            .says("Take log records over OTLP.");
        routes
            .post(&format!("{prefix}/metrics"), TraceWrite, metrics)
            .says("Take metric points over OTLP, or the definition of a metric.");
    }
    routes
        .post("/v1/otel-steps", TraceWrite, traces::ingest)
        .says("Take spans over OTLP, from LiteLLM.");
}

/// Takes log records.
async fn logs(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored = ingest::accept(&app, &access, request, Route::Logs, String::new()).await?;
    Ok(answer(&stored))
}

/// Takes metric points, or the definition of a theta metric.
async fn metrics(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let stored = ingest::accept(&app, &access, request, Route::Metrics, String::new()).await?;
    if stored.dialect == Dialect::ThetaMetric {
        return theta_metrics::answer(stored);
    }
    Ok(answer(&stored))
}

/// An export response, in the form in which the request came.
pub(super) fn answer(stored: &Stored) -> Response {
    let name = match stored.dialect {
        Dialect::OtlpProtobuf | Dialect::OtlpLogsProtobuf | Dialect::OtlpMetricsProtobuf => {
            let body = protobuf::export_response(stored.rejected(), &reasons(stored));
            return protobuf::response(StatusCode::OK, body);
        }
        Dialect::OtlpLogsJson => "rejectedLogRecords",
        Dialect::OtlpMetricsJson => "rejectedDataPoints",
        _ => "rejectedSpans",
    };
    let mut partial = json!({});
    if stored.rejected() > 0 {
        // 64-bit integers are strings in OTLP JSON.
        partial[name] = stored.rejected().to_string().into();
        partial["errorMessage"] = reasons(stored).into();
    }
    Json(json!({ "partialSuccess": partial })).into_response()
}

/// Why the first items were refused, each named, and how many more.
pub(crate) fn reasons(stored: &Stored) -> String {
    let refused = stored.items.iter().filter_map(|item| item.error.clone());
    let mut said: Vec<String> = refused.take(REASONS_MAX).collect();
    let more = stored
        .rejected()
        .saturating_sub(u64::try_from(said.len()).unwrap_or(0));
    if more > 0 {
        said.push(format!("and {more} more"));
    }
    said.join("; ")
}
