//! One simulated machine: its disk, the engine that runs on it, and the ledger beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use obsrv_engine::body;
use obsrv_engine::engine::{Engine, Envelope, IngestError, Options, Receipt, State, Submission};
use obsrv_engine::io::Disk;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Request};
use obsrv_engine::row::{ProjectId, Table};
use obsrv_engine::source::Column;
use obsrv_wal::sim::{FaultPlan, Hits, SimDisk, SimRng};

use super::ledger::{Asked, Fate, Ledger, Rows};
use super::lying::{Lie, LyingDisk};
use super::work;
use crate::toy::Toy;

type Answers = Arc<Mutex<Vec<(usize, Result<Receipt, IngestError>)>>>;

/// One machine over its many lives.
#[derive(Debug)]
pub struct World {
    disk: SimDisk,
    rng: SimRng,
    lie: Option<Lie>,
    /// Calls may fail, so that the engine may refuse to open.
    faulty: bool,
    engine: Option<Arc<Engine>>,
    ledger: Ledger,
    answers: Answers,
    serial: u64,
}

/// What a run of steps came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps were done.
    Done,
    /// The machine went down or the engine failed on the way.
    Down,
}

impl World {
    /// An empty machine; everything about it follows from the seed.
    pub fn new(seed: u64, lie: Option<Lie>) -> Self {
        Self {
            disk: SimDisk::new(seed),
            rng: SimRng::new(seed ^ 0x9e37_79b9_7f4a_7c15),
            lie,
            faulty: false,
            engine: None,
            ledger: Ledger::default(),
            answers: Answers::default(),
            serial: 0,
        }
    }

    /// Calls to the disk so far: crash points.
    pub fn ops(&self) -> u64 {
        self.disk.ops()
    }

    /// Equal for equal histories.
    pub fn trace_hash(&self) -> u64 {
        self.disk.trace_hash()
    }

    /// Fault points that were hit.
    pub fn hits(&self) -> Hits {
        self.disk.hits()
    }

    /// What shall go wrong from now on.
    pub fn plan(&mut self, plan: FaultPlan) {
        self.faulty = plan.fail_at.is_some() || !plan.odds.is_empty() || plan.quota.is_some();
        self.disk.set_plan(plan);
    }

    fn options(&self) -> Options {
        Options {
            memtable_bytes: 3_000 + self.rng.below(30_000),
            queue_bytes: 1 << 20,
            wal_file_bytes: 8_192 << self.rng.below(3),
            side_bytes_min: 1_500,
            flush_level: 1,
            compact_level: 3,
            merge_min: 2,
        }
    }

    /// Opens the engine. Down if the machine goes down on the way.
    ///
    /// # Errors
    /// The engine refused what is on the disk.
    pub fn open(&mut self) -> Result<Outcome, String> {
        let honest = self.disk.handle();
        let disk: Arc<dyn Disk> = match self.lie {
            Some(lie) => Arc::new(LyingDisk { honest, lie }),
            None => honest,
        };
        match Engine::open(disk, &self.rng, self.options(), &Toy) {
            Ok(engine) => {
                self.engine = Some(engine);
                Ok(Outcome::Done)
            }
            Err(_) if self.disk.is_down() || self.faulty => Ok(Outcome::Down),
            Err(error) => Err(format!("open refused: {}", chain(&error))),
        }
    }

    /// Random steps: requests, commits, flushes, compactions.
    pub fn work(&mut self, steps: u64) -> Outcome {
        for _ in 0..steps {
            let Some(engine) = self.engine.clone() else {
                return Outcome::Down;
            };
            match self.rng.below(10) {
                0 => drop(engine.flush_step()),
                1 => drop(engine.compact_step()),
                2 => engine.freeze(),
                _ => {
                    for _ in 0..=self.rng.below(4) {
                        if self.ask(&engine) {
                            break;
                        }
                    }
                    engine.commit_step();
                }
            }
            self.note_answers();
            if self.disk.is_down() || engine.state() == State::Failed {
                return Outcome::Down;
            }
        }
        Outcome::Done
    }

