//! `GET` and `DELETE /v1/traces/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::access::{Access, TraceDelete, TraceRead};
use super::answers::{HiddenShown, Receipt};
use super::auth::Tenant;
use super::error::{ApiError, ErrorCode};
use super::{App, Core};
use super::{governance, ingest, query, usage};
use crate::blob::key::Owner;
use crate::blob::sweep;
use crate::control::{AuditAction, AuditNote};
use crate::limits::TRACE_ID_BYTES_MAX;
use crate::wire;
use obsrv_engine::engine::Hidden;
use obsrv_engine::query::QueryError;

/// What is told of a deleted trace.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TraceDeleted {
    /// Its id, as it was stored.
    trace_id: String,
    /// True also if there was none.
    deleted: bool,
    /// What was hidden.
    hidden: HiddenShown,
    /// The record of it; none if there was no such trace.
    receipt: Receipt,
}

/// Refuses ids that no trace can have.
pub(crate) fn check_id(trace_id: &str) -> Result<(), ApiError> {
    if trace_id.is_empty() || trace_id.len() > TRACE_ID_BYTES_MAX {
        let message = format!("trace id is empty or too long max_bytes={TRACE_ID_BYTES_MAX}");
        return Err(ApiError::parameter("id", message));
    }
    Ok(())
}

/// The id under which redaction has stored a trace.
pub(crate) async fn stored_id(
    app: &Arc<App>,
    tenant: &Tenant,
    trace_id: String,
) -> Result<String, ApiError> {
    let redactor = governance::redactor_of(app, tenant).await?;
    Ok(redactor.map_or_else(|| trace_id.clone(), |r| r.id(&trace_id).into_owned()))
}

/// The whole trace.
pub(crate) async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    Path(trace_id): Path<String>,
) -> Result<Response, ApiError> {
    usage::admit_query(&app, access.tenant())?;
    check_id(&trace_id)?;
    let trace_id = stored_id(&app, access.tenant(), trace_id).await?;
    let store = app.core()?.store(access.tenant());
    let body = query::run(&app, access.tenant().project(), move |budget| {
        let rows = store
            .trace_within(&trace_id, budget)
            .map_err(|error| match error {
                QueryError::BudgetExceeded { max, .. } => ApiError::new(
                    ErrorCode::QueryTooExpensive,
                    format!("trace too large for one answer max_bytes={max}"),
                ),
                other => other.into(),
            })?;
        let view = store.view();
        let mut whole = view.whole(budget);
        wire::trace(access.tenant().project_name(), &rows, &mut whole)?
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "no such trace"))
    })
    .await?;
    Ok(wire::json_response(body))
}

/// Deletes every row of a trace. 200 also when there was none: the wish is fulfilled.
pub(crate) async fn delete(
    access: Access<TraceDelete>,
    State(app): State<Arc<App>>,
    Path(trace_id): Path<String>,
) -> Result<Response, ApiError> {
    delete_one(&access, &app, trace_id).await
}

/// The same for every route that deletes one.
pub(crate) async fn delete_one(
    access: &Access<TraceDelete>,
    app: &Arc<App>,
    trace_id: String,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    check_id(&trace_id)?;
    // The audit log, too, has only what the rules leave of it.
    let trace_id = stored_id(app, access.tenant(), trace_id).await?;
    let store = core.store(access.tenant());
    let deleted = |place, hidden: Hidden| TraceDeleted {
        trace_id: trace_id.clone(),
        deleted: true,
        hidden: hidden.into(),
        receipt: Receipt::of(place),
    };
    let (there, sought) = (store.clone(), trace_id.clone());
    // Deletes of what never was would fill the audit log, which only grows.
    let project = access.tenant().project();
    let is_there = query::run(app, project, move |_| Ok(there.has_trace(&sought)?)).await?;
    if !is_there {
        forget_blobs(core, access.tenant(), &trace_id).await;
        return Ok(Json(deleted(None, Hidden::default())).into_response());
    }
    let note = AuditNote {
        action: AuditAction::TraceDeleted,
        org: Some(access.tenant().org()),
        project: Some(access.tenant().project().0),
        subject: trace_id.clone(),
    };
    // Before it is done: no delete is without its record.
    let place = core.plane().note_placed(access.by().actor, note).await?;
    let (done, outcome) = ingest::outcome();
    store.delete_trace(&trace_id, done);
    let hidden = ingest::wait(core.engine(), outcome).await?.hidden;
    forget_blobs(core, access.tenant(), &trace_id).await;
    Ok(Json(deleted(place, hidden)).into_response())
}

/// Removes the files of a deleted trace. Nobody can read them any more; what cannot be removed now, the sweep
/// removes.
async fn forget_blobs(core: &Core, tenant: &Tenant, trace_id: &str) {
    let Some(owner) = Owner::new(tenant.project(), trace_id) else {
        return;
    };
    let Ok(blobs) = core.blobs() else { return };
    if let Err(error) = sweep::forget(blobs, core.engine(), owner).await {
        tracing::warn!(%error, "files of a deleted trace not removed yet");
    }
}
