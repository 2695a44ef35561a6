//! Where, and as what, something ran: the names under which senders say its environment, version, release and region.
//!
//! One table for all dialects. What stands under these names stays where it is, and which of them a field came from
//! follows from the table and the row.

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model::{self, PLACE};

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    /// An attribute of a product's own, of the thing itself or of its resource.
    Own,
    /// An attribute of the resource alone: elsewhere it may say of what was called, or be a user's.
    Resource,
    /// A key of what the user attached, where the dialect has no field for it.
    Metadata,
}

/// The names of each field, the one first that counts before the others.
const NAMES: [(&str, In, &str); 28] = [
    (model::ENVIRONMENT, In::Own, "langfuse.environment"),
    (model::ENVIRONMENT, In::Own, "obtrace.env"),
    (
        model::ENVIRONMENT,
        In::Resource,
        "deployment.environment.name",
    ),
    (model::ENVIRONMENT, In::Resource, "deployment.environment"),
    (model::ENVIRONMENT, In::Resource, "environment"),
    (model::ENVIRONMENT, In::Resource, "env"),
    (model::ENVIRONMENT, In::Metadata, "environment"),
    (model::ENVIRONMENT, In::Metadata, "env"),
    (model::ENVIRONMENT, In::Metadata, "LANGSMITH_ENVIRONMENT"),
    (model::ENVIRONMENT, In::Metadata, "LANGCHAIN_ENVIRONMENT"),
    (model::VERSION, In::Own, "langfuse.version"),
    (model::VERSION, In::Resource, "service.version"),
    (model::VERSION, In::Resource, "version"),
    (model::VERSION, In::Metadata, "version"),
    (model::RELEASE, In::Own, "langfuse.release"),
    (model::RELEASE, In::Own, "langsmith.metadata.revision_id"),
    (model::RELEASE, In::Resource, "deployment.release"),
    (model::RELEASE, In::Resource, "release"),
    (model::RELEASE, In::Resource, "vcs.ref.head.revision"),
    (model::RELEASE, In::Resource, "vcs.repository.ref.revision"),
    (model::RELEASE, In::Resource, "vercel.sha"),
    (model::RELEASE, In::Metadata, "release"),
    (model::RELEASE, In::Metadata, "revision_id"),
    (model::REGION, In::Resource, "cloud.region"),
    (model::REGION, In::Resource, "region"),
    (model::REGION, In::Resource, "vercel.region"),
    (model::REGION, In::Metadata, "region"),
    (model::REGION, In::Metadata, "LANGSMITH_REGION"),
];

/// The bits of all fields.
pub(super) const ALL: i64 = (1 << PLACE.len()) - 1;

/// What was said of each of [`PLACE`], and by which name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said<'a>([Option<(usize, &'a str)>; PLACE.len()]);

impl<'a> Said<'a> {
    fn take(&mut self, key: &str, value: &'a str, may_be: &[In]) {
        let names = NAMES.iter().enumerate();
        let named = names.filter(|(_, (_, of, name))| *name == key && may_be.contains(of));
        for (rank, (field, ..)) in named.filter(|_| !value.is_empty()) {
            let slots = PLACE.iter().zip(&mut self.0);
            for (_, slot) in slots.filter(|(known, _)| *known == field) {
                if slot.is_none_or(|(best, _)| rank < best) {
                    *slot = Some((rank, value));
                }
            }
        }
    }

    /// Takes note of an attribute of the thing itself.
    pub(super) fn note(&mut self, key: &str, value: Option<&'a str>) {
        // Nearly all attributes are none of these.
        let is_own = matches!(
            key.as_bytes(),
            [b'l', b'a', b'n', b'g', ..] | [b'o', b'b', ..]
        );
        if let Some(value) = value.filter(|_| is_own) {
            self.take(key, value, &[In::Own]);
        }
    }

    fn of(map: Option<DocRef<'a>>, may_be: &[In]) -> Self {
        let mut said = Self::default();
        let entries = map.and_then(DocRef::entries).into_iter().flatten();
        for (key, value) in entries.map_while(Result::ok) {
            if let Some(value) = value.as_str() {
                said.take(key, value, may_be);
            }
        }
        said
    }

    /// What the attributes of a resource say.
    pub(super) fn of_resource(attributes: Option<DocRef<'a>>) -> Self {
        Self::of(attributes, &[In::Own, In::Resource])
    }

    /// What the user attached says.
    pub(super) fn of_metadata(metadata: Option<DocRef<'a>>) -> Self {
        Self::of(metadata, &[In::Metadata])
    }

