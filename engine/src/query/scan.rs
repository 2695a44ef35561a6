//! The filter on the columns of one row group: which rows surely pass, and which may.

use std::collections::HashSet;

use roaring::RoaringBitmap;

use super::QueryError;
use super::meter::{Meter, len_u64};
use super::plan::{Node, describe};
use super::value::test_scalar;
use crate::body;
use crate::doc::{Scalar, fingerprint};
use crate::source::{Column, Core, Source, Visible};

/// Rows in a row group, as a power of two.
const GROUP_BITS: u32 = 16;

/// What the columns say. `sure` is within `possible`.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) sure: RoaringBitmap,
    pub(super) possible: RoaringBitmap,
}

impl Verdict {
    fn certain(rows: RoaringBitmap) -> Self {
        Self {
            sure: rows.clone(),
            possible: rows,
        }
    }
}

/// How many row groups a source has.
pub(super) fn group_count(source: &dyn Source) -> u32 {
    source.row_count().div_ceil(1 << GROUP_BITS)
}

/// The live rows of a row group.
pub(super) fn live_rows(visible: &Visible<'_>, group: u32) -> RoaringBitmap {
    let first = group << GROUP_BITS;
    let mut rows = RoaringBitmap::new();
    rows.insert_range(first..=first | ((1 << GROUP_BITS) - 1));
    rows &= &visible.live;
    rows
}

/// Evaluates a plan on columns, among `within`.
pub(super) fn evaluate(
    node: &Node<'_>,
    source: &dyn Source,
    within: &RoaringBitmap,
    meter: &mut Meter<'_>,
) -> Result<Verdict, QueryError> {
    Ok(match node {
        Node::All => Verdict::certain(within.clone()),
        Node::And(parts) => {
            let mut all = Verdict::certain(within.clone());
            for part in parts {
                if all.possible.is_empty() {
                    break;
                }
                let one = evaluate(part, source, &all.possible, meter)?;
                all.sure &= one.sure;
                all.possible = one.possible;
            }
            all
        }
        Node::Or(parts) => {
            let mut any = Verdict::certain(RoaringBitmap::new());
            for part in parts {
                let rest = within - &any.sure;
                if rest.is_empty() {
                    break;
                }
                let one = evaluate(part, source, &rest, meter)?;
                any.sure |= one.sure;
                any.possible |= one.possible;
            }
            any
        }
        Node::Not(part) => {
            let one = evaluate(part, source, within, meter)?;
            Verdict {
                sure: within - one.possible,
                possible: within - one.sure,
            }
        }
        Node::Is(column, test) => {
            let found = source.matching(column, &|value| test_scalar(test, value), within)?;
            let possible = &found.sure | &found.verify;
            if found.sure.len() < possible.len() {
                meter.explain.verified.insert(describe(column, test));
            }
            Verdict {
                sure: found.sure,
                possible,
            }
        }
        Node::Text(_) => {
            meter.explain.verified.insert("text".to_owned());
            Verdict {
                sure: RoaringBitmap::new(),
                possible: within.clone(),
            }
        }
        Node::Traces(traces) => Verdict::certain(of_traces(source, traces, within)?),
    })
}

/// The rows among `within` that belong to one of the traces. Few traces are looked up one by one,
/// many are tested on the column.
fn of_traces(
    source: &dyn Source,
    traces: &HashSet<Box<str>>,
    within: &RoaringBitmap,
) -> Result<RoaringBitmap, QueryError> {
    if len_u64(traces.len()) <= within.len() / 8 {
        let mut rows = RoaringBitmap::new();
        for trace in traces {
            rows |= source.trace_rows(trace)?;
        }
        return Ok(rows & within);
    }
    let longs: HashSet<u64> = traces
        .iter()
        .map(|trace| fingerprint(trace.as_bytes()))
        .collect();
    let test = |value: Scalar<'_>| match value {
        Scalar::Str(id) => Some(traces.contains(id)),
        Scalar::Long(hash) if longs.contains(&hash) => None,
        _ => Some(false),
    };
    let mut found = source.matching(&Column::TraceId, &test, within)?;
    for row in found.verify {
        if traces.contains(&source.core(row)?.trace_id) {
            found.sure.insert(row);
        }
    }
    Ok(found.sure)
}

/// Decides one row that the columns left in doubt.
pub(super) fn decide(
    node: &Node<'_>,
    visible: &Visible<'_>,
    row: u32,
    core: &Core,
    meter: &mut Meter<'_>,
) -> Result<bool, QueryError> {
    with_document(visible, row, meter, |doc| node.passes(core, doc))
}

/// Reads the row's document and hands it to `look`.
pub(super) fn with_document<T>(
    visible: &Visible<'_>,
    row: u32,
    meter: &mut Meter<'_>,
    look: impl FnOnce(crate::doc::DocRef<'_>) -> Result<T, crate::doc::DocError>,
) -> Result<T, QueryError> {
    let bytes = visible.source.body(row)?;
    meter.read_body(bytes.len())?;
    body::view(&bytes)
        .and_then(look)
        .map_err(|source| QueryError::Row {
            source_name: visible.name.clone(),
            row,
            source,
        })
}

/// Decides every row in doubt: the rows that pass.
pub(super) fn settle(
    node: &Node<'_>,
    visible: &Visible<'_>,
    verdict: Verdict,
    meter: &mut Meter<'_>,
) -> Result<RoaringBitmap, QueryError> {
    let doubt = &verdict.possible - &verdict.sure;
    meter.explain.rows_in_doubt += doubt.len();
    let mut passed = verdict.sure;
    for row in doubt {
        let core = visible.source.core(row)?;
        if decide(node, visible, row, &core, meter)? {
            passed.insert(row);
        }
    }
    Ok(passed)
}
