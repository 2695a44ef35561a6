//! What obsrv knows to look for by itself.
//!
//! Patterns are written in ASCII where they can be: a Unicode word boundary would take the engine
//! off its fast path at the first letter beyond ASCII.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::digits;

/// A built-in detector. The text form is part of the API.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// Keys of AI, cloud, payment, chat and code hosting services, by their prefixes; obsrv's own.
    ApiKeys,
    /// `Bearer …`, and JSON web tokens wherever they stand.
    Tokens,
    /// Access key ids of AWS, and secret keys beside their name.
    AwsKeys,
    /// Private key blocks in PEM and PGP form.
    PrivateKeys,
    /// User name and password in a URL.
    UrlCredentials,
    /// Values, whatever they are, under names such as `password` or `authorization`.
    SecretNames,
    /// E-mail addresses.
    Emails,
    /// Payment card numbers: by prefix, length and check digit, as text or as a number.
    Cards,
    /// Telephone numbers. Not among the defaults: many numbers look like them.
    Phones,
    /// International bank account numbers, by check digits. Not among the defaults.
    Ibans,
}

impl Detector {
    /// Every detector.
    pub const ALL: [Self; 10] = [
        Self::ApiKeys,
        Self::Tokens,
        Self::AwsKeys,
        Self::PrivateKeys,
        Self::UrlCredentials,
        Self::SecretNames,
        Self::Emails,
        Self::Cards,
        Self::Phones,
        Self::Ibans,
    ];

    /// Those that rules have when they name none.
    pub const DEFAULTS: [Self; 8] = [
        Self::ApiKeys,
        Self::Tokens,
        Self::AwsKeys,
        Self::PrivateKeys,
        Self::UrlCredentials,
        Self::SecretNames,
        Self::Emails,
        Self::Cards,
    ];

    /// Its name in rules and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKeys => "api_keys",
            Self::Tokens => "tokens",
            Self::AwsKeys => "aws_keys",
            Self::PrivateKeys => "private_keys",
            Self::UrlCredentials => "url_credentials",
            Self::SecretNames => "secret_names",
            Self::Emails => "emails",
            Self::Cards => "cards",
            Self::Phones => "phones",
            Self::Ibans => "ibans",
        }
    }

    /// What stands where it found something.
    pub const fn replacement(self) -> &'static str {
        match self {
            Self::ApiKeys => "[api_key]",
            Self::Tokens => "[token]",
            Self::AwsKeys => "[aws_key]",
            Self::PrivateKeys => "[private_key]",
            Self::UrlCredentials => "[credentials]@",
            Self::SecretNames => "[secret]",
            Self::Emails => "[email]",
            Self::Cards => "[card]",
            Self::Phones => "[phone]",
            Self::Ibans => "[iban]",
        }
    }

    /// The patterns, each by itself.
    const fn patterns(self) -> &'static [&'static str] {
        match self {
            Self::ApiKeys => &[
                r"(?-u:\b)sk-[A-Za-z0-9_-]{20,}",
                r"gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}",
                r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,}",
                r"AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}",
                r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{20,}",
                r"(?-u:\b)(?:hf|r8|gsk|npm|fw|tvly|nvapi|xai|pplx|csk|pcsk|esecret|tgp_v1)[_-][A-Za-z0-9_-]{30,}",
                r"lsv2_(?:pt|sk)_[a-f0-9_]{32,}|dop_v1_[a-f0-9]{64}|pypi-[A-Za-z0-9_-]{50,}",
                r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|(?-u:\b)key-[a-f0-9]{32}",
                r"(?i:accountkey|sharedaccesskey)=[A-Za-z0-9+/]{40,}={0,2}",
                r"obsrv_[0-9a-f]{1,16}_[0-9a-f]{40,}",
            ],
            Self::Tokens => &[
                r"(?i:bearer)[ \t]+[A-Za-z0-9._~+/=-]{8,}",
                r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*",
                r"(?i:authorization:?[ \t]+basic)[ \t]+[A-Za-z0-9+/=]{8,}",
            ],
            Self::AwsKeys => &[
                r"(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA|AGPA|AIPA|ANPA|ANVA|APKA)[A-Z0-9]{16}",
                r#"(?i:aws[_.-]?secret[_.-]?(?:access[_.-]?)?key)[\\"'\s:=]{1,8}[A-Za-z0-9/+]{40}"#,
            ],
            Self::PrivateKeys => &[
                r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
            ],
            Self::UrlCredentials => &[r#"://[^\s:/@"'<>]*:[^\s@/"'<>]+@"#],
            Self::SecretNames => &[],
            Self::Emails => &[
                r"[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+",
                r"(?i)[a-z0-9._+-]+%40[a-z0-9-]+(?:\.[a-z0-9-]+)+",
            ],
            // Runs of digits of any length: which part of one is a card is decided by `digits`.
            Self::Cards => &[r"[0-9](?:[ -]?[0-9]){12,}"],
            Self::Phones => &[
                r"\+[0-9]{1,3}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9](?:[ .-]?[0-9]){5,12}",
                r"\([0-9]{3}\)[ ]?[0-9]{3}[ .-][0-9]{4}",
                r"(?-u:\b)[0-9]{3}[.-][0-9]{3}[.-][0-9]{4}(?-u:\b)",
            ],
            Self::Ibans => &[r"(?-u:\b)[A-Z]{2}[0-9]{2}(?:[ ]?[A-Z0-9]){11,30}"],
        }
    }

    /// Calls back with each part of a pattern's match that is what the detector looks for.
    pub(super) fn verify(self, text: &str, at: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
        let Some(part) = text.get(at.clone()) else {
            return;
        };
        match self {
            Self::Cards => {
                if digits::stands_alone(text, &at) {
                    digits::cards(part, &mut |r| found(at.start + r.start..at.start + r.end));
                }
            }
            Self::Ibans => {
                if let Some(length) = digits::iban(part) {
                    found(at.start..at.start + length);
                }
            }
            // The scheme stays, the credentials and the sign behind them go.
            Self::UrlCredentials => found(at.start + "://".len()..at.end),
            _ => found(at),
        }
    }

    /// Whether it looks at numbers, too.
    pub(super) const fn reads_numbers(self) -> bool {
        matches!(self, Self::Cards)
    }
}

