//! Merges sections without reading their documents.
//!
//! Columns are merged as columns: dictionaries united, codes renamed, rows put in their new order.
//! Payload blocks of which every row lives on are copied as they stand; of the others the rows that
//! live on are written anew. A merge holds the rows' order, ids and one column at a time, and a few
//! MiB of bodies, however large its inputs are. It goes in [`steps`](super::steps): the order, each payload block,
//! each column, a thousand terms.

pub(super) mod columns;
mod order;
mod payload;

use roaring::RoaringBitmap;

use super::block::BlockWriter;
use super::directory::{ColumnEntry, CoreColumns, Directory, Payload, Placement};
use super::encode::{self, Pieces, Role};
use super::footer::{Form, SectionEntry};
use super::promote::RarePage;
use super::section::SectionReader;
use super::steps::Steps;
use super::view::View;
use super::wire::{count_u32, wide};
use super::write::{check_size, form};
use super::{SectionSummary, WriteError, index};
use crate::columns::Finished;
use crate::columns::value::Kind;
use crate::row::{Lsn, ProjectId, Table};
use crate::source::SourceError;
use columns::{Part, Texts};
use order::Order;
use payload::Placed;

/// A section and the rows of it that are left out.
pub(crate) struct MergeInput<'a> {
    pub(crate) section: &'a SectionReader,
    pub(crate) dead: Option<&'a RoaringBitmap>,
}

/// Sections that become one. Their live rows have different keys.
pub(crate) struct MergeSection<'a> {
    pub(crate) project: ProjectId,
    pub(crate) table: Table,
    pub(crate) inputs: Vec<MergeInput<'a>>,
}

impl MergeInput<'_> {
    fn live(&self) -> u64 {
        let rows = u64::from(self.section.summary().rows);
        rows - self.dead.map_or(0, |dead| {
            dead.range_cardinality(0..self.section.summary().rows)
        })
    }
}

impl MergeSection<'_> {
    /// Rows that live on.
    pub(crate) fn live(&self) -> u64 {
        self.inputs.iter().map(MergeInput::live).sum()
    }

    /// Whether its rows are few and small: those are read and written one by one.
    pub(crate) fn is_inline(&self) -> Result<bool, SourceError> {
        Ok(self.form()? == Form::Inline)
    }

    /// In which form it stands: see [`form`]. Blocks are counted whole, with rows that are dead.
    fn form(&self) -> Result<Form, SourceError> {
        let mut bytes = 0;
        for input in &self.inputs {
            let view = input.section.view()?;
            let blocks = view.index.directory.payload.blocks.iter();
            bytes += blocks.map(|block| u64::from(block.raw)).sum::<u64>();
            let bodies = view.index.bodies.iter().flatten();
            bytes += bodies.map(|body| wide(body.len())).sum::<u64>();
        }
        Ok(form(u32::try_from(self.live()).unwrap_or(u32::MAX), bytes))
    }
}

/// Writes the section, and says where each row of each input went, inputs one behind the other;
/// [`crate::columns::LEFT_OUT`] for those left out.
pub(super) fn put_section(
    out: &mut BlockWriter,
    section: &MergeSection<'_>,
    steps: &dyn Steps,
) -> Result<(SectionEntry, Vec<u32>), WriteError> {
    let views = section.inputs.iter().map(|input| input.section.view());
    let views = views.collect::<Result<Vec<_>, _>>()?;
    let dead: Vec<_> = section.inputs.iter().map(|input| input.dead).collect();
    let traces = views
        .iter()
        .map(|view| Texts::read(view, &view.index.directory.core.trace));
    let traces = traces.collect::<Result<Vec<_>, _>>()?;
    let order = Order::new(&views, &traces, &dead)?;
    steps.next()?;
    let (Placed { blocks, places }, terms) = payload::put(out, &views, &order, steps)?;
    let form = section.form()?.max(Form::Compact);
    let mut pieces = Pieces::of(form, out);
    let rows = count_u32(order.rows.len());
    let (core, lsns) = core(&views, &order, &mut pieces)?;
    steps.next()?;
    let ids = index::put_ids(order.ids(), &mut pieces)?;
    steps.next()?;
    let (hashes, runs) = index::traces(order.traces());
    let trace_hashes = pieces.put(&hashes)?;
    let trace_runs = pieces.put(&runs)?;
    let (columns, rare) = columns_of(&views, &order, &mut pieces, steps)?;
    let placement = placement(&places, &mut pieces)?;
    let (column_blocks, pieces) = pieces.finish()?;
    let terms = terms.finish(out, steps).map_err(|e| e.at(out.place()))?;
    let directory = Directory {
        rows,
        blocks: column_blocks,
        core,
        ids,
        trace_hashes,
        trace_runs,
        columns,
        rare,
        payload: Payload { blocks, placement },
        terms,
    };
    let frame = directory.frame(form, &pieces);
    check_size(frame.len())?;
    let block = out.block(&frame).map_err(|e| out.place().failed(e))?;
    let (start_min, start_max) = order.starts;
    let summary = SectionSummary {
        project: section.project,
        table: section.table,
        rows,
        start_min,
        start_max,
        lsn_min: lsns.0,
        lsn_max: lsns.1,
    };
    let entry = SectionEntry {
        summary,
        form,
        block,
    };
    Ok((entry, order.places.concat()))
}

