//! What a run's row says of a blob: a fact of the row, so it is found, counted and deleted with it.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use serde::Serialize;

use super::key::ContentHash;

/// One blob of a run. The same bytes sent twice with the same words are one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// What it is called within its project: see [`ContentHash::id`].
    pub id: String,
    /// Of its bytes.
    #[serde(serialize_with = "as_text")]
    pub sha256: ContentHash,
    /// What its bytes are.
    pub content_type: String,
    /// Its length.
    pub size: u64,
    /// The type in the sender's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_type: Option<String>,
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The span it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The field that it was taken out of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// A name given before the bytes were known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
}

fn as_text<S: serde::Serializer>(hash: &ContentHash, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(hash)
}

impl Reference {
    fn read(doc: DocRef<'_>) -> Option<Self> {
        let text = |key| doc.get(key).and_then(DocRef::as_str).map(str::to_owned);
        let size = doc.get("size").and_then(DocRef::as_i64);
        Some(Self {
            id: text("id")?,
            sha256: ContentHash::parse(&text("sha256")?)?,
            content_type: text("content_type")?,
            size: size.and_then(|n| u64::try_from(n).ok())?,
            declared_type: text("declared_type"),
            name: text("name"),
            span_id: text("span_id"),
            field: text("field"),
            upload: text("upload"),
        })
    }

    /// Those of a run's document.
    pub fn all(run: DocRef<'_>) -> Vec<Self> {
        let Some(DocRef::Array(blobs)) = run.get(model::BLOBS) else {
            return Vec::new();
        };
        blobs.flatten().filter_map(Self::read).collect()
    }

    /// Whether somebody means it: by its id, its hash, or the name it had before.
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.upload.as_deref() == Some(name) || self.sha256.to_string() == name
    }
}
