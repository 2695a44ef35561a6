//! The index of a section: its directory, built from rows or read back from a block.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::directory::{CoreColumns, Directory, Payload, Piece};
use super::encode::{self, Pieces, Role};
use super::promote::Promoted;
use super::wire::{count_u32, wide};
use super::{ID_PAGE_ROWS, PROMOTED_PATHS_MAX, RowInput, WriteError, packed, table};
use crate::columns::value::{Kind, from_i64};
use crate::columns::{Column, Columns, Finished};

/// What a row takes in the bitmap of its payload block, at most.
const ROW_IN_BLOCK_BYTES: usize = 4;

/// A section's directory and what came with it in one frame.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) directory: Directory,
    /// Where the pieces are, unless they are in blocks.
    pub(super) frame: Option<Bytes>,
    /// The bodies, unless they are in payload blocks.
    pub(super) bodies: Option<Vec<Bytes>>,
    /// See [`super::view::View::rows_by_block`]; made when it is first asked for.
    pub(super) rows_by_block: OnceLock<Vec<RoaringBitmap>>,
    /// What it costs to hold.
    pub(super) weight: usize,
}

/// The high half of the xxh3-64 of a trace's or row's id.
pub(super) fn id_hash(id: &str) -> u32 {
    count_u32(usize::try_from(xxhash_rust::xxh3::xxh3_64(id.as_bytes()) >> 32).unwrap_or(0))
}

/// Takes gathered columns and, of each gathered row, its place in the file.
pub(crate) type Encode<'a> = &'a mut dyn FnMut(&Columns, &[u32]) -> Result<(), WriteError>;

/// Columns that were gathered before their section is written.
pub(crate) trait Gathered: Send + Sync {
    /// Calls `encode` with the columns and with the row of the file that each gathered row becomes
    /// (see [`Columns::finish`]), given the row of the file that each input row becomes.
    fn read(&self, placed: &[u32], encode: Encode<'_>) -> Result<(), WriteError>;
}

/// The columns of rows that stand in the file's order.
pub(super) fn gather(rows: &[&RowInput]) -> Result<Columns, WriteError> {
    let mut columns = Columns::default();
    for (at, row) in (0..).zip(rows) {
        row.content
            .view()
            .and_then(|view| columns.add(at, &view))
            .map_err(|source| WriteError::body(row, source))?;
    }
    Ok(columns)
}

/// Encodes everything but the payload of a section whose rows are in the file's order.
pub(super) fn build(
    rows: &[&RowInput],
    gathered: Option<(&dyn Gathered, &[u32])>,
    payload: Payload,
    mut pieces: Pieces<'_>,
) -> Result<(Directory, Vec<u8>), WriteError> {
    let count = count_u32(rows.len());
    let core = core(rows, &mut pieces)?;
    let ids = put_ids(rows.iter().map(|row| row.key.id.as_bytes()), &mut pieces)?;
    let (hashes, runs) = traces(rows.iter().map(|row| &*row.key.trace_id));
    let trace_hashes = pieces.put(&hashes)?;
    let trace_runs = pieces.put(&runs)?;
    let (mut columns, mut rare) = (Vec::new(), Vec::new());
    let mut encode_all = |gathered: &Columns, places: &[u32]| {
        let promoted = promoted(gathered);
        let mut encoded = encode::Columns::new(count, &promoted, &mut pieces);
        let mut twins = gathered.finish(places);
        twins.try_for_each(|twins| encoded.put(&twins.paths, twins.column))?;
        (columns, rare) = encoded.finish()?;
        Ok(())
    };
    match gathered {
        Some((gathered, placed)) => gathered.read(placed, &mut encode_all)?,
        None => encode_all(&gather(rows)?, &(0..count).collect::<Vec<_>>())?,
    }
    let (blocks, frame) = pieces.finish()?;
    let directory = Directory {
        rows: count,
        blocks,
        core,
        ids,
        trace_hashes,
        trace_runs,
        columns,
        rare,
        payload,
        terms: None,
    };
    Ok((directory, frame))
}

/// The keys that go into the directory.
fn promoted(gathered: &Columns) -> Promoted {
    if gathered.paths() <= PROMOTED_PATHS_MAX {
        return Promoted::default();
    }
    let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
    for (path, column) in gathered.each() {
        let with = column.rows().chunk_by(|a, b| a == b).count();
        *rows.entry(path).or_default() += wide(with);
    }
    Promoted::choose(rows.into_iter().map(|(path, rows)| (path.into(), rows)))
}

fn core(rows: &[&RowInput], pieces: &mut Pieces<'_>) -> Result<CoreColumns, WriteError> {
    let count = count_u32(rows.len());
    let mut put = |column: Finished<'_>| encode::column(column, count, Role::Core, pieces);
    let numbers = |kind, number: &dyn Fn(&RowInput) -> Option<u64>| {
        let pairs = (0..)
            .zip(rows)
            .filter_map(|(at, row)| Some((at, number(row)?)))
            .collect();
        Finished {
            kind,
            pairs,
            texts: Vec::new(),
        }
    };
    let mut trace = Column::new(Kind::Str);
    for (at, row) in (0..).zip(rows) {
        let pushed = trace.push_text(at, row.key.trace_id.as_bytes());
        debug_assert!(pushed.is_ok(), "BUG: a str that is not text");
    }
    let places: Vec<u32> = (0..count).collect();
    Ok(CoreColumns {
        trace: put(trace.finish(&places))?,
        start: put(numbers(Kind::I64, &|row| Some(from_i64(row.start_ns))))?,
        duration: put(numbers(Kind::I64, &|row| {
            row.end_ns
                .map(|end| from_i64(end.wrapping_sub(row.start_ns)))
        }))?,
        lsn_first: put(numbers(Kind::Long, &|row| Some(row.lsn_first)))?,
        lsn_delta: put(numbers(Kind::Long, &|row| {
            Some(row.lsn_last.wrapping_sub(row.lsn_first))
        }))?,
    })
}

/// Row ids in pages, rows in order.
pub(super) fn put_ids<'a>(
    ids: impl Iterator<Item = &'a [u8]>,
    pieces: &mut Pieces<'_>,
) -> Result<Vec<Piece>, WriteError> {
    let ids: Vec<&[u8]> = ids.collect();
    let mut out = Vec::new();
    for page in ids.chunks(usize::try_from(ID_PAGE_ROWS).unwrap_or(usize::MAX)) {
        let mut bytes = Vec::new();
        table::put(&mut bytes, page.iter().copied());
        out.push(pieces.put(&bytes)?);
    }
    Ok(out)
}

