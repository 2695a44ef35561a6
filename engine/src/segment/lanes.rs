//! Columns of a section row group by row group.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::GROUP_ROWS;
use super::directory::{ColumnEntry, Dict, Directory, Piece};
use super::lookup::{Dictionary, Ids};
use super::packed::Packed;
use super::section::SectionReader;
use super::view::View;
use super::wire::{Bad, narrow};
use crate::columns::value::{Kind, from_i64, to_i64};
use crate::source::{Column, ColumnReader, Lane, LaneKind, LaneValues, Selection, SourceError};

/// Starts and durations within these bounds add up to an end without overflow.
const SAFE_NS: Range<i64> = -(1 << 62)..1 << 62;

#[derive(Clone, Debug)]
enum Which {
    Trace,
    Start,
    Id,
    End,
    Duration,
    /// These of the directory's columns.
    Path(Range<usize>),
    /// Columns that are not in the directory.
    Rare(Arc<[ColumnEntry]>),
}

impl Which {
    /// The columns of a path.
    fn columns<'d>(&'d self, directory: &'d Directory) -> &'d [ColumnEntry] {
        match self {
            Self::Path(range) => directory.columns.get(range.clone()).unwrap_or_default(),
            Self::Rare(columns) => columns,
            _ => &[],
        }
    }
}

/// See [`ColumnReader`].
pub(super) struct Lanes<'a> {
    view: View<'a>,
    which: Which,
    /// Decoded numeric dictionaries, by column of a path.
    numbers: Vec<Option<Vec<u64>>>,
    code_count: u32,
}

impl<'a> Lanes<'a> {
    pub(super) fn open(section: &'a SectionReader, column: &Column) -> Result<Self, SourceError> {
        let view = section.view()?;
        let directory = &view.index.directory;
        let text_len = |columns: &[ColumnEntry]| {
            let dicts = columns.iter().filter(|c| c.kind == Kind::Str);
            dicts.map(|c| c.dict.as_ref().map_or(0, Dict::len)).sum()
        };
        let (which, code_count) = match column {
            Column::TraceId => {
                let trace = std::slice::from_ref(&directory.core.trace);
                (Which::Trace, text_len(trace))
            }
            Column::Id => (Which::Id, view.rows()),
            Column::Start => (Which::Start, 0),
            Column::End => (Which::End, 0),
            Column::Duration => (Which::Duration, 0),
            Column::Score(_) | Column::Scored(..) => (Which::Path(0..0), 0),
            Column::Path(path) => {
                let which = match view.columns_at(path)? {
                    Some(Cow::Owned(columns)) => Which::Rare(columns.into()),
                    _ => Which::Path(directory.range_at(path)),
                };
                let count = text_len(which.columns(directory));
                (which, count)
            }
        };
        let columns = which.columns(directory).len();
        Ok(Self {
            view,
            which,
            numbers: vec![None; columns],
            code_count,
        })
    }

    /// Reads one typed column.
    fn typed(
        &self,
        column: &ColumnEntry,
        dictionary: Option<&[u64]>,
        selection: &Selection,
        lanes: &mut Vec<Lane>,
    ) -> Result<(), SourceError> {
        let Some(group) = selection.first().map(|row| row / GROUP_ROWS) else {
            return Ok(());
        };
        let Some(chunked) = self.view.chunk(column, group)? else {
            return Ok(());
        };
        let bad = |bad| self.view.bad(chunked.piece, bad);
        let (chunk, first) = (&chunked.chunk, chunked.first);
        let (places, values) = if column.kind == Kind::Str {
            let mut codes = Vec::with_capacity(selection.len());
            let code = |n| u32::try_from(n).unwrap_or(u32::MAX);
            let places = chunk.select(first, selection, &mut codes, code);
            let places = places.map_err(bad)?;
            if codes.iter().any(|code| *code >= self.code_count) {
                return Err(bad(Bad("code past its dictionary")));
            }
            (places, LaneValues::Codes(codes))
        } else {
            let mut numbers = Vec::with_capacity(selection.len());
            let places = match dictionary {
                None => chunk.select(first, selection, &mut numbers, |n| n),
                Some(known) => {
                    let places = chunk.select(first, selection, &mut numbers, |n| n);
                    for number in &mut numbers {
                        let at = usize::try_from(*number).unwrap_or(usize::MAX);
                        let value = known.get(at).copied();
                        *number = value.ok_or_else(|| bad(Bad("code past its dictionary")))?;
                    }
                    places
                }
            };
            (places.map_err(bad)?, LaneValues::Numbers(numbers))
        };
        let empty = matches!(&places, Some(places) if places.is_empty());
        if !empty {
            lanes.push(Lane {
                kind: LaneKind::of(column.kind),
                places,
                values,
            });
        }
        Ok(())
    }