    /// What fields of these very names say.
    pub(super) fn of_fields(doc: DocRef<'a>) -> Self {
        let text = |field: &str| doc.get(field)?.as_str().filter(|text| !text.is_empty());
        Self(PLACE.map(|field| Some((0, text(field)?))))
    }

    /// This, and where it says nothing by a name that counts as much, the other.
    pub(super) fn and(self, other: Self) -> Self {
        let mut both = self;
        for (slot, other) in both.0.iter_mut().zip(other.0) {
            if let Some((rank, _)) = other
                && slot.is_none_or(|(best, _)| rank < best)
            {
                *slot = other;
            }
        }
        both
    }

    /// This, and where it says nothing at all, the other.
    pub(super) fn or(self, other: Self) -> Self {
        let mut both = self;
        for (slot, other) in both.0.iter_mut().zip(other.0) {
            *slot = slot.or(other);
        }
        both
    }

    /// Without the fields that a document has already.
    pub(super) fn beside(mut self, doc: DocRef<'_>) -> Self {
        for (field, slot) in PLACE.iter().zip(&mut self.0) {
            if doc.get(field).is_some() {
                *slot = None;
            }
        }
        self
    }

    /// The fields that it has something for, as bits in the order of [`PLACE`].
    pub(super) fn bits(&self) -> i64 {
        let said = self.0.iter().enumerate();
        let said = said.filter(|(_, slot)| slot.is_some());
        said.fold(0, |bits, (place, _)| bits | (1 << place))
    }

    /// The fields that a document has, as bits.
    pub(super) fn bits_of(doc: DocRef<'_>) -> i64 {
        let has = PLACE.iter().enumerate();
        let has = has.filter(|(_, field)| doc.get(field).is_some());
        has.fold(0, |bits, (place, _)| bits | (1 << place))
    }

    /// Writes the fields into an open map.
    pub(super) fn write(&self, out: &mut DocWriter) {
        for (field, slot) in PLACE.iter().zip(self.0) {
            if let Some((_, value)) = slot {
                out.key(field);
                out.str(value);
            }
        }
    }

    /// The same that borrows from nothing.
    pub(super) fn owned(&self) -> Owned {
        Owned(
            self.0
                .map(|slot| slot.map(|(rank, text)| (rank, text.into()))),
        )
    }
}

/// [`Said`] of a resource, for all that came with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Owned([Option<(usize, Box<str>)>; PLACE.len()]);

impl Owned {
    pub(super) fn said(&self) -> Said<'_> {
        let mut said = Said::default();
        for (slot, own) in said.0.iter_mut().zip(&self.0) {
            *slot = own.as_ref().map(|(rank, text)| (*rank, &**text));
        }
        said
    }
}

/// The fields of a row in the order of [`PLACE`]; of one that an older mapping made, what its attributes and its resource say.
pub(crate) fn of_row(doc: DocRef<'_>) -> [Option<&str>; PLACE.len()] {
    let attributes = Said::of(doc.get(model::ATTRIBUTES), &[In::Own]);
    let derived = attributes.and(Said::of_resource(doc.get(model::RESOURCE)));
    let said = Said::of_fields(doc).or(derived);
    said.0.map(|slot| slot.map(|(_, text)| text))
}

/// A document with the fields that it has not and its metadata tells of, in dialects that have no fields for them.
pub(super) fn fill(doc: DocRef<'_>) -> Vec<u8> {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    if let Some(entries) = doc.entries() {
        out.entries(entries);
    }
    Said::of_metadata(doc.get(model::METADATA))
        .beside(doc)
        .write(&mut out);
    out.end(open);
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_name_in_its_order() {
        let readme = include_str!("README.md");
        for (of, column) in [(In::Own, 2), (In::Resource, 3), (In::Metadata, 4)] {
            for field in PLACE {
                let names = NAMES.iter().filter(|(f, o, _)| *f == field && *o == of);
                let names: Vec<String> = names.map(|(.., name)| format!("`{name}`")).collect();
                let row = format!("| `{field}` |");
                let row = readme.lines().find(|line| line.starts_with(&row)).unwrap();
                let cell = row.split('|').nth(column).unwrap().trim();
                assert_eq!(cell, names.join(", "), "{field}");
            }
        }
    }

    #[test]
    fn no_attribute_of_a_products_own_is_passed_over() {
        for (field, _, name) in NAMES.iter().filter(|(_, of, _)| *of == In::Own) {
            let mut said = Said::default();
            said.note(name, Some("x"));
            let mut out = DocWriter::new();
            let open = out.begin_map();
            said.write(&mut out);
            out.end(open);
            let doc = out.finish();
            let doc = DocRef::parse(&doc).unwrap();
            assert_eq!(doc.get(field), Some(DocRef::Str("x")), "{name}");
        }
    }
}
