//! Rows to test with, and what a source must say of them: computed row by row from the documents.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use roaring::RoaringBitmap;

use crate::body::{self, Content};
use crate::doc::{DocRef, DocWriter, Scalar, flatten, scalar_of};
use crate::row::{RowKey, Stamp};
use crate::segment::RowInput;
use crate::source::{Column, Core, Matches, Source, ValueTest, check_lanes};

const PATHS: [&str; 7] = ["a", "a.b", "tags", "status", "n", "ünï.ж", "absent"];

/// A value as the oracle compares it: floats by bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Bool(bool),
    I64(i64),
    F64(u64),
    Str(String),
    Long(u64),
}

impl Value {
    fn of(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Bool(b) => Self::Bool(b),
            Scalar::I64(n) => Self::I64(n),
            Scalar::F64(n) => Self::F64(n.to_bits()),
            Scalar::Str(s) => Self::Str(s.to_owned()),
            Scalar::Long(n) => Self::Long(n),
        }
    }
}

fn values_of(row: &RowInput, column: &Column) -> Vec<Value> {
    let mut out = Vec::new();
    let one = |out: &mut Vec<Value>, n: Option<i64>| out.extend(n.map(Value::I64));
    match column {
        Column::TraceId => out.extend(scalar_of(DocRef::Str(&row.key.trace_id)).map(Value::of)),
        Column::Id => out.extend(scalar_of(DocRef::Str(&row.key.id)).map(Value::of)),
        Column::Start => one(&mut out, Some(row.start_ns)),
        Column::End => one(&mut out, row.end_ns),
        Column::Duration => one(&mut out, row.end_ns.map(|e| e.saturating_sub(row.start_ns))),
        Column::Path(path) => {
            let view = row.content.view().unwrap();
            let view = DocRef::parse(&view).unwrap();
            flatten(view, &mut |p, s| {
                if p == &**path {
                    out.push(Value::of(s));
                }
            })
            .unwrap();
        }
        Column::Score(_) | Column::Scored(..) => unreachable!("made of other columns"),
    }
    out.sort();
    out.dedup();
    out
}

fn columns() -> Vec<Column> {
    let mut columns = vec![
        Column::TraceId,
        Column::Id,
        Column::Start,
        Column::End,
        Column::Duration,
    ];
    columns.extend(PATHS.iter().map(|p| Column::Path((*p).into())));
    columns
}

