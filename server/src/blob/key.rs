//! The name of a blob.
//!
//! ```text
//! <project, 16 hex> / <2 hex> / <trace id, base64url> / <SHA-256 of the bytes, 64 hex>
//! ```
//!
//! The two hex digits are the first byte of the SHA-256 of the trace id, so that no directory is large. The
//! trace id stands there itself: whoever removes what is left over must know which trace to look for.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::keys::hex;
use crate::limits::BLOB_TRACE_ID_BYTES_MAX;
use obsrv_engine::row::ProjectId;

/// How many characters of the hash, as base64url, stand for a blob within its project: 132 bits. Langfuse's
/// clients make the ids of media so.
const ID_CHARS: usize = 22;

/// The SHA-256 of a blob's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// What a blob is called within its project.
    pub fn id(&self) -> String {
        let mut id = URL_SAFE_NO_PAD.encode(self.0);
        id.truncate(ID_CHARS);
        id
    }
}

fn digit(sign: u8) -> Option<u8> {
    match sign {
        b'0'..=b'9' => Some(sign - b'0'),
        b'a'..=b'f' => Some(sign - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose blobs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    project: ProjectId,
    trace_id: Box<str>,
}

impl Owner {
    /// A trace of a project; `None` if its id is empty or longer than [`BLOB_TRACE_ID_BYTES_MAX`].
    pub fn new(project: ProjectId, trace_id: &str) -> Option<Self> {
        let fits = (1..=BLOB_TRACE_ID_BYTES_MAX).contains(&trace_id.len());
        fits.then(|| Self {
            project,
            trace_id: trace_id.into(),
        })
    }

    /// The project.
    pub const fn project(&self) -> ProjectId {
        self.project
    }

    /// The trace.
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// What the names of its blobs begin with, without the slash after it.
    pub fn prefix(&self) -> String {
        let shard = Sha256::digest(self.trace_id.as_bytes())[0];
        let trace = URL_SAFE_NO_PAD.encode(self.trace_id.as_bytes());
        format!("{:016x}/{shard:02x}/{trace}", self.project.0)
    }

    /// One of its blobs.
    pub fn blob(&self, hash: ContentHash) -> Key {
        Key {
            owner: self.clone(),
            hash,
        }
    }
}

/// The name of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    owner: Owner,
    hash: ContentHash,
}

impl Key {
    /// Whose it is.
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// What is in it.
    pub const fn hash(&self) -> ContentHash {
        self.hash
    }

    /// Reads a name; `None` if it is none of ours.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('/');
        let project = u64::from_str_radix(parts.next()?, 16).ok()?;
        let (_shard, trace) = (parts.next()?, parts.next()?);
        let trace = String::from_utf8(URL_SAFE_NO_PAD.decode(trace).ok()?).ok()?;
        let hash = ContentHash::parse(parts.next()?)?;
        let key = Owner::new(ProjectId(project), &trace)?.blob(hash);
        // One blob, one name.
        (key.to_string() == name).then_some(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner.prefix(), self.hash)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_reads_back_and_never_leaves_its_place(project in 1..u64::MAX, trace in ".{1,60}", hash: [u8; 32]) {
            prop_assume!(trace.len() <= BLOB_TRACE_ID_BYTES_MAX);
            let key = Owner::new(ProjectId(project), &trace).unwrap().blob(ContentHash(hash));
            let name = key.to_string();
            prop_assert_eq!(Key::parse(&name), Some(key));
            prop_assert_eq!(name.split('/').count(), 4);
            for part in name.split('/') {
                prop_assert!(!part.is_empty() && part.len() <= 255);
                prop_assert!(part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            }
        }

        #[test]
        fn whatever_is_read_is_what_is_written(name in "[0-9a-f/A-Z_-]{0,120}") {
            if let Some(key) = Key::parse(&name) {
                prop_assert_eq!(key.to_string(), name);
            }
        }
    }

    #[test]
    fn the_trace_id_has_a_limit() {
        let at = "t".repeat(BLOB_TRACE_ID_BYTES_MAX);
        let owner = Owner::new(ProjectId(1), &at).unwrap();
        assert!(owner.prefix().split('/').all(|part| part.len() <= 255));
        assert_eq!(Owner::new(ProjectId(1), &format!("{at}t")), None);
        assert_eq!(Owner::new(ProjectId(1), ""), None);
    }

    #[test]
    fn an_id_is_what_langfuse_makes_of_the_hash() {
        // base64.b64encode(hashlib.sha256(b"hello").digest()), url-safe, 22 characters
        assert_eq!(
            ContentHash::of(b"hello").id(),
            "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="[..22]
        );
    }
}
