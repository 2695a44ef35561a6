//! Columns of several sections as one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::order::Order;
use crate::columns::value::Kind;
use crate::columns::{Finished, LEFT_OUT};
use crate::segment::directory::{ColumnEntry, Dict, Piece};
use crate::segment::packed::Packed;
use crate::segment::promote::{self, Promoted, RarePage};
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

/// Columns of inputs by the key's hash, path, input and type, a page of each at a time.
struct Walk<'v> {
    inputs: Vec<Input<'v>>,
}

/// The columns of one input, those of its directory and those of its pages.
struct Input<'v> {
    view: &'v View<'v>,
    own: std::iter::Peekable<std::vec::IntoIter<&'v ColumnEntry>>,
    pages: std::slice::Iter<'v, RarePage>,
    rare: std::iter::Peekable<std::vec::IntoIter<ColumnEntry>>,
}

impl<'v> Input<'v> {
    fn new(view: &'v View<'v>) -> Self {
        let directory = &view.index.directory;
        let mut own: Vec<&ColumnEntry> = directory.columns.iter().collect();
        own.sort_by_cached_key(|column| promote::hash(&column.path));
        Self {
            view,
            own: own.into_iter().peekable(),
            pages: directory.rare.iter(),
            rare: Vec::new().into_iter().peekable(),
        }
    }

    /// The next key.
    fn peek(&mut self) -> Result<Option<(u64, &str)>, SourceError> {
        if self.rare.peek().is_none()
            && let Some(page) = self.pages.next()
        {
            self.rare = self.view.rare(page.piece)?.into_iter().peekable();
        }
        let own = self.own.peek().map(|column| &*column.path);
        let rare = self.rare.peek().map(|column| &*column.path);
        let paths = [own, rare].into_iter().flatten();
        Ok(paths.map(|path| (promote::hash(path), path)).min())
    }

    /// Takes its columns of a key that is the next of all.
    fn take(&mut self, path: &str) -> Vec<Cow<'v, ColumnEntry>> {
        let is_meant = |column: &ColumnEntry| *column.path == *path;
        let mut found = Vec::new();
        while let Some(column) = self.own.next_if(|column| is_meant(column)) {
            found.push(Cow::Borrowed(column));
        }
        while let Some(column) = self.rare.next_if(|column| is_meant(column)) {
            found.push(Cow::Owned(column));
        }
        found
    }
}

/// A column of an input, by its number.
type OfInput<'v> = (usize, Cow<'v, ColumnEntry>);
/// A key and its columns.
type Key<'v> = (Box<str>, Vec<OfInput<'v>>);

impl<'v> Walk<'v> {
    fn new(views: &'v [View<'v>]) -> Self {
        let inputs = views.iter().map(Input::new).collect();
        Self { inputs }
    }

    /// The next key and its columns.
    fn next(&mut self) -> Result<Option<Key<'v>>, SourceError> {
        let mut least: Option<(u64, Box<str>)> = None;
        for input in &mut self.inputs {
            if let Some((hash, path)) = input.peek()?
                && least
                    .as_ref()
                    .is_none_or(|(h, p)| (hash, path) < (*h, &**p))
            {
                least = Some((hash, path.into()));
            }
        }
        let Some((_, path)) = least else {
            return Ok(None);
        };
        let inputs = self.inputs.iter_mut().enumerate();
        let of_input = |(at, input): (usize, &mut Input<'v>)| {
            let columns = input.take(&path).into_iter();
            columns.map(move |column| (at, column)).collect::<Vec<_>>()
        };
        let columns = inputs.flat_map(of_input).collect();
        Ok(Some((path, columns)))
    }
}

/// The keys that go into the directory, by the rows of all inputs.
pub(super) fn promoted(views: &[View<'_>]) -> Result<Promoted, SourceError> {
    let mut walk = Walk::new(views);
    let mut failed = None;
    let keys = std::iter::from_fn(|| match walk.next() {
        Ok(next) => {
            let (path, columns) = next?;
            let rows = columns.iter().map(|(_, column)| u64::from(column.rows));
            Some((String::from(path).into(), rows.sum::<u64>()))
        }
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    let promoted = Promoted::choose(keys);
    failed.map_or(Ok(promoted), Err)
}

/// Calls `encode` with the columns of the keys that are not in the directory, by hash, path and type. Paths that shared a column have
/// one each: what is known of all keys at once is bounded.
pub(super) fn each_rare(
    views: &[View<'_>],
    order: &Order<'_>,
    promoted: &Promoted,
    encode: &mut dyn FnMut(&str, Finished<'_>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let mut walk = Walk::new(views);
    while let Some((path, columns)) = walk.next()? {
        if promoted.has(&path) {
            continue;
        }
        for kind in Kind::ALL {
            let of_kind = columns.iter().filter(|(_, column)| column.kind == kind);
            let parts = of_kind.filter_map(|(at, column)| {
                Some(Part {
                    view: views.get(*at)?,
                    column,
                    places: order.places.get(*at)?,
                })
            });
            let parts: Vec<Part<'_>> = parts.collect();
            put(&[&*path], kind, &parts, &mut |_, column| {
                encode(&path, column)
            })?;
        }
    }
    Ok(())
}

/// The columns of promoted keys that are not in the directory of their input.
fn risen(views: &[View<'_>], promoted: &Promoted) -> Result<Vec<Vec<ColumnEntry>>, SourceError> {
    let of_view = |view: &View<'_>| {
        let mut found = Vec::new();
        for page in &view.index.directory.rare {
            let entries = view.rare(page.piece)?.into_iter();
            found.extend(entries.filter(|entry| promoted.has(&entry.path)));
        }
        Ok(found)
    };
    views.iter().map(of_view).collect()
}

/// Calls `encode` with every column of the inputs that goes into the directory, by its first path, then type. Paths that share a
/// column in every input share it still.
pub(super) fn each(
    views: &[View<'_>],
    order: &Order<'_>,
    promoted: &Promoted,
    encode: Encode<'_>,
) -> Result<(), WriteError> {
    let risen = risen(views, promoted)?;
    let mut all: BTreeMap<(&str, Kind), Parts<'_>> = BTreeMap::new();
    let inputs = views.iter().zip(&order.places).zip(&risen);
    for (input, ((view, places), risen)) in inputs.enumerate() {
        let columns = view.index.directory.columns.iter().chain(risen);
        for column in columns.filter(|column| promoted.has(&column.path)) {
            let part = Part {
                view,
                column,
                places,
            };
            let parts = all.entry((&column.path, column.kind)).or_default();
            parts.push((input, part));
        }
    }
    twins(all)
        .into_iter()
        .try_for_each(|(paths, kind, parts)| put(&paths, kind, &parts, encode))
}

/// Encodes the parts of a column as one, if any row has a value.
fn put(
    paths: &[&str],
    kind: Kind,
    parts: &[Part<'_>],
    encode: Encode<'_>,
) -> Result<(), WriteError> {
    if parts.is_empty() {
        return Ok(());
    }
    if kind == Kind::Str {
        return texts(paths, parts, encode);
    }
    let column = Finished::of_numbers(kind, numbers(parts)?);
    if column.pairs.is_empty() {
        return Ok(());
    }
    encode(paths, column)
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
