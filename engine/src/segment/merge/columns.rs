//! Columns of several sections as one.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::order::Order;
use crate::columns::value::Kind;
use crate::columns::{Finished, LEFT_OUT};
use crate::segment::directory::{ColumnEntry, Dict, Piece};
use crate::segment::packed::Packed;
use crate::segment::table::Table;
use crate::segment::view::View;
use crate::segment::wire::{count_u32, narrow};
use crate::segment::{Page, WriteError};
use crate::source::SourceError;

/// A column of an input, and where the input's rows go.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) column: &'a ColumnEntry,
    pub(super) places: &'a [u32],
}

/// All texts of a dictionary.
pub(in crate::segment) struct Texts {
    pages: Vec<Table>,
    len: u32,
}

impl Texts {
    pub(in crate::segment) fn read(
        view: &View<'_>,
        column: &ColumnEntry,
    ) -> Result<Self, SourceError> {
        let Some(Dict::Text { len, pages }) = &column.dict else {
            return Err(view.no_row());
        };
        let read = (0..).zip(pages).map(|(page, piece)| {
            let table = view.page(*piece, page, Page::Text.items(), *len)?;
            for at in 0..table.len() {
                table.text(at).map_err(|bad| view.bad(*piece, bad))?;
            }
            Ok(table)
        });
        Ok(Self {
            pages: read.collect::<Result<_, SourceError>>()?,
            len: *len,
        })
    }

    /// The text of a code. Every page was read through before.
    pub(in crate::segment) fn get(&self, code: u32) -> &str {
        let page = self.pages.get(narrow(u64::from(code / Page::Text.items())));
        let text =
            page.and_then(|page| page.text(narrow(u64::from(code % Page::Text.items()))).ok());
        text.unwrap_or_default()
    }

    /// No code is used yet.
    pub(super) fn unused(&self) -> Vec<bool> {
        vec![false; narrow(u64::from(self.len))]
    }
}

/// The used texts of several dictionaries, ascending, each once; and per dictionary, code to rank.
pub(super) fn unite<'a>(all: &'a [Texts], used: &[Vec<bool>]) -> (Vec<&'a str>, Vec<Vec<u32>>) {
    let mut found: Vec<(&str, usize, u32)> = Vec::new();
    for (input, (texts, used)) in all.iter().zip(used).enumerate() {
        let codes = (0..).zip(used).filter(|(_, used)| **used);
        found.extend(codes.map(|(code, _)| (texts.get(code), input, code)));
    }
    // Stable: dictionaries are sorted already, and the library's sort finds that.
    found.sort_by(|a, b| a.0.cmp(b.0));
    let mut ranks: Vec<Vec<u32>> = used.iter().map(|used| vec![0; used.len()]).collect();
    let mut texts: Vec<&str> = Vec::new();
    for (text, input, code) in found {
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        ranks[input][narrow(u64::from(code))] = count_u32(texts.len() - 1);
    }
    (texts, ranks)
}

/// What becomes one column.
type Parts<'a> = Vec<(usize, Part<'a>)>;

