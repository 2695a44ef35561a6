//! `DELETE …/blobs/{blob}`: one attachment of a trace, in the audit log before it is done.
//!
//! The trace's lock is held alone, so no upload refers to the bytes meanwhile. First it is durable that the run has them no
//! more, then they go; what cannot be removed now, the sweep removes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::shown::held;
use super::take::{busy, owner, refer};
use super::{no_such_blob, trace_of};
use crate::blob::reference::Removal;
use crate::blob::sweep;
use crate::control::{AuditAction, AuditNote};
use crate::http::access::{Access, TraceDelete};
use crate::http::error::ApiError;
use crate::http::input::InPath;
use crate::http::trace::stored_id;
use crate::http::{App, query};

/// What was removed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Removed {
    id: String,
    trace_id: String,
    /// Always true.
    deleted: bool,
}

pub(super) async fn remove(
    access: Access<TraceDelete>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Json<Removed>, ApiError> {
    let (core, tenant) = (app.core()?, access.tenant());
    let trace_id = stored_id(&app, tenant, trace_of(&place)?).await?;
    let name = place.text("blob").to_owned();
    let (blobs, owner) = (core.blobs()?, owner(tenant, &trace_id)?);
    let id = {
        let alone = blobs.lone_lock(&owner).await.ok_or_else(busy)?;
        let (store, asked) = (core.store(tenant), trace_id.clone());
        let known = query::run(&app, tenant.project(), move |_| held(&store, &asked)).await?;
        let known = known.unwrap_or_default();
        let found = known.known.iter().find(|one| one.is_called(&name));
        let found = found.ok_or_else(no_such_blob)?;
        let said = AuditNote {
            action: AuditAction::BlobDeleted,
            org: Some(tenant.org()),
            project: Some(tenant.project().0),
            subject: format!("{trace_id}/{}", found.id),
        };
        // Before it is done: no delete is without its record.
        core.plane().note(access.by().actor, said).await?;
        let removal = Removal {
            sha256: found.sha256,
            removed: known.round(found.sha256).saturating_add(1),
        };
        refer((&app, tenant), &trace_id, &removal, Box::new(alone)).await?;
        found.id.clone()
    };
    if let Err(error) = sweep::forget(blobs, core.engine(), owner).await {
        tracing::warn!(%error, "file of a deleted attachment not removed yet");
    }
    Ok(Json(Removed {
        id,
        trace_id,
        deleted: true,
    }))
}
