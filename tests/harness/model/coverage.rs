//! What a workload has gone through, counted so that nothing is missed in silence.

use std::collections::BTreeMap;

/// How often what is to be covered was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    pub(super) fn note(&mut self, what: &'static str) {
        self.note_many(what, 1);
    }

    pub(super) fn note_many(&mut self, what: &'static str, n: usize) {
        *self.0.entry(what).or_default() += u64::try_from(n).unwrap_or(0);
    }

    /// Adds another one's counts.
    pub fn add(&mut self, other: &Self) {
        for (what, n) in &other.0 {
            *self.0.entry(what).or_default() += n;
        }
    }

    /// How often this happened.
    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<_> = self.0.iter().map(|(k, n)| format!("{k} {n}")).collect();
        f.write_str(&all.join(", "))
    }
}
