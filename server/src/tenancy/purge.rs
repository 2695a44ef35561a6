//! Empties deleted projects: every trace of them gets its delete record, so that compaction drops the
//! rows. Nobody sees them meanwhile. A purge that a stop cuts off begins again at the next start.

use std::collections::VecDeque;
use std::sync::Arc;

use obsrv_engine::engine::{Deletion, Engine, IngestError};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Budget, Order, QueryError, Request};
use obsrv_engine::row::{ProjectId, Table};
use obsrv_engine::source::Column;

use super::{ChangeError, ControlPlane};
use crate::limits::{PURGE_DELAY, PURGE_PAGE_ROWS, QUERY_ROWS_MAX};

/// Why a purge goes on later.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// Rows do not read.
    #[error("rows of a deleted project do not read")]
    Query(#[from] QueryError),
    /// The log takes nothing.
    #[error("delete not stored")]
    Log(#[from] IngestError),
    /// The end of the purge was not noted.
    #[error("end of the purge not stored")]
    Change(#[from] ChangeError),
    /// The server stops.
    #[error("purge was cut off")]
    Stopped,
}

/// Purges every project that was deleted long enough ago for its last requests to be over, a page of
/// each in turn: a large one keeps no small one waiting, nor does one that does not read. Returns how
/// many were purged; the error is the first of those that go on later.
pub async fn purge_deleted(
    engine: &Arc<Engine>,
    plane: &ControlPlane,
) -> Result<usize, PurgeError> {
    let now = plane.now_ns();
    let delay = i64::try_from(PURGE_DELAY.as_nanos()).unwrap_or(i64::MAX);
    let mut due: VecDeque<Purge> = plane.directory().read(|state| {
        let all = state.projects.unpurged();
        let due = all.filter(|(_, deleted)| now.saturating_sub(deleted.at_ns) >= delay);
        due.map(|(project, _)| Purge::of(ProjectId(project)))
            .collect()
    });
    let (mut done, mut failed) = (0, None);
    while let Some(mut purge) = due.pop_front() {
        match purge.step(engine).await {
            Ok(true) => due.push_back(purge),
            Ok(false) => {
                plane.note_purged(purge.project.0, purge.traces).await?;
                let (project, traces) = (purge.project.0, purge.traces);
                tracing::info!(project, traces, "deleted project purged");
                done += 1;
            }
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(done), Err)
}

/// Deletes every trace of a project. Returns how many.
pub async fn purge(engine: &Arc<Engine>, project: ProjectId) -> Result<u64, PurgeError> {
    let mut purge = Purge::of(project);
    while purge.step(engine).await? {}
    Ok(purge.traces)
}

/// A project that is being emptied.
struct Purge {
    project: ProjectId,
    /// What has still to be emptied, the next table last.
    tables: Vec<Table>,
    /// Deleted so far.
    traces: u64,
}

impl Purge {
    fn of(project: ProjectId) -> Self {
        Self {
            project,
            tables: Table::ALL.to_vec(),
            traces: 0,
        }
    }

    /// Deletes the traces of one page of rows. False when nothing is left.
    async fn step(&mut self, engine: &Arc<Engine>) -> Result<bool, PurgeError> {
        let Some(table) = self.tables.last().copied() else {
            return Ok(false);
        };
        let (engine_of_search, project) = (Arc::clone(engine), self.project);
        let page = move || traces_of(&engine_of_search, project, table);
        let page = tokio::task::spawn_blocking(page).await;
        let traces = page.map_err(|_| PurgeError::Stopped)??;
        if traces.is_empty() {
            self.tables.pop();
        } else {
            self.traces += u64::try_from(traces.len()).unwrap_or(u64::MAX);
            let deletions = traces.into_iter().map(|t| Deletion::Trace(t.into()));
            delete_all(engine, project, deletions.collect()).await?;
        }
        Ok(!self.tables.is_empty())
    }
}

/// Hides all of this at once; compaction drops the rows.
pub(crate) async fn delete_all(
    engine: &Engine,
    project: ProjectId,
    deletions: Vec<Deletion>,
) -> Result<(), PurgeError> {
    let mut outcomes = Vec::with_capacity(deletions.len());
    for deletion in deletions {
        let (sender, outcome) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result| {
            // The receiver waits below, unless the first of the others failed.
            let _ = sender.send(result);
        });
        engine.delete(project, deletion, done);
        outcomes.push(outcome);
    }
    for outcome in outcomes {
        outcome.await.map_err(|_| PurgeError::Stopped)??;
    }
    Ok(())
}

fn traces_of(engine: &Engine, project: ProjectId, table: Table) -> Result<Vec<String>, QueryError> {
    let request = Request {
        filter: Filter::All,
        order: Order {
            column: Column::Start,
            descending: true,
        },
        limit: PURGE_PAGE_ROWS,
        after: None,
        total: false,
        facets: Vec::new(),
        facet_values_max: 0,
    };
    let budget = Budget {
        rows_max: QUERY_ROWS_MAX,
        bytes_max: u64::MAX,
        read_bytes_max: u64::MAX,
        cancelled: &|| false,
        processors: None,
        weigh: None,
    };
    let page = engine
        .snapshot()
        .search_cores(project, table, &request, &budget)?;
    let mut traces: Vec<String> = page
        .hits
        .iter()
        .map(|hit| hit.core.trace_id.to_string())
        .collect();
    traces.sort();
    traces.dedup();
    Ok(traces)
}
