//! What every answer gets: a request id, an error body in the client's language, a count, a line
//! in the log. Logs hold routes, statuses and sizes; never a header or a body, of parameters no value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Uri};

use super::App;
use super::error::{ApiError, ErrorCode, render};
use super::protobuf::CONTENT_TYPE_PROTOBUF;
use super::slow::{self, SlowQuery};
use super::unread;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes request ids: distinct within a process, and between processes but for chance.
#[derive(Debug)]
pub(crate) struct RequestIds {
    seed: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that begin with this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            seed,
            next: AtomicU64::new(1),
        }
    }

    fn next(&self) -> String {
        format!(
            "{:016x}{:08x}",
            self.seed,
            self.next.fetch_add(1, Ordering::Relaxed)
        )
    }
}

/// Whether the request speaks OTLP in its binary form, and so wants its answer in it.
pub(crate) fn is_protobuf(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    [
        CONTENT_TYPE_PROTOBUF,
        "application/protobuf",
        "application/vnd.google.protobuf",
    ]
    .iter()
    .any(|known| essence.eq_ignore_ascii_case(known))
}

/// The route that the table has: some are there with a slash behind them as well.
fn without_slash(route: &str) -> &str {
    let plain = route.strip_suffix('/');
    plain.filter(|plain| !plain.is_empty()).unwrap_or(route)
}

/// Around every handler.
pub(crate) async fn wrap(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = app.clock.mono_ns();
    let request_id = app.request_ids.next();
    let protobuf = is_protobuf(request.headers());
    let is_write = request.method() != Method::GET && request.method() != Method::HEAD;
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(|route| without_slash(route.as_str()));
    let uri = request.uri().clone();
    let (request, unread) = unread::watch(request);
    let (mut response, slow_us) = slow::watched(next.run(request)).await;
    if let Some(unread) = unread {
        let said = response.extensions().get::<ApiError>();
        unread.discard(said.map(|error| error.code)).await;
    }
    if let Some(ran_us) = slow_us {
        note_slow(&app, &request_id, route, &uri, ran_us);
    }
    let error = response.extensions_mut().remove::<ApiError>();
    if let Some(error) = &error {
        let allow = response.headers_mut().remove(http::header::ALLOW);
        response = render(error, protobuf, &request_id);
        if let Some(allow) = allow {
            response.headers_mut().insert(http::header::ALLOW, allow);
        }
    }
    let id = HeaderValue::try_from(&request_id).expect("BUG: request id is not a header value");
    response.headers_mut().insert(REQUEST_ID, id);
    let micros = app.clock.mono_ns().saturating_sub(began) / 1000;
    app.metrics
        .answered(route, is_write, response.status(), micros);
    report(&request_id, route, error.as_ref(), micros);
    response
}

fn note_slow(app: &App, request_id: &str, route: Option<&str>, uri: &Uri, ran_us: u64) {
    let route = route.unwrap_or("other");
    let shape = slow::shape_of(uri);
    tracing::warn!(request_id, route, ran_us, shape, "slow query");
    app.slow.push(SlowQuery {
        at_ns: app.clock.wall_ns(),
        request_id: request_id.to_owned(),
        route: route.to_owned(),
        ran_us,
        shape,
    });
}

fn report(request_id: &str, route: Option<&str>, error: Option<&ApiError>, micros: u64) {
    let route = route.unwrap_or("other");
    let Some(error) = error else {
        tracing::debug!(request_id, route, micros, "answered");
        return;
    };
    let code = error.code.as_str();
    match error.code {
        // These say that obsrv or its disk is at fault; the message names files, not contents.
        ErrorCode::Internal | ErrorCode::Damaged => {
            tracing::error!(
                request_id,
                route,
                code,
                message = error.message,
                micros,
                "failed"
            );
        }
        ErrorCode::Starting
        | ErrorCode::Overloaded
        | ErrorCode::NoSpace
        | ErrorCode::OutcomeUnknown
        | ErrorCode::Closed => tracing::warn!(request_id, route, code, micros, "put off"),
        ErrorCode::Unauthorized
        | ErrorCode::Forbidden
        | ErrorCode::Conflict
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::InvalidRequest
        | ErrorCode::InvalidQuery
        | ErrorCode::InvalidCursor
        | ErrorCode::RateLimited
        | ErrorCode::QuotaExceeded
        | ErrorCode::TooLarge
        | ErrorCode::UnsupportedMedia
        | ErrorCode::QueryTooExpensive
        | ErrorCode::BodyTooSlow
        | ErrorCode::BodyIncomplete => tracing::info!(request_id, route, code, micros, "refused"),
    }
}

/// No route matches.
pub(crate) async fn not_found() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "no such route")
}

/// The route has other methods.
pub(crate) async fn method_not_allowed() -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed, "this route has other methods")
}
