//! Token buckets, as the time at which each would be full again.
//!
//! A request is let in when less is owed than the bucket holds, and pays afterwards for what it
//! turned out to be: how many rows a body has is known only once it is read. So a bucket may owe
//! more than it holds, once; then it lets nothing in until that is paid off.

use crate::limits::RATE_BURST_TIME;

const SECOND_NS: u128 = 1_000_000_000;

/// One bucket. 8 bytes; empty of debt it is the same as a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// When all is paid off, on the monotonic clock.
    paid_ns: u64,
}

fn burst_ns() -> u64 {
    u64::try_from(RATE_BURST_TIME.as_nanos()).unwrap_or(u64::MAX)
}

impl Bucket {
    /// Whether it lets something in now; if not, how long until it does.
    pub(super) fn wait_ns(self, now_ns: u64) -> Option<u64> {
        let owed = self.paid_ns.saturating_sub(now_ns);
        (owed >= burst_ns()).then(|| owed - burst_ns() + 1)
    }

    /// Takes `n` at this rate per second.
    pub(super) fn pay(&mut self, n: u64, rate: u64, now_ns: u64) {
        let cost = u128::from(n) * SECOND_NS / u128::from(rate.max(1));
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        self.paid_ns = self.paid_ns.max(now_ns).saturating_add(cost);
    }

    /// Gives back what was taken of something that did not happen.
    pub(super) fn refund(&mut self, n: u64, rate: u64) {
        let cost = u128::from(n) * SECOND_NS / u128::from(rate.max(1));
        self.paid_ns = self
            .paid_ns
            .saturating_sub(u64::try_from(cost).unwrap_or(u64::MAX));
    }

    /// Whether nothing is owed.
    pub(super) const fn is_idle(self, now_ns: u64) -> bool {
        self.paid_ns <= now_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn lets_in_a_burst_and_then_the_rate() {
        let mut bucket = Bucket::default();
        let burst = RATE_BURST_TIME.as_secs();
        for n in 0..burst * 5 {
            assert_eq!(bucket.wait_ns(0), None, "{n}");
            bucket.pay(1, 5, 0);
        }
        let wait = bucket.wait_ns(0).unwrap();
        assert!(bucket.wait_ns(wait - 1).is_some());
        assert_eq!(bucket.wait_ns(wait), None);
        // From there on one every fifth of a second.
        let mut let_in = 0;
        for tick in 0..100 {
            let now = SECOND + tick * SECOND / 10;
            if bucket.wait_ns(now).is_none() {
                bucket.pay(1, 5, now);
                let_in += 1;
            }
        }
        assert!((50..=55).contains(&let_in), "{let_in} in ten seconds");
    }

    #[test]
    fn what_is_too_much_at_once_is_let_in_once_and_paid_off() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.wait_ns(7), None);
        bucket.pay(1_000_000, 1_000, 7);
        assert_eq!(bucket.wait_ns(7), Some(990 * SECOND + 1));
        bucket.refund(1_000_000, 1_000);
        assert!(bucket.is_idle(7) && bucket.wait_ns(7).is_none());
        bucket.pay(u64::MAX, 1, 7);
        bucket.pay(u64::MAX, 0, 7);
        assert!(bucket.wait_ns(u64::MAX - 1).is_none(), "no overflow");
    }
}
