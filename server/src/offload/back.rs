//! A document with its media back in place.

use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model;

use super::encoding::Encoding;
use super::{MARK, token};
use crate::blob::key::ContentHash;

/// In the tokens of no row.
const NO_NONCE: &str = "00000000000000000000000000000000";

/// What a document says was cut out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offloaded {
    nonce: String,
    parts: Vec<Part>,
}

/// A piece that was cut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of its bytes.
    pub hash: ContentHash,
    /// How many they are.
    pub size: u64,
    content_type: String,
    encoding: Encoding,
}

/// What there is to put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// The bytes.
    Whole(Bytes),
    /// They do not come; and what happened to them.
    Gone(&'static str),
    /// What names the attachment, the same in every row.
    Named,
}

impl Offloaded {
    /// What a row's document says; `None` if nothing was cut out of it. No dialect lets a sender write this field of a row,
    /// and the events of other dialects that the row may be folded of do not change it.
    pub fn of(doc: DocRef<'_>) -> Option<Self> {
        let said = doc.get(model::OFFLOADED)?;
        let DocRef::Array(media) = said.get("media")? else {
            return None;
        };
        let parts = media.map(|one| Part::read(one.ok()?));
        Some(Self {
            nonce: said.get("nonce")?.as_str()?.to_owned(),
            parts: parts.collect::<Option<_>>()?,
        })
    }

    /// The document with tokens that are the same wherever the same bytes stood: for whoever holds the texts of several
    /// rows against each other.
    pub fn named(&self, doc: DocRef<'_>) -> Vec<u8> {
        let named = &mut |_: &Part| Ok::<_, Infallible>(Back::Named);
        match self.put_back(doc, &mut { u64::MAX }, named) {
            Ok(doc) => doc,
            Err(never) => match never {},
        }
    }

    /// Bytes that the document takes from the room when everything is put back.
    pub fn more_bytes(&self, doc: DocRef<'_>) -> u64 {
        let entries = doc.entries().into_iter().flatten().flatten();
        let values = entries.filter(|(key, _)| *key != model::OFFLOADED);
        values.fold(0, |sum, (_, value)| sum.saturating_add(self.more_in(value)))
    }

    fn more_in(&self, value: DocRef<'_>) -> u64 {
        let add = |sum: u64, value| sum.saturating_add(self.more_in(value));
        match value {
            DocRef::Array(items) => items.flatten().fold(0, add),
            DocRef::Map(entries) => entries.flatten().map(|(_, value)| value).fold(0, add),
            DocRef::Str(text) => {
                let begins = self.begins();
                let found = text.match_indices(&begins);
                let parts = found.filter_map(|(at, _)| self.meant(&text[at..], begins.len()));
                let parts = parts.map(|(place, _)| self.parts[place].written_bytes());
                parts.fold(0, u64::saturating_add)
            }
            _ => 0,
        }
    }

    /// What tokens of this document begin with.
    fn begins(&self) -> String {
        format!("{MARK}{}:", self.nonce)
    }

    /// The part that the token at the beginning of a text means, and the token's length.
    fn meant(&self, text: &str, begins: usize) -> Option<(usize, usize)> {
        let (place, _) = text.get(begins..)?.split_once(':')?;
        let place: usize = place.parse().ok()?;
        let token = token(&self.nonce, place, self.parts.get(place)?.hash);
        text.starts_with(&token).then_some((place, token.len()))
    }

    /// The document with what `fetch` gives for each part in all its places: as it was sent, if that is everything. It
    /// takes as many bytes from `room`; where that is too little the token stays, and the document still says what was
    /// cut out of it.
    pub fn put_back<E>(
        &self,
        doc: DocRef<'_>,
        room: &mut u64,
        fetch: &mut dyn FnMut(&Part) -> Result<Back, E>,
    ) -> Result<Vec<u8>, E> {
        let mut put = Put {
            of: self,
            begins: self.begins(),
            room,
            fetch,
            known: HashMap::new(),
            is_left: false,
        };
        let mut out = DocWriter::new();
        let open = out.begin_map();
        for (key, value) in doc.entries().into_iter().flatten().flatten() {
            if key != model::OFFLOADED {
                out.key(key);
                put.value(value, &mut out)?;
            }
        }
        if let Some(said) = doc.get(model::OFFLOADED).filter(|_| put.is_left) {
            out.key(model::OFFLOADED);
            out.value(said);
        }
        out.end(open);
        Ok(out.finish())
    }
}

