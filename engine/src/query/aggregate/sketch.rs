//! Quantiles and histograms from buckets on the bits of floats.
//!
//! A number's bucket is its sign, its exponent and the first 7 bits of its mantissa: 128 buckets
//! of equal width between powers of two. The middle of a bucket is within 1/256 (0.391 %) of every
//! number in it. Numbers closer to 0 than 2^-1015 or so share the bucket of 0 or its neighbours,
//! where the error is below 2^-1029. Infinities have buckets of their own. Sketches are added
//! bucket by bucket, in any order, with the same result.

use crate::columns::value::{from_f64, to_f64};

/// Mantissa bits below those that tell buckets apart.
const DROPPED_BITS: u32 = 45;
/// Values that are held as a list before counters are made.
const LIST_MAX: usize = 64;

/// Which bucket a number is in; NaN has none that means anything.
pub(super) fn bucket_of(x: f64) -> u32 {
    // Adding 0 turns -0 into 0.
    bucket_of_number(from_f64(x + 0.0))
}

#[inline]
fn bucket_of_number(number: u64) -> u32 {
    u32::try_from(number >> DROPPED_BITS).unwrap_or(u32::MAX)
}

/// The bucket's ends: every number in it is at least the first and at most the second.
fn ends(bucket: u32) -> (f64, f64) {
    let low = u64::from(bucket) << DROPPED_BITS;
    let high = low | ((1 << DROPPED_BITS) - 1);
    let clean = |x: f64, or: f64| if x.is_nan() { or } else { x + 0.0 };
    let (low, high) = (to_f64(low), to_f64(high));
    (clean(low, f64::NEG_INFINITY), clean(high, f64::INFINITY))
}

/// What stands for the numbers of a bucket.
fn middle(bucket: u32) -> f64 {
    let (low, high) = ends(bucket);
    if low.is_infinite() || high.is_infinite() {
        return if low.is_infinite() { low } else { high };
    }
    if bucket == bucket_of(0.0) {
        return 0.0;
    }
    low.midpoint(high)
}

/// Counts per bucket.
#[derive(Clone, Debug)]
pub(in crate::query) struct Sketch {
    /// The buckets of the first few values.
    list: Vec<u32>,
    /// Counters from bucket `base` on, once there are more.
    counts: Vec<u64>,
    base: u32,
    count: u64,
    /// Smallest and largest value, as [`from_f64`] numbers them; the wrong way round if there are
    /// none.
    range: (u64, u64),
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            counts: Vec::new(),
            base: 0,
            count: 0,
            range: (u64::MAX, 0),
        }
    }
}

impl Sketch {
    /// How many values.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Bytes held beside itself.
    pub(in crate::query) const fn heap_bytes(&self) -> usize {
        self.list.capacity() * size_of::<u32>() + self.counts.capacity() * size_of::<u64>()
    }

    /// Adds a value that is not NaN.
    #[inline]
    pub(in crate::query) fn add(&mut self, x: f64) {
        let number = from_f64(x + 0.0);
        self.note_range((number, number));
        self.count += 1;
        self.add_bucket(bucket_of_number(number), 1);
    }

    #[inline]
    fn note_range(&mut self, (low, high): (u64, u64)) {
        self.range = (self.range.0.min(low), self.range.1.max(high));
    }

    #[inline]
    fn add_bucket(&mut self, bucket: u32, count: u64) {
        let at = usize::try_from(bucket.wrapping_sub(self.base)).unwrap_or(usize::MAX);
        if let Some(counter) = self.counts.get_mut(at) {
            *counter += count;
        } else {
            self.add_outside(bucket, count);
        }
    }

    fn add_outside(&mut self, bucket: u32, count: u64) {
        let few = usize::try_from(count).is_ok_and(|n| self.list.len() + n <= LIST_MAX);
        if self.counts.is_empty() && few {
            let n = usize::try_from(count).unwrap_or(0);
            self.list.extend(std::iter::repeat_n(bucket, n));
            return;
        }
        let list = std::mem::take(&mut self.list);
        let low = list.iter().copied().fold(bucket, u32::min);
        let high = list.iter().copied().fold(bucket, u32::max);
        self.widen(low, high);
        for bucket in list {
            self.add_bucket(bucket, 1);
        }
        self.add_bucket(bucket, count);
    }

    /// Makes counters for the buckets from `low` to `high`.
    fn widen(&mut self, low: u32, high: u32) {
        if self.counts.is_empty() {
            self.base = low;
        }
        if low < self.base {
            let more = usize::try_from(self.base - low).unwrap_or(0);
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.base = low;
        }
        let len = usize::try_from(high - self.base).unwrap_or(0) + 1;
        if len > self.counts.len() {
            self.counts.resize(len, 0);
        }
    }

