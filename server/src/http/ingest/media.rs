//! Rows with media in their values: it is put as attachments of their traces, then the rows that are left are logged,
//! and in the same record that the runs have these attachments (D-60). So a crash leaves a file that no row means, which
//! the sweep removes, and never a row without its file; and what is sent again comes to the same rows and files.
//!
//! What an attachment may not be, or its trace or memory has no room for, stays in its row; so does what cannot be put now. The rows of a request of which nothing
//! can be cut out go the way of every other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

use super::{Job, Locks, Outcome, Ready, Step, Stored, place};
use crate::blob::Blobs;
use crate::blob::key::{ContentHash, Key, Owner};
use crate::blob::reference::Reference;
use crate::dialect::came_in_rows;
use crate::http::App;
use crate::http::blobs::{Held, held, refuse_when_full, refused};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::governance;
use crate::limits::{MEDIA_PER_REQUEST_MAX, MEDIA_PUT_TIME_MAX, MEDIA_PUTS_AT_ONCE};
use crate::offload::{Cut, Piece, cut, holds_media};

/// A row that can be cut.
struct Row {
    /// Which event.
    place: usize,
    owner: Owner,
    cut: Cut,
}

/// Stores a request that has media in its rows.
pub(super) async fn store(mut ready: Ready) -> Result<(Stored, Option<Outcome>), ApiError> {
    // A store of files may take seconds, which is no work of this process.
    ready.charge.work = None;
    let blobs = Arc::clone(ready.job.app.core()?.blobs()?);
    let bytes_max = blobs.terms().bytes_max;
    let (ready, rows) = blocking(move || Ok(cut_all(ready, bytes_max))).await?;
    let owners: HashSet<Owner> = rows.iter().map(|row| row.owner.clone()).collect();
    let owners: Vec<Owner> = owners.into_iter().collect();
    // Until the rows are durable nobody removes what they do not refer to yet.
    let locks = blobs.shared_locks(&owners).await;
    let (mut ready, is_cut) = match &locks {
        Some(_) => keep(ready, rows, &blobs).await?,
        // Somebody takes files out of one of the traces, and the store is slow: the media stays where it is.
        None => (ready, false),
    };
    ready.job.locks = locks.map(|locks| -> Locks { Box::new(locks) });
    may_still(&ready.job).await?;
    let place = place(&ready.job.app, &ready.job.tenant, ready.held_bytes);
    ready.charge.work = Some(place.await?);
    let step = blocking(move || {
        if is_cut {
            ready.submit_rows()
        } else {
            ready.submit()
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
async fn keep(ready: Ready, rows: Vec<Row>, blobs: &Arc<Blobs>) -> Result<(Ready, bool), ApiError> {
    let fit = move || Ok(with_room(ready, rows));
    let (ready, rows) = blocking(fit).await?;
    let there = put_all(&ready.job.app, blobs, wanted(&rows)).await;
    write(ready, rows, &there)
}

/// A row whose trace has room for what was cut out of it.
struct Fitting {
    row: Row,
    references: Vec<Reference>,
    /// Of those pieces that the trace has: their files may be there.
    known: HashSet<ContentHash>,
}

fn with_room(ready: Ready, rows: Vec<Row>) -> (Ready, Vec<Fitting>) {
    let mut traces: HashMap<Owner, Option<Held>> = HashMap::new();
    let mut fitting = Vec::new();
    for row in rows {
        let trace = traces.entry(row.owner.clone());
        let trace = trace.or_insert_with(|| {
            let known = held(&ready.job.store, row.owner.trace_id());
            known.map(Option::unwrap_or_default).ok()
        });
        let Some(held) = trace.as_mut() else {
            continue;
        };
        let pieces = &row.cut.pieces;
        let known = pieces.iter().map(|piece| piece.hash);
        let known = known.filter(|hash| held.has(*hash)).collect();
        let references: Vec<_> = pieces.iter().map(|piece| reference(piece, held)).collect();
        if let Some(added) = held.with(&references) {
            *held = added;
            fitting.push(Fitting {
                row,
                references,
                known,
            });
        }
    }
    (ready, fitting)
}

/// Puts what is left into the place of the rows whose files are all there, and notes that their runs have these.
fn write(
    mut ready: Ready,
    rows: Vec<Fitting>,
    there: &HashSet<Key>,
) -> Result<(Ready, bool), ApiError> {
    let mut seen: HashSet<(Owner, ContentHash, Option<String>)> = HashSet::new();
    for Fitting {
        row: Row { place, owner, cut },
        references,
        ..
    } in rows
    {
        let is_there = |piece: &Piece| there.contains(&owner.blob(piece.hash));
        if !cut.pieces.iter().all(is_there) {
            continue;
        }
        ready.events[place].doc = cut.doc;
        for one in references {
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

/// A file that is to be there.
struct Wanted {
    key: Key,
    bytes: Bytes,
    /// Its trace has it.
    is_known: bool,
}

/// Each file once.
fn wanted(rows: &[Fitting]) -> Vec<Wanted> {
    let mut seen = HashSet::new();
    let pieces = rows.iter().flat_map(|fitting| {
        let of_row = |piece: &Piece| Wanted {
            key: fitting.row.owner.blob(piece.hash),
            bytes: piece.bytes.clone(),
            is_known: fitting.known.contains(&piece.hash),
        };
        fitting.row.cut.pieces.iter().map(of_row)
    });
    let mut is_new = |one: &Wanted| seen.insert(one.key.clone());
    pieces.filter(|one| is_new(one)).collect()
}

/// Puts files, some at once, and says which are there then. Whoever refuses one makes the others wait no longer, nor does
/// a store that is away make the sender give up.
async fn put_all(app: &Arc<App>, blobs: &Arc<Blobs>, wanted: Vec<Wanted>) -> HashSet<Key> {
    let puts = stream::iter(wanted).map(|one| {
        let (app, blobs) = (Arc::clone(app), Arc::clone(blobs));
        blocking(move || put(&app, &blobs, &one).map(|()| one.key))
    });
    let mut puts = puts.buffer_unordered(MEDIA_PUTS_AT_ONCE);
    let (end, mut there) = (Instant::now() + MEDIA_PUT_TIME_MAX, HashSet::new());
    while let Ok(Some(Ok(key))) = timeout_at(end, puts.next()).await {
        there.insert(key);
    }
    there
}

/// Puts a file, unless it is there.
fn put(app: &App, blobs: &Blobs, wanted: &Wanted) -> Result<(), ApiError> {
    let Wanted { key, bytes, .. } = wanted;
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let is_there = || {
        let found = blobs.store().open(key);
        found.is_ok_and(|(object, _)| object.len() == len)
    };
    if wanted.is_known && is_there() {
        return Ok(());
    }
    refuse_when_full(app, blobs, len)?;
    // It may take longer than the request.
    let project = key.owner().project().0;
    let _room = app.admission.charge_for(project, bytes.len())?;
    let put = || {
        let mut spooling = blobs.spool().begin()?;
        spooling.write(bytes)?;
        blobs.store().put_once(key, spooling.finish()?)
    };
    put().map_err(|error| refused(&error))?;
    blobs.tally().kept.fetch_add(1, Ordering::Relaxed);
    blobs.tally().kept_bytes.fetch_add(len, Ordering::Relaxed);
    Ok(())
}
