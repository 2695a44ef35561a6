//! Indexes against maps made row by row, and merged ones against indexes made from scratch.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::merge::TermsMerge;
use super::page::Page;
use super::*;
use crate::boundary::{LocalStore, Store};
use crate::doc::DocWriter;
use crate::io::{Disk, FileId, FileKind};
use crate::row::{ProjectId, Table};
use crate::segment::block::Place;
use crate::segment::steps::AtOnce;
use crate::segment::tests::disk::MemDisk;
use crate::segment::tests::oracle::rows_of;
use crate::segment::view::View;
use crate::segment::{RowInput, SectionInput, Segment, SegmentOptions, write};
use crate::text::{Tokeniser, escape, term};

const DATABASE: [u8; 16] = *b"database-of-test";

/// A file with nothing but what `fill` writes, and its bytes.
fn file_of<T>(fill: impl FnOnce(&mut BlockWriter) -> T) -> (T, Vec<u8>) {
    let mem = Arc::new(MemDisk::default());
    let disk: Arc<dyn Disk> = Arc::clone(&mem) as Arc<dyn Disk>;
    let store = LocalStore::over(&disk);
    let file = FileId::new(FileKind::Segment, 1);
    let place = Place {
        file,
        database: DATABASE,
    };
    let upload = store.upload(file).unwrap();
    let mut out = BlockWriter::new(place, upload, 1).unwrap();
    let made = fill(&mut out);
    out.finish().unwrap();
    let bytes = mem.published.lock()[&file].bytes.lock().clone();
    (made, bytes)
}

fn segment(sections: Vec<SectionInput>) -> Arc<Segment> {
    let disk: Arc<dyn Disk> = Arc::new(MemDisk::default());
    let store: Arc<dyn Store> = LocalStore::over(&disk);
    write(&store, 1, DATABASE, sections, &SegmentOptions::default()).unwrap();
    let segment = Segment::open(&store, 1, DATABASE).unwrap();
    segment.verify().unwrap();
    segment
}

fn section(project: u64, rows: Vec<RowInput>) -> SectionInput {
    SectionInput {
        project: ProjectId(project),
        table: Table::Spans,
        rows,
    }
}

/// The documents of a section's rows by payload block.
fn blocks_of(view: &View<'_>) -> Vec<Vec<Bytes>> {
    let payload = &view.index.directory.payload;
    let mut blocks: Vec<Vec<Bytes>> = vec![Vec::new(); payload.blocks.len()];
    for row in 0..view.rows() {
        let (at, _) = view.place(row).unwrap();
        let body = view.body(row).unwrap();
        let document = crate::body::view_bytes(&body).unwrap();
        blocks[at].push(Bytes::copy_from_slice(document));
    }
    blocks
}

/// Rows with each word, by word and block.
fn counted(blocks: &[Vec<Bytes>]) -> BTreeMap<u64, Vec<Posting>> {
    fn texts(value: crate::doc::DocRef<'_>, put: &mut dyn FnMut(&str)) {
        match value {
            crate::doc::DocRef::Str(text) => put(text),
            crate::doc::DocRef::Array(items) => items.for_each(|v| texts(v.unwrap(), put)),
            crate::doc::DocRef::Map(entries) => entries.for_each(|e| {
                let (key, value) = e.unwrap();
                put(key);
                texts(value, put);
            }),
            _ => {}
        }
    }
    let mut all: BTreeMap<u64, BTreeMap<u32, u32>> = BTreeMap::new();
    for (block, rows) in (0..).zip(blocks) {
        for row in rows {
            let mut terms = std::collections::BTreeSet::new();
            texts(crate::doc::DocRef::parse(row).unwrap(), &mut |text| {
                let mut put = |text: &str| {
                    let put = &mut |t| {
                        terms.insert(t);
                    };
                    let mut tokeniser = Tokeniser::default();
                    let read = tokeniser.each(text.as_bytes(), 0..text.len(), put);
                    read.unwrap();
                    false
                };
                put(text);
                escape::any_form(text, &mut put);
            });
            for term in terms {
                *all.entry(term).or_default().entry(block).or_default() += 1;
            }
        }
    }
    let list = |blocks: BTreeMap<u32, u32>| blocks.into_iter().collect();
    all.into_iter()
        .map(|(t, blocks)| (t, list(blocks)))
        .collect()
}

