//! The index of a section: its directory, built from rows or read back from a block.

use bytes::Bytes;

use super::collect::{Collector, Finished, Gathered};
use super::directory::{CoreColumns, Directory, PayloadBlock};
use super::encode::{self, Pieces, Role};
use super::value::{Kind, from_i64};
use super::wire::{count_u32, wide};
use super::{FULL_ROWS_MIN, ID_PAGE_ROWS, RowInput, WriteError, packed, table};
use crate::body;
use crate::doc::{Scalar, flatten};

/// A section's directory and what came with it in one frame.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) directory: Directory,
    /// Where the pieces are, unless they are in blocks.
    pub(super) frame: Option<Bytes>,
    /// The bodies, unless they are in payload blocks.
    pub(super) bodies: Option<Vec<Bytes>>,
    /// What it costs to hold.
    pub(super) weight: usize,
}

/// The high half of a trace id's xxh3-64.
pub(super) fn trace_hash(trace_id: &str) -> u32 {
    count_u32(usize::try_from(xxhash_rust::xxh3::xxh3_64(trace_id.as_bytes()) >> 32).unwrap_or(0))
}

/// Calls `visit` for every value of a row's view.
pub(super) fn columns_of(
    row: &RowInput,
    visit: &mut dyn FnMut(&str, Scalar<'_>),
) -> Result<(), WriteError> {
    body::view(&row.body)
        .and_then(|view| flatten(view, visit))
        .map_err(|source| WriteError::Body {
            trace_id: row.key.trace_id.clone(),
            id: row.key.id.clone(),
            source,
        })
}

/// Encodes everything but the payload of a section whose rows are in the file's order.
pub(super) fn build(
    rows: &[&RowInput],
    payload: Vec<PayloadBlock>,
    mut pieces: Pieces<'_>,
) -> Result<(Directory, Vec<u8>), WriteError> {
    let count = count_u32(rows.len());
    let role = if count >= FULL_ROWS_MIN {
        Role::Large
    } else {
        Role::Small
    };
    let mut collector = Collector::default();
    for (at, row) in (0..).zip(rows) {
        columns_of(row, &mut |path, scalar| collector.push(at, path, scalar))?;
    }
    let core = core(rows, &mut pieces)?;
    let mut ids = Vec::new();
    for page in rows.chunks(usize::try_from(ID_PAGE_ROWS).unwrap_or(usize::MAX)) {
        let mut bytes = Vec::new();
        table::put(&mut bytes, page.iter().map(|row| row.key.id.as_bytes()));
        ids.push(pieces.put(&bytes)?);
    }
    let (hashes, runs) = traces(rows);
    let trace_hashes = pieces.put(&hashes)?;
    let trace_runs = pieces.put(&runs)?;
    let mut columns = Vec::new();
    for column in collector.finish() {
        columns.push(encode::column(column, count, role, &mut pieces)?);
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
        payload,
    };
    Ok((directory, frame))
}

fn core(rows: &[&RowInput], pieces: &mut Pieces<'_>) -> Result<CoreColumns, WriteError> {
    let count = count_u32(rows.len());
    let mut put = |column: Finished| encode::column(column, count, Role::Core, pieces);
    let numbers = |kind, number: &dyn Fn(&RowInput) -> Option<u64>| {
        let pairs = (0..)
            .zip(rows)
            .filter_map(|(at, row)| Some((at, number(row)?)))
            .collect();
        Finished {
            path: "".into(),
            kind,
            pairs,
            texts: Vec::new(),
        }
    };
    let mut trace = Gathered::new("", Kind::Str);
    for (at, row) in (0..).zip(rows) {
        trace.push_text(at, &row.key.trace_id);
    }
    Ok(CoreColumns {
        trace: put(trace.finish())?,
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

/// Hashes and runs of the trace index.
fn traces(rows: &[&RowInput]) -> (Vec<u8>, Vec<u8>) {
    let mut runs: Vec<(u32, u64, u64)> = Vec::new();
    let mut first = 0;
    for run in rows.chunk_by(|a, b| a.key.trace_id == b.key.trace_id) {
        let hash = run.first().map_or(0, |row| trace_hash(&row.key.trace_id));
        runs.push((hash, wide(first), wide(run.len())));
        first += run.len();
    }
    runs.sort_unstable();
    let mut hashes = Vec::with_capacity(runs.len() * 4);
    for run in &runs {
        hashes.extend_from_slice(&run.0.to_le_bytes());
    }
    let mut places = Vec::new();
    packed::put(
        &mut places,
        &runs.iter().map(|run| run.1).collect::<Vec<_>>(),
    );
    packed::put(
        &mut places,
        &runs.iter().map(|run| run.2).collect::<Vec<_>>(),
    );
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
        let weight = held + directory.weight() + size_of::<Self>();
        Self {
            directory,
            frame,
            bodies,
            weight,
        }
    }
}
