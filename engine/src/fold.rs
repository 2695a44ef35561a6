//! Fold: the set of events of one identity → one row.
//!
//! The state of a row *is* the set of its events, less those that a newer complete event makes
//! irrelevant. Union and that rule commute, so any order of arrival, duplication and replay gives
//! the same state (I-5), and the view is a pure function of the state.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::body::{self, Content, PartRef};
use crate::doc::{DocError, DocRef, DocWriter};
use crate::model;
use crate::row::{Event, Stamp};

/// Events that one row keeps for folding. Beyond it the two oldest partial events become one, and
/// an event that arrives later than either of them may then overlay in order of arrival.
pub const PARTS_MAX: usize = 256;

/// One event of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its place in the order.
    pub stamp: Stamp,
    /// Whether it overlays top-level fields rather than replaces the row.
    pub partial: bool,
    /// Start, if it says.
    pub start_ns: Option<i64>,
    /// End, if it says.
    pub end_ns: Option<i64>,
    /// The document.
    pub doc: Bytes,
}

impl Part {
    /// The part that an event contributes.
    pub fn of(event: &Event) -> Self {
        let mut part = Self {
            stamp: Stamp {
                version: event.version,
                hash: 0,
            },
            partial: event.partial,
            start_ns: event.start_ns,
            end_ns: event.end_ns,
            doc: event.doc.clone(),
        };
        part.stamp.hash = part.hash();
        part
    }

    /// What stands in its stamp.
    fn hash(&self) -> u64 {
        let seed = xxhash_rust::xxh3::xxh3_64(&self.time_bytes());
        xxhash_rust::xxh3::xxh3_64_with_seed(&self.doc, seed)
    }

    fn time_bytes(&self) -> [u8; 19] {
        let mut out = [0; 19];
        let (head, flags) = out.split_at_mut(16);
        let (start, end) = head.split_at_mut(8);
        start.copy_from_slice(&self.start_ns.unwrap_or(0).to_le_bytes());
        end.copy_from_slice(&self.end_ns.unwrap_or(0).to_le_bytes());
        flags.copy_from_slice(&[
            u8::from(self.partial),
            u8::from(self.start_ns.is_some()),
            u8::from(self.end_ns.is_some()),
        ]);
        out
    }

    fn as_ref(&self) -> PartRef<'_> {
        PartRef {
            stamp: self.stamp,
            partial: self.partial,
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            doc: &self.doc,
        }
    }
}

/// The events of a row that still matter, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts(Vec<Part>);

impl Parts {
    /// Reads the state back from a stored row.
    pub fn from_body(body: &Bytes, start_ns: i64, end_ns: Option<i64>) -> Result<Self, DocError> {
        let stored = body::decode(body)?;
        if stored.parts.is_empty() {
            return Ok(Self(vec![Part {
                stamp: stored.stamp,
                partial: false,
                start_ns: Some(start_ns),
                end_ns,
                doc: body.slice_ref(stored.view),
            }]));
        }
        let parts = stored.parts.iter().map(|p| Part {
            stamp: p.stamp,
            partial: p.partial,
            start_ns: p.start_ns,
            end_ns: p.end_ns,
            doc: body.slice_ref(p.doc),
        });
        Ok(Self(parts.collect()))
    }

