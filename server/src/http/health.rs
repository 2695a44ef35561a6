//! `GET /live` and `GET /ready`. Both without a key: they say nothing about anyone's data.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::access::{Access, Public};
use super::{App, Phase};

/// The process runs and answers.
pub(crate) async fn live(_: Access<Public>) -> Response {
    Json(json!({ "status": "live" })).into_response()
}

/// 200 if writes are taken, 503 with the phase if not.
pub(crate) async fn ready(_: Access<Public>, State(app): State<Arc<App>>) -> Response {
    let phase = app.phase();
    let status = if phase == Phase::Ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    // What a gate refuses is refused for a moment, and what is stored can be asked: that is no reason to send
    // requests elsewhere, so the status is the phase's alone.
    let mut said = json!({ "status": phase.as_str() });
    if let Ok(core) = app.core() {
        said["gates"] = json!({ "merges": core.engine().pressure().as_str() });
        if let Some(cause) = core.engine().unreadable() {
            said["cause"] = cause.into();
        }
    }
    (status, Json(said)).into_response()
}
