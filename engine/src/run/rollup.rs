//! What the spans of a run add up to, and how it is stored.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;

use super::root::Root;
use super::says::{COST, PRICED, STEPS_PRICED, STEPS_STATED, STEPS_UNKNOWN, SUMS, Says, Sums};
use crate::cost::CostSource;
use crate::doc::{COLUMN_VALUE_BYTES_MAX, DocError, DocRef, DocWriter};
use crate::model;

/// Distinct models and tools that a run's row lists; more are left out of the list.
pub const NAMES_MAX: usize = 64;

/// What the spans of a run add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollup {
    spans: i64,
    pub(super) errors: i64,
    running: i64,
    /// Of steps that did the work.
    leaf: Sums,
    /// Of agents, chains and others that repeat what steps say.
    above: Sums,
    models: BTreeSet<String>,
    tools: BTreeSet<String>,
    pub(super) start_ns: Option<i64>,
    pub(super) end_ns: Option<i64>,
    pub(super) root: Option<Root>,
}

/// A span as the roll-up sees it.
#[derive(Clone, Copy, Debug)]
pub struct SpanFacts<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its start.
    pub start_ns: i64,
    /// Its end.
    pub end_ns: Option<i64>,
    /// Its folded document.
    pub view: DocRef<'a>,
}

impl Rollup {
    /// Adds a span that is not in it yet.
    pub fn add(&mut self, span: SpanFacts<'_>) {
        let says = Says::of(span.view);
        self.spans += 1;
        let status = says.status.and_then(DocRef::as_str);
        self.errors += i64::from(status == Some(model::status::ERROR));
        self.running += i64::from(status == Some(model::status::RUNNING));
        let sums = if says.is_above() {
            &mut self.above
        } else {
            &mut self.leaf
        };
        add_up(sums, &says.usage());
        note(&mut self.models, listed(says.model));
        note(&mut self.tools, listed(says.tool));
        self.start_ns = Some(
            self.start_ns
                .map_or(span.start_ns, |s| s.min(span.start_ns)),
        );
        self.end_ns = self.end_ns.max(span.end_ns);
        let rank = (!says.is_declared_root(), span.start_ns, span.id);
        if self.root.as_ref().is_none_or(|r| rank < r.rank()) {
            self.root = Some(Root::of(span, says.is_declared_root()));
        }
    }

    /// What the steps say. Tokens and cost are each taken from the agents and chains above when no step
    /// says any: some senders tell the one where the work is done and the other only where it ends.
    pub(super) fn usage(&self) -> Sums {
        let of_steps = |cost: bool| {
            let mut sums = self.leaf.iter().take(PRICED).enumerate();
            sums.any(|(place, n)| (place == COST) == cost && *n != 0)
        };
        let (tokens, cost) = (of_steps(false), of_steps(true));
        let mut usage = self.leaf;
        for (place, (sum, above)) in usage.iter_mut().zip(self.above).enumerate() {
            if !(if place == COST { cost } else { tokens }) {
                *sum = above;
            }
        }
        usage
    }

    /// What the run cost, where that is from, and how many steps are not in it because nobody knows what
    /// they cost. What agents, chains and repeated calls say counts where no step has a cost; what is stated of them
    /// goes before what is priced, since it may be of the same calls.
    pub(super) fn cost(&self) -> (Option<i64>, Option<&'static str>, i64) {
        let stated = Some(CostSource::Stated.as_str());
        let priced = Some(CostSource::Priced.as_str());
        let (leaf, above) = (&self.leaf, &self.above);
        let sum = leaf[COST].saturating_add(leaf[PRICED]);
        match (leaf[STEPS_STATED] > 0, leaf[STEPS_PRICED] > 0) {
            (true, true) => (Some(sum), Some("mixed"), leaf[STEPS_UNKNOWN]),
            (true, false) => (Some(sum), stated, leaf[STEPS_UNKNOWN]),
            (false, true) => (Some(sum), priced, leaf[STEPS_UNKNOWN]),
            (false, false) if above[STEPS_STATED] > 0 => (Some(above[COST]), stated, 0),
            (false, false) if above[STEPS_PRICED] > 0 => {
                (Some(above[PRICED]), priced, above[STEPS_UNKNOWN])
            }
            (false, false) => {
                let unknown = leaf[STEPS_UNKNOWN].max(above[STEPS_UNKNOWN]);
                let source = (unknown > 0).then(|| CostSource::Unknown.as_str());
                (None, source, unknown)
            }
        }
    }

