//! Terms: what an index is asked for, as fingerprints of 56 bits: two words share one once in 2^56.

use std::ops::Range;

/// Bits of a term.
pub(crate) const BITS: u32 = 56;

const K: [u64; 4] = [
    0x9e37_79b9_7f4a_7c15,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
];
/// Case bit of ASCII letters; digits have it set.
const LOWER: u64 = 0x2020_2020_2020_2020;

/// The term of a folded word.
pub(crate) fn word(folded: &[u8]) -> u64 {
    hash(folded, 0) >> (64 - BITS)
}

/// What is kept of the two halves of a block of so many bytes.
const MASKS: [[u64; 2]; 17] = {
    let mut masks = [[0; 2]; 17];
    let mut len = 1;
    while len <= 16 {
        masks[len] = if len < 8 {
            [(1 << (8 * len)) - 1, 0]
        } else if len < 16 {
            [u64::MAX, (1 << (8 * (len - 8))) - 1]
        } else {
            [u64::MAX; 2]
        };
        len += 1;
    }
    masks
};

/// The term of a word of ASCII letters and digits at `range`; equal to [`word`] of its lower-case
/// form. `bytes` may go on behind it.
#[inline]
pub(crate) fn ascii_word(bytes: &[u8], range: Range<usize>) -> u64 {
    let len = range.end.wrapping_sub(range.start);
    let tail = bytes.get(range.start..).unwrap_or_default();
    let (Some([low, high]), Some(block)) = (MASKS.get(len), tail.first_chunk::<16>()) else {
        return hash(bytes.get(range).unwrap_or_default(), LOWER) >> (64 - BITS);
    };
    let (eights, _) = block.as_chunks::<8>();
    let &[a, b] = eights else { return 0 };
    let a = (u64::from_le_bytes(a) | LOWER) & low;
    let b = (u64::from_le_bytes(b) | LOWER) & high;
    last(absorb(seed(len), a, b), len) >> (64 - BITS)
}

/// The term of two signs that follow each other.
pub(crate) fn pair(a: char, b: char) -> u64 {
    let (a, b) = (u64::from(u32::from(a)), u64::from(u32::from(b)) | 1 << 63);
    last(absorb(seed(16), a, b), 16) >> (64 - BITS)
}

fn hash(bytes: &[u8], or: u64) -> u64 {
    let mut state = seed(bytes.len());
    let (blocks, rest) = bytes.as_chunks::<16>();
    let mut add = |block: &[u8; 16], len: usize| {
        let (eights, _) = block.as_chunks::<8>();
        if let (&[a, b], Some([low, high])) = (eights, MASKS.get(len)) {
            let (a, b) = (u64::from_le_bytes(a) | or, u64::from_le_bytes(b) | or);
            state = absorb(state, a & low, b & high);
        }
    };
    blocks.iter().for_each(|block| add(block, 16));
    if !rest.is_empty() || blocks.is_empty() {
        let mut block = [0; 16];
        block[..rest.len()].copy_from_slice(rest);
        add(&block, rest.len());
    }
    last(state, bytes.len())
}

const fn seed(len: usize) -> u64 {
    K[0] ^ len as u64
}

#[inline]
const fn absorb(state: u64, a: u64, b: u64) -> u64 {
    mix(a ^ state ^ K[1], b ^ state.rotate_left(32) ^ K[2])
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
