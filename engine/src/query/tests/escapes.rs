//! Text behind escapes of JSON: what clients write as `\u6771` is found as 東, in memory, in a segment, after a
//! merge, and in a segment whose index was made when only the bytes that were sent counted.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::index::{ask, segment_of};
use super::rows::{Rows, V, row as test_row};
use super::{BUDGET, NOTHING};
use crate::body::Content;
use crate::boundary::{LocalStore, Store};
use crate::doc::DocWriter;
use crate::io::{Disk, FileId, FileKind, RealDisk};
use crate::query::{Request, parse, search};
use crate::row::{ProjectId, RowKey, Stamp, Table};
use crate::segment::tests::disk::MemDisk;
use crate::segment::{
    MergeInput, MergeSection, RowInput, Segment, SegmentOptions, Work, write_works,
};

use bytes::Bytes;

/// What was said, before a client wrote it down.
const SAID: [&str; 5] = [
    "請幫我找東京的酒店",
    "كَتَبَ المُسْتَخْدِمُ رِسَالَةً طويلةً",
    "ready 🚀 launch",
    "first line\nsecond \"quoted\" word\tend",
    "C:\\new\\table",
];
/// How often each was written as JSON within JSON; the last is once too often.
const TIMES: u32 = 5;
const ROWS: u32 = 5 * TIMES;

/// A text as a JSON string that is ASCII, as most clients write it.
fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\t') => out.push_str("\\t"),
            Some(c) if c.is_ascii() => out.push(c),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out + "\""
}

/// Row `n` has text `n / TIMES`, written as JSON `n % TIMES` times.
fn input(n: u32) -> String {
    let said = SAID[usize::try_from(n / TIMES).unwrap()].to_owned();
    (0..n % TIMES).fold(said, |text, _| json(&text))
}

/// Neither compresses to nothing nor repeats.
fn filler(n: u32) -> String {
    let words = (0..4_000u32).map(|at| (n * 4_001 + at).wrapping_mul(2_654_435_761));
    words.map(|word| format!("{word:x} ")).collect()
}

fn row_of(n: u32, fields: &[(&str, String)]) -> RowInput {
    let mut doc = DocWriter::new();
    let map = doc.begin_map();
    for (key, value) in fields {
        doc.key(key);
        doc.str(value);
    }
    doc.end(map);
    RowInput {
        key: RowKey {
            trace_id: format!("t{n}").into(),
            id: format!("s{n:06}").into(),
        },
        start_ns: i64::from(n) * 1_000_000_000,
        end_ns: None,
        lsn_first: 1,
        lsn_last: 1,
        content: Content::Complete {
            stamp: Stamp::default(),
            doc: Bytes::from(doc.finish()),
            cost: None,
        },
    }
}

fn row(n: u32) -> RowInput {
    row_of(n, &[("input", input(n)), ("other", filler(n))])
}

/// What is asked, and which text it is in.
const ASKED: [(&str, u32); 21] = [
    ("東京", 0),
    ("\"東京的酒店\"", 0),
    ("~京的酒", 0),
    ("=~東.的", 0),
    ("input~京的酒", 0),
    ("input=~東.的", 0),
    ("المستخدم", 1),
    ("\"كتب المستخدم رسالة\"", 1),
    ("~كَتَبَ", 1),
    ("🚀", 2),
    ("~\"🚀 launch\"", 2),
    ("\"ready launch\"", 2),
    ("second", 3),
    ("\"first line second\"", 3),
    ("\"line second quoted word end\"", 3),
    ("seco*", 3),
    ("~\"line\\nsecond\"", 3),
    ("~\"\\\"quoted\\\" word\\tend\"", 3),
    ("=~\"line\\s+second\"", 3),
    ("input=~\"line\\s+second\"", 3),
    ("~\"c:\\\\new\"", 4),
];

fn expected(of: u32) -> Vec<u32> {
    (of * TIMES..(of + 1) * TIMES - 1).rev().collect()
}

