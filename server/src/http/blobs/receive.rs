//! A body of any length into the spool: one piece of it in memory at a time.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use bytes::BytesMut;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::blob::Blobs;
use crate::blob::spool::{Spooled, Spooling};
use crate::http::auth::Tenant;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::{App, Phase, admission};
use crate::limits::{BLOB_PIECE_BYTES, BLOB_PIECES_HELD};

/// What the body's head says of its length.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads the body to its end. What is over a limit is refused as soon as that is known.
pub(super) async fn receive(
    app: &App,
    (tenant, blobs): (&Tenant, &Arc<Blobs>),
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Spooled, ApiError> {
    let bytes_max = blobs.terms().bytes_max;
    let announced = announced(headers);
    if announced.is_some_and(|n| n > bytes_max) {
        return Err(too_large(bytes_max));
    }
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|v| v != "identity")
    {
        let message = "attachments come as they are, without content-encoding";
        return Err(ApiError::new(ErrorCode::UnsupportedMedia, message));
    }
    refuse_when_full(app, blobs, announced.unwrap_or(0))?;
    let held = BLOB_PIECE_BYTES * BLOB_PIECES_HELD;
    let _room = app.admission.charge_for(tenant.project().0, held)?;
    let mut spooling = blobs.spool().begin().map_err(|error| refused(&error))?;
    let mut piece = BytesMut::with_capacity(BLOB_PIECE_BYTES);
    let (mut received, began) = (0_usize, Instant::now());
    while let Some(data) = next(body, began, received).await? {
        received = received.saturating_add(data.len());
        if u64::try_from(received).unwrap_or(u64::MAX) > bytes_max {
            return Err(too_large(bytes_max));
        }
        piece.extend_from_slice(&data);
        if piece.len() >= BLOB_PIECE_BYTES {
            spooling = write(spooling, piece.split()).await?;
            refuse_when_full(app, blobs, 0)?;
        }
    }
    let spooling = write(spooling, piece).await?;
    let finished = tokio::task::spawn_blocking(move || spooling.finish()).await;
    finished
        .map_err(|_| cut_off())?
        .map_err(|error| refused(&error))
}

async fn next(
    body: &mut Body,
    began: Instant,
    received: usize,
) -> Result<Option<bytes::Bytes>, ApiError> {
    loop {
        let frame = timeout_at(admission::deadline(began, received), body.frame()).await;
        let slow = |_| {
            ApiError::new(
                ErrorCode::BodyTooSlow,
                "body came too slowly, nothing stored",
            )
        };
        let Some(frame) = frame.map_err(slow)? else {
            return Ok(None);
        };
        let ended = |_| {
            ApiError::new(
                ErrorCode::BodyIncomplete,
                "body ended early, nothing stored",
            )
        };
        if let Ok(data) = frame.map_err(ended)?.into_data() {
            return Ok(Some(data));
        }
    }
}

async fn write(mut spooling: Spooling, piece: BytesMut) -> Result<Spooling, ApiError> {
    let work = move || spooling.write(&piece).map(|()| spooling);
    let written = tokio::task::spawn_blocking(work).await;
    written
        .map_err(|_| cut_off())?
        .map_err(|error| refused(&error))
}

/// Uploads end where ingest ends: with the reserve still free.
pub(in crate::http) fn refuse_when_full(
    app: &App,
    blobs: &Blobs,
    more: u64,
) -> Result<(), ApiError> {
    let free = blobs
        .spool()
        .free_bytes()
        .map_err(|error| refused(&error))?;
    let needed = blobs.terms().reserve_bytes.saturating_add(more);
    if free < needed || app.phase() == Phase::ReadOnly {
        return Err(ApiError::new(
            ErrorCode::NoSpace,
            "disk is full, nothing stored",
        ));
    }
    Ok(())
}

fn too_large(bytes_max: u64) -> ApiError {
    let message = format!("attachment too large max_bytes={bytes_max}");
    ApiError::new(ErrorCode::TooLarge, message)
}

fn cut_off() -> ApiError {
    ApiError::new(ErrorCode::Internal, "writing was cut off, nothing stored")
}

/// What the disk or the bucket said. All of it may be over at the next try.
pub(in crate::http) fn refused(error: &io::Error) -> ApiError {
    tracing::warn!(%error, "store of attachments refused");
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::NoSpace,
        _ => ErrorCode::Overloaded,
    };
    ApiError::new(code, "store of attachments refused, nothing stored")
}
