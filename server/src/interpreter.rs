//! From stored bytes to events: what ingest and replay share.

use crate::dialect::encoding::Encoding;
use crate::dialect::{self, Context, Decoded, Dialect, DecodeError};
use crate::engine_stub::engine::{Envelope, InterpretError, Interpreter};
use crate::engine_stub::row::{Event, ProjectId};

/// What is needed to read a plain body, beside the body.
#[derive(Clone, Copy, Debug)]
pub struct Meaning<'a> {
    /// How.
    pub dialect: Dialect,
    /// Whose.
    pub project: ProjectId,
    /// What the path named.
    pub subject: &'a str,
    /// When it came.
    pub received_ns: i64,
}

/// Reads a plain body. Minted ids come from the plain bytes: a client that compresses a retry
/// differently still sends the same thing.
pub fn read(meaning: Meaning<'_>, plain: &[u8]) -> Result<Decoded, DecodeError> {
    let context = Context {
        project: meaning.project,
        body_hash: xxhash_rust::xxh3::xxh3_64(plain),
        subject: meaning.subject,
        received_ns: meaning.received_ns,
    };
    dialect::decode(meaning.dialect, &context, plain)
}
