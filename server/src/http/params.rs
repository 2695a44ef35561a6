//! The parameters of a URL, in order, repeated ones kept.

use super::error::ApiError;
use crate::limits::PARAMS_MAX;

/// Decoded parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the part of a URL after the question mark.
    pub(crate) fn parse(query: &str) -> Result<Self, ApiError> {
        let mut all = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            if all.len() == PARAMS_MAX {
                return Err(ApiError::parameter(
                    "query",
                    format!("too many parameters max={PARAMS_MAX}"),
                ));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(name).ok_or_else(|| unreadable("query"))?;
            let value = decode(value).ok_or_else(|| unreadable(&name))?;
            all.push((name, value));
        }
        Ok(Self(all))
    }

    /// Every value of `name`, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The only value of `name`; twice is an error, empty is none.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, ApiError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(ApiError::parameter(name, "given more than once"));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// The value of a parameter that is `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.one(name)? {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(ApiError::parameter(name, "neither true nor false")),
        }
    }

    /// The first name that is none of `known`.
    pub(crate) fn unknown<'a>(&'a self, known: &[&str]) -> Option<&'a str> {
        self.0
            .iter()
            .map(|(name, _)| name.as_str())
            .find(|name| !known.contains(name))
    }

    /// All parameters but those of `except`, in a text that differs when any of them does.
    pub(crate) fn canonical(&self, except: &[&str]) -> String {
        let mut kept: Vec<_> = self
            .0
            .iter()
            .filter(|(name, _)| !except.contains(&name.as_str()))
            .collect();
        // Stable, so that the order among the values of one name still counts: they may be paired.
        kept.sort_by(|a, b| a.0.cmp(&b.0));
        let mut text = String::new();
        for (name, value) in kept {
            for part in [name, value] {
                text.push_str(&part.len().to_string());
                text.push(':');
                text.push_str(part);
            }
        }
        text
    }
}

fn unreadable(name: &str) -> ApiError {
    ApiError::parameter(name, "percent-encoding is broken or not utf-8")
}

/// Percent-decoding with `+` for a space; `None` if it is broken or not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                let [high, low] = digits.map(|d| char::from(d).to_digit(16));
                out.push(u8::try_from(high? * 16 + low?).ok()?);
                rest = after;
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_keep_their_order() {
        let params =
            Params::parse("meta_key=a.b&tags=x&meta_key=c&meta_value=1&meta_value=%C3%BC+%26&e&")
                .unwrap();
        assert_eq!(params.all("meta_key").collect::<Vec<_>>(), ["a.b", "c"]);
        assert_eq!(params.all("meta_value").collect::<Vec<_>>(), ["1", "ü &"]);
        assert_eq!(params.one("tags").unwrap(), Some("x"));
        assert_eq!(params.one("e").unwrap(), None);
        assert_eq!(params.one("nope").unwrap(), None);
        assert_eq!(
            params.one("meta_key").unwrap_err().field.as_deref(),
            Some("meta_key")
        );
        assert_eq!(
            params.unknown(&["meta_key", "meta_value", "e"]),
            Some("tags")
        );
    }

    #[test]
    fn flags() {
        let flag = |text: &str| Params::parse(text).unwrap().flag("f");
        assert_eq!(
            (flag("f=true"), flag("f=0"), flag("")),
            (Ok(true), Ok(false), Ok(false))
        );
        assert!(flag("f=yes").is_err());
    }

    #[test]
    fn broken_encodings_name_the_parameter() {
        for (text, field) in [
            ("a=%", "a"),
            ("a=%f", "a"),
            ("a=%zz", "a"),
            ("a=%ff", "a"),
            ("%zz=1", "query"),
        ] {
            assert_eq!(
                Params::parse(text).unwrap_err().field.as_deref(),
                Some(field),
                "{text}"
            );
        }
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        assert!(Params::parse(&"a=1&".repeat(PARAMS_MAX)).is_ok());
        assert!(Params::parse(&"a=1&".repeat(PARAMS_MAX + 1)).is_err());
    }

    #[test]
    fn canonical_text_tells_lists_apart() {
        let canonical = |text: &str| Params::parse(text).unwrap().canonical(&["limit", "cursor"]);
        assert_eq!(canonical("a=1&b=2&limit=3"), canonical("cursor=x&b=2&a=1"));
        let all = [
            "a=1&b=2",
            "a=1",
            "a=2&a=1",
            "a=1&a=2",
            "a=1%26b=2",
            "ab=1",
            "a=b1",
            "",
        ];
        for (i, one) in all.iter().enumerate() {
            for other in &all[i + 1..] {
                assert_ne!(canonical(one), canonical(other), "{one} {other}");
            }
        }
    }
}
