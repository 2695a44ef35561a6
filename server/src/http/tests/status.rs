//! `/debug/status` and `/metrics`: every state that they show is seen to change, and nothing of anybody's data is in
//! them.

use std::time::Duration;

use obsrv_engine::engine::slow_from;
use obsrv_engine::query::Class;
use obsrv_wal::io::RealDisk;
use obsrv_wal::sim::{FaultPlan, SimDisk};

use super::*;
use crate::http::status::show;

/// Segments that wait for their first merge at which ingest is refused; none is merged here.
const FRESH_MAX: u64 = 9;
const RESERVE_BYTES: u64 = 1 << 20;

async fn status(app: &Arc<App>) -> Value {
    let response = show(axum::extract::State(Arc::clone(app))).await.unwrap();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

async fn text_of(app: &Arc<App>, path: &str) -> String {
    let said = ask(app, Request::get(path).body(Body::empty()).unwrap()).await;
    String::from_utf8(said.body).unwrap()
}

/// A server on a disk that can be full, and what commits for it.
async fn on_a_small_disk(dir: &std::path::Path) -> (Arc<App>, Threads, SimDisk) {
    let disk = SimDisk::new(5);
    let ground = Ground {
        disk: disk.handle(),
        files: Arc::new(LocalBlobs::open(dir).unwrap()),
        clock: Arc::new(SystemClock::new()),
        tree: Arc::new(RealTree::new(dir)),
    };
    let options = Options {
        fresh_max: FRESH_MAX,
        merge_min: usize::MAX,
        reserve_bytes: RESERVE_BYTES,
        ..Options::for_memory(64 << 20)
    };
    let start = |engine: &Arc<Engine>| engine.start().unwrap();
    let (app, _, threads) = app_with(&ground, options, no_providers(), start);
    make_projects(&app).await;
    (app, threads, disk)
}

#[tokio::test]
async fn events_that_were_taken_are_counted_however_they_came() {
    let world = world().await;
    let span = |id: u8| {
        let (trace, id) = (format!("{id:032x}"), format!("{id:016x}"));
        json!({ "traceId": trace, "spanId": id, "name": "step", "startTimeUnixNano": "1", "endTimeUnixNano": "2" })
    };
    let refused = json!({ "traceId": "none", "spanId": "none", "name": "step" });
    let spans = json!([span(1), span(2), refused]);
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", JSON, body.to_string()),
    )
    .await;
    assert_eq!(said.status, StatusCode::OK);
    let told = text_of(&world.app, "/metrics").await;
    for line in [
        "obsrv_items_accepted_total 2",
        "obsrv_items_rejected_total 1",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}: {told}");
    }
}

#[tokio::test]
async fn phases_are_shown_as_they_are() {
    let app = starting();
    let shown = status(&app).await;
    assert_eq!(shown["status"], "starting");
    assert!(shown.get("engine").is_none() && shown.get("gates").is_none());
    let dir = tempfile::tempdir().unwrap();
    let (app, threads, disk) = on_a_small_disk(dir.path()).await;
    assert_eq!(status(&app).await["status"], "ready");
    app.set_stuck(true);
    assert_eq!(status(&app).await["status"], "stuck");
    app.set_stuck(false);
    let engine = app.core().unwrap().engine();
    let room = |bytes: u64| FaultPlan {
        quota: Some(disk.used_bytes() + bytes),
        ..FaultPlan::default()
    };
    disk.set_plan(room(RESERVE_BYTES - 1));
    engine.space_step();
    let refused = ask(
        &app,
        post("/v1/traces", "key-of-a", JSON, trace("t", "gold")),
    )
    .await;
    assert_eq!(refused.json()["error"]["code"], "no_space");
    let shown = status(&app).await;
    assert_eq!(shown["status"], "read_only");
    assert_eq!(shown["gates"]["refused"]["disk"], 1);
    disk.set_plan(FaultPlan::default());
    engine.space_step();
    assert_eq!(status(&app).await["status"], "ready");
    threads.stop();
}