    /// The dictionary of a numeric column, decoded.
    fn dictionary(&self, piece: Piece, len: u32) -> Result<Vec<u64>, SourceError> {
        let len = narrow(u64::from(len));
        self.view.decode(piece, |cursor| {
            let packed = Packed::read_exact(cursor, len)?;
            let mut numbers = Vec::with_capacity(len.min(cursor.0.len().max(1 << 16)));
            packed.unpack(0..len, &mut numbers, |n| n)?;
            Ok(numbers)
        })
    }

    fn path(
        &mut self,
        which: &Which,
        selection: &Selection,
        lanes: &mut Vec<Lane>,
    ) -> Result<(), SourceError> {
        let index = Arc::clone(&self.view.index);
        let columns = which.columns(&index.directory);
        for (at, column) in columns.iter().enumerate() {
            let mut dictionary = None;
            if let (Some(Dict::Numbers { len, piece }), Some(slot)) =
                (&column.dict, self.numbers.get(at))
            {
                if slot.is_none() {
                    let read = self.dictionary(*piece, *len)?;
                    if let Some(slot) = self.numbers.get_mut(at) {
                        *slot = Some(read);
                    }
                }
                dictionary = self.numbers.get(at).and_then(Option::as_deref);
            }
            self.typed(column, dictionary, selection, lanes)?;
        }
        Ok(())
    }

    /// Ends, or durations, of the rows that have one.
    fn ends(
        &self,
        durations: bool,
        selection: &Selection,
        lanes: &mut Vec<Lane>,
    ) -> Result<(), SourceError> {
        let core = &self.view.index.directory.core;
        self.typed(&core.duration, None, selection, lanes)?;
        let zone = |column: &ColumnEntry| {
            let group = selection.first().map_or(0, |row| row / GROUP_ROWS);
            let chunk = column.chunks.get(narrow(u64::from(group)));
            chunk.and_then(Option::as_ref).map(|chunk| chunk.zone)
        };
        let safe = |column: &ColumnEntry| {
            zone(column).is_some_and(|(low, high)| {
                SAFE_NS.contains(&to_i64(low)) && SAFE_NS.contains(&to_i64(high))
            })
        };
        if durations && safe(&core.start) && safe(&core.duration) {
            return Ok(());
        }
        let mut starts = Vec::new();
        self.typed(&core.start, None, selection, &mut starts)?;
        let (Some(lane), Some(start)) = (lanes.first_mut(), starts.first()) else {
            return Ok(());
        };
        let (LaneValues::Numbers(values), LaneValues::Numbers(starts)) =
            (&mut lane.values, &start.values)
        else {
            return Ok(());
        };
        for (i, value) in values.iter_mut().enumerate() {
            let place = match &lane.places {
                Some(places) => narrow(u64::from(places.get(i).copied().unwrap_or(0))),
                None => i,
            };
            let start = to_i64(starts.get(place).copied().unwrap_or(0));
            let end = start.wrapping_add(to_i64(*value));
            *value = from_i64(if durations {
                end.saturating_sub(start)
            } else {
                end
            });
        }
        Ok(())
    }
}

impl ColumnReader for Lanes<'_> {
    fn read(&mut self, selection: &Selection, lanes: &mut Vec<Lane>) -> Result<(), SourceError> {
        lanes.clear();
        if selection.is_empty() {
            return Ok(());
        }
        let core = &self.view.index.directory.core;
        match self.which.clone() {
            Which::Trace => self.typed(&core.trace, None, selection, lanes),
            Which::Start => self.typed(&core.start, None, selection, lanes),
            // Ids have no dictionary: the code of each is its row.
            Which::Id => {
                let mut codes = Vec::with_capacity(selection.len());
                selection.each(&mut |_, row| codes.push(row));
                lanes.push(Lane {
                    kind: LaneKind::Str,
                    places: None,
                    values: LaneValues::Codes(codes),
                });
                Ok(())
            }
            Which::End => self.ends(false, selection, lanes),
            Which::Duration => self.ends(true, selection, lanes),
            which @ (Which::Path(_) | Which::Rare(_)) => self.path(&which, selection, lanes),
        }
    }

    fn code_count(&self) -> u32 {
        self.code_count
    }

    fn texts(&mut self, codes: &[u32], visit: &mut dyn FnMut(&str)) -> Result<(), SourceError> {
        let directory = &self.view.index.directory;
        let column = match &self.which {
            Which::Id => {
                let mut ids = Ids::new(&self.view);
                for row in codes {
                    visit(ids.get(*row)?);
                }
                return Ok(());
            }
            which @ (Which::Path(_) | Which::Rare(_)) => {
                let mut columns = which.columns(directory).iter();
                columns.find(|column| column.kind == Kind::Str)
            }
            _ => Some(&directory.core.trace),
        };
        let Some(column) = column else {
            return Ok(());
        };
        let mut dictionary = Dictionary::new(&self.view, column);
        for code in codes {
            visit(dictionary.text(u64::from(*code))?);
        }
        Ok(())
    }
}
