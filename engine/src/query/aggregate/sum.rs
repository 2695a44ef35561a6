//! Exact sums: the same whatever the order of the values and however they were split.
//!
//! Whole numbers are added in 128 bits. Floats are added as the whole multiples of 2^-1075 that
//! they are, in digits of 32 bits; the sum of both is rounded once, to the nearest float, when it
//! is asked for. So flush and compaction, which move rows about, never change a sum.

/// Bits of a digit.
const DIGIT: u32 = 32;
/// The digit and the bit in it where the number 1 stands.
const ONE: (usize, u32) = (1075 / 32, 1075 % 32);
/// Values that a digit surely takes before it must hand on what is above its 32 bits.
const ADDS_MAX: u32 = 1 << 10;
const MANTISSA: u64 = (1 << 52) - 1;

/// A sum of finite floats.
#[derive(Clone, Debug, Default)]
pub(super) struct FloatSum {
    /// Digits from `low` on, lowest first, each of either sign.
    digits: Vec<i64>,
    low: usize,
    adds: u32,
}

impl FloatSum {
    /// Bytes held beside itself.
    pub(super) const fn heap_bytes(&self) -> usize {
        self.digits.capacity() * size_of::<i64>()
    }

    /// Adds a finite float.
    pub(super) fn add(&mut self, x: f64) {
        debug_assert!(x.is_finite());
        let bits = x.to_bits();
        let exponent = (bits >> 52) & 0x7ff;
        let mantissa = bits & MANTISSA;
        let (exponent, mantissa) = if exponent == 0 {
            (1, mantissa)
        } else {
            (exponent, mantissa | (1 << 52))
        };
        if mantissa == 0 {
            return;
        }
        let at = usize::try_from(exponent / u64::from(DIGIT)).unwrap_or(0);
        let shift = exponent % u64::from(DIGIT);
        let low = ((mantissa << shift) & u64::from(u32::MAX)).cast_signed();
        let high = (mantissa >> (u64::from(DIGIT) - shift)).cast_signed();
        let [low, high] = if x.is_sign_negative() {
            [-low, -high]
        } else {
            [low, high]
        };
        self.add_at(at, low, high);
    }

    fn add_at(&mut self, at: usize, low: i64, high: i64) {
        if self.adds >= ADDS_MAX {
            self.carry();
        }
        self.adds += 1;
        if at < self.low || at + 2 > self.low + self.digits.len() {
            self.widen(at, at + 2);
        }
        if let Some([a, b]) = self
            .digits
            .get_mut(at - self.low..)
            .and_then(|digits| digits.first_chunk_mut())
        {
            *a += low;
            *b += high;
        }
    }

    /// Makes room for the digits of `from..to`.
    fn widen(&mut self, from: usize, to: usize) {
        if self.digits.is_empty() {
            self.low = from;
        }
        if from < self.low {
            let more = self.low - from;
            self.digits.splice(0..0, std::iter::repeat_n(0, more));
            self.low = from;
        }
        let len = to.saturating_sub(self.low);
        if len > self.digits.len() {
            self.digits.resize(len, 0);
        }
    }

    /// Leaves 32 bits in every digit but the last.
    fn carry(&mut self) {
        let Some(last) = self.digits.len().checked_sub(1) else {
            return;
        };
        if self.digits[last] >> (DIGIT - 1) != 0 && self.digits[last] >> (DIGIT - 1) != -1 {
            self.digits.push(0);
        }
        let mut over = 0;
        let last = self.digits.len() - 1;
        for (at, digit) in self.digits.iter_mut().enumerate() {
            let sum = *digit + over;
            if at == last {
                *digit = sum;
            } else {
                *digit = sum & i64::from(u32::MAX);
                over = sum >> DIGIT;
            }
        }
        self.adds = 1;
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.digits.is_empty() {
            return;
        }
        self.carry();
        let mut other = other.clone();
        other.carry();
        self.widen(other.low, other.low + other.digits.len());
        let from = other.low - self.low;
        for (digit, more) in self.digits.iter_mut().skip(from).zip(&other.digits) {
            *digit += more;
        }
        self.adds = 2;
        self.carry();
    }

    /// Adds a whole number.
    fn add_whole(&mut self, n: i128) {
        self.carry();
        let mut rest = n.unsigned_abs();
        let mut at = ONE.0;
        while rest > 0 {
            let digit = i64::try_from(rest & u128::from(u32::MAX)).unwrap_or(0) << ONE.1;
            let (low, high) = (digit & i64::from(u32::MAX), digit >> DIGIT);
            if n < 0 {
                self.add_at(at, -low, -high);
            } else {
                self.add_at(at, low, high);
            }
            rest >>= DIGIT;
            at += 1;
        }
    }

    /// The sum and a whole number, rounded to the nearest float, ties to even.
    pub(super) fn plus(&self, n: i128) -> f64 {
        let mut exact = self.clone();
        exact.add_whole(n);
        exact.carry();
        let negative = exact.digits.last().is_some_and(|digit| *digit < 0);
        if negative {
            for digit in &mut exact.digits {
                *digit = -*digit;
            }
            exact.carry();
        }
        // The last digit may still have more than 32 bits: one more splits it.
        exact.digits.push(0);
        exact.carry();
        let magnitude = exact.round();
        if negative { -magnitude } else { magnitude }
    }