    /// Adds counts that were gathered apart: `counts` of the buckets from `base` on, of values
    /// between the two numbers.
    pub(super) fn add_counts(&mut self, base: u32, counts: &[u64], range: (u64, u64)) {
        let used = (base..).zip(counts).filter(|(_, count)| **count > 0);
        let (Some((low, _)), Some((high, _))) = (used.clone().next(), used.clone().last()) else {
            return;
        };
        let count: u64 = counts.iter().sum();
        self.note_range(range);
        self.count += count;
        if count > LIST_MAX as u64 || !self.counts.is_empty() {
            let list = std::mem::take(&mut self.list);
            self.widen(
                list.iter().copied().fold(low, u32::min),
                list.iter().copied().fold(high, u32::max),
            );
            list.into_iter().for_each(|b| self.add_bucket(b, 1));
        }
        used.for_each(|(bucket, count)| self.add_bucket(bucket, *count));
    }

    /// Adds another sketch.
    pub(super) fn merge(&mut self, other: &Self) {
        let range = other.range;
        if !other.counts.is_empty() {
            self.add_counts(other.base, &other.counts, range);
            return;
        }
        self.note_range(range);
        self.count += other.count;
        other.list.iter().for_each(|b| self.add_bucket(*b, 1));
    }

    /// Buckets that have values, ascending.
    fn buckets(&self) -> Vec<(u32, u64)> {
        let counted = (self.base..).zip(self.counts.iter().copied());
        let mut all: Vec<_> = counted.filter(|(_, count)| *count > 0).collect();
        if all.is_empty() {
            let mut list = self.list.clone();
            list.sort_unstable();
            let runs = list.chunk_by(|a, b| a == b);
            all.extend(runs.filter_map(|run| Some((*run.first()?, run.len() as u64))));
        }
        all
    }

    /// For each `p` from 0 to 1 the value of rank `ceil(p * count)`, at least 1, within the error.
    pub(in crate::query) fn quantiles(&self, at: &[f64]) -> Vec<Option<f64>> {
        let (low, high) = self.range;
        if self.count == 0 {
            return vec![None; at.len()];
        }
        let buckets = self.buckets();
        let one = |p: &f64| {
            let rank = rank_of(*p, self.count);
            if rank == 1 {
                return Some(to_f64(low));
            }
            if rank == self.count {
                return Some(to_f64(high));
            }
            let mut before = 0;
            let found = buckets.iter().find(|(_, count)| {
                before += count;
                before >= rank
            });
            let (bucket, _) = found?;
            Some(middle(*bucket).clamp(to_f64(low), to_f64(high)))
        };
        at.iter().map(one).collect()
    }

    /// (lower end, upper end, count) of the buckets that have values, ascending.
    pub(super) fn histogram(&self) -> Vec<(f64, f64, u64)> {
        let buckets = self.buckets().into_iter();
        buckets
            .map(|(bucket, count)| {
                let (low, high) = ends(bucket);
                (low, high, count)
            })
            .collect()
    }
}

/// The rank, counted from 1, of a quantile.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a count beyond 2^53 moves the rank by less than one part in 2^53"
)]
fn rank_of(p: f64, count: u64) -> u64 {
    ((p * count as f64).ceil() as u64).clamp(1, count.max(1))
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of few numbers, and extremes to the bit"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>()
                .prop_map(f64::from_bits)
                .prop_filter("number", |x| !x.is_nan()),
            -1e6f64..1e6,
            (-20i32..20).prop_map(f64::from),
            Just(-0.0),
        ]
    }

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|x| sketch.add(*x));
        sketch
    }

    proptest! {
        #[test]
        fn within_the_error_of_the_order_statistic(
            mut values in prop::collection::vec(number(), 1..300),
            p in 0.0f64..=1.0,
        ) {
            let got = sketch(&values).quantiles(&[p])[0].unwrap();
            values.sort_by(f64::total_cmp);
            let rank = ((p * values.len() as f64).ceil() as usize).max(1);
            let right = values[rank - 1];
            let near = (got - right).abs() <= right.abs() * 0.004 + 1e-305;
            prop_assert!(got == right || near, "{} is not {}", got, right);
        }

        #[test]
        fn merged_in_any_order_is_the_same(
            values in prop::collection::vec(number(), 0..300), cut in 0usize..300,
        ) {
            let cut = cut.min(values.len());
            let (a, b) = (sketch(&values[..cut]), sketch(&values[cut..]));
            let (mut ab, mut ba) = (a.clone(), b.clone());
            ab.merge(&b);
            ba.merge(&a);
            let whole = sketch(&values);
            for merged in [ab, ba] {
                prop_assert_eq!(merged.buckets(), whole.buckets());
                prop_assert_eq!(merged.range, whole.range);
                prop_assert_eq!(merged.count(), whole.count());
            }
            let counted: u64 = whole.histogram().iter().map(|b| b.2).sum();
            prop_assert_eq!(counted, values.len() as u64);
        }

        #[test]
        fn a_number_is_within_its_bucket(x in number()) {
            let (low, high) = ends(bucket_of(x));
            prop_assert!(low <= x && x <= high);
        }
    }
}
