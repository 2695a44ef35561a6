//! Reads single values of a section: dictionary entries, row ids, hot columns.

use roaring::RoaringBitmap;

use super::directory::{ColumnEntry, Dict, Piece};
use super::index::id_hash;
use super::packed::Packed;
use super::table::Table;
use super::view::{Column, View, required};
use super::wire::Bad;
use super::wire::narrow;
use super::{GROUP_ROWS, ID_PAGE_ROWS, Page};
use crate::columns::value::{Kind, to_i64, to_scalar};
use crate::doc::{DocRef, Scalar, scalar_of};
use crate::source::{Core, SourceError};

/// The distinct values of a column; pages are held once read.
pub(super) struct Dictionary<'a> {
    view: &'a View<'a>,
    column: &'a ColumnEntry,
    pages: Vec<Option<Table>>,
    numbers: Option<Packed>,
}

impl<'a> Dictionary<'a> {
    pub(super) fn new(view: &'a View<'a>, column: &'a ColumnEntry) -> Self {
        let pages = match &column.dict {
            Some(Dict::Text { pages, .. }) => vec![None; pages.len()],
            _ => Vec::new(),
        };
        Self {
            view,
            column,
            pages,
            numbers: None,
        }
    }

    /// The value of a number in a chunk: itself, or what the code stands for.
    pub(super) fn scalar(&mut self, number: u64) -> Result<Scalar<'_>, SourceError> {
        let (view, kind) = (self.view, self.column.kind);
        if kind == Kind::Str {
            return scalar_of(DocRef::Str(self.text(number)?)).ok_or_else(|| view.no_row());
        }
        let (piece, number) = match &self.column.dict {
            Some(Dict::Numbers { piece, len }) => {
                (Some(*piece), self.number(*piece, *len, number)?)
            }
            _ => (None, number),
        };
        to_scalar(kind, number)
            .ok_or(Bad("value"))
            .map_err(|bad: Bad| piece.map_or_else(|| view.no_row(), |p| view.bad(p, bad)))
    }

    fn number(&mut self, piece: Piece, len: u32, code: u64) -> Result<u64, SourceError> {
        if self.numbers.is_none() {
            let len = narrow(u64::from(len));
            let read = self
                .view
                .decode(piece, |cursor| Packed::read_exact(cursor, len))?;
            self.numbers = Some(read);
        }
        let numbers = self.numbers.as_ref().ok_or_else(|| self.view.no_row())?;
        let at = usize::try_from(code).unwrap_or(usize::MAX);
        numbers.get(at).map_err(|bad| self.view.bad(piece, bad))
    }

    pub(super) fn text(&mut self, code: u64) -> Result<&str, SourceError> {
        let view = self.view;
        let Some(Dict::Text { len, pages }) = &self.column.dict else {
            return Err(view.no_row());
        };
        let code = u32::try_from(code).ok().filter(|code| code < len);
        let code = code.ok_or_else(|| view.no_row())?;
        let page = code / Page::Text.items();
        let at = narrow(u64::from(page));
        let (Some(piece), Some(slot)) = (pages.get(at), self.pages.get_mut(at)) else {
            return Err(view.no_row());
        };
        let table = match slot {
            Some(table) => table,
            None => slot.insert(view.page(*piece, page, Page::Text.items(), *len)?),
        };
        table
            .text(narrow(u64::from(code % Page::Text.items())))
            .map_err(|bad| view.bad(*piece, bad))
    }
}

/// Row ids; the page that was read last is held.
pub(super) struct Ids<'a> {
    view: &'a View<'a>,
    page: Option<(u32, Piece, Table)>,
}

impl<'a> Ids<'a> {
    pub(super) fn new(view: &'a View<'a>) -> Self {
        Self { view, page: None }
    }

    pub(super) fn get(&mut self, row: u32) -> Result<&str, SourceError> {
        let view = self.view;
        let page = row / ID_PAGE_ROWS;
        if self.page.as_ref().is_none_or(|(at, ..)| *at != page) {
            let piece = *view
                .index
                .directory
                .ids
                .get(narrow(u64::from(page)))
                .ok_or_else(|| view.no_row())?;
            self.page = Some((
                page,
                piece,
                view.page(piece, page, ID_PAGE_ROWS, view.rows())?,
            ));
        }
        let (_, piece, table) = self.page.as_ref().ok_or_else(|| view.no_row())?;
        table
            .text(narrow(u64::from(row % ID_PAGE_ROWS)))
            .map_err(|bad| view.bad(*piece, bad))
    }
}

