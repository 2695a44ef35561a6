//! The desk outside the machine: asks for things, keeps the ledger, and notes what went wrong when.
//!
//! Shared between the world that drives the engine and the disk that weaves steps into each other.
//! Each lock is held for a few lines, never across a call of the engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use obsrv_engine::engine::{Engine, Envelope, IngestError, Receipt, Submission};
use obsrv_engine::row::ProjectId;
use obsrv_wal::sim::{Injected, SimDisk, SimRng};
use parking_lot::Mutex;

use super::cover::{Coverage, Ill, Marks, Record, Step};
use super::ledger::{Asked, Fate, Ledger};
use super::work;

/// Bodies above this go to a side file.
pub(super) const SIDE_BYTES_MIN: usize = 1_500;

/// An answer, by index in the ledger.
type Answer = (usize, Result<Receipt, IngestError>);

#[derive(Debug)]
pub(super) struct Desk {
    pub(super) disk: SimDisk,
    pub(super) rng: SimRng,
    pub(super) ledger: Mutex<Ledger>,
    answers: Arc<Mutex<Vec<Answer>>>,
    serial: AtomicU64,
    pub(super) coverage: Mutex<Coverage>,
    /// What is going on, and what went wrong up to now.
    now: Mutex<(Step, Injected)>,
    /// Requests before this one belong to earlier lives.
    life_start: AtomicU64,
    /// The newest record that anyone could have read.
    pub(super) seen: AtomicU64,
}

impl Desk {
    pub(super) fn new(disk: SimDisk, rng: SimRng) -> Self {
        let injected = disk.injected();
        Self {
            disk,
            rng,
            ledger: Mutex::default(),
            answers: Arc::default(),
            serial: AtomicU64::new(0),
            coverage: Mutex::default(),
            now: Mutex::new((Step::Create, injected)),
            life_start: AtomicU64::new(0),
            seen: AtomicU64::new(0),
        }
    }

    /// The same history on another disk.
    pub(super) fn fork(&self, disk: SimDisk, rng: SimRng) -> Self {
        let copy = Self::new(disk, rng);
        *copy.ledger.lock() = self.ledger.lock().clone();
        for (to, from) in [(&copy.serial, &self.serial), (&copy.seen, &self.seen)] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        copy
    }

    /// Asks for something. True if it was a delete: a group holds at most one, so that its place
    /// in the log is known even if its answer is not.
    pub(super) fn ask(&self, engine: &Engine) -> bool {
        let serial = 1 + self.serial.fetch_add(1, Ordering::Relaxed);
        let asked = work::next(&self.rng, serial);
        self.ask_for(engine, asked)
    }

    /// Asks for rows to be stored.
    pub(super) fn ask_ingest(&self, engine: &Engine) {
        let serial = 1 + self.serial.fetch_add(1, Ordering::Relaxed);
        self.ask_for(engine, work::rows(&self.rng, serial));
    }

    /// What is going on.
    pub(super) fn step(&self) -> Step {
        self.now.lock().0
    }

    pub(super) fn ask_for(&self, engine: &Engine, asked: Asked) -> bool {
        let index = self.ledger.lock().enter(asked.clone());
        let answers = Arc::clone(&self.answers);
        let done = Box::new(move |outcome| answers.lock().push((index, outcome)));
        self.during(Step::Submit, || match asked {
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
                false
            }
            Asked::Delete { project, deletion } => {
                engine.delete(ProjectId(project), deletion, done);
                true
            }
            Asked::Control { body } => {
                engine.control(Bytes::from(body), done);
                false
            }
        })
    }

    /// A few requests and their commit.
    pub(super) fn ask_and_commit(&self, engine: &Engine) {
        for _ in 0..=self.rng.below(4) {
            if self.ask(engine) {
                break;
            }
        }
        self.during(Step::Commit, || engine.commit_step());
        self.note_answers();
    }

    pub(super) fn note_answers(&self) {
        let mut ledger = self.ledger.lock();
        for (index, outcome) in self.answers.lock().drain(..) {
            let fate = match outcome {
                Ok(receipt) => Fate::Stored(receipt.lsn),
                Err(IngestError::OutcomeUnknown) => Fate::Unknown,
                Err(_) => Fate::Absent,
            };
            ledger.decide(index, fate);
        }
    }

    /// Runs a step and notes what went wrong in it.
    pub(super) fn during<T>(&self, step: Step, act: impl FnOnce() -> T) -> T {
        let outer = self.account(step);
        let result = act();
        self.account(outer);
        result
    }

    /// Notes what went wrong up to now, and which step is next. Answers which it was.
    fn account(&self, next: Step) -> Step {
        let injected = self.disk.injected();
        let (step, before) = std::mem::replace(&mut *self.now.lock(), (next, injected));
        if injected != before {
            let mut coverage = self.coverage.lock();
            for (ill, count) in [
                (Ill::PowerLoss, injected.power_losses - before.power_losses),
                (Ill::Kill, injected.kills - before.kills),
                (Ill::Failure, injected.failures - before.failures),
            ] {
                if count > 0 {
                    *coverage.during.entry((step, ill)).or_default() += count;
                }
            }
        }
        step
    }

    /// A new life begins.
    pub(super) fn begin_life(&self) {
        let start = u64::try_from(self.ledger.lock().entries.len()).unwrap_or(u64::MAX);
        self.life_start.store(start, Ordering::Relaxed);
    }

    /// A life ends by an ill, in the middle of a call or after a step.
    pub(super) fn end_life(&self, ill: Ill, last: Option<Step>) {
        self.note_answers();
        let mut coverage = self.coverage.lock();
        coverage.crashes += 1;
        if let Some(step) = last {
            *coverage.after.entry((step, ill)).or_default() += 1;
        }
        let start = usize::try_from(self.life_start.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let ledger = self.ledger.lock();
        for (asked, _) in ledger
            .entries
            .iter()
            .skip(start)
            .filter(|(_, fate)| *fate == Fate::Unknown)
        {
            for record in sorts(asked, &ledger.stored) {
                *coverage.flying.entry((record, ill)).or_default() += 1;
            }
        }
    }

    pub(super) fn note_marks(&self, what: Marks, count: u64) {
        if count > 0 {
            *self.coverage.lock().marks.entry(what).or_default() += count;
        }
    }
}

/// What a request is.
fn sorts(asked: &Asked, stored: &BTreeSet<super::ledger::Key>) -> Vec<Record> {
    let (project, body, events) = match asked {
        Asked::Delete { .. } => return vec![Record::Delete],
        Asked::Control { .. } => return vec![Record::Control],
        Asked::Ingest {
            project,
            body,
            events,
        } => (*project, body, events),
    };
    let mut all = vec![if body.len() > SIDE_BYTES_MIN {
        Record::Side
    } else {
        Record::Inline
    }];
    let updates = || {
        events
            .iter()
            .filter(|event| stored.contains(&super::ledger::key(project, event)))
    };
    if updates().next().is_some() {
        all.push(Record::Update);
    }
    if updates().any(|event| event.partial) {
        all.push(Record::Partial);
    }
    all
}
