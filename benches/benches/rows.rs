//! Spans of the workload as the engine's events.

use bytes::Bytes;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::model;
use obsrv_engine::row::{Event, RowKey, Table};

use obsrv_benches::generator::span::{SERVICE, Span, Value, hex};

/// The document of a span, laid out as the OTLP dialect does.
pub(crate) fn document(span: &Span) -> Vec<u8> {
    let mut doc = DocWriter::new();
    let root = doc.begin_map();
    doc.key(model::NAME);
    doc.str(&span.name);
    doc.key(model::STATUS);
    doc.str(if span.error.is_some() {
        model::status::ERROR
    } else {
        model::status::SUCCESS
    });
    if let Some(parent) = &span.parent {
        doc.key(model::PARENT_ID);
        doc.str(&hex(parent));
    }
    doc.key(model::SERVICE);
    doc.str(SERVICE);
    for metadata in [true, false] {
        doc.key(if metadata {
            model::METADATA
        } else {
            model::ATTRIBUTES
        });
        let map = doc.begin_map();
        for (key, value) in &span.attributes {
            let short = key.strip_prefix("metadata.");
            if short.is_some() == metadata {
                doc.key(short.unwrap_or(key));
                put(&mut doc, value);
            }
        }
        doc.end(map);
    }
    doc.end(root);
    doc.finish()
}

fn put(doc: &mut DocWriter, value: &Value) {
    match value {
        Value::Text(text) => doc.str(text),
        Value::Int(n) => doc.i64(*n),
        Value::Double(d) => doc.f64(*d),
        Value::Bool(b) => doc.bool(*b),
    }
}

/// The event of a span.
pub(crate) fn event(span: &Span) -> Event {
    Event {
        table: Table::Spans,
        key: RowKey {
            trace_id: hex(&span.trace_id).into(),
            id: hex(&span.span_id).into(),
        },
        start_ns: i64::try_from(span.start_ns).ok(),
        end_ns: i64::try_from(span.end_ns).ok(),
        version: span.end_ns,
        partial: false,
        doc: Bytes::from(document(span)),
    }
}
