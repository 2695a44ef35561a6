//! `rows`: writes a workload to standard output for engines that do not speak OTLP, and the right
//! answers to a file. Nothing of it is kept, so it may be larger than memory and disk.
#![expect(clippy::print_stderr, reason = "what went wrong goes beside the rows")]

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use obsrv_benches::generator::flat::Flat;
use obsrv_benches::generator::span::{Span, export_request};
use obsrv_benches::generator::{Batch, Generator, Options, logs, points};
use obsrv_benches::load::LoadError;
use obsrv_benches::rows::{push_copy, push_json, push_log_json, push_point_json};
use serde_json::Value as Json;

const USAGE: &str = "\
rows --form json|copy|otlp [--rows 1000000] [--seed 1] [--profile core|tail|logs|points]
     [--answers FILE]
  json: one object a line; copy: lines of PostgreSQL's COPY, of spans alone; otlp: for each request
  its project and its length as u32 (little endian), then OTLP protobuf
  core and tail are spans; logs: log lines, 512 a request; points: metric points, a request for
  each export of a process. --spans is --rows";

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
    let (mut rows, mut seed, mut form) = (1_000_000, 1, Form::Json);
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
            ("--rows" | "--spans", n) => rows = number(n)?,
            ("--seed", n) => seed = number(n)?,
            ("--profile", _) => profile = value,
            ("--answers", _) => answers = Some(value),
            _ => return Err(LoadError::Argument(format!("{arg} {value}\n{USAGE}"))),
        }
    }
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let wanted = answers.is_some();
    let worked_out = match profile.as_str() {
        "core" => spans(&mut out, &form, Options::core(seed, rows), wanted),
        "tail" => spans(&mut out, &form, Options::tail(seed, rows), wanted),
        "logs" => log_lines(&mut out, &form, Options::logs(seed, rows), wanted),
        "points" => metric_points(&mut out, &form, Options::points(seed, rows), wanted),
        other => return Err(LoadError::Argument(format!("--profile {other}\n{USAGE}"))),
    }?;
    out.flush()?;
    if let (Some(path), Some(worked_out)) = (answers, worked_out) {
        std::fs::write(path, worked_out.to_string())?;
    }
    Ok(())
}

/// Writes spans; their answers if they are wanted.
fn spans(
    out: &mut impl Write,
    form: &Form,
    options: Options,
    answers: bool,
) -> Result<Option<Json>, LoadError> {
    let mut generator = Generator::new(options).without_json_bytes();
    if answers {
        generator = generator.with_answers();
    }
    while let Some(batch) = generator.next_batch() {
        let Batch { project, spans } = &batch;
        let flat = |push: fn(&Flat<'_>, &mut String), span: &Span, line: &mut String| {
            push(&Flat::of(*project, span), line);
        };
        match form {
            Form::Json => lines(out, spans, |span, line| flat(push_json, span, line)),
            Form::Copy => lines(out, spans, |span, line| flat(push_copy, span, line)),
            Form::Otlp => request(out, *project, &export_request(spans)),
        }?;
    }
    let (manifest, worked_out) = generator.into_parts();
    Ok(worked_out.map(|worked_out| {
        let mut document = worked_out.to_json();
        document["proto_bytes"] = manifest.proto_bytes.into();
        document
    }))
}

/// Writes log lines; their answers if they are wanted.
fn log_lines(
    out: &mut impl Write,
    form: &Form,
    options: Options,
    answers: bool,
) -> Result<Option<Json>, LoadError> {
    let mut generator = logs::Generator::new(options);
    if answers {
        generator = generator.with_answers();
    }
    while let Some(batch) = generator.next_batch() {
        match form {
            Form::Json => lines(out, batch.rows(), |row, line| push_log_json(&row, line)),
            Form::Copy => return Err(no_copy()),
            Form::Otlp => request(out, batch.project, &logs::export_request(&batch)),
        }?;
    }
    Ok(generator.into_answers())
}

/// Writes metric points; their answers if they are wanted.
fn metric_points(
    out: &mut impl Write,
    form: &Form,
    options: Options,
    answers: bool,
) -> Result<Option<Json>, LoadError> {
    let mut generator = points::Generator::new(options);
    if answers {
        generator = generator.with_answers();
    }
    while let Some(batch) = generator.next_batch() {
        match form {
            Form::Json => lines(out, batch.rows(), |row, line| push_point_json(&row, line)),
            Form::Copy => return Err(no_copy()),
            Form::Otlp => request(out, batch.project, &points::export_request(&batch)),
        }?;
    }
    Ok(generator.into_answers())
}

fn no_copy() -> LoadError {
    LoadError::Argument(format!("--form copy: of spans alone\n{USAGE}"))
}

fn lines<T>(
    out: &mut impl Write,
    rows: impl IntoIterator<Item = T>,
    push: impl Fn(T, &mut String),
) -> io::Result<()> {
    let mut line = String::new();
    rows.into_iter().try_for_each(|row| {
        line.clear();
        push(row, &mut line);
        out.write_all(line.as_bytes())
    })
}

fn request(out: &mut impl Write, project: usize, body: &[u8]) -> io::Result<()> {
    let number = |n: usize| u32::try_from(n).expect("BUG: a request over 4 GiB");
    out.write_all(&number(project).to_le_bytes())?;
    out.write_all(&number(body.len()).to_le_bytes())?;
    out.write_all(body)
}
