//! Which bytes of an attachment a request wants.

use std::ops::Range;

use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};

/// The answer's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// All of them.
    Whole,
    /// These.
    Part(Range<u64>),
    /// None that are there.
    Unsatisfiable,
}

/// What the head asks of `len` bytes that have this tag. Several ranges, and what does not read, are answered
/// with the whole, as the standard allows.
pub(super) fn wish(headers: &HeaderMap, len: u64, tag: &str) -> Wish {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let Some(set) = text(RANGE).and_then(|range| range.strip_prefix("bytes=")) else {
        return Wish::Whole;
    };
    if text(IF_RANGE).is_some_and(|held| held != tag) {
        return Wish::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else {
        return Wish::Whole;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Wish::Whole;
    }
    // What has more digits than a number is past every end.
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    let range = match (first, last) {
        ("", "") => return Wish::Whole,
        ("", last) => len.saturating_sub(number(last))..len,
        (first, "") => number(first)..len,
        (first, last) if number(first) > number(last) => return Wish::Whole,
        (first, last) => number(first)..number(last).saturating_add(1).min(len),
    };
    if range.start >= range.end {
        return Wish::Unsatisfiable;
    }
    Wish::Part(range)
}

/// Whether the head of a request asks for bytes that a file of this length has: for fuzzing.
#[cfg(feature = "forge")]
pub(in crate::http) fn reads(text: &str, len: u64) -> bool {
    let Ok(value) = http::HeaderValue::from_str(text) else {
        return false;
    };
    let headers = HeaderMap::from_iter([(RANGE, value)]);
    let Wish::Part(part) = wish(&headers, len, "") else {
        return false;
    };
    assert!(
        part.start < part.end && part.end <= len,
        "BUG: bytes that a file does not have"
    );
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"tag\"";

    fn wish_of(range: &str, len: u64) -> Wish {
        let headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
        wish(&headers, len, TAG)
    }

    #[test]
    fn ranges() {
        for (range, expected) in [
            ("bytes=0-0", Wish::Part(0..1)),
            ("bytes=2-5", Wish::Part(2..6)),
            ("bytes=2-", Wish::Part(2..10)),
            ("bytes=-3", Wish::Part(7..10)),
            ("bytes=-99", Wish::Part(0..10)),
            ("bytes=9-99", Wish::Part(9..10)),
            ("bytes=0-18446744073709551616", Wish::Part(0..10)),
            ("bytes=10-", Wish::Unsatisfiable),
            ("bytes=10-12", Wish::Unsatisfiable),
            ("bytes=-0", Wish::Unsatisfiable),
            ("bytes=5-2", Wish::Whole),
            ("bytes=0-1,3-4", Wish::Whole),
            ("bytes=-", Wish::Whole),
            ("bytes=a-b", Wish::Whole),
            ("bytes=+1-2", Wish::Whole),
            ("lines=1-2", Wish::Whole),
        ] {
            assert_eq!(wish_of(range, 10), expected, "{range}");
        }
        assert_eq!(wish_of("bytes=0-", 0), Wish::Unsatisfiable);
        assert_eq!(wish(&HeaderMap::new(), 10, TAG), Wish::Whole);
    }

    #[test]
    fn another_version_is_sent_whole() {
        for (held, expected) in [(TAG, Wish::Part(0..1)), ("\"other\"", Wish::Whole)] {
            let headers = HeaderMap::from_iter([
                (RANGE, "bytes=0-0".parse().unwrap()),
                (IF_RANGE, held.parse().unwrap()),
            ]);
            assert_eq!(wish(&headers, 10, TAG), expected);
        }
    }
}