    /// The float nearest to digits that are all of 32 bits.
    fn round(&self) -> f64 {
        let Some(top) = self.digits.iter().rposition(|digit| *digit != 0) else {
            return 0.0;
        };
        let bit = |at: u64| -> u64 {
            let digit = usize::try_from(at / u64::from(DIGIT)).unwrap_or(usize::MAX);
            let digit = digit.checked_sub(self.low);
            let digit = digit.and_then(|at| self.digits.get(at)).copied();
            (digit.unwrap_or(0).cast_unsigned() >> (at % u64::from(DIGIT))) & 1
        };
        let leading = u64::from(63 - self.digits[top].leading_zeros());
        let highest = (self.low + top) as u64 * u64::from(DIGIT) + leading;
        // Below 2^-1022 floats are evenly spaced at 2^-1074, which is bit 1.
        let lowest = highest.saturating_sub(52).max(1);
        let mut mantissa = (lowest..=highest)
            .rev()
            .fold(0, |mantissa, at| mantissa << 1 | bit(at));
        let half = bit(lowest - 1) == 1;
        let below = || {
            (self.low as u64 * u64::from(DIGIT)..lowest.saturating_sub(1)).any(|at| bit(at) == 1)
        };
        if half && (mantissa & 1 == 1 || below()) {
            mantissa += 1;
        }
        // A mantissa that became 2^53 carries into the exponent by this addition alone.
        let bits = if highest < 53 {
            mantissa
        } else {
            ((highest - 53) << 52).saturating_add(mantissa)
        };
        if bits >= f64::INFINITY.to_bits() {
            f64::INFINITY
        } else {
            f64::from_bits(bits)
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "rounding is what is tested, to the bit"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f64]) -> FloatSum {
        let mut sum = FloatSum::default();
        values.iter().for_each(|x| sum.add(*x));
        sum
    }

    fn finite() -> impl Strategy<Value = f64> {
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("finite", |x| x.is_finite())
    }

    /// Of few magnitudes, so that all of a sum fits an i128 in units of 2^-40.
    fn near() -> impl Strategy<Value = (f64, i128)> {
        (-(1i64 << 52)..1 << 52, 0u32..40).prop_map(|(n, down)| {
            let x = n as f64 / f64::from(2u32).powi(i32::try_from(down).unwrap());
            (x, i128::from(n) << (40 - down))
        })
    }

    #[test]
    fn what_a_plain_sum_gets_wrong() {
        assert_eq!(sum(&[1e308, 1e308, -1e308, -1e308, 3.0]).plus(0), 3.0);
        assert_eq!(sum(&[0.1; 10]).plus(0), 1.0);
        assert_eq!(sum(&[1e16, 1.0, 1.0, -1e16]).plus(0), 2.0);
        assert_eq!(sum(&[f64::MAX, f64::MAX]).plus(0), f64::INFINITY);
        assert_eq!(sum(&[-f64::MAX, -f64::MAX]).plus(0), f64::NEG_INFINITY);
        assert_eq!(sum(&[5e-324, 5e-324]).plus(0), 1e-323);
        assert_eq!(sum(&[-0.0]).plus(0).to_bits(), 0.0f64.to_bits());
        assert_eq!(sum(&[0.5]).plus(i128::MAX), 1.701_411_834_604_692_3e38);
        assert_eq!(sum(&[]).plus(-7), -7.0);
        assert_eq!(sum(&vec![1.5; 100_000]).plus(1), 150_001.0);
        assert_eq!(sum(&vec![-f64::MAX; 10_000]).plus(0), f64::NEG_INFINITY);
    }

    proptest! {
        #[test]
        fn one_value_and_two_are_as_the_machine_adds(a in finite(), b in finite(), n in any::<i64>()) {
            prop_assert_eq!(sum(&[a]).plus(0), a);
            prop_assert_eq!(sum(&[a, b]).plus(0), a + b);
            prop_assert_eq!(sum(&[a, -a]).plus(n.into()), n as f64);
        }

        #[test]
        fn exact_in_fixed_point(values in prop::collection::vec(near(), 0..40), n in -(1i64 << 40)..1 << 40) {
            let floats: Vec<f64> = values.iter().map(|v| v.0).collect();
            let whole: i128 = values.iter().map(|v| v.1).sum::<i128>() + (i128::from(n) << 40);
            // Division by a power of two is exact.
            let right = whole as f64 / f64::from(2u32).powi(40);
            prop_assert_eq!(sum(&floats).plus(n.into()), right);
        }

        #[test]
        fn any_order_and_split_gives_the_same(
            values in prop::collection::vec(finite(), 0..30),
            cuts in prop::collection::vec(0usize..30, 0..4),
        ) {
            let whole = sum(&values).plus(0);
            let mut turned = values.clone();
            turned.reverse();
            prop_assert_eq!(sum(&turned).plus(0).to_bits(), whole.to_bits());
            let mut merged = FloatSum::default();
            let mut from = 0;
            for cut in cuts.into_iter().map(|c| c.min(values.len())).chain([values.len()]) {
                merged.merge(&sum(&values[from.min(cut)..cut]));
                from = from.max(cut);
            }
            prop_assert_eq!(merged.plus(0).to_bits(), whole.to_bits());
        }
    }
}
