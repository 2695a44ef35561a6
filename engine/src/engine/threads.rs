//! The named threads of a running engine. Each calls the step functions and nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use obsrv_wal::io::{Clock, SystemClock};

use super::gate::urgent_from;
use super::queue::Wake;
use super::{Ahead, CompactError, Engine, Pace, State};

/// How long the background threads wait before they look again, though nobody woke them.
const IDLE: Duration = Duration::from_secs(1);

/// How far a merge steps back when nothing waits for it: a tenth of the processor of whoever wants it, too.
const MERGE_NICE: i32 = 10;

/// How long no request must have come before the log's last group is witnessed. Damage to a group
/// that is not looks like a torn tail, so this bounds how long that may be (F8).
const WITNESS_AFTER: Duration = Duration::from_millis(500);

/// How long a record waits before the disk is asked again for what it refused to read.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// The same once requests are refused. Questions wait while the disk is asked, and a broken one takes its time.
const READ_AGAIN_AFTER_LONG: Duration = Duration::from_secs(1);

/// The threads. Dropping them without [`Threads::stop`] leaves them running.
#[derive(Debug)]
pub struct Threads {
    engine: Arc<Engine>,
    commit: Option<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts the commit, flush and maintenance threads.
    pub fn start(self: &Arc<Self>) -> std::io::Result<Threads> {
        let spawn = |name: &str, body: fn(&Self)| {
            let engine = Arc::clone(self);
            let guarded = move || {
                let run = std::panic::AssertUnwindSafe(|| body(&engine));
                if std::panic::catch_unwind(run).is_err() {
                    engine.fail("thread", &ThreadPanicked);
                }
            };
            Builder::new().name(name.to_owned()).spawn(guarded)
        };
        Ok(Threads {
            commit: Some(spawn("obsrv-commit", Self::commit_loop)?),
            background: vec![
                spawn("obsrv-spare", Self::spare_loop)?,
                spawn("obsrv-index", Self::index_loop)?,
                spawn("obsrv-flush", Self::flush_loop)?,
                spawn("obsrv-maint", Self::maintenance_loop)?,
                spawn("obsrv-scrub", Self::scrub_loop)?,
            ],
            engine: Arc::clone(self),
        })
    }

    /// One witness per pause: once it is tried, only work wakes the thread again.
    fn commit_loop(&self) {
        let mut patience = Some(WITNESS_AFTER);
        loop {
            if self.is_held() {
                let is_closed = self.queue.pause(self.read_again_after());
                self.commit_step();
                if is_closed && self.is_held() {
                    return self.give_up();
                }
                continue;
            }
            match self.queue.wait(patience) {
                Wake::Work => {
                    self.commit_step();
                    patience = Some(WITNESS_AFTER);
                }
                Wake::Idle => {
                    self.witness_step();
                    patience = None;
                }
                Wake::Closed => return,
            }
        }
    }

    fn read_again_after(&self) -> Duration {
        if self.is_unreadable() {
            READ_AGAIN_AFTER_LONG
        } else {
            READ_AGAIN_AFTER
        }
    }

    fn flush_loop(&self) {
        while self.keep_going() {
            match self.flush_step() {
                Ok(true) => {}
                Ok(false) => {
                    self.witness_catalog_step();
                    self.wait_for_work();
                }
                Err(error) => {
                    tracing::warn!(%error, "flush put off");
                    self.wait_for_work();
                }
            }
        }
    }

    fn maintenance_loop(&self) {
        while self.keep_going() {
            self.space_step();
            match self.merge_behind_others() {
                Ok(true) => {}
                Ok(false) => {
                    self.witness_catalog_step();
                    self.wait_for_work();
                }
                Err(error) => {
                    tracing::warn!(%error, "compaction put off");
                    self.wait_for_work();
                }
            }
        }
    }

    /// The next merge, on a thread of its own that has given up priority: commits, flushes and questions go before it.
    /// Once many segments wait it has the same as they, since ingest will wait for it next. No thread may take
    /// back a priority, so that is decided for each merge.
    fn merge_behind_others(&self) -> Result<bool, CompactError> {
        let pace = Background {
            engine: self,
            clock: SystemClock::new(),
        };
        if self.gates.fresh.load(Ordering::Relaxed) >= urgent_from(self.options.fresh_max) {
            self.gates.merge_is_low.store(false, Ordering::Relaxed);
            return self.compact_in_steps(&pace);
        }
        std::thread::scope(|scope| {
            let behind = || {
                let is_low = obsrv_wal::io::lower_priority(MERGE_NICE);
                self.gates.merge_is_low.store(is_low, Ordering::Relaxed);
                self.compact_in_steps(&pace)
            };
            let thread = Builder::new().name("obsrv-merge".to_owned());
            if let Ok(thread) = thread.spawn_scoped(scope, behind) {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            } else {
                self.gates.merge_is_low.store(false, Ordering::Relaxed);
                self.compact_in_steps(&pace)
            }
        })
    }

