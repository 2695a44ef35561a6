//! What work over everything that is stored of a project has in common: pages of rows, and records that it waits for.
//!
//! A page at a time, so that neither memory nor the time for which other work waits grows with what is stored.

use obsrv_engine::engine::{Done, IngestError, Snapshot};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Budget, Order, Page, Position, QueryError, Request};
use obsrv_engine::row::{ProjectId, Table};
use obsrv_engine::source::Column;
use tokio::sync::oneshot;

use crate::limits::{SWEEP_PAGE_BYTES, SWEEP_PAGE_ROWS};

/// Why it goes on later.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Rows do not read.
    #[error("rows do not read")]
    Query(#[from] QueryError),
    /// The log takes nothing.
    #[error("not stored")]
    Log(#[from] IngestError),
    /// The server stops.
    #[error("cut off")]
    Stopped,
}

/// Rows of a page, oldest first; one alone where many are too large.
pub(crate) fn page(
    snapshot: &Snapshot,
    (project, table): (ProjectId, Table),
    filter: &Filter,
    after: Option<&Position>,
) -> Result<Page, QueryError> {
    let asked = |rows: usize, bytes_max: u64| {
        let request = Request {
            order: Order {
                column: Column::Start,
                descending: false,
            },
            after: after.cloned(),
            ..Request::new(filter.clone(), rows)
        };
        let budget = Budget {
            rows_max: u64::MAX,
            bytes_max,
            read_bytes_max: u64::MAX,
            cancelled: &|| false,
            processors: None,
            weigh: None,
        };
        snapshot.search(project, table, &request, &budget)
    };
    match asked(SWEEP_PAGE_ROWS, SWEEP_PAGE_BYTES) {
        Err(QueryError::BudgetExceeded { .. }) => asked(1, u64::MAX),
        other => other,
    }
}

/// Waits until everything that is submitted is stored; the first that is not ends it.
pub(crate) async fn stored(
    submissions: impl Iterator<Item = impl FnOnce(Done)>,
) -> Result<(), SweepError> {
    let mut outcomes = Vec::new();
    for submit in submissions {
        let (sender, outcome) = oneshot::channel();
        submit(Box::new(move |result| {
            // Nobody waits for it once an earlier one failed.
            let _ = sender.send(result);
        }));
        outcomes.push(outcome);
    }
    for outcome in outcomes {
        outcome.await.map_err(|_| SweepError::Stopped)??;
    }
    Ok(())
}
