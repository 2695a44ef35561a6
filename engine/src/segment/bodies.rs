//! Payload blocks: bodies of rows, of which long ones share what they repeat.
//!
//! With every call an agent sends its prompt, its tools and all that was said before, so the bodies
//! of a conversation of n turns have n²/2 turns in them. A long body is cut where its content says
//! (`FastCDC`, Xia et al., USENIX ATC 2016), so that the same text is cut at the same places wherever
//! it stands; what the block has already is referred to. So a block is full when it has 256 KiB that
//! differ, and compression has only those to go through.
//!
//! ```text
//! plain    page of strings: the bodies
//! shared   0 varint, page of strings: a recipe per body, bytes that differ to the end of the block
//! recipe   ranges of those bytes: start - end of the range before zigzag, length varint
//! ```
//!
//! A page of bodies is never empty, so it does not begin with 0. Everything that a body refers to is
//! in its own block: a block is copied, and a row erased, without a look at any other.

use std::ops::Range;

use bytes::Bytes;
use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

use super::table::{self, Table};
use super::wire::{Bad, Cursor, narrow, put_varint, put_zigzag, wide};
use super::{BLOCK_BODY_BYTES_MAX, BLOCK_RAW_BYTES_MAX, PAYLOAD_BLOCK_BYTES};

/// A shorter body is stored as it is: looking at it costs more than its repeats.
const CUT_BODY_BYTES_MIN: usize = 4 << 10;
/// A piece is no shorter, the last one of a body aside. The hash sees as many bytes as it has bits.
const PIECE_BYTES_MIN: usize = 512;
/// Nor is it longer.
const PIECE_BYTES_MAX: usize = 8 << 10;
/// A piece ends where these bits of the hash are 0: after about 1,024 bytes more.
const CUT_BITS: u64 = 0x3ff << 54;
/// What a range takes in a recipe, about.
const RANGE_BYTES: usize = 4;

/// A number per byte value, for the rolling hash: splitmix64.
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let (mut at, mut state) = (0, 0u64);
    while at < gear.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        gear[at] = z ^ (z >> 31);
        at += 1;
    }
    gear
};

/// A part of a long body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    hash: u64,
    len: usize,
}

/// Whether a body of so many bytes is long.
pub(super) const fn is_cut(body_len: usize) -> bool {
    body_len >= CUT_BODY_BYTES_MIN
}

/// The pieces of a body; none if it is short.
pub(super) fn cut(body: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if !is_cut(body.len()) {
        return pieces;
    }
    let mut rest = body;
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(piece_len(rest));
        let (hash, len) = (xxh3_64(piece), piece.len());
        pieces.push(Piece { hash, len });
        rest = left;
    }
    pieces
}

fn piece_len(bytes: &[u8]) -> usize {
    let end = bytes.len().min(PIECE_BYTES_MAX);
    let mut hash = 0u64;
    let from = PIECE_BYTES_MIN - 64;
    for (at, byte) in bytes.iter().enumerate().take(end).skip(from) {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
        if at >= PIECE_BYTES_MIN && hash & CUT_BITS == 0 {
            return at + 1;
        }
    }
    end
}

/// Bodies on their way into a block.
#[derive(Debug, Default)]
pub(super) struct BlockBodies {
    /// What differs.
    pool: Vec<u8>,
    /// Pieces that are there, by hash.
    known: HashMap<u64, Range<usize>>,
    /// Where each body's bytes are: at least one range, body behind body.
    ranges: Vec<Range<usize>>,
    /// Per body the end of its ranges.
    ends: Vec<usize>,
    /// Bytes of all bodies.
    body_bytes: usize,
    scratch: Vec<u8>,
}

impl BlockBodies {
    pub(super) const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes that the block will have, about.
    fn bytes(&self) -> usize {
        self.pool.len() + (self.ranges.len() - self.ends.len()) * RANGE_BYTES
    }

    /// Bytes that a body of so many would add.
    pub(super) fn added(&self, body_len: usize, pieces: &[Piece]) -> usize {
        if pieces.is_empty() {
            return body_len;
        }
        let new = pieces.iter().filter(|p| !self.known.contains_key(&p.hash));
        new.map(|piece| piece.len).sum()
    }

    /// Whether so many bytes more, bodies of `body_len`, are too many for a block that has any.
    pub(super) fn is_full(&self, added: usize, body_len: usize) -> bool {
        !self.is_empty()
            && (self.bytes() + added > PAYLOAD_BLOCK_BYTES
                || self.body_bytes + body_len > BLOCK_BODY_BYTES_MAX)
    }

