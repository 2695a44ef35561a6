//! Sum, count, smallest and largest of the numbers of a group.

use super::answer::Number;
use super::sum::FloatSum;
use crate::columns::value::{from_f64, to_f64, to_i64};
use crate::query::value::cmp_i64_f64;

/// What is known of numbers, whole ones and floats apart.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    whole: i128,
    wholes: u64,
    /// As columns number them.
    whole_range: (u64, u64),
    floats: Option<Box<Floats>>,
    others: u64,
}

#[derive(Clone, Debug)]
struct Floats {
    sum: FloatSum,
    count: u64,
    range: (u64, u64),
    /// Negative and positive.
    infinities: [u64; 2],
}

/// A range of nothing.
const EMPTY: (u64, u64) = (u64::MAX, 0);

impl Default for Numbers {
    fn default() -> Self {
        Self {
            whole: 0,
            wholes: 0,
            whole_range: EMPTY,
            floats: None,
            others: 0,
        }
    }
}

impl Default for Floats {
    fn default() -> Self {
        Self {
            sum: FloatSum::default(),
            count: 0,
            range: EMPTY,
            infinities: [0; 2],
        }
    }
}

fn join(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    (a.0.min(b.0), a.1.max(b.1))
}

impl Numbers {
    /// Adds a whole number as columns number it.
    #[inline]
    pub(super) fn add_whole(&mut self, number: u64) {
        self.whole += i128::from(to_i64(number));
        self.wholes += 1;
        self.whole_range = join(self.whole_range, (number, number));
    }

    /// Adds a float.
    #[inline]
    pub(super) fn add_float(&mut self, x: f64) {
        if x.is_nan() {
            self.others += 1;
            return;
        }
        let floats = self.floats.get_or_insert_default();
        // Adding 0 turns -0 into 0.
        let number = from_f64(x + 0.0);
        floats.count += 1;
        floats.range = join(floats.range, (number, number));
        if x.is_finite() {
            floats.sum.add(x);
        } else {
            floats.infinities[usize::from(x > 0.0)] += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.whole += other.whole;
        self.wholes += other.wholes;
        self.whole_range = join(self.whole_range, other.whole_range);
        self.others += other.others;
        if let Some(theirs) = &other.floats {
            let floats = self.floats.get_or_insert_default();
            floats.sum.merge(&theirs.sum);
            floats.count += theirs.count;
            floats.range = join(floats.range, theirs.range);
            for (mine, theirs) in floats.infinities.iter_mut().zip(theirs.infinities) {
                *mine += theirs;
            }
        }
    }

    /// Bytes held beside itself.
    pub(super) fn heap_bytes(&self) -> usize {
        let floats = self.floats.as_ref();
        floats.map_or(0, |floats| size_of::<Floats>() + floats.sum.heap_bytes())
    }

    /// A value that is no number.
    pub(super) fn no_number(&mut self) {
        self.others += 1;
    }

    /// Values that are no numbers.
    pub(super) const fn others(&self) -> u64 {
        self.others
    }

    pub(super) fn count(&self) -> u64 {
        self.wholes + self.floats.as_ref().map_or(0, |floats| floats.count)
    }

    pub(super) fn sum(&self) -> Option<Number> {
        if self.count() == 0 {
            return None;
        }
        let Some(floats) = &self.floats else {
            return Some(Number::Whole(self.whole));
        };
        Some(Number::Float(match floats.infinities {
            [0, 0] => floats.sum.plus(self.whole),
            [_, 0] => f64::NEG_INFINITY,
            [0, _] => f64::INFINITY,
            _ => f64::NAN,
        }))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a mean is as precise as a float"
    )]
    pub(super) fn mean(&self) -> Option<f64> {
        let sum = match self.sum()? {
            Number::Whole(sum) => sum as f64,
            Number::Float(sum) => sum,
        };
        Some(sum / self.count() as f64)
    }

    pub(super) fn min(&self) -> Option<Number> {
        let pick = |range: (u64, u64)| range.0;
        self.extreme(pick, std::cmp::Ordering::is_le)
    }

    pub(super) fn max(&self) -> Option<Number> {
        let pick = |range: (u64, u64)| range.1;
        self.extreme(pick, std::cmp::Ordering::is_ge)
    }

    /// Of a whole number and a float of one value it is the whole number.
    fn extreme(
        &self,
        pick: impl Fn((u64, u64)) -> u64,
        first: impl Fn(std::cmp::Ordering) -> bool,
    ) -> Option<Number> {
        let whole = (self.wholes > 0).then(|| to_i64(pick(self.whole_range)));
        let float = self.floats.as_ref().filter(|floats| floats.count > 0);
        let float = float.map(|floats| to_f64(pick(floats.range)));
        match (whole, float) {
            (None, None) => None,
            (Some(whole), None) => Some(Number::Whole(whole.into())),
            (None, Some(float)) => Some(Number::Float(float)),
            (Some(whole), Some(float)) => {
                let order = cmp_i64_f64(whole, float).unwrap_or(std::cmp::Ordering::Equal);
                Some(if first(order) {
                    Number::Whole(whole.into())
                } else {
                    Number::Float(float)
                })
            }
        }
    }
}
