//! Retention: deletes what is older than its project keeps it, by delete records as the purge of a project
//! does, and notes how much in the audit log.
//!
//! A row is as old as the later of its end and its receipt. A trace is as old as the youngest of its
//! spans and scores, so it goes as a whole, and one that is still written stays; log lines, which have days of
//! their own, go one by one, and so do points. When a row was received is
//! known by marks in the log that are `RETENTION_MARK_TIME` apart or little more: a trace may stay that much
//! longer. A row that comes for such a trace just while it is deleted is deleted with it.
//!
//! A clock that jumps a year ahead makes everything a year older. So a jump stops all this for a day, and says so.

use std::collections::HashMap;
use std::sync::Arc;

use obsrv_engine::engine::{Deletion, Engine, RowAt, Snapshot};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Order, Position, QueryError, Request};
use obsrv_engine::row::{Lsn, ProjectId, RowKey, Table};
use obsrv_engine::source::{Column, Core};

use super::{Class, Governance, GovernanceEvent, Retention};
use crate::control::ControlEvent;
use crate::limits::{
    CLOCK_GAP_TIME, CLOCK_JUMP_TIME, CLOCK_SETTLE_TIME, CONTROL_LOG_BYTES_MAX, DELETE_ROWS_MAX,
    PURGE_PAGE_ROWS, QUERY_ROWS_MAX, RETENTION_TIME,
};
use crate::tenancy::plane::By;
use crate::tenancy::purge::{PurgeError, delete_all};

const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Which projects were looked at when. Owned by the one task that looks.
#[derive(Debug, Default)]
pub struct Expiry {
    looked_ns: HashMap<u64, i64>,
    /// Records of the log when its time was noted last.
    noted: u64,
    watch: ClockWatch,
}

/// Whether the wall clock can be believed. Owns what both clocks said last.
#[derive(Debug, Default)]
struct ClockWatch {
    last: Option<(i64, u64)>,
    /// Until when it is not believed, by the clock that does not jump.
    settles_ns: u64,
}

impl ClockWatch {
    /// Takes in what both clocks say, and when something was noted last before the first look.
    fn is_settled(&mut self, (wall_ns, mono_ns): (i64, u64), noted_ns: Option<i64>) -> bool {
        let ahead_ns = if let Some((wall, mono)) = self.last.replace((wall_ns, mono_ns)) {
            let passed = mono_ns.saturating_sub(mono);
            let went = wall_ns.saturating_sub(wall);
            went.saturating_sub_unsigned(passed)
                .saturating_sub(nanos(CLOCK_JUMP_TIME))
        } else {
            let noted = noted_ns.unwrap_or(wall_ns);
            wall_ns
                .saturating_sub(noted)
                .saturating_sub(nanos(CLOCK_GAP_TIME))
        };
        if ahead_ns > 0 {
            self.settles_ns = mono_ns.saturating_add(nanos(CLOCK_SETTLE_TIME).unsigned_abs());
            tracing::error!(
                ahead_ns,
                "the clock has jumped ahead: nothing expires for a day; set it right before"
            );
        }
        mono_ns >= self.settles_ns
    }
}

