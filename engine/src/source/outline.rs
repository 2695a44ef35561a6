//! What a source knows of a column before any row is looked at: by it a question decides what to look at first.

use crate::doc::Scalar;

use super::ValueTest;

/// A test of values, as far as a source may look at it beforehand.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The test.
    pub test: ValueTest<'a>,
    /// The only value that passes, if it is one.
    pub one: Option<Scalar<'a>>,
}

impl std::fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wanted")
            .field("one", &self.one)
            .finish_non_exhaustive()
    }
}

/// How the rows with a value are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// By a bitmap for each value: rows cost nothing.
    Bitmaps,
    /// By the code of each row, into a dictionary.
    #[default]
    Codes,
    /// By the number of each row.
    Numbers,
    /// By the document of each row.
    Documents,
}

/// What is known of a column. Dead rows are counted, too.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outline {
    /// The slowest of its types.
    pub access: Access,
    /// Rows that have a value.
    pub rows: u64,
    /// Values in its dictionaries.
    pub distinct: u64,
    /// Smallest and largest value, if all are numbers without a dictionary.
    pub zone: Option<(f64, f64)>,
    /// Rows with a value that passes, or may, if somebody counted them.
    pub passing: Option<u64>,
}

impl Outline {
    /// Both types of one path.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self.rows == 0 {
            return other;
        }
        if other.rows == 0 {
            return self;
        }
        let zones = self.zone.zip(other.zone);
        let counted = self.passing.zip(other.passing);
        Self {
            access: self.access.max(other.access),
            rows: self.rows.saturating_add(other.rows),
            distinct: self.distinct.saturating_add(other.distinct),
            zone: zones.map(|(a, b)| (a.0.min(b.0), a.1.max(b.1))),
            passing: counted.map(|(a, b)| a.saturating_add(b)),
        }
    }
}
