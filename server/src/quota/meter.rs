//! What one project or organization has used in its day and month.

use serde::Serialize;

use super::amounts::{Amounts, Plan};
use super::calendar::Day;

/// Counts. Each begins again when its time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Used {
    /// This day.
    pub day: Amounts,
    /// This month.
    pub month: Amounts,
    /// What clients reported of themselves this month.
    pub reported: u64,
}

/// Counts and the day that they are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meter {
    pub(super) at: Day,
    pub(super) used: Used,
    /// One more with each time that it was written to the log.
    pub(super) step: u64,
    /// Counted something since then.
    pub(super) dirty: bool,
}

/// A plan's limit that something would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) name: &'static str,
    pub(super) is_month: bool,
    pub(super) limit: u64,
    pub(super) resets_ns: i64,
}

impl Meter {
    /// Begins a new day or month if it is one. A clock that goes back begins nothing.
    pub(super) fn turn(&mut self, today: Day) {
        if today.month > self.at.month {
            self.used = Used::default();
        } else if today > self.at {
            self.used.day = Amounts::default();
        }
        self.at = self.at.max(today);
    }

    pub(super) fn broken(&self, plan: &Plan, more: Amounts) -> Option<Broken> {
        let month = plan
            .month
            .broken(self.used.month, more)
            .map(|found| (found, true));
        let day = || {
            plan.day
                .broken(self.used.day, more)
                .map(|found| (found, false))
        };
        let ((name, limit), is_month) = month.or_else(day)?;
        let resets_ns = if is_month {
            self.at.month_end_ns()
        } else {
            self.at.end_ns()
        };
        Some(Broken {
            name,
            is_month,
            limit,
            resets_ns,
        })
    }

    pub(super) fn add(&mut self, more: Amounts) {
        self.used.day = self.used.day.plus(more);
        self.used.month = self.used.month.plus(more);
        self.dirty = true;
    }

    /// Takes off what was added on a day. What has begun anew since then counts none of it.
    pub(super) fn take_back(&mut self, amounts: Amounts, day: Day) {
        if self.at.month != day.month {
            return;
        }
        if self.at == day {
            self.used.day = self.used.day.minus(amounts);
        }
        self.used.month = self.used.month.minus(amounts);
        self.dirty = true;
    }
}
