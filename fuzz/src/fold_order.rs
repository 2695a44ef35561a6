//! The fold of a row's events does not depend on their order, nor on how often they come.

use bytes::Bytes;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::fold::{Part, Parts};
use obsrv_engine::row::{Event, RowKey, Table};

/// Four bytes are an event: version, flags, which field, which value.
fn event(bytes: &[u8]) -> Event {
    let at = |i: usize| bytes.get(i).copied().unwrap_or_default();
    let mut doc = DocWriter::new();
    let map = doc.begin_map();
    doc.key(["name", "status", "metadata", "error_message"][usize::from(at(2) % 4)]);
    doc.i64(i64::from(at(3)));
    doc.end(map);
    Event {
        table: Table::Spans,
        key: RowKey {
            trace_id: "t".into(),
            id: "s".into(),
        },
        start_ns: (at(1) & 2 != 0).then_some(i64::from(at(3))),
        end_ns: (at(1) & 4 != 0).then_some(i64::from(at(3))),
        version: u64::from(at(0) % 8),
        partial: at(1) & 1 != 0,
        doc: Bytes::from(doc.finish()),
    }
}

fn fold<'a>(events: impl Iterator<Item = &'a Event>) -> Parts {
    let mut parts = Parts::default();
    for event in events {
        parts.add(Part::of(event));
    }
    parts
}

/// One execution.
pub fn run(bytes: &[u8]) {
    let events: Vec<_> = bytes.chunks_exact(4).take(64).map(event).collect();
    let forwards = fold(events.iter());
    let backwards = fold(events.iter().rev());
    let twice = fold(events.iter().chain(events.iter()));
    assert_eq!(forwards.body(), backwards.body());
    assert_eq!(forwards.body(), twice.body());
}
