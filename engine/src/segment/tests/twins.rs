//! Attributes that a dialect also understands stand twice in a document, and once in the file.

use std::sync::Arc;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::{DATABASE, disk, section};
use crate::body::{self, Content};
use crate::boundary::LocalStore;
use crate::doc::{DocWriter, Scalar};
use crate::io::Disk;
use crate::row::{ProjectId, RowKey, Stamp, Table};
use crate::segment::directory::ColumnEntry;
use crate::segment::{
    FULL_ROWS_MIN, MergeInput, MergeSection, RowInput, Segment, SegmentOptions, Work, write,
    write_works,
};
use crate::source::{Column, Source};

const PROJECT: ProjectId = ProjectId(3);
/// Of text, and of numbers; the second of each is the attribute.
const ENV: [&str; 2] = ["metadata.env", "attributes.metadata.env"];
const TOKENS: [&str; 2] = ["tokens.input", "attributes.usage"];

/// What row `n` says under the first path of each pair.
fn said(n: u32) -> (String, i64) {
    (format!("v{}", n % 7), i64::from(n * n % 90_001))
}

/// The rows `of`, of which `others` say something else under the second paths.
fn rows(of: std::ops::Range<u32>, others: &[u32]) -> Vec<RowInput> {
    of.map(|n| row(n, others.contains(&n))).collect()
}

fn row(n: u32, differs: bool) -> RowInput {
    let (env, tokens) = said(n);
    let mut doc = DocWriter::new();
    let top = doc.begin_map();
    for (map, key, of) in [
        ("metadata", "env", false),
        ("attributes", "metadata.env", differs),
    ] {
        doc.key(map);
        let inner = doc.begin_map();
        doc.key(key);
        doc.str(if of { "other" } else { &env });
        if map == "attributes" {
            doc.key("usage");
            doc.i64(if of { -1 } else { tokens });
        }
        doc.end(inner);
    }
    doc.key("tokens");
    let inner = doc.begin_map();
    doc.key("input");
    doc.i64(tokens);
    doc.end(inner);
    doc.key("input");
    doc.str(&"x".repeat(200));
    doc.end(top);
    let stamp = Stamp {
        version: u64::from(n),
        hash: 1,
    };
    RowInput {
        key: RowKey {
            trace_id: format!("t{}", n / 9).into(),
            id: format!("{n}").into(),
        },
        start_ns: i64::from(n),
        end_ns: None,
        lsn_first: 1,
        lsn_last: 1,
        content: Content::Folded(Bytes::from(body::encode(stamp, &doc.finish(), &[]))),
    }
}

fn written(disk: &Arc<dyn Disk>, id: u64, rows: Vec<RowInput>) -> Arc<Segment> {
    let store = LocalStore::over(disk);
    let sections = vec![section(PROJECT.0, Table::Spans, rows)];
    write(&store, id, DATABASE, sections, &SegmentOptions::default()).unwrap();
    Segment::open(&store, id, DATABASE).unwrap()
}

fn merged(disk: &Arc<dyn Disk>, id: u64, inputs: &[&Arc<Segment>]) -> Arc<Segment> {
    let store = LocalStore::over(disk);
    let section = MergeSection {
        project: PROJECT,
        table: Table::Spans,
        inputs: inputs
            .iter()
            .map(|input| MergeInput {
                section: input.section(PROJECT, Table::Spans).unwrap(),
                dead: None,
            })
            .collect(),
    };
    let works = vec![Work::Merge(section)];
    write_works(&store, id, DATABASE, works, &SegmentOptions::default()).unwrap();
    Segment::open(&store, id, DATABASE).unwrap()
}

/// The entries of two paths, each of which must answer as the rows do.
fn pair(segment: &Segment, paths: [&str; 2], others: &[u32]) -> [ColumnEntry; 2] {
    let reader = segment.section(PROJECT, Table::Spans).unwrap();
    let view = reader.view().unwrap();
    let mut all = RoaringBitmap::new();
    all.insert_range(0..reader.row_count());
    let ids: Vec<u32> = (0..reader.row_count())
        .map(|at| reader.row(at).unwrap().key.id.parse().unwrap())
        .collect();
    for (path, others) in [(paths[0], &[][..]), (paths[1], others)] {
        let column = Column::Path(path.into());
        for value in [5, 6] {
            let (env, tokens) = said(value);
            let is = |scalar: Scalar<'_>| {
                Some(scalar == Scalar::Str(&env) || scalar == Scalar::I64(tokens))
            };
            let expect: RoaringBitmap = (0..)
                .zip(&ids)
                .filter(|(_, id)| {
                    let (own_env, own_tokens) = said(**id);
                    let is = if paths == ENV {
                        own_env == env
                    } else {
                        own_tokens == tokens
                    };
                    is && !others.contains(id)
                })
                .map(|(at, _)| at)
                .collect();
            let found = reader.matching(&column, &is, &all).unwrap();
            assert_eq!(found.sure, expect, "{path}");
        }
    }
    paths.map(|path| {
        let columns = &view.index.directory.columns;
        assert!(columns.is_sorted_by_key(|c| (c.path.clone(), c.kind)));
        let found = columns.iter().find(|column| *column.path == *path);
        found.unwrap().clone()
    })
}

fn is_shared(segment: &Segment, paths: [&str; 2], others: &[u32]) -> bool {
    let [a, b] = pair(segment, paths, others);
    let shared = a.is_same(&b);
    let first = |column: &ColumnEntry| column.first_piece().unwrap();
    assert_eq!(shared, first(&a) == first(&b));
    shared
}

#[test]
fn what_stands_at_two_paths_is_written_once() {
    let disk = disk();
    for (id, count) in [(1, 100), (2, 1_000), (3, FULL_ROWS_MIN)] {
        let same = written(&disk, id, rows(0..count, &[]));
        let other = written(&disk, id + 10, rows(0..count, &[7]));
        for paths in [ENV, TOKENS] {
            assert!(is_shared(&same, paths, &[]), "{count} {paths:?}");
            assert!(!is_shared(&other, paths, &[7]), "{count} {paths:?}");
        }
        same.verify().unwrap();
        assert!(same.bytes() < other.bytes());
    }
}

#[test]
fn a_merge_keeps_what_every_input_shares_and_nothing_else() {
    let disk = disk();
    let third = FULL_ROWS_MIN / 2;
    let parts: Vec<_> = (0..3)
        .map(|n| written(&disk, u64::from(n), rows(n * third..(n + 1) * third, &[])))
        .collect();
    let odd = written(&disk, 7, rows(3 * third..4 * third, &[3 * third + 1]));
    let both = merged(&disk, 20, &[&parts[0], &parts[1]]);
    let again = merged(&disk, 21, &[&both, &parts[2]]);
    let mixed = merged(&disk, 22, &[&parts[2], &odd]);
    for paths in [ENV, TOKENS] {
        assert!(is_shared(&both, paths, &[]));
        assert!(is_shared(&again, paths, &[]));
        assert!(!is_shared(&mixed, paths, &[3 * third + 1]));
    }
    again.verify().unwrap();
}
