//! Traces at the limit and beyond it, over a real engine and a clock that is set by hand.

use std::sync::atomic::{AtomicI64, Ordering};

use obsrv_engine::doc::DocWriter;
use obsrv_engine::engine::{Envelope, Options, Submission, Threads};
use obsrv_engine::io::{Clock, OsRng, RealDisk};
use obsrv_engine::row::{Event, RowKey};

use super::*;
use crate::governance::{ProjectSettings, Retention};
use crate::interpreter::{self, Replay};
use crate::keys::{Macs, MasterSecret};
use crate::quota::Quota;
use crate::redact::rows;
use crate::tenancy::{ControlPlane, FIRST_ORG};

const HOUR_NS: i64 = DAY_NS / 24;
const BEGAN_NS: i64 = 1_770_000_000_000_000_000;

/// A clock set by hand; what it has jumped is in one of its two times alone.
#[derive(Debug)]
struct Hand(AtomicI64, AtomicI64);

impl Clock for Hand {
    fn wall_ns(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn mono_ns(&self) -> u64 {
        (self.wall_ns() - self.1.load(Ordering::Relaxed)).unsigned_abs()
    }
}

struct World {
    engine: Arc<Engine>,
    governance: Governance,
    clock: Arc<Hand>,
    expiry: Expiry,
    project: ProjectId,
    threads: Option<Threads>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.stop();
        }
    }
}

async fn open(dir: &tempfile::TempDir, wall_ns: i64) -> World {
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let engine = Engine::open(disk, &OsRng, Options::for_memory(64 << 20), &Replay).unwrap();
    let threads = engine.start().unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(wall_ns), AtomicI64::new(0)));
    let master = MasterSecret::from_bytes([1; 32]);
    let plane = ControlPlane::recover(
        Arc::clone(&engine),
        &master,
        Arc::<Hand>::clone(&clock),
        Arc::new(OsRng),
    );
    let plane = Arc::new(plane.unwrap());
    if plane.audit().is_empty() {
        let made = plane.create_project(By::operator(), FIRST_ORG, "shop");
        assert_eq!(made.await.unwrap().made.id, 1);
    }
    let macs = Macs::for_redaction(&master);
    let governance = Governance::new(Quota::default(), plane, macs);
    World {
        engine,
        governance,
        clock,
        expiry: Expiry::default(),
        project: ProjectId(1),
        threads: Some(threads),
    }
}

fn row(table: Table, trace: &str, id: &str, end_ns: Option<i64>) -> Event {
    let mut doc = DocWriter::new();
    let open = doc.begin_map();
    doc.end(open);
    Event {
        table,
        key: RowKey {
            trace_id: trace.into(),
            id: id.into(),
        },
        start_ns: Some(BEGAN_NS - HOUR_NS),
        end_ns,
        version: 1,
        partial: false,
        doc: doc.finish().into(),
    }
}

impl World {
    async fn keep(&self, days: Option<u32>) {
        self.keep_for(Retention {
            traces_days: days,
            ..Retention::default()
        })
        .await;
    }

    async fn keep_for(&self, retention: Retention) {
        let settings = ProjectSettings {
            retention,
            ..ProjectSettings::default()
        };
        let revision = self.governance.of(self.project).revision;
        let set = self
            .governance
            .set(By::operator(), self.project, revision, settings);
        set.await.unwrap();
    }

    async fn send(&self, events: Vec<Event>) {
        let (encoding, body) = interpreter::body_of_rows(&events);
        let envelope = Envelope {
            project: self.project.0,
            dialect: rows::DIALECT_NUMBER,
            encoding: encoding.number(),
            received_ns: self.clock.wall_ns(),
            ..Envelope::default()
        };
        let (sender, outcome) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result| sender.send(result).unwrap());
        let submission = Submission {
            envelope,
            body,
            events,
        };
        self.engine.submit(submission, done);
        outcome.await.unwrap().unwrap();
    }

    fn at(&self, wall_ns: i64) {
        self.clock.0.store(wall_ns, Ordering::Relaxed);
    }

    /// The clock is set: no time passes.
    fn jump(&self, ns: i64) {
        self.clock.1.fetch_add(ns, Ordering::Relaxed);
        self.clock.0.fetch_add(ns, Ordering::Relaxed);
    }

    /// What a look at this time deletes.
    async fn look(&mut self, wall_ns: i64) -> u64 {
        self.at(wall_ns);
        self.expiry
            .step(&self.engine, &self.governance)
            .await
            .unwrap()
    }

    /// How many rows of a table are there.
    fn count(&self, table: Table) -> usize {
        let bounds = Bounds {
            ended_ns: i64::MAX,
            received: Lsn::MAX,
        };
        let snapshot = self.engine.snapshot();
        let found = old_rows(&snapshot, self.project, table, bounds, None);
        found.unwrap().0.len()
    }

    fn has(&self, trace: &str) -> bool {
        let rows = self.engine.snapshot().trace_cores(self.project, trace);
        !rows.unwrap().is_empty()
    }

    /// What the audit log says of deleted traces.
    fn receipts(&self) -> Vec<GovernanceEvent> {
        let controls = self.engine.controls();
        let events = controls
            .iter()
            .map(|(_, bytes)| crate::control::decode(bytes).unwrap().event);
        let receipts = events.filter_map(|event| match event {
            ControlEvent::Governance(act) => Some(act.event),
            _ => None,
        });
        receipts
            .filter(|event| matches!(event, GovernanceEvent::Expired { .. }))
            .collect()
    }
}

