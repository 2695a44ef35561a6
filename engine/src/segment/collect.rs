//! Gathers the values of a section's rows by path and type.

use std::collections::HashMap;

use super::value::{Kind, to_number};
use super::wire::{count_u32, narrow};
use crate::doc::Scalar;

/// The values of one type at one path, as they are gathered.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) path: Box<str>,
    pub(super) kind: Kind,
    /// (row, number), rows ascending; for text the number is a code in order of appearance.
    pairs: Vec<(u32, u64)>,
    texts: HashMap<Box<str>, u32>,
}

/// A column ready to be encoded.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) path: Box<str>,
    pub(super) kind: Kind,
    /// (row, number), ascending, no pair twice; for text the number is a code.
    pub(super) pairs: Vec<(u32, u64)>,
    /// For text: the distinct values, ascending.
    pub(super) texts: Vec<Box<str>>,
}

impl Gathered {
    pub(super) fn new(path: &str, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            pairs: Vec::new(),
            texts: HashMap::new(),
        }
    }

    pub(super) fn push_number(&mut self, row: u32, number: u64) {
        self.pairs.push((row, number));
    }

    pub(super) fn push_text(&mut self, row: u32, text: &str) {
        let next = count_u32(self.texts.len());
        let code = match self.texts.get(text) {
            Some(code) => *code,
            None => *self.texts.entry(text.into()).or_insert(next),
        };
        self.pairs.push((row, u64::from(code)));
    }

    fn push(&mut self, row: u32, scalar: Scalar<'_>) {
        match scalar {
            Scalar::Str(text) => self.push_text(row, text),
            other => self.push_number(row, to_number(other).expect("BUG: text as a number")),
        }
    }

    pub(super) fn finish(self) -> Finished {
        let Self {
            path,
            kind,
            mut pairs,
            texts,
        } = self;
        let mut texts: Vec<(Box<str>, u32)> = texts.into_iter().collect();
        texts.sort_unstable();
        if kind == Kind::Str {
            let mut codes = vec![0; texts.len()];
            for (sorted, (_, seen)) in texts.iter().enumerate() {
                codes[narrow(u64::from(*seen))] = u64::from(count_u32(sorted));
            }
            for (_, number) in &mut pairs {
                *number = codes[narrow(*number)];
            }
        }
        if !pairs.is_sorted_by(|a, b| a < b) {
            pairs.sort_unstable();
            pairs.dedup();
        }
        let texts = texts.into_iter().map(|(text, _)| text).collect();
        Finished {
            path,
            kind,
            pairs,
            texts,
        }
    }
}

/// All columns of a section.
#[derive(Debug, Default)]
pub(super) struct Collector {
    at: HashMap<Box<str>, [Option<usize>; Kind::ALL.len()]>,
    columns: Vec<Gathered>,
}

impl Collector {
    /// Adds a value of a row; rows come in order.
    pub(super) fn push(&mut self, row: u32, path: &str, scalar: Scalar<'_>) {
        self.column(path, Kind::of(&scalar)).push(row, scalar);
    }

    fn column(&mut self, path: &str, kind: Kind) -> &mut Gathered {
        let by_kind = match self.at.get_mut(path) {
            Some(known) => known,
            None => self.at.entry(path.into()).or_default(),
        };
        let next = self.columns.len();
        let at = *by_kind[kind as usize].get_or_insert(next);
        if at == next {
            self.columns.push(Gathered::new(path, kind));
        }
        &mut self.columns[at]
    }

    /// The columns by path, then type.
    pub(super) fn finish(self) -> impl Iterator<Item = Finished> {
        let mut columns = self.columns;
        columns.sort_unstable_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
        columns.into_iter().map(Gathered::finish)
    }
}
