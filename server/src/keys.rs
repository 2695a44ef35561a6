//! API keys and the keys that the server derives for itself. Owns the master secret's use.
//!
//! A key string is `obsrv_<id>_<secret><checksum>`: id in hex, 32 secret bytes in hex, CRC-32 of
//! everything before it in hex, so that a typo or a leaked half is told from a key. Any other
//! string is a key if it was installed as one (`OBSRV_BOOTSTRAP_KEY`). Only an HMAC of the string
//! is kept; the string is shown once.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::limits::{KEY_BYTES_MAX, KEY_BYTES_MIN};
use obsrv_engine::io::Rng;

const PREFIX: &str = "obsrv_";
const SECRET_BYTES: usize = 32;
const CHECKSUM_CHARS: usize = 8;

/// MAC of a key string.
pub type KeyMac = [u8; 32];

/// The secret of a data directory: every other secret is derived from it.
pub struct MasterSecret([u8; SECRET_BYTES]);

impl MasterSecret {
    /// These bytes.
    pub const fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// A key for one purpose. Purposes are constants: two never share a key.
    fn derive(&self, purpose: &'static str) -> Hmac<Sha256> {
        let key = mac_over(&hmac_of(&self.0), purpose.as_bytes());
        hmac_of(&key)
    }
}

impl std::fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterSecret(..)")
    }
}

fn hmac_of(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("BUG: HMAC takes a key of any length")
}

fn mac_over(key: &Hmac<Sha256>, message: &[u8]) -> [u8; 32] {
    key.clone()
        .chain_update(message)
        .finalize()
        .into_bytes()
        .into()
}

/// Makes the MACs of one purpose.
#[derive(Clone)]
pub struct Macs(Hmac<Sha256>);

impl Macs {
    /// For key strings.
    pub fn for_keys(secret: &MasterSecret) -> Self {
        Self(secret.derive("obsrv api key v1"))
    }

    /// For cursors.
    pub fn for_cursors(secret: &MasterSecret) -> Self {
        Self(secret.derive("obsrv cursor v1"))
    }

    /// For links to attachments.
    pub fn for_blobs(secret: &MasterSecret) -> Self {
        Self(secret.derive("obsrv blob link v1"))
    }

    /// For what redaction keeps of an id and of a body.
    pub fn for_redaction(secret: &MasterSecret) -> Self {
        Self(secret.derive("obsrv redaction v1"))
    }

    /// The MAC of parts one behind the other.
    pub fn mac_of_parts(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    /// For session ids.
    pub fn for_sessions(secret: &MasterSecret) -> Self {
        Self(secret.derive("obsrv session v1"))
    }

    /// For what is derived for one sign-in by a provider.
    pub fn for_oidc(secret: &MasterSecret) -> Self {
        Self(secret.derive("obsrv oidc v1"))
    }

    /// For the tokens of links.
    pub fn for_links(secret: &MasterSecret) -> Self {
        Self(secret.derive("obsrv link v1"))
    }

    /// For the tokens of invitations.
    pub fn for_invitations(secret: &MasterSecret) -> Self {
        Self(secret.derive("obsrv invitation v1"))
    }

    /// The MAC of a message.
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        mac_over(&self.0, message)
    }
}

impl std::fmt::Debug for Macs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Macs(..)")
    }
}

/// A key string. Never printed by `Debug`, wanted in no log.
#[derive(Clone)]
pub struct KeyString(String);

impl KeyString {
    /// A fresh key with this id.
    pub fn mint(id: u64, rng: &dyn Rng) -> Self {
        let mut secret = [0; SECRET_BYTES];
        rng.fill(&mut secret);
        let mut text = format!("{PREFIX}{id:x}_{}", hex(&secret));
        let checksum = crc32fast::hash(text.as_bytes());
        text.push_str(&checksum_text(checksum));
        Self(text)
    }

    /// A string that someone presents or installs as a key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() < KEY_BYTES_MIN || text.len() > KEY_BYTES_MAX {
            return Err(KeyError::Length);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(KeyError::Character);
        }
        if is_minted_form(text) {
            let (body, checksum) = text.split_at(text.len() - CHECKSUM_CHARS);
            if checksum_text(crc32fast::hash(body.as_bytes())) != checksum {
                return Err(KeyError::Checksum);
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The string, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for KeyString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyString(..)")
    }
}

