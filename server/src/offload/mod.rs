//! Media in the values of rows that came as OTLP: kept as attachments of the trace, put back where the whole row is
//! read (D-60).
//!
//! ```text
//! as sent    {"attributes": {"k": "data:image/png;base64,iVBORw0KG…"}}
//! as stored  {"attributes": {"k": "data:image/png;base64,obsrv-media:<nonce>:0:<sha-256>"},
//!             "offloaded": {"nonce": …, "media": [{"sha256": …, "size": …, "content_type": …, "encoding": …}]}}
//! ```
//!
//! Whoever sends a token means nothing by it: only those with the nonce of their row are put back, and a nonce is a
//! hash of the document that it stands in, as it was sent. Nothing here knows where files are: [`cut`] tells what
//! is to be kept, and [`Offloaded::put_back`] asks for it.

mod back;
mod cut;
mod encoding;
mod runs;

pub use back::{Back, Offloaded, Part};
pub use cut::{Cut, Piece, cut, holds_media};
pub use encoding::Encoding;

use obsrv_engine::doc::COLUMN_VALUE_BYTES_MAX;

use crate::blob::key::ContentHash;

/// What every token begins with.
const MARK: &str = "obsrv-media:";
/// Bytes of a nonce, of the 32 of its hash.
const NONCE_BYTES: usize = 16;
/// Digits of the hash of a file.
const HASH_DIGITS: usize = 64;
/// Below this a token would be a value of a column, and a run would take it over from its root span.
const _: () = assert!(MARK.len() + 2 * NONCE_BYTES + HASH_DIGITS + 3 > COLUMN_VALUE_BYTES_MAX);

/// What stands in a text for the piece of this place.
fn token(nonce: &str, place: usize, hash: ContentHash) -> String {
    format!("{MARK}{nonce}:{place}:{hash}")
}

#[cfg(test)]
mod tests;
