//! What decodes bytes from outside or from disk and is nobody's business but obsrv's: for fuzzing.
//!
//! Each says whether the bytes were read. What is behind a checksum or a MAC is given the right one here,
//! since nobody who flips bits alone gets past it.

pub use crate::http::forge::*;

/// Whether a file of uses reads, here without its checksum.
pub fn uses_read(body: &[u8]) -> bool {
    crate::uses::reads(body)
}

/// A file of uses, without its checksum.
pub fn uses() -> Vec<u8> {
    crate::uses::file()
}

/// Whether a text names whose use is counted.
pub fn owner_reads(text: &str) -> bool {
    crate::quota::owner_reads(text)
}

/// Whether a text is the hash of a password.
pub fn hash_reads(text: &str) -> bool {
    crate::signin::hash_reads(text)
}

/// Whether something that a provider of identities says reads.
pub fn provider_reads(bytes: &[u8]) -> bool {
    crate::signin::oidc::reads(bytes)
}
