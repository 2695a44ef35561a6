//! Days and months, UTC.

const DAY_NS: i64 = 86_400_000_000_000;

/// A day, and the month that it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    /// Months since the year 0.
    pub(super) month: i64,
    /// Days since 1970-01-01.
    pub(super) number: i64,
}

impl Day {
    /// The day of a time in nanoseconds since the epoch.
    pub(super) fn of(ns: i64) -> Self {
        let number = ns.div_euclid(DAY_NS);
        Self {
            month: month_of(number),
            number,
        }
    }

    /// When the next day begins.
    pub(super) const fn end_ns(self) -> i64 {
        (self.number + 1).saturating_mul(DAY_NS)
    }

    /// When the next month begins.
    pub(super) fn month_end_ns(self) -> i64 {
        let mut next = self.number + 1;
        while month_of(next) == self.month {
            next += 1;
        }
        next.saturating_mul(DAY_NS)
    }

    /// `2026-11`
    pub(super) fn month_text(self) -> String {
        format!(
            "{:04}-{:02}",
            self.month.div_euclid(12),
            self.month.rem_euclid(12) + 1
        )
    }
}

/// Months since the year 0 of a day since 1970-01-01, in the proleptic Gregorian calendar. Years
/// begin in March here, so that the leap day is the last day of one.
const fn month_of(day: i64) -> i64 {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    (era * 400 + year) * 12 + month + 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{format_micros, parse_time};

    /// Against the clock of the dialects, day by day over 60 years.
    #[test]
    fn months_are_those_of_the_calendar() {
        for number in -3_650..18_250 {
            let day = Day::of(number * DAY_NS);
            assert_eq!(day.number, number);
            assert_eq!(day.month_text(), format_micros(number * DAY_NS)[..7]);
        }
        let at = |text: &str| parse_time(text).unwrap();
        let day = Day::of(at("2028-02-28T23:59:59.999Z"));
        assert_eq!(day.end_ns(), at("2028-02-29T00:00:00Z"));
        assert_eq!(day.month_end_ns(), at("2028-03-01T00:00:00Z"));
        assert_eq!(
            Day::of(at("2026-12-31T00:00:00Z")).month_end_ns(),
            at("2027-01-01T00:00:00Z")
        );
    }
}
