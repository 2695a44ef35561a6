//! What obsrv writes of an attachment that was stored: a fact of the run's row, in a record of its own.
//!
//! ```text
//! {"trace_id": …, "blob": {"id": …, "sha256": …, "content_type": …, "size": …, …}}
//! ```

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model;
use obsrv_engine::row::{Event, RowKey, Table};

use super::pieces::{Rank, version};
use super::{Context, DecodeError, Decoded, Item, JSON_DEPTH_MAX, json};

/// Reads one reference. It overlays whatever else the run says, however late that comes, and says nothing but
/// that the file is there.
pub(super) fn decode(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let missing = |field: &str| DecodeError::Shape {
        field: field.to_owned(),
        problem: "missing".to_owned(),
    };
    let doc = json::read(body, JSON_DEPTH_MAX)?;
    let doc = DocRef::parse(&doc).map_err(|_| missing("blob"))?;
    let trace_id = doc.get("trace_id").and_then(DocRef::as_str);
    let trace_id = trace_id.ok_or_else(|| missing("trace_id"))?;
    let blob = doc.get("blob").filter(|blob| blob.entries().is_some());
    let blob = blob.ok_or_else(|| missing("blob"))?;
    let event = note(trace_id, blob, version(Rank::Error, ctx.received_ns));
    let item = Item {
        index: 0,
        kind: "blob",
        trace_id: Some(trace_id.to_owned()),
        id: None,
        error: None,
    };
    Ok(Decoded {
        events: vec![event],
        items: vec![item],
        ..Decoded::default()
    })
}

/// That a trace has an attachment which came in its rows, as JSON: an event that stands beside these. It is the same for
/// the same attachment, whenever it comes, so that the run does not grow by what is sent again.
pub(crate) fn came_in_rows(trace_id: &str, blob: &str) -> Option<Event> {
    let blob = json::read_text(blob, JSON_DEPTH_MAX).ok()?;
    let last = version(Rank::Error, i64::MAX);
    Some(note(trace_id, DocRef::parse(&blob).ok()?, last))
}

fn note(trace_id: &str, blob: DocRef<'_>, version: u64) -> Event {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    out.key(model::BLOBS);
    let list = out.begin_array();
    out.value(blob);
    out.end(list);
    out.end(open);
    Event {
        table: Table::Runs,
        key: RowKey {
            trace_id: trace_id.into(),
            id: trace_id.into(),
        },
        start_ns: None,
        end_ns: None,
        version,
        partial: true,
        doc: out.finish().into(),
    }
}
