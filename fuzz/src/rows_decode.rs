//! Any bytes are rows or an error; rows have one form.

use obsrv_engine::doc::DocRef;
use obsrv_server::redact::rows::{decode, encode};

/// One execution.
pub fn run(bytes: &[u8]) {
    let Ok(events) = decode(bytes) else { return };
    for event in &events {
        let doc = DocRef::parse(&event.doc).expect("a document reads");
        doc.validate().expect("a document is valid");
    }
    assert_eq!(decode(&encode(&events)).expect("rows read back"), events);
}
