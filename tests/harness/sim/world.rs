//! One simulated machine: its disk, the engine that runs on it, and the desk beside it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use obsrv_engine::Bug;
use obsrv_engine::engine::{Engine, IngestError, Interpreter, Options, State};
use obsrv_engine::io::Disk;
use obsrv_wal::sim::{FaultPlan, SimDisk, SimRng};

use super::check::{self, Finding, chain};
use super::cover::{Coverage, Ill, Marks, Step};
use super::desk::{Desk, SIDE_BYTES_MIN};
use super::ledger::{Asked, Fate};
use super::lying::{Lie, LyingDisk};
use super::meanwhile::Outside;
use super::weave::{Unhurried, Weave, WovenDisk};
use crate::toy::{self, Toy};

/// One machine over its many lives.
#[derive(Debug)]
pub struct World {
    disk: SimDisk,
    desk: Arc<Desk>,
    flaw: Flaw,
    /// Calls may fail, so that the engine may refuse to open.
    faulty: bool,
    engine: Option<Arc<Engine>>,
    weave: Arc<Weave>,
    outside: Arc<Outside>,
    /// The step that was done last.
    last: Option<Step>,
    /// Kills before this life.
    kills: u64,
    /// Marks noted in this life.
    marks: [u64; 3],
    /// Room that ingest leaves.
    reserve: u64,
}

