//! Which values of a row its fields come from.
//!
//! Nobody writes that down: the mapping is asked. A value is changed, the row is mapped again, and what comes out
//! otherwise comes from that value. So it holds for every dialect and for whatever the mapping does with a value:
//! takes it, counts with it, reads JSON in it. Where two values say the same and either would do, no change of one
//! is seen: then each that says it alone is named.

use std::collections::{BTreeMap, BTreeSet};

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::mapping::Mapped;
use obsrv_engine::row::Table;

use super::map;
use crate::limits::{ORIGIN_DEPTH_MAX, ORIGIN_VALUE_BYTES_MAX, ORIGIN_VALUES_MAX};

/// Fields and, of each, the paths of the values that it comes from.
pub(crate) type Origins = BTreeMap<String, BTreeSet<String>>;

/// What the mapping made of a document: its fields, those within maps by their path, and their bytes.
type Fields = BTreeMap<String, Vec<u8>>;

/// Where each field of a row comes from that the mapping made. A field that is not here stands in the row as it was sent, or
/// comes from a value that is too long or too deep to be asked for.
pub(crate) fn origins(table: Table, doc: DocRef<'_>) -> Origins {
    let paths = Walk::paths(doc);
    let same = mapped(table, &Walk::write(doc, &|_| false));
    let mut origins = Origins::new();
    // Members of the row that are as they were sent: a change of one is seen there.
    let mut sent = BTreeSet::new();
    for (at, path) in paths.iter().enumerate() {
        let other = mapped(table, &Walk::write(doc, &|n| n == at));
        for field in different(&same, &other) {
            if root(field) == root(path) {
                sent.insert(root(path));
            } else {
                note(&mut origins, field, path);
            }
        }
    }
    // Which fields are left that come from any value at all?
    let none = mapped(table, &Walk::write(doc, &|_| true));
    let left: Vec<&String> = different(&same, &none)
        .filter(|field| !origins.contains_key(*field) && !sent.contains(root(field)))
        .collect();
    if left.is_empty() {
        return origins;
    }
    for (at, path) in paths.iter().enumerate() {
        let alone = mapped(table, &Walk::write(doc, &|n| n != at));
        for field in left
            .iter()
            .filter(|field| alone.get(**field) == same.get(**field))
        {
            note(&mut origins, field, path);
        }
    }
    origins
}

fn note(origins: &mut Origins, field: &str, path: &str) {
    let paths = origins.entry(field.to_owned()).or_default();
    paths.insert(path.to_owned());
}

/// The member of the row that a path begins with.
fn root(path: &str) -> &str {
    path.split_once('.').map_or(path, |(root, _)| root)
}

fn different<'f>(one: &'f Fields, other: &'f Fields) -> impl Iterator<Item = &'f String> {
    one.iter()
        .filter(|(field, value)| other.get(*field) != Some(*value))
        .map(|(field, _)| field)
}

fn mapped(table: Table, doc: &[u8]) -> Fields {
    let new = match map(table, doc) {
        Mapped::Other(new) => new,
        Mapped::Same | Mapped::Left => doc.to_vec(),
    };
    let mut fields = Fields::new();
    let entries = DocRef::parse(&new).ok().and_then(DocRef::entries);
    for (key, value) in entries.into_iter().flatten().map_while(Result::ok) {
        match value {
            DocRef::Map(within) => {
                for (name, value) in within.map_while(Result::ok) {
                    fields.insert(format!("{key}.{name}"), bytes(value));
                }
            }
            value => {
                fields.insert(key.to_owned(), bytes(value));
            }
        }
    }
    fields
}

fn bytes(value: DocRef<'_>) -> Vec<u8> {
    let mut out = DocWriter::new();
    out.value(value);
    out.finish()
}

/// A walk over the values of a document that may be asked for, always in the same order.
struct Walk<'w> {
    /// Whether the value of this number is changed.
    is_changed: &'w dyn Fn(usize) -> bool,
    paths: Vec<String>,
    out: DocWriter,
}

impl<'w> Walk<'w> {
    fn of(doc: DocRef<'_>, is_changed: &'w dyn Fn(usize) -> bool) -> Self {
        let mut walk = Self {
            is_changed,
            paths: Vec::new(),
            out: DocWriter::new(),
        };
        walk.map("", doc, 0);
        walk
    }

    fn paths(doc: DocRef<'_>) -> Vec<String> {
        Self::of(doc, &|_| false).paths
    }

    fn write(doc: DocRef<'_>, is_changed: &'w dyn Fn(usize) -> bool) -> Vec<u8> {
        Self::of(doc, is_changed).out.finish()
    }

