//! What a section knows of a column beforehand.

use std::borrow::Cow;

use super::directory::{ColumnEntry, Dict};
use super::lookup::Dictionary;
use super::section::SectionReader;
use super::view::View;
use crate::columns::value::{Kind, to_scalar};
use crate::doc::Scalar;
use crate::source::{Access, Column, Outline, SourceError, Wanted};

/// Values of a dictionary that are tried beforehand: their rows are counted by the heads of their bitmaps.
const COUNTED_VALUES_MAX: u32 = 256;

impl SectionReader {
    /// Of what does not read nothing is known: who looks at it will say so.
    pub(super) fn outlined(&self, column: &Column, wanted: Wanted<'_>) -> Option<Outline> {
        let view = self.view().ok()?;
        let core = &view.index.directory.core;
        let rows = u64::from(view.rows());
        Some(match column {
            Column::TraceId => of_column(&view, &core.trace, wanted),
            Column::Start => of_column(&view, &core.start, wanted),
            Column::Duration => of_column(&view, &core.duration, wanted),
            Column::End => Outline {
                access: Access::Numbers,
                rows: u64::from(core.duration.rows),
                ..Outline::default()
            },
            Column::Id => Outline {
                rows,
                distinct: rows,
                ..Outline::default()
            },
            Column::Path(path) => {
                let columns = view.columns_at(path).ok()?;
                let columns: Cow<'_, [ColumnEntry]> =
                    columns.filter(|columns| !view.misses(columns, 0..=u32::MAX))?;
                let outlines = columns.iter().map(|one| of_column(&view, one, wanted));
                outlines.fold(Outline::default(), Outline::and)
            }
            Column::Score(_) | Column::Scored(..) => return None,
        })
    }
}

fn of_column(view: &View<'_>, column: &ColumnEntry, wanted: Wanted<'_>) -> Outline {
    let has_bitmaps = view.has_bitmaps(column);
    Outline {
        access: match (&column.dict, has_bitmaps) {
            (_, true) => Access::Bitmaps,
            (Some(_), false) => Access::Codes,
            (None, false) => Access::Numbers,
        },
        rows: u64::from(column.rows),
        distinct: column.dict.as_ref().map_or(0, |dict| u64::from(dict.len())),
        zone: zone(column),
        passing: if has_bitmaps {
            counted(view, column, wanted).ok().flatten()
        } else {
            None
        },
    }
}

/// The smallest and the largest value of all row groups.
fn zone(column: &ColumnEntry) -> Option<(f64, f64)> {
    if column.dict.is_some() {
        return None;
    }
    let number = |n| match to_scalar(column.kind, n)? {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        Scalar::I64(n) => Some(n as f64),
        Scalar::F64(x) => Some(x),
        _ => None,
    };
    let mut all: Option<(f64, f64)> = None;
    for chunk in column.chunks.iter().flatten() {
        let (min, max) = (number(chunk.zone.0)?, number(chunk.zone.1)?);
        let (low, high) = all.unwrap_or((min, max));
        all = Some((low.min(min), high.max(max)));
    }
    all
}

/// How many rows the bitmaps of the values that pass have, if these are few enough to be tried, or one can be looked up.
fn counted(
    view: &View<'_>,
    column: &ColumnEntry,
    wanted: Wanted<'_>,
) -> Result<Option<u64>, SourceError> {
    let len = column.dict.as_ref().map_or(0, Dict::len);
    let mut dictionary = Dictionary::new(view, column);
    let codes = if let (Some(Scalar::Str(text)), Kind::Str) = (wanted.one, column.kind) {
        code_of(&mut dictionary, len, text)?.into_iter().collect()
    } else if len > COUNTED_VALUES_MAX {
        return Ok(None);
    } else {
        let mut codes = Vec::new();
        for code in 0..len {
            if (wanted.test)(dictionary.scalar(u64::from(code))?) != Some(false) {
                codes.push(code);
            }
        }
        codes
    };
    let mut rows = 0u64;
    for code in codes {
        rows = rows.saturating_add(view.bitmap_len(&view.bitmap_of(column, code)?)?);
    }
    Ok(Some(rows))
}

/// The code of a text: a dictionary ascends.
fn code_of(
    dictionary: &mut Dictionary<'_>,
    len: u32,
    text: &str,
) -> Result<Option<u32>, SourceError> {
    let (mut from, mut to) = (0, len);
    while from < to {
        let at = from + (to - from) / 2;
        match dictionary.text(u64::from(at))?.cmp(text) {
            std::cmp::Ordering::Less => from = at + 1,
            std::cmp::Ordering::Equal => return Ok(Some(at)),
            std::cmp::Ordering::Greater => to = at,
        }
    }
    Ok(None)
}

/// Whether so few rows are left that their codes are read sooner than the values of a column with bitmaps are tried.
pub(super) fn by_codes(candidates: u64, distinct: u64) -> bool {
    candidates.saturating_mul(CODES_PER_VALUE) <= distinct
}

/// Reading one code takes about as long as trying so many values.
const CODES_PER_VALUE: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_are_read_by_their_codes() {
        assert!(by_codes(0, 0) && by_codes(1, 4) && by_codes(1_000, 4_000));
        assert!(!by_codes(1, 3) && !by_codes(1_001, 4_003));
        assert!(!by_codes(u64::MAX, u64::MAX - 1));
    }
}
