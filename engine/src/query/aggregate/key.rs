//! The values that tell groups apart.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::super::value::cmp_numbers;
use crate::columns::value::to_scalar;
use crate::doc::{DocRef, Scalar, scalar_of};
use crate::source::LaneKind;

/// A value of a key. A float that is a whole number within an i64 is that number.
#[derive(Clone, Debug)]
pub enum GroupValue {
    /// True or false.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// Any other number; one NaN stands for all.
    F64(f64),
    /// A text.
    Str(Box<str>),
    /// The fingerprint of a text too long for a column, or of bytes.
    Long(u64),
}

impl GroupValue {
    fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::I64(_) | Self::F64(_) => 1,
            Self::Str(_) => 2,
            Self::Long(_) => 3,
        }
    }

    pub(super) fn of_text(text: &str) -> Self {
        scalar_of(DocRef::Str(text)).map_or(Self::Long(0), Self::of)
    }

    pub(super) fn of_number(kind: LaneKind, number: u64) -> Self {
        to_scalar(kind.kind(), number).map_or(Self::Long(number), Self::of)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::float_cmp,
        reason = "whether the float is that whole number is the question"
    )]
    fn of(value: Scalar<'_>) -> Self {
        match value {
            Scalar::Bool(b) => Self::Bool(b),
            Scalar::I64(n) => Self::I64(n),
            Scalar::F64(x) if x.is_nan() => Self::F64(f64::NAN),
            // 2^63 itself saturates to the number before it.
            Scalar::F64(x) if x == x.trunc() && x < 9_223_372_036_854_775_808.0 => {
                if x >= -9_223_372_036_854_775_808.0 {
                    Self::I64(x as i64)
                } else {
                    Self::F64(x)
                }
            }
            Scalar::F64(x) => Self::F64(x),
            Scalar::Str(text) => Self::Str(text.into()),
            Scalar::Long(hash) => Self::Long(hash),
        }
    }

    /// Bytes held beside itself.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Str(text) => text.len(),
            _ => 0,
        }
    }

    /// What a set of values knows it by.
    pub(super) fn fingerprint(&self) -> u128 {
        match self {
            Self::Bool(b) => xxh3_128_with_seed(&[u8::from(*b)], 1),
            Self::I64(n) => xxh3_128_with_seed(&n.to_le_bytes(), 2),
            Self::F64(x) => xxh3_128_with_seed(&x.to_bits().to_le_bytes(), 3),
            Self::Str(text) => xxh3_128_with_seed(text.as_bytes(), 4),
            Self::Long(hash) => xxh3_128_with_seed(&hash.to_le_bytes(), 5),
        }
    }

    fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Bool(b) => Scalar::Bool(*b),
            Self::I64(n) => Scalar::I64(*n),
            Self::F64(x) => Scalar::F64(*x),
            Self::Str(text) => Scalar::Str(text),
            Self::Long(hash) => Scalar::Long(*hash),
        }
    }
}

/// Bools, then numbers by value and NaN, then texts, then fingerprints.
impl Ord for GroupValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Str(a), Self::Str(b)) => a.cmp(b),
            (Self::Long(a), Self::Long(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()).then_with(|| {
                let nan = |v: &Self| matches!(v, Self::F64(x) if x.is_nan());
                cmp_numbers(self.scalar(), other.scalar())
                    .unwrap_or_else(|| nan(self).cmp(&nan(other)))
            }),
        }
    }
}

impl PartialOrd for GroupValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for GroupValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for GroupValue {}

impl Hash for GroupValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Bool(b) => b.hash(state),
            Self::I64(n) => n.hash(state),
            Self::F64(x) => x.to_bits().hash(state),
            Self::Str(text) => text.hash(state),
            Self::Long(hash) => hash.hash(state),
        }
    }
}

/// Numbers values in the order in which they come; `None` is a row without a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Interner {
    values: Vec<Option<GroupValue>>,
    ids: HashMap<Option<GroupValue>, u32>,
    heap_bytes: usize,
}

impl Interner {
    pub(super) fn id(&mut self, value: Option<GroupValue>) -> u32 {
        if let Some(id) = self.ids.get(&value) {
            return *id;
        }
        let id = u32::try_from(self.values.len()).expect("BUG: over 4 G values");
        let heap = value.as_ref().map_or(0, GroupValue::heap_bytes);
        self.heap_bytes += 2 * (heap + size_of::<Option<GroupValue>>()) + 8;
        self.values.push(value.clone());
        self.ids.insert(value, id);
        id
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn get(&self, id: u32) -> Option<&GroupValue> {
        let at = usize::try_from(id).unwrap_or(usize::MAX);
        self.values.get(at).and_then(Option::as_ref)
    }

    pub(super) const fn bytes(&self) -> usize {
        self.heap_bytes
    }

    pub(super) fn into_values(self) -> Vec<Option<GroupValue>> {
        self.values
    }
}
