//! `GET /debug/status`, on the admin socket alone: what an operator looks at first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::error::{ApiError, ErrorCode};
use super::metrics::of_engine;
use super::{App, Core};
use crate::limits::{QUERIES_MAX, SLOW_QUERY_TIME};

/// Off the network thread, as the metrics are.
pub(crate) async fn show(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let status = tokio::task::spawn_blocking(move || status_of(&app));
    let status = status
        .await
        .map_err(|_| ApiError::new(ErrorCode::Internal, "status does not read"))?;
    Ok(Json(status).into_response())
}

fn status_of(app: &App) -> Value {
    let now = app.clock.mono_ns();
    let mut status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "status": app.phase().as_str(),
        "uptime_seconds": now.saturating_sub(app.began_ns) / 1_000_000_000,
        "resident_bytes": resident_bytes(),
        "bodies_in_flight_bytes": app.admission.held_bytes(),
        "queries": {
            "running": QUERIES_MAX.saturating_sub(app.queries.available_permits()),
            "running_max": QUERIES_MAX,
            "slow_ms": SLOW_QUERY_TIME.as_millis(),
            "slow": app.slow.all(),
        },
    });
    if let Some(core) = app.core.get() {
        status["engine"] = engine_of(core);
        let (projects, keys) = core.directory().counts();
        status["projects"] = projects.into();
        status["keys"] = keys.into();
    }
    status
}

fn engine_of(core: &Core) -> Value {
    let stats = core.stats();
    let counts: Map<String, Value> = of_engine(&stats)
        .map(|(name, _, value)| (name.to_owned(), value.into()))
        .collect();
    let damaged = core.engine.damaged();
    let damaged = damaged
        .into_iter()
        .map(|(segment, what)| json!({ "segment": segment, "what": what }));
    let commits = core.engine.commits();
    json!({
        "counts": counts,
        "commits": { "begun": commits.begun, "ended": commits.ended },
        "damaged": damaged.collect::<Vec<_>>(),
        "failure": core.engine.failure(),
    })
}

/// Pages of the process in memory; none where the system does not tell.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    pages.checked_mul(page)
}
