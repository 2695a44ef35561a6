//! What is stored, by the mapping that this binary has: `obsrv remap`.
//!
//! A row that says something else by today's mapping is named in a record of the log, a page at most in each, and derived again
//! where that record is applied, at replay too. What a row says decides, not which mapping made it: so nothing has to be kept of how
//! far a remap came. One that was cut off begins again, and finds what is done already as it should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use obsrv_engine::body::Content;
use obsrv_engine::engine::{Engine, IngestError, RowAt, Snapshot};
use obsrv_engine::mapping::{Again, map_again};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Position, QueryError};
use obsrv_engine::row::{ProjectId, RowKey, Table};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use crate::control::{Actor, AuditAction, AuditNote};
use crate::dialect::MAPPING_VERSION;
use crate::governance::Governance;
use crate::interpreter::Today;
use crate::limits::{REMAP_RETRY_TIME, REMAP_SNAPSHOT_PAGES};
use crate::sweep::{self, SweepError};
use crate::tenancy::{ChangeError, ControlPlane};

/// Tables whose rows have what a mapping derives. Runs come last: what their spans say has changed by then.
const TABLES: [Table; 4] = [Table::Spans, Table::Logs, Table::Points, Table::Runs];

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Rows that were looked at.
    pub(crate) looked: u64,
    /// Those of them that say something else now, or would.
    pub(crate) changed: u64,
    /// Those of which nobody can tell, since what they were derived from is not in them.
    pub(crate) left: u64,
}

impl Counts {
    fn and(&mut self, more: Self) {
        self.looked += more.looked;
        self.changed += more.changed;
        self.left += more.left;
    }
}

/// How far a remap is, or how the last one ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Progress {
    /// The mapping.
    mapping: u16,
    /// Whether it goes on.
    running: bool,
    /// Whether nothing is changed.
    dry_run: bool,
    /// The project that it is at.
    project: Option<u64>,
    /// Projects that are done.
    projects: u64,
    /// Projects with redaction rules, now or once, which decided over rows: these stay as they are.
    redacted: Vec<u64>,
    #[serde(flatten)]
    counts: Counts,
    /// Why it ended early.
    error: Option<String>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// One project, else all.
    pub(crate) project: Option<ProjectId>,
    /// Only count.
    pub(crate) is_dry: bool,
}

/// The one remap that may run.
#[derive(Debug)]
pub(crate) struct Remap {
    now: Mutex<(Option<Asked>, Progress)>,
    due: Notify,
    /// Somebody wants it to end.
    is_over: AtomicBool,
}

impl Default for Remap {
    fn default() -> Self {
        Self {
            now: Mutex::new((None, Progress::of(false))),
            due: Notify::new(),
            is_over: AtomicBool::new(false),
        }
    }
}

impl Progress {
    fn of(is_dry: bool) -> Self {
        Self {
            mapping: MAPPING_VERSION,
            running: false,
            dry_run: is_dry,
            project: None,
            projects: 0,
            redacted: Vec::new(),
            counts: Counts::default(),
            error: None,
        }
    }
}

/// Why a remap ended early.
#[derive(Debug, thiserror::Error)]
enum RemapError {
    #[error(transparent)]
    Sweep(#[from] SweepError),
    #[error("not in the audit log")]
    Note(#[from] ChangeError),
    /// The project has rules of redaction.
    #[error("has redaction rules")]
    Ruled,
    /// Somebody wanted it to.
    #[error("it was told to stop")]
    Over,
}

impl Remap {
    /// Asks for one; none if another is on its way.
    pub(crate) fn ask(&self, asked: Asked) -> Option<Progress> {
        let mut now = self.now.lock();
        if now.1.running {
            return None;
        }
        now.1 = Progress {
            running: true,
            ..Progress::of(asked.is_dry)
        };
        now.0 = Some(asked);
        self.is_over.store(false, Ordering::Release);
        self.due.notify_one();
        Some(now.1.clone())
    }

    /// Ends the one that is on its way, if any, before its next page is stored. What is done is done.
    pub(crate) fn stop(&self) -> Progress {
        let now = self.now.lock();
        self.is_over.store(now.1.running, Ordering::Release);
        now.1.clone()
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        self.now.lock().1.clone()
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.now.lock().1);
    }
}

/// What a remap works on.
pub(crate) struct Data<'a> {
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) plane: &'a ControlPlane,
    pub(crate) governance: &'a Governance,
}

/// Does what is asked for, for ever.
pub(crate) async fn remap_always(data: &Data<'_>, remap: &Remap) {
    loop {
        remap.due.notified().await;
        remap_asked(data, remap).await;
    }
}

/// Does what is asked for, if anything is.
pub(crate) async fn remap_asked(data: &Data<'_>, remap: &Remap) {
    let Some(asked) = remap.now.lock().0.take() else {
        return;
    };
    let outcome = run(data, asked, remap).await;
    if let Err(error) = &outcome {
        tracing::warn!(%error, "remap ended early, ask for it again");
    }
    remap.note(|progress| {
        progress.running = false;
        progress.project = None;
        progress.error = outcome.err().map(|error| error.to_string());
    });
}