/// Names whose values are secret. A name is compared in lowercase without `_`, `-` and spaces, as
/// a whole and by its part after the last dot.
const SECRET_NAMES: [&str; 33] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apisecret",
    "apitoken",
    "auth",
    "authkey",
    "authorization",
    "authtoken",
    "awssecretaccesskey",
    "bearertoken",
    "clientsecret",
    "cookie",
    "credential",
    "credentials",
    "csrftoken",
    "dbpassword",
    "encryptionkey",
    "idtoken",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "proxyauthorization",
    "pwd",
    "refreshtoken",
    "secret",
    "secretaccesskey",
    "secretkey",
    "sessiontoken",
    "setcookie",
    "xapikey",
    "xauthtoken",
];

/// Whether values under this key are secret by its name.
pub(super) fn is_secret_name(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    // Longer than any of them even with a sign between all letters.
    if last.len() > 64 {
        return false;
    }
    let plain: String = last
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    SECRET_NAMES.binary_search(&plain.as_str()).is_ok()
}

/// All patterns of all detectors, compiled once for the process.
#[derive(Debug)]
pub(super) struct Builtin {
    /// Which of them occur in a text, found in one pass.
    pub(super) set: RegexSet,
    /// Each by itself, in the order of the set.
    pub(super) each: Vec<(Detector, Regex)>,
}

/// The compiled patterns.
pub(super) static BUILTIN: LazyLock<Builtin> = LazyLock::new(|| {
    let all: Vec<(Detector, &str)> = Detector::ALL
        .iter()
        .flat_map(|d| d.patterns().iter().map(|p| (*d, *p)))
        .collect();
    let set = RegexSet::new(all.iter().map(|(_, p)| *p)).expect("BUG: a built-in pattern");
    let each = all
        .into_iter()
        .map(|(d, p)| (d, Regex::new(p).expect("BUG: a built-in pattern")))
        .collect();
    Builtin { set, each }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_api_and_secret_names_are_sorted() {
        for detector in Detector::ALL {
            let name = serde_json::to_string(&detector).unwrap();
            assert_eq!(name, format!("\"{}\"", detector.as_str()));
        }
        assert!(SECRET_NAMES.is_sorted());
        for name in [
            "password",
            "http.request.header.Authorization",
            "API_KEY",
            "x-api-key",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "tokens",
            "author",
            "passwords_changed",
            "",
            "secretary",
            "key",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
        assert!(!is_secret_name(&"_".repeat(65)));
    }
}