    fn map(&mut self, path: &str, doc: DocRef<'_>, depth: usize) {
        let open = self.out.begin_map();
        for (key, value) in doc.entries().into_iter().flatten().map_while(Result::ok) {
            let path = match path {
                "" => key.to_owned(),
                path => format!("{path}.{key}"),
            };
            self.entry((key, path), value, depth);
        }
        self.out.end(open);
    }

    fn entry(&mut self, (key, path): (&str, String), value: DocRef<'_>, depth: usize) {
        if matches!(value, DocRef::Map(_)) && depth < ORIGIN_DEPTH_MAX {
            self.out.key(key);
            return self.map(&path, value, depth + 1);
        }
        let written = bytes(value);
        // Conversations and the like: no field comes from them, and they would be copied for each value.
        if written.len() > ORIGIN_VALUE_BYTES_MAX {
            return;
        }
        self.out.key(key);
        if key == obsrv_engine::model::DIALECT || self.paths.len() >= ORIGIN_VALUES_MAX {
            return self.out.value(value);
        }
        if (self.is_changed)(self.paths.len()) {
            change(value, &mut self.out);
        } else {
            self.out.value(value);
        }
        self.paths.push(path);
    }
}

/// Writes another value of the same type.
fn change(value: DocRef<'_>, out: &mut DocWriter) {
    match value {
        DocRef::Null => out.bool(true),
        DocRef::Bool(yes) => out.bool(!yes),
        DocRef::I64(n) => out.i64(n.wrapping_add(1)),
        DocRef::U64(n) => out.u64(n.wrapping_add(1)),
        DocRef::F64(x) => out.f64(x + 1.0),
        DocRef::Str(text) => out.str(&format!("{text}\u{1}")),
        DocRef::Bytes(bytes) => out.bytes(&[bytes, &[1]].concat()),
        DocRef::Array(items) => {
            let open = out.begin_array();
            items.map_while(Result::ok).for_each(|item| out.value(item));
            out.str("\u{1}");
            out.end(open);
        }
        DocRef::Map(_) => {
            let open = out.begin_map();
            out.end(open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::doc_json::to_text;

    fn doc(json: &serde_json::Value) -> Vec<u8> {
        crate::dialect::json::read(json.to_string().as_bytes(), 64).unwrap()
    }

    fn of_span(json: &serde_json::Value) -> Origins {
        let doc = doc(json);
        origins(Table::Spans, DocRef::parse(&doc).unwrap())
    }

    /// A span with so many attributes before the one that names the user.
    fn user_after(others: usize, user: &str) -> serde_json::Value {
        let mut attributes: serde_json::Map<_, _> = (0..others)
            .map(|n| (format!("a{n:04}"), n.into()))
            .collect();
        attributes.insert("user.id".to_owned(), user.into());
        serde_json::json!({ "dialect": "otlp", "attributes": attributes })
    }

    #[test]
    fn so_many_values_are_asked_and_no_more() {
        let named = |others| of_span(&user_after(others, "ann")).contains_key("user_id");
        assert!(named(ORIGIN_VALUES_MAX - 1));
        assert!(!named(ORIGIN_VALUES_MAX));
    }

    #[test]
    fn a_value_is_asked_up_to_a_length() {
        let mut empty = DocWriter::new();
        empty.str("");
        let room = ORIGIN_VALUE_BYTES_MAX - empty.len();
        let named = |bytes| of_span(&user_after(0, &"x".repeat(bytes))).contains_key("user_id");
        assert!(named(room));
        assert!(!named(room + 1));
    }

    #[test]
    fn values_are_looked_for_so_deep() {
        let nested = |depth: usize| {
            let mut value = serde_json::json!({ "leaf": 1 });
            for _ in 0..depth {
                value = serde_json::json!({ "map": value });
            }
            let doc = doc(&value);
            Walk::paths(DocRef::parse(&doc).unwrap())
        };
        let leaf = |path: &[String]| path[0].ends_with("leaf");
        assert!(leaf(&nested(ORIGIN_DEPTH_MAX)));
        assert!(!leaf(&nested(ORIGIN_DEPTH_MAX + 1)));
    }

    #[test]
    fn a_walk_that_changes_nothing_writes_the_same() {
        let json =
            serde_json::json!({ "a": [1, "x", null], "b": { "c": true, "d": 1.5 }, "e": "f" });
        let doc = doc(&json);
        let same = Walk::write(DocRef::parse(&doc).unwrap(), &|_| false);
        assert_eq!(
            to_text(DocRef::parse(&same).unwrap()),
            to_text(DocRef::parse(&doc).unwrap())
        );
        assert_eq!(
            Walk::paths(DocRef::parse(&doc).unwrap()),
            ["a", "b.c", "b.d", "e"]
        );
    }
}
