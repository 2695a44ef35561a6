//! Rows as they were sent: with the media that is kept as attachments back in its place (D-60).
//!
//! Looked for in the row's own trace alone, and only what the trace's row refers to: what was taken out of the trace is
//! gone here, too, whether its file is there still or not. An answer holds so many bytes of it; over that a value says
//! which attachment it means.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use obsrv_engine::doc::DocRef;
use obsrv_engine::query::Budget;
use obsrv_engine::row::{ProjectId, Table};

use super::blobs::refused;
use super::error::ApiError;
use super::store::View;
use crate::blob::Blobs;
use crate::blob::key::{ContentHash, Owner};
use crate::blob::reference::Reference;
use crate::dialect::theta_read::StoredRow;
use crate::limits::MEDIA_ANSWER_BYTES_MAX;
use crate::offload::{Back, Offloaded, Part};
use crate::wire;

/// What happened to bytes that are no more.
const REMOVED: &str = "removed";
const LOST: &str = "lost";
const DAMAGED: &str = "damaged";

/// Makes the rows of one answer whole.
#[derive(Debug)]
pub(crate) struct Whole<'v> {
    view: &'v View,
    blobs: Option<Arc<Blobs>>,
    project: ProjectId,
    room: u64,
    /// What the rows of traces refer to, as far as somebody asked.
    traces: HashMap<Box<str>, Vec<ContentHash>>,
}

/// Bytes of values that one answer may get back.
pub(crate) fn room_of(budget: &Budget<'_>) -> u64 {
    MEDIA_ANSWER_BYTES_MAX.min(budget.bytes_max)
}

/// Bytes that a row has more when it is whole.
pub(crate) fn more_bytes(row: &StoredRow) -> u64 {
    Offloaded::of(row.doc()).map_or(0, |said| said.more_bytes(row.doc()))
}

/// A row whose tokens are the same as those of other rows for the same bytes.
pub(crate) fn named(row: StoredRow) -> StoredRow {
    match Offloaded::of(row.doc()) {
        None => row,
        Some(said) => StoredRow {
            view: Bytes::from(said.named(row.doc())),
            ..row
        },
    }
}

impl<'v> Whole<'v> {
    pub(super) fn new(
        view: &'v View,
        blobs: Option<Arc<Blobs>>,
        project: ProjectId,
        room: u64,
    ) -> Self {
        Self {
            view,
            blobs,
            project,
            room,
            traces: HashMap::new(),
        }
    }

    /// A row as it was sent. Most have nothing that is kept elsewhere.
    pub(crate) fn row(&mut self, row: StoredRow) -> Result<StoredRow, ApiError> {
        let said = Offloaded::of(row.doc());
        let owner = Owner::new(self.project, &row.core.trace_id);
        let (Some(said), Some(owner), Some(blobs)) = (said, owner, self.blobs.clone()) else {
            return Ok(row);
        };
        let known = self.known(&owner)?;
        let mut room = self.room;
        let doc = said.put_back(row.doc(), &mut room, &mut |part| {
            if known.contains(&part.hash) {
                read(&blobs, &owner, part)
            } else {
                Ok(Back::Gone(REMOVED))
            }
        })?;
        self.room = room;
        Ok(StoredRow {
            view: Bytes::from(doc),
            ..row
        })
    }

    /// Several rows as they were sent.
    pub(crate) fn rows(&mut self, rows: Vec<StoredRow>) -> Result<Vec<StoredRow>, ApiError> {
        rows.into_iter().map(|row| self.row(row)).collect()
    }

    /// What the trace's row refers to.
    fn known(&mut self, owner: &Owner) -> Result<Vec<ContentHash>, ApiError> {
        let trace = owner.trace_id();
        if let Some(known) = self.traces.get(trace) {
            return Ok(known.clone());
        }
        let row = self.view.row(Table::Runs, (trace, trace))?;
        let run = row.map(|row| wire::row_of(&row.core, &row.body));
        let run = run.transpose()?;
        let all = Reference::all(run.as_ref().map_or(DocRef::Null, StoredRow::doc));
        let known: Vec<ContentHash> = all.iter().map(|one| one.sha256).collect();
        self.traces.insert(trace.into(), known.clone());
        Ok(known)
    }
}

/// The bytes of a part. What its file does not hold any more is said in its place: it would not come back at another try.
fn read(blobs: &Blobs, owner: &Owner, part: &Part) -> Result<Back, ApiError> {
    let key = owner.blob(part.hash);
    let read = blobs.store().open(&key);
    let bytes = match read.and_then(|(object, _)| object.get_range(0..object.len())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Back::Gone(LOST)),
        Err(error) => return Err(refused(&error)),
        Ok(bytes) => bytes,
    };
    if ContentHash::of(&bytes) != part.hash {
        tracing::error!(blob = %key, "attachment is damaged");
        return Ok(Back::Gone(DAMAGED));
    }
    Ok(Back::Whole(bytes))
}
