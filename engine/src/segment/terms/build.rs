//! Builds the term index of a section: rows are taken in as their payload block is cut, blocks in
//! order.
//!
//! Holds 16 bytes per term and block until the section is finished: for text about a quarter of
//! the rows' bytes, which are in memory, too. The table of one block is bounded by
//! [`BLOCK_TERMS_MAX`].

use std::io;
use std::ops::Range;

use super::{BLOCK_TERMS_MAX, Posting, Root, TERM_BLOCKS_MIN, Writer};
use crate::doc::{DEPTH_MAX, DocError, Raw, take_raw, take_sized};
use crate::segment::block::BlockWriter;
use crate::segment::wire::narrow;
use crate::text::{Tokeniser, escape, term};

/// Terms are spread by their top bits before they are sorted.
const BUCKET_BITS: u32 = 8;
const SLOTS_MIN: usize = 1 << 13;

/// A term in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) term: u64,
    pub(super) block: u32,
    pub(super) rows: u32,
}

/// Gathers terms by payload block.
#[derive(Debug)]
pub(in crate::segment) struct Builder {
    tokeniser: Tokeniser,
    keys: Keys,
    table: Table,
    buckets: Vec<Vec<Entry>>,
    pub(super) open: Vec<u32>,
    /// Payload blocks so far.
    pub(super) blocks: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            tokeniser: Tokeniser::default(),
            keys: Keys(vec![Default::default(); KEYS]),
            table: Table::new(),
            buckets: vec![Vec::new(); 1 << BUCKET_BITS],
            open: Vec::new(),
            blocks: 0,
        }
    }
}

impl Builder {
    /// Starts a block's next row with this document. The terms of the rows since the last block
    /// go to the block that [`Builder::end_block`] names.
    pub(in crate::segment) fn add_row(&mut self, document: &[u8]) -> Result<(), DocError> {
        self.table.row += 1;
        let mut rest = document;
        let value = take_raw(&mut rest)?;
        let end = document.len() - rest.len();
        let mut row = Row {
            document,
            tokeniser: &mut self.tokeniser,
            keys: &mut self.keys,
            table: &mut self.table,
        };
        row.words(value, end, 0)
    }

    /// Ends the block: its rows were added since the last one. Blocks ascend.
    pub(in crate::segment) fn end_block(&mut self, block: u32) {
        self.blocks += 1;
        self.empty_table(block);
    }

    fn empty_table(&mut self, block: u32) {
        if self.table.full {
            self.open.push(block);
            self.table.clear();
            return;
        }
        let buckets = &mut self.buckets;
        self.table.drain(&mut |term, rows| {
            let entry = Entry { term, block, rows };
            if let Some(bucket) = buckets.get_mut(bucket_of(term)) {
                bucket.push(entry);
            }
        });
    }

    /// Writes the index; `None` if the section has too few blocks for one.
    pub(in crate::segment) fn finish(self, out: &mut BlockWriter) -> io::Result<Option<Root>> {
        if self.blocks < TERM_BLOCKS_MIN {
            return Ok(None);
        }
        let mut sorted = self.into_sorted();
        let open = std::mem::take(&mut sorted.open);
        let mut writer = Writer::new(out, open);
        let mut postings = Vec::new();
        while let Some(term) = sorted.next(&mut postings) {
            writer.put(term, &postings)?;
        }
        writer.finish().map(Some)
    }

    pub(super) fn into_sorted(self) -> Sorted {
        let mut open = self.open;
        open.sort_unstable();
        open.dedup();
        Sorted {
            open,
            buckets: self.buckets.into_iter(),
            bucket: Vec::new().into_iter().peekable(),
        }
    }
}

