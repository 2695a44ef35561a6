//! Facets: how many of the matching rows have each value of a column.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::QueryError;
use super::ast::Literal;
use crate::doc::Scalar;
use crate::source::{Column, Kept, Source};

/// Most facets of one request.
pub const FACETS_MAX: usize = 32;
/// Most values that one facet may list.
pub const FACET_VALUES_MAX: usize = 1_000;
/// Most distinct values that are counted for one facet. Bounds its memory at about 10 MiB.
pub const FACET_DISTINCT_MAX: usize = 65_536;

/// The values of a column among the rows that pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Facet {
    /// The column.
    pub column: Column,
    /// Values and how many rows have them, most frequent first. Every count is exact. The whole
    /// number 1 and the float 1 are listed apart, as they were sent.
    pub values: Vec<(Literal, u64)>,
    /// There are more values than asked for.
    pub more: bool,
    /// There are more than [`FACET_DISTINCT_MAX`] values: one that is not listed may be more
    /// frequent than one that is.
    pub overflow: bool,
    /// Row and value pairs whose value is too long to be listed.
    pub long: u64,
}

/// Counts one facet.
#[derive(Debug)]
pub(super) struct Counter<'a> {
    column: &'a Column,
    /// Other values than texts that begin so are left out, unless it is empty.
    prefix: &'a str,
    counts: HashMap<Kept, u64>,
    overflow: bool,
    long: u64,
}

impl<'a> Counter<'a> {
    pub(super) fn new(column: &'a Column) -> Self {
        Self::with_prefix(column, "")
    }

    pub(super) fn with_prefix(column: &'a Column, prefix: &'a str) -> Self {
        Self {
            column,
            prefix,
            counts: HashMap::new(),
            overflow: false,
            long: 0,
        }
    }

    pub(super) fn add(
        &mut self,
        source: &dyn Source,
        rows: &RoaringBitmap,
    ) -> Result<(), QueryError> {
        let column = self.column;
        let prefix = self.prefix;
        source.count_values(column, rows, &mut |value, count| {
            let begins = matches!(value, Scalar::Str(text) if text.starts_with(prefix));
            if prefix.is_empty() || begins {
                self.add_value(value, count);
            }
        })?;
        Ok(())
    }

    /// Counts one row that has a value.
    pub(super) fn add_kept(&mut self, value: &Kept) {
        let begins = matches!(value, Kept::Str(text) if text.starts_with(self.prefix));
        if self.prefix.is_empty() || begins {
            self.count(value.clone(), 1);
        }
    }

    fn add_value(&mut self, value: Scalar<'_>, count: u64) {
        self.count(Kept::of(value), count);
    }

    fn count(&mut self, value: Kept, count: u64) {
        if matches!(value, Kept::Long(_)) {
            self.long += count;
            return;
        }
        // Once full it takes no new value, so that one which is in it was never missed.
        if let Some(sum) = self.counts.get_mut(&value) {
            *sum += count;
        } else if self.counts.len() < FACET_DISTINCT_MAX {
            self.counts.insert(value, count);
        } else {
            self.overflow = true;
        }
    }

    pub(super) fn finish(self, values_max: usize) -> Facet {
        let mut counts: Vec<_> = self
            .counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        counts.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        let more = self.overflow || counts.len() > values_max;
        counts.truncate(values_max);
        let values = counts
            .into_iter()
            .filter_map(|(value, count)| Some((literal(value)?, count)));
        Facet {
            column: self.column.clone(),
            values: values.collect(),
            more,
            overflow: self.overflow,
            long: self.long,
        }
    }
}

fn literal(value: Kept) -> Option<Literal> {
    Some(match value {
        Kept::Bool(b) => Literal::Bool(b),
        Kept::I64(n) => Literal::I64(n),
        Kept::F64(bits) => Literal::F64(f64::from_bits(bits)),
        Kept::Str(text) => Literal::Str(text.into()),
        // Never counted by value.
        Kept::Long(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_counts_what_it_has_and_says_so() {
        let column = Column::Id;
        let mut counter = Counter::new(&column);
        for n in 0..i64::try_from(FACET_DISTINCT_MAX).unwrap() {
            counter.add_value(Scalar::I64(n), 1);
        }
        counter.add_value(Scalar::I64(7), 2);
        assert!(!counter.overflow);
        counter.add_value(Scalar::I64(-1), 5);
        let facet = counter.finish(1);
        assert_eq!(facet.values, vec![(Literal::I64(7), 3)]);
        assert!(facet.more && facet.overflow);
    }
}
