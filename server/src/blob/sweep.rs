//! Removes blobs that no live row refers to: of deleted traces and projects, of rows that retention took, and
//! of uploads that ended between the put and the record.
//!
//! A pass goes through all names in their order, a bounded page at a time, and remembers in memory where it
//! was; after a restart it begins again. What is younger than the grace period stays, whoever put it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::Engine;
use obsrv_engine::row::Table;
use obsrv_engine::{body, source::SourceError};

use super::Blobs;
use super::key::{ContentHash, Owner};
use super::reference::Reference;
use crate::limits::{BLOB_GRACE_TIME, BLOB_SWEEP_KEYS, BLOB_SWEEP_TIME};

/// Why blobs were not looked at, or not removed.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store does not answer.
    #[error("store of blobs does not answer")]
    Store(#[from] io::Error),
    /// The row does not read: nobody knows what it refers to.
    #[error("row does not read")]
    Row(#[from] SourceError),
    /// The same.
    #[error("row does not decode")]
    Body(#[from] obsrv_engine::doc::DocError),
    /// Uploads to the trace go on.
    #[error("uploads go on")]
    Busy,
    /// The server stops.
    #[error("cut off")]
    Stopped,
}

/// Removes at once what no row of a trace refers to. Returns how many.
pub async fn forget(
    blobs: &Arc<Blobs>,
    engine: &Arc<Engine>,
    owner: Owner,
) -> Result<u64, SweepError> {
    remove_unreferred(blobs, engine, owner, i64::MAX).await
}

/// Removes what was put before a time and no row refers to.
async fn remove_unreferred(
    blobs: &Arc<Blobs>,
    engine: &Arc<Engine>,
    owner: Owner,
    before_ns: i64,
) -> Result<u64, SweepError> {
    let alone = blobs.lone_lock(&owner).await;
    let _alone = alone.ok_or(SweepError::Busy)?;
    let (blobs, engine) = (Arc::clone(blobs), Arc::clone(engine));
    let work = move || {
        let referred = referred(&engine, &owner)?;
        let (mut after, mut removed) = (String::new(), 0);
        loop {
            let page = blobs
                .store()
                .list(&owner.prefix(), &after, BLOB_SWEEP_KEYS)?;
            for listed in &page {
                after = listed.key.to_string();
                if listed.put_ns < before_ns && !referred.contains(&listed.key.hash()) {
                    blobs.store().delete(&listed.key)?;
                    blobs.tally().removed.fetch_add(1, Ordering::Relaxed);
                    removed += 1;
                }
            }
            if page.len() < BLOB_SWEEP_KEYS {
                return Ok(removed);
            }
        }
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| SweepError::Stopped)?
}

/// What the live row of a trace refers to; nothing if there is none.
fn referred(engine: &Engine, owner: &Owner) -> Result<Vec<ContentHash>, SweepError> {
    let key = (owner.trace_id(), owner.trace_id());
    let row = engine.snapshot().row(owner.project(), Table::Runs, key)?;
    let Some(row) = row else {
        return Ok(Vec::new());
    };
    let run = DocRef::parse(body::decode(&row.body)?.view)?;
    let all = Reference::all(run);
    Ok(all.iter().map(|reference| reference.sha256).collect())
}

/// Where a pass is. Owned by the one task that sweeps.
#[derive(Debug, Default)]
pub struct Sweep {
    after: String,
    next_ns: i64,
    /// Files of this pass and their bytes.
    seen: (u64, u64),
}

impl Sweep {
    /// Looks at the next page, if it is time. Returns how many blobs were removed. What fails for one trace
    /// is tried again in the next pass.
    pub async fn step(
        &mut self,
        blobs: &Arc<Blobs>,
        engine: &Arc<Engine>,
        now_ns: i64,
    ) -> Result<u64, SweepError> {
        if now_ns < self.next_ns {
            return Ok(0);
        }
        let grace = i64::try_from(BLOB_GRACE_TIME.as_nanos()).unwrap_or(i64::MAX);
        let before_ns = now_ns.saturating_sub(grace);
        let (of_list, after) = (Arc::clone(blobs), self.after.clone());
        let list = move || of_list.store().list("", &after, BLOB_SWEEP_KEYS);
        let page = tokio::task::spawn_blocking(list).await;
        let page = page.map_err(|_| SweepError::Stopped)??;
        self.seen.0 += u64::try_from(page.len()).unwrap_or(0);
        self.seen.1 += page.iter().map(|listed| listed.len).sum::<u64>();
        match page.last() {
            Some(last) if page.len() == BLOB_SWEEP_KEYS => self.after = last.key.to_string(),
            _ => {
                let pause = i64::try_from(BLOB_SWEEP_TIME.as_nanos()).unwrap_or(i64::MAX);
                self.next_ns = now_ns.saturating_add(pause);
                self.after = String::new();
                let (files, bytes) = std::mem::take(&mut self.seen);
                blobs.tally().files.store(files, Ordering::Relaxed);
                blobs.tally().bytes.store(bytes, Ordering::Relaxed);
            }
        }
        let old = page.iter().filter(|listed| listed.put_ns < before_ns);
        let mut owners: Vec<&Owner> = old.map(|listed| listed.key.owner()).collect();
        owners.dedup();
        let mut removed = 0;
        for owner in owners {
            match remove_unreferred(blobs, engine, owner.clone(), before_ns).await {
                Ok(count) => removed += count,
                Err(error) => {
                    let project = owner.project().0;
                    tracing::warn!(%error, project, "blobs of a trace not looked at");
                }
            }
        }
        Ok(removed)
    }
}
