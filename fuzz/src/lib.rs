//! What each target does with its bytes, and what targets over request bodies hold in common. Without libfuzzer, so
//! that the tests of the server compile and run it, too.

pub mod body_decode;
pub mod dialect;
pub mod doc_parse;
pub mod filter_parse;
pub mod fold_order;
pub mod key_page;
pub mod offload;
pub mod otlp_json;
pub mod otlp_protobuf;
pub mod redact;
pub mod rows_decode;
pub mod segment_open;
pub mod term_page;
pub mod wal_recover;

use obsrv_engine::doc::DocRef;
use obsrv_engine::row::ProjectId;
use obsrv_server::dialect::{Context, Dialect, decode};

/// A body is events that can be stored, or an error; the same each time.
pub fn decodes(dialect: Dialect, body: &[u8]) {
    let context = Context {
        project: ProjectId(1),
        body_hash: 7,
        subject: "t",
        received_ns: 1 << 60,
        key_id: 0,
    };
    let decoded = decode(dialect, &context, body);
    assert_eq!(decoded, decode(dialect, &context, body));
    let Ok(decoded) = decoded else { return };
    for event in &decoded.events {
        let doc = DocRef::parse(&event.doc).expect("an event's document reads");
        doc.validate().expect("an event's document is valid");
        assert!(doc.entries().is_some(), "an event's document is a map");
        assert!(!event.key.trace_id.is_empty(), "a row belongs to a trace");
    }
}

/// The same, where the first byte says which signal.
pub fn decodes_or_refuses(signals: [Dialect; 3], bytes: &[u8]) {
    let Some((&number, body)) = bytes.split_first() else {
        return;
    };
    decodes(signals[usize::from(number) % signals.len()], body);
}
