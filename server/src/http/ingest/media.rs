//! Rows with media in their values: it is put as attachments of their traces, then the rows that are left are logged,
//! and in the same record that the runs have these attachments (D-60). So a crash leaves a file that no row means, which
//! the sweep removes, and never a row without its file; and what is sent again comes to the same rows and files.
//!
//! What an attachment may not be, or its trace or memory has no room for, stays in its row; so does what cannot be put now. The rows of a request of which nothing
//! can be cut out go the way of every other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Job, Outcome, Ready, Step, Stored};
use crate::blob::Blobs;
use crate::blob::key::{ContentHash, Key, Owner};
use crate::blob::reference::Reference;
use crate::dialect::came_in_rows;
use crate::http::blobs::{Held, held, refuse_when_full, refused};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::governance;
use crate::limits::MEDIA_PER_REQUEST_MAX;
use crate::offload::{Cut, Piece, cut, holds_media};

/// A row that can be cut.
struct Row {
    /// Which event.
    place: usize,
    owner: Owner,
    cut: Cut,
}

/// Stores a request that has media in its rows.
pub(super) async fn store(ready: Ready) -> Result<(Stored, Option<Outcome>), ApiError> {
    let blobs = Arc::clone(ready.job.app.core()?.blobs()?);
    let bytes_max = blobs.terms().bytes_max;
    let (ready, rows) = blocking(move || Ok(cut_all(ready, bytes_max))).await?;
    let owners: HashSet<Owner> = rows.iter().map(|row| row.owner.clone()).collect();
    let owners: Vec<Owner> = owners.into_iter().collect();
    // Until the rows are durable nobody removes what they do not refer to yet.
    let locks = blobs.shared_locks(&owners).await;
    let (ready, is_cut) = blocking(move || keep(ready, rows, &blobs)).await?;
    may_still(&ready.job).await?;
    let step = blocking(move || {
        if is_cut {
            ready.submit_rows(locks)
        } else {
            ready.submit(locks)
        }
    });
    match step.await? {
        Step::Done(stored, outcome) => Ok((stored, outcome)),
        Step::Media(_) => Err(ApiError::new(ErrorCode::Internal, "nothing was stored")),
    }
}

/// Files may take long: whoever was allowed to when the request came may not be now, or rules decide over its rows.
async fn may_still(job: &Job) -> Result<(), ApiError> {
    job.check_project()?;
    match governance::redactor_of(&job.app, &job.tenant).await? {
        None => Ok(()),
        Some(_) => Err(ApiError::new(
            ErrorCode::Overloaded,
            "redaction rules were set meanwhile, nothing stored: send it again",
        )),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(ApiError::new(ErrorCode::Internal, "writing was cut off")))
}

/// Cuts out what can be, of as many rows as one request may have it of.
fn cut_all(mut ready: Ready, bytes_max: u64) -> (Ready, Vec<Row>) {
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    let project = ready.job.tenant.project();
    for (place, event) in ready.events.iter().enumerate() {
        if !holds_media(event) {
            continue;
        }
        let Some(owner) = Owner::new(project, &event.key.trace_id) else {
            continue;
        };
        // What is cut out is held beside the row, and its text is a third longer.
        let held_bytes = ready.held_bytes.saturating_add(event.doc.len());
        if ready.charge.grow_to(held_bytes).is_err() {
            break;
        }
        ready.held_bytes = held_bytes;
        let Some(cut) = cut(event, bytes_max) else {
            continue;
        };
        let new = cut.pieces.iter().map(|piece| owner.blob(piece.hash));
        let new: HashSet<Key> = new.filter(|key| !seen.contains(key)).collect();
        if seen.len() + new.len() <= MEDIA_PER_REQUEST_MAX {
            seen.extend(new);
            rows.push(Row { place, owner, cut });
        }
    }
    (ready, rows)
}

/// Puts what was cut out, and puts what is left into the place of the rows. Says whether there is any.
fn keep(mut ready: Ready, rows: Vec<Row>, blobs: &Blobs) -> Result<(Ready, bool), ApiError> {
    let mut traces: HashMap<Owner, Option<Held>> = HashMap::new();
    let (mut done, mut noted) = (HashSet::new(), Vec::new());
    for Row { place, owner, cut } in rows {
        let trace = traces.entry(owner.clone());
        let trace = trace.or_insert_with(|| {
            let known = held(&ready.job.store, owner.trace_id());
            known.map(Option::unwrap_or_default).ok()
        });
        let Some(known) = trace.as_mut() else {
            continue;
        };
        let references = cut.pieces.iter().map(|piece| reference(piece, known));
        let references: Vec<Reference> = references.collect();
        let Some(added) = known.with(&references) else {
            continue;
        };
        // Whoever refuses one of them makes the others wait no longer.
        if put_all((&ready, blobs), (&owner, known), &cut.pieces, &mut done).is_err() {
            break;
        }
        *known = added;
        noted.extend(references.into_iter().map(|one| (owner.clone(), one)));
        ready.events[place].doc = cut.doc;
    }
    let mut seen: HashSet<(Owner, ContentHash, Option<String>)> = HashSet::new();
    for (owner, one) in noted {
        if seen.insert((owner.clone(), one.sha256, one.declared_type.clone())) {
            let said = serde_json::to_string(&one).ok();
            let event = said.and_then(|said| came_in_rows(owner.trace_id(), &said));
            let event = event.ok_or_else(|| {
                ApiError::new(
                    ErrorCode::Internal,
                    "a reference does not read, nothing stored",
                )
            })?;
            ready.events.push(event);
        }
    }
    Ok((ready, !seen.is_empty()))
}

fn reference(piece: &Piece, trace: &Held) -> Reference {
    Reference {
        id: piece.hash.id(),
        sha256: piece.hash,
        content_type: piece.content_type.to_owned(),
        size: u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX),
        declared_type: piece.declared_type.clone(),
        // Nothing of the row: in a talk the same picture comes with every turn, and is one attachment.
        name: None,
        span_id: None,
        field: None,
        upload: None,
        round: trace.round(piece.hash),
    }
}

/// Puts the pieces of a row, unless they are there: those in `done` are, and those that the trace has, if their file is.
fn put_all(
    (ready, blobs): (&Ready, &Blobs),
    (owner, known): (&Owner, &Held),
    pieces: &[Piece],
    done: &mut HashSet<Key>,
) -> Result<(), ApiError> {
    for piece in pieces {
        let key = owner.blob(piece.hash);
        let len = u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX);
        let is_len = |key| {
            let found = blobs.store().open(key);
            found.is_ok_and(|(object, _)| object.len() == len)
        };
        if done.contains(&key) || (known.has(piece.hash) && is_len(&key)) {
            continue;
        }
        refuse_when_full(&ready.job.app, blobs, len)?;
        let put = || {
            let mut spooling = blobs.spool().begin()?;
            spooling.write(&piece.bytes)?;
            blobs.store().put_once(&key, spooling.finish()?)
        };
        put().map_err(|error| refused(&error))?;
        blobs.tally().kept.fetch_add(1, Ordering::Relaxed);
        blobs.tally().kept_bytes.fetch_add(len, Ordering::Relaxed);
        done.insert(key);
    }
    Ok(())
}