/// Sorts entries that stand in the order of their blocks by term, blocks staying in order: by the
/// 16 bits that follow the bucket's, then the few that share those.
fn sort(bucket: &mut Vec<Entry>) {
    if bucket.len() < RADIX_MIN {
        return bucket.sort_by_key(|e| e.term);
    }
    let mut other = bucket.clone();
    for shift in [BITS_BELOW - 16, BITS_BELOW - 8] {
        let digit = |e: &Entry| narrow(e.term >> shift & 0xff);
        let mut starts = [0usize; 257];
        bucket.iter().for_each(|e| starts[digit(e) + 1] += 1);
        for at in 1..257 {
            starts[at] += starts[at - 1];
        }
        for entry in &*bucket {
            let start = &mut starts[digit(entry)];
            other[*start] = *entry;
            *start += 1;
        }
        std::mem::swap(bucket, &mut other);
    }
    let prefix = |e: &Entry| e.term >> (BITS_BELOW - 16);
    for same in bucket.chunk_by_mut(|a, b| prefix(a) == prefix(b)) {
        if !same.is_sorted_by_key(|e| e.term) {
            same.sort_by_key(|e| e.term);
        }
    }
}

/// Bits of a term below those that choose its bucket.
const BITS_BELOW: u32 = term::BITS - BUCKET_BITS;
/// A bucket with fewer entries is sorted by comparing.
const RADIX_MIN: usize = 128;

/// How many terms and postings these documents make, block by block.
#[cfg(feature = "measure")]
pub(in crate::segment) fn gather(blocks: &[&[bytes::Bytes]]) -> Result<(usize, usize), DocError> {
    let mut builder = Builder::default();
    for (block, documents) in (0..).zip(blocks) {
        documents.iter().try_for_each(|doc| builder.add_row(doc))?;
        builder.end_block(block);
    }
    let mut sorted = builder.into_sorted();
    let (mut terms, mut all, mut postings) = (0, 0, Vec::new());
    while sorted.next(&mut postings).is_some() {
        terms += 1;
        all += postings.len();
    }
    Ok((terms, all))
}

fn bucket_of(term: u64) -> usize {
    narrow(term >> (term::BITS - BUCKET_BITS))
}

/// Entries in the order of terms, then blocks.
pub(super) struct Sorted {
    pub(super) open: Vec<u32>,
    buckets: std::vec::IntoIter<Vec<Entry>>,
    bucket: std::iter::Peekable<std::vec::IntoIter<Entry>>,
}

impl Sorted {
    /// The next term and its postings, into `postings`.
    pub(super) fn next(&mut self, postings: &mut Vec<Posting>) -> Option<u64> {
        postings.clear();
        while self.bucket.peek().is_none() {
            let mut bucket = self.buckets.next()?;
            sort(&mut bucket);
            self.bucket = bucket.into_iter().peekable();
        }
        let Entry { term, block, rows } = self.bucket.next()?;
        postings.push((block, rows));
        while let Some(more) = self.bucket.next_if(|e| e.term == term) {
            postings.push((more.block, more.rows));
        }
        Some(term)
    }
}

/// A document whose terms are added.
struct Row<'a> {
    document: &'a [u8],
    tokeniser: &'a mut Tokeniser,
    keys: &'a mut Keys,
    table: &'a mut Table,
}

impl Row<'_> {
    /// Adds the words of every text and key of a value that ends at `end`.
    fn words(&mut self, value: Raw<'_>, end: usize, depth: usize) -> Result<(), DocError> {
        if depth > DEPTH_MAX {
            return Err(DocError::Depth);
        }
        match value {
            Raw::Str(text) => self.text(text, end),
            Raw::Array(mut items) => {
                while !items.is_empty() {
                    let item = take_raw(&mut items)?;
                    self.words(item, end - items.len(), depth + 1)?;
                }
                Ok(())
            }
            Raw::Map(mut entries) => {
                while !entries.is_empty() {
                    let key = take_sized(&mut entries)?;
                    self.key(key, end - entries.len())?;
                    let child = take_raw(&mut entries)?;
                    self.words(child, end - entries.len(), depth + 1)?;
                }
                Ok(())
            }
            Raw::Plain(_) | Raw::Bytes(_) => Ok(()),
        }
    }

    fn text(&mut self, text: &[u8], end: usize) -> Result<(), DocError> {
        let Self {
            tokeniser, table, ..
        } = self;
        let put = &mut |term| table.add(term);
        terms(tokeniser, (self.document, end - text.len()..end), put)
    }

    /// Rows have the same keys again and again.
    fn key(&mut self, key: &[u8], end: usize) -> Result<(), DocError> {
        let at = Keys::place(key);
        if !matches!(self.keys.0.get(at), Some((known, _)) if **known == *key) {
            let mut terms = Vec::new();
            let put = &mut |term| terms.push(term);
            let place = (self.document, end - key.len()..end);
            self::terms(self.tokeniser, place, put)?;
            if key.len() > KEY_BYTES_MAX {
                terms.iter().for_each(|term| self.table.add(*term));
                return Ok(());
            }
            if let Some(slot) = self.keys.0.get_mut(at) {
                *slot = (key.into(), terms);
            }
        }
        if let Some((_, terms)) = self.keys.0.get(at) {
            terms.iter().for_each(|term| self.table.add(*term));
        }
        Ok(())
    }
}