/// Hashes and runs of the trace index, from the trace id of every row in order.
pub(super) fn traces<'a>(traces: impl Iterator<Item = &'a str>) -> (Vec<u8>, Vec<u8>) {
    let mut runs: Vec<(u32, u64, u64)> = Vec::new();
    let mut last = None;
    for (row, trace) in (0..).zip(traces) {
        match runs.last_mut() {
            Some((_, _, rows)) if last == Some(trace) => *rows += 1,
            _ => runs.push((id_hash(trace), row, 1)),
        }
        last = Some(trace);
    }
    runs.sort_unstable();
    let mut hashes = Vec::with_capacity(runs.len() * 4);
    for run in &runs {
        hashes.extend_from_slice(&run.0.to_le_bytes());
    }
    let mut places = Vec::new();
    packed::put(&mut places, runs.iter().map(|run| run.1));
    packed::put(&mut places, runs.iter().map(|run| run.2));
    (hashes, places)
}

impl Index {
    pub(super) fn new(
        directory: Directory,
        frame: Option<Bytes>,
        bodies: Option<Vec<Bytes>>,
    ) -> Self {
        let held = frame.as_ref().map_or(0, Bytes::len)
            + bodies
                .iter()
                .flatten()
                .map(|b| b.len() + size_of::<Bytes>())
                .sum::<usize>();
        let of_blocks = directory.payload.blocks.len() * size_of::<RoaringBitmap>()
            + usize::try_from(directory.rows).unwrap_or(usize::MAX) * ROW_IN_BLOCK_BYTES;
        let weight = held + directory.weight() + of_blocks + size_of::<Self>();
        Self {
            directory,
            frame,
            bodies,
            rows_by_block: OnceLock::new(),
            weight,
        }
    }
}
