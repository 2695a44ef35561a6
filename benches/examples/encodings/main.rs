//! What a span takes in segments by kind of column, and what other encodings would make of it.
//! `cargo run --release -p obsrv-benches --example encodings -- [--spans N] [FILE…]`
//!
//! Without files it stores the generator's workload; else the files that `tests/corpora/convert.py samples DIR` makes. Every kind
//! is gathered into blocks of 64 KiB and compressed as blocks of columns are, as it stands and as each other encoding would have it, so
//! that both sides of a comparison are measured alike.
#![expect(clippy::print_stdout, reason = "the figures are the product")]

mod kinds;
mod other;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use kinds::{Kinds, Total};

#[derive(Parser)]
struct Arguments {
    /// Spans of the generator's workload.
    #[arg(long, default_value_t = 200_000)]
    spans: u64,
    /// `*.theta.ndjson` and `*.otlp.jsonl`, instead of the workload.
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir().expect("a directory");
    let stored = if arguments.files.is_empty() {
        store::workload(dir.path(), arguments.spans)
    } else {
        store::files(dir.path(), &arguments.files)
    };
    if let Err(error) = stored {
        println!("error: {error}");
        return ExitCode::FAILURE;
    }
    let (mut total, mut kinds) = (Total::default(), Kinds::default());
    for segment in store::segments(dir.path()) {
        for section in segment.parts().expect("BUG: our own segment") {
            total.add(&section);
            kinds.add(&section);
        }
    }
    total.print();
    kinds.print(&total);
    ExitCode::SUCCESS
}
