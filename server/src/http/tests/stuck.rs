//! A disk that does not answer, and one that never will: the simulated one, by its own clock. The thread that commits
//! waits for it; nobody else does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use obsrv_engine::engine::{Gate, IngestError};
use obsrv_engine::io::FileKind;
use obsrv_wal::sim::{FaultPlan, Op, Point, SimClock, SimDisk, Wait};
use parking_lot::{Condvar, Mutex};
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::limits::{COMMIT_TIME_MAX, STUCK_TIME};
use crate::serve::watchdog::watch_over;
use crate::tenancy::ChangeError;

/// Bytes that may wait for a commit.
const QUEUE_BYTES: u64 = 64 << 10;
const NOW_NS: i64 = 1_795_000_000_000_000_000;

/// Where a call waits.
#[derive(Debug, Default)]
struct Door {
    /// Whether the call that waits is done but for its return; none waits yet.
    waits: Mutex<Option<bool>>,
    is_open: Mutex<bool>,
    opens: Condvar,
}

impl Door {
    /// Holds the sync of the next group.
    fn before(self: &Arc<Self>, disk: &SimDisk, engine: &Arc<Engine>) {
        let (door, engine) = (Arc::clone(self), Arc::downgrade(engine));
        disk.meanwhile(Some(Arc::new(move |wait: Wait| {
            let commits = engine.upgrade().map(|engine| engine.commits());
            let is_commit = commits.is_some_and(|commits| commits.begun > commits.ended);
            if !is_commit || wait.point != Point::of(Op::SyncData, FileKind::Wal) {
                return;
            }
            *door.waits.lock() = Some(wait.is_done);
            let mut is_open = door.is_open.lock();
            while !*is_open {
                door.opens.wait(&mut is_open);
            }
        })));
        disk.set_plan(FaultPlan {
            slow: Some((1, 1)),
            ..FaultPlan::default()
        });
    }

    fn open(&self) {
        *self.is_open.lock() = true;
        self.opens.notify_all();
    }
}

/// A server whose log is being synced, and is not, with one request that waits for that.
struct Scene {
    disk: SimDisk,
    clock: Arc<SimClock>,
    app: Arc<App>,
    threads: Threads,
    door: Arc<Door>,
    first: JoinHandle<Said>,
    is_done: bool,
    _dir: tempfile::TempDir,
}

fn ground(disk: &SimDisk, dir: &std::path::Path) -> Ground {
    Ground {
        disk: disk.handle(),
        files: Arc::new(LocalBlobs::open(dir).unwrap()),
        clock: disk.clock(),
        tree: Arc::new(RealTree::new(dir)),
    }
}

fn started(ground: &Ground) -> (Arc<App>, Threads) {
    let options = Options {
        queue_bytes: QUEUE_BYTES,
        ..Options::for_memory(64 << 20)
    };
    let start = |engine: &Arc<Engine>| engine.start().unwrap();
    let (app, _, threads) = app_with(ground, options, no_providers(), start);
    (app, threads)
}

fn send(app: &Arc<App>, id: &str) -> JoinHandle<Said> {
    let (app, body) = (Arc::clone(app), trace(id, "gold"));
    tokio::spawn(async move { ask(&app, post("/v1/traces", "key-of-a", JSON, body)).await })
}

impl Scene {
    async fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimDisk::new(seed);
        let clock = disk.clock();
        clock.jump_to(NOW_NS);
        let (app, threads) = started(&ground(&disk, dir.path()));
        make_projects(&app).await;
        assert_eq!(send(&app, "before").await.unwrap().status, 201);
        let door = Arc::new(Door::default());
        door.before(&disk, app.core().unwrap().engine());
        // From here on no time goes by but what the test says.
        tokio::time::pause();
        let first = send(&app, "first");
        let is_done = loop {
            yield_now().await;
            if let Some(is_done) = *door.waits.lock() {
                break is_done;
            }
        };
        Self {
            disk,
            clock,
            app,
            threads,
            door,
            first,
            is_done,
            _dir: dir,
        }
    }

    async fn status_of(&self, path: &str) -> StatusCode {
        ask(&self.app, Request::get(path).body(Body::empty()).unwrap())
            .await
            .status
    }

    /// Lets time go by on the disk, and the watchdog look.
    async fn passes(&self, time: Duration) {
        self.clock.advance(u64::try_from(time.as_nanos()).unwrap());
        tokio::time::advance(Duration::from_millis(200)).await;
        yield_now().await;
    }

    /// Sends until one is refused, and says what waits and what the refusal was.
    async fn fill(&self) -> (VecDeque<JoinHandle<Said>>, Said) {
        let mut waiting = VecDeque::new();
        let engine = Arc::clone(self.app.core().unwrap().engine());
        loop {
            let before = engine.stats().queue_bytes;
            assert!(before <= QUEUE_BYTES, "{before}");
            let sent = send(&self.app, &format!("more-{}", waiting.len()));
            while !sent.is_finished() && engine.stats().queue_bytes == before {
                yield_now().await;
            }
            if sent.is_finished() {
                return (waiting, sent.await.unwrap());
            }
            waiting.push_back(sent);
        }
    }
}

fn just_below(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_nanos(1))
}

async fn has(app: &Arc<App>, id: &str) -> bool {
    let said = ask(app, get(&format!("/v1/traces/{id}"), "key-of-a")).await;
    assert!(said.status == 200 || said.status == 404, "{}", said.status);
    said.status == 200
}

