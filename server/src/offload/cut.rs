//! A document without its media.

use std::ops::Range;

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::mapping::Mapped;
use obsrv_engine::model;
use obsrv_engine::row::{Event, Table};

use super::encoding::Encoding;
use super::runs::{declared, each_run};
use super::{NONCE_BYTES, token};
use crate::blob::key::ContentHash;
use crate::blob::sniff;
use crate::dialect;
use crate::keys::hex;
use crate::limits::MEDIA_BYTES_MIN;

/// Fields in which media is looked for: what a sender fills as it likes. A run takes over none of them whole.
const FIELDS: [&str; 5] = [
    model::ATTRIBUTES,
    "events",
    "links",
    model::METADATA,
    model::RESOURCE,
];

/// What was cut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The bytes.
    pub bytes: Bytes,
    /// Of them.
    pub hash: ContentHash,
    /// What they are.
    pub content_type: &'static str,
    /// The type in the sender's words.
    pub declared_type: Option<String>,
    /// How they stood there.
    pub encoding: Encoding,
}

/// A document in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What is left.
    pub doc: Bytes,
    /// What was cut out, each once.
    pub pieces: Vec<Piece>,
}

/// Whether there may be media in the document of an event that is worth a file: a quick look.
pub fn holds_media(event: &Event) -> bool {
    event.doc.len() >= MEDIA_BYTES_MIN && fields(event).any(|(_, value)| holds(value))
}

/// The fields of an event in which media is looked for.
fn fields(event: &Event) -> impl Iterator<Item = (&str, DocRef<'_>)> {
    // A file is its trace's and goes with it; a log line stays longer than its trace, or goes before.
    let is_span = event.table == Table::Spans;
    let doc = DocRef::parse(&event.doc).ok().filter(|_| is_span);
    let doc = doc.filter(|doc| doc.get(model::DIALECT).and_then(DocRef::as_str) == Some("otlp"));
    let entries = doc.and_then(DocRef::entries);
    let entries = entries.into_iter().flatten().flatten();
    entries.filter(|(key, _)| FIELDS.contains(key))
}

fn holds(value: DocRef<'_>) -> bool {
    match value {
        DocRef::Str(text) => {
            let mut found = false;
            each_run(text, &mut |_| {
                found = true;
                found
            });
            found
        }
        DocRef::Bytes(bytes) => bytes.len() >= MEDIA_BYTES_MIN,
        DocRef::Array(items) => items.flatten().any(holds),
        DocRef::Map(entries) => entries.flatten().any(|(_, value)| holds(value)),
        _ => false,
    }
}

/// Cuts the media out of an event's document; `None` where there is none that can be cut. Pieces of more than
/// `bytes_max` stay where they are.
pub fn cut(event: &Event, bytes_max: u64) -> Option<Cut> {
    let doc = DocRef::parse(&event.doc).ok()?;
    let nonce = hex(&ContentHash::of(&event.doc).0[..NONCE_BYTES]);
    let mut walk = Walk {
        nonce,
        bytes_max,
        pieces: Vec::new(),
    };
    let mut out = DocWriter::new();
    let open = out.begin_map();
    for (key, value) in doc.entries()?.flatten() {
        out.key(key);
        if FIELDS.contains(&key) {
            walk.value(value, &mut out);
        } else {
            out.value(value);
        }
    }
    walk.note(&mut out);
    out.end(open);
    let doc = Bytes::from(out.finish());
    // What was derived from a text must follow from what is left of it, too (D-59).
    let is_itself = !matches!(dialect::map(event.table, &doc), Mapped::Other(_));
    (!walk.pieces.is_empty() && is_itself).then_some(Cut {
        doc,
        pieces: walk.pieces,
    })
}

struct Walk {
    nonce: String,
    bytes_max: u64,
    pieces: Vec<Piece>,
}

impl Walk {
    fn value(&mut self, value: DocRef<'_>, out: &mut DocWriter) {
        match value {
            DocRef::Str(text) if text.len() >= MEDIA_BYTES_MIN => out.str(&self.text(text)),
            DocRef::Bytes(bytes) if bytes.len() >= MEDIA_BYTES_MIN => {
                match self.token(Encoding::Bytes, bytes.to_vec(), None) {
                    Some(token) => out.str(&token),
                    None => out.bytes(bytes),
                }
            }
            DocRef::Array(items) => {
                let open = out.begin_array();
                items.flatten().for_each(|item| self.value(item, out));
                out.end(open);
            }
            DocRef::Map(entries) => {
                let open = out.begin_map();
                for (key, value) in entries.flatten() {
                    out.key(key);
                    self.value(value, out);
                }
                out.end(open);
            }
            other => out.value(other),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let mut runs: Vec<Range<usize>> = Vec::new();
        each_run(text, &mut |run| {
            runs.push(run);
            false
        });
        let (mut left, mut done) = (String::new(), 0);
        for run in runs {
            let before = &text[..run.start];
            let Some((encoding, bytes)) = Encoding::read(&text[run.clone()]) else {
                continue;
            };
            if let Some(token) = self.token(encoding, bytes, declared(before)) {
                left.push_str(&text[done..run.start]);
                left.push_str(&token);
                done = run.end;
            }
        }
        left.push_str(&text[done..]);
        left
    }

    /// What stands for these bytes, written so. The same twice is one piece, so that what is derived from a text still is what
    /// stands in it.
    fn token(
        &mut self,
        encoding: Encoding,
        bytes: Vec<u8>,
        declared: Option<&str>,
    ) -> Option<String> {
        let size = u64::try_from(bytes.len()).ok()?;
        if size > self.bytes_max {
            return None;
        }
        let hash = ContentHash::of(&bytes);
        let same = |piece: &Piece| piece.hash == hash && piece.encoding == encoding;
        let place = self.pieces.iter().position(same);
        let place = place.unwrap_or_else(|| {
            self.pieces.push(Piece {
                content_type: sniff::content_type(&bytes),
                bytes: Bytes::from(bytes),
                hash,
                declared_type: declared.map(str::to_owned),
                encoding,
            });
            self.pieces.len() - 1
        });
        Some(token(&self.nonce, place, hash))
    }

    /// Says in an open document what was cut out of it.
    fn note(&self, out: &mut DocWriter) {
        out.key(model::OFFLOADED);
        let open = out.begin_map();
        out.key("nonce");
        out.str(&self.nonce);
        out.key("media");
        let list = out.begin_array();
        for piece in &self.pieces {
            let item = out.begin_map();
            out.key("sha256");
            out.str(&piece.hash.to_string());
            out.key("size");
            out.u64(u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX));
            out.key("content_type");
            out.str(piece.content_type);
            out.key("encoding");
            out.str(piece.encoding.name());
            out.end(item);
        }
        out.end(list);
        out.end(open);
    }
}
