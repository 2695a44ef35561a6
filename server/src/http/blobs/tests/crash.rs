//! A machine that stops at any call on the disk of the log or on the files of attachments, told request by request: what
//! was answered is there, what is listed has its bytes, and what no row means goes.
//!
//! The log is on the simulated disk, attachments are real files behind [`Mortal`]: the power goes before a call on them or behind
//! it, and a removal that nothing synced may be undone by that. The test commits by hand, so a life has one order.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;

use obsrv_engine::boundary::Object;
use obsrv_engine::engine::Engine;
use obsrv_engine::io::SystemClock;
use obsrv_engine::query::Budget;
use obsrv_engine::row::Table;
use obsrv_wal::sim::{FaultPlan, SimDisk};
use parking_lot::Mutex;

use super::offloaded::{KEY, message, path_of, picture, request, span};
use super::*;
use crate::blob::DIRECTORY;
use crate::blob::key::Key;
use crate::blob::local::LocalBlobs;
use crate::blob::spool::Spooled;
use crate::blob::store::{BlobStore, Listed};
use crate::http::App;
use crate::http::auth::tests::tenant_of;
use crate::http::build;
use crate::http::tests::{Ground, app_on, ask_by, make_projects, no_providers};
use crate::wire;

const TRACE: &str = "000000000000000000000000000000cc";
/// Spans that stories tell of.
const SPANS: u64 = 3;

/// Where a life ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// During this call on the disk of the log, counted from the first request.
    Disk { call: u64, is_kill: bool },
    /// Before this call on the files, or behind it.
    Files { call: u64, is_done: bool },
}

/// Files of a machine that may be down.
#[derive(Debug)]
struct Mortal {
    files: LocalBlobs,
    disk: SimDisk,
    calls: AtomicU64,
    end: Mutex<Option<(u64, bool)>>,
    /// No put comes to an end.
    is_stuck: AtomicBool,
    /// What was removed since the power came.
    removed: Mutex<Vec<(Key, Bytes)>>,
}

impl Mortal {
    fn call<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let end = self.end.lock().filter(|(at, _)| *at == call);
        if self.disk.is_down() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let done = end.is_none_or(|(_, is_done)| is_done).then(work);
        match (end, done) {
            (None, Some(done)) => done,
            (_, done) => {
                drop(done);
                self.disk.cut_power();
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
    }
}

impl BlobStore for Mortal {
    fn put_once(&self, key: &Key, spooled: Spooled) -> io::Result<()> {
        while self.is_stuck.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        self.call(|| self.files.put_once(key, spooled))
    }

    fn open(&self, key: &Key) -> io::Result<(Arc<dyn Object>, i64)> {
        self.call(|| self.files.open(key))
    }

    fn list(&self, prefix: &str, after: &str, max: usize) -> io::Result<Vec<Listed>> {
        self.call(|| self.files.list(prefix, after, max))
    }

