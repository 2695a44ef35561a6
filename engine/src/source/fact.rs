//! A fact of scores as a column: the columns of its places as one.

use roaring::RoaringBitmap;

use super::{Column, Matches, Source, SourceError, ValueTest};
use crate::doc::Scalar;
use crate::model;
use crate::model::score::{Fact, LABEL, Words};

/// A value that is held for later. Floats by their bits, as they are told apart in columns; what is too long for a
/// column by its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kept {
    Bool(bool),
    I64(i64),
    F64(u64),
    Str(Box<str>),
    Long(u64),
}

impl Kept {
    pub(crate) fn of(value: Scalar<'_>) -> Self {
        match value {
            Scalar::Bool(b) => Self::Bool(b),
            Scalar::I64(n) => Self::I64(n),
            Scalar::F64(n) => Self::F64(n.to_bits()),
            Scalar::Str(text) => Self::Str(text.into()),
            Scalar::Long(hash) => Self::Long(hash),
        }
    }

    pub(crate) fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Bool(b) => Scalar::Bool(*b),
            Self::I64(n) => Scalar::I64(*n),
            Self::F64(bits) => Scalar::F64(f64::from_bits(*bits)),
            Self::Str(text) => Scalar::Str(text),
            Self::Long(hash) => Scalar::Long(*hash),
        }
    }

    /// What its text takes.
    pub(crate) fn bytes(&self) -> usize {
        if let Self::Str(text) = self {
            text.len()
        } else {
            0
        }
    }
}

/// A fact among the rows of a source of scores.
pub(crate) struct FactIn<'a>(pub(crate) &'a dyn Source, pub(crate) Fact);

impl FactIn<'_> {
    /// Calls `visit` with each column that has the fact of some of the rows, and with these.
    fn each_place(
        &self,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(&Column, &RoaringBitmap) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let Self(source, fact) = self;
        let mut open = rows.clone();
        for place in fact.places() {
            let column = Column::Path((*place).into());
            let have = source.present(&column, &open)?;
            if !have.is_empty() {
                visit(&column, &have)?;
            }
            if !fact.takes_all() {
                open -= have;
            }
        }
        let worded = match fact.words() {
            Words::No => return Ok(()),
            Words::Beside => rows,
            Words::Instead => &open,
        };
        let named = source.present(&Column::Path(model::NAME.into()), worded)?;
        let label = Column::Path(LABEL.into());
        let have = source.present(&label, &named)?;
        if !have.is_empty() {
            visit(&label, &have)?;
        }
        Ok(())
    }

    /// Whether a row may have values in several places.
    fn is_in_many(&self) -> bool {
        self.1.takes_all() || self.1.words() == Words::Beside
    }

    /// As [`Source::matching`].
    pub(crate) fn matching(
        &self,
        test: ValueTest<'_>,
        within: &RoaringBitmap,
    ) -> Result<Matches, SourceError> {
        let mut found = Matches::default();
        self.each_place(within, &mut |column, have| {
            let here = self.0.matching(column, test, have)?;
            found.sure |= here.sure;
            found.verify |= here.verify;
            Ok(())
        })?;
        found.verify -= &found.sure;
        Ok(found)
    }

    /// As [`Source::present`].
    pub(crate) fn present(&self, within: &RoaringBitmap) -> Result<RoaringBitmap, SourceError> {
        let mut rows = RoaringBitmap::new();
        self.each_place(within, &mut |_, have| {
            rows |= have;
            Ok(())
        })?;
        Ok(rows)
    }

    /// Every value with its row, row by row; what a row has twice stands once.
    fn all(&self, rows: &RoaringBitmap) -> Result<Vec<(u32, Kept)>, SourceError> {
        let mut all = Vec::new();
        self.each_place(rows, &mut |column, have| {
            self.0.values(column, have, &mut |row, value| {
                all.push((row, Kept::of(value)));
            })
        })?;
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// As [`Source::values`].
    pub(crate) fn values(
        &self,
        rows: &RoaringBitmap,
        visit: &mut dyn FnMut(u32, Scalar<'_>),
    ) -> Result<(), SourceError> {
        for (row, value) in self.all(rows)? {
            visit(row, value.scalar());
        }
        Ok(())
    }

    /// As [`Source::count_values`].
    pub(crate) fn count_values(
        &self,
        rows: &RoaringBitmap,
        add: &mut dyn FnMut(Scalar<'_>, u64),
    ) -> Result<(), SourceError> {
        if self.is_in_many() {
            // What stands in two places of a row counts once.
            let all = self.all(rows)?;
            all.iter().for_each(|(_, value)| add(value.scalar(), 1));
            return Ok(());
        }
        self.each_place(rows, &mut |column, have| {
            self.0.count_values(column, have, add)
        })
    }
}
