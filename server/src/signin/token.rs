//! Tokens: 256 random bits as text. A session id and the secret of a link are tokens. Only a MAC of
//! a token is kept; its holder alone has the text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use obsrv_engine::io::Rng;

const BYTES: usize = 32;
/// Length of a token's text.
pub(super) const CHARS: usize = 43;

/// A token. Never printed by `Debug`, wanted in no log.
pub struct Token(String);

impl Token {
    /// A fresh one.
    pub(super) fn mint(rng: &dyn Rng) -> Self {
        let mut bytes = [0; BYTES];
        rng.fill(&mut bytes);
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Text of a token's length and letters; none for any other.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == CHARS
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(text.to_owned()))
    }

    /// The text, for its holder.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}
