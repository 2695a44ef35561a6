//! Accumulators: one array per measure, by number of the cell.

use super::answer::{Measured, Value};
use super::distinct::Distinct;
use super::numbers::Numbers;
use super::request::{DistinctMode, Measure};
use super::sketch::Sketch;
use crate::query::ast::Filter;
use crate::source::Column;

/// What is gathered; measures that need the same share it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Need<'q> {
    Rows(&'q Filter),
    Numbers(&'q Column),
    Sketch(&'q Column),
    Distinct(&'q Column, DistinctMode),
}

impl<'q> Need<'q> {
    /// What the measures need, and which of that each does.
    pub(super) fn of_all(measures: &'q [Measure]) -> (Vec<Self>, Vec<Option<usize>>) {
        let mut needs: Vec<Self> = Vec::new();
        let mut which = Vec::with_capacity(measures.len());
        for measure in measures {
            which.push(Self::of(measure).map(|need| {
                let known = needs.iter().position(|other| *other == need);
                known.unwrap_or_else(|| {
                    needs.push(need);
                    needs.len() - 1
                })
            }));
        }
        (needs, which)
    }

    /// What a measure needs beside the count of rows.
    const fn of(measure: &'q Measure) -> Option<Self> {
        Some(match measure {
            Measure::Count => return None,
            Measure::CountIf(filter) => Self::Rows(filter),
            Measure::Sum(column)
            | Measure::Avg(column)
            | Measure::Min(column)
            | Measure::Max(column) => Self::Numbers(column),
            Measure::Quantiles { column, .. } | Measure::Histogram(column) => Self::Sketch(column),
            Measure::Distinct { column, mode } => Self::Distinct(column, *mode),
        })
    }

    pub(super) const fn column(&self) -> Option<&'q Column> {
        match self {
            Self::Rows(_) => None,
            Self::Numbers(column) | Self::Sketch(column) | Self::Distinct(column, _) => {
                Some(column)
            }
        }
    }

    pub(super) fn state(&self) -> State {
        match self {
            Self::Rows(_) => State::Rows(Vec::new()),
            Self::Numbers(_) => State::Numbers(Vec::new()),
            Self::Sketch(_) => State::Sketches(Vec::new()),
            Self::Distinct(_, mode) => State::Distinct(Vec::new(), *mode),
        }
    }
}

/// A sketch, and what could not go into it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketched {
    pub(super) sketch: Sketch,
    pub(super) not_numbers: u64,
}

/// What is gathered, by cell.
#[derive(Clone, Debug)]
pub(super) enum State {
    Rows(Vec<u64>),
    Numbers(Vec<Numbers>),
    Sketches(Vec<Sketched>),
    Distinct(Vec<Distinct>, DistinctMode),
}

impl State {
    /// Makes room for so many cells.
    pub(super) fn resize(&mut self, cells: usize) {
        match self {
            Self::Rows(all) => all.resize(cells, 0),
            Self::Numbers(all) => all.resize_with(cells, Numbers::default),
            Self::Sketches(all) => all.resize_with(cells, Sketched::default),
            Self::Distinct(all, _) => all.resize_with(cells, Distinct::default),
        }
    }

    /// Adds another state's cell to one of its own.
    pub(super) fn merge(&mut self, into: usize, other: &Self, from: usize) {
        match (self, other) {
            (Self::Rows(mine), Self::Rows(theirs)) => {
                if let (Some(mine), Some(theirs)) = (mine.get_mut(into), theirs.get(from)) {
                    *mine += theirs;
                }
            }
            (Self::Numbers(mine), Self::Numbers(theirs)) => {
                if let (Some(mine), Some(theirs)) = (mine.get_mut(into), theirs.get(from)) {
                    mine.merge(theirs);
                }
            }
            (Self::Sketches(mine), Self::Sketches(theirs)) => {
                if let (Some(mine), Some(theirs)) = (mine.get_mut(into), theirs.get(from)) {
                    mine.sketch.merge(&theirs.sketch);
                    mine.not_numbers += theirs.not_numbers;
                }
            }
            (Self::Distinct(mine, mode), Self::Distinct(theirs, _)) => {
                if let (Some(mine), Some(theirs)) = (mine.get_mut(into), theirs.get(from)) {
                    mine.merge(theirs, *mode == DistinctMode::Estimated);
                }
            }
            _ => debug_assert!(false, "BUG: states of two kinds"),
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Rows(all) => all.capacity() * size_of::<u64>(),
            Self::Numbers(all) => {
                let heap: usize = all.iter().map(Numbers::heap_bytes).sum();
                heap + all.capacity() * size_of::<Numbers>()
            }
            Self::Sketches(all) => {
                let heap: usize = all.iter().map(|s| s.sketch.heap_bytes()).sum();
                heap + all.capacity() * size_of::<Sketched>()
            }
            Self::Distinct(all, _) => {
                let heap: usize = all.iter().map(Distinct::heap_bytes).sum();
                heap + all.capacity() * size_of::<Distinct>()
            }
        }
    }

    /// What a measure came to in a cell.
    pub(super) fn measured(&self, cell: usize, measure: &Measure) -> Option<Measured> {
        Some(match self {
            Self::Rows(all) => {
                let count = *all.get(cell)?;
                Measured {
                    value: Value::Count(count),
                    count,
                    not_numbers: 0,
                }
            }
            Self::Numbers(all) => {
                let numbers = all.get(cell)?;
                let number = match measure {
                    Measure::Avg(_) => numbers.mean().map(super::answer::Number::Float),
                    Measure::Min(_) => numbers.min(),
                    Measure::Max(_) => numbers.max(),
                    _ => numbers.sum(),
                };
                Measured {
                    value: Value::Number(number),
                    count: numbers.count(),
                    not_numbers: numbers.others(),
                }
            }
            Self::Sketches(all) => {
                let Sketched {
                    sketch,
                    not_numbers,
                } = all.get(cell)?;
                let value = match measure {
                    Measure::Quantiles { at, .. } => Value::Quantiles(sketch.quantiles(at)),
                    _ => Value::Histogram(sketch.histogram()),
                };
                Measured {
                    value,
                    count: sketch.count(),
                    not_numbers: *not_numbers,
                }
            }
            Self::Distinct(all, _) => {
                let (count, exact) = all.get(cell)?.count();
                Measured {
                    value: Value::Distinct { count, exact },
                    count,
                    not_numbers: 0,
                }
            }
        })
    }
}
