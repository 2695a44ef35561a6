//! Questions at the places of a real app, without rows.

use std::sync::mpsc;

use obsrv_engine::query::LIGHT_BYTES_MAX;
use obsrv_wal::sim::SimClock;

use super::*;
use crate::limits::{QUERIES_HEAVY_MAX, QUERIES_HEAVY_WAITING_PER_PROJECT_MAX};
use turns::at;

const A: ProjectId = ProjectId(1);
const B: ProjectId = ProjectId(2);
const MUCH: Weight = Weight {
    values: 0,
    rows: 0,
    bytes: LIGHT_BYTES_MAX + 1,
};

fn app() -> (Arc<App>, Arc<SimClock>) {
    let clock = Arc::new(SimClock::new(0));
    (App::new(clock.clone(), 64 << 20, 1 << 20, 7), clock)
}

fn counts(app: &App, class: Class) -> (usize, usize) {
    let gauges = app.queries.gauges()[at(class)];
    (gauges.running, gauges.waiting)
}

/// Until the app is so: what other threads do is under way, and comes.
async fn until(app: &App, class: Class, wanted: (usize, usize)) {
    while counts(app, class) != wanted {
        tokio::task::yield_now().await;
    }
}

fn weigh(budget: &Budget<'_>, weight: Weight) -> Result<(), ApiError> {
    let weigh = budget.weigh.unwrap();
    weigh(weight).then_some(()).ok_or_else(|| {
        let cancelled = obsrv_engine::query::QueryError::Cancelled;
        ApiError::from(cancelled)
    })
}

type Asked = tokio::task::JoinHandle<Result<(), ApiError>>;

/// A heavy question of a project that runs until the sender is dropped.
fn busy(app: &Arc<App>, project: ProjectId) -> (Asked, mpsc::Sender<()>) {
    let (end, ended) = mpsc::channel::<()>();
    let app = Arc::clone(app);
    let asked = tokio::spawn(async move {
        run(&app, project, move |budget| {
            weigh(budget, MUCH)?;
            let _ = ended.recv();
            Ok(())
        })
        .await
    });
    (asked, end)
}

#[tokio::test]
async fn light_questions_do_not_wait_behind_heavy_ones() {
    let (app, _) = app();
    let busy = (0..QUERIES_HEAVY_MAX + 5).map(|_| busy(&app, A));
    let (busy, ends): (Vec<_>, Vec<_>) = busy.unzip();
    until(&app, Class::Heavy, (QUERIES_HEAVY_MAX, 5)).await;
    // Those that were found heavy have given their places among the light ones back.
    assert_eq!(counts(&app, Class::Light), (0, 0));
    let answer = run(&app, A, |budget| {
        weigh(budget, Weight::default()).map(|()| 7)
    })
    .await;
    assert_eq!(answer.unwrap(), 7);
    // All at once: which of them run is not said.
    drop(ends);
    for asked in busy {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(counts(&app, Class::Heavy), (0, 0));
}

#[tokio::test]
async fn projects_take_turns() {
    let (app, _) = app();
    let mut of_a = Vec::new();
    for waiting in 0..20 {
        of_a.push(busy(&app, A));
        let running = of_a.len().min(QUERIES_HEAVY_MAX);
        until(&app, Class::Heavy, (running, (waiting + 1) - running)).await;
    }
    let (b, end_of_b) = busy(&app, B);
    until(
        &app,
        Class::Heavy,
        (QUERIES_HEAVY_MAX, 21 - QUERIES_HEAVY_MAX),
    )
    .await;
    drop(end_of_b);
    // The two that run end. One of A's has the first place then and keeps it, and B has the other.
    let rest = of_a.split_off(QUERIES_HEAVY_MAX);
    for (asked, end) in of_a {
        drop(end);
        asked.await.unwrap().unwrap();
    }
    b.await.unwrap().unwrap();
    for (asked, end) in rest {
        drop(end);
        asked.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn whoever_goes_away_while_a_question_waits_leaves_the_queue() {
    let (app, _) = app();
    let busy: Vec<_> = (0..QUERIES_HEAVY_MAX).map(|_| busy(&app, A)).collect();
    until(&app, Class::Heavy, (QUERIES_HEAVY_MAX, 0)).await;
    let (waits, _end) = self::busy(&app, B);
    until(&app, Class::Heavy, (QUERIES_HEAVY_MAX, 1)).await;
    waits.abort();
    until(&app, Class::Heavy, (QUERIES_HEAVY_MAX, 0)).await;
    drop(busy);
    until(&app, Class::Heavy, (0, 0)).await;
}

#[tokio::test]
async fn a_full_queue_is_named() {
    let (app, _) = app();
    let max = QUERIES_HEAVY_WAITING_PER_PROJECT_MAX;
    let busy: Vec<_> = (0..QUERIES_HEAVY_MAX + max)
        .map(|_| busy(&app, A))
        .collect();
    until(&app, Class::Heavy, (QUERIES_HEAVY_MAX, max)).await;
    let over = run(&app, A, |budget| weigh(budget, MUCH))
        .await
        .unwrap_err();
    assert_eq!(over.code, ErrorCode::RateLimited);
    assert!(
        over.message.contains("waiting_heavy_per_project max=32"),
        "{over}"
    );
    assert!(over.retry_seconds.is_some());
    assert_eq!(app.queries.gauges()[at(Class::Heavy)].refused, [1, 0, 0]);
    drop(busy);
}

#[tokio::test]
async fn what_it_waited_is_of_its_time() {
    let (app, clock) = app();
    let (first, end) = busy(&app, A);
    let (second, end_too) = busy(&app, A);
    until(&app, Class::Heavy, (2, 0)).await;
    let asked = Arc::clone(&app);
    let late = tokio::spawn(async move {
        run(&asked, B, move |budget| {
            assert!(!(budget.cancelled)());
            weigh(budget, MUCH)?;
            assert!((budget.cancelled)());
            Ok(())
        })
        .await
    });
    until(&app, Class::Heavy, (2, 1)).await;
    clock.advance(u64::try_from(QUERY_TIME_MAX.as_nanos()).unwrap() + 1);
    drop((end, end_too));
    late.await.unwrap().unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}
