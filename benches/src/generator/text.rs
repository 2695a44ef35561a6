//! Text with the entropy of real prompts and tool results.
//!
//! Words come from a vocabulary of 24,000 by a Zipf law (about 10 bits a word at 6.3 bytes a word
//! with its space), so that a compressor finds what it finds in prose: frequent words and nothing
//! else. Identifiers, hashes and numbers, which real tool results are full of, are drawn evenly
//! and do not compress. Repetition that real traces have (system prompts, growing history) is made
//! by the caller, by repeating text, never by a poorer vocabulary.

use super::rng::{Rng, Zipf};

/// Words in the vocabulary.
const VOCABULARY: usize = 24_000;

/// The most frequent words, as English has them.
const COMMON: &str = "the to of and a in is that for you it on with as are this be or from have \
by not at your we can if an will which but all has was they when use one their there more so \
what out about no up time other some into than then its only new these may data also any work \
first should after using need like make just do get see file value error result user request \
function response step call tool model agent return list name table query order check return \
number version change update please help would could must been were how each between because \
through while where state case code line test run set read write key id type field string";

const ONSET: [&str; 24] = [
    "b", "br", "c", "ch", "cl", "d", "f", "fr", "g", "gr", "h", "l", "m", "n", "p", "pr", "qu",
    "r", "s", "st", "t", "tr", "v", "w",
];
const NUCLEUS: [&str; 10] = ["a", "e", "i", "o", "u", "ea", "io", "ou", "ie", "ai"];
const CODA: [&str; 16] = [
    "", "n", "r", "s", "t", "l", "m", "nd", "st", "ct", "ng", "d", "p", "ve", "te", "ck",
];
const SUFFIX: [&str; 8] = ["", "", "", "s", "ed", "ing", "er", "tion"];

/// A vocabulary and its frequencies.
#[derive(Debug)]
pub struct Vocabulary {
    words: Vec<String>,
    law: Zipf,
}

impl Vocabulary {
    /// The vocabulary of a seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut words: Vec<String> = COMMON.split_whitespace().map(str::to_owned).collect();
        while words.len() < VOCABULARY {
            let syllables = if words.len() < 2_000 {
                1 + rng.index(2)
            } else {
                2 + rng.index(2)
            };
            let mut word = String::new();
            for _ in 0..syllables {
                word.push_str(rng.pick(&ONSET));
                word.push_str(rng.pick(&NUCLEUS));
                word.push_str(rng.pick(&CODA));
            }
            word.push_str(rng.pick(&SUFFIX));
            words.push(word);
        }
        let law = Zipf::harmonic(words.len());
        Self { words, law }
    }

    /// One word.
    pub fn word(&self, rng: &mut Rng) -> &str {
        self.words
            .get(self.law.sample(rng))
            .map_or("the", String::as_str)
    }

    /// Appends prose of about `bytes` bytes.
    pub fn prose(&self, rng: &mut Rng, bytes: usize, out: &mut String) {
        let end = out.len() + bytes;
        let mut left = 6 + rng.index(14);
        while out.len() < end {
            out.push_str(self.word(rng));
            left -= 1;
            if left == 0 {
                out.push_str(if rng.chance(150_000) { ".\n" } else { ". " });
                left = 6 + rng.index(14);
            } else {
                out.push_str(if rng.chance(60_000) { ", " } else { " " });
            }
        }
    }

    /// Appends a JSON object of records, as tools return them: ids, numbers, names, prose.
    pub fn records(&self, rng: &mut Rng, bytes: usize, out: &mut String) {
        let end = out.len() + bytes;
        out.push_str("{\"rows\":[");
        let mut first = true;
        while out.len() < end {
            if !first {
                out.push(',');
            }
            first = false;
            out.push_str("{\"id\":\"");
            push_hex(rng.u64(), 16, out);
            out.push_str("\",\"created\":\"2026-0");
            push_dec(rng.range(1, 6), out);
            out.push('-');
            push_dec(rng.range(10, 28), out);
            out.push_str("\",\"amount\":");
            push_dec(rng.below(100_000), out);
            out.push_str(",\"owner\":\"");
            out.push_str(self.word(rng));
            out.push_str("\",\"note\":\"");
            let note = 20 + rng.index(80);
            let from = out.len();
            self.prose(rng, note, out);
            let clean = out.get(from..).unwrap_or_default().replace('\n', " ");
            out.truncate(from);
            out.push_str(clean.trim_end());
            out.push_str("\"}");
        }
        out.push_str("]}");
    }
}

/// Appends the low `digits` hex digits of `n`.
pub fn push_hex(n: u64, digits: u32, out: &mut String) {
    for i in (0..digits).rev() {
        let nibble = u32::try_from((n >> (4 * i)) & 15).expect("BUG: four bits");
        out.push(char::from_digit(nibble, 16).expect("BUG: four bits"));
    }
}

/// Appends a decimal number.
pub fn push_dec(n: u64, out: &mut String) {
    use std::fmt::Write as _;
    let _ = write!(out, "{n}");
}