    /// Adds the body that `put` appends; `pieces` are its own. Gives it back.
    pub(super) fn push(&mut self, pieces: &[Piece], put: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        let first = self.ranges.len();
        if pieces.is_empty() {
            let start = self.pool.len();
            put(&mut self.pool);
            self.body_bytes += self.pool.len() - start;
            self.ranges.push(start..self.pool.len());
            self.ends.push(self.ranges.len());
            return self.pool.get(start..).unwrap_or_default();
        }
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        put(&mut body);
        self.body_bytes += body.len();
        self.push_pieces(first, pieces, &body);
        self.scratch = body;
        self.ends.push(self.ranges.len());
        &self.scratch
    }

    fn push_pieces(&mut self, first: usize, pieces: &[Piece], body: &[u8]) {
        let mut at = 0;
        for piece in pieces {
            let bytes = &body[at..at + piece.len];
            at += piece.len;
            let known = self.known.get(&piece.hash).cloned();
            let same = known.filter(|range| self.pool.get(range.clone()) == Some(bytes));
            let range = same.unwrap_or_else(|| {
                let start = self.pool.len();
                self.pool.extend_from_slice(bytes);
                let range = start..self.pool.len();
                self.known.insert(piece.hash, range.clone());
                range
            });
            match self.ranges.get_mut(first..).and_then(<[_]>::last_mut) {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => self.ranges.push(range),
            }
        }
    }

    /// Puts the block before compression in the place of `out`. What comes next is for another one.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) {
        out.clear();
        out.reserve(self.bytes() + self.ends.len() * RANGE_BYTES + 64);
        if self.body_bytes == self.pool.len() {
            // Nothing repeats: every body is one range, behind the one before.
            table::put_lens(out, &self.ranges.iter().map(Range::len).collect::<Vec<_>>());
        } else {
            out.push(SHARED);
            self.put_recipes(out);
        }
        out.append(&mut self.pool);
        self.known.clear();
        self.ranges.clear();
        self.ends.clear();
        self.body_bytes = 0;
    }

    fn put_recipes(&self, out: &mut Vec<u8>) {
        let (mut recipes, mut lens) = (Vec::new(), Vec::with_capacity(self.ends.len()));
        let mut first = 0;
        for end in &self.ends {
            let (start, mut before) = (recipes.len(), 0);
            for range in &self.ranges[first..*end] {
                put_zigzag(
                    &mut recipes,
                    wide(range.start).wrapping_sub(before).cast_signed(),
                );
                put_varint(&mut recipes, wide(range.len()));
                before = wide(range.end);
            }
            lens.push(recipes.len() - start);
            first = *end;
        }
        table::put_lens(out, &lens);
        out.append(&mut recipes);
    }
}

/// The first byte of a block whose bodies are recipes.
const SHARED: u8 = 0;

/// The bodies of a payload block.
#[derive(Clone, Debug)]
pub(super) enum Bodies {
    Plain(Table),
    Shared { recipes: Table, pool: Bytes },
}

impl Bodies {
    pub(super) fn read(block: Bytes) -> Result<Self, Bad> {
        let shared = block.first() == Some(&SHARED);
        let mut cursor = Cursor(block);
        if !shared {
            return Table::read(&mut cursor).map(Self::Plain);
        }
        cursor.u8()?;
        let recipes = Table::read(&mut cursor)?;
        let pool = cursor.0;
        Ok(Self::Shared { recipes, pool })
    }

    /// The body in place `i`. It shares the block's memory unless it is put together.
    pub(super) fn get(&self, i: usize) -> Result<Bytes, Bad> {
        let (recipes, pool) = match self {
            Self::Plain(table) => return table.slice(i),
            Self::Shared { recipes, pool } => (recipes, pool),
        };
        let mut recipe = Cursor(recipes.slice(i)?);
        let first = next_range(&mut recipe, 0, pool)?;
        if recipe.0.is_empty() {
            return Ok(pool.slice(first));
        }
        let len = body_len(recipe.clone(), &first, pool)?;
        let mut body = Vec::with_capacity(len);
        let mut range = first;
        loop {
            body.extend_from_slice(pool.get(range.clone()).unwrap_or_default());
            if recipe.0.is_empty() {
                return Ok(Bytes::from(body));
            }
            range = next_range(&mut recipe, range.end, pool)?;
        }
    }
}

/// Length of a body whose first range is this, before anything is allocated for it.
fn body_len(mut recipe: Cursor, first: &Range<usize>, pool: &Bytes) -> Result<usize, Bad> {
    let (mut len, mut before) = (first.len(), first.end);
    while !recipe.0.is_empty() {
        let range = next_range(&mut recipe, before, pool)?;
        len += range.len();
        before = range.end;
        if wide(len) > u64::from(BLOCK_RAW_BYTES_MAX) {
            return Err(Bad("body larger than a block"));
        }
    }
    Ok(len)
}

