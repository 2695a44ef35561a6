//! What the index of terms costs: time to make it, bytes in a segment, time to ask it.
//! `cargo run --release -p obsrv-benches --example terms -- 100000`
#![expect(clippy::print_stdout, reason = "the figures are the product")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring clock is the real one"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use obsrv_benches::generator::{Generator, Options};
use obsrv_engine::body::Content;
use obsrv_engine::boundary::{LocalStore, Store};
use obsrv_engine::query::ast::{Filter, TextTest};
use obsrv_engine::query::{Beside, Budget, Request, count, search};
use obsrv_engine::row::{ProjectId, RowKey, Stamp, Table};
use obsrv_engine::segment::{RowInput, SectionInput, Segment, SegmentOptions, gather_terms, write};
use obsrv_engine::source::{Source, Visible};
use obsrv_server::dialect::{Context, Dialect, decode};
use obsrv_wal::io::{Disk, RealDisk};

/// The spans of a workload by project.
fn spans(n: u64) -> BTreeMap<u64, Vec<RowInput>> {
    let mut projects: BTreeMap<u64, Vec<RowInput>> = BTreeMap::new();
    for request in Generator::new(Options::core(1, n)) {
        let project = u64::try_from(request.project).expect("BUG: small") + 1;
        let context = Context {
            project: ProjectId(project),
            body_hash: 0,
            subject: "",
            received_ns: 0,
            key_id: 0,
        };
        let decoded = decode(Dialect::OtlpProtobuf, &context, &request.body).expect("BUG: ours");
        let events = decoded.events.into_iter();
        let rows = projects.entry(project).or_default();
        rows.extend(
            events
                .filter(|e| e.table == Table::Spans)
                .map(|event| RowInput {
                    key: RowKey {
                        trace_id: event.key.trace_id,
                        id: event.key.id,
                    },
                    start_ns: event.start_ns.unwrap_or(0),
                    end_ns: event.end_ns,
                    lsn_first: 1,
                    lsn_last: 1,
                    content: Content::Complete {
                        stamp: Stamp::default(),
                        doc: event.doc,
                        cost: None,
                    },
                }),
        );
    }
    projects
}

fn per(time: Duration, n: usize) -> u128 {
    time.as_nanos() / n.max(1) as u128
}

fn gathering(rows: &[RowInput]) {
    let documents: Vec<Bytes> = rows.iter().filter_map(|r| r.content.view().ok()).collect();
    let bytes: usize = documents.iter().map(Bytes::len).sum();
    let blocks: Vec<&[Bytes]> = documents.chunks(115).collect();
    for _ in 0..3 {
        let begun = Instant::now();
        let (terms, postings) = gather_terms(&blocks).expect("BUG: documents");
        println!(
            "gather: {} ns/span of {} bytes, {terms} terms, {postings} postings, {} per span",
            per(begun.elapsed(), documents.len()),
            bytes / documents.len(),
            postings / documents.len(),
        );
    }
}

fn main() {
    let n = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let projects = spans(n.unwrap_or(100_000));
    let largest = projects
        .values()
        .max_by_key(|rows| rows.len())
        .expect("BUG: spans")
        .clone();
    let mut sorted = largest.clone();
    sorted.sort_by(|a, b| (&a.key.trace_id, a.start_ns).cmp(&(&b.key.trace_id, b.start_ns)));
    gathering(&sorted);
    let all: usize = projects.values().map(Vec::len).sum();
    let folder = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).expect("a disk"));
    let store: Arc<dyn Store> = LocalStore::over(&disk);
    let project = ProjectId(1);
    let section = SectionInput {
        project,
        table: Table::Spans,
        rows: sorted,
    };
    let begun = Instant::now();
    let written = write(
        &store,
        1,
        [1; 16],
        vec![section],
        &SegmentOptions::default(),
    )
    .expect("writes");
    println!(
        "segment of {} of {all} spans: {} bytes/span, {} ns/span",
        largest.len(),
        written.bytes / largest.len() as u64,
        per(begun.elapsed(), largest.len())
    );
    let segment = Segment::open(&store, 1, [1; 16]).expect("opens");
    for line in segment.describe().to_string().lines().take(4) {
        println!("{line}");
    }
    questions(
        segment
            .section(project, Table::Spans)
            .expect("BUG: one section"),
    );
}

fn questions(source: &dyn Source) {
    let budget = Budget {
        rows_max: u64::MAX,
        bytes_max: u64::MAX,
        read_bytes_max: u64::MAX,
        cancelled: &|| false,
        processors: None,
        weigh: None,
    };
    let mut live = roaring::RoaringBitmap::new();
    live.insert_range(0..source.row_count());
    let rows = [Visible {
        source,
        live,
        name: "segment".to_owned(),
    }];
    let words = |text: &str| Filter::Text(TextTest::Words(text.to_owned()));
    let filters = [
        ("common word", words("timeout")),
        ("every row", words("the")),
        ("absent word", words("zzyzxq")),
        ("phrase", words("rate limit")),
        (
            "substring",
            Filter::Text(TextTest::Contains("zyzx".to_owned())),
        ),
    ];
    let beside = Beside::nothing(Table::Spans);
    for (name, filter) in filters {
        for _ in 0..2 {
            let begun = Instant::now();
            let page = search(
                &rows,
                &beside,
                1,
                &budget,
                &Request::new(filter.clone(), 50),
            )
            .expect("BUG: valid");
            let searched = begun.elapsed();
            let begun = Instant::now();
            let (total, explain) = count(&rows, &beside, &budget, &filter).expect("BUG: valid");
            println!(
                "{name}: newest {} in {searched:?}, {total} counted in {:?}",
                page.hits.len(),
                begun.elapsed()
            );
            println!("    search {:?}\n    count {explain:?}", page.explain);
        }
    }
}
