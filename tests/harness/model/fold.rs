//! One row from the set of its facts.
//!
//! The rule: of the facts in the order of their stamps, those before the newest complete one do not
//! count. The others are laid over each other, top-level field by top-level field, but `metadata`
//! adds up key by key and `tags` as a set; the latest that states a time has the last word on it.

use std::collections::BTreeMap;

use obsrv_engine::fold::Part;
use obsrv_engine::row::Stamp;

use super::value::{Fact, Val};

/// Every fact ever stated about a row since it was last deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts(BTreeMap<Stamp, Fact>);

impl Facts {
    /// Takes one in. Answers whether that changes what counts.
    pub(super) fn add(&mut self, fact: &Fact) -> bool {
        let stamp = Part::of(&fact.event()).stamp;
        if let Some(known) = self.0.get(&stamp) {
            assert_eq!(known.event(), fact.event(), "two facts have one stamp");
            return false;
        }
        let before: Vec<Stamp> = self.counting().map(|(stamp, _)| stamp).collect();
        self.0.insert(stamp, fact.clone());
        !self.counting().map(|(stamp, _)| stamp).eq(before)
    }

    fn counting(&self) -> impl Iterator<Item = (Stamp, &Fact)> {
        let newest = self.0.iter().rev().find(|(_, fact)| !fact.partial);
        let from = newest.map_or(Stamp::default(), |(stamp, _)| *stamp);
        self.0.range(from..).map(|(stamp, fact)| (*stamp, fact))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn start(&self) -> Option<i64> {
        let said: Vec<_> = self.counting().filter_map(|(_, f)| f.start).collect();
        said.last().copied()
    }

    pub(super) fn end(&self) -> Option<i64> {
        let said: Vec<_> = self.counting().filter_map(|(_, f)| f.end).collect();
        said.last().copied()
    }

    /// Whether one fact is all, so that the document must be read back byte for byte.
    pub(super) fn is_single(&self) -> bool {
        self.counting().count() == 1
    }

    pub(super) fn doc(&self) -> Val {
        let docs: Vec<&Val> = self.counting().map(|(_, f)| &f.doc).collect();
        if let [only] = docs.as_slice() {
            return (*only).clone();
        }
        let mut fields: BTreeMap<String, Vec<Val>> = BTreeMap::new();
        for (key, value) in docs.iter().flat_map(|doc| doc.entries()) {
            let said = fields.entry(key.clone()).or_default();
            let adds_up = matches!(
                (key.as_str(), said.last(), value),
                ("metadata", Some(Val::Map(_)), Val::Map(_))
                    | ("tags", Some(Val::Array(_)), Val::Array(_))
            );
            if !adds_up {
                said.clear();
            }
            said.push(value.clone());
        }
        let fields = fields.into_iter().map(|(key, said)| (key, sum(said)));
        Val::Map(fields.collect())
    }
}

/// What several pieces of metadata or of tags are together: of a key the last value, of equal tags
/// one, in the order in which they were first named.
fn sum(mut said: Vec<Val>) -> Val {
    if said.len() == 1 {
        return said.remove(0);
    }
    let is_list = matches!(said.first(), Some(Val::Array(_)));
    let mut entries: Vec<(String, Val)> = Vec::new();
    let mut items: Vec<Val> = Vec::new();
    for value in said {
        match value {
            Val::Map(more) => {
                for (key, value) in more {
                    match entries.iter_mut().find(|(k, _)| *k == key) {
                        Some(known) => known.1 = value,
                        None => entries.push((key, value)),
                    }
                }
            }
            Val::Array(more) => {
                for item in more {
                    if !items.iter().any(|known| known.encode() == item.encode()) {
                        items.push(item);
                    }
                }
            }
            _ => {}
        }
    }
    if is_list {
        Val::Array(items)
    } else {
        Val::Map(entries)
    }
}
