//! An attachment as the routes show it.

use obsrv_engine::row::{ProjectId, Table};
use schemars::JsonSchema;
use serde::Serialize;

use crate::blob::reference::Reference;
use crate::http::error::ApiError;
use crate::http::read::encoded;
use crate::http::store::Store;
use crate::wire;

/// Attachments of a trace.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BlobsShown {
    pub(super) data: Vec<BlobShown>,
}

/// An attachment.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BlobShown {
    pub(super) id: String,
    pub(super) trace_id: String,
    /// Of its bytes, in hex.
    sha256: String,
    /// What its bytes are; `application/octet-stream` if that is not known.
    content_type: String,
    size: u64,
    /// The type in the sender's words.
    declared_type: Option<String>,
    name: Option<String>,
    span_id: Option<String>,
    /// The field that it was taken out of.
    field: Option<String>,
    /// The name by which traces mean it that were written before its bytes were known.
    upload: Option<String>,
    /// Where its bytes are.
    url: String,
}

impl BlobShown {
    pub(super) fn of(project: ProjectId, trace_id: &str, reference: &Reference) -> Self {
        let Reference {
            id,
            sha256,
            content_type,
            size,
            declared_type,
            name,
            span_id,
            field,
            upload,
        } = reference.clone();
        Self {
            url: format!(
                "/v1/projects/{}/traces/{}/blobs/{id}",
                project.0,
                encoded(trace_id)
            ),
            id,
            trace_id: trace_id.to_owned(),
            sha256: sha256.to_string(),
            content_type,
            size,
            declared_type,
            name,
            span_id,
            field,
            upload,
        }
    }
}

/// What the live row of a trace refers to; `None` if there is no such row.
pub(super) fn references(
    store: &Store,
    trace_id: &str,
) -> Result<Option<Vec<Reference>>, ApiError> {
    let row = store.view().row(Table::Runs, (trace_id, trace_id))?;
    let Some(row) = row else { return Ok(None) };
    let run = wire::row_of(&row.core, &row.body)?;
    Ok(Some(Reference::all(run.doc())))
}