/// Calls `put` with the terms of each form of the text that stands at a place of a document.
fn terms(
    tokeniser: &mut Tokeniser,
    (document, range): (&[u8], Range<usize>),
    put: &mut impl FnMut(u64),
) -> Result<(), DocError> {
    let text = document.get(range.clone()).unwrap_or_default();
    let read = tokeniser.each(document, range, put);
    read.map_err(|_| DocError::Utf8)?;
    if !escape::is_in(text) {
        return Ok(());
    }
    let text = std::str::from_utf8(text).map_err(|_| DocError::Utf8)?;
    escape::each_change(text, &mut |change| {
        let read = tokeniser.each(change.as_bytes(), 0..change.len(), put);
        read.expect("BUG: a text that is not UTF-8");
    });
    Ok(())
}

/// Terms of keys that were seen before, where their bytes say.
#[derive(Debug)]
struct Keys(Vec<(Box<[u8]>, Vec<u64>)>);

/// Keys that are remembered.
const KEYS: usize = 1 << 10;
/// Longer keys are not remembered.
const KEY_BYTES_MAX: usize = 128;

impl Keys {
    fn place(key: &[u8]) -> usize {
        index(crate::doc::fingerprint(key)) & (KEYS - 1)
    }
}

/// The terms of the block at hand and how many rows have each.
#[derive(Debug)]
struct Table {
    slots: Vec<Slot>,
    /// Slots in use.
    used: Vec<u32>,
    /// The row at hand, from 1.
    row: u32,
    /// More terms than fit.
    full: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    term: u64,
    /// The row that had it last; 0: the slot is free.
    row: u32,
    rows: u32,
}

impl Table {
    fn new() -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS_MIN],
            used: Vec::new(),
            row: 0,
            full: false,
        }
    }

    #[inline]
    fn add(&mut self, term: u64) {
        let mask = self.slots.len() - 1;
        let mut at = index(term) & mask;
        loop {
            let slot = &mut self.slots[at];
            if slot.term == term && slot.row != 0 {
                slot.rows += u32::from(slot.row != self.row);
                slot.row = self.row;
                return;
            }
            if slot.row == 0 {
                break;
            }
            at = (at + 1) & mask;
        }
        self.insert(at, term);
    }

    fn insert(&mut self, at: usize, term: u64) {
        if self.used.len() >= BLOCK_TERMS_MAX {
            self.full = true;
            return;
        }
        self.slots[at] = Slot {
            term,
            row: self.row,
            rows: 1,
        };
        self.used.push(u32::try_from(at).unwrap_or(u32::MAX));
        if self.used.len() * 2 > self.slots.len() {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let size = self.slots.len() * 2;
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); size]);
        for used in &mut self.used {
            let slot = old[narrow(u64::from(*used))];
            let mut at = index(slot.term) & (size - 1);
            while self.slots[at].row != 0 {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = slot;
            *used = u32::try_from(at).unwrap_or(u32::MAX);
        }
    }

    fn drain(&mut self, visit: &mut dyn FnMut(u64, u32)) {
        for used in self.used.drain(..) {
            let slot = std::mem::take(&mut self.slots[narrow(u64::from(used))]);
            visit(slot.term, slot.rows);
        }
        self.row = 0;
    }

    fn clear(&mut self) {
        self.drain(&mut |_, _| {});
        self.full = false;
    }
}

/// Where to look first: the low bits, since the high ones choose the bucket.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low bits are what is wanted"
)]
#[inline]
const fn index(term: u64) -> usize {
    term as usize
}
