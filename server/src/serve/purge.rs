//! Once a day what was deleted leaves the disk. When it last did is kept with the uses of keys, so that restarts do
//! not put it off.

use std::sync::Arc;

use obsrv_engine::engine::Engine;

use crate::limits::DISK_PURGE_TIME;
use crate::uses::Uses;

/// A purge of the disk under way.
#[derive(Debug, Default)]
pub(super) struct DiskPurge {
    /// When it began, nanoseconds since the epoch.
    begun: Option<i64>,
}

impl DiskPurge {
    /// Begins one if it is due, or notes the end of the one that was begun. Blocks.
    pub(super) fn step(&mut self, engine: &Arc<Engine>, uses: &Uses, now: i64) {
        if let Some(begun) = self.begun {
            if engine.purge_left() == 0 {
                self.begun = None;
                uses.note_purge(begun);
                tracing::info!("what was deleted is off the disk");
            }
            return;
        }
        match due(uses.purged_ns(), now) {
            // Nothing was deleted before the first start, or nobody knows when.
            None => uses.note_purge(now),
            Some(false) => {}
            Some(true) => match engine.purge() {
                Ok(()) => self.begun = Some(now),
                Err(error) => tracing::warn!(%error, "what was deleted is not off the disk yet"),
            },
        }
    }
}

/// Whether a day is over; `None` if there is no last time. A clock that was set back counts as one.
fn due(last: i64, now: i64) -> Option<bool> {
    let day = i64::try_from(DISK_PURGE_TIME.as_nanos()).unwrap_or(i64::MAX);
    (last != 0).then(|| now < last || now.saturating_sub(last) >= day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_after_a_day_and_not_a_nanosecond_before() {
        let day = 24 * 3_600 * 1_000_000_000;
        assert_eq!(due(0, day), None);
        assert_eq!(due(5, 5), Some(false));
        assert_eq!(due(5, 4 + day), Some(false));
        assert_eq!(due(5, 5 + day), Some(true));
        assert_eq!(due(5, 4), Some(true));
        assert_eq!(due(i64::MIN, i64::MAX), Some(true));
    }
}