/// The columns of documents, each in a step: those of the directory, and pages of the others.
fn columns_of(
    views: &[View<'_>],
    order: &Order<'_>,
    pieces: &mut Pieces<'_>,
    steps: &dyn Steps,
) -> Result<(Vec<ColumnEntry>, Vec<RarePage>), WriteError> {
    let promoted = columns::promoted(views)?;
    let mut merged = encode::Columns::new(count_u32(order.rows.len()), &promoted, pieces);
    columns::each(views, order, &promoted, &mut |paths, column| {
        merged.put(paths, column)?;
        Ok(steps.next()?)
    })?;
    if !promoted.is_all() {
        columns::each_rare(views, order, &promoted, &mut |path, column| {
            merged.put_rare(path, column)?;
            Ok(steps.next()?)
        })?;
    }
    merged.finish()
}

/// Where the body of each row is, as two columns.
fn placement(places: &[(u32, u32)], pieces: &mut Pieces<'_>) -> Result<Placement, WriteError> {
    let rows = count_u32(places.len());
    let mut column = |number: &dyn Fn(&(u32, u32)) -> u32| {
        let numbers = places.iter().map(|place| u64::from(number(place)));
        let column = Finished::of_numbers(Kind::Long, (0..).zip(numbers).collect());
        encode::column(column, rows, Role::Core, pieces)
    };
    let columns = [column(&|place| place.0)?, column(&|place| place.1)?];
    Ok(Placement::ByRow(Box::new(columns)))
}

/// The hot columns, and the smallest and the largest LSN of any row.
fn core(
    views: &[View<'_>],
    order: &Order<'_>,
    pieces: &mut Pieces<'_>,
) -> Result<(CoreColumns, (Lsn, Lsn)), WriteError> {
    let rows = count_u32(order.rows.len());
    let parts = |of: fn(&CoreColumns) -> &ColumnEntry| {
        let columns = views.iter().map(|view| of(&view.index.directory.core));
        let parts = views.iter().zip(columns).zip(&order.places);
        parts
            .map(|((view, column), places)| Part {
                view,
                column,
                places,
            })
            .collect::<Vec<_>>()
    };
    let trace = {
        let numbers = order.trace_ranks().map(u64::from);
        let column = Finished {
            kind: Kind::Str,
            pairs: (0..).zip(numbers).collect(),
            texts: order.texts.clone(),
        };
        encode::column(column, rows, Role::Core, pieces)?
    };
    let numbers = |parts: Vec<Part<'_>>, kind| -> Result<_, WriteError> {
        Ok(Finished::of_numbers(kind, columns::numbers(&parts)?))
    };
    let start = numbers(parts(|core| &core.start), Kind::I64)?;
    let duration = numbers(parts(|core| &core.duration), Kind::I64)?;
    let first = numbers(parts(|core| &core.lsn_first), Kind::Long)?;
    let delta = numbers(parts(|core| &core.lsn_delta), Kind::Long)?;
    let short = [&start, &first, &delta]
        .iter()
        .any(|c| c.pairs.len() != order.rows.len());
    if let (true, Some(view)) = (short, views.first()) {
        return Err(view.no_row().into());
    }
    let firsts = first.pairs.iter().map(|pair| pair.1);
    let lasts = firsts.clone().zip(&delta.pairs);
    let lsns = firsts
        .clone()
        .chain(lasts.map(|(first, delta)| first.wrapping_add(delta.1)));
    let lsns = (lsns.clone().min().unwrap_or(0), lsns.max().unwrap_or(0));
    let mut put = |column| encode::column(column, rows, Role::Core, pieces);
    let core = CoreColumns {
        trace,
        start: put(start)?,
        duration: put(duration)?,
        lsn_first: put(first)?,
        lsn_delta: put(delta)?,
    };
    Ok((core, lsns))
}
