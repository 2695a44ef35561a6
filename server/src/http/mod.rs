//! Which route answers what. One file per resource; everything that every request has in common
//! (who asks, how much memory, how errors look, what is counted) in a file of its own.

pub mod access;
pub mod admission;
mod aiobs;
mod annotations;
mod answers;
mod audit;
pub mod auth;
mod blobs;
mod cursor;
mod dashboard;
mod error;
mod events;
mod experiments;
#[cfg(feature = "forge")]
pub mod forge;
mod governance;
pub(crate) mod grpc;
mod health;
mod imports;
mod ingest;
mod input;
mod jaeger;
pub(crate) mod keys;
mod langfuse;
mod langsmith;
mod members;
pub mod metrics;
mod obtrace;
mod openapi;
mod orgs;
mod otlp;
mod outer;
mod params;
mod pieces;
mod position;
mod prices;
mod projects;
mod protobuf;
mod query;
mod read;
pub mod routes;
mod signin;
pub(crate) mod slow;
mod spent;
pub(crate) mod status;
mod store;
mod tail;
mod tcc;
mod tempo;
mod theta_metrics;
mod trace;
mod trace_list;
mod traces;
mod unread;
pub(crate) mod usage;
mod whole;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;

use axum::Router;
use tokio::sync::Semaphore;

pub use error::{ApiError, ErrorCode, OUTCOME};
pub(crate) use whole::Whole;

use crate::blob::Blobs;
use crate::governance::Governance;
use crate::keys::Macs;
use crate::limits::{PARQUET_EXPORTS_MAX, QUERY_MEMORY_SHARE};
use crate::net::accept::Room;
use crate::price;
use crate::remap::Remap;
use crate::signin::SignIn;
use crate::tenancy::{ControlPlane, Directory};
use access::{ProjectSee, Public, TraceDelete, TraceRead, TraceWrite};
use admission::Admission;
use auth::SessionSource;
use metrics::Metrics;
use obsrv_engine::engine::{Engine, State, Stats};
use obsrv_engine::io::Clock;
use obsrv_engine::query::Processors;
use query::places::Places;
use routes::Routes;
use slow::SlowQueries;

/// What exists once the engine has recovered.
#[derive(Debug)]
pub struct Core {
    engine: Arc<Engine>,
    plane: Arc<ControlPlane>,
    governance: Arc<Governance>,
    cursors: Macs,
    sessions: Arc<dyn SessionSource>,
    tails: Arc<tail::Tails>,
    signin: Option<Arc<SignIn>>,
    blobs: Option<Arc<Blobs>>,
}

impl Core {
    /// Of these.
    pub fn new(
        engine: Arc<Engine>,
        plane: Arc<ControlPlane>,
        governance: Arc<Governance>,
        cursors: Macs,
        sessions: Arc<dyn SessionSource>,
    ) -> Self {
        Self {
            engine,
            plane,
            governance,
            cursors,
            sessions,
            tails: Arc::default(),
            signin: None,
            blobs: None,
        }
    }

    /// The same, with attachments.
    #[must_use]
    pub fn keeping(mut self, blobs: Arc<Blobs>) -> Self {
        self.blobs = Some(blobs);
        self
    }

    /// Attachments.
    pub fn blobs(&self) -> Result<&Arc<Blobs>, ApiError> {
        let none = || ApiError::new(ErrorCode::Internal, "no store of attachments");
        self.blobs.as_ref().ok_or_else(none)
    }

    /// The engine, for what is done behind requests.
    pub(crate) const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The same, at which people sign in by this.
    #[must_use]
    pub fn signing_in(mut self, signin: Arc<SignIn>) -> Self {
        self.sessions = Arc::<SignIn>::clone(&signin);
        self.signin = Some(signin);
        self
    }

    /// Signing in, if there is any at this server.
    pub const fn signin(&self) -> Option<&Arc<SignIn>> {
        self.signin.as_ref()
    }

    /// Organizations, people, projects and keys.
    pub fn directory(&self) -> &Directory {
        self.plane.directory()
    }

    /// The writer of control events.
    pub const fn plane(&self) -> &Arc<ControlPlane> {
        &self.plane
    }

