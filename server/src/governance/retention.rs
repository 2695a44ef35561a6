//! Retention: deletes traces that are older than their project keeps them, as the purge of a project
//! does, and notes how many in the audit log.
//!
//! A trace is as old as the youngest of its rows, and a row as old as the later of its end and its
//! receipt; so a trace goes as a whole, and one that is still written stays. When a row was received is
//! known by marks in the log that are `RETENTION_MARK_TIME` apart or little more: a trace may stay that much
//! longer. A row that comes for such a trace just while it is deleted is deleted with it.

use std::collections::HashMap;
use std::sync::Arc;

use obsrv_engine::engine::{Engine, Snapshot};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Order, Position, QueryError, Request};
use obsrv_engine::row::{Lsn, ProjectId, Table};
use obsrv_engine::source::{Column, Core};

use super::{Governance, GovernanceEvent};
use crate::control::ControlEvent;
use crate::limits::{CONTROL_LOG_BYTES_MAX, PURGE_PAGE_ROWS, QUERY_ROWS_MAX, RETENTION_TIME};
use crate::tenancy::plane::By;
use crate::tenancy::purge::{PurgeError, delete_all};

const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Which projects were looked at when. Owned by the one task that looks.
#[derive(Debug, Default)]
pub struct Expiry {
    looked_ns: HashMap<u64, i64>,
    /// Records of the log when its time was noted last.
    noted: u64,
}

/// Up to where everything is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    /// Rows that ended before this.
    ended_ns: i64,
    /// Rows that came up to here in the log.
    received: Lsn,
}

impl Bounds {
    fn pass(self, row: &Core) -> bool {
        let end = row.end_ns.unwrap_or(row.start_ns).max(row.start_ns);
        end < self.ended_ns && row.lsn_last <= self.received
    }
}

impl Expiry {
    /// Looks at every project that keeps traces for a time and was not looked at for
    /// [`RETENTION_TIME`]. Returns how many traces were deleted. After an error the project is looked at
    /// again the next time.
    pub async fn step(
        &mut self,
        engine: &Arc<Engine>,
        governance: &Governance,
    ) -> Result<u64, PurgeError> {
        let plane = &governance.plane;
        let now = plane.now_ns();
        let kept = plane.settings().keeping_traces();
        self.looked_ns
            .retain(|project, _| kept.contains_key(project));
        if !kept.is_empty() && plane.marks().are_old(now) && engine.stats().records > self.noted {
            let event = GovernanceEvent::TimeNoted;
            let noted = ControlEvent::Governance(governance.act(By::system(), event));
            plane.append(vec![noted]).await?;
            self.noted = engine.stats().records;
        }
        let every = i64::try_from(RETENTION_TIME.as_nanos()).unwrap_or(i64::MAX);
        let (mut deleted, mut failed) = (0, None);
        for (project, days) in kept {
            let looked = self.looked_ns.get(&project);
            if looked.is_some_and(|at| now.saturating_sub(*at) < every) {
                continue;
            }
            let cutoff = now.saturating_sub(i64::from(days).saturating_mul(DAY_NS));
            let bounds = Bounds {
                ended_ns: cutoff,
                received: plane.marks().received_before(cutoff),
            };
            // Rows of one project that do not read keep no other's.
            match expire(engine, governance, ProjectId(project), bounds).await {
                Ok(more) => {
                    deleted += more;
                    self.looked_ns.insert(project, now);
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(deleted), Err)
    }
}

/// Deletes the traces of a project that are within the bounds, and notes it.
async fn expire(
    engine: &Arc<Engine>,
    governance: &Governance,
    project: ProjectId,
    bounds: Bounds,
) -> Result<u64, PurgeError> {
    let mut deleted = 0;
    let done = delete_old(engine, project, bounds, &mut deleted).await;
    if deleted > 0 {
        tracing::info!(project = project.0, traces = deleted, "old traces deleted");
        let event = GovernanceEvent::Expired {
            project: project.0,
            traces: deleted,
            before_ns: bounds.ended_ns,
        };
        note(governance, event).await?;
    }
    done?;
    Ok(deleted)
}

/// Receipts never take the room that revoking a key needs.
async fn note(governance: &Governance, event: GovernanceEvent) -> Result<(), PurgeError> {
    let plane = &governance.plane;
    if plane.audit().bytes() > CONTROL_LOG_BYTES_MAX / 2 {
        tracing::warn!("audit log is half full; old traces are deleted without a record there");
        return Ok(());
    }
    let event = ControlEvent::Governance(governance.act(By::system(), event));
    plane.append(vec![event]).await?;
    Ok(())
}

async fn delete_old(
    engine: &Arc<Engine>,
    project: ProjectId,
    bounds: Bounds,
    deleted: &mut u64,
) -> Result<(), PurgeError> {
    // Nothing is known to have come so early.
    if bounds.received == 0 {
        return Ok(());
    }
    // Every span has a run; a score may have neither.
    for table in [Table::Runs, Table::Scores] {
        let mut after = None;
        loop {
            let engine_of_search = Arc::clone(engine);
            let look =
                move || old_traces(&engine_of_search.snapshot(), project, table, bounds, after);
            let page = tokio::task::spawn_blocking(look).await;
            let (traces, next) = page.map_err(|_| PurgeError::Stopped)??;
            delete_all(engine, project, &traces).await?;
            *deleted += u64::try_from(traces.len()).unwrap_or(u64::MAX);
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// Traces of a page of rows that are old with all their rows, and where the next page begins.
fn old_traces(
    snapshot: &Snapshot,
    project: ProjectId,
    table: Table,
    bounds: Bounds,
    after: Option<Position>,
) -> Result<(Vec<String>, Option<Position>), QueryError> {
    let started = Test::Lt(Literal::I64(bounds.ended_ns));
    let request = Request {
        order: Order {
            column: Column::Start,
            descending: false,
        },
        after,
        ..Request::new(Filter::Is(Column::Start, started), PURGE_PAGE_ROWS)
    };
    let budget = Budget {
        rows_max: QUERY_ROWS_MAX,
        bytes_max: u64::MAX,
        cancelled: &|| false,
    };
    let page = snapshot.search(project, table, &request, &budget)?;
    let mut traces: Vec<String> = page
        .hits
        .iter()
        .filter(|hit| bounds.pass(&hit.core))
        .map(|hit| hit.core.trace_id.to_string())
        .collect();
    traces.sort();
    traces.dedup();
    let mut old = Vec::with_capacity(traces.len());
    for trace in traces {
        let rows = snapshot.trace_cores(project, &trace)?;
        if rows.iter().all(|row| bounds.pass(row)) {
            old.push(trace);
        }
    }
    Ok((old, page.next))
}

#[cfg(test)]
mod tests;
