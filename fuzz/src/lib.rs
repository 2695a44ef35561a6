//! What each target does with its bytes, and what targets over request bodies hold in common. Without libfuzzer, so
//! that the tests of the server compile and run it, too.

pub mod body_decode;
pub mod control_event;
pub mod cursor;
pub mod dialect;
pub mod doc_parse;
pub mod filter_parse;
pub mod fold_order;
pub mod inflate;
pub mod input;
pub mod key_page;
pub mod log_record;
pub mod logs;
pub mod manifest_records;
pub mod offload;
pub mod otlp_json;
pub mod otlp_protobuf;
pub mod own_files;
pub mod provider;
pub mod question;
pub mod redact;
pub mod rows_decode;
pub mod segment_forged;
pub mod segment_open;
pub mod segments;
pub mod small_text;
pub mod sniff;
pub mod socket;
pub mod stored_doc;
pub mod term_page;
pub mod text_forms;
pub mod traceql_parse;
pub mod wal_frames;
pub mod wal_recover;

use std::path::Path;

use obsrv_engine::doc::DocRef;
use obsrv_engine::row::ProjectId;
use obsrv_server::dialect::{Context, Dialect, decode};

/// What a body comes with.
pub const CONTEXT: Context<'static> = Context {
    project: ProjectId(1),
    body_hash: 7,
    subject: "t",
    received_ns: 1 << 60,
    key_id: 0,
};

/// Puts what a target begins with into its corpus, if it has one here: bytes that the code of today writes.
pub fn seed(target: &str, seeds: &[Vec<u8>]) {
    let corpus = Path::new("corpus").join(target);
    for (number, seed) in seeds.iter().enumerate().filter(|_| corpus.is_dir()) {
        std::fs::write(corpus.join(format!("seed-{number}")), seed)
            .expect("a corpus that can be written");
    }
}

/// A body is events that can be stored, or an error; the same each time.
pub fn decodes(dialect: Dialect, body: &[u8]) {
    let decoded = decode(dialect, &CONTEXT, body);
    assert_eq!(decoded, decode(dialect, &CONTEXT, body));
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