/// Why a string cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too short or too long.
    #[error("key has a wrong length min={KEY_BYTES_MIN} max={KEY_BYTES_MAX}")]
    Length,
    /// Not visible ASCII.
    #[error("key has a character that is not visible ascii")]
    Character,
    /// Has the form of a minted key, but its checksum is wrong: a typo or a cut.
    #[error("key has a wrong checksum")]
    Checksum,
}

fn is_minted_form(text: &str) -> bool {
    let Some((id, tail)) = text
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('_'))
    else {
        return false;
    };
    let hex_digits = |s: &str| s.bytes().all(|b| b.is_ascii_hexdigit());
    (1..=16).contains(&id.len())
        && hex_digits(id)
        && tail.len() == SECRET_BYTES * 2 + CHECKSUM_CHARS
        && hex_digits(tail)
}

fn checksum_text(checksum: u32) -> String {
    format!("{checksum:08x}")
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n & 15)]);
    bytes
        .iter()
        .flat_map(|b| [digit(b >> 4), digit(*b)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(u8);

    impl Rng for Fixed {
        fn fill(&self, buf: &mut [u8]) {
            buf.fill(self.0);
        }
    }

    #[test]
    fn a_minted_key_is_a_key_and_no_edit_of_it_is() {
        let key = KeyString::mint(0x2a, &Fixed(0xab));
        let text = key.reveal().to_owned();
        assert!(text.starts_with("obsrv_2a_abab"));
        assert_eq!(text.len(), "obsrv_2a_".len() + 64 + 8);
        assert_eq!(KeyString::parse(&text).unwrap().reveal(), text);
        for at in "obsrv_".len()..text.len() {
            let mut edited = text.clone().into_bytes();
            if edited[at] == b'_' {
                continue;
            }
            edited[at] = if edited[at] == b'0' { b'1' } else { b'0' };
            let edited = String::from_utf8(edited).unwrap();
            assert_eq!(
                KeyString::parse(&edited).unwrap_err(),
                KeyError::Checksum,
                "{edited}"
            );
        }
    }

    #[test]
    fn any_visible_string_within_the_limits_may_be_installed() {
        for good in [
            "tk_live_0123",
            "a".repeat(KEY_BYTES_MIN).as_str(),
            &"k".repeat(KEY_BYTES_MAX),
        ] {
            assert!(KeyString::parse(good).is_ok(), "{good}");
        }
        for bad in ["a".repeat(KEY_BYTES_MIN - 1), "k".repeat(KEY_BYTES_MAX + 1)] {
            assert_eq!(KeyString::parse(&bad).unwrap_err(), KeyError::Length);
        }
        for bad in ["with a space", "line\nbreak", "umläut-key"] {
            assert_eq!(KeyString::parse(bad).unwrap_err(), KeyError::Character);
        }
    }

    #[test]
    fn macs_differ_by_message_purpose_and_master_secret() {
        let (one, two) = (
            MasterSecret::from_bytes([1; 32]),
            MasterSecret::from_bytes([2; 32]),
        );
        let macs = [
            Macs::for_keys(&one).mac(b"k"),
            Macs::for_keys(&one).mac(b"l"),
            Macs::for_cursors(&one).mac(b"k"),
            Macs::for_sessions(&one).mac(b"k"),
            Macs::for_links(&one).mac(b"k"),
            Macs::for_blobs(&one).mac(b"k"),
            Macs::for_oidc(&one).mac(b"k"),
            Macs::for_keys(&two).mac(b"k"),
        ];
        for (i, a) in macs.iter().enumerate() {
            for b in &macs[i + 1..] {
                assert_ne!(a, b);
            }
        }
        assert_eq!(macs[0], Macs::for_keys(&one).mac(b"k"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!(
            "{:?} {:?} {:?}",
            KeyString::parse("tk_secret_1").unwrap(),
            MasterSecret::from_bytes([0x61; 32]),
            Macs::for_keys(&MasterSecret::from_bytes([0x61; 32])),
        );
        assert_eq!(shown, "KeyString(..) MasterSecret(..) Macs(..)");
    }
}
