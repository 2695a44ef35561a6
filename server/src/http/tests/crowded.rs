//! While flushes are behind.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use obsrv_engine::engine::{Engine, FROZEN_MAX};
use obsrv_engine::io::{RealDisk, RealTree, SystemClock};

use tokio::task::yield_now;

use super::{Ground, JSON, OUTCOME, app_on, ask, make_projects, no_providers, post, trace};
use crate::blob::local::LocalBlobs;

/// Commits until it is dropped, and never flushes.
struct CommitsAlone {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl CommitsAlone {
    fn start(engine: &Arc<Engine>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (engine, over) = (Arc::clone(engine), Arc::clone(&is_over));
        let commit = move || {
            while !over.load(Ordering::Acquire) {
                if engine.commit_step() == 0 {
                    thread::yield_now();
                }
            }
        };
        Self {
            is_over,
            thread: Some(thread::spawn(commit)),
        }
    }
}

impl Drop for CommitsAlone {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok());
        }
    }
}

fn ground(dir: &Path) -> Ground {
    Ground {
        disk: Arc::new(RealDisk::open(dir).unwrap()),
        files: Arc::new(LocalBlobs::open(dir).unwrap()),
        clock: Arc::new(SystemClock::new()),
        tree: Arc::new(RealTree::new(dir)),
    }
}

/// Else clients that try again take the processor from the flush that they wait for.
#[tokio::test]
async fn a_body_for_which_there_is_no_room_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path());
    let (app, _accounts, _commits) = app_on(&ground, no_providers(), CommitsAlone::start);
    make_projects(&app).await;
    let engine = Arc::clone(app.core().unwrap().engine());
    let send = |body: String| ask(&app, post("/v1/traces", "key-of-a", JSON, body));
    for n in 0..FROZEN_MAX {
        assert_eq!(send(trace(&format!("t{n}"), "x")).await.status, 201);
        engine.freeze();
    }
    // Who reads it would say that it is no JSON.
    let said = send("{".to_owned()).await;
    assert_eq!(said.status, 503);
    assert_eq!(said.json()["error"]["code"], "overloaded");
    assert_eq!(said.headers[OUTCOME], "not-stored");
    while engine.flush_step().unwrap() {}
    assert_eq!(send("{".to_owned()).await.status, 400);
    assert_eq!(send(trace("t9", "x")).await.status, 201);
}

/// D-86: nothing is logged meanwhile, so what began stays in work.
#[tokio::test]
async fn whoever_sends_much_waits_for_itself_and_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (app, _accounts, commits) =
        app_on(&ground(dir.path()), no_providers(), CommitsAlone::start);
    make_projects(&app).await;
    let engine = Arc::clone(app.core().unwrap().engine());
    drop(commits);
    // From here on no time goes by: nobody waits too long.
    tokio::time::pause();
    let send = |key: &'static str, id: String| {
        let (app, body) = (Arc::clone(&app), trace(&id, &"x".repeat(60 << 10)));
        tokio::spawn(async move { ask(&app, post("/v1/traces", key, JSON, body)).await.status })
    };
    let mut sent = Vec::new();
    while app.ingest.held().1 == 0 {
        let before = app.ingest.held();
        let next = send("key-of-a", format!("t{}", sent.len()));
        while app.ingest.held() == before {
            assert!(!next.is_finished(), "refused");
            yield_now().await;
        }
        sent.push(next);
    }
    let (work, _) = app.ingest.held();
    assert!(sent.len() > 2, "{}", sent.len());
    let queued = engine.stats().queue_bytes;
    sent.push(send("key-of-b", "other".to_owned()));
    while engine.stats().queue_bytes == queued {
        assert_eq!(app.ingest.held().1, 1, "the other project waits");
        yield_now().await;
    }
    assert!(app.ingest.held().0 > work);
    let _commits = CommitsAlone::start(&engine);
    tokio::time::resume();
    for one in sent {
        assert_eq!(one.await.unwrap(), 201);
    }
    assert_eq!(app.ingest.held(), (0, 0));
}
