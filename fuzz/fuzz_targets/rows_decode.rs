//! Any bytes are rows or an error; rows have one form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsrv_engine::doc::DocRef;
use obsrv_server::redact::rows::{decode, encode};

fuzz_target!(|bytes: &[u8]| {
    let Ok(events) = decode(bytes) else { return };
    for event in &events {
        let doc = DocRef::parse(&event.doc).expect("a document reads");
        doc.validate().expect("a document is valid");
    }
    assert_eq!(decode(&encode(&events)).expect("rows read back"), events);
});