    /// Adds an event to the set. Returns whether the set changed.
    pub fn add(&mut self, part: Part) -> bool {
        let Err(at) = self.0.binary_search_by_key(&part.stamp, |p| p.stamp) else {
            return false;
        };
        if self.0.iter().skip(at).any(|newer| !newer.partial) {
            return false;
        }
        let complete = !part.partial;
        self.0.insert(at, part);
        if complete {
            self.0.drain(..at);
        }
        if self.0.len() > PARTS_MAX {
            self.join_oldest();
        }
        true
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The events, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Part> {
        self.0.iter()
    }

    /// The latest word on the start.
    pub fn start_ns(&self) -> Option<i64> {
        self.0.iter().rev().find_map(|p| p.start_ns)
    }

    /// The latest word on the end.
    pub fn end_ns(&self) -> Option<i64> {
        self.0.iter().rev().find_map(|p| p.end_ns)
    }

    /// The folded document.
    pub fn view(&self) -> Bytes {
        match self.0.as_slice() {
            [only] => only.doc.clone(),
            parts => overlay(parts.iter().map(|p| &p.doc)),
        }
    }

    /// The body of a row that is nothing but these events.
    pub fn body(&self) -> Bytes {
        match self.0.as_slice() {
            [only] if !only.partial => Bytes::from(body::encode(only.stamp, &only.doc, &[])),
            _ => Bytes::from(self.body_with_view(&self.view(), None)),
        }
    }

    /// The row's content when it is nothing but these events.
    pub(crate) fn content(&self) -> Content {
        match self.0.as_slice() {
            [only] if !only.partial => Content::Complete {
                stamp: only.stamp,
                doc: only.doc.clone(),
                cost: None,
            },
            _ => Content::Folded(self.body()),
        }
    }

    /// Puts other documents in the place of those of the same events. Where one event is all there is, its stamp
    /// follows: the same bytes that come again are then the same event. Of several the stamps stay, since their order must.
    pub(crate) fn replace_docs(&mut self, mut other: impl FnMut(&Bytes) -> Option<Bytes>) {
        for part in &mut self.0 {
            if let Some(doc) = other(&part.doc) {
                part.doc = doc;
            }
        }
        if let [only] = self.0.as_mut_slice()
            && !only.partial
        {
            only.stamp.hash = only.hash();
        }
    }

    /// A body with these events, a view derived elsewhere and, in front, one derived part.
    pub fn body_with_view(&self, view: &[u8], derived: Option<PartRef<'_>>) -> Vec<u8> {
        let parts: Vec<_> = derived
            .into_iter()
            .chain(self.0.iter().map(Part::as_ref))
            .collect();
        let stamp = self
            .0
            .iter()
            .rfind(|p| !p.partial)
            .map_or_else(Stamp::default, |p| p.stamp);
        body::encode(stamp, view, &parts)
    }

    /// Takes out the part with the zero stamp that `body_with_view` put in front.
    pub fn take_derived(&mut self) -> Option<Part> {
        let first = self.0.first()?;
        (first.stamp == Stamp::default()).then(|| self.0.remove(0))
    }

    fn join_oldest(&mut self) {
        let from = usize::from(!self.0.first().is_none_or(|p| p.partial));
        let [older, newer] = self.0.get(from..from + 2).unwrap_or_default() else {
            return;
        };
        let joined = Part {
            stamp: newer.stamp,
            partial: true,
            start_ns: newer.start_ns.or(older.start_ns),
            end_ns: newer.end_ns.or(older.end_ns),
            doc: overlay([&older.doc, &newer.doc].into_iter()),
        };
        self.0.splice(from..from + 2, [joined]);
    }
}

/// Maps laid over each other: a later document's top-level fields replace an earlier one's, but for
/// what the user attached, which adds up: metadata key by key, tags and files as sets.
fn overlay<'a>(docs: impl Iterator<Item = &'a Bytes>) -> Bytes {
    let mut fields: Vec<(&str, Vec<DocRef<'_>>)> = Vec::new();
    for doc in docs {
        let entries = DocRef::parse(doc).ok().and_then(DocRef::entries);
        for (key, value) in entries.into_iter().flatten().filter_map(Result::ok) {
            match fields.iter_mut().find(|(k, _)| *k == key) {
                Some((_, values)) if adds_up(key, values, value) => values.push(value),
                Some((_, values)) => *values = vec![value],
                None => fields.push((key, vec![value])),
            }
        }
    }
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for (key, values) in fields {
        out.key(key);
        match values.as_slice() {
            [only] => out.value(*only),
            several => write_sum(several, &mut out),
        }
    }
    out.end(open);
    Bytes::from(out.finish())
}

fn adds_up(key: &str, before: &[DocRef<'_>], value: DocRef<'_>) -> bool {
    matches!(
        (key, before.last(), value),
        (model::METADATA, Some(DocRef::Map(_)), DocRef::Map(_))
            | (
                model::TAGS | model::BLOBS,
                Some(DocRef::Array(_)),
                DocRef::Array(_)
            )
    )
}

/// Maps or arrays as one: of a key the last value, in the first one's place; of equal items one.
fn write_sum(values: &[DocRef<'_>], out: &mut DocWriter) {
    if let Some(DocRef::Array(_)) = values.first() {
        let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
        let open = out.begin_array();
        for value in values {
            let DocRef::Array(items) = value else {
                continue;
            };
            for item in items.filter_map(Result::ok) {
                let mut bytes = DocWriter::new();
                bytes.value(item);
                if seen.insert(bytes.finish()) {
                    out.value(item);
                }
            }
        }
        return out.end(open);
    }
    let mut merged: BTreeMap<&str, (usize, DocRef<'_>)> = BTreeMap::new();
    let entries = values.iter().filter_map(|v| v.entries()).flatten();
    for (place, (key, value)) in entries.filter_map(Result::ok).enumerate() {
        merged
            .entry(key)
            .and_modify(|(_, v)| *v = value)
            .or_insert((place, value));
    }
    let mut ordered: Vec<_> = merged.into_iter().map(|(k, (at, v))| (at, k, v)).collect();
    ordered.sort_by_key(|(at, _, _)| *at);
    let open = out.begin_map();
    for (_, key, value) in ordered {
        out.key(key);
        out.value(value);
    }
    out.end(open);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::row::{RowKey, Table};

    fn event(version: u64, partial: bool, field: u8, value: i64) -> Event {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        out.key(&field.to_string());
        out.i64(value);
        out.end(open);
        Event {
            table: Table::Spans,
            key: RowKey {
                trace_id: "t".into(),
                id: "s".into(),
            },
            start_ns: (value % 2 == 0).then_some(value),
            end_ns: (value % 3 == 0).then_some(value),
            version,
            partial,
            doc: Bytes::from(out.finish()),
        }
    }

    fn fold(events: &[Event]) -> Parts {
        let mut parts = Parts::default();
        for e in events {
            parts.add(Part::of(e));
        }
        parts
    }

    proptest! {
        #[test]
        fn any_order_duplication_and_storage_gives_the_same_row(
            specs in prop::collection::vec((0u64..5, any::<bool>(), 0u8..4, 0i64..9), 1..12),
            shuffle in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        ) {
            let events: Vec<_> = specs.iter().map(|&(v, p, f, x)| event(v, p, f, x)).collect();
            let straight = fold(&events);
            let mut mixed: Vec<_> = shuffle.iter().map(|i| i.get(&events).clone()).collect();
            mixed.extend(events.iter().rev().cloned());
            let mut other = Parts::default();
            for e in &mixed {
                other.add(Part::of(e));
                // As if flushed and loaded between any two events.
                let body = other.body();
                let (start, end) = (other.start_ns().unwrap_or(0), other.end_ns());
                let loaded = Parts::from_body(&body, start, end).unwrap();
                prop_assert_eq!(loaded.view(), other.view());
            }
            prop_assert_eq!(straight, other);
        }

        #[test]
        fn the_newest_complete_event_hides_everything_older(
            specs in prop::collection::vec((0u64..9, any::<bool>(), 0u8..4, 0i64..9), 1..12),
        ) {
            let events: Vec<_> = specs.iter().map(|&(v, p, f, x)| event(v, p, f, x)).collect();
            let parts = fold(&events);
            let newest = events.iter().filter(|e| !e.partial).map(|e| Part::of(e).stamp).max();
            for p in parts.iter() {
                prop_assert!(newest.is_none_or(|n| p.stamp >= n));
            }
            let first_complete = parts.iter().next().is_some_and(|p| !p.partial);
            prop_assert_eq!(first_complete, newest.is_some());
        }
    }

    #[test]
    fn what_the_user_attached_adds_up() {
        let doc = |entries: &[(&str, i64)], tags: &[&str]| {
            let mut out = DocWriter::new();
            let open = out.begin_map();
            out.key(model::METADATA);
            let map = out.begin_map();
            for (key, n) in entries {
                out.key(key);
                out.i64(*n);
            }
            out.end(map);
            out.key(model::TAGS);
            let list = out.begin_array();
            tags.iter().for_each(|tag| out.str(tag));
            out.end(list);
            out.end(open);
            Bytes::from(out.finish())
        };
        let (a, b) = (
            doc(&[("x", 1), ("y", 2)], &["p", "q"]),
            doc(&[("z", 3), ("x", 4)], &["r", "p"]),
        );
        let c = doc(&[("y", 5)], &[]);
        let expected = doc(&[("x", 4), ("y", 5), ("z", 3)], &["p", "q", "r"]);
        assert_eq!(overlay([&a, &b, &c].into_iter()), expected);
        // As when the oldest two are joined first.
        let joined = overlay([&a, &b].into_iter());
        assert_eq!(overlay([&joined, &c].into_iter()), expected);
    }

    #[test]
    fn parts_are_bounded() {
        let mut parts = Parts::default();
        for v in 0..=PARTS_MAX as u64 {
            parts.add(Part::of(&event(v + 1, true, (v % 200) as u8, 1)));
        }
        assert_eq!(parts.iter().count(), PARTS_MAX);
        let view = parts.view();
        assert_eq!(
            DocRef::parse(&view).unwrap().entries().unwrap().count(),
            200
        );
    }
}