    /// Settings of projects, and what was used.
    pub const fn governance(&self) -> &Arc<Governance> {
        &self.governance
    }

    /// Signs cursors.
    pub const fn cursors(&self) -> &Macs {
        &self.cursors
    }

    /// Who watches what comes in.
    pub(crate) const fn tails(&self) -> &Arc<tail::Tails> {
        &self.tails
    }

    /// Who is signed in.
    pub fn sessions(&self) -> &dyn SessionSource {
        &*self.sessions
    }

    /// Counters of the engine.
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }
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
    /// The disk does not answer: what was stored can be read.
    Stuck,
    /// The disk refuses to read what a record changes, which waits for that with all that come after: what was
    /// stored before can be read.
    Unreadable,
}

impl Phase {
    /// Its name in `/ready`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::ReadOnly => "read_only",
            Self::Failed => "failed",
            Self::Stuck => "stuck",
            Self::Unreadable => "unreadable",
        }
    }

    /// Its value in `/metrics`.
    pub const fn number(self) -> u64 {
        match self {
            Self::Starting => 0,
            Self::Ready => 1,
            Self::ReadOnly => 2,
            Self::Failed => 3,
            Self::Stuck => 4,
            Self::Unreadable => 5,
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
    /// How many connections there may be.
    pub(crate) connections: Room,
    /// Places in the work on bodies.
    pub(crate) ingest: ingest::Places,
    /// Largest body after decompression.
    pub decoded_bytes_max: usize,
    /// Bytes of bodies that one query may read.
    pub query_bytes_max: u64,
    /// Counters.
    pub metrics: Metrics,
    /// Places for queries.
    pub(crate) queries: Places,
    /// What queries divide among themselves.
    pub processors: Arc<Processors>,
    /// Places for exports that keep many rows.
    pub parquet_exports: Arc<Semaphore>,
    /// Queries that took long.
    pub(crate) slow: SlowQueries,
    /// What is mapped again, if anything is.
    pub(crate) remap: Remap,
    request_ids: outer::RequestIds,
    began_ns: u64,
    stuck: AtomicBool,
    openapi: OnceLock<String>,
    book: OnceLock<Arc<price::Book>>,
}

impl App {
    /// An app whose engine has still to come.
    pub fn new(
        clock: Arc<dyn Clock>,
        memory_bytes: u64,
        decoded_bytes_max: usize,
        request_seed: u64,
    ) -> Arc<Self> {
        let processors = available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            core: OnceLock::new(),
            slow: SlowQueries::default(),
            remap: Remap::default(),
            began_ns: clock.mono_ns(),
            stuck: AtomicBool::new(false),
            clock,
            admission: Admission::new(memory_bytes),
            connections: Room::of(memory_bytes),
            ingest: ingest::Places::new(ingest::Bounds::of(processors, memory_bytes)),
            decoded_bytes_max,
            query_bytes_max: memory_bytes / QUERY_MEMORY_SHARE,
            metrics: Metrics::default(),
            queries: Places::default(),
            processors: Arc::new(Processors::new(processors)),
            parquet_exports: Arc::new(Semaphore::new(PARQUET_EXPORTS_MAX)),
            request_ids: outer::RequestIds::new(request_seed),
            openapi: OnceLock::new(),
            book: OnceLock::new(),
        })
    }

    /// The engine has recovered: requests are answered from here on.
    pub fn set_ready(&self, core: Core) {
        self.core
            .set(core)
            .expect("BUG: the app became ready twice");
    }

    /// Prices by this table, where organizations have none of their own. Before anybody asks for prices, or those
    /// shipped stay.
    pub fn set_prices(&self, table: price::Table) {
        let _shipped = self.book.set(Arc::new(price::Book::new(table)));
    }

    /// The prices.
    pub(crate) fn book(&self) -> &Arc<price::Book> {
        self.book
            .get_or_init(|| Arc::new(price::Book::new(price::Table::shipped())))
    }

    /// The engine, or a 503 while it recovers.
    pub fn core(&self) -> Result<&Core, ApiError> {
        self.core
            .get()
            .ok_or_else(|| ApiError::new(ErrorCode::Starting, "recovering, nothing stored"))
    }

    /// The disk does not answer, or does again.
    pub fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }

    /// Where the process is in its life.
    pub fn phase(&self) -> Phase {
        let Some(core) = self.core.get() else {
            return Phase::Starting;
        };
        match core.engine.state() {
            State::Failed => Phase::Failed,
            _ if self.stuck.load(Ordering::Relaxed) => Phase::Stuck,
            _ if core.engine.is_unreadable() => Phase::Unreadable,
            State::Ready => Phase::Ready,
            State::ReadOnly => Phase::ReadOnly,
        }
    }
}

