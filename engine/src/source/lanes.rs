//! Columns row group by row group: codes and numbers in arrays, for whoever adds up many rows.

use hashbrown::HashMap;
use roaring::RoaringBitmap;

use super::{Column, Source, SourceError};
use crate::columns::value::{Kind, to_number};
use crate::doc::Scalar;

/// The rows that are asked for, all of one row group, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// So many rows from the first.
    Range {
        /// The first.
        first: u32,
        /// How many.
        len: u32,
    },
    /// These.
    Rows(Vec<u32>),
}

impl Selection {
    /// The rows of a bitmap, which are of one row group.
    pub fn of(rows: &RoaringBitmap) -> Self {
        match (rows.min(), rows.max()) {
            (Some(first), Some(last)) if u64::from(last - first) + 1 == rows.len() => Self::Range {
                first,
                len: last - first + 1,
            },
            (None, _) | (_, None) => Self::Range { first: 0, len: 0 },
            _ => Self::Rows(rows.iter().collect()),
        }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Range { len, .. } => usize::try_from(*len).unwrap_or(usize::MAX),
            Self::Rows(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first row; `None` if there is none.
    pub fn first(&self) -> Option<u32> {
        match self {
            Self::Range { first, len } => (*len > 0).then_some(*first),
            Self::Rows(rows) => rows.first().copied(),
        }
    }

    /// The row at a place.
    pub fn row(&self, place: usize) -> Option<u32> {
        match self {
            Self::Range { first, len } => {
                let at = u32::try_from(place).ok().filter(|at| at < len)?;
                first.checked_add(at)
            }
            Self::Rows(rows) => rows.get(place).copied(),
        }
    }

    /// Calls `visit(place, row)` in order.
    pub fn each(&self, visit: &mut dyn FnMut(u32, u32)) {
        match self {
            Self::Range { first, len } => (0..*len).for_each(|at| visit(at, first + at)),
            Self::Rows(rows) => (0..).zip(rows).for_each(|(at, row)| visit(at, *row)),
        }
    }

    /// The rows as a bitmap.
    pub fn bitmap(&self) -> RoaringBitmap {
        match self {
            Self::Range { first, len } => {
                let mut rows = RoaringBitmap::new();
                rows.insert_range(*first..first.saturating_add(*len));
                rows
            }
            Self::Rows(rows) => rows.iter().copied().collect(),
        }
    }
}

/// The type of the values of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneKind {
    /// True or false.
    Bool,
    /// Whole numbers.
    I64,
    /// Numbers.
    F64,
    /// Texts.
    Str,
    /// Fingerprints of texts too long for a column, and of bytes.
    Long,
}

impl LaneKind {
    pub(crate) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool,
            Kind::I64 => Self::I64,
            Kind::F64 => Self::F64,
            Kind::Str => Self::Str,
            Kind::Long => Self::Long,
        }
    }

    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::I64 => Kind::I64,
            Self::F64 => Kind::F64,
            Self::Str => Kind::Str,
            Self::Long => Kind::Long,
        }
    }
}

/// The values of one type of one column among the selected rows.
///
/// A row's values are a set: the same value twice stands once.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Their type.
    pub kind: LaneKind,
    /// The place in the selection of the row of each value, ascending. `None`: value i is that of
    /// place i, and every place has one.
    pub places: Option<Vec<u32>>,
    /// The values.
    pub values: LaneValues,
}