/// The ids of one trace's rows as hashes: a trace that comes in pieces would otherwise read all its rows again for each new one.
#[derive(Debug)]
pub(super) struct TraceIds {
    trace_id: Box<str>,
    /// Hash of the id, row; in order.
    rows: Box<[(u32, u32)]>,
}

/// What it takes to hold one, beside its rows, about.
const TRACE_IDS_BYTES: usize = 256;

impl TraceIds {
    /// Bytes that it takes for these rows.
    pub(super) fn weight(trace_id: &str, rows: &RoaringBitmap) -> usize {
        narrow(rows.len().saturating_mul(8))
            .saturating_add(trace_id.len())
            .saturating_add(TRACE_IDS_BYTES)
    }

    pub(super) fn read(
        trace_id: &str,
        rows: &RoaringBitmap,
        ids: &mut Ids<'_>,
    ) -> Result<Self, SourceError> {
        let mut all = Vec::with_capacity(narrow(rows.len()));
        for row in rows {
            all.push((id_hash(ids.get(row)?), row));
        }
        all.sort_unstable();
        Ok(Self {
            trace_id: trace_id.into(),
            rows: all.into(),
        })
    }

    /// Whether it is of this trace: others may have its hash.
    pub(super) fn is_of(&self, trace_id: &str) -> bool {
        *self.trace_id == *trace_id
    }

    /// The row of an id, of which there is mostly none. `view` is asked for what the hash cannot tell.
    pub(super) fn find<'a>(
        &self,
        id: &str,
        view: impl FnOnce() -> Result<View<'a>, SourceError>,
    ) -> Result<Option<u32>, SourceError> {
        let hash = id_hash(id);
        let from = self.rows.partition_point(|(of, _)| *of < hash);
        let same = self.rows[from..].iter().take_while(|(of, _)| *of == hash);
        let mut same = same.map(|(_, row)| *row).peekable();
        if same.peek().is_none() {
            return Ok(None);
        }
        let view = view()?;
        let mut ids = Ids::new(&view);
        for row in same {
            if ids.get(row)? == id {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// The hot columns of one row group.
pub(super) struct CoreReader<'a> {
    view: &'a View<'a>,
    traces: Dictionary<'a>,
    ids: Ids<'a>,
    trace: Column,
    start: Column,
    duration: Option<Column>,
    lsn_first: Column,
    lsn_delta: Column,
}

impl<'a> CoreReader<'a> {
    /// The group of `row`.
    pub(super) fn new(view: &'a View<'a>, row: u32) -> Result<Self, SourceError> {
        if row >= view.rows() {
            return Err(view.no_row());
        }
        let core = &view.index.directory.core;
        let group = row / GROUP_ROWS;
        Ok(Self {
            view,
            traces: Dictionary::new(view, &core.trace),
            ids: Ids::new(view),
            trace: required(view, &core.trace, group)?,
            start: required(view, &core.start, group)?,
            duration: view.chunk(&core.duration, group)?,
            lsn_first: required(view, &core.lsn_first, group)?,
            lsn_delta: required(view, &core.lsn_delta, group)?,
        })
    }

    pub(super) fn core(&mut self, row: u32) -> Result<Core, SourceError> {
        let view = self.view;
        let start_ns = to_i64(self.start.one(view, row)?);
        let duration = match &mut self.duration {
            Some(column) => column.maybe(view, row)?,
            None => None,
        };
        let lsn_first = self.lsn_first.one(view, row)?;
        Ok(Core {
            trace_id: self.traces.text(self.trace.one(view, row)?)?.into(),
            id: self.ids.get(row)?.into(),
            start_ns,
            end_ns: duration.map(|d| start_ns.wrapping_add(to_i64(d))),
            lsn_first,
            lsn_last: lsn_first.wrapping_add(self.lsn_delta.one(view, row)?),
        })
    }
}
