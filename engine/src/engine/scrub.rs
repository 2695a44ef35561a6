//! Scrub: live segments are read whole, one after the other, so that damage is found before somebody asks
//! for what is damaged. The threads go through all of them in [`SCRUB_PERIOD`].

use std::time::Duration;

use super::{Engine, chain};
use crate::segment::VerifyReport;

/// In this time every segment is read once.
pub const SCRUB_PERIOD: Duration = Duration::from_hours(14 * 24);

/// The longest pause between two segments, so that few segments are read more often.
const PAUSE_MAX: Duration = Duration::from_hours(1);

/// The shortest, so that many segments do not take the disk for themselves.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// What became of a segment that was read.
#[derive(Debug)]
pub struct Scrubbed {
    /// Its number.
    pub segment: u64,
    /// What was read, or what is wrong.
    pub found: Result<VerifyReport, String>,
}

impl Engine {
    /// Reads the first live segment with a number above `after`; none when there is none.
    pub fn scrub_step(&self, after: u64) -> Option<Scrubbed> {
        let version = std::sync::Arc::clone(&self.version.read());
        let (&number, segment) = version.segments().range(after.checked_add(1)?..).next()?;
        let found = segment.verify().map_err(|error| chain(&error));
        let mut damaged = self.damaged.lock();
        match &found {
            Ok(_) => damaged.remove(&number),
            Err(what) => {
                tracing::error!(segment = number, what, "segment is damaged");
                damaged.insert(number, what.clone())
            }
        };
        Some(Scrubbed {
            segment: number,
            found,
        })
    }

    /// How long to wait before the next segment.
    pub(super) fn scrub_pause(&self) -> Duration {
        let segments = self.version.read().segments().len();
        let share = SCRUB_PERIOD / u32::try_from(segments.max(1)).unwrap_or(u32::MAX);
        share.clamp(PAUSE_MIN, PAUSE_MAX)
    }
}
