//! Calls that take long: time goes on, and so does everybody who does not wait for them.
//!
//! The disk's clock is moved by as much as the plan says; nothing sleeps. While a call waits no lock of the disk is
//! held, so other threads, or the one that waits, may call the disk, end the machine, and start it again: the call
//! then finds that its process is gone. What is called meanwhile takes no time: one call waits at a time.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::fault::{Event, Point, Stuck};
use super::state::{How, State, powered_off};
use super::{SimClock, SimDisk};

/// A call that takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Which.
    pub point: Point,
    /// Whether it is stuck, or just slow.
    pub is_stuck: bool,
    /// Whether its work is done already.
    pub is_done: bool,
}

/// What is done while a call takes long; the call returns when this does. No lock of the disk is held.
pub type Meanwhile = Arc<dyn Fn(Wait) + Send + Sync>;

/// Who waits, and by which clock.
pub(super) struct Waiting {
    pub(super) clock: Arc<SimClock>,
    meanwhile: Mutex<Option<Meanwhile>>,
    /// A call waits now.
    is_on: AtomicBool,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl Waiting {
    pub(super) fn new(clock: SimClock) -> Self {
        Self {
            clock: Arc::new(clock),
            meanwhile: Mutex::default(),
            is_on: AtomicBool::new(false),
        }
    }
}

/// How long a call takes.
#[derive(Clone, Copy)]
struct Delay {
    ns: u64,
    is_stuck: bool,
    is_done: bool,
}

impl State {
    /// How long the next call takes, if that is long.
    fn delay(&mut self) -> Option<Delay> {
        if self.down {
            return None;
        }
        if let Some(Stuck { call, ns, is_done }) = self.plan.stuck
            && call == self.ops + 1
        {
            self.plan.stuck = None;
            return Some(Delay {
                ns,
                is_stuck: true,
                is_done,
            });
        }
        let (one_in, ns_max) = self.plan.slow.filter(|(one_in, _)| *one_in > 0)?;
        (self.rng.below(one_in) == 0).then(|| Delay {
            ns: 1 + self.rng.below(ns_max),
            is_stuck: false,
            is_done: self.rng.coin(),
        })
    }
}

impl SimDisk {
    /// The clock that moves while calls take long.
    pub fn clock(&self) -> Arc<SimClock> {
        Arc::clone(&self.waiting.clock)
    }

    /// What is done from now on while calls take long.
    pub fn meanwhile(&self, work: Option<Meanwhile>) {
        *self.waiting.meanwhile.lock() = work;
    }

    /// One call of the process of an epoch, at once or in its time.
    pub(super) fn waited<T>(
        &self,
        epoch: u64,
        point: impl FnOnce(&State) -> Point,
        arguments: &[u64],
        act: impl FnOnce(&mut State, How) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state.lock();
        is_there(&state, epoch)?;
        let point = point(&state);
        let is_alone = !self.waiting.is_on.load(Ordering::Acquire);
        let Some(delay) = is_alone.then(|| state.delay()).flatten() else {
            return state.call(point, arguments, act);
        };
        if delay.is_done {
            let result = state.call(point, arguments, act);
            drop(state);
            self.wait(point, delay, epoch)?;
            return result;
        }
        drop(state);
        self.wait(point, delay, epoch)?;
        let mut state = self.state.lock();
        is_there(&state, epoch)?;
        state.call(point, arguments, act)
    }

    fn wait(&self, point: Point, delay: Delay, epoch: u64) -> io::Result<()> {
        let Delay {
            ns,
            is_stuck,
            is_done,
        } = delay;
        let event = [Event::Slow(point), Event::Stuck(point)][usize::from(is_stuck)];
        self.state.lock().hit(event);
        self.waiting.clock.advance(ns);
        let work = self.waiting.meanwhile.lock().clone();
        if let Some(work) = work {
            self.waiting.is_on.store(true, Ordering::Release);
            work(Wait {
                point,
                is_stuck,
                is_done,
            });
            self.waiting.is_on.store(false, Ordering::Release);
        }
        let mut state = self.state.lock();
        if state.down || state.epoch != epoch {
            if is_stuck {
                state.hit(Event::EndedStuck(point));
            }
            return Err(powered_off());
        }
        Ok(())
    }
}

fn is_there(state: &State, epoch: u64) -> io::Result<()> {
    if state.epoch == epoch {
        Ok(())
    } else {
        Err(io::Error::other("call of a process that is gone"))
    }
}
