//! Prints how the workload compresses, for the note in `RESULTS.md`.
#![expect(clippy::print_stdout, reason = "the figures are the product")]

use obsrv_benches::generator::{Generator, Options};

fn main() {
    const BLOCK: usize = 256 << 10;
    let mut generator = Generator::new(Options::core(1, 100_000));
    let mut whole_runs = Vec::new();
    let mut interleaved = Vec::new();
    let (mut raw, mut packed) = (0, 0);
    for request in generator.by_ref() {
        raw += request.body.len();
        packed += zstd::bulk::compress(&request.body, 1).map_or(0, |b| b.len());
        let to = if request.project % 2 == 1 {
            &mut whole_runs
        } else {
            &mut interleaved
        };
        to.extend_from_slice(&request.body);
    }
    let manifest = generator.into_manifest();
    let percent = |a: usize, b: usize| format!("{}%", a * 100 / b.max(1));
    println!("requests of 64 spans, zstd-1: {}", percent(packed, raw));
    for (name, bytes) in [("whole runs", &whole_runs), ("interleaved", &interleaved)] {
        for level in [1, 3] {
            let packed: usize = bytes
                .chunks(BLOCK)
                .map(|b| zstd::bulk::compress(b, level).map_or(0, |b| b.len()))
                .sum();
            println!(
                "{name}, 256 KiB blocks, zstd-{level}: {}",
                percent(packed, bytes.len())
            );
        }
    }
    println!(
        "OTLP protobuf bytes: {}, OTLP JSON bytes: {}",
        manifest.proto_bytes, manifest.json_bytes
    );
    println!("traces: {}", manifest.traces.len());
}
