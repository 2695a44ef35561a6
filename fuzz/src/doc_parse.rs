//! Any bytes are a document or an error; what is a document copies to the same bytes.

use obsrv_engine::doc::{DocRef, DocWriter, flatten};

/// One execution.
pub fn run(bytes: &[u8]) {
    let Ok(doc) = DocRef::parse(bytes) else {
        return;
    };
    let valid = doc.validate();
    let mut values = 0_usize;
    let flat = flatten(doc, &mut |_, _| values += 1);
    assert_eq!(
        valid.is_ok(),
        flat.is_ok(),
        "validate and flatten read the same bytes"
    );
    assert!(values <= bytes.len(), "a value takes at least a byte");
    if valid.is_ok() {
        let mut copy = DocWriter::new();
        copy.value(doc);
        let copy = copy.finish();
        let again = DocRef::parse(&copy).expect("a copy reads");
        let mut first = Vec::new();
        let mut second = Vec::new();
        flatten(doc, &mut |path, value| {
            first.push(format!("{path}={value:?}"))
        })
        .expect("valid");
        flatten(again, &mut |path, value| {
            second.push(format!("{path}={value:?}"))
        })
        .expect("valid");
        assert_eq!(first, second);
    }
}