/// The routes of the public address.
pub fn build(app: Arc<App>) -> Router {
    let routes = routes(&app);
    app.openapi
        .get_or_init(|| openapi::document(routes.table()).to_string());
    routes
        .into_router()
        .method_not_allowed_fallback(outer::method_not_allowed)
        .fallback(outer::not_found)
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&app),
            outer::wrap,
        ))
        .with_state(app)
}

/// Every route that there is, but for those of the admin socket alone.
fn routes(app: &Arc<App>) -> Routes {
    let mut routes = Routes::new(app);
    add_traces(&mut routes);
    otlp::add(&mut routes);
    theta_metrics::add(&mut routes);
    add_products(&mut routes);
    blobs::add(&mut routes);
    add_health(&mut routes);
    orgs::add(&mut routes);
    members::add(&mut routes);
    projects::add(&mut routes);
    keys::add(&mut routes);
    governance::add(&mut routes);
    experiments::add(&mut routes);
    usage::add(&mut routes);
    prices::add(&mut routes);
    audit::add(&mut routes);
    read::add(&mut routes);
    tempo::add(&mut routes);
    jaeger::add(&mut routes);
    signin::routes(&mut routes);
    dashboard::add(&mut routes);
    routes
        .get("/openapi.json", Public, openapi::show)
        .says("This document.");
    routes
}

fn add_traces(routes: &mut Routes) {
    routes
        .get("/v1/traces", TraceRead, trace_list::list)
        .says("List, filter and count runs.");
    routes
        .get("/v1/traces/{id}", TraceRead, trace::show)
        .says("Read a whole trace.");
    routes
        .delete("/v1/traces/{id}", TraceDelete, trace::delete)
        .says("Delete a trace.")
        .gives::<trace::TraceDeleted>();
    routes
        .post(
            "/v1/traces/{id}/annotations",
            TraceWrite,
            annotations::ingest,
        )
        .says("Take an annotation.");
    routes
        .post("/v1/imports/traces", TraceWrite, imports::ingest)
        .says("Take many traces and envelopes.");
    routes
        .post("/v1/imports/{format}", TraceWrite, imports::ingest_file)
        .says("Take a file of Jaeger, Zipkin, Claude Code, SWE-agent, tau-bench or Inspect.");
    routes
        .post("/v1/events", TraceWrite, events::ingest)
        .says("Take one canonical envelope.");
}

fn add_products(routes: &mut Routes) {
    routes
        .post("/api/public/ingestion", TraceWrite, langfuse::ingestion)
        .says("Take a Langfuse batch.");
    routes
        .post("/api/public/scores", TraceWrite, langfuse::scores)
        .says("Take Langfuse scores.");
    routes
        .get("/api/public/projects", ProjectSee, langfuse::projects)
        .says("The project of a key, in Langfuse's words.");
    routes
        .get("/api/public/health", Public, langfuse::health)
        .says("Whether the server answers, in Langfuse's words.");
    langsmith::routes(routes, "");
    // As its clients write the address of a server of one's own.
    langsmith::routes(routes, metrics::LANGSMITH_PREFIX);
    tcc::add(routes);
    obtrace::add(routes);
}

fn add_health(routes: &mut Routes) {
    routes
        .get("/live", Public, health::live)
        .says("Whether the process answers.");
    routes
        .get("/ready", Public, health::ready)
        .says("Whether writes are taken.");
    routes
        .get("/metrics", Public, metrics::show)
        .says("Counters in the Prometheus text format.");
}

#[cfg(test)]
mod tests;
