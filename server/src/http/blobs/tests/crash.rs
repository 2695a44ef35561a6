//! A machine that stops, or of which a call fails, at any call on its disk, told request by request: what was answered
//! is there, what is listed has its bytes, and what no row means goes.
//!
//! Log, segments, uploads and attachments are on one simulated disk, with one count of calls and one power switch, so that
//! what a power cut leaves of a file, of its name and of the directories above it is as undecided as it is of the log. The
//! routes are those of the binary. The test commits by hand, so a life has one order.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::Router;

use obsrv_engine::boundary::Object;
use obsrv_engine::engine::{Engine, State};
use obsrv_engine::io::SystemClock;
use obsrv_wal::sim::{Event, Fault, FaultPlan, SimDisk, SimRng, Stuck, Wait};

use super::offloaded::{KEY, message, path_of, picture, request, span};
use super::*;
use crate::blob::key::Key;
use crate::blob::local::LocalBlobs;
use crate::blob::spool::Spooled;
use crate::blob::store::{BlobStore, Listed};
use crate::http::App;
use crate::http::build;
use crate::http::tests::{Ground, app_on, ask_by, make_projects, no_providers};

mod meanwhile;

const TRACE: &str = "000000000000000000000000000000cc";
/// Spans that stories tell of.
const SPANS: u64 = 3;
/// Pictures that random stories tell of, from 1 on.
const PICTURES: u64 = 4;

/// How a life ends, during a call that is counted from the first request.
#[derive(Clone, Copy, Debug)]
struct End {
    call: u64,
    is_kill: bool,
    /// The call does not return before that; its work is done or not.
    stuck: Option<bool>,
}

/// The files of a process, with a count of what is asked of them.
#[derive(Debug)]
struct Watched {
    files: LocalBlobs,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    calls: AtomicU64,
    /// No put comes to an end.
    is_stuck: AtomicBool,
}

impl Watched {
    fn count(&self) -> &LocalBlobs {
        self.seen.calls.fetch_add(1, Ordering::Relaxed);
        &self.files
    }
}

impl BlobStore for Watched {
    fn put_once(&self, key: &Key, spooled: Spooled) -> io::Result<()> {
        while self.seen.is_stuck.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        self.count().put_once(key, spooled)
    }

    fn open(&self, key: &Key) -> io::Result<(Arc<dyn Object>, i64)> {
        self.count().open(key)
    }

    fn list(&self, prefix: &str, after: &str, max: usize) -> io::Result<Vec<Listed>> {
        self.count().list(prefix, after, max)
    }