/// Takes the paths of a column, and the column.
type Encode<'e> = &'e mut dyn FnMut(&[&str], Finished<'_>) -> Result<(), WriteError>;

/// Calls `encode` with every column of the inputs, by its first path, then type. Paths that share a column in every input share it
/// still.
pub(super) fn each(
    views: &[View<'_>],
    order: &Order<'_>,
    encode: Encode<'_>,
) -> Result<(), WriteError> {
    let mut all: BTreeMap<(&str, Kind), Parts<'_>> = BTreeMap::new();
    for (input, (view, places)) in views.iter().zip(&order.places).enumerate() {
        for column in &view.index.directory.columns {
            let part = Part {
                view,
                column,
                places,
            };
            let parts = all.entry((&column.path, column.kind)).or_default();
            parts.push((input, part));
        }
    }
    for (paths, kind, parts) in twins(all) {
        if kind == Kind::Str {
            texts(&paths, &parts, encode)?;
        } else {
            let column = Finished::of_numbers(kind, numbers(&parts)?);
            if !column.pairs.is_empty() {
                encode(&paths, column)?;
            }
        }
    }
    Ok(())
}

/// Columns of which the parts are the same pieces of the same inputs are one.
fn twins<'a>(
    all: BTreeMap<(&'a str, Kind), Parts<'a>>,
) -> Vec<(Vec<&'a str>, Kind, Vec<Part<'a>>)> {
    let mut twins: Vec<(Vec<&str>, Kind, Parts<'_>)> = Vec::new();
    let mut known: HashMap<(Kind, usize, Option<Piece>), Vec<usize>> = HashMap::new();
    for ((path, kind), parts) in all {
        let first = parts
            .first()
            .and_then(|(_, part)| part.column.first_piece());
        let alike = known.entry((kind, parts.len(), first)).or_default();
        let is_same = |at: &usize| {
            let others = &twins[*at].2;
            let mut pairs = parts.iter().zip(others);
            others.len() == parts.len()
                && pairs.all(|(a, b)| a.0 == b.0 && a.1.column.is_same(b.1.column))
        };
        if let Some(same) = alike.iter().copied().find(is_same) {
            twins[same].0.push(path);
        } else {
            alike.push(twins.len());
            twins.push((vec![path], kind, parts));
        }
    }
    let parts = |parts: Parts<'a>| parts.into_iter().map(|(_, part)| part).collect();
    twins
        .into_iter()
        .map(|(paths, kind, of)| (paths, kind, parts(of)))
        .collect()
}

/// The pairs of columns of numbers, in the order of the file.
pub(super) fn numbers(parts: &[Part<'_>]) -> Result<Vec<(u32, u64)>, SourceError> {
    let mut pairs = Vec::new();
    for part in parts {
        let view = part.view;
        let dictionary = match &part.column.dict {
            Some(Dict::Numbers { len, piece }) => {
                let len = narrow(u64::from(*len));
                let packed = view.decode(*piece, |cursor| Packed::read_exact(cursor, len))?;
                Some((*piece, packed))
            }
            _ => None,
        };
        for (row, number) in view.numbers(part.column)? {
            let place = part.place(row)?;
            if place == LEFT_OUT {
                continue;
            }
            let number = match &dictionary {
                Some((piece, packed)) => packed
                    .get(narrow(number))
                    .map_err(|bad| view.bad(*piece, bad))?,
                None => number,
            };
            pairs.push((place, number));
        }
    }
    Ok(pairs)
}

fn texts(paths: &[&str], parts: &[Part<'_>], encode: Encode<'_>) -> Result<(), WriteError> {
    let dictionaries = parts.iter().map(|part| Texts::read(part.view, part.column));
    let dictionaries = dictionaries.collect::<Result<Vec<_>, _>>()?;
    let mut used: Vec<Vec<bool>> = dictionaries.iter().map(Texts::unused).collect();
    let mut pairs = Vec::new();
    let mut ends = Vec::new();
    for (part, used) in parts.iter().zip(&mut used) {
        for (row, code) in part.view.numbers(part.column)? {
            let place = part.place(row)?;
            if place == LEFT_OUT {
                continue;
            }
            let slot = used.get_mut(narrow(code));
            *slot.ok_or_else(|| part.view.no_row())? = true;
            pairs.push((place, code));
        }
        ends.push(pairs.len());
    }
    if pairs.is_empty() {
        return Ok(());
    }
    let (texts, ranks) = unite(&dictionaries, &used);
    let mut from = 0;
    for (end, ranks) in ends.into_iter().zip(&ranks) {
        for (_, code) in &mut pairs[from..end] {
            *code = u64::from(ranks[narrow(*code)]);
        }
        from = end;
    }
    encode(paths, Finished::of_texts(pairs, texts))
}

impl Part<'_> {
    fn place(&self, row: u32) -> Result<u32, SourceError> {
        let place = self.places.get(narrow(u64::from(row))).copied();
        place.ok_or_else(|| self.view.no_row())
    }
}