impl Lane {
    /// How many values.
    pub fn len(&self) -> usize {
        match &self.values {
            LaneValues::Numbers(numbers) => numbers.len(),
            LaneValues::Codes(codes) => codes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Values of a lane.
#[derive(Clone, Debug)]
pub enum LaneValues {
    /// As unsigned numbers that sort as the values do: see [`number_to_i64`], [`number_to_f64`].
    Numbers(Vec<u64>),
    /// Codes of texts: see [`ColumnReader::texts`].
    Codes(Vec<u32>),
}

/// The whole number that a lane's number stands for.
pub const fn number_to_i64(number: u64) -> i64 {
    crate::columns::value::to_i64(number)
}

/// The float that a lane's number stands for.
pub const fn number_to_f64(number: u64) -> f64 {
    crate::columns::value::to_f64(number)
}

/// A column opened to be read row group by row group.
pub trait ColumnReader {
    /// The values of the selected rows, a lane per type that has any, types ascending. What `lanes`
    /// holds is overwritten; its memory may be used again.
    fn read(&mut self, selection: &Selection, lanes: &mut Vec<Lane>) -> Result<(), SourceError>;

    /// How many codes there are by now: all that were read are below.
    fn code_count(&self) -> u32;

    /// Calls `visit` with the text of each code, in their order. Ids and trace ids may be longer
    /// than a column's values.
    fn texts(&mut self, codes: &[u32], visit: &mut dyn FnMut(&str)) -> Result<(), SourceError>;
}

/// A reader of any source by its [`Source::values`].
pub(crate) fn by_values<'a, S: Source + ?Sized>(
    source: &'a S,
    column: &Column,
) -> Box<dyn ColumnReader + 'a> {
    Box::new(ByValues {
        source,
        column: column.clone(),
        texts: Vec::new(),
        codes: HashMap::new(),
    })
}

struct ByValues<'a, S: ?Sized> {
    source: &'a S,
    column: Column,
    texts: Vec<Box<str>>,
    codes: HashMap<String, u32>,
}

impl<S: Source + ?Sized> ColumnReader for ByValues<'_, S> {
    fn read(&mut self, selection: &Selection, lanes: &mut Vec<Lane>) -> Result<(), SourceError> {
        lanes.clear();
        let mut by_kind: [Vec<(u32, u64)>; Kind::ALL.len()] = Default::default();
        let (texts, codes) = (&mut self.texts, &mut self.codes);
        let mut place = 0;
        let visit = &mut |row: u32, value: Scalar<'_>| {
            while selection.row(place).is_some_and(|selected| selected < row) {
                place += 1;
            }
            let number = to_number(value).unwrap_or_else(|| {
                let Scalar::Str(text) = value else { return 0 };
                let next = u32::try_from(texts.len()).unwrap_or(u32::MAX);
                u64::from(*codes.entry_ref(text).or_insert_with(|| {
                    texts.push(text.into());
                    next
                }))
            });
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            by_kind[Kind::of(&value) as usize].push((place, number));
        };
        self.source
            .values(&self.column, &selection.bitmap(), visit)?;
        for (kind, pairs) in Kind::ALL.into_iter().zip(by_kind) {
            push_pairs(lanes, LaneKind::of(kind), pairs, selection.len());
        }
        Ok(())
    }

    fn code_count(&self) -> u32 {
        u32::try_from(self.texts.len()).unwrap_or(u32::MAX)
    }

    fn texts(&mut self, codes: &[u32], visit: &mut dyn FnMut(&str)) -> Result<(), SourceError> {
        for code in codes {
            let at = usize::try_from(*code).unwrap_or(usize::MAX);
            visit(self.texts.get(at).map_or("", |text| &**text));
        }
        Ok(())
    }
}

/// Adds a lane of (place, number) pairs in the order of places, each pair once; texts as codes.
pub(crate) fn push_pairs(
    lanes: &mut Vec<Lane>,
    kind: LaneKind,
    mut pairs: Vec<(u32, u64)>,
    selected: usize,
) {
    if pairs.is_empty() {
        return;
    }
    if !pairs.is_sorted_by(|a, b| a < b) {
        pairs.sort_unstable();
        pairs.dedup();
    }
    let single = pairs.is_sorted_by(|a, b| a.0 < b.0);
    let places = (!single || pairs.len() != selected).then(|| pairs.iter().map(|p| p.0).collect());
    let values = if kind == LaneKind::Str {
        let codes = pairs.iter();
        LaneValues::Codes(
            codes
                .map(|p| u32::try_from(p.1).unwrap_or(u32::MAX))
                .collect(),
        )
    } else {
        LaneValues::Numbers(pairs.iter().map(|p| p.1).collect())
    };
    lanes.push(Lane {
        kind,
        places,
        values,
    });
}

#[cfg(test)]
pub(crate) mod tests;
