//! `GET /debug/status`, on the admin socket alone: what an operator looks at first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use obsrv_engine::engine::slow_from;
use serde_json::{Map, Value, json};

use super::error::{ApiError, ErrorCode};
use super::metrics::{gates, of_engine};
use super::query::places::{Gauges, Refused};
use super::{App, Core};
use crate::limits::SLOW_QUERY_TIME;
use crate::machine::resident_bytes;

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
            "classes": app.queries.gauges().iter().map(class_of).collect::<Vec<_>>(),
            "slow_ms": SLOW_QUERY_TIME.as_millis(),
            "slow": app.slow.all(),
        },
    });
    if let Some(core) = app.core.get() {
        status["engine"] = engine_of(core);
        status["gates"] = gates_of(app, core);
        let (projects, keys) = core.directory().counts();
        status["projects"] = projects.into();
        status["keys"] = keys.into();
    }
    status
}

fn class_of(gauges: &Gauges) -> Value {
    let refused = Refused::REASONS.iter().zip(gauges.refused);
    let refused: Map<String, Value> = refused
        .map(|(why, count)| ((*why).to_owned(), count.into()))
        .collect();
    json!({
        "class": gauges.class.as_str(),
        "running": gauges.running,
        "running_max": gauges.bounds.running,
        "waiting": gauges.waiting,
        "waiting_max": gauges.bounds.waiting,
        "waiting_per_project_max": gauges.bounds.waiting_per_project,
        "refused": refused,
    })
}

/// What refuses ingest, and how often it did.
fn gates_of(app: &App, core: &Core) -> Value {
    let stats = core.stats();
    let refused: Map<String, Value> = gates(app, &stats)
        .map(|(gate, count)| (gate.to_owned(), count.into()))
        .collect();
    json!({
        "refused": refused,
        "merges": {
            "state": core.engine.pressure().as_str(),
            "waiting": stats.fresh_segments,
            "slow_from": slow_from(core.engine.fresh_max()),
            "refused_from": core.engine.fresh_max(),
        },
    })
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
        "unreadable": core.engine.unreadable(),
    })
}
