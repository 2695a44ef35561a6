//! How bytes are written in a value.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// How bytes are written in a value. Stored by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// With `+` and `/`, filled up with `=`.
    Base64,
    /// Not filled up.
    Base64NoPad,
    /// With `-` and `_`, filled up with `=`.
    Base64Url,
    /// Not filled up.
    Base64UrlNoPad,
    /// The value is bytes.
    Bytes,
}

impl Encoding {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Base64, "base64"),
        (Self::Base64NoPad, "base64-nopad"),
        (Self::Base64Url, "base64url"),
        (Self::Base64UrlNoPad, "base64url-nopad"),
        (Self::Bytes, "bytes"),
    ];

    /// As it is stored.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(one, _)| *one == self);
        named.map_or("", |(_, name)| name)
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        let named = Self::ALL.iter().find(|(_, one)| *one == name);
        named.map(|(one, _)| *one)
    }

    /// That of a text of the signs of base64, if it is one alone.
    fn of(text: &str) -> Option<Self> {
        let has = |signs: [char; 2]| text.contains(signs);
        let is_filled = text.len().is_multiple_of(4);
        match (has(['-', '_']), has(['+', '/'])) {
            (true, true) => None,
            (true, false) if is_filled => Some(Self::Base64Url),
            (true, false) => Some(Self::Base64UrlNoPad),
            (false, _) if is_filled => Some(Self::Base64),
            (false, _) => Some(Self::Base64NoPad),
        }
    }

    /// The bytes of a text, and how it writes them: only if they are written so to the last sign.
    pub(super) fn read(text: &str) -> Option<(Self, Vec<u8>)> {
        let encoding = Self::of(text)?;
        let bytes = match encoding {
            Self::Base64 => STANDARD.decode(text),
            Self::Base64NoPad => STANDARD_NO_PAD.decode(text),
            Self::Base64Url => URL_SAFE.decode(text),
            Self::Base64UrlNoPad => URL_SAFE_NO_PAD.decode(text),
            Self::Bytes => return None,
        };
        let bytes = bytes.ok()?;
        // D-1: what is read back is what was sent, whatever a decoder lets pass.
        (encoding.write(&bytes) == text).then_some((encoding, bytes))
    }

    /// The text of bytes.
    pub(super) fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 | Self::Bytes => STANDARD.encode(bytes),
            Self::Base64NoPad => STANDARD_NO_PAD.encode(bytes),
            Self::Base64Url => URL_SAFE.encode(bytes),
            Self::Base64UrlNoPad => URL_SAFE_NO_PAD.encode(bytes),
        }
    }

    /// Bytes that so many take in a value.
    pub(super) const fn written_bytes(self, size: u64) -> u64 {
        match self {
            Self::Bytes => size,
            _ => size.div_ceil(3).saturating_mul(4),
        }
    }
}
