//! One row from the set of its facts.
//!
//! The rule: of the facts in the order of their stamps, those before the newest complete one do not
//! count. The others are laid over each other, top-level field by top-level field; the latest that
//! states a time has the last word on it.

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
        let mut fields: Vec<(String, Val)> = Vec::new();
        for (key, value) in docs.iter().flat_map(|doc| doc.entries()) {
            fields.retain(|(k, _)| k != key);
            fields.push((key.clone(), value.clone()));
        }
        Val::Map(fields)
    }
}
