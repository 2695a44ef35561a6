//! What one span costs from the bytes of an export request to the engine's events, with the
//! allocator of the binary. The events are dropped inside the measurement, as the engine does
//! sooner or later. Figures are for all spans of the workload at once.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use obsrv_benches::generator;
use obsrv_benches::generator::span::{Span, export_json, export_request};
use obsrv_engine::row::ProjectId;
use obsrv_server::dialect::{Context, Dialect, decode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TRACES: u64 = 64;
const SPANS: usize = 32;
/// Spans of one request, as `load` sends them.
const BATCH: usize = 64;

fn read(dialect: Dialect, bodies: &[Vec<u8>]) -> usize {
    let mut bytes = 0;
    for body in bodies {
        let context = Context {
            project: ProjectId(1),
            body_hash: 1,
            subject: "",
            received_ns: 1,
            key_id: 0,
        };
        let decoded = decode(dialect, &context, body).expect("BUG: a valid request");
        assert!(decoded.items.is_empty(), "BUG: a span was refused");
        bytes += decoded
            .events
            .iter()
            .map(|event| event.doc.len())
            .sum::<usize>();
        black_box(&decoded);
    }
    bytes
}

fn otlp(c: &mut Criterion) {
    let spans: Vec<Span> = generator::traces(1, TRACES, SPANS).concat();
    let wire: Vec<_> = spans.chunks(BATCH).map(export_request).collect();
    let json: Vec<_> = spans
        .chunks(BATCH)
        .map(|spans| export_json(spans).into_bytes())
        .collect();
    let mut group = c.benchmark_group("otlp");
    let count = u64::try_from(spans.len()).expect("BUG: usize over 64 bits");
    group.throughput(Throughput::Elements(count));
    group.bench_function("protobuf", |b| {
        b.iter(|| read(Dialect::OtlpProtobuf, &wire));
    });
    group.bench_function("json", |b| b.iter(|| read(Dialect::OtlpJson, &json)));
    group.finish();
}

criterion_group!(benches, otlp);
criterion_main!(benches);
