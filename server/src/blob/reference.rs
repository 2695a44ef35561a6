//! What a run's row says of a blob: a fact of the row, so it is found, counted and deleted with it.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use serde::Serialize;

use super::key::ContentHash;
use crate::limits::BLOB_ROUND_MAX;

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
    /// How often these bytes had been taken out of the run before they were sent for this one.
    #[serde(skip_serializing_if = "is_zero")]
    pub round: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Bytes that were taken out of a run. What a run has is a set that only grows, so that it does not depend on
/// order: this hides every reference to the bytes of an earlier round, and is beaten by one of a later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Of the bytes.
    #[serde(serialize_with = "as_text")]
    pub sha256: ContentHash,
    /// References of rounds below this are gone.
    pub removed: u64,
}

impl Removal {
    fn read(doc: DocRef<'_>) -> Option<Self> {
        Some(Self {
            sha256: ContentHash::parse(doc.get("sha256")?.as_str()?)?,
            removed: round_of(doc, "removed")?,
        })
    }
}

/// A number of rounds; none that nobody comes to by taking things out, which nothing could follow.
fn round_of(doc: DocRef<'_>, key: &str) -> Option<u64> {
    let number = doc.get(key).and_then(DocRef::as_i64)?;
    let round = u64::try_from(number).ok()?;
    (round <= BLOB_ROUND_MAX).then_some(round)
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
            round: round_of(doc, "round").unwrap_or(0),
        })
    }

    /// Those of a run's document that nobody took out again.
    pub fn all(run: DocRef<'_>) -> Vec<Self> {
        let Some(DocRef::Array(blobs)) = run.get(model::BLOBS) else {
            return Vec::new();
        };
        let rounds = rounds(run);
        let round_of = |hash: &ContentHash| rounds.iter().find(|(of, _)| of == hash);
        let references = blobs.flatten().filter_map(Self::read);
        references
            .filter(|one| round_of(&one.sha256).is_none_or(|(_, round)| one.round >= *round))
            .collect()
    }

    /// Whether somebody means it: by its id, its hash, or the name it had before.
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.upload.as_deref() == Some(name) || self.sha256.to_string() == name
    }
}

/// How often which bytes were taken out of a run, of those that ever were.
pub fn rounds(run: DocRef<'_>) -> Vec<(ContentHash, u64)> {
    let Some(DocRef::Array(blobs)) = run.get(model::BLOBS) else {
        return Vec::new();
    };
    let mut rounds: Vec<(ContentHash, u64)> = Vec::new();
    for removal in blobs.flatten().filter_map(Removal::read) {
        match rounds.iter_mut().find(|(of, _)| *of == removal.sha256) {
            Some((_, round)) => *round = removal.removed.max(*round),
            None => rounds.push((removal.sha256, removal.removed)),
        }
    }
    rounds
}

#[cfg(test)]
mod tests {
    use obsrv_engine::doc::DocWriter;

    use super::*;
    use crate::dialect::{JSON_DEPTH_MAX, read_json};

    fn run(blobs: &serde_json::Value) -> Vec<u8> {
        let text = serde_json::json!({ "blobs": blobs }).to_string();
        read_json(text.as_bytes(), JSON_DEPTH_MAX).unwrap()
    }

    fn reference(bytes: &[u8], round: u64) -> Reference {
        Reference {
            id: ContentHash::of(bytes).id(),
            sha256: ContentHash::of(bytes),
            content_type: "image/png".into(),
            size: 1,
            declared_type: None,
            name: None,
            span_id: None,
            field: None,
            upload: None,
            round,
        }
    }

    /// In whatever order they stand.
    #[test]
    fn what_is_taken_out_is_gone_until_it_comes_again() {
        let removal = |bytes: &[u8], removed| Removal {
            sha256: ContentHash::of(bytes),
            removed,
        };
        let (first, again) = (reference(b"a", 0), reference(b"a", 1));
        let other = reference(b"b", 0);
        let value = |all: &[&dyn Fn() -> serde_json::Value]| {
            serde_json::Value::Array(all.iter().map(|one| one()).collect())
        };
        let first_json = || serde_json::to_value(&first).unwrap();
        let again_json = || serde_json::to_value(&again).unwrap();
        let other_json = || serde_json::to_value(&other).unwrap();
        let gone = || serde_json::to_value(removal(b"a", 1)).unwrap();
        let gone_twice = || serde_json::to_value(removal(b"a", 2)).unwrap();
        let left = |all: &[&dyn Fn() -> serde_json::Value]| {
            let doc = run(&value(all));
            let doc = DocRef::parse(&doc).unwrap();
            (Reference::all(doc), rounds(doc).first().map_or(0, |r| r.1))
        };
        assert_eq!(
            left(&[&first_json, &other_json]),
            (vec![first.clone(), other.clone()], 0)
        );
        assert_eq!(
            left(&[&first_json, &gone, &other_json]),
            (vec![other.clone()], 1)
        );
        assert_eq!(
            left(&[&gone, &other_json, &first_json]),
            (vec![other.clone()], 1)
        );
        assert_eq!(
            left(&[&again_json, &gone, &first_json]),
            (vec![again.clone()], 1)
        );
        assert_eq!(
            left(&[&gone_twice, &again_json, &gone, &first_json]),
            (Vec::new(), 2)
        );
        let far = |removed| serde_json::to_value(removal(b"a", removed)).unwrap();
        assert_eq!(
            left(&[&|| far(BLOB_ROUND_MAX), &first_json]),
            (Vec::new(), BLOB_ROUND_MAX)
        );
        assert_eq!(
            left(&[&|| far(BLOB_ROUND_MAX + 1), &first_json]),
            (vec![first.clone()], 0)
        );
        let of_round = |round| serde_json::to_value(reference(b"a", round)).unwrap();
        for (round, read) in [(BLOB_ROUND_MAX, BLOB_ROUND_MAX), (BLOB_ROUND_MAX + 1, 0)] {
            let expected = reference(b"a", read);
            assert_eq!(left(&[&|| of_round(round)]), (vec![expected], 0));
        }
        assert_eq!(
            Reference::all(DocRef::parse(&DocWriter::new().finish()).unwrap_or(DocRef::Null)),
            []
        );
    }
}
