//! What a running server does again and again, beside answering.

use std::sync::Arc;

use obsrv_engine::engine::Engine;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::interval;

use super::purge::DiskPurge;
use crate::blob::Blobs;
use crate::blob::sweep::Sweep;
use crate::governance::{Expiry, Governance};
use crate::http::{self, App};
use crate::limits::{
    BLOB_SWEEP_STEP_TIME, DISK_PURGE_LOOK_TIME, PRICES_RETRY_TIME, PRICES_STEP_TIME, PURGE_TIME,
    RETENTION_MARK_TIME, SESSION_CHECK_TIME, TLS_CHECK_TIME, USAGE_STEP_TIME, USES_TIME,
};
use crate::net::tls::Tls;
use crate::price::{self, Book};
use crate::remap::{Data, remap_always};
use crate::signin::Accounts;
use crate::tenancy::ControlPlane;
use crate::tenancy::purge::purge_deleted;
use crate::uses::Uses;

/// Keeps what is kept from time to time. Does not return.
pub(super) async fn keep_house(
    app: &App,
    plane: &Arc<ControlPlane>,
    accounts: &Accounts,
    uses: &Arc<Uses>,
    tls: Option<Arc<Tls>>,
) {
    let mut counts = interval(USAGE_STEP_TIME);
    let mut writing = interval(USES_TIME);
    let mut sessions = interval(SESSION_CHECK_TIME);
    let mut files = interval(TLS_CHECK_TIME);
    let mut hangup = signal(SignalKind::hangup()).ok();
    loop {
        tokio::select! {
            _ = counts.tick() => http::usage::store(app).await,
            _ = writing.tick() => store_uses(uses, plane).await,
            _ = sessions.tick() => accounts.keep_house(),
            _ = files.tick() => look_at_tls(tls.as_ref()).await,
            () = hung_up(hangup.as_mut()) => look_at_tls(tls.as_ref()).await,
        }
    }
}

/// Waits for SIGHUP, which asks to read files again.
async fn hung_up(hangup: Option<&mut Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

async fn look_at_tls(tls: Option<&Arc<Tls>>) {
    let Some(tls) = tls.cloned() else { return };
    match tokio::task::spawn_blocking(move || tls.reload()).await {
        Ok(Ok(true)) => tracing::info!("new tls certificate in use"),
        Ok(Ok(false)) => {}
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "tls files not taken up; the ones before stay in use");
        }
        Err(error) => tracing::error!(%error, "look at the tls files ended early"),
    }
}

/// Works over what is stored, for ever: removes what nobody may see any more, and derives again what follows from it.
pub(super) async fn work_always(
    engine: &Arc<Engine>,
    plane: &ControlPlane,
    governance: &Governance,
    blobs: &Arc<Blobs>,
    app: &App,
    uses: &Arc<Uses>,
) {
    let data = Data {
        engine,
        plane,
        governance,
    };
    tokio::join!(
        purge_always(engine, plane),
        expire_always(engine, governance),
        sweep_always(blobs, engine, app),
        price_always(engine, app.book()),
        remap_always(&data, &app.remap),
        purge_disk_always(engine, uses, app),
    );
}

/// Empties deleted projects, for ever.
async fn purge_always(engine: &Arc<Engine>, plane: &ControlPlane) {
    let mut look = interval(PURGE_TIME);
    loop {
        look.tick().await;
        if let Err(error) = purge_deleted(engine, plane).await {
            tracing::warn!(%error, "deleted projects not purged yet");
        }
    }
}

/// Takes what was deleted off the disk, for ever.
async fn purge_disk_always(engine: &Arc<Engine>, uses: &Arc<Uses>, app: &App) {
    let mut look = interval(DISK_PURGE_LOOK_TIME);
    let mut purge = DiskPurge::default();
    loop {
        look.tick().await;
        let (engine, uses, now) = (Arc::clone(engine), Arc::clone(uses), app.clock.wall_ns());
        let step = move || {
            purge.step(&engine, &uses, now);
            purge
        };
        purge = match tokio::task::spawn_blocking(step).await {
            Ok(purge) => purge,
            Err(error) => {
                tracing::error!(%error, "purge of the disk ended early");
                DiskPurge::default()
            }
        };
    }
}

/// Deletes traces that are older than their projects keep them, for ever.
async fn expire_always(engine: &Arc<Engine>, governance: &Governance) {
    let mut look = interval(RETENTION_MARK_TIME);
    let mut expiry = Expiry::default();
    loop {
        look.tick().await;
        if let Err(error) = expiry.step(engine, governance).await {
            tracing::warn!(%error, "old traces not deleted yet");
        }
    }
}

/// Removes files that no row refers to, for ever.
async fn sweep_always(blobs: &Arc<Blobs>, engine: &Arc<Engine>, app: &App) {
    let mut look = interval(BLOB_SWEEP_STEP_TIME);
    let mut sweep = Sweep::default();
    loop {
        look.tick().await;
        match sweep.step(blobs, engine, app.clock.wall_ns()).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "files without a row removed"),
            Err(error) => tracing::warn!(%error, "files without a row not removed yet"),
        }
    }
}

/// Prices what is stored when prices have changed, for ever.
async fn price_always(engine: &Arc<Engine>, book: &Arc<Book>) {
    let mut look = interval(PRICES_STEP_TIME);
    let mut done = None;
    loop {
        look.tick().await;
        let changes = book.changes();
        if done == Some(changes) {
            continue;
        }
        match price::reprice(engine, book).await {
            Ok(steps) => {
                done = Some(changes);
                if steps > 0 {
                    tracing::info!(steps, "steps priced again");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "steps not priced again yet");
                look.reset_after(PRICES_RETRY_TIME);
            }
        }
    }
}

/// Keeps what was used when over a restart.
pub(super) async fn store_uses(uses: &Arc<Uses>, plane: &Arc<ControlPlane>) {
    let (uses, plane) = (Arc::clone(uses), Arc::clone(plane));
    match tokio::task::spawn_blocking(move || uses.store(&plane)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "uses of keys and sessions not written yet"),
        Err(error) => tracing::error!(%error, "writing the uses of keys and sessions ended early"),
    }
}
