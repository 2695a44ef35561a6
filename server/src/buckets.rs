//! Token buckets in tables of fixed size. What is counted is mapped to a bucket by a keyed hash, so
//! that nobody can choose who shares theirs, and nothing is ever evicted: a flood of names fills
//! buckets, it does not empty any.

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use parking_lot::Mutex;

/// Too many; try again after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; try again later")]
pub struct TooMany {
    /// After which another one counts.
    pub retry: Duration,
}

/// Buckets that hold `size` tokens and gain one every `every_ns`.
///
/// A bucket is one number: the time at which it will be full again.
#[derive(Debug)]
pub(crate) struct Buckets {
    full_at_ns: Mutex<Vec<u64>>,
    keys: RandomState,
    every_ns: u64,
    size: u64,
}

impl Buckets {
    /// This many buckets, all full.
    pub(crate) fn new(buckets: usize, size: u64, every: Duration) -> Self {
        Self {
            full_at_ns: Mutex::new(vec![0; buckets.max(1)]),
            keys: RandomState::new(),
            every_ns: u64::try_from(every.as_nanos()).unwrap_or(u64::MAX),
            size,
        }
    }

    /// Whose bucket it is.
    pub(crate) fn index(&self, of: &impl Hash) -> usize {
        let buckets = u64::try_from(self.full_at_ns.lock().len()).unwrap_or(1);
        usize::try_from(self.keys.hash_one(of) % buckets).unwrap_or(0)
    }

    /// Takes one token.
    pub(crate) fn take(&self, of: &impl Hash, now_ns: u64) -> Result<(), TooMany> {
        self.take_many(of, 1, now_ns)
    }

    /// Takes `tokens`, or none.
    pub(crate) fn take_many(
        &self,
        of: &impl Hash,
        tokens: u64,
        now_ns: u64,
    ) -> Result<(), TooMany> {
        let index = self.index(of);
        let mut all = self.full_at_ns.lock();
        let cost_ns = self.every_ns.saturating_mul(tokens);
        let full_at = all[index].max(now_ns).saturating_add(cost_ns);
        let holds_ns = self.every_ns.saturating_mul(self.size);
        let over_ns = full_at.saturating_sub(now_ns).saturating_sub(holds_ns);
        if over_ns > 0 {
            return Err(TooMany {
                retry: Duration::from_nanos(over_ns),
            });
        }
        all[index] = full_at;
        Ok(())
    }

    /// Puts one token back.
    pub(crate) fn give_back(&self, of: &impl Hash) {
        let index = self.index(of);
        let mut all = self.full_at_ns.lock();
        all[index] = all[index].saturating_sub(self.every_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_size_and_refills_by_the_token() {
        let buckets = Buckets::new(1, 10, Duration::from_nanos(5));
        assert_eq!(buckets.take_many(&"a", 10, 100), Ok(()));
        let retry = Duration::from_nanos(15);
        assert_eq!(buckets.take_many(&"a", 3, 100), Err(TooMany { retry }));
        assert_eq!(buckets.take_many(&"a", 3, 115), Ok(()));
        assert!(buckets.take(&"a", 119).is_err());
        buckets.give_back(&"a");
        assert_eq!(buckets.take(&"a", 119), Ok(()));
    }
}
