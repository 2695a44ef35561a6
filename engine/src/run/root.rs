//! The root span of a run, and what the run takes from it.

use bytes::Bytes;

use super::rollup::SpanFacts;
use crate::doc::{COLUMN_VALUE_BYTES_MAX, DocError, DocRef, DocWriter};
use crate::model;

/// Fields that a run takes from its root span when it does not have them itself.
const FROM_ROOT: [&str; 16] = [
    model::NAME,
    model::STATUS,
    model::ERROR_MESSAGE,
    model::USER_ID,
    model::GROUP,
    model::SERVICE,
    model::ENVIRONMENT,
    model::VERSION,
    model::RELEASE,
    model::REGION,
    model::KEY_ID,
    model::MODEL,
    model::TAGS,
    model::METADATA,
    model::ATTRIBUTES,
    model::RESOURCE,
];

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Root {
    declared: bool,
    start_ns: i64,
    pub(super) end_ns: Option<i64>,
    id: String,
    /// A map of the fields of [`FROM_ROOT`] that it has.
    pub(super) fields: Bytes,
}

impl Root {
    pub(super) fn of(span: SpanFacts<'_>, declared: bool) -> Self {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        for key in FROM_ROOT {
            if let Some(value) = span.view.get(key) {
                out.key(key);
                copy_short(value, &mut out);
            }
        }
        out.end(open);
        Self {
            declared,
            start_ns: span.start_ns,
            end_ns: span.end_ns,
            id: span.id.to_owned(),
            fields: Bytes::from(out.finish()),
        }
    }

    /// The smallest is the root: a declared one, then the earliest, then the smallest id.
    pub(super) fn rank(&self) -> (bool, i64, &str) {
        (!self.declared, self.start_ns, &self.id)
    }

    pub(super) fn write(&self, out: &mut DocWriter) {
        let open = out.begin_map();
        out.key("id");
        out.str(&self.id);
        out.key("declared");
        out.bool(self.declared);
        out.key("start_ns");
        out.i64(self.start_ns);
        if let Some(end) = self.end_ns {
            out.key("end_ns");
            out.i64(end);
        }
        // As bytes, so that columns index the fields once: on the run itself.
        out.key("fields");
        out.bytes(&self.fields);
        out.end(open);
    }

    pub(super) fn read(doc: DocRef<'_>, shared: &Bytes) -> Result<Self, DocError> {
        let Some(DocRef::Bytes(fields)) = doc.get("fields") else {
            return Err(DocError::Short);
        };
        Ok(Self {
            declared: doc.get("declared") == Some(DocRef::Bool(true)),
            start_ns: doc
                .get("start_ns")
                .and_then(DocRef::as_i64)
                .ok_or(DocError::Short)?,
            end_ns: doc.get("end_ns").and_then(DocRef::as_i64),
            id: doc
                .get("id")
                .and_then(DocRef::as_str)
                .ok_or(DocError::Short)?
                .to_owned(),
            fields: shared.slice_ref(fields),
        })
    }
}

/// Copies what a filter over runs can use: short values and the maps around them.
fn copy_short(value: DocRef<'_>, out: &mut DocWriter) {
    match value {
        DocRef::Map(entries) => {
            let open = out.begin_map();
            for (key, child) in entries.filter_map(Result::ok).filter(|(_, v)| is_short(*v)) {
                out.key(key);
                copy_short(child, out);
            }
            out.end(open);
        }
        other => out.value(other),
    }
}

fn is_short(value: DocRef<'_>) -> bool {
    match value {
        DocRef::Str(s) => s.len() <= COLUMN_VALUE_BYTES_MAX,
        DocRef::Bytes(_) => false,
        DocRef::Array(mut items) => items.all(|v| v.is_ok_and(is_short)),
        _ => true,
    }
}
