//! Rows as they were sent: with the media that is kept as attachments back in its place (D-60).
//!
//! Looked for in the row's own trace alone, whatever its tokens say. What the trace's row says was taken out is gone here,
//! too, whether its file is there still or not; a trace whose row is not there, or does not read, says nothing of that,
//! and the file's name decides. An answer holds so many bytes of it; over that a value says which attachment it means.
//! What is wrong with one file is said in its place, and the rest of the answer stands.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use obsrv_engine::query::{Budget, QueryError};
use obsrv_engine::row::{ProjectId, Table};

use super::error::ApiError;
use super::store::View;
use crate::blob::Blobs;
use crate::blob::key::{ContentHash, Key, Owner};
use crate::blob::reference::{Reference, rounds};
use crate::dialect::theta_read::StoredRow;
use crate::limits::MEDIA_ANSWER_BYTES_MAX;
use crate::offload::{Back, Offloaded, Part};
use crate::wire;

/// What happened to bytes that are no more.
const REMOVED: &str = "removed";
const LOST: &str = "lost";
const DAMAGED: &str = "damaged";
/// And to those that the disk or the bucket did not give now.
const UNREADABLE: &str = "unreadable";

/// Makes the rows of one answer whole.
#[derive(Debug)]
pub(crate) struct Whole<'v> {
    view: &'v View,
    blobs: Option<Arc<Blobs>>,
    project: ProjectId,
    budget: Budget<'v>,
    room: u64,
    /// What was taken out of traces, as far as somebody asked.
    removed: HashMap<Box<str>, Vec<ContentHash>>,
    /// What was asked for: each is fetched once, and all of them take no more than the room.
    files: HashMap<Key, Back>,
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
        budget: Budget<'v>,
    ) -> Self {
        Self {
            view,
            blobs,
            project,
            room: room_of(&budget),
            budget,
            removed: HashMap::new(),
            files: HashMap::new(),
        }
    }

    /// The same with room for so many bytes: of rows that are written one by one, since nobody could ask for less.
    pub(crate) fn with_room(self, room: u64) -> Self {
        Self { room, ..self }
    }

    /// A row as it was sent. Most have nothing that is kept elsewhere.
    pub(crate) fn row(&mut self, row: StoredRow) -> Result<StoredRow, ApiError> {
        let said = Offloaded::of(row.doc());
        let owner = Owner::new(self.project, &row.core.trace_id);
        let (Some(said), Some(owner), Some(blobs)) = (said, owner, self.blobs.clone()) else {
            return Ok(row);
        };
        let mut room = self.room;
        let doc = said.put_back(row.doc(), &mut room, &mut |part| {
            self.part(&blobs, &owner, part)
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

    /// What stands for a part of a row of a trace.
    fn part(&mut self, blobs: &Blobs, owner: &Owner, part: &Part) -> Result<Back, ApiError> {
        if (self.budget.cancelled)() {
            return Err(QueryError::Cancelled.into());
        }
        if self.removed(owner).contains(&part.hash) {
            return Ok(Back::Gone(REMOVED));
        }
        let found = self.files.entry(owner.blob(part.hash));
        let found = found.or_insert_with_key(|key| read(blobs, key, part));
        Ok(found.clone())
    }

    /// What the trace's row says was taken out, and has not come again.
    fn removed(&mut self, owner: &Owner) -> &[ContentHash] {
        let trace = owner.trace_id();
        if !self.removed.contains_key(trace) {
            let gone = self.look_for_removed(trace).unwrap_or_else(|error| {
                tracing::warn!(trace, error = %error.message, "a trace's row does not read");
                Vec::new()
            });
            self.removed.insert(trace.into(), gone);
        }
        self.removed.get(trace).map_or(&[], Vec::as_slice)
    }

    fn look_for_removed(&self, trace: &str) -> Result<Vec<ContentHash>, ApiError> {
        let Some(row) = self.view.row(Table::Runs, (trace, trace))? else {
            return Ok(Vec::new());
        };
        let run = wire::row_of(&row.core, &row.body)?;
        let there = Reference::all(run.doc());
        let is_there = |hash: &ContentHash| there.iter().any(|one| one.sha256 == *hash);
        let rounds = rounds(run.doc()).into_iter().map(|(hash, _)| hash);
        Ok(rounds.filter(|hash| !is_there(hash)).collect())
    }
}

/// The bytes of a part, or what is said in its place.
fn read(blobs: &Blobs, key: &Key, part: &Part) -> Back {
    match blobs.store().whole(key, part.size) {
        Ok(Some(bytes)) if ContentHash::of(&bytes) == part.hash => Back::Whole(bytes),
        Ok(_) => {
            tracing::error!(blob = %key, "attachment is damaged");
            Back::Gone(DAMAGED)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Back::Gone(LOST),
        Err(error) => {
            tracing::warn!(blob = %key, %error, "attachment does not read");
            Back::Gone(UNREADABLE)
        }
    }
}
