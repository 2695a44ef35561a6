//! A clock that moves only when told to.

use parking_lot::Mutex;

use crate::io::Clock;

/// Simulated time.
#[derive(Debug)]
pub struct SimClock {
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    wall_ns: i64,
    mono_ns: u64,
}

impl SimClock {
    /// A clock that shows `wall_ns`; its monotonic time starts at zero.
    pub const fn new(wall_ns: i64) -> Self {
        Self {
            now: Mutex::new(Now {
                wall_ns,
                mono_ns: 0,
            }),
        }
    }

    /// Another clock that shows the same.
    pub(super) fn copy(&self) -> Self {
        let now = self.now.lock();
        Self {
            now: Mutex::new(Now { ..*now }),
        }
    }

    /// Lets `ns` pass.
    pub fn advance(&self, ns: u64) {
        let mut now = self.now.lock();
        now.mono_ns = now.mono_ns.saturating_add(ns);
        now.wall_ns = now.wall_ns.saturating_add_unsigned(ns);
    }

    /// Sets wall time, as an administrator or NTP may; monotonic time does not move.
    pub fn jump_to(&self, wall_ns: i64) {
        self.now.lock().wall_ns = wall_ns;
    }
}

impl Clock for SimClock {
    fn wall_ns(&self) -> i64 {
        self.now.lock().wall_ns
    }

    fn mono_ns(&self) -> u64 {
        self.now.lock().mono_ns
    }
}
