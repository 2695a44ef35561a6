//! Text to terms, fast: ASCII is classified 64 bytes at a time, the rest goes character by
//! character, one run of bytes between ASCII separators at a time.

use std::ops::Range;

use super::fold::{Class, class, fold};
use super::term;

/// Bytes that are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotText;

const CHUNK: usize = 64;
/// Brings the low bits of eight bytes together in the top byte of the product.
const GATHER: u64 = 0x0102_0408_1020_4080;

/// Makes terms of texts. Holds what is known of the text at hand.
#[derive(Debug, Default)]
pub(crate) struct Tokeniser {
    word: String,
    /// The sign that came last, if no word of letters came after it.
    sign: Option<char>,
}

/// A run of bytes that may be words, not yet ended.
#[derive(Clone, Copy)]
struct Run {
    start: usize,
    /// Whether bytes over ASCII were seen in it, in chunks before this one.
    wide: bool,
}

impl Tokeniser {
    /// Calls `put` with every term of the text at `range` of `bytes`, repeats included. Stops at
    /// bytes that are not text. Bytes around the text are not part of it, but looking at some
    /// of those behind it saves copying its end.
    #[inline]
    pub(crate) fn each(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        put: &mut impl FnMut(u64),
    ) -> Result<(), NotText> {
        self.sign = None;
        let bytes = if range.end > bytes.len() { &[] } else { bytes };
        let mut open: Option<Run> = None;
        let mut carry = 0;
        let mut base = range.start;
        while base < range.end {
            let (mut words, mut wide) = masks(bytes.get(base..).unwrap_or_default());
            let left = range.end - base;
            if left < CHUNK {
                words &= (1 << left) - 1;
                wide &= (1 << left) - 1;
            }
            let mut edges = words ^ (words << 1 | carry);
            carry = words >> 63;
            while edges != 0 {
                let bit = edges.trailing_zeros();
                edges &= edges - 1;
                let at = base.wrapping_add(bit as usize);
                let Some(run) = open.take() else {
                    open = Some(Run {
                        start: at,
                        wide: false,
                    });
                    continue;
                };
                let within = (1u64 << bit).wrapping_sub(1 << run.start.saturating_sub(base));
                if run.wide || wide & within != 0 {
                    self.run(bytes.get(run.start..at).unwrap_or_default(), put)?;
                } else {
                    self.sign = None;
                    put(term::ascii_word(bytes, run.start..at));
                }
            }
            if let Some(run) = &mut open {
                run.wide |= wide >> run.start.saturating_sub(base) != 0;
            }
            base += CHUNK;
        }
        // A text that fills its last chunk ends without an edge.
        match open {
            Some(run) if run.wide => {
                self.run(bytes.get(run.start..range.end).unwrap_or_default(), put)
            }
            Some(run) => {
                put(term::ascii_word(bytes, run.start..range.end));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Bytes between ASCII separators, some of them over ASCII.
    fn run(&mut self, bytes: &[u8], put: &mut impl FnMut(u64)) -> Result<(), NotText> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotText)?;
        let Self { word, sign } = self;
        let mut bytes = [0; 4];
        for c in text.chars() {
            fold(c, &mut |folded| match class(folded) {
                Class::Letter => word.push(folded),
                other => {
                    end_word(word, sign, put);
                    if other == Class::Sign {
                        put(term::word(folded.encode_utf8(&mut bytes).as_bytes()));
                        if let Some(before) = sign.replace(folded) {
                            put(term::pair(before, folded));
                        }
                    }
                }
            });
        }
        end_word(word, sign, put);
        Ok(())
    }
}

fn end_word(word: &mut String, sign: &mut Option<char>, put: &mut impl FnMut(u64)) {
    if !word.is_empty() {
        put(term::word(word.as_bytes()));
        word.clear();
        *sign = None;
    }
}

#[inline]
fn masks(bytes: &[u8]) -> (u64, u64) {
    if let Some(chunk) = bytes.first_chunk::<CHUNK>() {
        return classify(chunk);
    }
    let mut chunk = [0; CHUNK];
    chunk[..bytes.len()].copy_from_slice(bytes);
    classify(&chunk)
}

/// One bit per byte: may be part of a word; is not ASCII.
#[inline]
fn classify(chunk: &[u8; CHUNK]) -> (u64, u64) {
    let (mut words, mut wide) = ([0u8; CHUNK], [0u8; CHUNK]);
    for ((byte, word), wide) in chunk.iter().zip(&mut words).zip(&mut wide) {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        *wide = byte >> 7;
        *word = u8::from(letter | digit) | *wide;
    }
    (gather(&words), gather(&wide))
}

/// The low bit of every byte.
#[inline]
fn gather(bytes: &[u8; CHUNK]) -> u64 {
    let (eights, _) = bytes.as_chunks::<8>();
    let mut bits = 0;
    for (at, eight) in eights.iter().enumerate() {
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56) << (8 * at);
    }
    bits
}
