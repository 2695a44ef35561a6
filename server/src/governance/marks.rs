//! When which part of the log was received. Owns a thinned list of positions and times.
//!
//! Rows carry the position of the record that last changed them and no time. Control events have
//! both, and keys that are used leave one at least every `KEY_USE_TIME`: what stands before such an
//! event was received before its time.

use obsrv_engine::row::Lsn;
use parking_lot::RwLock;

use crate::limits::RETENTION_MARK_TIME;

/// Positions and times, both growing.
#[derive(Debug, Default)]
pub struct Marks {
    all: RwLock<Vec<Mark>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    lsn: Lsn,
    at_ns: i64,
}

impl Marks {
    /// Takes in the next event. Most are left out: they say little more than those before.
    pub(crate) fn note(&self, lsn: Lsn, at_ns: i64) {
        let apart = i64::try_from(RETENTION_MARK_TIME.as_nanos()).unwrap_or(i64::MAX);
        let mut all = self.all.write();
        let last = all.last().map_or(i64::MIN, |mark| mark.at_ns);
        if at_ns >= last.saturating_add(apart) || all.is_empty() {
            all.push(Mark { lsn, at_ns });
        }
    }

    /// The last position of which it is known that everything up to it was received before this
    /// time; 0 if there is none.
    pub(crate) fn received_before(&self, cutoff_ns: i64) -> Lsn {
        let all = self.all.read();
        let n = all.partition_point(|mark| mark.at_ns < cutoff_ns);
        let last = n.checked_sub(1).and_then(|last| all.get(last));
        last.map_or(0, |mark| mark.lsn)
    }

    /// The time of the last one.
    pub(crate) fn last_ns(&self) -> Option<i64> {
        self.all.read().last().map(|mark| mark.at_ns)
    }

    /// Whether so much time has passed since the last one that it is worth another.
    pub(crate) fn are_old(&self, now_ns: i64) -> bool {
        let apart = i64::try_from(RETENTION_MARK_TIME.as_nanos()).unwrap_or(i64::MAX);
        let all = self.all.read();
        all.last()
            .is_none_or(|mark| now_ns.saturating_sub(mark.at_ns) >= apart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_thinned_and_never_say_too_much() {
        let apart = i64::try_from(RETENTION_MARK_TIME.as_nanos()).unwrap();
        let marks = Marks::default();
        assert_eq!(marks.received_before(i64::MAX), 0);
        assert!(marks.are_old(0));
        marks.note(5, 100);
        for (lsn, at_ns) in [(6, 101), (7, 50), (8, 100 + apart - 1)] {
            marks.note(lsn, at_ns);
        }
        assert_eq!(marks.all.read().len(), 1);
        marks.note(9, 100 + apart);
        assert_eq!(marks.received_before(100), 0);
        assert_eq!(marks.received_before(101), 5);
        assert_eq!(marks.received_before(100 + apart), 5);
        assert_eq!(marks.received_before(100 + apart + 1), 9);
        assert!(!marks.are_old(100 + 2 * apart - 1) && marks.are_old(100 + 2 * apart));
    }

    /// A clock that jumps back makes rows look younger than they are, not older.
    #[test]
    fn a_clock_that_jumps_back_expires_nothing_early() {
        let marks = Marks::default();
        marks.note(5, 1_000_000_000_000_000);
        marks.note(9, 3);
        assert_eq!(marks.received_before(1_000), 0);
    }
}
