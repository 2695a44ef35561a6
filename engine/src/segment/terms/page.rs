//! Pages of terms, and summaries of pages.
//!
//! ```text
//! page     n varint, first term varint, gaps packed (n - 1: to the term before),
//!          heads sized: per term a varint: 0: one row of one block; else the number of blocks
//!          blocks sized: per posting a varint: block - block before - 1; the first as it is
//!          rows sized: per posting of a head that is not 0, a varint: rows - 1
//! summary  n varint, first term varint, gaps packed (n - 1), block references
//! ```

use bytes::Bytes;

use super::{Posting, SUMMARY_PAGES};
use crate::segment::block::BlockRef;
use crate::segment::packed::{self, Packed};
use crate::segment::wire::{Bad, Cursor, put_len, put_sized, put_varint};

/// A page as it is filled.
#[derive(Debug, Default)]
pub(super) struct Page {
    terms: Vec<u64>,
    heads: Vec<u8>,
    blocks: Vec<u8>,
    rows: Vec<u8>,
}

/// What a term costs beside its postings, about.
const TERM_BYTES: usize = 5;

impl Page {
    pub(super) fn push(&mut self, term: u64, postings: &[Posting]) {
        self.terms.push(term);
        let mut next = 0;
        for (block, _) in postings {
            put_varint(&mut self.blocks, u64::from(block - next));
            next = block + 1;
        }
        if let [(_, 1)] = postings {
            self.heads.push(0);
            return;
        }
        put_len(&mut self.heads, postings.len());
        for (_, rows) in postings {
            put_varint(&mut self.rows, u64::from(rows - 1));
        }
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.terms.first().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.terms.len() * TERM_BYTES + self.heads.len() + self.blocks.len() + self.rows.len()
    }

    /// Its bytes; it is empty then.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len() + 64);
        put_terms(&mut out, self.terms.iter().copied());
        put_sized(&mut out, &self.heads);
        put_sized(&mut out, &self.blocks);
        put_sized(&mut out, &self.rows);
        self.terms.clear();
        self.heads.clear();
        self.blocks.clear();
        self.rows.clear();
        out
    }
}

