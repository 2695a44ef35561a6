//! Links that open one blob, or one place for one, to whoever has them, until they expire.
//!
//! ```text
//! base64url( version u8 = 1, link in bincode, mac 32 bytes )
//! ```
//!
//! The MAC covers everything before it under a key of its own, derived from the master secret. A link that a
//! key made ends with the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bincode::{Decode, Encode};
use subtle::ConstantTimeEq;

use crate::keys::Macs;
use crate::limits::BLOB_LINK_BYTES_MAX;

const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;

/// What a link opens.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Link {
    /// The project.
    pub project: u64,
    /// The stored id of the trace.
    pub trace_id: String,
    /// The key that made it; 0 for people.
    pub key_id: u64,
    /// When it ends, in seconds since the epoch.
    pub expires_s: u64,
    /// What may be done.
    pub purpose: Purpose,
}

/// What may be done with a link. Encoded: append only.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Purpose {
    /// To read this blob.
    Read {
        /// Its SHA-256.
        sha256: [u8; 32],
    },
    /// To send one.
    Write(Wanted),
}

/// What is to be sent, as far as whoever asked for the link said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Wanted {
    /// A name for people.
    pub name: Option<String>,
    /// The type in the sender's words.
    pub declared_type: Option<String>,
    /// The span it belongs to.
    pub span_id: Option<String>,
    /// The field that it was taken out of.
    pub field: Option<String>,
    /// A name given before the bytes were known.
    pub upload: Option<String>,
    /// Its length.
    pub size: Option<u64>,
    /// Its SHA-256.
    pub sha256: Option<[u8; 32]>,
}

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not made here, or changed since.
    #[error("not a link of this server")]
    Forged,
    /// Its time is over.
    #[error("link has expired")]
    Expired,
}

/// The text form.
pub fn seal(macs: &Macs, link: &Link) -> String {
    let mut bytes = vec![VERSION];
    let body = bincode::encode_to_vec(link, bincode::config::standard());
    bytes.extend(body.expect("BUG: encoding into memory failed"));
    let mac = macs.mac(&bytes);
    bytes.extend_from_slice(&mac);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a link opens now.
pub fn open(macs: &Macs, text: &str, now_ns: i64) -> Result<Link, LinkError> {
    if text.len() > BLOB_LINK_BYTES_MAX {
        return Err(LinkError::Forged);
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| LinkError::Forged)?;
    let (signed, mac) = bytes
        .split_last_chunk::<MAC_BYTES>()
        .ok_or(LinkError::Forged)?;
    if !bool::from(macs.mac(signed).ct_eq(mac)) {
        return Err(LinkError::Forged);
    }
    let body = signed.strip_prefix(&[VERSION]).ok_or(LinkError::Forged)?;
    let config = bincode::config::standard().with_limit::<BLOB_LINK_BYTES_MAX>();
    let read: Result<(Link, usize), _> = bincode::decode_from_slice(body, config);
    let (link, _) = read.map_err(|_| LinkError::Forged)?;
    let now_s = u64::try_from(now_ns / 1_000_000_000).unwrap_or(0);
    if now_s >= link.expires_s {
        return Err(LinkError::Expired);
    }
    Ok(link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::MasterSecret;

    fn macs(secret: u8) -> Macs {
        Macs::for_blobs(&MasterSecret::from_bytes([secret; 32]))
    }

    fn link() -> Link {
        Link {
            project: 7,
            trace_id: "t".to_owned(),
            key_id: 3,
            expires_s: 100,
            purpose: Purpose::Read { sha256: [9; 32] },
        }
    }

    #[test]
    fn a_link_opens_until_its_second() {
        let text = seal(&macs(1), &link());
        assert_eq!(open(&macs(1), &text, 99_999_999_999), Ok(link()));
        let late = open(&macs(1), &text, 100_000_000_000);
        assert_eq!(late, Err(LinkError::Expired));
        assert_eq!(open(&macs(2), &text, 0), Err(LinkError::Forged));
    }

    #[test]
    fn no_bit_of_a_link_may_change() {
        let bytes = URL_SAFE_NO_PAD.decode(seal(&macs(1), &link())).unwrap();
        for at in 0..bytes.len() * 8 {
            let mut edited = bytes.clone();
            edited[at / 8] ^= 1 << (at % 8);
            let text = URL_SAFE_NO_PAD.encode(edited);
            assert_eq!(open(&macs(1), &text, 0), Err(LinkError::Forged), "bit {at}");
        }
        for len in 0..bytes.len() {
            let text = URL_SAFE_NO_PAD.encode(&bytes[..len]);
            assert_eq!(
                open(&macs(1), &text, 0),
                Err(LinkError::Forged),
                "len {len}"
            );
        }
    }

    /// A link of the longest form that is made is read; one sign more is not looked at.
    #[test]
    fn the_length_of_a_link_is_bounded() {
        let sealed_with = |len: usize| {
            let wanted = Wanted {
                name: Some("n".repeat(len)),
                ..Wanted::default()
            };
            let purpose = Purpose::Write(wanted);
            seal(&macs(1), &Link { purpose, ..link() })
        };
        let fits = (0..BLOB_LINK_BYTES_MAX)
            .rev()
            .find(|len| sealed_with(*len).len() <= BLOB_LINK_BYTES_MAX)
            .unwrap();
        assert!(open(&macs(1), &sealed_with(fits), 0).is_ok());
        let over = open(&macs(1), &sealed_with(fits + 2), 0);
        assert_eq!(over, Err(LinkError::Forged));
    }
}
