//! In which order the rows of several sections stand in one.

use roaring::RoaringBitmap;

use super::columns::{Texts, unite};
use crate::columns::LEFT_OUT;
use crate::columns::value::to_i64;
use crate::segment::table::Table;
use crate::segment::view::View;
use crate::segment::wire::{Bad, count_u32, narrow};
use crate::segment::{ID_PAGE_ROWS, WINDOW_NS};
use crate::source::SourceError;

/// A row on its way: as a section sorts it.
struct Key {
    window: i64,
    /// Rank of its trace id.
    rank: u32,
    start: i64,
    input: u32,
    row: u32,
}

/// The rows that live on, in the order of the file.
pub(super) struct Order<'a> {
    /// Input and row in it.
    pub(super) rows: Vec<(u32, u32)>,
    /// Per input: row to row in the file, or [`LEFT_OUT`].
    pub(super) places: Vec<Vec<u32>>,
    /// The trace ids, ascending.
    pub(super) texts: Vec<&'a str>,
    /// Smallest and largest start.
    pub(super) starts: (i64, i64),
    /// Rank of the trace id of every row.
    ranks: Vec<u32>,
    ids: Vec<Vec<Table>>,
}

impl<'a> Order<'a> {
    pub(super) fn new(
        views: &[View<'_>],
        traces: &'a [Texts],
        dead: &[Option<&RoaringBitmap>],
    ) -> Result<Self, SourceError> {
        let codes = views
            .iter()
            .map(|view| all(view, view.numbers(&view.index.directory.core.trace)?));
        let codes = codes.collect::<Result<Vec<_>, _>>()?;
        let mut keys = Vec::new();
        let mut used: Vec<Vec<bool>> = traces.iter().map(Texts::unused).collect();
        for (input, view) in views.iter().enumerate() {
            let starts = all(view, view.numbers(&view.index.directory.core.start)?)?;
            let dead = dead.get(input).copied().flatten();
            for ((row, start), (_, code)) in starts.into_iter().zip(&codes[input]) {
                if dead.is_some_and(|dead| dead.contains(row)) {
                    continue;
                }
                let slot = used[input].get_mut(narrow(*code));
                *slot.ok_or_else(|| view.no_row())? = true;
                let start = to_i64(start);
                keys.push(Key {
                    window: start.div_euclid(WINDOW_NS),
                    rank: 0,
                    start,
                    input: count_u32(input),
                    row,
                });
            }
        }
        let (texts, ranks) = unite(traces, &used);
        for key in &mut keys {
            let input = narrow(u64::from(key.input));
            let (_, code) = codes[input][narrow(u64::from(key.row))];
            key.rank = ranks[input][narrow(code)];
        }
        drop(codes);
        let ids = views.iter().map(id_pages).collect::<Result<Vec<_>, _>>()?;
        sort(&mut keys, &ids);
        let places = views
            .iter()
            .map(|view| vec![LEFT_OUT; narrow(u64::from(view.rows()))]);
        let mut places: Vec<Vec<u32>> = places.collect();
        for (place, key) in (0..).zip(&keys) {
            places[narrow(u64::from(key.input))][narrow(u64::from(key.row))] = place;
        }
        let starts = keys.iter().map(|key| key.start);
        Ok(Self {
            starts: (starts.clone().min().unwrap_or(0), starts.max().unwrap_or(0)),
            ranks: keys.iter().map(|key| key.rank).collect(),
            rows: keys.into_iter().map(|key| (key.input, key.row)).collect(),
            places,
            texts,
            ids,
        })
    }

    /// The row ids, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.rows
            .iter()
            .map(|(input, row)| id_of(&self.ids, *input, *row))
    }

    /// The rank of each row's trace id.
    pub(super) fn trace_ranks(&self) -> impl Iterator<Item = u32> {
        self.ranks.iter().copied()
    }

    /// The trace id of each row.
    pub(super) fn traces(&self) -> impl Iterator<Item = &'a str> {
        let text = |rank: &u32| self.texts.get(narrow(u64::from(*rank))).copied();
        self.ranks
            .iter()
            .map(move |rank| text(rank).unwrap_or_default())
    }
}

/// The numbers of a column that every row has once.
fn all(view: &View<'_>, numbers: Vec<(u32, u64)>) -> Result<Vec<(u32, u64)>, SourceError> {
    let rows = (0..view.rows()).eq(numbers.iter().map(|pair| pair.0));
    if rows {
        Ok(numbers)
    } else {
        Err(view.no_row())
    }
}

fn id_pages(view: &View<'_>) -> Result<Vec<Table>, SourceError> {
    let ids = (0..).zip(&view.index.directory.ids);
    let pages = ids.map(|(page, piece)| {
        let table = view.page(*piece, page, ID_PAGE_ROWS, view.rows())?;
        for at in 0..table.len() {
            table.text(at).map_err(|bad: Bad| view.bad(*piece, bad))?;
        }
        Ok(table)
    });
    pages.collect()
}

/// A row id. Every page was read through before.
fn id_of(ids: &[Vec<Table>], input: u32, row: u32) -> &[u8] {
    let page = ids
        .get(narrow(u64::from(input)))
        .and_then(|pages| pages.get(narrow(u64::from(row / ID_PAGE_ROWS))));
    let id = page.and_then(|page| page.get(narrow(u64::from(row % ID_PAGE_ROWS))).ok());
    id.unwrap_or_default()
}

/// Stable, because inputs are sorted already and the library's sort finds that.
fn sort(keys: &mut [Key], ids: &[Vec<Table>]) {
    keys.sort_by(|a, b| {
        let by_key = (a.window, a.rank, a.start).cmp(&(b.window, b.rank, b.start));
        by_key.then_with(|| id_of(ids, a.input, a.row).cmp(id_of(ids, b.input, b.row)))
    });
}