pub(super) fn summary(pages: &[(u64, BlockRef)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_terms(&mut out, pages.iter().map(|p| p.0));
    pages.iter().for_each(|p| p.1.put(&mut out));
    out
}

fn put_terms(out: &mut Vec<u8>, terms: impl ExactSizeIterator<Item = u64>) {
    put_len(out, terms.len());
    let mut before = None;
    let mut gaps = Vec::with_capacity(terms.len());
    for term in terms {
        match before.replace(term) {
            None => put_varint(out, term),
            Some(before) => gaps.push(term - before),
        }
    }
    packed::put(out, gaps.iter().copied());
}

/// The first term, and the gaps of the others.
struct Terms {
    first: u64,
    gaps: Packed,
}

impl Terms {
    fn read(cursor: &mut Cursor) -> Result<Self, Bad> {
        let n = cursor.count(1)?;
        let others = n.checked_sub(1).ok_or(Bad("no terms"))?;
        let first = cursor.varint()?;
        let gaps = Packed::read_exact(cursor, others)?;
        Ok(Self { first, gaps })
    }

    /// Calls `visit` with each index and term until it answers false.
    fn each(&self, visit: &mut dyn FnMut(usize, u64) -> bool) -> Result<(), Bad> {
        let mut term = self.first;
        if !visit(0, term) {
            return Ok(());
        }
        for at in 0..self.gaps.len() {
            let gap = self.gaps.get(at)?;
            let next = term.checked_add(gap).filter(|_| gap > 0);
            term = next.ok_or(Bad("order of terms"))?;
            if !visit(at + 1, term) {
                break;
            }
        }
        Ok(())
    }
}

/// The pages of a summary by their first terms.
pub(super) fn read_summary(bytes: Bytes) -> Result<Vec<(u64, BlockRef)>, Bad> {
    let mut cursor = Cursor(bytes);
    let terms = Terms::read(&mut cursor)?;
    if terms.gaps.len() >= SUMMARY_PAGES {
        return Err(Bad("pages of a summary"));
    }
    let mut firsts = Vec::with_capacity(terms.gaps.len() + 1);
    terms.each(&mut |_, term| {
        firsts.push(term);
        true
    })?;
    let pages = firsts
        .into_iter()
        .map(|first| Ok((first, BlockRef::read(&mut cursor)?)))
        .collect::<Result<_, Bad>>()?;
    cursor.end()?;
    Ok(pages)
}

/// A page that is read term by term.
pub(super) struct PageReader {
    terms: Terms,
    at: usize,
    term: u64,
    heads: Cursor,
    blocks: Cursor,
    rows: Cursor,
}

impl PageReader {
    pub(super) fn new(bytes: Bytes) -> Result<Self, Bad> {
        let mut cursor = Cursor(bytes);
        let terms = Terms::read(&mut cursor)?;
        let mut stream = || cursor.sized().map(Cursor);
        let (heads, blocks, rows) = (stream()?, stream()?, stream()?);
        cursor.end()?;
        Ok(Self {
            at: 0,
            term: terms.first,
            terms,
            heads,
            blocks,
            rows,
        })
    }

    /// The next term and its postings, into `postings`, which must be below `limit`.
    pub(super) fn next(
        &mut self,
        limit: u32,
        postings: &mut Vec<Posting>,
    ) -> Result<Option<u64>, Bad> {
        if self.at > self.terms.gaps.len() {
            self.end()?;
            return Ok(None);
        }
        if let Some(before) = self.at.checked_sub(1) {
            let gap = self.terms.gaps.get(before)?;
            let next = self.term.checked_add(gap).filter(|_| gap > 0);
            self.term = next.ok_or(Bad("order of terms"))?;
        }
        self.at += 1;
        self.postings(limit, postings)?;
        Ok(Some(self.term))
    }

    fn postings(&mut self, limit: u32, postings: &mut Vec<Posting>) -> Result<(), Bad> {
        postings.clear();
        let head = self.heads.len()?;
        let blocks = head.max(1);
        if blocks > self.blocks.0.len() {
            return Err(Bad("postings"));
        }
        let mut next = 0u32;
        for _ in 0..blocks {
            let block = next
                .checked_add(self.blocks.varint_u32()?)
                .filter(|b| *b < limit)
                .ok_or(Bad("block of a posting"))?;
            next = block + 1;
            let more = if head == 0 {
                0
            } else {
                self.rows.varint_u32()?
            };
            let rows = more.checked_add(1).ok_or(Bad("rows of a posting"))?;
            postings.push((block, rows));
        }
        Ok(())
    }

    /// The postings of one term, into `postings`; none if it is not here.
    pub(super) fn find(
        mut self,
        wanted: u64,
        limit: u32,
        postings: &mut Vec<Posting>,
    ) -> Result<(), Bad> {
        postings.clear();
        let (mut at, mut here) = (0, false);
        self.terms.each(&mut |n, term| {
            (at, here) = (n, term == wanted);
            term < wanted
        })?;
        if !here {
            return Ok(());
        }
        let (mut skip_blocks, mut skip_rows) = (0usize, 0usize);
        for _ in 0..at {
            let head = self.heads.len()?;
            skip_blocks = skip_blocks.checked_add(head.max(1)).ok_or(Bad("heads"))?;
            skip_rows = skip_rows.checked_add(head).ok_or(Bad("heads"))?;
        }
        skip(&mut self.blocks, skip_blocks)?;
        skip(&mut self.rows, skip_rows)?;
        self.postings(limit, postings)
    }

    fn end(&self) -> Result<(), Bad> {
        self.heads.end()?;
        self.blocks.end()?;
        self.rows.end()
    }
}

/// Leaves out so many varints.
fn skip(cursor: &mut Cursor, n: usize) -> Result<(), Bad> {
    if n == 0 {
        return Ok(());
    }
    let ends = cursor
        .0
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte < 0x80);
    let (last, _) = ends.take(n).nth(n - 1).ok_or(Bad("postings"))?;
    cursor.take(last + 1)?;
    Ok(())
}

/// How many terms and postings a page has. Reads any bytes or refuses them.
#[cfg(any(test, feature = "forge"))]
pub(in crate::segment) fn count_terms(page: &[u8]) -> Result<(usize, usize), &'static str> {
    let count = || -> Result<_, Bad> {
        let mut reader = PageReader::new(Bytes::copy_from_slice(page))?;
        let (mut terms, mut all, mut postings) = (0, 0, Vec::new());
        while reader.next(u32::MAX, &mut postings)?.is_some() {
            terms += 1;
            all += postings.len();
        }
        Ok((terms, all))
    };
    count().map_err(|Bad(what)| what)
}