/// A chat: each call sends all that was said before.
pub(in crate::segment) fn chat(turns: usize) -> Vec<RowInput> {
    let said: Vec<String> = (0..turns as u64)
        .map(|turn| {
            let word =
                |n: u64| format!("{:x} ", (turn * 40 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            (0..20).map(word).collect()
        })
        .collect();
    let call = |turn: usize| {
        let mut doc = DocWriter::new();
        let map = doc.begin_map();
        doc.key("status");
        doc.str(if turn.is_multiple_of(7) {
            "error"
        } else {
            "ok"
        });
        doc.key("input");
        doc.str(&said[..=turn].concat());
        doc.end(map);
        let stamp = Stamp {
            version: turn as u64,
            hash: 7,
        };
        RowInput {
            key: RowKey {
                trace_id: "chat".into(),
                id: format!("{turn:05}").into(),
            },
            start_ns: i64::try_from(turn).unwrap() * 1_000,
            end_ns: None,
            lsn_first: turn as u64 + 1,
            lsn_last: turn as u64 + 1,
            content: Content::Folded(body::encode(stamp, &doc.finish(), &[]).into()),
        }
    };
    (0..turns).map(call).collect()
}

type Test = Box<dyn Fn(Scalar<'_>) -> Option<bool>>;

/// Tests that differ in what they pass, some of them on every type.
fn tests() -> Vec<(&'static str, Test)> {
    vec![
        ("all", Box::new(|_| Some(true))),
        ("none", Box::new(|_| Some(false))),
        (
            "long undecided",
            Box::new(|s| match s {
                Scalar::Long(_) => None,
                Scalar::Str(s) => Some(s.contains('e')),
                _ => Some(false),
            }),
        ),
        (
            "some",
            Box::new(|s| match s {
                Scalar::Bool(b) => Some(b),
                Scalar::I64(n) => Some(n % 3 == 0),
                Scalar::F64(n) => Some(n > 0.5),
                Scalar::Str(s) => Some(s.len() % 2 == 0),
                Scalar::Long(n) => (n % 2 == 0).then_some(n % 3 == 0),
            }),
        ),
        (
            "one",
            Box::new(|s| Some(s == Scalar::Str("error") || s == Scalar::I64(5))),
        ),
    ]
}

fn matching(all: &[Vec<Value>], test: ValueTest<'_>, within: &RoaringBitmap) -> Matches {
    let mut found = Matches::default();
    for row in within {
        let Some(values) = all.get(row as usize) else {
            continue;
        };
        let verdicts: Vec<_> = values.iter().map(|v| test(as_scalar(v))).collect();
        if verdicts.contains(&Some(true)) {
            found.sure.insert(row);
        } else if verdicts.contains(&None) {
            found.verify.insert(row);
        }
    }
    found
}

fn as_scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::Bool(b) => Scalar::Bool(*b),
        Value::I64(n) => Scalar::I64(*n),
        Value::F64(bits) => Scalar::F64(f64::from_bits(*bits)),
        Value::Str(s) => Scalar::Str(s),
        Value::Long(n) => Scalar::Long(*n),
    }
}

/// Compares every answer of `source` with the one computed from `rows`.
pub(crate) fn check_source(source: &dyn Source, rows: &[&RowInput]) {
    check_columns(source, rows, &columns());
}

/// The same of these columns.
pub(in crate::segment) fn check_columns(
    source: &dyn Source,
    rows: &[&RowInput],
    columns: &[Column],
) {
    let count = u32::try_from(rows.len()).unwrap();
    assert_eq!(source.row_count(), count);
    let mut all = RoaringBitmap::new();
    all.insert_range(0..count + 10);
    let third: RoaringBitmap = (0..count).filter(|n| n % 3 == 1).collect();
    let few: RoaringBitmap = (0..count).filter(|n| n % 997 == 1).collect();
    let mut tail = RoaringBitmap::new();
    tail.insert_range(count - count / 4..count);
    let sets = [all, third, few, tail, RoaringBitmap::new()];
    for column in columns {
        let values: Vec<Vec<Value>> = rows.iter().map(|row| values_of(row, column)).collect();
        for within in &sets {
            check_column(source, column, &values, within);
        }
        check_lanes(source, column);
    }
    for row in (0..count).step_by(rows.len() / 200 + 1) {
        let expect = rows[row as usize];
        let core = Core {
            trace_id: expect.key.trace_id.clone(),
            id: expect.key.id.clone(),
            start_ns: expect.start_ns,
            end_ns: expect.end_ns,
            lsn_first: expect.lsn_first,
            lsn_last: expect.lsn_last,
        };
        assert_eq!(source.core(row).unwrap(), core);
        assert_eq!(source.body(row).unwrap(), expect.content.body());
    }
    assert!(source.core(count).is_err());
    assert!(source.body(count).is_err());
}

fn check_column(source: &dyn Source, column: &Column, all: &[Vec<Value>], within: &RoaringBitmap) {
    for (name, test) in tests() {
        let found = source.matching(column, &test, within).unwrap();
        let expect = matching(all, &test, within);
        assert_eq!(found.sure, expect.sure, "{column:?} {name}");
        assert_eq!(found.verify, expect.verify, "{column:?} {name}");
    }
    let wanted = || {
        within
            .iter()
            .filter_map(|row| Some((row, all.get(row as usize)?)))
    };
    let present: RoaringBitmap = wanted()
        .filter(|(_, values)| !values.is_empty())
        .map(|(row, _)| row)
        .collect();
    assert_eq!(
        source.present(column, within).unwrap(),
        present,
        "{column:?}"
    );

    let mut found: Vec<(u32, Value)> = Vec::new();
    source
        .values(column, within, &mut |row, s| {
            found.push((row, Value::of(s)));
        })
        .unwrap();
    assert!(found.is_sorted_by_key(|(row, _)| *row));
    found.sort();
    found.dedup();
    let expect: Vec<(u32, Value)> = wanted()
        .flat_map(|(row, vs)| vs.iter().map(move |v| (row, v.clone())))
        .collect();
    assert_eq!(found, expect, "{column:?}");

    let mut counts: BTreeMap<Value, u64> = BTreeMap::new();
    source
        .count_values(column, within, &mut |s, n| {
            *counts.entry(Value::of(s)).or_default() += n;
        })
        .unwrap();
    let mut expect: BTreeMap<Value, u64> = BTreeMap::new();
    wanted()
        .flat_map(|(_, vs)| vs)
        .for_each(|v| *expect.entry(v.clone()).or_default() += 1);
    assert_eq!(counts, expect, "{column:?}");
}

/// Rows of which the `n`-th has the status and the keys `keys(n)`, each a number, with values of all types.
pub(in crate::segment) fn rows_with(
    count: u64,
    padding: usize,
    keys: impl Fn(u64) -> Vec<u64>,
) -> Vec<RowInput> {
    let row = |n: u64| {
        let mut out = DocWriter::new();
        let map = out.begin_map();
        out.key("status");
        out.str(["ok", "error"][(n % 2) as usize]);
        for key in keys(n) {
            out.key(&format!("key-{key}"));
            put_scalar(
                &mut out,
                1 + (key + n % 4) % 10,
                n.wrapping_mul(0x9e37_79b9),
            );
        }
        out.key("input");
        out.str(&format!("{n:x} ").repeat(padding));
        out.end(map);
        let stamp = Stamp {
            version: n,
            hash: 1,
        };
        let body = Bytes::from(body::encode(stamp, &out.finish(), &[]));
        row_of(n / 10, n, n.cast_signed() * 1_000, Some(5), body)
    };
    (0..count).map(row).collect()
}

fn put_scalar(out: &mut DocWriter, choice: u64, salt: u64) {
    match choice % 11 {
        0 => out.null(),
        1 => out.bool(salt.is_multiple_of(2)),
        2 => out.i64((salt % 7).cast_signed()),
        3 => out.i64(salt.cast_signed()),
        4 => out.u64(u64::MAX - salt % 5),
        5 => out.f64(f64::from_bits(salt)),
        6 => out.f64([0.0, -0.0, f64::NAN, 1.5, f64::INFINITY][(salt % 5) as usize]),
        7 => out.str(["ok", "error", "", "läuft", "рабочий"][(salt % 5) as usize]),
        8 => out.str(&format!("value-{}", salt % 10_000)),
        9 => out.str(&"long ".repeat(20 + (salt % 4) as usize)),
        _ => out.bytes(&salt.to_le_bytes()),
    }
}

/// A body whose values are chosen by the bits of `seed`.
fn body_of(seed: u64, padding: usize) -> Bytes {
    let mut bits = seed;
    let mut next = || {
        bits = bits
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bits >> 20
    };
    let mut out = DocWriter::new();
    let map = out.begin_map();
    out.key("status");
    out.str(["success", "success", "error", "running"][(next() % 4) as usize]);
    if next() % 4 > 0 {
        out.key("n");
        out.i64((next() % 1_000_000).cast_signed());
    }
    if next() % 3 > 0 {
        out.key("a");
        if next() % 2 == 0 {
            let inner = out.begin_map();
            out.key("b");
            put_scalar(&mut out, next(), next());
            out.end(inner);
        } else {
            put_scalar(&mut out, next(), next());
        }
    }
    if next() % 2 == 0 {
        out.key("tags");
        let tags = out.begin_array();
        for _ in 0..next() % 5 {
            put_scalar(&mut out, next(), next());
        }
        out.end(tags);
    }
    if next() % 50 == 0 {
        out.key("ünï");
        let inner = out.begin_map();
        out.key("ж");
        put_scalar(&mut out, next(), next());
        out.end(inner);
    }
    if padding > 0 {
        out.key("input");
        out.str(&format!("{seed:x} ").repeat(padding));
    }
    out.end(map);
    Bytes::from(body::encode(
        Stamp {
            version: seed,
            hash: 1,
        },
        &out.finish(),
        &[],
    ))
}

fn row_of(trace: u64, id: u64, start: i64, length: Option<i64>, body: Bytes) -> RowInput {
    let trace_id = match trace % 3 {
        0 => format!("{trace:032x}"),
        1 => format!("tr_{trace}"),
        _ => format!("spür-{trace}-{}", "x".repeat(100)),
    };
    RowInput {
        key: RowKey {
            trace_id: trace_id.into(),
            id: format!("{id:x}").into(),
        },
        start_ns: start,
        end_ns: length.map(|n| start.wrapping_add(n)),
        lsn_first: id % 100 + 1,
        lsn_last: id % 100 + 1 + trace % 2,
        content: Content::Folded(body),
    }
}

/// `count` rows in traces of about ten, each with some `padding` of payload.
pub(crate) fn rows_of(seed: u64, count: u32, padding: usize) -> Vec<RowInput> {
    (0..u64::from(count))
        .map(|n| {
            let mixed = (n ^ seed << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let start =
                1_700_000_000_000_000_000 + ((mixed >> 8) % 3_600_000).cast_signed() * 1_000_000;
            let length = (!mixed.is_multiple_of(9)).then_some((mixed % 100_000).cast_signed());
            row_of(n / 10, n, start, length, body_of(mixed, padding))
        })
        .collect()
}

/// Few rows with starts, ends and values from the corners.
pub(crate) fn small_rows() -> impl Strategy<Value = Vec<RowInput>> {
    let start = prop_oneof![
        Just(0),
        Just(-1),
        Just(i64::MIN),
        Just(i64::MAX),
        0..10_000_000_000_000i64,
        any::<i64>(),
    ];
    let length = prop::option::of(prop_oneof![0..1_000_000i64, any::<i64>()]);
    let row = (
        0..8u64,
        start,
        length,
        any::<u64>(),
        prop_oneof![9 => 0..4usize, 1 => 0..9000usize],
    );
    prop::collection::vec(row, 0..60).prop_map(|rows| {
        (0..)
            .zip(rows)
            .map(|(id, (trace, start, length, seed, padding))| {
                row_of(trace, id, start, length, body_of(seed, padding))
            })
            .collect()
    })
}
