//! What a run says itself, as a span: dialects that have runs beside spans keep what went in and came out
//! there, the user's metadata, and more.

use bytes::Bytes;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::model;

use super::is_otlp;
use crate::dialect::theta::trace::NOT_SENT;
use crate::dialect::theta_read::StoredRow;

/// Fields of a run that are worked out from its spans, or are sums of theirs: said twice they would count
/// twice.
const OF_SPANS: [&str; 8] = [
    model::ROLLUP,
    model::TOKENS,
    model::COST_USD,
    model::COST,
    model::COST_SOURCE,
    model::COST_UNKNOWN,
    "own_fields",
    NOT_SENT,
];

/// The span that stands for a run whose sender has runs; none for a run that is nothing but its spans.
pub(crate) fn span_of_run(row: &StoredRow) -> Option<StoredRow> {
    if row.text(model::DIALECT).is_none() || is_otlp(row) {
        return None;
    }
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for (key, value) in row.doc().entries()?.flatten() {
        if !OF_SPANS.contains(&key) && key != model::KIND {
            out.key(key);
            out.value(value);
        }
    }
    out.key(model::KIND);
    out.str("chain");
    out.key("run");
    out.bool(true);
    out.end(open);
    let mut core = row.core.clone();
    core.id = format!("run {}", row.core.trace_id).into();
    Some(StoredRow {
        core,
        view: Bytes::from(out.finish()),
    })
}
