//! Distinct texts by code, as they are gathered.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::doc::DocError;

/// Texts in order of appearance, each once, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    known: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The code that was given last: most attributes repeat from row to row.
    last: u32,
}

impl Dictionary {
    /// How many distinct texts.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * (size_of::<usize>() + size_of::<u32>())
    }

    /// Whether every code means the same text in both.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.ends == other.ends && self.bytes == other.bytes
    }

    /// The text of a code.
    pub(crate) fn text(&self, code: u32) -> &str {
        let text = bytes_of(&self.bytes, &self.ends, code);
        std::str::from_utf8(text).expect("BUG: a text was not checked")
    }

    /// The code of a text, a new one if it was not seen before.
    pub(crate) fn code(&mut self, text: &[u8]) -> Result<u32, DocError> {
        let (bytes, ends) = (&self.bytes, &self.ends);
        if !ends.is_empty() && bytes_of(bytes, ends, self.last) == text {
            return Ok(self.last);
        }
        let hash = self.hasher.hash_one(text);
        let known = self
            .known
            .find(hash, |code| bytes_of(bytes, ends, *code) == text);
        if let Some(&code) = known {
            self.last = code;
            return Ok(code);
        }
        if std::str::from_utf8(text).is_err() {
            return Err(DocError::Utf8);
        }
        let code = u32::try_from(self.ends.len()).expect("BUG: over 4 G distinct texts");
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        self.known.insert_unique(hash, code, |code| {
            hasher.hash_one(bytes_of(bytes, ends, *code))
        });
        self.last = code;
        Ok(code)
    }
}

fn bytes_of<'a>(bytes: &'a [u8], ends: &[usize], code: u32) -> &'a [u8] {
    let at = usize::try_from(code).unwrap_or(usize::MAX);
    let start = at.checked_sub(1).and_then(|i| ends.get(i).copied());
    let end = ends.get(at).copied().unwrap_or(0);
    bytes.get(start.unwrap_or(0)..end).unwrap_or_default()
}