#[tokio::test]
async fn merges_that_are_behind_slow_ingest_and_then_refuse_it() {
    let dir = tempfile::tempdir().unwrap();
    let (app, threads, _disk) = on_a_small_disk(dir.path()).await;
    let engine = app.core().unwrap().engine();
    for n in 0..FRESH_MAX {
        let shown = status(&app).await;
        let state = if n < slow_from(FRESH_MAX) {
            "open"
        } else {
            "slow"
        };
        assert_eq!(shown["gates"]["merges"]["waiting"], n);
        assert_eq!(shown["gates"]["merges"]["state"], state, "{n}");
        let stored = ask(
            &app,
            post(
                "/v1/traces",
                "key-of-a",
                JSON,
                trace(&format!("t{n}"), "gold"),
            ),
        );
        assert_eq!(stored.await.status, 201);
        engine.freeze();
        while engine.stats().fresh_segments == n {
            tokio::task::yield_now().await;
        }
    }
    let ready: Value = serde_json::from_str(&text_of(&app, "/ready").await).unwrap();
    let expected = serde_json::json!({ "status": "ready", "gates": { "merges": "shut" } });
    assert_eq!(ready, expected);
    let send = || post("/v1/traces", "key-of-a", JSON, trace("more", "gold"));
    let refused = ask(&app, send()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers[OUTCOME], "not-stored");
    assert_eq!(refused.headers[header::RETRY_AFTER], "5");
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("gate=merges"), "{message}");
    let shown = status(&app).await;
    assert_eq!(shown["gates"]["merges"]["state"], "shut");
    assert_eq!(shown["gates"]["merges"]["refused_from"], FRESH_MAX);
    assert_eq!(shown["gates"]["refused"]["merges"], 1);
    let metrics = text_of(&app, "/metrics").await;
    for line in [
        "obsrv_ingest_refused_total{gate=\"merges\"} 1\n",
        "obsrv_ingest_refused_total{gate=\"bodies\"} 0\n",
        "obsrv_fresh_segments 9\n",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    // Deletes go on, and what is stored is read.
    let delete = Request::delete("/v1/traces/t1").header("x-api-key", "key-of-a");
    let deleted = ask(&app, delete.body(Body::empty()).unwrap()).await;
    assert_eq!(deleted.status, 200);
    assert_eq!(
        ask(&app, get("/v1/traces/t2", "key-of-a")).await.status,
        200
    );
    threads.stop();
}