    /// Asks for something. True if it was a delete: a group holds at most one, so that its place
    /// in the log is known even if its answer is not.
    fn ask(&mut self, engine: &Engine) -> bool {
        self.serial += 1;
        let asked = work::next(&self.rng, self.serial);
        let index = self.ledger.entries.len();
        self.ledger.entries.push((asked.clone(), Fate::Unknown));
        let answers = Arc::clone(&self.answers);
        let done = Box::new(move |outcome| {
            answers
                .lock()
                .expect("no panic under this lock")
                .push((index, outcome));
        });
        match asked {
            Asked::Ingest {
                project,
                body,
                events,
            } => {
                let envelope = Envelope {
                    project,
                    ..Envelope::default()
                };
                engine.submit(
                    Submission {
                        envelope,
                        body: Bytes::from(body),
                        events,
                    },
                    done,
                );
            }
            Asked::Delete { project, trace } => {
                engine.delete_trace(ProjectId(project), &trace, done);
                return true;
            }
            Asked::Control { body } => engine.control(Bytes::from(body), done),
        }
        false
    }

    fn note_answers(&mut self) {
        for (index, outcome) in self
            .answers
            .lock()
            .expect("no panic under this lock")
            .drain(..)
        {
            let Some(entry) = self.ledger.entries.get_mut(index) else {
                continue;
            };
            entry.1 = match outcome {
                Ok(receipt) => Fate::Stored(receipt.lsn),
                Err(IngestError::OutcomeUnknown) => Fate::Unknown,
                Err(_) => Fate::Absent,
            };
        }
    }

    /// The power goes, the machine comes back.
    pub fn cut_power(&mut self) {
        self.engine = None;
        self.note_answers();
        self.disk.cut_power();
        self.disk.restart();
        self.plan(FaultPlan::default());
    }

    /// The process is killed and started again.
    pub fn kill(&mut self) {
        self.engine = None;
        self.note_answers();
        self.disk.kill();
        self.disk.restart();
        self.plan(FaultPlan::default());
    }