#[tokio::test]
async fn a_trace_at_the_limit_stays_and_one_beyond_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = open(&dir, BEGAN_NS).await;
    let span = |trace, end| row(Table::Spans, trace, "s", Some(end));
    let running = Event {
        start_ns: Some(BEGAN_NS - 1),
        ..row(Table::Spans, "running", "s", None)
    };
    let rows = vec![
        span("old", BEGAN_NS - 1),
        span("limit", BEGAN_NS),
        running,
        row(Table::Scores, "scored", "c", Some(BEGAN_NS - 1)),
    ];
    world.send(rows).await;
    // Two spans, one of them at the limit: the trace stays as a whole.
    let both = vec![
        row(Table::Spans, "both", "1", Some(BEGAN_NS - 1)),
        row(Table::Spans, "both", "2", Some(BEGAN_NS)),
    ];
    world.send(both).await;
    world.at(BEGAN_NS + 2 * HOUR_NS);
    world.keep(Some(1)).await;
    // All that was received before the settings came is a day old only now.
    let all = ["old", "limit", "running", "scored", "both"];
    assert_eq!(world.look(BEGAN_NS + DAY_NS + 2 * HOUR_NS).await, 0);
    assert!(all.iter().all(|trace| world.has(trace)));
    assert!(world.receipts().is_empty());
    // The rows' own ends are the limit from here on; a day later everything goes.
    let bounds = |ended_ns| Bounds {
        ended_ns,
        received: Lsn::MAX,
    };
    let snapshot = world.engine.snapshot();
    let old = |table| {
        let bounds = bounds(BEGAN_NS);
        let (rows, _) = old_rows(&snapshot, world.project, table, bounds, None).unwrap();
        runs(&snapshot, world.project, bounds, &rows).unwrap().0
    };
    let gone = |traces: &[&str]| -> Vec<Deletion> {
        let all = traces.iter().map(|trace| Deletion::Run((*trace).into()));
        all.collect()
    };
    assert_eq!(old(Table::Runs), gone(&["old", "running"]));
    assert_eq!(old(Table::Scores), gone(&["scored"]));
    drop(snapshot);
    assert_eq!(world.look(BEGAN_NS + 2 * DAY_NS + 2 * HOUR_NS).await, 5);
    assert!(!all.iter().any(|trace| world.has(trace)));
    let expired = GovernanceEvent::Expired {
        project: 1,
        class: Class::Traces,
        count: 5,
        before_ns: BEGAN_NS + DAY_NS + 2 * HOUR_NS,
    };
    assert_eq!(world.receipts(), [expired]);
}

#[tokio::test]
async fn log_lines_and_points_go_one_by_one_by_days_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = open(&dir, BEGAN_NS).await;
    let at = |table, trace: &str, id: usize, start_ns| Event {
        start_ns: Some(start_ns),
        ..row(table, trace, &id.to_string(), None)
    };
    let both = |start_ns, ids: std::ops::Range<usize>| -> Vec<Event> {
        let logs = ids.clone().map(|id| at(Table::Logs, "t", id, start_ns));
        logs.chain(ids.map(|id| at(Table::Points, "series", id, start_ns)))
            .collect()
    };
    let old = DELETE_ROWS_MAX + 1;
    world.send(both(BEGAN_NS, 0..old)).await;
    world
        .send(vec![row(Table::Spans, "t", "s", Some(BEGAN_NS))])
        .await;
    let retention = Retention {
        logs_days: Some(1),
        metrics_days: Some(3),
        ..Retention::default()
    };
    // Marks are an hour apart at least, and the project's making has left one.
    world.at(BEGAN_NS + 2 * HOUR_NS);
    world.keep_for(retention).await;
    // Lines of the same trace and points of the same series that came two days later.
    world.at(BEGAN_NS + 2 * DAY_NS);
    world.send(both(BEGAN_NS + 2 * DAY_NS, old..old + 2)).await;
    let gone = u64::try_from(old).unwrap();
    assert_eq!(world.look(BEGAN_NS + 2 * DAY_NS + HOUR_NS).await, gone);
    assert_eq!(world.count(Table::Logs), 2);
    assert_eq!(world.count(Table::Points), old + 2);
    assert_eq!(world.look(BEGAN_NS + 4 * DAY_NS - HOUR_NS).await, 2 + gone);
    assert_eq!(world.count(Table::Logs), 0);
    assert_eq!(world.count(Table::Points), 2);
    assert!(world.has("t"));
    let classes = world.receipts().into_iter().map(|receipt| match receipt {
        GovernanceEvent::Expired { class, count, .. } => (class, count),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        classes.collect::<Vec<_>>(),
        [
            (Class::Logs, gone),
            (Class::Logs, 2),
            (Class::Metrics, gone)
        ]
    );
}