    /// Begins somewhere else in each life, so that restarts do not keep the last segments from their turn.
    fn scrub_loop(&self) {
        let visible = self.version.read().visible();
        let mut after = visible % self.next_number.load(Ordering::Acquire).max(1);
        while self.keep_going() {
            // Under the lock that `stop` takes, so that its word is not missed.
            let mut stopping = self.background.0.lock();
            let is_over = *stopping
                || !self
                    .scrub_end
                    .wait_for(&mut stopping, self.scrub_pause())
                    .timed_out();
            drop(stopping);
            if is_over {
                continue;
            }
            after = self.scrub_step(after).map_or(0, |done| done.segment);
        }
    }

    fn index_loop(&self) {
        while self.keep_going() {
            if !self.index_step() {
                let mut idle = self.index_due.0.lock();
                self.index_due.1.wait_for(&mut idle, IDLE);
            }
        }
    }

    fn spare_loop(&self) {
        while self.keep_going() {
            match self.spare_step() {
                Ahead::Made => {}
                Ahead::NotDue => {
                    let mut idle = self.spare_due.0.lock();
                    self.spare_due.1.wait_for(&mut idle, IDLE);
                }
                // Each group asks again. Without space or descriptors that would be a try, and a line in
                // the process's own log, for each of them.
                Ahead::Wanting => self.wait_for_work(),
            }
        }
    }

    fn keep_going(&self) -> bool {
        !*self.background.0.lock() && self.state() != State::Failed
    }

    fn wait_for_work(&self) {
        let mut stopping = self.background.0.lock();
        if !*stopping {
            self.background.1.wait_for(&mut stopping, IDLE);
        }
    }
}

/// A merge behind everything else: a stop ends it after a step.
struct Background<'a> {
    engine: &'a Engine,
    clock: SystemClock,
}

impl Pace for Background<'_> {
    fn mono_ns(&self) -> u64 {
        self.clock.mono_ns()
    }

    fn is_over(&self) -> bool {
        !self.engine.keep_going()
    }

    /// Ends early where a stop, or anything else, wakes the background threads.
    fn pause(&self, time: Duration) {
        let (stopping, woken) = &self.engine.background;
        let mut stopping = stopping.lock();
        if !*stopping {
            woken.wait_for(&mut stopping, time);
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a thread panicked")]
struct ThreadPanicked;

impl Threads {
    /// Clean stop: what is queued is committed and answered, then flushed, so that the next open
    /// has nothing to replay.
    pub fn stop(mut self) {
        self.engine.queue.close();
        let commit = self.commit.take();
        self.join(commit);
        *self.engine.background.0.lock() = true;
        self.engine.background.1.notify_all();
        self.engine.scrub_end.notify_all();
        self.engine.index_due.1.notify_all();
        self.engine.spare_due.1.notify_all();
        for thread in std::mem::take(&mut self.background) {
            self.join(Some(thread));
        }
        if self.engine.state() == State::Failed {
            return;
        }
        self.engine.freeze();
        loop {
            match self.engine.flush_step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "stopped with a log to replay");
                    return;
                }
            }
        }
    }

    fn join(&self, thread: Option<JoinHandle<()>>) {
        if thread.is_some_and(|t| t.join().is_err()) {
            tracing::error!("a thread of the engine panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use obsrv_wal::sim::{SimDisk, SimRng};

    use super::*;
    use crate::engine::{Envelope, InterpretError, Interpreter, Options};
    use crate::row::Event;

    struct Nothing;

    impl Interpreter for Nothing {
        fn interpret(&self, _: &Envelope, _: &[u8]) -> Result<Vec<Event>, InterpretError> {
            Ok(Vec::new())
        }
    }

    /// It would wait for an hour.
    #[test]
    fn a_stop_ends_a_merge_and_its_pause() {
        let options = Options::for_memory(8 << 20);
        let disk = SimDisk::new(1).handle();
        let engine = Engine::open(disk, &SimRng::new(1), options, &Nothing).unwrap();
        let pace = Background {
            engine: &engine,
            clock: SystemClock::new(),
        };
        assert!(!pace.is_over());
        *engine.background.0.lock() = true;
        assert!(pace.is_over());
        pace.pause(Duration::from_hours(1));
        *engine.background.0.lock() = false;
        engine.fail("test", &ThreadPanicked);
        assert!(pace.is_over());
    }
}
