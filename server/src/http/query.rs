//! Runs queries off the network thread: a bounded number at once, a bounded cost each, ended when
//! the client goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::timeout;

use super::auth::Tenant;
use super::error::{ApiError, ErrorCode};
use super::{App, slow, usage};
use crate::limits::{QUERY_READ_BYTES_MAX, QUERY_ROWS_MAX, QUERY_TIME_MAX, QUERY_WAIT_TIME_MAX};
use obsrv_engine::query::Budget;

/// Sets the flag when the request's future is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a query that somebody asks, if their rates and their plan let them.
pub(crate) async fn ask<T, F>(app: &Arc<App>, tenant: &Tenant, work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&Budget<'_>) -> Result<T, ApiError> + Send + 'static,
{
    usage::admit_query(app, tenant)?;
    run(app, work).await
}

/// Runs `work` with a budget on a blocking thread.
pub(crate) async fn run<T, F>(app: &Arc<App>, work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&Budget<'_>) -> Result<T, ApiError> + Send + 'static,
{
    let wait = Arc::clone(&app.queries).acquire_owned();
    let Ok(Ok(place)) = timeout(QUERY_WAIT_TIME_MAX, wait).await else {
        return Err(ApiError::new(
            ErrorCode::Overloaded,
            "too many queries at once",
        ));
    };
    let cancelled = Arc::new(AtomicBool::new(false));
    let guard = CancelOnDrop(Arc::clone(&cancelled));
    let (clock, processors) = (Arc::clone(&app.clock), Arc::clone(&app.processors));
    let bytes_max = app.query_bytes_max;
    let began = clock.mono_ns();
    let answer = tokio::task::spawn_blocking(move || {
        let _place = place;
        let time_max = u64::try_from(QUERY_TIME_MAX.as_nanos()).unwrap_or(u64::MAX);
        let give_up = || {
            cancelled.load(Ordering::Relaxed) || clock.mono_ns().saturating_sub(began) > time_max
        };
        work(&Budget {
            rows_max: QUERY_ROWS_MAX,
            bytes_max,
            read_bytes_max: QUERY_READ_BYTES_MAX,
            cancelled: &give_up,
            processors: Some(&processors),
        })
    })
    .await;
    drop(guard);
    slow::ran(app.clock.mono_ns().saturating_sub(began) / 1_000);
    answer.unwrap_or_else(|_| {
        Err(ApiError::new(
            ErrorCode::Internal,
            "a fault of obsrv in answering this query",
        ))
    })
}
