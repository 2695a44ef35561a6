//! Values as unsigned numbers: what columns, chunks and numeric dictionaries hold.

use crate::doc::Scalar;

/// The type of a typed column. Persisted: never reuse a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    Bool = 0,
    I64 = 1,
    F64 = 2,
    Str = 3,
    Long = 4,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Bool, Self::I64, Self::F64, Self::Str, Self::Long];

    pub(crate) fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.get(usize::from(n)).copied()
    }

    pub(crate) const fn of(scalar: &Scalar<'_>) -> Self {
        match scalar {
            Scalar::Bool(_) => Self::Bool,
            Scalar::I64(_) => Self::I64,
            Scalar::F64(_) => Self::F64,
            Scalar::Str(_) => Self::Str,
            Scalar::Long(_) => Self::Long,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I64 => "i64",
            Self::F64 => "f64",
            Self::Str => "str",
            Self::Long => "long",
        }
    }
}

const SIGN: u64 = 1 << 63;

pub(crate) const fn from_i64(n: i64) -> u64 {
    n.cast_unsigned() ^ SIGN
}

pub(crate) const fn to_i64(n: u64) -> i64 {
    (n ^ SIGN).cast_signed()
}

/// Total order of floats, every bit pattern its own number.
pub(crate) const fn from_f64(n: f64) -> u64 {
    let bits = n.to_bits();
    if bits & SIGN == 0 { bits ^ SIGN } else { !bits }
}

pub(crate) const fn to_f64(n: u64) -> f64 {
    f64::from_bits(if n & SIGN == 0 { !n } else { n ^ SIGN })
}

/// The number of a scalar that is not text.
pub(crate) fn to_number(scalar: Scalar<'_>) -> Option<u64> {
    Some(match scalar {
        Scalar::Bool(b) => u64::from(b),
        Scalar::I64(n) => from_i64(n),
        Scalar::F64(n) => from_f64(n),
        Scalar::Long(n) => n,
        Scalar::Str(_) => return None,
    })
}

/// The scalar of a number of a column that is not text.
pub(crate) fn to_scalar(kind: Kind, n: u64) -> Option<Scalar<'static>> {
    Some(match kind {
        Kind::Bool if n < 2 => Scalar::Bool(n == 1),
        Kind::I64 => Scalar::I64(to_i64(n)),
        Kind::F64 => Scalar::F64(to_f64(n)),
        Kind::Long => Scalar::Long(n),
        Kind::Bool | Kind::Str => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_keep_order_and_bits(a in any::<i64>(), b in any::<i64>(), x in any::<u64>(), y in any::<u64>()) {
            prop_assert_eq!(to_i64(from_i64(a)), a);
            prop_assert_eq!(from_i64(a).cmp(&from_i64(b)), a.cmp(&b));
            let (x, y) = (f64::from_bits(x), f64::from_bits(y));
            prop_assert_eq!(to_f64(from_f64(x)).to_bits(), x.to_bits());
            prop_assert_eq!(from_f64(x).cmp(&from_f64(y)), x.total_cmp(&y));
        }
    }
}