#[tokio::test]
async fn the_lines_of_a_trace_that_has_gone_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = open(&dir, BEGAN_NS).await;
    world.keep(Some(1)).await;
    let rows = vec![
        row(Table::Spans, "t", "s", Some(BEGAN_NS)),
        row(Table::Logs, "t", "l", None),
    ];
    world.send(rows).await;
    world.look(BEGAN_NS + HOUR_NS).await;
    assert_eq!(world.look(BEGAN_NS + 3 * DAY_NS).await, 1);
    assert!(!world.has("t"));
    assert_eq!(world.count(Table::Logs), 1);
}

#[tokio::test]
async fn what_came_late_is_kept_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = open(&dir, BEGAN_NS).await;
    world.keep(Some(1)).await;
    world
        .send(vec![row(Table::Spans, "t", "1", Some(BEGAN_NS))])
        .await;
    world.look(BEGAN_NS + HOUR_NS).await;
    // A score a year later: the trace is that young.
    let year = BEGAN_NS + 365 * DAY_NS;
    world.at(year);
    world
        .send(vec![row(Table::Scores, "t", "c", Some(BEGAN_NS))])
        .await;
    assert_eq!(world.look(year).await, 0);
    assert!(world.has("t"));
    // Its time is known by the mark that the look has left.
    assert_eq!(world.look(year + DAY_NS).await, 0);
    assert_eq!(world.look(year + 2 * DAY_NS).await, 1);
    assert!(!world.has("t"));
}

#[tokio::test]
async fn a_project_that_keeps_everything_keeps_it_and_a_look_a_day_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mut world = open(&dir, BEGAN_NS).await;
        world
            .send(vec![row(Table::Spans, "t", "1", Some(BEGAN_NS))])
            .await;
        let before = world.engine.controls().len();
        assert_eq!(world.look(BEGAN_NS + 900 * DAY_NS).await, 0);
        assert_eq!(world.engine.controls().len(), before);
        world.keep(Some(900)).await;
        world.keep(None).await;
        assert_eq!(world.look(BEGAN_NS + 9_000 * DAY_NS).await, 0);
        world.keep(Some(1)).await;
        world.at(BEGAN_NS + 9_001 * DAY_NS);
    }
    // Marks come back with the log.
    let mut world = open(&dir, BEGAN_NS + 9_002 * DAY_NS).await;
    assert!(world.has("t"));
    assert_eq!(world.look(BEGAN_NS + 9_002 * DAY_NS).await, 1);
    world
        .send(vec![row(Table::Spans, "u", "1", Some(BEGAN_NS))])
        .await;
    let day = BEGAN_NS + 9_003 * DAY_NS;
    world.at(day - 1);
    world.keep(Some(1)).await;
    assert_eq!(
        world.look(day - 1).await,
        0,
        "looked at less than a day ago"
    );
    assert_eq!(world.look(day).await, 0, "came after the last mark");
    assert_eq!(world.look(day + DAY_NS).await, 1);
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_deletes_nothing_for_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let year = 365 * DAY_NS;
    {
        let mut world = open(&dir, BEGAN_NS).await;
        world.keep(Some(1)).await;
        world
            .send(vec![row(Table::Spans, "t", "1", Some(BEGAN_NS))])
            .await;
        assert_eq!(world.look(BEGAN_NS + HOUR_NS).await, 0);
        // Set wrong, noticed, and set right: as if it had never been.
        world.jump(year);
        assert_eq!(world.look(BEGAN_NS + year + 2 * HOUR_NS).await, 0);
        assert_eq!(world.look(BEGAN_NS + year + 20 * HOUR_NS).await, 0);
        world.jump(-year);
        assert_eq!(world.look(BEGAN_NS + 21 * HOUR_NS).await, 0);
        assert!(world.has("t"));
        // A jump that nobody takes back was right.
        world.jump(year);
        assert_eq!(world.look(BEGAN_NS + year + 22 * HOUR_NS).await, 0);
        assert_eq!(world.look(BEGAN_NS + year + 46 * HOUR_NS).await, 1);
        world
            .send(vec![row(Table::Spans, "u", "1", Some(BEGAN_NS))])
            .await;
        world.look(BEGAN_NS + year + 48 * HOUR_NS).await;
    }
    // A process that starts a year later looks twice.
    let later = BEGAN_NS + 2 * year + 4 * DAY_NS;
    let mut world = open(&dir, later).await;
    assert_eq!(world.look(later).await, 0);
    assert!(world.has("u"));
    assert_eq!(world.look(later + DAY_NS).await, 1);
}
