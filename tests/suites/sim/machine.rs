//! A machine with an engine on it, for stories that are told record by record.

use std::sync::{Arc, Mutex};

use obsrv_engine::engine::{Done, Engine, Interpreter, Options, Receipt};
use obsrv_engine::io::Rng as _;
use obsrv_wal::sim::{FaultPlan, SimDisk, SimRng};

pub(crate) struct Machine {
    pub(crate) disk: SimDisk,
    rng: SimRng,
    engine: Option<Arc<Engine>>,
}

impl Machine {
    pub(crate) fn new(seed: u64, reader: &dyn Interpreter) -> Self {
        let mut machine = Self {
            disk: SimDisk::new(seed),
            rng: SimRng::new(seed),
            engine: None,
        };
        machine.open(reader);
        machine
    }

    fn open(&mut self, reader: &dyn Interpreter) {
        let disk = self.disk.handle();
        let options = Options::for_memory(8 << 20);
        let engine = Engine::open(disk, &self.rng, options, reader);
        self.engine = Some(engine.unwrap());
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(self.engine.as_ref().unwrap())
    }

    /// A number below this one.
    pub(crate) fn below(&self, n: u64) -> u64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        u64::from_le_bytes(bytes) % n
    }

    /// Commits what is asked for; what came of it, if it was answered.
    pub(crate) fn commit(&self, ask: impl FnOnce(&Engine, Done)) -> Option<Receipt> {
        let engine = self.engine();
        let answer = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&answer);
        let done = Box::new(move |outcome: Result<Receipt, _>| {
            *keep.lock().unwrap() = outcome.ok();
        });
        ask(&engine, done);
        while engine.commit_step() > 0 {}
        answer.lock().unwrap().take()
    }

    /// The same, while the power may go within the next few steps of the disk.
    pub(crate) fn commit_in_danger(&self, ask: impl FnOnce(&Engine, Done)) -> Option<Receipt> {
        let crash_at = Some(self.disk.ops() + 1 + self.below(6));
        self.disk.set_plan(FaultPlan {
            crash_at,
            ..FaultPlan::default()
        });
        self.commit(ask)
    }

    /// Ends it so, and starts it again.
    pub(crate) fn cut(&mut self, end: &dyn Fn(&SimDisk), reader: &dyn Interpreter) {
        self.engine = None;
        end(&self.disk);
        self.disk.restart();
        self.disk.set_plan(FaultPlan::default());
        self.open(reader);
    }

    /// A flush, a merge, an end, or nothing. Whether it was an end.
    pub(crate) fn keep_house(&mut self, reader: &dyn Interpreter) -> bool {
        let engine = self.engine();
        match self.below(12) {
            0 | 1 => {
                engine.freeze();
                engine.flush_step().unwrap();
            }
            2 => drop(engine.compact_step().unwrap()),
            way @ (3 | 4) => {
                drop(engine);
                let end: &dyn Fn(&SimDisk) = if way == 3 {
                    &SimDisk::kill
                } else {
                    &SimDisk::cut_power
                };
                self.cut(end, reader);
                return true;
            }
            _ => {}
        }
        false
    }
}