#[tokio::test]
async fn questions_and_bodies_are_counted_while_they_are_there() {
    let app = starting();
    let of = |shown: &Value, class: usize| {
        let class = &shown["queries"]["classes"][class];
        (
            class["class"].clone(),
            class["running"].clone(),
            class["waiting"].clone(),
        )
    };
    let shown = status(&app).await;
    assert_eq!(of(&shown, 0), ("light".into(), 0.into(), 0.into()));
    let place = app
        .queries
        .enter(Class::Heavy, 1, Duration::ZERO)
        .await
        .unwrap();
    let body = app.admission.charge_for(0, 2048).unwrap();
    assert!(app.admission.charge_for(0, usize::MAX).is_err());
    let shown = status(&app).await;
    assert_eq!(of(&shown, 1), ("heavy".into(), 1.into(), 0.into()));
    assert_eq!(shown["bodies_in_flight_bytes"], 2048);
    let metrics = text_of(&app, "/metrics").await;
    for line in [
        "obsrv_queries_running{class=\"heavy\"} 1\n",
        "obsrv_queries_waiting{class=\"light\"} 0\n",
        "obsrv_queries_refused_total{class=\"heavy\",reason=\"project_queue\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    drop((place, body));
    let shown = status(&app).await;
    assert_eq!(of(&shown, 1), ("heavy".into(), 0.into(), 0.into()));
    assert_eq!(shown["bodies_in_flight_bytes"], 0);
}

#[tokio::test]
async fn nothing_of_anybodys_data_is_shown() {
    let world = world().await;
    let before = status(&world.app).await;
    let stored = ask(
        &world.app,
        post(
            "/v1/traces",
            "key-of-a",
            JSON,
            trace("canary-id", "canary-value"),
        ),
    );
    assert_eq!(stored.await.status, 201);
    let path = "/v1/projects/1/traces?q=canary-word";
    assert_eq!(ask(&world.app, get(path, "key-of-a")).await.status, 200);
    let shown = status(&world.app).await;
    let text = shown.to_string();
    for secret in [
        "canary",
        "key-of-a",
        "key-of-b",
        world.dir.path().to_str().unwrap(),
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let count = |shown: &Value, name: &str| shown["engine"]["counts"][name].as_u64().unwrap();
    for name in [
        "records_total",
        "events_total",
        "visible_lsn",
        "body_bytes_total",
    ] {
        assert!(count(&shown, name) > count(&before, name), "{name}");
    }
    assert_eq!(
        (shown["projects"].clone(), shown["keys"].clone()),
        (2.into(), 2.into())
    );
    assert!(shown["engine"]["failure"].is_null());
}

#[tokio::test]
async fn what_is_written_is_told_by_kind() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground {
        disk: Arc::new(RealDisk::open(dir.path()).unwrap()),
        files: Arc::new(LocalBlobs::open(dir.path()).unwrap()),
        clock: Arc::new(SystemClock::new()),
        tree: Arc::new(RealTree::new(dir.path())),
    };
    let options = Options {
        merge_min: 2,
        ..Options::for_memory(64 << 20)
    };
    let start = |engine: &Arc<Engine>| engine.start().unwrap();
    let (app, _, threads) = app_with(&ground, options, no_providers(), start);
    make_projects(&app).await;
    let core = app.core().unwrap();
    for n in 0..2 {
        let body = trace(&format!("t{n}"), "gold");
        let stored = ask(&app, post("/v1/traces", "key-of-a", JSON, body)).await;
        assert_eq!(stored.status, 201);
        core.engine().freeze();
        while core.stats().flushes == n {
            tokio::task::yield_now().await;
        }
    }
    while core.stats().compactions == 0 {
        tokio::task::yield_now().await;
    }
    let mut upload = core.blobs().unwrap().spool().begin().unwrap();
    upload.write(&[7; 1234]).unwrap();
    threads.stop();
    let metrics = text_of(&app, "/metrics").await;
    let lines = metrics.lines().filter_map(|line| {
        let kind = line.strip_prefix("obsrv_written_bytes_total{kind=\"")?;
        let (kind, bytes) = kind.split_once("\"} ")?;
        Some((kind, bytes.parse::<u64>().unwrap()))
    });
    let found: Vec<(&str, u64)> = lines.collect();
    let kinds: Vec<&str> = found.iter().map(|(kind, _)| *kind).collect();
    let expected = [
        "log",
        "log_pages",
        "log_zeroes",
        "flush",
        "merge",
        "manifest",
        "side",
        "other",
        "attachment",
    ];
    assert_eq!(kinds, expected);
    let of = |kind: &str| found.iter().find(|(k, _)| *k == kind).unwrap().1;
    assert_eq!((of("attachment"), of("side")), (1234, 0));
    let live = core.stats().segment_bytes;
    // One segment of the two: it has one header less than both.
    assert!(of("merge") == live && live < of("flush"), "{found:?}");
    assert!(of("log") > 0 && of("manifest") > 0, "{found:?}");
    assert!(of("log_zeroes") >= core.stats().wal_bytes, "{found:?}");
}

/// A record over a row that the disk refuses to read: whoever sent it is told soon, whoever comes next is refused, and an
/// operator finds out what does not read.
#[tokio::test]
async fn a_disk_that_refuses_to_read_is_named_and_what_comes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (app, threads, disk) = on_a_small_disk(dir.path()).await;
    let engine = app.core().unwrap().engine();
    let send = |tier| ask(&app, post("/v1/traces", "key-of-a", JSON, trace("t", tier)));
    assert_eq!(send("gold").await.status, StatusCode::CREATED);
    engine.freeze();
    while engine.stats().fresh_segments == 0 {
        tokio::task::yield_now().await;
    }
    disk.set_plan(FaultPlan {
        refuse_reads: Some((0, u64::MAX)),
        ..FaultPlan::default()
    });
    let told = |answer: Said, outcome: &str| {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers[OUTCOME], outcome);
        assert_eq!(answer.headers[header::RETRY_AFTER], "10");
        answer.json()["error"]["message"].to_string()
    };
    told(send("silver").await, "unknown");
    let message = told(send("bronze").await, "not-stored");
    assert!(message.contains("gate=reads"), "{message}");
    let answer = ask(&app, get("/ready", "")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let ready = answer.json();
    assert_eq!(ready["status"], "unreadable");
    let cause = ready["cause"].as_str().unwrap();
    assert!(
        cause.contains("file=segment-") && cause.contains("offset="),
        "{cause}"
    );
    let shown = status(&app).await;
    assert_eq!(shown["status"], "unreadable");
    assert_eq!(shown["engine"]["unreadable"], ready["cause"]);
    assert_eq!(shown["gates"]["refused"]["reads"], 1);
    let metrics = text_of(&app, "/metrics").await;
    for line in [
        "obsrv_waiting_records 1\n",
        "obsrv_ingest_refused_total{gate=\"reads\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    let others = ask(&app, get("/v1/traces", "key-of-b")).await;
    assert_eq!(others.status, StatusCode::OK);
    disk.set_plan(FaultPlan::default());
    while engine.is_unreadable() {
        tokio::task::yield_now().await;
    }
    assert_eq!(status(&app).await["engine"]["counts"]["waiting_records"], 0);
    assert_eq!(ask(&app, get("/ready", "")).await.json()["status"], "ready");
    assert_eq!(send("bronze").await.status, StatusCode::CREATED);
    threads.stop();
}