    fn delete(&self, key: &Key) -> io::Result<()> {
        self.count().delete(key)
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// What somebody asks.
#[derive(Clone, Debug)]
enum Step {
    /// A span with these pictures.
    Span(u64, Vec<u64>),
    Attach(u64),
    Remove(u64),
    DeleteTrace,
    Flush,
}

fn story() -> Vec<Step> {
    vec![
        Step::Span(1, vec![1, 2]),
        Step::Attach(3),
        Step::Span(2, vec![1]),
        Step::Flush,
        Step::Remove(1),
        Step::Span(3, vec![1, 4]),
        Step::Remove(2),
        Step::Flush,
        Step::DeleteTrace,
        Step::Span(1, vec![2, 3]),
        Step::Attach(2),
    ]
}

/// The same without pictures in rows: where one of those cannot be put it stays in its row, and nobody can tell.
fn story_of_files() -> Vec<Step> {
    vec![
        Step::Attach(1),
        Step::Span(1, Vec::new()),
        Step::Attach(2),
        Step::Flush,
        Step::Remove(1),
        Step::Attach(1),
        Step::DeleteTrace,
        Step::Attach(2),
    ]
}

/// Whatever somebody might ask, after this was there. A span that is there is sent again as it was.
fn random_story(rng: &SimRng, there: &There) -> Vec<Step> {
    let one = || 1 + rng.below(PICTURES);
    let (mut there, mut story) = (there.clone(), Vec::new());
    for _ in 0..6 {
        let step = match rng.below(10) {
            0..=3 => {
                let id = 1 + rng.below(SPANS);
                let new = || (0..rng.below(3)).map(|_| one()).collect::<BTreeSet<u64>>();
                let known = there.spans.get(&id).cloned();
                Step::Span(id, known.unwrap_or_else(|| new().into_iter().collect()))
            }
            4 | 5 => Step::Attach(one()),
            6 | 7 => Step::Remove(one()),
            8 => Step::Flush,
            _ => Step::DeleteTrace,
        };
        there = there.after(&step);
        story.push(step);
    }
    story
}

/// What is there: spans with their pictures, and attachments.
#[derive(Clone, Debug, Default, PartialEq)]
struct There {
    spans: BTreeMap<u64, Vec<u64>>,
    files: BTreeSet<u64>,
}

impl There {
    fn after(&self, step: &Step) -> Self {
        let mut there = self.clone();
        match step {
            Step::Span(id, pictures) => {
                there.spans.insert(*id, pictures.clone());
                there.files.extend(pictures);
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
    seen: Arc<Seen>,
    app: Arc<App>,
    routes: Router,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What the disk does meanwhile knows the disk: they would keep each other.
        self.disk.meanwhile(None);
    }
}

impl Machine {
    async fn new(seed: u64) -> Self {
        let (disk, seen) = (SimDisk::new(seed), Arc::default());
        let app = Self::boot(&disk, &seen);
        driven(&app, make_projects(&app)).await;
        Self {
            disk,
            seen,
            routes: build(Arc::clone(&app)),
            app,
        }
    }

    fn boot(disk: &SimDisk, seen: &Arc<Seen>) -> Arc<App> {
        let tree = disk.tree();
        let files = LocalBlobs::on(Arc::clone(&tree)).unwrap();
        let seen = Arc::clone(seen);
        let ground = Ground {
            disk: disk.handle(),
            files: Arc::new(Watched { files, seen }),
            clock: Arc::new(SystemClock::new()),
            tree,
        };
        app_on(&ground, no_providers(), |_| ()).0
    }

    fn engine(&self) -> &Arc<Engine> {
        self.app.core().unwrap().engine()
    }

    fn will_end(&self, end: End, slow: Option<(u64, u64)>) {
        let call = self.disk.ops() + end.call;
        let mut plan = FaultPlan {
            slow,
            ..FaultPlan::default()
        };
        match (end.stuck, end.is_kill) {
            (Some(is_done), _) => {
                let ns = 60_000_000_000;
                plan.stuck = Some(Stuck { call, ns, is_done });
            }
            (None, true) => plan.kill_at = Some(call),
            (None, false) => plan.crash_at = Some(call),
        }
        self.disk.set_plan(plan);
        let (disk, is_kill) = (self.disk.clone(), end.is_kill);
        self.disk.meanwhile(Some(Arc::new(move |wait: Wait| {
            if wait.is_stuck && is_kill {
                disk.kill();
            } else if wait.is_stuck {
                disk.crash();
            }
        })));
    }

    /// The machine comes back; the power goes first if it is still there.
    fn restart(&mut self) {
        if !self.disk.is_down() {
            self.disk.cut_power();
        }
        self.disk.restart();
        self.disk.set_plan(FaultPlan::default());
        self.app = Self::boot(&self.disk, &self.seen);
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
                let gone = pictures.iter().zip(seeds);
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

/// Tells a story until the machine is down or the story over; the step that nobody answered. What is there follows.
async fn told(
    machine: &Machine,
    story: &mut Vec<Step>,
    there: &mut There,
) -> Result<Option<Step>, String> {
    while !story.is_empty() {
        let is_done = machine.tell(&story[0]).await;
        let is_down = machine.disk.is_down();
        if is_down && !is_done {
            return Ok(Some(story[0].clone()));
        }
        if !is_done {
            return Err(format!("{:?} was refused", story[0]));
        }
        *there = there.after(&story.remove(0));
        if is_down {
            break;
        }
    }
    Ok(None)
}

/// What was answered is there, and of what was not all or nothing; and no file but those.
async fn settled(
    machine: &Machine,
    broken_off: Option<Step>,
    there: &mut There,
) -> Result<(), String> {
    let mut seen = machine.has(there).await;
    if let (Err(_), Some(step)) = (&seen, broken_off) {
        let after = there.after(&step);
        seen = machine.has(&after).await;
        *there = after;
    }
    seen?;
    let left = machine.swept().await;
    let hash_of = |seed: &u64| ContentHash::of(&picture(*seed)).to_string();
    if left != there.files.iter().map(hash_of).collect() {
        return Err(format!("{left:?} are left, {:?} are meant", there.files));
    }
    Ok(())
}

/// One life with its end, then one more to the end of the story. False if the story was over before that.
async fn lives(seed: u64, end: End) -> Result<bool, String> {
    let mut machine = Machine::new(seed).await;
    let (mut story, mut there) = (story(), There::default());
    machine.will_end(end, None);
    let broken_off = told(&machine, &mut story, &mut there).await?;
    let is_hit = machine.disk.is_down();
    machine.restart();
    settled(&machine, broken_off, &mut there).await?;
    told(&machine, &mut story, &mut there).await?;
    machine.has(&there).await?;
    Ok(is_hit)
}

/// How many calls the story has, each with the end that is made for it.
async fn every_call(end: impl Fn(u64) -> End) -> u64 {
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
async fn no_attachment_is_lost_or_without_its_bytes_whenever_the_machine_ends() {
    let ends = every_call(|call| End {
        call,
        is_kill: call % 3 == 0,
        stuck: None,
    });
    let ends = ends.await;
    assert!(ends > 100, "{ends}");
}

#[tokio::test]
async fn nor_while_a_call_is_stuck() {
    let ends = every_call(|call| End {
        call,
        is_kill: call % 3 == 0,
        stuck: Some(call % 2 == 0),
    });
    let ends = ends.await;
    assert!(ends > 100, "{ends}");
}

/// Many lives of one machine, each with another story, slow calls and an end somewhere.
async fn random_lives(seed: u64, sum: &mut BTreeMap<Event, u64>) -> Result<(), String> {
    let (mut machine, mut there) = (Machine::new(seed).await, There::default());
    let rng = SimRng::new(seed);
    for life in 0..8 {
        let end = End {
            call: 1 + rng.below(150),
            is_kill: rng.chance(3),
            stuck: rng.chance(4).then(|| rng.chance(2)),
        };
        machine.will_end(end, Some((30, 1_000_000_000)));
        let at = |wrong| format!("seed {seed} life {life} {end:?}: {wrong}");
        let mut story = random_story(&rng, &there);
        let broken_off = told(&machine, &mut story, &mut there).await;
        let broken_off = broken_off.map_err(at)?;
        machine.restart();
        let settled = settled(&machine, broken_off, &mut there).await;
        settled.map_err(at)?;
    }
    for (event, count) in machine.disk.hits() {
        *sum.entry(event).or_default() += count;
    }
    Ok(())
}

#[tokio::test]
async fn nor_at_random_ends_of_random_stories() {
    let mut hits = BTreeMap::new();
    for seed in 0..12 {
        random_lives(seed, &mut hits)
            .await
            .unwrap_or_else(|wrong| panic!("{wrong}"));
    }
    for event in [Event::NameKept, Event::NameDropped, Event::WriteTorn] {
        assert!(hits.contains_key(&event), "{event}");
    }
}

/// One life in which a call fails: who is refused asks again, and the power goes at the end. False if there were not so
/// many calls.
async fn fails(seed: u64, call: u64, fault: Fault) -> Result<bool, String> {
    let mut machine = Machine::new(seed).await;
    let mut there = There::default();
    machine.disk.set_plan(FaultPlan {
        fail_at: Some((machine.disk.ops() + call, fault)),
        ..FaultPlan::default()
    });
    let end = machine.disk.ops() + call;
    for step in story_of_files() {
        let mut tries = 0;
        while !machine.tell(&step).await {
            match machine.engine().state() {
                State::Failed => machine.restart(),
                // As the threads of the engine look from time to time.
                State::ReadOnly => drop(machine.engine().space_step()),
                State::Ready => {}
            }
            tries += 1;
            if tries > 3 {
                return Err(format!("{step:?} was refused"));
            }
        }
        there = there.after(&step);
    }
    let is_hit = machine.disk.ops() >= end;
    // The looks at what is there are calls, too.
    machine.disk.set_plan(FaultPlan::default());
    machine.has(&there).await?;
    machine.restart();
    settled(&machine, None, &mut there).await?;
    Ok(is_hit)
}

#[tokio::test]
async fn what_is_refused_once_can_be_sent_again() {
    for fault in Fault::ALL {
        let mut calls = 0;
        for call in 1.. {
            match fails(call, call, fault).await {
                Ok(true) => calls += 1,
                Ok(false) => break,
                Err(wrong) => panic!("{fault:?} at call {call}: {wrong}"),
            }
        }
        assert!(calls > 80, "{calls}");
    }
}
