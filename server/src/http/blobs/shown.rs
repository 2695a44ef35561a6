//! An attachment as the routes show it.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use obsrv_engine::row::{ProjectId, Table};
use schemars::JsonSchema;
use serde::Serialize;

use crate::blob::key::ContentHash;
use crate::blob::reference::{Reference, rounds};
use crate::http::error::ApiError;
use crate::http::read::encoded;
use crate::http::store::Store;
use crate::limits::BLOBS_PER_TRACE_MAX;
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
            round: _,
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
    Ok(held(store, trace_id)?.map(|held| held.known))
}

/// What the live row of a trace has of attachments.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Held {
    /// Those that are there.
    pub(super) known: Vec<Reference>,
    /// How often which bytes were taken out of it.
    pub(super) rounds: Vec<(ContentHash, u64)>,
    /// Everything that the row keeps of them, of those that were taken out, too.
    pub(super) items: usize,
}

impl Held {
    /// How often these bytes were taken out of it.
    pub(in crate::http) fn round(&self, hash: ContentHash) -> u64 {
        let found = self.rounds.iter().find(|(of, _)| *of == hash);
        found.map_or(0, |(_, round)| *round)
    }

    /// Whether these bytes are one of them.
    pub(in crate::http) fn has(&self, hash: ContentHash) -> bool {
        self.known.iter().any(|one| one.sha256 == hash)
    }

    /// Whether one more may come. What is there already takes no room.
    pub(super) fn has_room(&self, new: &Reference) -> bool {
        self.items < BLOBS_PER_TRACE_MAX || self.known.contains(new)
    }

    /// What it has with several more; `None` if there is no room for all of them.
    pub(in crate::http) fn with(&self, more: &[Reference]) -> Option<Self> {
        let mut all = self.clone();
        for new in more {
            if !all.has_room(new) {
                return None;
            }
            if !all.known.contains(new) {
                all.known.push(new.clone());
                all.items += 1;
            }
        }
        Some(all)
    }
}

/// The same; `None` if there is no such row.
pub(in crate::http) fn held(store: &Store, trace_id: &str) -> Result<Option<Held>, ApiError> {
    let row = store.view().row(Table::Runs, (trace_id, trace_id))?;
    let Some(row) = row else { return Ok(None) };
    let run = wire::row_of(&row.core, &row.body)?;
    let items = match run.doc().get(model::BLOBS) {
        Some(DocRef::Array(items)) => items.count(),
        _ => 0,
    };
    Ok(Some(Held {
        known: Reference::all(run.doc()),
        rounds: rounds(run.doc()),
        items,
    }))
}