fn nanos(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
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
    /// Looks at every project that keeps something for a time and was not looked at for
    /// [`RETENTION_TIME`]. Returns how many traces, log lines and points were deleted. After an error the project is looked at
    /// again the next time.
    pub async fn step(
        &mut self,
        engine: &Arc<Engine>,
        governance: &Governance,
    ) -> Result<u64, PurgeError> {
        let plane = &governance.plane;
        let now = plane.now_ns();
        let clocks = (now, plane.mono_ns());
        if !self.watch.is_settled(clocks, plane.marks().last_ns()) {
            return Ok(0);
        }
        let kept = plane.settings().expiring();
        self.looked_ns
            .retain(|project, _| kept.contains_key(project));
        if !kept.is_empty() && plane.marks().are_old(now) && engine.stats().records > self.noted {
            let event = GovernanceEvent::TimeNoted;
            let noted = ControlEvent::Governance(governance.act(By::system(), event));
            plane.append(vec![noted]).await?;
            self.noted = engine.stats().records;
        }
        let every = nanos(RETENTION_TIME);
        let (mut deleted, mut failed) = (0, None);
        for (project, retention) in kept {
            let looked = self.looked_ns.get(&project);
            if looked.is_some_and(|at| now.saturating_sub(*at) < every) {
                continue;
            }
            // Rows of one project that do not read keep no other's.
            match expire(engine, governance, ProjectId(project), retention, now).await {
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

/// Deletes what a project no longer keeps, class by class, and notes it.
async fn expire(
    engine: &Arc<Engine>,
    governance: &Governance,
    project: ProjectId,
    retention: Retention,
    now_ns: i64,
) -> Result<u64, PurgeError> {
    let mut all = 0;
    for class in Class::ALL {
        let Some(days) = retention.of(class) else {
            continue;
        };
        let cutoff = now_ns.saturating_sub(i64::from(days).saturating_mul(DAY_NS));
        let bounds = Bounds {
            ended_ns: cutoff,
            received: governance.plane.marks().received_before(cutoff),
        };
        let mut count = 0;
        let done = delete_old(engine, project, class, bounds, &mut count).await;
        if count > 0 {
            tracing::info!(project = project.0, class = class.name(), count, "expired");
            let event = GovernanceEvent::Expired {
                project: project.0,
                class,
                count,
                before_ns: bounds.ended_ns,
            };
            note(governance, event).await?;
        }
        done?;
        all += count;
    }
    Ok(all)
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
    class: Class,
    bounds: Bounds,
    deleted: &mut u64,
) -> Result<(), PurgeError> {
    // Nothing is known to have come so early.
    if bounds.received == 0 {
        return Ok(());
    }
    // Every span has a run; a score may have neither.
    let tables: &[Table] = match class {
        Class::Traces => &[Table::Runs, Table::Scores],
        Class::Logs => &[Table::Logs],
        Class::Metrics => &[Table::Points],
    };
    for table in tables.iter().copied() {
        let mut after = None;
        loop {
            let engine_of_search = Arc::clone(engine);
            let look = move || {
                let snapshot = engine_of_search.snapshot();
                let (page, next) = old_rows(&snapshot, project, table, bounds, after)?;
                let deletions = deletions(&snapshot, project, class, bounds, page)?;
                Ok::<_, QueryError>((deletions, next))
            };
            let page = tokio::task::spawn_blocking(look).await;
            let ((deletions, count), next) = page.map_err(|_| PurgeError::Stopped)??;
            delete_all(engine, project, deletions).await?;
            *deleted += count;
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// Rows of a page that are old, and where the next page begins.
fn old_rows(
    snapshot: &Snapshot,
    project: ProjectId,
    table: Table,
    bounds: Bounds,
    after: Option<Position>,
) -> Result<(Vec<Core>, Option<Position>), QueryError> {
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
        read_bytes_max: u64::MAX,
        cancelled: &|| false,
        processors: None,
        weigh: None,
    };
    let page = snapshot.search_cores(project, table, &request, &budget)?;
    let old = page.hits.into_iter().map(|hit| hit.core);
    Ok((old.filter(|core| bounds.pass(core)).collect(), page.next))
}

/// What deletes these rows and, of runs and scores, what belongs to them; and how much that is. A trace that
/// has a younger row stays.
fn deletions(
    snapshot: &Snapshot,
    project: ProjectId,
    class: Class,
    bounds: Bounds,
    rows: Vec<Core>,
) -> Result<(Vec<Deletion>, u64), QueryError> {
    let of_rows: fn(Vec<RowAt>) -> Deletion = match class {
        Class::Traces => return runs(snapshot, project, bounds, &rows),
        Class::Logs => Deletion::Logs,
        Class::Metrics => Deletion::Points,
    };
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let rows: Vec<RowAt> = rows.into_iter().map(row_at).collect();
    let deletions = rows
        .chunks(DELETE_ROWS_MAX)
        .map(|rows| of_rows(rows.to_vec()));
    Ok((deletions.collect(), count))
}

fn row_at(core: Core) -> RowAt {
    RowAt {
        key: RowKey {
            trace_id: core.trace_id,
            id: core.id,
        },
        start_ns: core.start_ns,
    }
}

fn runs(
    snapshot: &Snapshot,
    project: ProjectId,
    bounds: Bounds,
    rows: &[Core],
) -> Result<(Vec<Deletion>, u64), QueryError> {
    let mut traces: Vec<&str> = rows.iter().map(|core| core.trace_id.as_ref()).collect();
    traces.sort_unstable();
    traces.dedup();
    let mut old = Vec::with_capacity(traces.len());
    for trace in traces {
        let rows = snapshot.trace_cores(project, trace)?;
        if rows.iter().all(|row| bounds.pass(row)) {
            old.push(Deletion::Run(trace.into()));
        }
    }
    let count = u64::try_from(old.len()).unwrap_or(u64::MAX);
    Ok((old, count))
}

#[cfg(test)]
mod tests;