impl Part {
    fn read(doc: DocRef<'_>) -> Option<Self> {
        let text = |key| doc.get(key).and_then(DocRef::as_str);
        let size = doc.get("size").and_then(DocRef::as_i64);
        Some(Self {
            hash: ContentHash::parse(text("sha256")?)?,
            size: u64::try_from(size?).ok()?,
            content_type: text("content_type")?.to_owned(),
            encoding: Encoding::of_name(text("encoding")?)?,
        })
    }

    /// Bytes that it takes in each of its places.
    const fn written_bytes(&self) -> u64 {
        self.encoding.written_bytes(self.size)
    }

    /// What is said in its place when it is no more.
    fn gone(&self, why: &str) -> String {
        format!(
            "[media {why}: {}, {} bytes, sha-256 {}]",
            self.content_type, self.size, self.hash
        )
    }
}

/// What stands in the places of a part.
#[derive(Debug)]
enum Found {
    Text(String),
    Bytes(Bytes),
}

/// What a text is with its media back.
enum Shown {
    Same,
    Text(String),
    Bytes(Bytes),
}

struct Put<'a, E> {
    of: &'a Offloaded,
    /// What its tokens begin with.
    begins: String,
    room: &'a mut u64,
    fetch: &'a mut dyn FnMut(&Part) -> Result<Back, E>,
    /// What was asked for, by place.
    known: HashMap<usize, Rc<Found>>,
    is_left: bool,
}

impl<E> Put<'_, E> {
    fn value(&mut self, value: DocRef<'_>, out: &mut DocWriter) -> Result<(), E> {
        match value {
            DocRef::Str(text) => match self.text(text)? {
                Shown::Same => out.str(text),
                Shown::Text(text) => out.str(&text),
                Shown::Bytes(bytes) => out.bytes(&bytes),
            },
            DocRef::Array(items) => {
                let open = out.begin_array();
                for item in items.flatten() {
                    self.value(item, out)?;
                }
                out.end(open);
            }
            DocRef::Map(entries) => {
                let open = out.begin_map();
                for (key, value) in entries.flatten() {
                    out.key(key);
                    self.value(value, out)?;
                }
                out.end(open);
            }
            other => out.value(other),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<Shown, E> {
        let (mut whole, mut done, mut from) = (String::new(), 0, 0);
        while let Some(at) = text[from..].find(&self.begins).map(|at| from + at) {
            from = at + self.begins.len();
            let Some((place, len)) = self.of.meant(&text[at..], self.begins.len()) else {
                continue;
            };
            let Some(found) = self.found(place)? else {
                continue;
            };
            match &*found {
                Found::Bytes(bytes) if len == text.len() => return Ok(Shown::Bytes(bytes.clone())),
                // Bytes were a whole value.
                Found::Bytes(_) => continue,
                Found::Text(put) => {
                    whole.push_str(&text[done..at]);
                    whole.push_str(put);
                }
            }
            done = at + len;
            from = done;
        }
        if done == 0 {
            return Ok(Shown::Same);
        }
        whole.push_str(&text[done..]);
        Ok(Shown::Text(whole))
    }

    /// What stands for a part once more; `None` if there is no room for it.
    fn found(&mut self, place: usize) -> Result<Option<Rc<Found>>, E> {
        let part = &self.of.parts[place];
        let Some(left) = self.room.checked_sub(part.written_bytes()) else {
            self.is_left = true;
            return Ok(None);
        };
        if let Some(found) = self.known.get(&place) {
            *self.room = left;
            return Ok(Some(Rc::clone(found)));
        }
        let found = match (self.fetch)(part)? {
            Back::Whole(bytes) if part.encoding == Encoding::Bytes => Found::Bytes(bytes),
            Back::Whole(bytes) => Found::Text(part.encoding.write(&bytes)),
            Back::Gone(why) => Found::Text(part.gone(why)),
            Back::Named => Found::Text(token(NO_NONCE, 0, part.hash)),
        };
        *self.room = left;
        let found = Rc::new(found);
        self.known.insert(place, Rc::clone(&found));
        Ok(Some(found))
    }
}