/// What is wrong with a machine on purpose: the harness must notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    #[default]
    None,
    /// The disk leaves something out.
    Disk(Lie),
    /// The engine has a bug.
    Engine(Bug),
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
    pub fn new(seed: u64, flaw: Flaw) -> Self {
        let disk = SimDisk::new(seed);
        let rng = SimRng::new(seed ^ 0x9e37_79b9_7f4a_7c15);
        let desk = Arc::new(Desk::new(disk.clone(), rng));
        Self::on(disk, desk, flaw)
    }

    fn on(disk: SimDisk, desk: Arc<Desk>, flaw: Flaw) -> Self {
        Self {
            disk,
            flaw,
            faulty: false,
            engine: None,
            weave: Weave::new(Arc::clone(&desk)),
            outside: Outside::beside(Arc::clone(&desk)),
            desk,
            last: None,
            kills: 0,
            marks: [0; 3],
            reserve: 0,
        }
    }

    /// Another machine with the same disk and history and a fate of its own. Nothing runs on it.
    pub fn fork(&self, seed: u64) -> Self {
        let disk = self.disk.fork(seed);
        let rng = SimRng::new(seed ^ 0x9e37_79b9_7f4a_7c15);
        let desk = Arc::new(self.desk.fork(disk.clone(), rng));
        let mut world = Self::on(disk, desk, self.flaw);
        world.disk.kill();
        world.restart();
        world
    }

    /// A machine with a copy of this one's data that ends at a record: what came after was never stored.
    /// Nothing runs on it.
    #[must_use]
    pub fn restored(&self, disk: SimDisk, through: u64) -> Self {
        let rng = SimRng::new(through);
        let desk = Arc::new(self.desk.fork(disk.clone(), rng));
        desk.ledger.lock().cut(through);
        desk.seen.fetch_min(through, Ordering::Relaxed);
        Self::on(disk, desk, self.flaw)
    }

    /// The disk, to damage it.
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// The engine, if one runs.
    pub fn engine(&self) -> Option<&Arc<Engine>> {
        self.engine.as_ref()
    }

    /// Calls to the disk so far: crash points.
    pub fn ops(&self) -> u64 {
        self.disk.ops()
    }

    /// Equal for equal histories.
    pub fn trace_hash(&self) -> u64 {
        self.disk.trace_hash()
    }

    /// What went wrong so far, and when.
    pub fn coverage(&self) -> Coverage {
        let mut coverage = self.desk.coverage.lock().clone();
        coverage.points = self.disk.hits();
        coverage
    }

    /// Room that ingest leaves, from the next open on.
    pub fn reserve(&mut self, bytes: u64) {
        self.reserve = bytes;
    }

    /// What shall go wrong from now on.
    pub fn plan(&mut self, plan: FaultPlan) {
        self.faulty = plan.fail_at.is_some()
            || plan.refuse_reads.is_some()
            || plan.refuse_byte.is_some()
            || !plan.odds.is_empty()
            || plan.quota.is_some();
        self.disk.set_plan(plan);
    }

    /// What befalls the machine while a call of the plan is stuck; nothing: the call returns late.
    pub fn end_stuck(&mut self, ill: Option<Ill>) {
        self.outside.end_stuck(ill);
    }

    fn options(&self) -> Options {
        let rng = &self.desk.rng;
        Options {
            memtable_bytes: 3_000 + rng.below(30_000),
            queue_bytes: 1 << 20,
            wal_file_bytes: 8_192 << rng.below(3),
            side_bytes_min: SIDE_BYTES_MIN,
            flush_level: 1,
            compact_level: 3,
            merge_min: 2,
            // Steps say when merges run.
            fresh_max: u64::MAX,
            reserve_bytes: self.reserve,
        }
    }

    /// Opens the engine. Down if the machine goes down on the way.
    ///
    /// # Errors
    /// The engine refused what is on the disk.
    pub fn open(&mut self) -> Result<Outcome, String> {
        self.open_with(&Toy)
    }

    /// As [`World::open`], with another reader of bodies.
    ///
    /// # Errors
    /// The engine refused what is on the disk.
    pub fn open_with(&mut self, interpreter: &dyn Interpreter) -> Result<Outcome, String> {
        let mut disk: Arc<dyn Disk> = self.disk.handle();
        if let Flaw::Disk(lie) = self.flaw {
            disk = Arc::new(LyingDisk { honest: disk, lie });
        }
        let disk = Arc::new(WovenDisk {
            under: disk,
            weave: Arc::clone(&self.weave),
        });
        let step = if self.disk.names().is_empty() {
            Step::Create
        } else {
            Step::Recover
        };
        let options = self.options();
        let bug = match self.flaw {
            Flaw::Engine(bug) => Some(bug),
            Flaw::None | Flaw::Disk(_) => None,
        };
        self.desk.begin_life();
        let opened = self.desk.during(step, || {
            let rng = &self.desk.rng;
            Engine::open_with_bug(disk, rng, options, interpreter, bug)
        });
        self.last = Some(step);
        match opened {
            Ok(engine) => {
                self.marks = [engine.stats().dead_rows, 0, 0];
                self.weave.attach(&engine);
                self.outside.attach(&engine);
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
            let step = match self.desk.rng.below(13) {
                0 => Step::Flush,
                1 => Step::Compact,
                2 => Step::Freeze,
                3 => Step::Spare,
                4 => Step::Witness,
                5 => Step::Purge,
                _ => Step::Commit,
            };
            if self.step(step) == Outcome::Down {
                return Outcome::Down;
            }
        }
        Outcome::Done
    }

    /// One step. Whether it had anything to do or went well is the engine's business.
    pub fn step(&mut self, step: Step) -> Outcome {
        let Some(engine) = self.engine.clone() else {
            return Outcome::Down;
        };
        match step {
            Step::Flush => {
                let flush = || self.weave.open_to(step, || engine.flush_step());
                drop(self.desk.during(step, flush));
                self.note_marks(&engine);
            }
            Step::Compact => {
                let pace = Unhurried {
                    clock: self.disk.clock(),
                    weave: &self.weave,
                };
                let compact = || self.weave.open_to(step, || engine.compact_in_steps(&pace));
                drop(self.desk.during(step, compact));
                self.note_marks(&engine);
            }
            Step::Freeze => engine.freeze(),
            Step::Spare => {
                self.desk.during(step, || engine.spare_step());
            }
            Step::Witness => {
                self.desk.during(step, || {
                    engine.witness_catalog_step();
                    engine.witness_step()
                });
            }
            Step::Purge => drop(self.desk.during(step, || engine.purge())),
            _ => self.desk.ask_and_commit(&engine),
        }
        self.last = Some(step);
        if self.disk.is_down() || engine.state() == State::Failed {
            return Outcome::Down;
        }
        Outcome::Done
    }

    /// Notes what became of deletion vectors since the last time.
    fn note_marks(&mut self, engine: &Engine) {
        let stats = engine.stats();
        let now = [
            stats.dead_rows,
            stats.marks_moved,
            stats.marks_moved_durable,
        ];
        for (what, (now, before)) in Marks::ALL.into_iter().zip(now.into_iter().zip(self.marks)) {
            self.desk.note_marks(what, now.saturating_sub(before));
        }
        self.marks = now;
    }

    /// Asks for a toy body to be stored and commits it. Its last event must be a score of the trace
    /// `marks` that no other request names: the ledger knows the request by it. What was answered;
    /// `NoSpace` stands for every refusal.
    pub fn store(&mut self, project: u64, body: &str) -> Option<Result<u64, IngestError>> {
        self.commit(Asked::Ingest {
            project,
            body: body.to_owned(),
            events: toy::events(body.as_bytes()).ok()?,
        })
    }

    /// Asks for a control event and commits it. What was answered.
    pub fn control(&mut self, body: &str) -> Option<Result<u64, IngestError>> {
        let body = body.to_owned();
        self.commit(Asked::Control { body })
    }

    fn commit(&mut self, asked: Asked) -> Option<Result<u64, IngestError>> {
        let engine = self.engine.clone()?;
        // Others may ask for things while this is written.
        let index = self.desk.ledger.lock().entries.len();
        self.desk.ask_for(&engine, asked);
        self.desk.during(Step::Commit, || engine.commit_step());
        self.desk.note_answers();
        let ledger = self.desk.ledger.lock();
        let (_, fate) = ledger.entries.get(index)?;
        Some(match fate {
            Fate::Stored(lsn) => Ok(*lsn),
            Fate::Absent => Err(IngestError::NoSpace),
            Fate::Unknown => Err(IngestError::OutcomeUnknown),
        })
    }

    /// The power goes, the machine comes back.
    pub fn cut_power(&mut self) {
        self.end(Ill::PowerLoss);
        self.disk.cut_power();
        self.restart();
    }

    /// The process is killed and started again.
    pub fn kill(&mut self) {
        self.end(Ill::Kill);
        self.disk.kill();
        self.restart();
    }

    fn end(&mut self, ill: Ill) {
        self.engine = None;
        if self.disk.is_down() {
            let killed = self.disk.injected().kills > self.kills;
            let ill = if killed { Ill::Kill } else { Ill::PowerLoss };
            self.desk.end_life(ill, None);
        } else {
            self.desk.end_life(ill, self.last);
        }
    }

    fn restart(&mut self) {
        self.last = None;
        self.disk.restart();
        self.kills = self.disk.injected().kills;
        self.plan(FaultPlan::default());
    }

    /// Holds the running engine against the ledger.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&mut self) -> Result<(), Finding> {
        self.desk.note_answers();
        if let Some(what) = self.outside.take_wrong() {
            return Err(Finding::Wrong(what));
        }
        let engine = self.engine.as_ref();
        let engine = engine.ok_or_else(|| Finding::Wrong("no engine to check".into()))?;
        check::check(&self.desk, engine)
    }

    /// What an engine promises after a fault is over: one that has failed takes nothing and waits
    /// for a restart; any other takes a write at once, flushes and compacts, and its answers are
    /// right.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn goes_on(&mut self) -> Result<(), String> {
        let Some(engine) = self.engine.clone() else {
            return Ok(());
        };
        let serial = self.ops();
        let body = format!("score|marks|extra{serial}|1||1||");
        if engine.state() == State::Failed {
            return match self.store(1, &body) {
                Some(Err(IngestError::NoSpace)) => Ok(()),
                other => Err(format!("a failed engine answered {other:?}")),
            };
        }
        engine.freeze();
        for _ in 0..100 {
            let flushed = self
                .desk
                .during(Step::Flush, || engine.flush_step())
                .map_err(|error| format!("flush does not heal: {}", chain(&error)))?;
            let merged = self
                .desk
                .during(Step::Compact, || engine.compact_step())
                .map_err(|error| format!("compaction does not heal: {}", chain(&error)))?;
            if !flushed && !merged {
                break;
            }
        }
        match self.store(1, &body) {
            Some(Ok(_)) => {}
            other => return Err(format!("a healthy engine answered {other:?}")),
        }
        if engine.state() != State::Ready {
            return Err(format!("not ready but {:?}", engine.state()));
        }
        self.check().map_err(|finding| finding.to_string())
    }

    /// The newest record that anyone could have read.
    pub fn seen(&self) -> u64 {
        self.desk.seen.load(Ordering::Relaxed)
    }
}
