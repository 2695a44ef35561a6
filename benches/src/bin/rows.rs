//! `rows`: writes the workload to standard output for engines that do not speak OTLP, and the right
//! answers to a file. Nothing of it is kept, so it may be larger than memory and disk.
#![expect(clippy::print_stderr, reason = "what went wrong goes beside the rows")]

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use obsrv_benches::generator::flat::Flat;
use obsrv_benches::generator::span::{Span, export_request};
use obsrv_benches::generator::{Batch, Generator, Options};
use obsrv_benches::load::LoadError;
use obsrv_benches::rows::{push_copy, push_json};

const USAGE: &str = "\
rows --form json|copy|otlp [--spans 1000000] [--seed 1] [--profile core|tail]
     [--answers FILE]
  json: one object a line; copy: lines of PostgreSQL's COPY; otlp: for each request its project
  and its length as u32 (little endian), then OTLP protobuf";

enum Form {
    Json,
    Copy,
    Otlp,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, LoadError> {
    text.parse()
        .map_err(|_| LoadError::Argument(format!("not a number: {text}")))
}

fn run() -> Result<(), LoadError> {
    let (mut spans, mut seed, mut form) = (1_000_000, 1, Form::Json);
    let (mut profile, mut answers) = ("core".to_owned(), None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| LoadError::Argument(format!("{arg}: no value\n{USAGE}")))?;
        match (arg.as_str(), value.as_str()) {
            ("--form", "json") => form = Form::Json,
            ("--form", "copy") => form = Form::Copy,
            ("--form", "otlp") => form = Form::Otlp,
            ("--spans", n) => spans = number(n)?,
            ("--seed", n) => seed = number(n)?,
            ("--profile", _) => profile = value,
            ("--answers", _) => answers = Some(value),
            _ => return Err(LoadError::Argument(format!("{arg} {value}\n{USAGE}"))),
        }
    }
    let options = match profile.as_str() {
        "core" => Options::core(seed, spans),
        "tail" => Options::tail(seed, spans),
        other => return Err(LoadError::Argument(format!("--profile {other}\n{USAGE}"))),
    };
    let mut generator = Generator::new(options).without_json_bytes();
    if answers.is_some() {
        generator = generator.with_answers();
    }
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    while let Some(batch) = generator.next_batch() {
        write(&mut out, &form, &batch)?;
    }
    out.flush()?;
    let (manifest, worked_out) = generator.into_parts();
    if let (Some(path), Some(worked_out)) = (answers, worked_out) {
        let mut document = worked_out.to_json();
        document["proto_bytes"] = manifest.proto_bytes.into();
        std::fs::write(path, document.to_string())?;
    }
    Ok(())
}

fn write(out: &mut impl Write, form: &Form, batch: &Batch) -> io::Result<()> {
    let mut line = String::new();
    let mut each = |push: fn(&Flat<'_>, &mut String), span: &Span| {
        line.clear();
        push(&Flat::of(batch.project, span), &mut line);
        out.write_all(line.as_bytes())
    };
    match form {
        Form::Json => batch.spans.iter().try_for_each(|s| each(push_json, s)),
        Form::Copy => batch.spans.iter().try_for_each(|s| each(push_copy, s)),
        Form::Otlp => {
            let body = export_request(&batch.spans);
            let number = |n: usize| u32::try_from(n).expect("BUG: a request over 4 GiB");
            out.write_all(&number(batch.project).to_le_bytes())?;
            out.write_all(&number(body.len()).to_le_bytes())?;
            out.write_all(&body)
        }
    }
}
