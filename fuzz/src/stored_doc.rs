//! Any document that is stored is mapped again to one that can be stored, and says which files its trace has.

use obsrv_engine::doc::DocRef;
use obsrv_engine::mapping::Mapped;
use obsrv_engine::row::Table;
use obsrv_server::blob::reference::{Reference, rounds};
use obsrv_server::dialect::{decode, map};

use super::CONTEXT;
use super::dialect;

/// One execution: the table, then the document. Whether it is one.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&table, doc)) = bytes.split_first() else {
        return false;
    };
    let table = Table::ALL[usize::from(table) % Table::ALL.len()];
    let read = DocRef::parse(doc).ok();
    if let Some(read) = read {
        let _ = (Reference::all(read), rounds(read));
    }
    if let Mapped::Other(new) = map(table, doc) {
        let read = DocRef::parse(&new).expect("a mapped document reads");
        read.validate().expect("a mapped document is valid");
        assert_eq!(
            map(table, &new),
            Mapped::Same,
            "mapped again it says something else"
        );
    }
    read.is_some_and(|read| read.validate().is_ok())
}

/// What bodies of every dialect come to.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for body in dialect::seeds() {
        let Some((dialect, body)) = dialect::split(&body) else {
            continue;
        };
        let events = decode(dialect, &CONTEXT, body).map(|decoded| decoded.events);
        for event in events.into_iter().flatten() {
            let table = Table::ALL.iter().position(|table| *table == event.table);
            let table = table
                .and_then(|at| u8::try_from(at).ok())
                .unwrap_or_default();
            seeds.push([&[table][..], &event.doc[..]].concat());
        }
    }
    seeds
}
