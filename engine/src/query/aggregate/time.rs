//! Starts to time buckets.

use hashbrown::HashMap;

use super::request::TimeBuckets;
use super::slots::{Assigned, NONE};
use crate::columns::value::from_i64;

/// Buckets of one row group up to which their numbers stand in an array.
const LOCAL_MAX: u64 = 1 << 16;

/// The grid of buckets over all of time. Bucket 0 is cut short by the first nanosecond there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    width: u64,
    /// Where bucket 1 starts, counted from the first nanosecond; less than the width.
    offset: u64,
    /// 2^64 / width, rounded down: division by multiplication.
    inverse: u64,
}

impl Grid {
    pub(super) fn new(time: &TimeBuckets) -> Self {
        let width = time.width_ns.unsigned_abs().max(1);
        Self {
            width,
            offset: from_i64(time.origin_ns) % width,
            inverse: u64::MAX / width,
        }
    }

    /// The bucket of a start as columns number it.
    #[inline]
    pub(super) fn bucket(&self, start: u64) -> u64 {
        let Some(past) = start.checked_sub(self.offset) else {
            return 0;
        };
        let product = u128::from(past) * u128::from(self.inverse);
        let quotient = u64::try_from(product >> 64).unwrap_or(u64::MAX);
        // Rounding down made the quotient at most one too small.
        let rest = past.wrapping_sub(quotient.wrapping_mul(self.width));
        quotient + 1 + u64::from(rest >= self.width)
    }

    /// The bucket of a start.
    pub(super) fn bucket_of(&self, start_ns: i64) -> u64 {
        self.bucket(from_i64(start_ns))
    }

    /// The first start of a bucket, and the first after it, within an i64.
    pub(super) fn bounds(&self, bucket: u64) -> (i64, i64) {
        let edge = |n: u64| {
            let Some(before) = n.checked_sub(1) else {
                return i64::MIN;
            };
            let at = i128::from(self.offset) + i128::from(before) * i128::from(self.width);
            i64::try_from(at + i128::from(i64::MIN)).unwrap_or(i64::MAX)
        };
        (edge(bucket), edge(bucket.saturating_add(1)))
    }
}

/// Numbers the buckets that rows are in, over one source.
#[derive(Debug)]
pub(super) struct Buckets {
    grid: Grid,
    pub(super) list: Vec<u64>,
    known: HashMap<u64, u32>,
}

impl Buckets {
    pub(super) fn new(grid: Grid) -> Self {
        Self {
            grid,
            list: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// All rows start between these two.
    pub(super) fn one(&mut self, (first, last): (i64, i64)) -> Option<Assigned> {
        let bucket = self.grid.bucket_of(first);
        (bucket == self.grid.bucket_of(last)).then(|| Assigned::One(self.id(bucket)))
    }

    /// By the start of each place.
    pub(super) fn each(&mut self, starts: &[u64]) -> Assigned {
        let (Some(first), Some(last)) = (starts.iter().min(), starts.iter().max()) else {
            return Assigned::Each(Vec::new());
        };
        let (first, last) = (self.grid.bucket(*first), self.grid.bucket(*last));
        if first == last {
            return Assigned::One(self.id(first));
        }
        let grid = self.grid;
        if last - first >= LOCAL_MAX {
            let ids = starts.iter().map(|start| self.id(grid.bucket(*start)));
            return Assigned::Each(ids.collect());
        }
        let len = usize::try_from(last - first + 1).unwrap_or(0);
        let mut local = vec![NONE; len];
        let ids = starts.iter().map(|start| {
            let bucket = grid.bucket(*start);
            let at = usize::try_from(bucket - first).unwrap_or(usize::MAX);
            match local.get_mut(at) {
                Some(slot @ &mut NONE) => {
                    *slot = self.id(bucket);
                    *slot
                }
                Some(id) => *id,
                None => NONE,
            }
        });
        Assigned::Each(ids.collect())
    }

    fn id(&mut self, bucket: u64) -> u32 {
        let next = u32::try_from(self.list.len()).expect("BUG: over 4 G buckets");
        let id = *self.known.entry(bucket).or_insert(next);
        if id == next {
            self.list.push(bucket);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_start_is_within_its_bucket(
            start in any::<i64>(), width in 1i64..=i64::MAX, origin in any::<i64>(),
            small in 1i64..1_000_000_000_000, pick in any::<bool>(),
        ) {
            let width = if pick { small } else { width };
            prop_assume!(width >= 1_000);
            let time = TimeBuckets { width_ns: width, origin_ns: origin, range: None, fill: false };
            let grid = Grid::new(&time);
            let (from, to) = grid.bounds(grid.bucket_of(start));
            prop_assert!(from <= start && (start < to || to == i64::MAX));
            let whole = from != i64::MIN && to != i64::MAX;
            prop_assert!(!whole || i128::from(to) - i128::from(from) == i128::from(width));
            if from != i64::MIN {
                prop_assert_eq!((i128::from(from) - i128::from(origin)).rem_euclid(width.into()), 0);
            }
        }
    }
}
