//! One character: what it folds to, and whether that is part of a word.

use unicode_normalization::char::{
    canonical_combining_class, decompose_compatible, is_combining_mark,
};

/// What a folded character does to words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Part of a word.
    Letter,
    /// A word of its own.
    Sign,
    /// Between words.
    Break,
}

/// Calls `put` with each character that `c` becomes; with none if it is dropped.
#[inline]
pub(super) fn fold(c: char, put: &mut impl FnMut(char)) {
    if c.is_ascii() {
        put(c.to_ascii_lowercase());
    } else {
        fold_wide(c, put);
    }
}

fn fold_wide(c: char, put: &mut impl FnMut(char)) {
    if is_dropped(c) {
        return;
    }
    if matches!(c, '\u{3040}'..='\u{30ff}' | '\u{ac00}'..='\u{d7a3}') {
        return put(c);
    }
    decompose_compatible(c, |part| {
        if is_accent(part) || is_dropped(part) {
            return;
        }
        for lower in part.to_lowercase().filter(|l| !is_accent(*l)) {
            match spelled_out(lower) {
                Some(letters) => letters.chars().for_each(&mut *put),
                None => put(lower),
            }
        }
    });
}

/// Letters that no decomposition knows the plain form of.
const fn spelled_out(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        'ħ' => "h",
        'ŧ' => "t",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

/// Characters without a meaning of their own: soft hyphen, tatweel, joiners and direction marks,
/// variation selectors, enclosing marks, byte order mark.
const fn is_dropped(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{640}'
            | '\u{200c}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Marks that a search does without. Vowels and viramas of scripts that cannot be read without
/// them are not among them.
fn is_accent(c: char) -> bool {
    c >= '\u{300}' && matches!(canonical_combining_class(c), 1 | 10..=36 | 202..=240)
}

/// What a folded character is.
#[inline]
pub(super) fn class(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() {
            Class::Letter
        } else {
            Class::Break
        };
    }
    if is_sign(c) {
        Class::Sign
    } else if c.is_alphanumeric() || is_combining_mark(c) {
        Class::Letter
    } else {
        Class::Break
    }
}

const fn is_sign(c: char) -> bool {
    matches!(
        c,
        // Thai and Lao but for their digits, Burmese, Hangul letters, Khmer.
        '\u{e01}'..='\u{e3a}'
            | '\u{e40}'..='\u{e4e}'
            | '\u{e81}'..='\u{ece}'
            | '\u{edc}'..='\u{edf}'
            | '\u{1000}'..='\u{103f}'
            | '\u{1050}'..='\u{109d}'
            | '\u{1100}'..='\u{11ff}'
            | '\u{1780}'..='\u{17d3}'
            // Marks of repetition, zero, kana, Bopomofo.
            | '\u{3005}'
            | '\u{3007}'
            | '\u{3041}'..='\u{3096}'
            | '\u{309d}'..='\u{309f}'
            | '\u{30a1}'..='\u{30fa}'
            | '\u{30fc}'..='\u{312f}'
            | '\u{31a0}'..='\u{31bf}'
            | '\u{31f0}'..='\u{31ff}'
            // Han, Hangul.
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{a960}'..='\u{a97c}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{d7b0}'..='\u{d7fb}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3fffd}'
    )
}

/// Reads a text word by word. `word(text, is_sign)`; a break between words is not reported.
pub(super) fn each_word(text: &str, buffer: &mut String, word: &mut impl FnMut(&str, bool)) {
    buffer.clear();
    let mut sign = [0; 4];
    for c in text.chars() {
        fold(c, &mut |folded| match class(folded) {
            Class::Letter => buffer.push(folded),
            other => {
                if !buffer.is_empty() {
                    word(buffer, false);
                    buffer.clear();
                }
                if other == Class::Sign {
                    word(folded.encode_utf8(&mut sign), true);
                }
            }
        });
    }
    if !buffer.is_empty() {
        word(buffer, false);
        buffer.clear();
    }
}