#[test]
fn every_word_is_found_where_it_is_and_nothing_else() {
    for rows in [rows_of(1, 300, 700), rows_of(2, 4_200, 60)] {
        let segment = segment(vec![section(1, rows)]);
        let reader = segment.section(ProjectId(1), Table::Spans).unwrap();
        let view = reader.view().unwrap();
        let root = view.index.directory.terms.as_ref().unwrap();
        let blocks = blocks_of(&view);
        assert!(blocks.len() >= TERM_BLOCKS_MIN);
        let all = counted(&blocks);
        assert!(all.len() > 300);
        for (term, postings) in &all {
            assert_eq!(&lookup(&view, root, *term).unwrap(), postings);
            assert!(
                lookup(&view, root, term ^ 1).unwrap().is_empty() || all.contains_key(&(term ^ 1))
            );
        }
        for term in [0, u64::MAX >> 8] {
            assert!(lookup(&view, root, term).unwrap().is_empty());
        }
    }
}

#[test]
fn few_blocks_have_no_index() {
    let segment = segment(vec![
        section(1, rows_of(1, 300, 20)),
        section(2, rows_of(1, 9, 0)),
    ]);
    for project in [1, 2] {
        let reader = segment.section(ProjectId(project), Table::Spans).unwrap();
        assert!(reader.view().unwrap().index.directory.terms.is_none());
    }
}

fn document(text: &str) -> Vec<u8> {
    let mut doc = DocWriter::new();
    doc.str(text);
    doc.finish()
}

#[test]
fn a_block_with_too_many_terms_is_found_by_every_question() {
    let many = |n: usize| {
        let words: Vec<String> = (0..n).map(|n| format!("w{n}")).collect();
        document(&words.join(" "))
    };
    for (n, open) in [(BLOCK_TERMS_MAX, vec![]), (BLOCK_TERMS_MAX + 1, vec![1])] {
        let mut builder = Builder::default();
        for (block, words) in [(0, 3), (1, n), (2, 3)] {
            builder.add_row(&many(words)).unwrap();
            builder.end_block(block);
        }
        let (root, _) = file_of(|out| builder.finish(out).unwrap().unwrap());
        assert_eq!(root.open, open);
    }
}

#[test]
#[expect(
    clippy::needless_range_loop,
    reason = "blocks of all inputs take turns"
)]
fn merging_equals_building_from_scratch() {
    let inputs = segment(vec![
        section(1, rows_of(1, 4_200, 60)),
        section(2, rows_of(3, 300, 700)),
        section(3, rows_of(4, 20, 2)),
    ]);
    let readers = [1, 2].map(|p| inputs.section(ProjectId(p), Table::Spans).unwrap());
    let views = readers.map(|r| r.view().unwrap());
    let all: Vec<Vec<Vec<Bytes>>> = views.iter().map(blocks_of).collect();
    assert!(all.iter().all(|blocks| blocks.len() > 3));
    // Blocks take turns; one of each input is left behind, and two are written anew.
    let mut scratch = Builder::default();
    let mut merge = TermsMerge::new();
    let mut next = 0;
    let mut maps: Vec<Vec<Option<u32>>> = all.iter().map(|b| vec![None; b.len()]).collect();
    let fresh = [document("brand new words 東京"), document("other words")];
    let longest = all.iter().map(Vec::len).max().unwrap();
    for at in 0..longest {
        for (input, blocks) in all.iter().enumerate() {
            let Some(rows) = blocks.get(at).filter(|_| at != 1) else {
                continue;
            };
            maps[input][at] = Some(next);
            rows.iter().for_each(|row| scratch.add_row(row).unwrap());
            scratch.end_block(next);
            next += 1;
        }
        if let Some(document) = fresh.get(at) {
            for builder in [&mut scratch, merge.fresh()] {
                builder.add_row(document).unwrap();
                builder.end_block(next);
            }
            next += 1;
        }
    }
    for (view, map) in views.iter().zip(maps) {
        merge.copied(view, map);
    }
    let (merged, merged_bytes) = file_of(|out| merge.finish(out, &AtOnce).unwrap());
    let (built, built_bytes) = file_of(|out| scratch.finish(out).unwrap());
    assert!(merged.is_some() && merged_bytes.len() > 1_000);
    assert_eq!(merged, built);
    assert_eq!(merged_bytes, built_bytes);
}

