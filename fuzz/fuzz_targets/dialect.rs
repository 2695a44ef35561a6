//! Any body is events or an error, the same each time; what a body says can be stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsrv_engine::doc::DocRef;
use obsrv_engine::row::ProjectId;
use obsrv_server::dialect::{Context, Dialect, decode};

fuzz_target!(|bytes: &[u8]| {
    let Some((&number, body)) = bytes.split_first() else { return };
    let Some(dialect) = Dialect::from_u16(u16::from(number) % 64) else { return };
    let context =
        Context { project: ProjectId(1), body_hash: 7, subject: "t", received_ns: 1 << 60 };
    let decoded = decode(dialect, &context, body);
    assert_eq!(decoded, decode(dialect, &context, body));
    let Ok(decoded) = decoded else { return };
    for event in &decoded.events {
        let doc = DocRef::parse(&event.doc).expect("an event's document reads");
        doc.validate().expect("an event's document is valid");
        assert!(doc.entries().is_some(), "an event's document is a map");
        assert!(!event.key.trace_id.is_empty(), "a row belongs to a trace");
    }
});
