//! E-mail addresses as names of users: the plain form alone, in lower case.

use crate::limits::EMAIL_BYTES_MAX;

/// An address, in lower case: `local@domain`, of ASCII letters, digits and the signs that need no
/// quotes. Two spellings of one address would be two users, so there is one spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Reads an address; none if it is not one that mail servers take without quotes.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > EMAIL_BYTES_MAX {
            return None;
        }
        let (local, domain) = text.split_once('@')?;
        let is_atom = |part: &str, signs: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || signs.contains(char::from(b)))
        };
        let local_fits = local.len() <= 64
            && local
                .split('.')
                .all(|atom| is_atom(atom, "!#$%&'*+-/=?^_`{|}~"));
        let label_fits = |label: &str| {
            is_atom(label, "-")
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        (local_fits && domain.split('.').all(label_fits)).then(|| Self(text.to_ascii_lowercase()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        let email = Email::parse(" Ada.L+x@Example.ORG ").unwrap();
        assert_eq!(email.as_str(), "ada.l+x@example.org");
        assert_eq!((email.local(), email.domain()), ("ada.l+x", "example.org"));
        assert!(Email::parse("root@localhost").is_some());
        let longest = format!("a@{}.b", ["d"; 126].join("."));
        assert_eq!(longest.len(), EMAIL_BYTES_MAX + 1);
        assert!(Email::parse(&longest).is_none());
        assert!(Email::parse(&longest[..EMAIL_BYTES_MAX - 1]).is_some());
    }

    #[test]
    fn nothing_that_could_end_a_header_or_a_command() {
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a\r\n@b",
            "a@b\r\nRCPT TO:<x@y>",
            "a..b@c",
            ".a@b",
            "a.@b",
            "a@b..c",
            "a@-b",
            "a@b-",
            "<a@b>",
            "\"a\"@b",
            "a@[1.2.3.4]",
            "ä@b",
            "a@bü",
            "a@b,c@d",
            "a\0@b",
        ] {
            assert!(Email::parse(bad).is_none(), "{bad:?}");
        }
    }
}
