//! Terms: what an index is asked for, as fingerprints of 56 bits.
//!
//! The top bits tell the kinds apart (words `0…`, values `10…`), so that kinds stand apart in the
//! order of terms and never meet. Two terms of one kind share a number once in 2^55.

/// Bits of a term.
pub(crate) const BITS: u32 = 56;

const VALUE: u64 = 0b10 << (BITS - 2);

const K: [u64; 4] = [
    0x9e37_79b9_7f4a_7c15,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
];
/// Case bit of ASCII letters; digits have it set.
const LOWER: u128 = 0x2020_2020_2020_2020_2020_2020_2020_2020;

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "for compactions that copy blocks")
)]
/// Whether it is a word or a pair of signs.
pub(crate) const fn is_word(term: u64) -> bool {
    term >> (BITS - 1) == 0
}

/// The term of a folded word.
pub(crate) fn word(folded: &[u8]) -> u64 {
    hash(folded, 0) >> (64 - (BITS - 1))
}

/// The term of a word of ASCII letters and digits that starts at `at`; equal to [`word`] of its
/// lower-case form.
#[inline]
pub(crate) fn ascii_word(text: &[u8], at: usize, len: usize) -> u64 {
    if len > 16 {
        return hash(text.get(at..at + len).unwrap_or_default(), LOWER) >> (64 - (BITS - 1));
    }
    let tail = text.get(at..).unwrap_or_default();
    let bytes = match tail.first_chunk::<16>() {
        Some(bytes) => *bytes,
        None => padded(tail),
    };
    let mask = u128::MAX >> (128 - 8 * len);
    let block = (u128::from_le_bytes(bytes) | LOWER) & mask;
    last(absorb(seed(len), block), len) >> (64 - (BITS - 1))
}

/// The term of two signs that follow each other.
pub(crate) fn pair(a: char, b: char) -> u64 {
    let block = u128::from(u32::from(a)) | u128::from(u32::from(b)) << 64 | 1 << 127;
    last(absorb(seed(16), block), 16) >> (64 - (BITS - 1))
}

/// The term of a path with a text, whatever its length.
pub(crate) fn value(path: &str, text: &str) -> u64 {
    if text.len() > crate::doc::COLUMN_VALUE_BYTES_MAX {
        long(path, crate::doc::fingerprint(text.as_bytes()))
    } else {
        of_path(path, crate::doc::fingerprint(text.as_bytes()), 0)
    }
}

/// The term of a path with a value of which only the fingerprint is known.
pub(crate) fn long(path: &str, fingerprint: u64) -> u64 {
    of_path(path, fingerprint, 1)
}

fn of_path(path: &str, fingerprint: u64, kind: u64) -> u64 {
    let path = crate::doc::fingerprint(path.as_bytes());
    let mixed = mix(mix(path ^ K[1], K[2] ^ kind) ^ fingerprint, K[3]);
    VALUE | mixed >> (64 - (BITS - 2))
}

fn hash(bytes: &[u8], or: u128) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<16>();
    let mut state = seed(bytes.len());
    for block in blocks {
        state = absorb(state, u128::from_le_bytes(*block) | or);
    }
    if !rest.is_empty() || blocks.is_empty() {
        let mask = u128::MAX
            .checked_shr(u32::try_from(128 - 8 * rest.len()).unwrap_or(128))
            .unwrap_or(0);
        state = absorb(state, (u128::from_le_bytes(padded(rest)) | or) & mask);
    }
    last(state, bytes.len())
}

fn padded(bytes: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    let n = bytes.len().min(16);
    out[..n].copy_from_slice(&bytes[..n]);
    out
}

const fn seed(len: usize) -> u64 {
    K[0] ^ len as u64
}

#[inline]
const fn absorb(state: u64, block: u128) -> u64 {
    mix(
        low(block) ^ state ^ K[1],
        low(block >> 64) ^ state.rotate_left(32) ^ K[2],
    )
}

#[inline]
const fn last(state: u64, len: usize) -> u64 {
    mix(state ^ K[3], K[0] ^ len as u64)
}

/// Both halves of the product.
#[inline]
const fn mix(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    low(product) ^ low(product >> 64)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
const fn low(n: u128) -> u64 {
    n as u64
}
