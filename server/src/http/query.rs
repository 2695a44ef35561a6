//! Runs queries off the network thread: a bounded number of each class at once, projects in turn, a bounded cost
//! each, ended when the client goes away.
//!
//! A question is light until the engine says that it comes to more ([`Weight`]): then it gives its place back and
//! waits for one among the heavy ones, on its own thread and with what it has found so far. What waits so holds its
//! snapshot, for [`QUERY_TIME_MAX`] at most as what runs does, and its thread, of which there are enough for all that
//! may wait.

pub(crate) mod places;
mod turns;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::auth::Tenant;
use super::error::{ApiError, ErrorCode};
use super::{App, slow, usage};
use crate::limits::{QUERY_READ_BYTES_MAX, QUERY_ROWS_MAX, QUERY_TIME_MAX, QUERY_WAIT_TIME_MAX};
use obsrv_engine::query::{Budget, Class, Weight};
use obsrv_engine::row::ProjectId;
use places::{Place, Refused};
use turns::Full;

/// Says that the request's future was dropped: to the query that runs, and to the one that waits.
struct CancelOnDrop {
    cancelled: Arc<AtomicBool>,
    _gone: oneshot::Sender<()>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Runs a query that somebody asks, if their rates and their plan let them.
pub(crate) async fn ask<T, F>(app: &Arc<App>, tenant: &Tenant, work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&Budget<'_>) -> Result<T, ApiError> + Send + 'static,
{
    usage::admit_query(app, tenant)?;
    run(app, tenant.project(), work).await
}

/// The same of a question that is heavy whatever its plan says: it reads many traces one by one.
pub(crate) async fn ask_heavy<T, F>(app: &Arc<App>, tenant: &Tenant, work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&Budget<'_>) -> Result<T, ApiError> + Send + 'static,
{
    usage::admit_query(app, tenant)?;
    run_heavy(app, tenant.project(), work).await
}

/// Runs `work` with a budget on a blocking thread.
pub(crate) async fn run<T, F>(app: &Arc<App>, project: ProjectId, work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&Budget<'_>) -> Result<T, ApiError> + Send + 'static,
{
    run_as(app, (Class::Light, project), work).await
}

/// The same among the heavy ones from the beginning.
pub(crate) async fn run_heavy<T, F>(
    app: &Arc<App>,
    project: ProjectId,
    work: F,
) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&Budget<'_>) -> Result<T, ApiError> + Send + 'static,
{
    run_as(app, (Class::Heavy, project), work).await
}

async fn run_as<T, F>(
    app: &Arc<App>,
    (class, project): (Class, ProjectId),
    work: F,
) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&Budget<'_>) -> Result<T, ApiError> + Send + 'static,
{
    // What it waits is of its time.
    let asked_ns = app.clock.mono_ns();
    let place = app.queries.enter(class, project.0, QUERY_WAIT_TIME_MAX);
    let place = place.await.map_err(|why| refused(class, why))?;
    let began_ns = app.clock.mono_ns();
    let (gone, is_gone) = oneshot::channel();
    let cancelled = Arc::new(AtomicBool::new(false));
    let guard = CancelOnDrop {
        cancelled: Arc::clone(&cancelled),
        _gone: gone,
    };
    let (running, handle) = (Arc::clone(app), Handle::current());
    let answer = tokio::task::spawn_blocking(move || {
        let app = &*running;
        let seat = RefCell::new(Seat {
            app,
            handle,
            project,
            class,
            place: Some(place),
            weight: Weight::default(),
            is_gone,
            waited_ns: 0,
            refused: None,
        });
        let time_max = u64::try_from(QUERY_TIME_MAX.as_nanos()).unwrap_or(u64::MAX);
        let give_up = || {
            let is_over = || app.clock.mono_ns().saturating_sub(asked_ns) > time_max;
            cancelled.load(Ordering::Relaxed) || is_over()
        };
        let answer = work(&Budget {
            rows_max: QUERY_ROWS_MAX,
            bytes_max: app.query_bytes_max,
            read_bytes_max: QUERY_READ_BYTES_MAX,
            cancelled: &give_up,
            processors: Some(&app.processors),
            weigh: Some(&|more| seat.borrow_mut().bear(more)),
        });
        let seat = seat.into_inner();
        (seat.refused.map_or(answer, Err), seat.waited_ns)
    })
    .await;
    drop(guard);
    let (answer, waited_ns) = answer.unwrap_or_else(|_| {
        let fault = "a fault of obsrv in answering this query";
        (Err(ApiError::new(ErrorCode::Internal, fault)), 0)
    });
    let ran_ns = app.clock.mono_ns().saturating_sub(began_ns);
    slow::ran(ran_ns.saturating_sub(waited_ns) / 1_000);
    answer
}

/// The place of a question that runs, and what it comes to so far.
struct Seat<'a> {
    app: &'a App,
    handle: Handle,
    project: ProjectId,
    class: Class,
    place: Option<Place>,
    weight: Weight,
    is_gone: oneshot::Receiver<()>,
    waited_ns: u64,
    refused: Option<ApiError>,
}

impl Seat<'_> {
    /// The question comes to so much more. False: it has no place any more.
    fn bear(&mut self, more: Weight) -> bool {
        self.weight = self.weight.and(more);
        if self.place.is_none() {
            return false;
        }
        self.class == Class::Heavy || self.weight.class() == Class::Light || self.change()
    }

    /// Gives the place among the light ones back and waits for one among the heavy ones.
    fn change(&mut self) -> bool {
        drop(self.place.take());
        self.class = Class::Heavy;
        let began_ns = self.app.clock.mono_ns();
        let Self {
            app,
            handle,
            project,
            is_gone,
            ..
        } = self;
        let place = app.processors.without(|| {
            handle.block_on(async {
                tokio::select! {
                    biased;
                    _ = is_gone => None,
                    place = app.queries.enter(Class::Heavy, project.0, QUERY_WAIT_TIME_MAX) => Some(place),
                }
            })
        });
        let ended_ns = self.app.clock.mono_ns();
        self.waited_ns += ended_ns.saturating_sub(began_ns);
        match place {
            Some(Ok(place)) => self.place = Some(place),
            Some(Err(why)) => self.refused = Some(refused(Class::Heavy, why)),
            // Nobody reads the answer.
            None => {}
        }
        self.place.is_some()
    }
}

/// How soon a question that was refused is worth another try.
const RETRY_TIME: Duration = Duration::from_secs(1);

/// 429 where a project's own questions are in the way, 503 where those of others are, too.
fn refused(class: Class, why: Refused) -> ApiError {
    let class = class.as_str();
    let (code, message) = match why {
        Refused::Full(Full::OfProject(max)) => (
            ErrorCode::RateLimited,
            format!(
                "too many questions of this project wait limit=waiting_{class}_per_project max={max}"
            ),
        ),
        Refused::Full(Full::OfAll(max)) => (
            ErrorCode::Overloaded,
            format!("too many questions wait limit=waiting_{class} max={max}"),
        ),
        Refused::TooLong(time) => (
            ErrorCode::Overloaded,
            format!(
                "no place for this question in time limit=running_{class} waited_seconds={}",
                time.as_secs()
            ),
        ),
    };
    ApiError::new(code, message).after(RETRY_TIME)
}

#[cfg(test)]
mod tests;
