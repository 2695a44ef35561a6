//! One typed column: which row has which value.

use super::dictionary::Dictionary;
use super::value::{Kind, to_scalar};
use crate::doc::{DocError, Scalar};

/// The values of one type at one path. `rows` ascends; a row with several values stands several
/// times.
#[derive(Debug)]
pub(crate) struct Column {
    kind: Kind,
    rows: Vec<u32>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    /// As [`super::value`] numbers them.
    Numbers(Vec<u64>),
    Texts {
        codes: Vec<u32>,
        dictionary: Dictionary,
    },
}

/// What two columns of the same values have in common, and others rarely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gist {
    kind: Kind,
    values: usize,
    texts: usize,
    last: Option<(u32, u64)>,
}

impl Values {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Numbers(own), Self::Numbers(others)) => own == others,
            (
                Self::Texts { codes, dictionary },
                Self::Texts {
                    codes: others,
                    dictionary: other,
                },
            ) => codes == others && dictionary.is_same(other),
            (Self::Numbers(_) | Self::Texts { .. }, _) => false,
        }
    }
}

impl Column {
    pub(crate) fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Str => Values::Texts {
                codes: Vec::new(),
                dictionary: Dictionary::default(),
            },
            Kind::Bool | Kind::I64 | Kind::F64 | Kind::Long => Values::Numbers(Vec::new()),
        };
        Self {
            kind,
            rows: Vec::new(),
            values,
        }
    }

    /// Its type.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Adds a number of `row`, which is not below any earlier row.
    pub(crate) fn push_number(&mut self, row: u32, number: u64) {
        if let Values::Numbers(numbers) = &mut self.values {
            self.rows.push(row);
            numbers.push(number);
        }
    }

    /// Adds a text. Returns the bytes by which the dictionary grew.
    pub(crate) fn push_text(&mut self, row: u32, text: &[u8]) -> Result<usize, DocError> {
        let Values::Texts { codes, dictionary } = &mut self.values else {
            return Ok(0);
        };
        let before = dictionary.held_bytes();
        codes.push(dictionary.code(text)?);
        self.rows.push(row);
        Ok(dictionary.held_bytes() - before)
    }

    /// See [`Gist`]; worked out of a few values.
    pub(super) fn gist(&self) -> Gist {
        let last = self.rows.len().checked_sub(1);
        Gist {
            kind: self.kind,
            values: self.rows.len(),
            texts: self.dictionary().map_or(0, Dictionary::held_bytes),
            last: last.and_then(|at| Some((*self.rows.get(at)?, self.number(at)))),
        }
    }

    /// Whether both have the same values in the same rows, added in the same order.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.rows == other.rows && self.values.is_same(&other.values)
    }

    /// The rows of the values, ascending.
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The number, or the code of the text, at a place.
    pub(crate) fn number(&self, at: usize) -> u64 {
        match &self.values {
            Values::Numbers(numbers) => numbers.get(at).copied().unwrap_or(0),
            Values::Texts { codes, .. } => u64::from(codes.get(at).copied().unwrap_or(0)),
        }
    }

    /// The dictionary, if it is text.
    pub(crate) fn dictionary(&self) -> Option<&Dictionary> {
        match &self.values {
            Values::Texts { dictionary, .. } => Some(dictionary),
            Values::Numbers(_) => None,
        }
    }

    /// The value at a place.
    pub(crate) fn value(&self, at: usize) -> Option<Scalar<'_>> {
        match &self.values {
            Values::Numbers(numbers) => to_scalar(self.kind, *numbers.get(at)?),
            Values::Texts { codes, dictionary } => {
                Some(Scalar::Str(dictionary.text(*codes.get(at)?)))
            }
        }
    }

    /// The places of the rows from `first` to `last`.
    pub(crate) fn between(&self, first: u32, last: u32) -> std::ops::Range<usize> {
        let from = self.rows.partition_point(|row| *row < first);
        let to = self.rows.partition_point(|row| *row <= last);
        from..to.max(from)
    }
}
