//! While flushes are behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use obsrv_engine::engine::{Engine, FROZEN_MAX};
use obsrv_engine::io::{RealDisk, RealTree, SystemClock};

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

/// Else clients that try again take the processor from the flush that they wait for.
#[tokio::test]
async fn a_body_for_which_there_is_no_room_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground {
        disk: Arc::new(RealDisk::open(dir.path()).unwrap()),
        files: Arc::new(LocalBlobs::open(dir.path()).unwrap()),
        clock: Arc::new(SystemClock::new()),
        tree: Arc::new(RealTree::new(dir.path())),
    };
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
