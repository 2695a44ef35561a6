//! Which route answers what. One file per resource; everything that every request has in common
//! (who asks, how much memory, how errors look, what is counted) in a file of its own.

pub mod admission;
mod annotations;
pub mod auth;
mod cursor;
mod error;
mod events;
mod health;
mod imports;
mod ingest;
mod langfuse;
mod langsmith;
pub mod metrics;
mod outer;
mod params;
mod position;
mod protobuf;
mod query;
mod trace;
mod trace_list;
mod traces;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::Semaphore;

pub use error::{ApiError, ErrorCode, OUTCOME};

use crate::keys::Macs;
use crate::limits::{QUERIES_MAX, QUERY_MEMORY_SHARE};
use crate::tenancy::Directory;
use admission::Admission;
use metrics::Metrics;
use obsrv_engine::engine::{Engine, State};
use obsrv_engine::io::Clock;

/// What exists once the engine has recovered.
#[derive(Debug)]
pub struct Core {
    /// The store.
    pub engine: Arc<Engine>,
    /// Projects and keys.
    pub directory: Arc<Directory>,
    /// Signs cursors.
    pub cursors: Macs,
}

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The engine recovers; nothing is answered yet.
    Starting,
    /// Reads and writes.
    Ready,
    /// The disk is full: reads only.
    ReadOnly,
    /// The engine has failed; the process ends.
    Failed,
}

impl Phase {
    /// Its name in `/ready`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::ReadOnly => "read_only",
            Self::Failed => "failed",
        }
    }

    /// Its value in `/metrics`.
    pub const fn number(self) -> u64 {
        match self {
            Self::Starting => 0,
            Self::Ready => 1,
            Self::ReadOnly => 2,
            Self::Failed => 3,
        }
    }
}

/// What every handler sees.
#[derive(Debug)]
pub struct App {
    core: OnceLock<Core>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Room for bodies.
    pub admission: Admission,
    /// Largest body after decompression.
    pub decoded_bytes_max: usize,
    /// Bytes of bodies that one query may read.
    pub query_bytes_max: u64,
    /// Counters.
    pub metrics: Metrics,
    /// Places for queries.
    pub queries: Arc<Semaphore>,
    request_ids: outer::RequestIds,
}

impl App {
    /// An app whose engine has still to come.
    pub fn new(
        clock: Arc<dyn Clock>,
        memory_bytes: u64,
        decoded_bytes_max: usize,
        request_seed: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            core: OnceLock::new(),
            clock,
            admission: Admission::new(memory_bytes),
            decoded_bytes_max,
            query_bytes_max: memory_bytes / QUERY_MEMORY_SHARE,
            metrics: Metrics::default(),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            request_ids: outer::RequestIds::new(request_seed),
        })
    }

    /// The engine has recovered: requests are answered from here on.
    pub fn set_ready(&self, core: Core) {
        self.core
            .set(core)
            .expect("BUG: the app became ready twice");
    }

    /// The engine, or a 503 while it recovers.
    pub fn core(&self) -> Result<&Core, ApiError> {
        self.core
            .get()
            .ok_or_else(|| ApiError::new(ErrorCode::Starting, "recovering, nothing stored"))
    }

    /// Where the process is in its life.
    pub fn phase(&self) -> Phase {
        match self.core.get().map(|core| core.engine.state()) {
            None => Phase::Starting,
            Some(State::Ready) => Phase::Ready,
            Some(State::ReadOnly) => Phase::ReadOnly,
            Some(State::Failed) => Phase::Failed,
        }
    }
}

/// The routes of the public address.
pub fn build(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/traces", get(trace_list::list).post(traces::ingest))
        // Where SDKs send that are made for another product.
        .route("/otlp/v1/traces", post(traces::ingest))
        .route("/api/public/otel/v1/traces", post(traces::ingest))
        .route("/v1/traces/{id}", get(trace::show).delete(trace::delete))
        .route("/v1/traces/{id}/annotations", post(annotations::ingest))
        .route("/v1/imports/traces", post(imports::ingest))
        .route("/v1/events", post(events::ingest))
        .route("/api/public/ingestion", post(langfuse::ingestion))
        .route("/api/public/scores", post(langfuse::scores))
        .route("/api/public/projects", get(langfuse::projects))
        .route("/api/public/health", get(langfuse::health))
        .merge(langsmith::routes(""))
        // As its clients write the address of a server of one's own.
        .merge(langsmith::routes(metrics::LANGSMITH_PREFIX))
        .route("/live", get(health::live))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::show))
        .method_not_allowed_fallback(outer::method_not_allowed)
        .fallback(outer::not_found)
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&app),
            outer::wrap,
        ))
        .with_state(app)
}

#[cfg(test)]
mod tests;