/// Everything up to the point where all who asked were answered: what is promised of a disk that is stuck.
async fn stuck(seed: u64) -> (Scene, usize) {
    let mut scene = Scene::new(seed).await;
    let (app, engine) = (
        Arc::clone(&scene.app),
        Arc::clone(scene.app.core().unwrap().engine()),
    );
    let watch = tokio::spawn(async move { watch_over(&app, &engine).await });
    scene.passes(Duration::ZERO).await;
    scene.passes(just_below(STUCK_TIME)).await;
    assert_eq!(scene.status_of("/ready").await, 200, "one below the limit");
    scene.passes(Duration::from_nanos(1)).await;
    assert_eq!(scene.status_of("/ready").await, 503);
    assert_eq!(scene.app.phase().as_str(), "stuck");
    assert_eq!(scene.status_of("/live").await, 200);
    assert!(has(&scene.app, "before").await && !has(&scene.app, "first").await);
    let (waiting, refused) = scene.fill().await;
    assert!(waiting.len() > 10, "{}", waiting.len());
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers[OUTCOME], "not-stored");
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("gate=queue"), "{message}");
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    assert!(has(&scene.app, "before").await);
    tokio::time::advance(COMMIT_TIME_MAX).await;
    let count = waiting.len();
    let first = std::mem::replace(&mut scene.first, tokio::spawn(std::future::pending()));
    for asked in std::iter::once(first).chain(waiting) {
        let said = asked.await.unwrap();
        assert_eq!(said.status, 503);
        assert_eq!(said.headers[OUTCOME], "unknown");
    }
    assert!(!watch.is_finished(), "a stuck engine has not failed");
    (scene, count)
}

#[tokio::test]
async fn a_disk_that_answers_late_has_kept_nobody_else_waiting() {
    for seed in 0..4 {
        let (scene, waiting) = stuck(seed).await;
        scene.door.open();
        while scene.app.phase().as_str() != "ready" {
            scene.passes(Duration::from_millis(1)).await;
        }
        assert_eq!(scene.status_of("/ready").await, 200);
        // Of unknown outcome they were; now they are there, and what was refused is not.
        tokio::time::resume();
        assert_eq!(send(&scene.app, "after").await.unwrap().status, 201);
        assert!(has(&scene.app, "first").await && has(&scene.app, "after").await);
        for n in 0..=waiting {
            assert_eq!(
                has(&scene.app, &format!("more-{n}")).await,
                n < waiting,
                "{n}"
            );
        }
        scene.threads.stop();
    }
}

/// A change of the control plane, and one that waits for its turn behind it.
#[tokio::test]
async fn a_change_waits_no_longer_than_a_request() {
    let scene = Scene::new(1).await;
    let app = Arc::clone(&scene.app);
    let change = |name: &'static str, id| {
        let app = Arc::clone(&app);
        let key = KeyString::parse(&format!("key-of-{name}")).unwrap();
        tokio::spawn(async move {
            let plane = app.core().unwrap().plane();
            let made = plane.install(By::system(), name, id, key, KeyTerms::default());
            made.await.map(|made| made.made.project.id)
        })
    };
    let (begun, behind) = (change("c", 3), change("d", 4));
    yield_now().await;
    tokio::time::advance(just_below(COMMIT_TIME_MAX)).await;
    yield_now().await;
    assert!(!begun.is_finished() && !behind.is_finished());
    let (begun, behind) = (begun.await.unwrap(), behind.await.unwrap());
    let (begun, behind) = (begun.unwrap_err(), behind.unwrap_err());
    assert!(matches!(begun, ChangeError::OutcomeUnknown), "{begun}");
    let not_stored = ChangeError::Log(IngestError::Overloaded(Gate::Queue));
    assert_eq!(behind.to_string(), not_stored.to_string());
    // It is done to its end all the same.
    scene.door.open();
    tokio::time::resume();
    // Numbers follow each other: the second was not stored.
    let made = change("e", 4).await.unwrap();
    assert_eq!(made.unwrap().0, 4);
    let status = async |name: &str| {
        let asked = get("/v1/traces", &format!("key-of-{name}"));
        ask(&app, asked).await.status
    };
    assert_eq!([status("c").await, status("d").await], [200, 401]);
    scene.threads.stop();
}

#[tokio::test]
async fn a_disk_that_never_answers_loses_nothing_that_was_acknowledged() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..12 {
        let (scene, waiting) = stuck(seed).await;
        tokio::time::resume();
        scene.disk.crash();
        scene.disk.restart();
        scene.disk.meanwhile(None);
        scene.disk.set_plan(FaultPlan::default());
        // The process that waited is gone; its thread finds that out.
        scene.door.open();
        scene.threads.stop();
        let dir = tempfile::tempdir().unwrap();
        let (app, threads) = started(&ground(&scene.disk, dir.path()));
        assert!(has(&app, "before").await);
        let is_there = has(&app, "first").await;
        assert!(is_there || !scene.is_done, "it was synced");
        seen.insert((scene.is_done, is_there));
        for n in 0..=waiting {
            assert!(
                !has(&app, &format!("more-{n}")).await,
                "{n} was not written yet"
            );
        }
        assert_eq!(send(&app, "first").await.unwrap().status, 201);
        assert!(has(&app, "first").await);
        threads.stop();
    }
    let all = [(false, false), (false, true), (true, true)];
    assert_eq!(seen, all.into(), "a group may have reached the disk or not");
}
