//! Rules over any text: they end, and a pseudonym stays what it is.

use std::sync::LazyLock;

use obsrv_engine::row::ProjectId;
use obsrv_server::keys::{Macs, MasterSecret};
use obsrv_server::redact::{Detector, Redactor, Rules};

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| {
    let rules = Rules {
        detectors: Detector::ALL.to_vec(),
        ..Rules::default()
    };
    let macs = Macs::for_redaction(&MasterSecret::from_bytes([1; 32]));
    Redactor::new(&rules, ProjectId(1), macs).expect("the rules are valid")
});

/// One execution.
pub fn run(text: &str) {
    let id = REDACTOR.id(text);
    assert_eq!(REDACTOR.id(&id), id, "a pseudonym stays");
    // Ends, and makes no more of it than the longest replacement for each character.
    assert!(REDACTOR.text(text).len() <= text.len() * 64);
}