#[test]
fn copied_blocks_without_an_index_are_found_by_every_question() {
    let inputs = segment(vec![section(1, rows_of(1, 200, 20))]);
    let reader = inputs.section(ProjectId(1), Table::Spans).unwrap();
    let view = reader.view().unwrap();
    assert!(view.index.directory.terms.is_none());
    let mut merge = TermsMerge::new();
    merge.copied(&view, vec![Some(1)]);
    merge.fresh().add_row(&document("one")).unwrap();
    merge.fresh().end_block(0);
    let (root, _) = file_of(|out| merge.finish(out, &AtOnce).unwrap().unwrap());
    assert_eq!(root.open, [1]);
}

fn postings() -> impl Strategy<Value = BTreeMap<u64, BTreeMap<u32, u32>>> {
    let blocks =
        prop::collection::btree_map(0u32..1_000, prop_oneof![Just(1u32), 1u32..1_000], 1..20);
    prop::collection::btree_map(0u64..1 << term::BITS, blocks, 1..40)
}

proptest! {
    #[test]
    fn pages_read_back(all in postings(), probe in 0u64..1 << term::BITS) {
        let mut page = Page::default();
        let mut expect = Vec::new();
        for (term, blocks) in &all {
            let blocks: Vec<Posting> = blocks.iter().map(|(b, n)| (*b, *n)).collect();
            page.push(*term, &blocks);
            expect.push((*term, blocks));
        }
        let bytes = Bytes::from(page.take());
        let mut reader = page::PageReader::new(bytes.clone()).unwrap();
        let (mut found, mut held) = (Vec::new(), Vec::new());
        while let Some(term) = reader.next(1_000, &mut held).unwrap() {
            found.push((term, held.clone()));
        }
        prop_assert_eq!(&found, &expect);
        for wanted in all.keys().copied().chain([probe]) {
            let reader = page::PageReader::new(bytes.clone()).unwrap();
            reader.find(wanted, 1_000, &mut held).unwrap();
            let there = expect.iter().find(|(t, _)| *t == wanted).map(|(_, p)| p.clone());
            prop_assert_eq!(&held, &there.unwrap_or_default());
        }
    }

    #[test]
    fn any_page_is_read_or_refused(
        all in postings(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        garbage in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut page = Page::default();
        for (term, blocks) in &all {
            page.push(*term, &blocks.iter().map(|(b, n)| (*b, *n)).collect::<Vec<_>>());
        }
        let mut bytes = page.take();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        for bytes in [bytes, garbage] {
            let _either = count_terms(&bytes).is_ok();
            let bytes = Bytes::from(bytes);
            if let Ok(reader) = page::PageReader::new(bytes.clone()) {
                let _either = reader.find(1 << 40, 100, &mut Vec::new()).is_ok();
            }
            let _either = page::read_summary(bytes.clone()).is_ok();
            let _either = Root::read(&mut Cursor(bytes), 10).is_ok();
        }
    }
}