/// A range of the pool, relative to the end of the one before.
fn next_range(recipe: &mut Cursor, before: usize, pool: &Bytes) -> Result<Range<usize>, Bad> {
    let start = wide(before).wrapping_add(recipe.zigzag()?.cast_unsigned());
    let end = start.checked_add(recipe.varint()?);
    match end {
        Some(end) if end <= wide(pool.len()) => Ok(narrow(start)..narrow(end)),
        _ => Err(Bad("range of a body")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block_of(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut block = BlockBodies::default();
        for body in bodies {
            let pushed = block.push(&cut(body), |out| out.extend_from_slice(body));
            assert_eq!(pushed, body);
        }
        let mut out = vec![7];
        block.take(&mut out);
        out
    }

    /// Text without repeats of its own.
    fn prose(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b'a' + u8::try_from(state % 26).unwrap()
        };
        (0..len).map(|_| next()).collect()
    }

    proptest! {
        #[test]
        fn bodies_read_back(
            parts in prop::collection::vec((0u64..6, 0usize..12_000), 1..8),
            shapes in prop::collection::vec(prop::collection::vec(0usize..8, 0..6), 1..12),
        ) {
            let parts: Vec<_> = parts.into_iter().map(|(seed, len)| prose(seed, len)).collect();
            let body = |shape: &Vec<usize>| -> Vec<u8> {
                shape.iter().flat_map(|at| parts[at % parts.len()].clone()).collect()
            };
            let bodies: Vec<_> = shapes.iter().map(body).collect();
            let read = Bodies::read(Bytes::from(block_of(&bodies))).unwrap();
            for (at, body) in bodies.iter().enumerate() {
                prop_assert_eq!(&read.get(at).unwrap()[..], &body[..]);
            }
            prop_assert!(read.get(bodies.len()).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            for bytes in [bytes.clone(), [&[SHARED][..], &bytes].concat()] {
                if let Ok(bodies) = Bodies::read(Bytes::from(bytes)) {
                    (0..100).for_each(|at| drop(bodies.get(at)));
                }
            }
        }
    }

    #[test]
    fn what_repeats_is_there_once() {
        let (prompt, turns) = (prose(1, 20_000), prose(2, 30_000));
        let turn = |n: usize| [&prose(9 + n as u64, 40)[..], &prompt, &turns[..n * 100]].concat();
        let bodies: Vec<_> = (0..300).map(turn).collect();
        let all: usize = bodies.iter().map(Vec::len).sum();
        let block = block_of(&bodies);
        // Once the text itself, and per turn the pieces at both of its ends.
        assert!(
            block.len() < 50_000 + 300 * 2 * PIECE_BYTES_MAX / 3,
            "{} of {all}",
            block.len()
        );
        assert!(all > 10_000_000);
    }

    #[test]
    fn what_does_not_repeat_stands_as_it_is() {
        let bodies = [prose(1, 9_000), prose(2, 10), Vec::new(), prose(3, 5_000)];
        let mut plain = Vec::new();
        table::put(&mut plain, bodies.iter().map(Vec::as_slice));
        assert_eq!(block_of(&bodies), plain);
    }

    #[test]
    fn a_block_is_full_by_what_differs_or_by_all() {
        let mut block = BlockBodies::default();
        assert!(
            !block.is_full(PAYLOAD_BLOCK_BYTES + 1, 1),
            "one body always fits"
        );
        let body = prose(1, PAYLOAD_BLOCK_BYTES / 2);
        let pieces = cut(&body);
        block.push(&pieces, |out| out.extend_from_slice(&body));
        assert_eq!(block.added(body.len(), &pieces), 0);
        assert!(!block.is_full(PAYLOAD_BLOCK_BYTES / 2, 1));
        assert!(block.is_full(PAYLOAD_BLOCK_BYTES / 2 + 1, 1));
        assert!(!block.is_full(0, BLOCK_BODY_BYTES_MAX - body.len()));
        assert!(block.is_full(0, BLOCK_BODY_BYTES_MAX - body.len() + 1));
    }

    #[test]
    fn a_recipe_cannot_make_more_than_a_block() {
        let mut recipe = Vec::new();
        let pool = 1u64 << 20;
        for at in 0..=1_024u64 {
            put_zigzag(&mut recipe, if at == 0 { 0 } else { -(1 << 20) });
            put_varint(&mut recipe, pool);
        }
        let of = |ranges: usize| {
            // Each range but the first takes seven bytes.
            let mut block = vec![SHARED];
            let len = recipe.len() - (1_025 - ranges) * (recipe.len() - 4) / 1_024;
            table::put(&mut block, std::iter::once(&recipe[..len]));
            block.resize(block.len() + narrow(pool), 7);
            Bodies::read(Bytes::from(block)).unwrap().get(0)
        };
        assert_eq!(of(1_024).unwrap().len(), 1 << 30);
        assert_eq!(of(1_025), Err(Bad("body larger than a block")));
    }
}
