//! Columns of a memtable's table row group by row group.

use super::view::TableView;
use crate::columns::value::Kind;
use crate::source::{ColumnReader, Lane, LaneKind, Selection, SourceError, push_pairs};

/// Rows that are read under one hold of the columns' lock, whose writer waits meanwhile.
const ROWS_PER_HOLD: usize = 16_384;

/// See [`ColumnReader`]. Takes the columns' lock for each read, never between two.
#[derive(Debug)]
pub(super) struct Lanes<'a> {
    view: &'a TableView,
    path: Box<str>,
    code_count: u32,
}

impl<'a> Lanes<'a> {
    pub(super) fn new(view: &'a TableView, path: &str) -> Self {
        Self {
            view,
            path: path.into(),
            code_count: 0,
        }
    }

    /// Adds the (place, number) pairs of the rows from place `from` to before `to`.
    fn gather(
        &mut self,
        selection: &Selection,
        (from, to): (usize, usize),
        pairs: &mut [Vec<(u32, u64)>; Kind::ALL.len()],
    ) {
        let (Some(first), Some(last)) = (
            selection.row(from),
            to.checked_sub(1).and_then(|at| selection.row(at)),
        ) else {
            return;
        };
        let mut code_count = self.code_count;
        self.view.columns(&self.path, |columns| {
            for column in columns {
                let out = &mut pairs[column.kind() as usize];
                let mut place = from;
                for at in column.between(first, last) {
                    let Some(row) = column.rows().get(at) else {
                        break;
                    };
                    while selection.row(place).is_some_and(|selected| selected < *row) {
                        place += 1;
                    }
                    if selection.row(place) == Some(*row) {
                        let place = u32::try_from(place).unwrap_or(u32::MAX);
                        out.push((place, column.number(at)));
                    }
                }
                if let Some(texts) = column.dictionary() {
                    code_count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
                }
            }
        });
        self.code_count = code_count;
    }
}

impl ColumnReader for Lanes<'_> {
    fn read(&mut self, selection: &Selection, lanes: &mut Vec<Lane>) -> Result<(), SourceError> {
        lanes.clear();
        let mut pairs: [Vec<(u32, u64)>; Kind::ALL.len()] = Default::default();
        for from in (0..selection.len()).step_by(ROWS_PER_HOLD) {
            let to = selection.len().min(from + ROWS_PER_HOLD);
            self.gather(selection, (from, to), &mut pairs);
        }
        for (kind, pairs) in Kind::ALL.into_iter().zip(pairs) {
            push_pairs(lanes, LaneKind::of(kind), pairs, selection.len());
        }
        Ok(())
    }

    fn code_count(&self) -> u32 {
        self.code_count
    }

    fn texts(&mut self, codes: &[u32], visit: &mut dyn FnMut(&str)) -> Result<(), SourceError> {
        self.view.columns(&self.path, |columns| {
            let texts = columns.iter().find_map(|column| column.dictionary());
            for code in codes {
                visit(texts.map_or("", |texts| texts.text(*code)));
            }
        });
        Ok(())
    }
}
