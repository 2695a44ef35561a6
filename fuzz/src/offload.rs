//! Media in values: what is cut out of any text comes back as it was sent, and any document that says something was cut out
//! of it reads.

use std::convert::Infallible;

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::row::{Event, RowKey, Table};
use obsrv_server::limits::MEDIA_BYTES_MIN;
use obsrv_server::offload::{Back, Offloaded, cut};

/// What stands for so much base64 that it is cut out, which no fuzzer writes.
const DATA: char = '\u{1}';

/// A document from the disk.
fn puts_back(bytes: &[u8]) {
    let Some(doc) = DocRef::parse(bytes)
        .ok()
        .filter(|doc| doc.validate().is_ok())
    else {
        return;
    };
    let Some(said) = Offloaded::of(doc) else {
        return;
    };
    let more = said.more_bytes(doc);
    let mut room = more;
    let put = said.put_back(doc, &mut room, &mut |_| {
        Ok::<_, Infallible>(Back::Gone("lost"))
    });
    // Sizes are what the document says: of those that nobody can add up there is no room.
    assert!(room == 0 || more == u64::MAX, "the room that was asked for");
    let Ok(put) = put;
    DocRef::parse(&put)
        .expect("reads")
        .validate()
        .expect("is valid");
}

/// A span with this text.
fn comes_back(text: &str) {
    let data = "aB3+".repeat(MEDIA_BYTES_MIN / 4);
    let text = text.replacen(DATA, &data, 4).replace(DATA, "");
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for (key, value) in [("dialect", "otlp"), ("name", "n")] {
        out.key(key);
        out.str(value);
    }
    out.key("attributes");
    let map = out.begin_map();
    out.key("a");
    out.str(&text);
    out.end(map);
    out.end(open);
    let event = Event {
        table: Table::Spans,
        key: RowKey {
            trace_id: "t".into(),
            id: "s".into(),
        },
        start_ns: None,
        end_ns: None,
        version: 1,
        partial: false,
        doc: Bytes::from(out.finish()),
    };
    let Some(cut) = cut(&event, u64::MAX) else {
        return;
    };
    let doc = DocRef::parse(&cut.doc).expect("reads");
    let said = Offloaded::of(doc).expect("says what was cut out");
    let mut room = said.more_bytes(doc);
    let back = said.put_back(doc, &mut room, &mut |part| {
        let piece = cut.pieces.iter().find(|piece| piece.hash == part.hash);
        Ok::<_, Infallible>(Back::Whole(piece.expect("was cut out").bytes.clone()))
    });
    assert_eq!((back, room), (Ok(event.doc.to_vec()), 0));
}

/// One execution.
pub fn run(bytes: &[u8]) {
    puts_back(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        comes_back(text);
    }
}
