//! What the admin socket answers about the data as a whole: a copy of it, a look at every byte, and that what was
//! deleted leaves it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use obsrv_engine::engine::backup::{BackupError, Prefix};
use obsrv_engine::engine::{Engine, PurgeError, State as EngineState};
use obsrv_engine::io::{Disk, OpenError, RealDisk};
use serde::Deserialize;
use serde_json::json;

use crate::blob::Blobs;
use crate::blob::copy::{Seen, copy_all, read_page};
use crate::limits::ADMIN_BODY_BYTES_MAX;

/// Attachments that one call reads again.
const BLOBS_PER_STEP: usize = 16;

/// How often a backup looks whether the flush that it waits for is done.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// For so long it waits: a flush takes some seconds, unless the disk is full.
const FLUSH_WAIT: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Copy {
    /// An absolute path: the server's working directory is not the caller's.
    to: PathBuf,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("path must be absolute field=to")]
    Relative,
    #[error("target does not open: {0}")]
    Target(#[from] OpenError),
    #[error("what is in memory could not be flushed within {} s", FLUSH_WAIT.as_secs())]
    Flush,
    #[error("{}", chain(.0))]
    Backup(#[from] BackupError),
    #[error("attachments could not be read or copied: {0}")]
    Blobs(#[from] std::io::Error),
    #[error("attachments are damaged, the copy is without them blobs={} first={}", .0.len(), .0.join(" "))]
    DamagedBlobs(Vec<String>),
    #[error("{}", chain(.0))]
    Purge(#[from] PurgeError),
    #[error("the copy was broken off")]
    BrokenOff(#[from] tokio::task::JoinError),
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl IntoResponse for CopyError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Flush | Self::Purge(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Relative | Self::Target(_) => StatusCode::BAD_REQUEST,
            Self::Backup(BackupError::NotEmpty(_)) => StatusCode::CONFLICT,
            Self::Backup(_) | Self::BrokenOff(_) | Self::Blobs(_) | Self::DamagedBlobs(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let error = json!({ "error": { "message": self.to_string() } });
        (status, Json(error)).into_response()
    }
}

/// The routes.
pub(super) fn build(engine: Arc<Engine>, blobs: Arc<Blobs>) -> Router {
    Router::new()
        .route("/backup", post(backup))
        .route("/scrub", post(scrub))
        .route("/scrub/blobs", post(scrub_blobs))
        .route("/purge", get(purge_left).post(purge))
        .layer(DefaultBodyLimit::max(ADMIN_BODY_BYTES_MAX))
        .with_state((engine, blobs))
}

/// Every segment, and every attachment.
type Data = (Arc<Engine>, Arc<Blobs>);

async fn backup(
    State((engine, blobs)): State<Data>,
    Json(copy): Json<Copy>,
) -> Result<Response, CopyError> {
    if !copy.to.is_absolute() {
        return Err(CopyError::Relative);
    }
    let prefix = flushed(engine).await?;
    let watermark = prefix.watermark();
    let done = tokio::task::spawn_blocking(move || -> Result<_, CopyError> {
        let target: Arc<dyn Disk> = Arc::new(RealDisk::open(&copy.to)?);
        let checked = prefix.copy_to(&target)?;
        Ok((checked, copy_blobs(&blobs, &copy.to)?))
    });
    let (checked, seen) = done.await??;
    tracing::info!(
        watermark,
        segments = checked.segments,
        rows = checked.rows,
        "backup written"
    );
    Ok(Json(json!({
        "watermark": watermark,
        "segments": checked.segments,
        "rows": checked.rows,
        "blocks": checked.blocks,
        "blobs": seen.map(|seen| seen.blobs),
    }))
    .into_response())
}

/// Attachments of the data directory go with it; those in a bucket stay there, and the copy refers to them.
fn copy_blobs(blobs: &Blobs, to: &std::path::Path) -> Result<Option<Seen>, CopyError> {
    if !blobs.store().is_local() {
        return Ok(None);
    }
    let seen = copy_all(&**blobs.store(), to)?;
    if seen.damaged.is_empty() {
        return Ok(Some(seen));
    }
    Err(CopyError::DamagedBlobs(seen.damaged))
}

/// Everything that was acknowledged before the call, in segments.
async fn flushed(engine: Arc<Engine>) -> Result<Prefix, CopyError> {
    let sealing = Arc::clone(&engine);
    let through = tokio::task::spawn_blocking(move || sealing.seal()).await?;
    let waiting = async {
        loop {
            if let Some(prefix) = engine.prefix(through) {
                return Ok(prefix);
            }
            if engine.state() == EngineState::Failed {
                return Err(CopyError::Flush);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(FLUSH_WAIT, waiting).await;
    waited.unwrap_or(Err(CopyError::Flush))
}

/// One segment a call, so that whoever asks sees progress and can stop.
async fn scrub(
    State((engine, _)): State<Data>,
    RawQuery(query): RawQuery,
) -> Result<Response, CopyError> {
    let after = query
        .as_deref()
        .and_then(|q| q.strip_prefix("after=")?.parse().ok());
    let step = move || engine.scrub_step(after.unwrap_or(0));
    let done = tokio::task::spawn_blocking(step).await?;
    let answer = done.map(|done| match done.found {
        Ok(read) => json!({
            "segment": done.segment,
            "bytes": read.bytes,
            "rows": read.rows,
            "blocks": read.blocks,
        }),
        Err(what) => json!({ "segment": done.segment, "damage": what }),
    });
    Ok(Json(json!({ "scrubbed": answer })).into_response())
}

/// Begins to take what was deleted off the disk.
async fn purge(State(data): State<Data>) -> Result<Response, CopyError> {
    let engine = Arc::clone(&data.0);
    tokio::task::spawn_blocking(move || engine.purge()).await??;
    Ok(purge_left(State(data)).await)
}

/// Segments that are still to be written anew, and one until all is flushed.
async fn purge_left(State((engine, _)): State<Data>) -> Response {
    Json(json!({ "left": engine.purge_left() })).into_response()
}

/// As a scrub, of a few attachments, wherever they are.
async fn scrub_blobs(
    State((_, blobs)): State<Data>,
    RawQuery(query): RawQuery,
) -> Result<Response, CopyError> {
    let after = query.as_deref().and_then(|q| q.strip_prefix("after="));
    let after = after.unwrap_or("").to_owned();
    let step = move || read_page(&**blobs.store(), &after, BLOBS_PER_STEP);
    let (seen, next) = tokio::task::spawn_blocking(step).await??;
    Ok(Json(json!({
        "blobs": seen.blobs,
        "bytes": seen.bytes,
        "damaged": seen.damaged,
        "next": next,
    }))
    .into_response())
}
