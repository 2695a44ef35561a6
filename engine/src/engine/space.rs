//! Room on the disk: ingest ends while there is still room for what must go on.
//!
//! A full disk refuses everything, also the deletes that would make room and the revoking of a key. So
//! below a reserve only those are taken, with flushes and merges that make room; the state is read-only,
//! and ends by itself once there is a quarter more than the reserve.

use std::sync::atomic::Ordering;

use super::{Engine, Work};
use crate::manifest::State as Listed;
use crate::mutant::Bug;

/// Room that ingest leaves for deletes, control events, flushes and merges: four files of the log.
pub const RESERVE_BYTES: u64 = 256 << 20;

impl Engine {
    /// Bytes that can still be written; `None` if nobody asks for a reserve, or the disk does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        let wanted = self.options.reserve_bytes > 0;
        wanted.then(|| self.disk.free_bytes().ok()).flatten()
    }

    /// Looks how much room there is, so that the state is right although nothing is written. False if
    /// writes are refused.
    pub fn space_step(&self) -> bool {
        let Some(free) = self.free_bytes() else {
            return true;
        };
        let reserve = self.options.reserve_bytes;
        if free < reserve {
            if !self.low.swap(true, Ordering::AcqRel) {
                tracing::warn!(free, reserve, "disk nearly full, read-only");
            }
        } else if free >= reserve.saturating_add(reserve / 4) {
            let was_low = self.low.swap(false, Ordering::AcqRel);
            // A log that was refused finds out with the next group.
            let was_full = self.full.swap(false, Ordering::AcqRel);
            if was_low || was_full {
                tracing::info!(free, reserve, "room on the disk again");
            }
        }
        !self.low.load(Ordering::Acquire)
    }

    /// Whether the reserve is not for this.
    pub(super) fn must_wait(&self, work: &Work) -> bool {
        let can_wait = matches!(
            work,
            Work::Ingest { .. } | Work::Price { .. } | Work::Map { .. }
        );
        can_wait && !self.planted.has(Bug::ReserveForIngest)
    }

    /// Whether a merge of these segments can be written: beside the half of the reserve that the log and
    /// the manifest keep. Its output is as large as the share of its inputs that is alive, about.
    pub(super) fn has_room_for(&self, listed: &Listed, inputs: &[u64]) -> bool {
        let Some(free) = self.free_bytes() else {
            return true;
        };
        let output = inputs.iter().filter_map(|number| {
            let meta = listed.segments.get(number)?;
            let rows: u64 = meta.sections.iter().map(|s| u64::from(s.rows)).sum();
            let of_this = listed.dead.iter().filter(|((of, ..), _)| of == number);
            let dead: u64 = of_this.map(|(_, rows)| rows.len()).sum();
            let live = u128::from(rows.saturating_sub(dead));
            let bytes = u128::from(meta.bytes) * live / u128::from(rows.max(1));
            u64::try_from(bytes).ok()
        });
        let output = output.fold(0u64, u64::saturating_add);
        output <= free.saturating_sub(self.options.reserve_bytes / 2)
    }
}
