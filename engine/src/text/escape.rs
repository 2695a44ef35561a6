//! Text behind escapes: a value is often JSON that a client wrote down as text, in which 東 is `\u6771` and the end of
//! a line `\n`. Words and parts are looked for in what was meant, too.
//!
//! A *form* of a text is the text, and what comes of it when each escape of JSON in it is replaced: `\"`, `\\`, `\/`,
//! `\b`, `\f`, `\n`, `\r`, `\t`, `\u` with four digits, two of which make one character if they are the halves of one
//! (a half alone is U+FFFD). Any other backslash stays. That comes to a form again, up to [`TIMES_MAX`] times, as
//! long as there are backslashes: JSON is written into JSON.
//!
//! Whether the text as a whole is JSON is not asked: a log line has it in the middle, a preview half of it. Then
//! `C:\new` has the word `ew` as well as the word `new`, which finds more and loses nothing.

use memchr::memchr;

/// How often escapes are replaced.
const TIMES_MAX: usize = 3;

/// Whether a text has other forms than itself, as far as its bytes show.
pub(crate) fn is_in(text: &[u8]) -> bool {
    memchr(b'\\', text).is_some()
}

/// Calls `holds` with each form of the text but itself until one does.
pub(crate) fn any_form(text: &str, holds: &mut dyn FnMut(&str) -> bool) -> bool {
    let (mut form, mut next) = (String::new(), String::new());
    let mut is_more = decode(text, &mut |piece| piece.put(&mut form));
    for time in 1..=TIMES_MAX {
        if !is_more {
            break;
        }
        if holds(&form) {
            return true;
        }
        if time < TIMES_MAX {
            next.clear();
            is_more = decode(&form, &mut |piece| piece.put(&mut next));
            std::mem::swap(&mut form, &mut next);
        }
    }
    false
}

/// Calls `put` with texts that have every term which a form of the text has and the text itself has not, and none
/// that no form has: what stands around escapes. What is left out of one has none in a later form either, since an
/// escape there would have been one before.
pub(crate) fn each_change(text: &str, put: &mut dyn FnMut(&str)) {
    let (mut near, mut next) = (String::new(), String::new());
    let mut is_more = decode(text, &mut |piece| piece.put_edges(&mut near));
    for time in 1..=TIMES_MAX {
        if !is_more {
            break;
        }
        put(&near);
        if time < TIMES_MAX {
            next.clear();
            is_more = decode(&near, &mut |piece| piece.put_edges(&mut next));
            std::mem::swap(&mut near, &mut next);
        }
    }
}

/// A part of a form.
#[derive(Clone, Copy)]
enum Piece<'t> {
    /// As the text has it.
    Same(&'t str),
    /// What an escape is of.
    New(char),
}

impl Piece<'_> {
    fn put(self, out: &mut String) {
        match self {
            Self::Same(text) => out.push_str(text),
            Self::New(c) => out.push(c),
        }
    }

    /// Without what stands between the first and the last ASCII word that ends within it: no word reaches over these,
    /// nor does a pair of signs, so what is between them has the terms that it had.
    fn put_edges(self, out: &mut String) {
        let edges = |text: &str| {
            let head = word_end(text.bytes())?;
            let tail = text.len().checked_sub(word_end(text.bytes().rev())?)?;
            (head <= tail).then_some((head, tail))
        };
        let Self::Same(text) = self else {
            return self.put(out);
        };
        let (head, tail) = edges(text).unwrap_or((text.len(), text.len()));
        out.push_str(text.get(..head).unwrap_or_default());
        out.push_str(text.get(tail..).unwrap_or_default());
    }
}

/// After how many bytes the first ASCII word has ended that ASCII separators set apart on both sides.
fn word_end(bytes: impl Iterator<Item = u8>) -> Option<usize> {
    let mut start = None;
    for (at, byte) in bytes.enumerate() {
        if !byte.is_ascii() {
            start = None;
        } else if !byte.is_ascii_alphanumeric() {
            if start.is_some_and(|start| start < at) {
                return Some(at + 1);
            }
            start = Some(at + 1);
        }
    }
    None
}

