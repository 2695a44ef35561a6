//! Which values of a row its fields come from.
//!
//! Nobody writes that down: the mapping is asked. A value is changed, the row is mapped again, and what comes out
//! otherwise comes from that value. So it holds for every dialect and for whatever the mapping does with a value:
//! takes it, counts with it, reads JSON in it. Where several values say the same and either would do, no change of one
//! is seen: then each that says it alone is named.

use std::collections::{BTreeMap, BTreeSet};

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::mapping::Mapped;
use obsrv_engine::model;
use obsrv_engine::row::Table;

use super::map;
use crate::limits::{
    ORIGIN_BYTES_MAX, ORIGIN_DEPTH_MAX, ORIGIN_READ_BYTES_MAX, ORIGIN_VALUE_BYTES_MAX,
    ORIGIN_VALUES_MAX,
};

/// Fields and, of each, the paths of the values that it comes from.
pub(crate) type Origins = BTreeMap<String, BTreeSet<String>>;

/// What was made of a document: its fields, those within maps by their path, and their bytes.
pub(crate) type Fields = BTreeMap<String, Vec<u8>>;

/// Where each field of a row comes from that the mapping made. A field that is not here stands in the row as it was sent,
/// or comes from a value beyond the limits of what is asked. `None`: ended by `is_over`, which is asked before each try.
pub(crate) fn origins(
    table: Table,
    doc: DocRef<'_>,
    is_over: &dyn Fn() -> bool,
) -> Option<Origins> {
    let make = |doc: Vec<u8>| match map(table, &doc) {
        Mapped::Other(new) => fields(&new),
        Mapped::Same | Mapped::Left => fields(&doc),
    };
    let limits = (ORIGIN_VALUE_BYTES_MAX, ORIGIN_BYTES_MAX);
    let asked = Asked::new(doc, (&make, limits), is_over)?.without_made()?;
    let mut origins = Origins::new();
    asked.each(Act::Change, &mut origins)?;
    asked.each_alone(Act::Change, &mut origins)?;
    // That there is such a value at all may say it, whatever it is.
    asked.each_alone(Act::LeaveOut, &mut origins)?;
    Some(origins)
}

/// The same of what is made of the document when somebody reads it, by `make`: talk is in no row, however it was sent. Of
/// documents over [`ORIGIN_READ_BYTES_MAX`] nothing is said.
pub(crate) fn origins_read(
    view: &[u8],
    make: &dyn Fn(Vec<u8>) -> Fields,
    is_over: &dyn Fn() -> bool,
) -> Option<Origins> {
    let mut origins = Origins::new();
    if view.len() > ORIGIN_READ_BYTES_MAX {
        return Some(origins);
    }
    let doc = DocRef::parse(view).unwrap_or(DocRef::Null);
    let limits = (ORIGIN_READ_BYTES_MAX, ORIGIN_READ_BYTES_MAX);
    let asked = Asked::new(doc, (make, limits), is_over)?;
    asked.each(Act::Change, &mut origins)?;
    asked.each_alone(Act::LeaveOut, &mut origins)?;
    Some(origins)
}

/// Most bytes of a value, and of all.
type Limits = (usize, usize);

/// A row that is asked.
struct Asked<'a> {
    doc: DocRef<'a>,
    make: &'a dyn Fn(Vec<u8>) -> Fields,
    limits: Limits,
    is_over: &'a dyn Fn() -> bool,
    /// Members of the document that are made again: nothing comes from them.
    made: BTreeSet<&'a str>,
    paths: Vec<String>,
    /// What is made of it as it is.
    same: Fields,
}

