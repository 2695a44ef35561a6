//! What one span costs in each step between the wire and the memtable. Each figure is for the
//! number of spans that the group names as elements, so criterion prints spans per second.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use obsrv_benches::generator;
use obsrv_benches::generator::span::{Span, export_request};
use obsrv_engine::body::Content;
use obsrv_engine::doc::{DocRef, flatten};
use obsrv_engine::fold::{Part, Parts};
use obsrv_engine::memtable::{MemRow, Memtable};
use obsrv_engine::row::{Event, ProjectId, Table};

mod rows;

const TRACES: u64 = 32;
const SPANS: usize = 32;

fn spans() -> Vec<Span> {
    generator::traces(1, TRACES, SPANS).concat()
}

fn elements(n: usize) -> Throughput {
    Throughput::Elements(u64::try_from(n).expect("BUG: usize over 64 bits"))
}

fn documents(c: &mut Criterion) {
    let spans = spans();
    let docs: Vec<_> = spans.iter().map(rows::document).collect();
    let mut group = c.benchmark_group("document");
    group.throughput(elements(spans.len()));
    group.bench_function("write", |b| {
        b.iter(|| spans.iter().map(|s| rows::document(s).len()).sum::<usize>());
    });
    group.bench_function("validate", |b| {
        b.iter(|| {
            docs.iter()
                .filter(|d| DocRef::parse(d).is_ok_and(|d| d.validate().is_ok()))
                .count()
        });
    });
    group.bench_function("flatten", |b| {
        b.iter(|| {
            let mut values = 0;
            for doc in &docs {
                let doc = DocRef::parse(doc).expect("BUG: just written");
                flatten(doc, &mut |path, value| {
                    black_box((path, value));
                    values += 1;
                })
                .expect("BUG: just written");
            }
            values
        });
    });
    group.finish();
}

fn row(event: &Event) -> MemRow {
    let mut parts = Parts::default();
    parts.add(Part::of(event));
    MemRow {
        key: event.key.clone(),
        start_ns: event.start_ns.unwrap_or_default(),
        end_ns: event.end_ns,
        lsn_first: 1,
        lsn_last: 1,
        made: 1,
        content: Content::Folded(parts.body()),
    }
}

fn memtable(c: &mut Criterion) {
    let events: Vec<_> = spans().iter().map(rows::event).collect();
    let rows: Vec<_> = events.iter().map(row).collect();
    let mut group = c.benchmark_group("memtable");
    group.throughput(elements(events.len()));
    group.bench_function("fold", |b| {
        b.iter(|| {
            events
                .iter()
                .map(|e| row(e).content.body().len())
                .sum::<usize>()
        });
    });
    group.bench_function("push", |b| {
        b.iter_batched(
            || (Memtable::new(1), rows.clone()),
            |(memtable, rows)| {
                for row in rows {
                    memtable.push(ProjectId(1), Table::Spans, row);
                }
                memtable
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// The client's side and the price of a payload block, as yardsticks for the rest.
fn yardsticks(c: &mut Criterion) {
    let spans = spans();
    let body = export_request(&spans);
    let block = body.get(..256 << 10).expect("BUG: a short workload");
    let mut group = c.benchmark_group("yardstick");
    group.throughput(elements(spans.len()));
    group.bench_function("make an export request", |b| {
        b.iter(|| export_request(&spans).len())
    });
    group.throughput(Throughput::Bytes(256 << 10));
    for level in [1, 3] {
        group.bench_function(format!("zstd-{level}, a block of 256 KiB"), |b| {
            b.iter(|| zstd::bulk::compress(block, level).map(|c| c.len()));
        });
    }
    group.finish();
}

criterion_group!(benches, documents, memtable, yardsticks);
criterion_main!(benches);