/// Calls `put` with what comes of the text when its escapes are replaced, part by part. Whether there were any.
fn decode(text: &str, put: &mut dyn FnMut(Piece<'_>)) -> bool {
    // Where the text begins of which no escape was met.
    let (mut same, mut at, mut found) = (0, 0, false);
    while let Some(place) = memchr(b'\\', text.as_bytes().get(at..).unwrap_or_default()) {
        let slash = at + place;
        let after = text.as_bytes().get(slash + 1..).unwrap_or_default();
        let Some((c, length)) = escape(after) else {
            at = slash + 1;
            continue;
        };
        put(Piece::Same(text.get(same..slash).unwrap_or_default()));
        put(Piece::New(c));
        at = slash + 1 + length;
        same = at;
        found = true;
    }
    put(Piece::Same(text.get(same..).unwrap_or_default()));
    found
}

/// What the escape is of which the backslash is taken, and how many bytes of ASCII it goes on for.
fn escape(after: &[u8]) -> Option<(char, usize)> {
    let c = match after.first()? {
        b'u' => return escaped_unit(after),
        c @ (b'"' | b'\\' | b'/') => char::from(*c),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    };
    Some((c, 1))
}

fn escaped_unit(after: &[u8]) -> Option<(char, usize)> {
    const HALF: usize = 5;
    let first = unit(after)?;
    let second = || {
        let next = after.get(HALF..)?.strip_prefix(b"\\")?;
        unit(next)
    };
    let mut units = [first].into_iter().chain(second());
    if let 0xd800..=0xdbff = first
        && let Some(Ok(c)) = char::decode_utf16(&mut units).next()
    {
        return Some((c, 2 * HALF + 1));
    }
    let c = char::from_u32(u32::from(first));
    Some((c.unwrap_or(char::REPLACEMENT_CHARACTER), HALF))
}

/// The number behind `u`.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"u")?.get(..4)?;
    digits.iter().try_fold(0, |n, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(n << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::Tokeniser;
    use super::*;

    fn forms(text: &str) -> Vec<String> {
        let mut forms = Vec::new();
        any_form(text, &mut |form| {
            forms.push(form.to_owned());
            false
        });
        forms
    }

    #[test]
    fn each_escape_is_replaced_and_nothing_else() {
        for (text, form) in [
            (r"\u6771\u4eAC", "東京"),
            (r"\ud83d\ude00!", "😀!"),
            (r"a\nb\tc\rd\be\ff\/g\\h\", "a\nb\tc\rd\u{8}e\u{c}f/g\\h\\"),
            ("say \\\"so\\\"", "say \"so\""),
            // Halves of characters without the other one, and what is no number.
            (r"\ud83d\n", "\u{fffd}\n"),
            (r"\ud83dx\ude00", "\u{fffd}x\u{fffd}"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\u12\n", "\\u12\n"),
            (r"\u00é\n", "\\u00é\n"),
            (r"\u+123\n", "\\u+123\n"),
            (r"é\x東\n", "é\\x東\n"),
        ] {
            assert!(is_in(text.as_bytes()));
            assert_eq!(forms(text)[0], form, "{text}");
        }
        for text in ["", "none", r"\", r"C:\Users\x", r"\u", r"\u123"] {
            assert_eq!(forms(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_comes_of_it_is_replaced_again_so_often() {
        assert_eq!(forms(r"\\u0061"), [r"\u0061", "a"]);
        // Sixteen backslashes are eight, four, two: the fourth time is not taken.
        assert_eq!(forms(&"\\".repeat(16)).len(), TIMES_MAX);
        assert_eq!(
            forms(&"\\".repeat(8)),
            ["\\".repeat(4), "\\".repeat(2), "\\".into()]
        );
    }

    fn terms(text: &str) -> BTreeSet<u64> {
        let mut terms = BTreeSet::new();
        let put = &mut |term| {
            terms.insert(term);
        };
        let mut tokeniser = Tokeniser::default();
        tokeniser.each(text.as_bytes(), 0..text.len(), put).unwrap();
        terms
    }

    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            3 => "[a-c1]{1,3}",
            3 => "[ ,.\"-]{1,2}",
            2 => prop::sample::select(vec!["東", "京", "é", "ى", "…", "\u{301}"]).prop_map(str::to_owned),
            3 => prop::sample::select(vec![
                "\\", "\\\\", "\\n", "\\\"", "\\u6771", "\\\\u6771", "\\u0061", "\\\\\\\\u00e9",
            ])
            .prop_map(str::to_owned),
        ];
        prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn changes_have_the_terms_that_forms_have_beside_the_text(text in text()) {
            let (mut right, mut got) = (terms(&text), terms(&text));
            for form in forms(&text) {
                right.extend(terms(&form));
            }
            each_change(&text, &mut |change| got.extend(terms(change)));
            prop_assert_eq!(got, right);
        }
    }

    #[test]
    fn what_no_escape_is_near_is_no_change() {
        let mut changes = Vec::new();
        let text = format!(
            "one two {} three\\nfour {} five six",
            "so ".repeat(99),
            "on ".repeat(99)
        );
        each_change(&text, &mut |change| changes.push(change.to_owned()));
        assert_eq!(changes, ["one two  so  three\nfour on  five six"]);
    }

    #[test]
    fn the_first_form_that_holds_is_the_last_looked_at() {
        let mut seen = 0;
        let found = any_form(r"\\\\", &mut |form| {
            seen += 1;
            form == r"\\"
        });
        assert!(found);
        assert_eq!(seen, 1);
    }
}
