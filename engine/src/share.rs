//! Which share of the memory budget each cache has.
//!
//! Every cache has a size that goes with a budget of [`USUAL`]. With more it grows as the budget does. With less it
//! keeps that size for as long as it is no more than an eighth, since what is read again and again stays as large.

/// The budget that the sizes below go with.
const USUAL: u64 = 1 << 30;
/// A cache has no more than one part in so many of a smaller budget.
const PART_MAX: u64 = 8;

/// Decoded column blocks.
pub(crate) const COLUMNS: usize = 64 << 20;
/// Decoded payload blocks.
pub(crate) const PAYLOAD: usize = 32 << 20;
/// Decoded section directories and compact sections.
pub(crate) const SECTIONS: usize = 56 << 20;
/// Ids of long traces in the order of their hashes: a million rows.
pub(crate) const TRACES: usize = 8 << 20;
/// Shares of aggregates over sealed sources.
pub(crate) const PARTIALS: usize = 32 << 20;

/// Bytes of a cache of this usual size under a budget.
pub(crate) fn of(usual: usize, budget: u64) -> usize {
    let wide = u64::try_from(usual).unwrap_or(u64::MAX);
    let grown = u128::from(wide) * u128::from(budget) / u128::from(USUAL);
    let grown = u64::try_from(grown).unwrap_or(u64::MAX);
    usize::try_from(grown.max(wide.min(budget / PART_MAX))).unwrap_or(usize::MAX)
}

/// Gives every cache of the process its share of a memory budget.
pub fn share_caches(budget: u64) {
    crate::segment::share_out(budget);
    crate::engine::share_out(budget);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [usize; 5] = [COLUMNS, PAYLOAD, SECTIONS, TRACES, PARTIALS];

    fn mib(budget: u64) -> [usize; 5] {
        ALL.map(|usual| of(usual, budget) >> 20)
    }

    #[test]
    fn caches_are_shares_of_the_budget() {
        assert_eq!(mib(128 << 20), [16, 16, 16, 8, 16]);
        assert_eq!(mib(410 << 20), [51, 32, 51, 8, 32]);
        assert_eq!(mib(1 << 30), [64, 32, 56, 8, 32]);
        assert_eq!(mib(6 << 30), [384, 192, 336, 48, 192]);
        // Never more than five eighths, with the smallest budget of a server as with any.
        for budget in [64u64 << 20, 128 << 20, 1 << 30, 1 << 40] {
            let sum: usize = ALL.iter().map(|usual| of(*usual, budget)).sum();
            assert!(u64::try_from(sum).unwrap() <= budget / 8 * 5, "{budget}");
        }
    }
}