async fn run(data: &Data<'_>, asked: Asked, remap: &Remap) -> Result<(), RemapError> {
    let mut before = 0;
    loop {
        let next = match asked.project {
            Some(project) => Some(project.0).filter(|_| before == 0),
            None => data.plane.directory().read(|state| {
                let mut projects = state.projects.after(before);
                projects.next().map(|project| project.id.0)
            }),
        };
        let Some(project) = next else {
            return Ok(());
        };
        before = project;
        remap.note(|progress| progress.project = Some(project));
        let work = Work {
            data,
            remap,
            project: ProjectId(project),
            is_dry: asked.is_dry,
        };
        match work.run().await {
            Err(RemapError::Ruled) => remap.note(|progress| progress.redacted.push(project)),
            outcome => outcome?,
        }
        remap.note(|progress| progress.projects += 1);
    }
}

/// What is done about one project.
struct Work<'a> {
    data: &'a Data<'a>,
    remap: &'a Remap,
    project: ProjectId,
    is_dry: bool,
}

impl Work<'_> {
    async fn run(&self) -> Result<(), RemapError> {
        let mut counts = Counts::default();
        let mut outcome = self.may();
        for table in TABLES {
            if outcome.is_ok() {
                outcome = self.table(table, &mut counts).await;
            }
        }
        // What is done is done, however it ended.
        if !self.is_dry && counts.changed > 0 {
            let Counts {
                looked,
                changed,
                left,
            } = counts;
            self.note(&format!("looked={looked} changed={changed} left={left}"))
                .await?;
            tracing::info!(project = self.project.0, looked, changed, left, "remapped");
        }
        outcome
    }

    /// Whether it goes on. Rules that come meanwhile decide over rows that come from then on, and these may be named by a page that was read before.
    fn may(&self) -> Result<(), RemapError> {
        if self.data.governance.was_ruled(self.project) {
            return Err(RemapError::Ruled);
        }
        if self.remap.is_over.load(Ordering::Acquire) {
            return Err(RemapError::Over);
        }
        Ok(())
    }

    async fn table(&self, table: Table, counts: &mut Counts) -> Result<(), RemapError> {
        let (mut after, mut kept) = (None, None);
        for pages in 1_usize.. {
            let reader = Arc::clone(self.data.engine);
            let project = self.project;
            let page = tokio::task::spawn_blocking(move || {
                // What does not read cannot be mapped.
                let snapshot = kept.unwrap_or_else(|| reader.snapshot().allowing_partial());
                let found = look(&snapshot, (project, table), after.as_ref())?;
                Ok::<_, QueryError>((found, snapshot))
            });
            let (found, snapshot) = page
                .await
                .map_err(|_| SweepError::Stopped)?
                .map_err(SweepError::Query)?;
            self.may()?;
            if !self.is_dry && !found.stale.is_empty() {
                self.store(table, found.stale, counts.changed == 0).await?;
            }
            counts.and(found.counts);
            self.remap
                .note(|progress| progress.counts.and(found.counts));
            after = found.next;
            if after.is_none() {
                break;
            }
            // Whoever wants it to end has a turn between any two pages, however fast they are.
            tokio::task::yield_now().await;
            // What comes meanwhile is by today's mapping, so nothing is missed by looking at what was there.
            kept = Some(snapshot).filter(|_| !pages.is_multiple_of(REMAP_SNAPSHOT_PAGES));
        }
        Ok(())
    }

    /// Ingest goes first: a record that finds no room waits.
    async fn store(
        &self,
        table: Table,
        stale: Vec<RowAt>,
        is_first: bool,
    ) -> Result<(), RemapError> {
        if is_first {
            // Before it is done: no row changes without its record.
            self.note("began").await?;
        }
        loop {
            self.may()?;
            let rows = stale.clone();
            let record = |done| {
                let engine = self.data.engine;
                engine.map_again(self.project, (table, rows), done);
            };
            match sweep::stored(std::iter::once(record)).await {
                Err(SweepError::Log(IngestError::Overloaded(_))) => {
                    tokio::time::sleep(REMAP_RETRY_TIME).await;
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Into the audit log.
    async fn note(&self, said: &str) -> Result<(), ChangeError> {
        let directory = self.data.plane.directory();
        let note = AuditNote {
            action: AuditAction::Remapped,
            org: directory.project(self.project).map(|of| of.org),
            project: Some(self.project.0),
            subject: format!("mapping={MAPPING_VERSION} {said}"),
        };
        self.data.plane.note(Actor::Operator, note).await
    }
}

/// What a page comes to.
#[derive(Debug, Default)]
struct Found {
    counts: Counts,
    stale: Vec<RowAt>,
    next: Option<Position>,
}

fn look(
    snapshot: &Snapshot,
    of: (ProjectId, Table),
    after: Option<&Position>,
) -> Result<Found, QueryError> {
    let page = sweep::page(snapshot, of, &Filter::And(Vec::new()), after)?;
    let mut found = Found {
        next: page.next,
        ..Found::default()
    };
    for hit in page.hits {
        found.counts.looked += 1;
        let times = (hit.core.start_ns, hit.core.end_ns);
        // A row that does not decode is damaged, and left.
        match map_again(&Today, of.1, Content::Folded(hit.body), times) {
            Ok(Again::Same) => {}
            Ok(Again::Left) | Err(_) => found.counts.left += 1,
            Ok(Again::Other(_)) => {
                found.counts.changed += 1;
                found.stale.push(RowAt {
                    key: RowKey {
                        trace_id: hit.core.trace_id,
                        id: hit.core.id,
                    },
                    start_ns: hit.core.start_ns,
                });
            }
        }
    }
    Ok(found)
}