    fn delete(&self, key: &Key) -> io::Result<()> {
        self.call(|| {
            let (object, _) = self.files.open(key)?;
            let bytes = object.get_range(0..object.len())?;
            self.removed.lock().push((key.clone(), bytes));
            self.files.delete(key)
        })
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// What somebody asks.
#[derive(Clone, Debug)]
enum Step {
    /// A span with these pictures.
    Span(u64, &'static [u64]),
    Attach(u64),
    Remove(u64),
    DeleteTrace,
    Flush,
}

const STORY: [Step; 11] = [
    Step::Span(1, &[1, 2]),
    Step::Attach(3),
    Step::Span(2, &[1]),
    Step::Flush,
    Step::Remove(1),
    Step::Span(3, &[1, 4]),
    Step::Remove(2),
    Step::Flush,
    Step::DeleteTrace,
    Step::Span(1, &[2, 3]),
    Step::Attach(2),
];

/// What is there: spans with their pictures, and attachments.
#[derive(Clone, Debug, Default, PartialEq)]
struct There {
    spans: BTreeMap<u64, &'static [u64]>,
    files: BTreeSet<u64>,
}

impl There {
    fn after(&self, step: &Step) -> Self {
        let mut there = self.clone();
        match step {
            Step::Span(id, pictures) => {
                there.spans.insert(*id, pictures);
                there.files.extend(*pictures);
            }
            Step::Attach(seed) => drop(there.files.insert(*seed)),
            Step::Remove(seed) => drop(there.files.remove(seed)),
            Step::DeleteTrace => there = Self::default(),
            Step::Flush => {}
        }
        there
    }
}

fn request_of(step: &Step) -> Request<Body> {
    let delete = |path: String| {
        let request = Request::delete(path).header("x-api-key", "key-of-a");
        request.body(Body::empty()).unwrap()
    };
    let blobs = format!("/v1/projects/1/traces/{TRACE}/blobs");
    match step {
        Step::Span(id, seeds) => {
            let pictures: Vec<_> = seeds.iter().map(|seed| picture(*seed)).collect();
            let body = request(&[span(TRACE, *id, &message(&pictures))]).to_string();
            post("/otlp/v1/traces", "key-of-a", JSON, body)
        }
        Step::Attach(seed) => post(&blobs, "key-of-a", "image/png", picture(*seed)),
        Step::Remove(seed) => delete(format!("{blobs}/{}", ContentHash::of(&picture(*seed)).id())),
        Step::DeleteTrace => delete(format!("/v1/traces/{TRACE}")),
        Step::Flush => panic!("nobody asks for a flush"),
    }
}

struct Machine {
    disk: SimDisk,
    files: Arc<Mortal>,
    dir: tempfile::TempDir,
    app: Arc<App>,
    routes: Router,
}

impl Machine {
    async fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimDisk::new(seed);
        let files = Arc::new(Mortal {
            files: LocalBlobs::open(&dir.path().join(DIRECTORY)).unwrap(),
            disk: disk.clone(),
            calls: AtomicU64::new(0),
            end: Mutex::default(),
            is_stuck: AtomicBool::new(false),
            removed: Mutex::default(),
        });
        let app = Self::boot(&disk, &files, dir.path().to_owned());
        driven(&app, make_projects(&app)).await;
        Self {
            disk,
            files,
            dir,
            routes: build(Arc::clone(&app)),
            app,
        }
    }

    fn boot(disk: &SimDisk, files: &Arc<Mortal>, dir: PathBuf) -> Arc<App> {
        let ground = Ground {
            disk: disk.handle(),
            files: Arc::<Mortal>::clone(files),
            clock: Arc::new(SystemClock::new()),
            dir,
        };
        app_on(&ground, no_providers(), |_| ()).0
    }

    fn engine(&self) -> &Arc<Engine> {
        self.app.core().unwrap().engine()
    }

    fn will_end(&self, end: End) {
        let mut plan = FaultPlan::default();
        match end {
            End::Disk { call, is_kill } => {
                let call = Some(self.disk.ops() + call);
                *(if is_kill {
                    &mut plan.kill_at
                } else {
                    &mut plan.crash_at
                }) = call;
            }
            End::Files { call, is_done } => {
                let calls = self.files.calls.load(Ordering::Relaxed);
                *self.files.end.lock() = Some((calls + call, is_done));
            }
        }
        self.disk.set_plan(plan);
    }

    /// The machine comes back.
    fn restart(&mut self, is_kill: bool) {
        if !self.disk.is_down() {
            self.disk.cut_power();
        }
        self.disk.restart();
        self.disk.set_plan(FaultPlan::default());
        *self.files.end.lock() = None;
        let removed = std::mem::take(&mut *self.files.removed.lock());
        for (key, bytes) in removed.into_iter().filter(|_| !is_kill) {
            let path = self.dir.path().join(DIRECTORY).join(key.to_string());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        self.app = Self::boot(&self.disk, &self.files, self.dir.path().to_owned());
        self.routes = build(Arc::clone(&self.app));
    }

    async fn ask(&self, request: Request<Body>) -> Said {
        driven(&self.app, self.asked(request)).await
    }

    /// The same without what commits.
    fn asked(&self, request: Request<Body>) -> impl Future<Output = Said> {
        ask_by(self.routes.clone(), request)
    }

    async fn read(&self, path: &str) -> Said {
        self.ask(get(path, "key-of-a")).await
    }

    /// Whether it was done, as far as whoever asked knows.
    async fn tell(&self, step: &Step) -> bool {
        if let Step::Flush = step {
            self.engine().freeze();
            return self.engine().flush_step().is_ok() && !self.disk.is_down();
        }
        let said = self.ask(request_of(step)).await;
        let is_done = said.status.is_success();
        // A removal that was not done before need not be done again.
        is_done || (matches!(step, Step::Remove(_)) && said.status == 404)
    }

    /// Whether exactly this is there, and reads whole.
    async fn has(&self, there: &There) -> Result<(), String> {
        let path = format!("/v1/projects/1/traces/{TRACE}/blobs");
        let listed = self.read(&path).await;
        let mut files = BTreeSet::new();
        if listed.status != 404 {
            for blob in listed.json()["data"].as_array().unwrap() {
                let bytes = self.read(blob["url"].as_str().unwrap()).await;
                let hash = ContentHash::of(&bytes.body).to_string();
                if bytes.status != 200 || blob["sha256"] != hash {
                    return Err(format!("listed without its bytes: {blob}"));
                }
                files.insert(hash);
            }
        }
        let hash_of = |seed: &u64| ContentHash::of(&picture(*seed)).to_string();
        let wanted: BTreeSet<_> = there.files.iter().map(hash_of).collect();
        if files != wanted {
            return Err(format!("{files:?} are listed, not {wanted:?}"));
        }
        for id in 1..=SPANS {
            let found = self.read(&path_of(TRACE, id, "")).await;
            let found = (found.status == 200).then(|| found.json()["attributes"][KEY].clone());
            let wanted = there.spans.get(&id).map(|seeds| {
                let pictures: Vec<_> = seeds.iter().map(|seed| picture(*seed)).collect();
                let gone = pictures.iter().zip(*seeds);
                let gone = gone.filter(|(_, seed)| !there.files.contains(seed));
                gone.fold(message(&pictures), |said, (bytes, _)| {
                    let hash = ContentHash::of(bytes);
                    let len = bytes.len();
                    let mark = format!("[media removed: image/png, {len} bytes, sha-256 {hash}]");
                    said.replace(&STANDARD.encode(bytes), &mark)
                })
            });
            if found != wanted.map(Value::from) {
                return Err(format!("span {id} is not as it was sent"));
            }
        }
        Ok(())
    }

    /// Removes what no row means, as is done an hour later, and says which files are left.
    async fn swept(&self) -> BTreeSet<String> {
        let blobs = Arc::clone(self.app.core().unwrap().blobs().unwrap());
        let grace = i64::try_from(BLOB_GRACE_TIME.as_nanos()).unwrap();
        let now_ns = self.app.clock.wall_ns() + 2 * grace;
        Sweep::default()
            .step(&blobs, self.engine(), now_ns)
            .await
            .unwrap();
        let left = blobs.store().list("", "", 1000).unwrap();
        left.iter().map(|one| one.key.hash().to_string()).collect()
    }
}

/// What comes of a request, committing what it asks for.
async fn driven<T>(app: &App, asked: impl Future<Output = T>) -> T {
    let mut asked = std::pin::pin!(asked);
    let engine = app.core().unwrap().engine();
    loop {
        tokio::select! {
            biased;
            said = &mut asked => return said,
            () = tokio::task::yield_now() => if engine.commit_step() == 0 {
                std::thread::yield_now();
            },
        }
    }
}

/// One life with its end, then one more to the end of the story. False if the story was over before that.
async fn lives(seed: u64, end: End) -> Result<bool, String> {
    let mut machine = Machine::new(seed).await;
    let mut there = There::default();
    machine.will_end(end);
    let mut told = STORY.iter();
    let broken_off = loop {
        let Some(step) = told.as_slice().first() else {
            break None;
        };
        let is_done = machine.tell(step).await;
        if machine.disk.is_down() && !is_done {
            break Some(step);
        }
        if !is_done {
            return Err(format!("{step:?} was refused"));
        }
        there = there.after(step);
        told.next();
        if machine.disk.is_down() {
            break None;
        }
    };
    let is_hit = machine.disk.is_down();
    machine.restart(matches!(end, End::Disk { is_kill: true, .. }));
    // What was answered, and of what was not all or nothing.
    let mut seen = machine.has(&there).await;
    if let (Err(_), Some(step)) = (&seen, broken_off) {
        let after = there.after(step);
        seen = machine.has(&after).await;
        there = after;
    }
    seen?;
    let left = machine.swept().await;
    let hashes = there
        .files
        .iter()
        .map(|seed| ContentHash::of(&picture(*seed)).to_string());
    if left != hashes.collect() {
        return Err(format!("{left:?} are left, {:?} are meant", there.files));
    }
    for step in told {
        if !machine.tell(step).await {
            return Err(format!("{step:?} was refused after the end"));
        }
        there = there.after(step);
    }
    machine.has(&there).await?;
    Ok(is_hit)
}

/// How many ends of this sort a story has.
async fn all(end: impl Fn(u64) -> End) -> u64 {
    for call in 1.. {
        let end = end(call);
        match lives(call, end).await {
            Ok(true) => {}
            Ok(false) => return call - 1,
            Err(wrong) => panic!("{end:?}: {wrong}"),
        }
    }
    0
}

#[tokio::test]
async fn no_attachment_is_lost_or_without_its_bytes_whenever_the_log_ends() {
    let ends = all(|call| End::Disk {
        call,
        is_kill: call % 3 == 0,
    });
    let ends = ends.await;
    assert!(ends > 50, "{ends}");
}

#[tokio::test]
async fn nor_between_a_file_and_its_record() {
    for is_done in [false, true] {
        let ends = all(|call| End::Files { call, is_done }).await;
        assert!(ends > 15, "{ends}");
    }
}

/// Commits so many records for this, and leaves it when it has one more to be committed; not for long where it waits for
/// another.
async fn left_after(machine: &Machine, mut commits: u32, asked: impl Future<Output = Said>) {
    let queued = || machine.engine().stats().queue_bytes;
    let now = || machine.app.clock.mono_ns();
    let (mut before, end) = (queued(), now() + 300_000_000);
    let mut asked = std::pin::pin!(asked);
    while now() < end {
        tokio::select! {
            biased;
            said = &mut asked => panic!("answered {} without a commit", said.status),
            () = tokio::task::yield_now() => {}
        }
        if queued() > before {
            let Some(left) = commits.checked_sub(1) else {
                return;
            };
            commits = left;
            while machine.engine().commit_step() > 0 {}
            before = queued();
        }
    }
}

/// Somebody who goes away while a removal is written: what is sent again meanwhile is sent after it.
#[tokio::test]
async fn what_comes_while_it_is_removed_is_there_afterwards() {
    let machine = Machine::new(7).await;
    assert!(machine.tell(&Step::Attach(1)).await);
    // Behind its record of the audit log.
    left_after(&machine, 1, machine.asked(request_of(&Step::Remove(1)))).await;
    let again = machine.asked(request_of(&Step::Attach(1)));
    let mut again = std::pin::pin!(again);
    assert!(machine.engine().stats().queue_bytes > 0, "it waits");
    left_after(&machine, 0, &mut again).await;
    assert_eq!(driven(&machine.app, again).await.status, 201);
    let there = There::default().after(&Step::Attach(1));
    machine.has(&there).await.unwrap();
}

/// Each file is read once for an answer, however many rows mean it, and none for somebody who has gone.
#[tokio::test]
async fn an_answer_reads_a_file_once_and_none_when_nobody_waits() {
    let machine = Machine::new(7).await;
    for id in 1..=SPANS {
        assert!(machine.tell(&Step::Span(id, &[1, 2])).await);
    }
    let calls = || machine.files.calls.load(Ordering::Relaxed);
    let before = calls();
    let shown = machine.read(&format!("/jaeger/api/traces/{TRACE}")).await;
    let text = String::from_utf8(shown.body).unwrap();
    let whole = text.matches(&STANDARD.encode(picture(1))).count();
    assert_eq!((whole, calls() - before), (3, 2));
    let core = machine.app.core().unwrap();
    let view = core.store(&tenant_of(1, "a")).view();
    let key = format!("{:016x}", 1);
    let found = view.row(Table::Spans, (TRACE, &key)).unwrap().unwrap();
    for (is_gone, reads) in [(true, 0), (false, 2)] {
        let before = calls();
        let cancelled = || is_gone;
        let budget = Budget {
            rows_max: 1,
            bytes_max: u64::MAX,
            read_bytes_max: u64::MAX,
            cancelled: &cancelled,
            processors: None,
            weigh: None,
        };
        let row = wire::row_of(&found.core, &found.body).unwrap();
        let row = view.whole(&budget).row(row);
        assert_eq!((row.is_err(), calls() - before), (is_gone, reads));
    }
}

/// What comes of a request while time goes by faster.
async fn in_no_time(machine: &Machine, step: &Step) -> Said {
    let now = || machine.app.clock.mono_ns();
    let end = now() + 30_000_000_000;
    tokio::time::pause();
    let mut asked = std::pin::pin!(machine.ask(request_of(step)));
    loop {
        tokio::select! {
            biased;
            said = &mut asked => {
                tokio::time::resume();
                return said;
            }
            () = tokio::time::advance(Duration::from_millis(10)) => {
                if now() > end {
                    // Else the put that waits keeps the test from its end.
                    machine.files.is_stuck.store(false, Ordering::Relaxed);
                    panic!("it waits for good");
                }
            }
        }
    }
}

/// A store that is away, and a lock that somebody has: the trace is there, with its media in its row.
#[tokio::test]
async fn a_trace_waits_for_no_store_and_no_lock() {
    let machine = Machine::new(7).await;
    let blobs = Arc::clone(machine.app.core().unwrap().blobs().unwrap());
    let owner = Owner::new(ProjectId(1), TRACE).unwrap();
    machine.files.is_stuck.store(true, Ordering::Relaxed);
    let said = in_no_time(&machine, &Step::Span(1, &[1, 2])).await;
    machine.files.is_stuck.store(false, Ordering::Relaxed);
    assert_eq!(said.status, 200);
    let alone = blobs.lone_lock(&owner).await.unwrap();
    assert_eq!(in_no_time(&machine, &Step::Span(2, &[3])).await.status, 200);
    let refused = in_no_time(&machine, &Step::Attach(4)).await;
    assert_eq!(refused.status, 503);
    drop(alone);
    for (id, seeds) in [(1, &[1, 2][..]), (2, &[3])] {
        let pictures: Vec<_> = seeds.iter().map(|seed| picture(*seed)).collect();
        let stored = machine.read(&path_of(TRACE, id, "?media=reference")).await;
        assert_eq!(stored.json()["attributes"][KEY], message(&pictures));
    }
    // And goes back to files by itself.
    assert!(machine.tell(&Step::Span(3, &[4])).await);
    let listed = machine
        .read(&format!("/v1/projects/1/traces/{TRACE}/blobs"))
        .await;
    assert_eq!(listed.json()["data"].as_array().unwrap().len(), 1);
}
