use std::collections::{BTreeMap, BTreeSet};

use super::manifest::Needle;
use super::*;

fn run(options: Options) -> (Vec<Request>, Manifest) {
    let mut generator = Generator::new(options);
    let requests: Vec<_> = generator.by_ref().collect();
    (requests, generator.into_manifest())
}

/// Reads a varint: the tests' own reader, the mirror of the writer.
fn varint(rest: &mut &[u8]) -> u64 {
    let (mut n, mut shift) = (0, 0);
    loop {
        let (first, tail) = rest.split_first().unwrap();
        *rest = tail;
        n |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return n;
        }
        shift += 7;
    }
}

/// The fields of a message, wire types 0, 1 and 2.
pub(super) fn fields(mut rest: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let len = match tag & 7 {
            0 => {
                out.push((tag >> 3, varint(&mut rest).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)).unwrap(),
            other => panic!("wire type {other}"),
        };
        out.push((tag >> 3, rest[..len].to_vec()));
        rest = &rest[len..];
    }
    out
}

/// (trace id, span id)
type Id = (Vec<u8>, Vec<u8>);

/// (trace id, span id), whether it has ended and whether it failed, of every span of a request.
fn spans_of(body: &[u8]) -> Vec<(Id, bool, bool)> {
    let mut out = Vec::new();
    for (_, resource_spans) in fields(body) {
        for (_, scope_spans) in fields(&resource_spans).into_iter().filter(|f| f.0 == 2) {
            for (_, span) in fields(&scope_spans).into_iter().filter(|f| f.0 == 2) {
                let got = fields(&span);
                let one = |n| got.iter().find(|f| f.0 == n).map(|f| f.1.clone());
                let error = one(15).is_some();
                out.push(((one(1).unwrap(), one(2).unwrap()), one(8).is_some(), error));
            }
        }
    }
    out
}

#[test]
fn same_seed_same_bytes() {
    let (a, _) = run(Options::messy(7, 3_000));
    let (b, _) = run(Options::messy(7, 3_000));
    let (c, _) = run(Options::messy(8, 3_000));
    assert!(a.iter().zip(&b).all(|(x, y)| x.body == y.body) && a.len() == b.len());
    assert!(a.iter().zip(&c).any(|(x, y)| x.body != y.body));
}

/// The manifest is made from traces before they are taken apart; here the requests are read back.
#[test]
fn manifest_matches_what_the_requests_hold() {
    let (requests, manifest) = run(Options::messy(3, 20_000));
    let mut seen: BTreeMap<usize, BTreeMap<Id, bool>> = BTreeMap::new();
    let mut sent = 0;
    for request in &requests {
        let spans = spans_of(&request.body);
        assert_eq!(spans.len(), request.spans);
        sent += spans.len();
        for (id, ended, error) in spans {
            let closed = seen
                .entry(request.project)
                .or_default()
                .entry(id)
                .or_default();
            *closed |= ended && error;
        }
    }
    assert_eq!(manifest.spans(), 20_000);
    assert_eq!(u64::try_from(sent).unwrap(), manifest.sent);
    assert!(sent > 20_500, "duplicates and start events were sent");
    let counts: BTreeMap<_, _> = seen
        .iter()
        .map(|(project, spans)| {
            let traces: BTreeSet<_> = spans.keys().map(|k| &k.0).collect();
            (
                *project,
                (
                    traces.len(),
                    spans.len(),
                    spans.values().filter(|e| **e).count(),
                ),
            )
        })
        .collect();
    assert_eq!(counts, manifest.per_project());
}

#[test]
fn core_has_the_size_and_rates_it_states() {
    let (requests, manifest) = run(Options::core(1, 60_000));
    let bytes: usize = requests.iter().map(|r| r.body.len()).sum();
    let mean = bytes / 60_000;
    assert!((2_100..=2_190).contains(&mean), "bytes per span={mean}");
    assert!(
        (3_200..=3_900).contains(&manifest.error_spans()),
        "{}",
        manifest.error_spans()
    );
    let common = manifest.needle_spans(Needle::Common);
    assert!((2_500..=3_500).contains(&common), "{common}");
    assert_eq!(manifest.sent, 60_000);
}

/// The text must not compress better than real agent traces do: zstd on real ones gives 3 to 6.
#[test]
fn requests_compress_like_real_traces() {
    let (requests, _) = run(Options::core(1, 30_000));
    let raw: usize = requests.iter().map(|r| r.body.len()).sum();
    let packed: usize = requests
        .iter()
        .map(|r| zstd::bulk::compress(&r.body, 1).unwrap().len())
        .sum();
    let percent = packed * 100 / raw;
    assert!((18..=45).contains(&percent), "zstd-1 leaves {percent}%");
}
