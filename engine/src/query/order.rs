//! The order of answers, and the place in it where a page ends.

use std::cmp::Ordering;

use super::value::cmp_numbers;
use crate::doc::{COLUMN_VALUE_BYTES_MAX, DocRef, Scalar, scalar_of};
use crate::row::Lsn;
use crate::source::{Column, Core};

/// Texts are ordered by so many of their first bytes, cut at a character; equal ones by identity.
pub const SORT_TEXT_BYTES_MAX: usize = COLUMN_VALUE_BYTES_MAX;

/// The order of a page.
///
/// Of several values a row is placed by its first in this order: the largest when descending.
/// Bools come before numbers before texts when ascending. Rows without a value come last in both
/// directions; NaN and bytes are no value. Equal rows go by (trace id, id) in the same direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Ordered by.
    pub column: Column,
    /// Largest first.
    pub descending: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            column: Column::Start,
            descending: true,
        }
    }
}

/// The value by which a row is placed.
#[derive(Clone, Debug)]
pub enum SortKey {
    /// True or false.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A number, never NaN.
    F64(f64),
    /// A text of at most [`SORT_TEXT_BYTES_MAX`] bytes.
    Str(Box<str>),
}

impl SortKey {
    /// The key for a leaf of a document; `None` if it has no place.
    pub(super) fn of_leaf(leaf: DocRef<'_>) -> Option<Self> {
        match leaf {
            DocRef::Str(text) => Some(Self::of_text(text)),
            DocRef::Bytes(_) => None,
            other => Self::of_scalar(scalar_of(other)?),
        }
    }

    /// The key for a column value; `None` if it has no place or, for a long one, if only the
    /// document can tell.
    pub(super) fn of_scalar(value: Scalar<'_>) -> Option<Self> {
        match value {
            Scalar::Bool(b) => Some(Self::Bool(b)),
            Scalar::I64(n) => Some(Self::I64(n)),
            Scalar::F64(n) if n.is_nan() => None,
            Scalar::F64(n) => Some(Self::F64(n)),
            Scalar::Str(text) => Some(Self::of_text(text)),
            Scalar::Long(_) => None,
        }
    }

    fn of_text(text: &str) -> Self {
        Self::Str(text[..text.floor_char_boundary(SORT_TEXT_BYTES_MAX)].into())
    }

    fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Bool(b) => Scalar::Bool(*b),
            Self::I64(n) => Scalar::I64(*n),
            Self::F64(n) => Scalar::F64(*n),
            Self::Str(text) => Scalar::Str(text),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::I64(_) | Self::F64(_) => 1,
            Self::Str(_) => 2,
        }
    }
}

/// By value: the whole number 1 equals the float 1.
impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Str(a), Self::Str(b)) => a.cmp(b),
            // A cursor could carry NaN although no row does; it then equals every number.
            _ => self.rank().cmp(&other.rank()).then_with(|| {
                cmp_numbers(self.scalar(), other.scalar()).unwrap_or(Ordering::Equal)
            }),
        }
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SortKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SortKey {}

/// Where a page ends: the place of its last row, in terms that stay valid whatever is written
/// afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The row's value of the ordered column.
    pub key: Option<SortKey>,
    /// The row's trace id.
    pub trace_id: String,
    /// The row's id.
    pub id: String,
    /// The snapshot of the first page. Rows first made after it are on no later page.
    pub lsn: Lsn,
}

impl Order {
    /// Which of two keys comes first.
    pub(super) fn cmp_keys(&self, a: Option<&SortKey>, b: Option<&SortKey>) -> Ordering {
        match (a, b) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => self.turn(a.cmp(b)),
        }
    }

    /// Which of two identities comes first, given equal keys.
    pub(super) fn cmp_ids(&self, a: (&str, &str), b: (&str, &str)) -> Ordering {
        self.turn(a.cmp(&b))
    }

    const fn turn(&self, order: Ordering) -> Ordering {
        if self.descending {
            order.reverse()
        } else {
            order
        }
    }

    /// Keeps in `best` the value by which a row with `key`, too, is placed.
    pub(super) fn keep_first(&self, best: &mut Option<SortKey>, key: SortKey) {
        if self.cmp_keys(Some(&key), best.as_ref()).is_lt() {
            *best = Some(key);
        }
    }

    /// Whether a row is on a page after `position`.
    pub(super) fn is_after(&self, key: Option<&SortKey>, core: &Core, position: &Position) -> bool {
        self.cmp_keys(key, position.key.as_ref())
            .then_with(|| {
                self.cmp_ids(
                    (&core.trace_id, &core.id),
                    (&position.trace_id, &position.id),
                )
            })
            .is_gt()
    }
}
