//! One column of a memtable's table: a dictionary, and the rows that have each code.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::doc::Scalar;

/// A distinct value. Floats are told apart by their bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Bool(bool),
    I64(i64),
    F64(u64),
    Str(Box<str>),
    Long(u64),
}

impl Key {
    fn of(value: Scalar<'_>) -> Self {
        match value {
            Scalar::Bool(b) => Self::Bool(b),
            Scalar::I64(n) => Self::I64(n),
            Scalar::F64(n) => Self::F64(n.to_bits()),
            Scalar::Str(s) => Self::Str(s.into()),
            Scalar::Long(h) => Self::Long(h),
        }
    }

    fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Bool(b) => Scalar::Bool(*b),
            Self::I64(n) => Scalar::I64(*n),
            Self::F64(bits) => Scalar::F64(f64::from_bits(*bits)),
            Self::Str(s) => Scalar::Str(s),
            Self::Long(h) => Scalar::Long(*h),
        }
    }
}

/// Values by row. `rows` ascends; a row with several values stands several times.
#[derive(Debug, Default)]
pub(super) struct Column {
    codes_of: HashMap<Key, u32>,
    values: Vec<Key>,
    entries: Vec<(u32, u32)>,
}

impl Column {
    /// Adds a value of `row`, which is not below any earlier row.
    pub(super) fn push(&mut self, row: u32, value: Scalar<'_>) {
        let next = u32::try_from(self.values.len()).expect("BUG: over 4 G distinct values");
        let code = match self.codes_of.entry(Key::of(value)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.values.push(new.key().clone());
                *new.insert(next)
            }
        };
        self.entries.push((row, code));
    }

    /// The distinct values; the index is the code.
    pub(super) fn values(&self) -> impl Iterator<Item = Scalar<'_>> {
        self.values.iter().map(Key::scalar)
    }

    /// The value of a code that `entries_between` gave.
    pub(super) fn value(&self, code: u32) -> Option<Scalar<'_>> {
        self.values
            .get(usize::try_from(code).ok()?)
            .map(Key::scalar)
    }

    /// (row, code) of the rows from `first` to `last`.
    pub(super) fn entries_between(&self, first: u32, last: u32) -> &[(u32, u32)] {
        let from = self.entries.partition_point(|(row, _)| *row < first);
        let to = self.entries.partition_point(|(row, _)| *row <= last);
        self.entries.get(from..to).unwrap_or_default()
    }
}