/// Whether the index of terms rules blocks out: not for parts of words, nor for what has no word.
fn is_indexed(asked: &str) -> bool {
    let by_words = !asked.starts_with(['~', '=', '🚀']) && !asked.contains(['*', '~', '=']);
    by_words || asked == "~\"\\\"quoted\\\" word\\tend\""
}

fn check(segment: &Segment) {
    for (asked, of) in ASKED {
        let (found, explain) = ask(segment, &[], &parse(asked, 0).unwrap());
        assert_eq!(found, expected(of), "{asked}");
        let (by_index, scanned) = (explain.blocks_pruned_by_index, explain.blocks_scanned);
        assert_eq!(by_index > 0, is_indexed(asked), "{asked}: {explain:?}");
        assert_eq!(scanned == 0, is_indexed(asked), "{asked}: {explain:?}");
    }
}

#[test]
fn escapes_are_read_in_memory() {
    let rows = (0..ROWS).map(|n| {
        let mut row = test_row("t", &format!("s{n:06}"), i64::from(n));
        row.fields.push(("input".to_owned(), V::Str(input(n))));
        row
    });
    let rows = Rows::new(rows.collect());
    for (asked, of) in ASKED {
        let request = Request::new(parse(asked, 0).unwrap(), 100);
        let page = search(&[rows.visible("x")], &NOTHING, 9, &BUDGET, &request).unwrap();
        let found = page
            .hits
            .iter()
            .map(|hit| hit.core.id[1..].parse().unwrap());
        assert_eq!(found.collect::<Vec<u32>>(), expected(of), "{asked}");
    }
}

#[test]
fn escapes_are_read_in_segments() {
    check(&segment_of((0..ROWS).map(row).collect()));
}

#[test]
fn escapes_are_read_after_a_merge() {
    let halves =
        [0, 1].map(|half| segment_of((0..ROWS).filter(|n| n % 2 == half).map(row).collect()));
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
    let store: Arc<dyn Store> = LocalStore::over(&disk);
    let dead = RoaringBitmap::new();
    let inputs = halves.iter().map(|half| MergeInput {
        section: half.section(ProjectId(1), Table::Spans).unwrap(),
        dead: Some(&dead),
    });
    let work = Work::Merge(MergeSection {
        project: ProjectId(1),
        table: Table::Spans,
        inputs: inputs.collect(),
    });
    write_works(&store, 2, [0; 16], vec![work], &SegmentOptions::default()).unwrap();
    let merged = Segment::open(&store, 2, [0; 16]).unwrap();
    for (asked, of) in ASKED {
        assert_eq!(
            ask(&merged, &[], &parse(asked, 0).unwrap()).0,
            expected(of),
            "{asked}"
        );
    }
}

/// Three spans, each in a payload block of its own, as a server wrote them whose index knew the bytes that were sent and
/// nothing else: `{"q": "in \u6771\u4eac now"}`, `in 東京 now`, `in 大阪 now`.
const BY_RULE_1: &str = include_str!("escapes.rule1.hex");
/// The id of that server's directory.
const DATABASE: [u8; 16] = [
    0x2a, 0x22, 0x80, 0xee, 0xd3, 0x41, 0x2d, 0x4c, 0x9d, 0x7a, 0x26, 0xa1, 0x67, 0xe3, 0x73, 0x8e,
];

#[test]
fn an_index_that_knew_no_escapes_is_not_asked() {
    let digits: String = BY_RULE_1.split_whitespace().collect();
    let bytes = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
    let mem = MemDisk::default();
    mem.place(FileId::new(FileKind::Segment, 1), bytes.collect());
    let disk: Arc<dyn Disk> = Arc::new(mem);
    let old = Segment::open(&LocalStore::over(&disk), 1, DATABASE).unwrap();
    old.verify().unwrap();
    for (asked, found) in [("東京", vec![2, 1]), ("大阪", vec![3]), ("京都", vec![])] {
        let (rows, explain) = ask(&old, &[], &parse(asked, 0).unwrap());
        assert_eq!(rows, found, "{asked}");
        let blocks = (explain.blocks_scanned, explain.blocks_pruned_by_index);
        assert_eq!(blocks, (3, 0), "{asked}: {explain:?}");
    }
}