    /// What `write` wrote, with this model among those of the spans.
    pub(super) fn with_model<'a>(
        &self,
        model: Option<DocRef<'_>>,
        written: &'a [u8],
    ) -> Cow<'a, [u8]> {
        let new = listed(model).filter(|name| !self.models.contains(*name));
        let Some(name) = new else {
            return Cow::Borrowed(written);
        };
        let mut all = self.clone();
        note(&mut all.models, Some(name));
        Cow::Owned(all.write())
    }

    /// Takes over what deriving again changed in its spans.
    pub(crate) fn take_over(&mut self, by: &Difference) {
        self.errors = self.errors.saturating_add(by.errors);
        self.running = self.running.saturating_add(by.running);
        for (sums, by) in [(&mut self.leaf, &by.leaf), (&mut self.above, &by.above)] {
            add_up(sums, by);
        }
        note_all(&mut self.models, &by.models);
        note_all(&mut self.tools, &by.tools);
        let is_root = |new: &&Root| self.root.as_ref().is_some_and(|r| r.rank() == new.rank());
        if let Some(new) = by.root.as_ref().filter(is_root) {
            self.root = Some(new.clone());
        }
    }
}

/// What deriving spans again changes in the roll-up of their run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Difference {
    leaf: Sums,
    above: Sums,
    errors: i64,
    running: i64,
    /// Names that spans say which said none.
    models: BTreeSet<String>,
    tools: BTreeSet<String>,
    /// The one of them that ranks first. It is the root if the root is one of them.
    root: Option<Root>,
}

impl Difference {
    /// A span said `old`, and says `new`, which differs by its cost alone.
    pub(crate) fn priced(&mut self, old: DocRef<'_>, new: DocRef<'_>) {
        self.used(&Says::of(old), &Says::of(new));
    }

    /// A span said `old`, and says `new`, with the same times. Whether that is a difference: else only all spans of the run tell
    /// what it comes to, since others may say the name that this one said, or rank before it now.
    pub(crate) fn mapped(&mut self, old: SpanFacts<'_>, new: SpanFacts<'_>) -> bool {
        let (was, is) = (Says::of(old.view), Says::of(new.view));
        let declared = is.is_declared_root();
        let names = [(was.model, is.model), (was.tool, is.tool)]
            .map(|(old, new)| (listed(old), listed(new)));
        let is_lost = |(old, new): &(Option<&str>, Option<&str>)| old.is_some() && old != new;
        if was.is_declared_root() != declared || names.iter().any(is_lost) {
            return false;
        }
        for (all, (old, new)) in [&mut self.models, &mut self.tools].into_iter().zip(names) {
            note(all, new.filter(|_| old.is_none()));
        }
        for (count, status) in [
            (&mut self.errors, model::status::ERROR),
            (&mut self.running, model::status::RUNNING),
        ] {
            let says =
                |says: &Says<'_>| i64::from(says.status.and_then(DocRef::as_str) == Some(status));
            *count += says(&is) - says(&was);
        }
        self.used(&was, &is);
        let root = Root::of(new, declared);
        if root != Root::of(old, declared) {
            self.rank(&root);
        }
        true
    }

    /// And this, which came later.
    pub(crate) fn and(&mut self, other: &Self) {
        add_up(&mut self.leaf, &other.leaf);
        add_up(&mut self.above, &other.above);
        self.errors += other.errors;
        self.running += other.running;
        note_all(&mut self.models, &other.models);
        note_all(&mut self.tools, &other.tools);
        if let Some(root) = &other.root {
            self.rank(root);
        }
    }