impl<'a> Asked<'a> {
    fn new(
        doc: DocRef<'a>,
        (make, limits): (&'a dyn Fn(Vec<u8>) -> Fields, Limits),
        is_over: &'a dyn Fn() -> bool,
    ) -> Option<Self> {
        let mut asked = Self {
            doc,
            make,
            limits,
            is_over,
            made: BTreeSet::new(),
            paths: Vec::new(),
            same: Fields::new(),
        };
        asked.same = asked.made_of(&|_| Act::Keep)?;
        asked.paths = asked.walk(&|_| Act::Keep).paths;
        Some(asked)
    }

    /// Leaves out what is made again from the rest.
    fn without_made(mut self) -> Option<Self> {
        let members = self
            .doc
            .entries()
            .into_iter()
            .flatten()
            .map_while(Result::ok);
        for (key, _) in members.take(ORIGIN_VALUES_MAX) {
            self.made.insert(key);
            if key == model::DIALECT || self.made_of(&|_| Act::Keep)? != self.same {
                self.made.remove(key);
            }
        }
        self.paths = self.walk(&|_| Act::Keep).paths;
        Some(self)
    }

    fn walk<'w>(&'w self, act: &'w dyn Fn(usize) -> Act) -> Walk<'w> {
        Walk::of(self.doc, (&self.made, self.limits), act)
    }

    /// What is made of it with its values treated so.
    fn made_of(&self, act: &dyn Fn(usize) -> Act) -> Option<Fields> {
        let is_over = (self.is_over)();
        (!is_over).then(|| (self.make)(self.walk(act).out.finish()))
    }

    /// Does this to one value after the other and notes what comes out otherwise.
    fn each(&self, act: Act, origins: &mut Origins) -> Option<()> {
        for (at, path) in self.paths.iter().enumerate() {
            let other = self.made_of(&|n| if n == at { act } else { Act::Keep })?;
            for field in different(&self.same, &other) {
                note(origins, field, path);
            }
        }
        Some(())
    }

    /// Does this to all values but one, and notes which fields are still as they were though they are not if it is done
    /// to all of them.
    fn each_alone(&self, act: Act, origins: &mut Origins) -> Option<()> {
        let none = self.made_of(&|_| act)?;
        let is_made = |field: &str| !self.paths.iter().any(|path| root(path) == root(field));
        let left: Vec<&String> = different(&self.same, &none)
            .filter(|field| !origins.contains_key(*field) && is_made(field))
            .collect();
        if left.is_empty() {
            return Some(());
        }
        for (at, path) in self.paths.iter().enumerate() {
            let alone = self.made_of(&|n| if n == at { Act::Keep } else { act })?;
            let kept = left
                .iter()
                .filter(|field| alone.get(**field) == self.same.get(**field));
            kept.for_each(|field| note(origins, field, path));
        }
        Some(())
    }
}

/// Notes that the field comes from there, unless it is what stands there.
fn note(origins: &mut Origins, field: &str, path: &str) {
    if root(field) == root(path) {
        return;
    }
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

fn fields(doc: &[u8]) -> Fields {
    let mut fields = Fields::new();
    let entries = DocRef::parse(doc).ok().and_then(DocRef::entries);
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

/// What is done to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Keep,
    Change,
    LeaveOut,
}

/// A walk over the values of a document that may be asked for, always in the same order.
struct Walk<'w> {
    /// Members of the document that are left out.
    without: &'w BTreeSet<&'w str>,
    /// What is done to the value of this number.
    act: &'w dyn Fn(usize) -> Act,
    paths: Vec<String>,
    /// Bytes of a value that may be asked.
    value_max: usize,
    /// Bytes of values that may still be asked.
    room: usize,
    out: DocWriter,
}

impl<'w> Walk<'w> {
    fn of(
        doc: DocRef<'_>,
        (without, (value_max, room)): (&'w BTreeSet<&'w str>, Limits),
        act: &'w dyn Fn(usize) -> Act,
    ) -> Self {
        let mut walk = Self {
            without,
            act,
            paths: Vec::new(),
            value_max,
            room,
            out: DocWriter::new(),
        };
        walk.map("", doc, 0);
        walk
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
        if depth == 0 && self.without.contains(key) {
            return;
        }
        if matches!(value, DocRef::Map(_)) && depth < ORIGIN_DEPTH_MAX {
            self.out.key(key);
            return self.map(&path, value, depth + 1);
        }
        let written = bytes(value);
        if depth == 0 && key == model::DIALECT {
            self.out.key(key);
            return self.out.value(value);
        }
        // Conversations and the like: no field of the row comes from them, and they would be copied for each value.
        let is_long = written.len() > self.value_max;
        if is_long || self.paths.len() >= ORIGIN_VALUES_MAX || written.len() > self.room {
            return;
        }
        self.room -= written.len();
        match (self.act)(self.paths.len()) {
            Act::Keep => {
                self.out.key(key);
                self.out.value(value);
            }
            Act::Change => {
                self.out.key(key);
                change(value, &mut self.out);
            }
            Act::LeaveOut => {}
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

    fn walk(doc: &[u8]) -> Walk<'static> {
        const NONE: &BTreeSet<&str> = &BTreeSet::new();
        Walk::of(
            DocRef::parse(doc).unwrap(),
            (NONE, (1 << 20, 1 << 20)),
            &|_| Act::Keep,
        )
    }

    fn of_span(json: &serde_json::Value) -> Origins {
        let doc = doc(json);
        origins(Table::Spans, DocRef::parse(&doc).unwrap(), &|| false).unwrap()
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
    fn so_many_bytes_are_asked_and_no_more() {
        let mut written = DocWriter::new();
        written.str(&"x".repeat(1_000));
        let each = written.len();
        let mut user = DocWriter::new();
        user.str("ann");
        let others = (ORIGIN_BYTES_MAX - user.len()) / each;
        let named = |more: usize| {
            let mut attributes: serde_json::Map<_, _> = (0..others)
                .map(|n| (format!("a{n:04}"), "x".repeat(1_000).into()))
                .collect();
            let rest = (ORIGIN_BYTES_MAX - user.len()) % each;
            attributes.insert(
                "b".to_owned(),
                "x".repeat(rest - (each - 1_000) + more).into(),
            );
            attributes.insert("user.id".to_owned(), "ann".into());
            let span = serde_json::json!({ "attributes": attributes, "dialect": "otlp" });
            of_span(&span).contains_key("user_id")
        };
        assert!(named(0));
        assert!(!named(1));
    }

    #[test]
    fn of_so_long_a_document_is_asked_where_its_talk_comes_from() {
        let make = |doc: Vec<u8>| {
            let said = DocRef::parse(&doc).unwrap().get("said").map(bytes);
            said.map(|said| ("talk".to_owned(), said))
                .into_iter()
                .collect()
        };
        let asked = |text: usize| {
            let doc = doc(&serde_json::json!({ "said": "x".repeat(text) }));
            let origins = origins_read(&doc, &make, &|| false).unwrap();
            (doc.len(), origins.contains_key("talk"))
        };
        let around = asked(0).0;
        let at_limit = ORIGIN_READ_BYTES_MAX - around;
        assert_eq!(asked(at_limit), (ORIGIN_READ_BYTES_MAX, true));
        assert!(!asked(at_limit + 1).1);
    }

    #[test]
    fn a_question_that_is_over_gives_nothing() {
        let doc = doc(&user_after(3, "ann"));
        let tries = std::cell::Cell::new(0);
        let is_over = || {
            tries.set(tries.get() + 1);
            tries.get() > 2
        };
        assert_eq!(
            origins(Table::Spans, DocRef::parse(&doc).unwrap(), &is_over),
            None
        );
        assert_eq!(tries.get(), 3);
    }

    #[test]
    fn values_are_looked_for_so_deep() {
        let nested = |depth: usize| {
            let mut value = serde_json::json!({ "leaf": 1 });
            for _ in 0..depth {
                value = serde_json::json!({ "map": value });
            }
            let doc = doc(&value);
            walk(&doc).paths
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
        let same = walk(&doc);
        assert_eq!(same.paths, ["a", "b.c", "b.d", "e"]);
        assert_eq!(
            to_text(DocRef::parse(&same.out.finish()).unwrap()),
            to_text(DocRef::parse(&doc).unwrap())
        );
    }
}
