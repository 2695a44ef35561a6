//! Text as searches see it: words of every script, folded, and their fingerprints.
//!
//! The rule, which `RULE` numbers and `FORMAT.md` repeats:
//!
//! - A text is read character by character. Each is decomposed (compatibility form), lower-cased,
//!   and loses its accents: é is e, Ö is o, ß is ss, Å is a, ﬁ is fi, full-width Ａ is a. Arabic
//!   vowel signs, hamza above and below, tatweel, Hebrew points, joiners and soft hyphens are
//!   dropped. Kana and Hangul are not decomposed, so that が is not か.
//! - Letters and digits next to each other are one word; everything else separates. `tool_call-2`
//!   is three words.
//! - In scripts that are written without spaces (Han, kana, Hangul, Thai, Lao, Khmer, Burmese)
//!   every character, here a *sign*, is a word of its own.
//!
//! So folding is the only form there is: a search for `cafe` finds `Café` and the other way round.
//! The terms of a text are its words, and the pairs of signs that follow each other with no word
//! of letters between them. Those of each form of the text count (see [`escape`]): of `\u6771`, too, those of 東.
//!
//! Pure: bytes in, numbers out. What stays ASCII is classified 64 bytes at a time.

pub(crate) mod escape;
pub(crate) mod find;
mod fold;
pub(crate) mod scan;
pub(crate) mod term;
#[cfg(test)]
mod tests;

pub(crate) use find::Phrase;
pub(crate) use scan::Tokeniser;

/// Number of the rule. An index made by another rule is not asked: rule 1 was the same without forms.
pub(crate) const RULE: u8 = 2;