    fn used(&mut self, was: &Says<'_>, is: &Says<'_>) {
        add_up(
            self.sums_of(was),
            &was.usage().map(|n| 0_i64.saturating_sub(n)),
        );
        add_up(self.sums_of(is), &is.usage());
    }

    fn sums_of(&mut self, says: &Says<'_>) -> &mut Sums {
        if says.is_above() {
            &mut self.above
        } else {
            &mut self.leaf
        }
    }

    fn rank(&mut self, new: &Root) {
        if self.root.as_ref().is_none_or(|r| new.rank() <= r.rank()) {
            self.root = Some(new.clone());
        }
    }
}

fn add_up(sums: &mut Sums, more: &Sums) {
    for (sum, n) in sums.iter_mut().zip(more) {
        *sum = sum.saturating_add(*n);
    }
}

impl Rollup {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        for (key, n) in [
            ("span_count", self.spans),
            ("error_count", self.errors),
            ("running", self.running),
        ] {
            out.key(key);
            out.i64(n);
        }
        for (key, sums) in [("leaf", &self.leaf), ("above", &self.above)] {
            if *sums != [0; SUMS] {
                out.key(key);
                let open = out.begin_array();
                // Of a run whose steps have no cost the first seven say everything.
                let used = if sums[PRICED..] == [0; SUMS - PRICED] {
                    PRICED
                } else {
                    SUMS
                };
                sums.iter().take(used).for_each(|n| out.i64(*n));
                out.end(open);
            }
        }
        for (key, names) in [("models", &self.models), ("tools", &self.tools)] {
            out.key(key);
            let open = out.begin_array();
            names.iter().for_each(|n| out.str(n));
            out.end(open);
        }
        for (key, time) in [("start_ns", self.start_ns), ("end_ns", self.end_ns)] {
            if let Some(time) = time {
                out.key(key);
                out.i64(time);
            }
        }
        if let Some(root) = &self.root {
            out.key("root");
            root.write(&mut out);
        }
        out.end(open);
        out.finish()
    }

    /// Reads what `write` wrote; `shared` is the buffer that `doc` borrows from.
    pub(super) fn read(doc: DocRef<'_>, shared: &Bytes) -> Result<Self, DocError> {
        let number = |key| doc.get(key).and_then(DocRef::as_i64);
        // Of roll-ups that were stored before there were buckets the first four, before there were prices the first seven.
        let sums = |key| -> Sums {
            let mut sums = [0; SUMS];
            if let Some(DocRef::Array(items)) = doc.get(key) {
                for (slot, n) in sums.iter_mut().zip(items) {
                    *slot = n.ok().and_then(DocRef::as_i64).unwrap_or(0);
                }
            }
            sums
        };
        let names = |key| -> BTreeSet<String> {
            let Some(DocRef::Array(items)) = doc.get(key) else {
                return BTreeSet::new();
            };
            items
                .filter_map(|n| Some(n.ok()?.as_str()?.to_owned()))
                .collect()
        };
        Ok(Self {
            spans: number("span_count").ok_or(DocError::Short)?,
            errors: number("error_count").ok_or(DocError::Short)?,
            running: number("running").ok_or(DocError::Short)?,
            leaf: sums("leaf"),
            above: sums("above"),
            models: names("models"),
            tools: names("tools"),
            start_ns: number("start_ns"),
            end_ns: number("end_ns"),
            root: doc.get("root").map(|r| Root::read(r, shared)).transpose()?,
        })
    }
}

/// A name as it is listed, if it is.
fn listed(name: Option<DocRef<'_>>) -> Option<&str> {
    let name = name.and_then(DocRef::as_str);
    name.filter(|n| !n.is_empty() && n.len() <= COLUMN_VALUE_BYTES_MAX)
}

fn note_all(names: &mut BTreeSet<String>, more: &BTreeSet<String>) {
    more.iter().for_each(|name| note(names, Some(name)));
}

fn note(names: &mut BTreeSet<String>, name: Option<&str>) {
    if let Some(name) = name {
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
        if names.len() > NAMES_MAX {
            // The smallest names stay, whatever the order of arrival.
            names.pop_last();
        }
    }
}