    /// Holds the running engine against the ledger.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&mut self) -> Result<(), String> {
        let engine = self.engine.clone().ok_or("no engine to check")?;
        self.settle(&engine)?;
        let expected = self.ledger.rows();
        let found = self.found(&engine)?;
        for (key, row) in &expected {
            match found.get(key) {
                None => return Err(format!("lost row {key:?}")),
                Some(other) if other != row => return Err(format!("wrong row {key:?}")),
                Some(_) => {}
            }
        }
        if let Some(key) = found.keys().find(|key| !expected.contains_key(*key)) {
            return Err(format!("row that should not be there {key:?}"));
        }
        let controls: BTreeSet<_> = engine
            .controls()
            .into_iter()
            .map(|(lsn, body)| (lsn, String::from_utf8_lossy(&body).into_owned()))
            .collect();
        if controls != self.ledger.controls() {
            return Err(format!("controls differ: {controls:?}"));
        }
        self.check_filters(&engine, &expected)
    }

    /// Decides the fate of requests that were left open, by what is there now.
    fn settle(&mut self, engine: &Engine) -> Result<(), String> {
        let mut marks = BTreeMap::new();
        for project in 1..=3 {
            let rows = engine.snapshot().trace(ProjectId(project), "marks");
            for row in rows.map_err(|e| chain(&e))?.scores {
                marks.insert((project, row.core.id.to_string()), row.core.lsn_first);
            }
        }
        let controls: BTreeMap<String, u64> = engine
            .controls()
            .into_iter()
            .map(|(lsn, body)| (String::from_utf8_lossy(&body).into_owned(), lsn))
            .collect();
        let mut open_deletes = Vec::new();
        for (index, (asked, fate)) in self.ledger.entries.iter_mut().enumerate() {
            let there = match asked {
                Asked::Ingest {
                    project, events, ..
                } => {
                    let mark = events
                        .last()
                        .map(|e| e.key.id.to_string())
                        .unwrap_or_default();
                    marks.get(&(*project, mark)).copied()
                }
                Asked::Control { body } => controls.get(body).copied(),
                Asked::Delete { .. } => {
                    if *fate == Fate::Unknown {
                        open_deletes.push(index);
                    }
                    continue;
                }
            };
            match (*fate, there) {
                (Fate::Unknown, Some(lsn)) => *fate = Fate::Stored(lsn),
                (Fate::Unknown, None) => *fate = Fate::Absent,
                (Fate::Stored(lsn), None) => return Err(format!("lost record {lsn}")),
                (Fate::Stored(lsn), Some(found)) if lsn != found => {
                    return Err(format!("record {lsn} stored twice, as {found}"));
                }
                (Fate::Absent, Some(lsn)) => return Err(format!("refused but stored as {lsn}")),
                (Fate::Stored(_), Some(_)) | (Fate::Absent, None) => {}
            }
        }
        self.settle_deletes(engine, open_deletes);
        Ok(())
    }

    /// A delete leaves no mark of its own: it is stored if its place in the log is taken by no
    /// other record and the log is that long.
    fn settle_deletes(&mut self, engine: &Engine, open: Vec<usize>) {
        let taken: BTreeSet<u64> = self
            .ledger
            .entries
            .iter()
            .filter_map(|(_, fate)| match fate {
                Fate::Stored(lsn) => Some(*lsn),
                Fate::Absent | Fate::Unknown => None,
            })
            .collect();
        let last = engine.snapshot().lsn();
        let mut free = (1..=last).filter(|lsn| !taken.contains(lsn));
        for index in open {
            if let Some(entry) = self.ledger.entries.get_mut(index) {
                entry.1 = free.next().map_or(Fate::Absent, Fate::Stored);
            }
        }
    }

    fn found(&self, engine: &Engine) -> Result<Rows, String> {
        let mut found = Rows::new();
        let snapshot = engine.snapshot();
        let traces: BTreeSet<_> = (0..6)
            .map(|n| format!("t{n}"))
            .chain(["marks".into()])
            .collect();
        for project in 1..=3 {
            for trace in &traces {
                let rows = snapshot
                    .trace(ProjectId(project), trace)
                    .map_err(|e| chain(&e))?;
                let tables = [
                    (Table::Runs, rows.run.into_iter().collect()),
                    (Table::Spans, rows.spans),
                    (Table::Scores, rows.scores),
                ];
                for (table, row) in tables
                    .into_iter()
                    .flat_map(|(t, r)| r.into_iter().map(move |r| (t, r)))
                {
                    let key = (project, table as u8, trace.clone(), row.core.id.to_string());
                    let view = body::decode(&row.body).map_err(|e| e.to_string())?.view;
                    let view = row.body.slice_ref(view);
                    let content = (row.core.start_ns, row.core.end_ns, view);
                    if found.insert(key.clone(), content).is_some() {
                        return Err(format!("doubled row {key:?}"));
                    }
                }
            }
        }
        Ok(found)
    }

    /// The indexes must say what the rows say.
    fn check_filters(&self, engine: &Engine, expected: &Rows) -> Result<(), String> {
        let budget = Budget {
            rows_max: u64::MAX,
            bytes_max: u64::MAX,
            cancelled: &|| false,
        };
        for project in 1..=3 {
            for (table, path, value) in [
                (Table::Spans, "status", "error"),
                (Table::Runs, "status", "success"),
                (Table::Spans, "k1", "2"),
            ] {
                let literal = value
                    .parse()
                    .map_or(Literal::Str(value.into()), Literal::I64);
                let column = Column::Path(path.into());
                let filter = Filter::Is(column, Test::Eq(literal));
                let request = Request {
                    total: true,
                    ..Request::new(filter, 1000)
                };
                let page = engine
                    .snapshot()
                    .search(ProjectId(project), table, &request, &budget)
                    .map_err(|e| chain(&e))?;
                let wanted = expected
                    .iter()
                    .filter(|((p, t, ..), _)| *p == project && *t == table as u8)
                    .filter(|(_, (_, _, view))| has(view, path, value))
                    .count();
                if page.hits.len() != wanted || page.total != Some(wanted as u64) {
                    let got = (page.hits.len(), page.total);
                    return Err(format!(
                        "filter {path}={value} p{project}: {got:?} not {wanted}"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn has(view: &[u8], path: &str, value: &str) -> bool {
    use obsrv_engine::doc::DocRef;
    let found = DocRef::parse(view).ok().and_then(|doc| doc.get(path));
    match found {
        Some(DocRef::Str(s)) => s == value,
        Some(DocRef::I64(n)) => n.to_string() == value,
        _ => false,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
