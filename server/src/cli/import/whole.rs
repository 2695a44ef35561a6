//! Files that go to the server as they are: those of other tools, and requests of other clients.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use clap::ValueEnum;
use flate2::read::MultiGzDecoder;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::dialect::import::{Format, archive};
use crate::limits::{IMPORT_BATCH_BYTES, IMPORT_ITEM_BYTES_MAX};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Told by how it begins.
    Auto,
    /// One document a line: theta traces, envelopes and OTLP requests, mixed.
    Jsonl,
    /// OTLP requests.
    OtlpJson,
    /// Theta traces.
    Theta,
    /// An export of aiobs.
    Aiobs,
    /// A batch of Langfuse's ingestion.
    Langfuse,
    /// A batch of `LangSmith`'s runs.
    Langsmith,
    /// What The Context Company's clients send: runs, steps and tool calls.
    Tcc,
    /// Traces of Jaeger's API.
    Jaeger,
    /// Spans of Zipkin's API.
    Zipkin,
    /// A session of Claude Code.
    ClaudeCode,
    /// A trajectory of SWE-agent.
    SweAgent,
    /// Runs of tau-bench.
    Tau,
    /// A log of Inspect, as JSON or as an `.eval` archive.
    Inspect,
}

impl Form {
    /// Where a file of it goes as it is; `None`: documents go by themselves.
    pub(super) const fn path(self) -> Option<&'static str> {
        match self {
            Self::Auto | Self::Jsonl | Self::OtlpJson | Self::Theta => None,
            Self::Aiobs => Some("/v1/traces"),
            Self::Langfuse => Some("/api/public/ingestion"),
            Self::Langsmith => Some("/runs/batch"),
            Self::Tcc => Some("/v1/custom"),
            Self::Jaeger => Some("/v1/imports/jaeger"),
            Self::Zipkin => Some("/v1/imports/zipkin"),
            Self::ClaudeCode => Some("/v1/imports/claude-code"),
            Self::SweAgent => Some("/v1/imports/swe-agent"),
            Self::Tau => Some("/v1/imports/tau"),
            Self::Inspect => Some("/v1/imports/inspect"),
        }
    }

    const fn of(format: Format) -> Self {
        match format {
            Format::Jaeger => Self::Jaeger,
            Format::Zipkin => Self::Zipkin,
            Format::ClaudeCode => Self::ClaudeCode,
            Format::SweAgent => Self::SweAgent,
            Format::Tau => Self::Tau,
            Format::Inspect => Self::Inspect,
        }
    }

    /// What a file is by its first line, or else by the whole of it.
    pub(super) fn seen(path: &Path) -> io::Result<Self> {
        let limit = u64::try_from(IMPORT_ITEM_BYTES_MAX).unwrap_or(u64::MAX);
        let mut input = BufReader::new(open(path)?).take(limit);
        if input.fill_buf()?.starts_with(archive::SIGN) {
            return Ok(Self::Inspect);
        }
        let mut text = Vec::new();
        while text.trim_ascii().is_empty() && input.read_until(b'\n', &mut text)? > 0 {}
        if serde_json::from_slice::<IgnoredAny>(&text).is_err() {
            input.read_to_end(&mut text)?;
        }
        let known = std::str::from_utf8(&text).ok().and_then(Format::of);
        let of_client = || Self::of_client(&text).unwrap_or(Self::Jsonl);
        Ok(known.map_or_else(of_client, Self::of))
    }

    /// The client whose requests are documents like this one, if only one's are.
    fn of_client(text: &[u8]) -> Option<Self> {
        let keys: HashMap<String, &RawValue> = serde_json::from_slice(text).ok()?;
        let has = |all: &&(Self, &[&str])| all.1.iter().all(|key| keys.contains_key(*key));
        CLIENTS.iter().find(has).map(|(form, _)| *form)
    }

    /// Whether a file of it may hold a request on each line.
    const fn may_be_lines(self) -> bool {
        matches!(
            self,
            Self::Aiobs | Self::Langfuse | Self::Langsmith | Self::Tcc
        )
    }
}

/// Keys of requests of other clients.
const CLIENTS: [(Form, &[&str]); 7] = [
    (Form::Aiobs, &["sessions", "function_events"]),
    (Form::Langfuse, &["batch"]),
    (Form::Langsmith, &["post"]),
    (Form::Langsmith, &["patch"]),
    (Form::Tcc, &["type", "run_id", "step_id"]),
    (Form::Tcc, &["type", "run_id", "tool_call_id"]),
    (Form::Tcc, &["type", "run_id", "start_time"]),
];

/// A file's bytes, taken out of zstd or gzip.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let mut file = OpenOptions::new().read(true).open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut signs = Vec::new();
    Read::by_ref(&mut file).take(4).read_to_end(&mut signs)?;
    file.rewind()?;
    Ok(match &*signs {
        b"\x28\xb5\x2f\xfd" => Box::new(zstd::Decoder::new(file)?),
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
        _ => Box::new(file),
    })
}

/// A part of a file that is sent by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Lines of the file before it.
    pub(super) lines_before: u64,
    pub(super) text: Vec<u8>,
}

/// The parts of a file: the whole, unless each of its lines stands for itself.
pub(super) fn parts(form: Form, path: &Path, from_line: u64) -> io::Result<Vec<Part>> {
    let limit = u64::try_from(IMPORT_ITEM_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    let mut input = open(path)?.take(limit.saturating_add(1));
    input.read_to_end(&mut text)?;
    if text.len() > IMPORT_ITEM_BYTES_MAX {
        let message = format!("file too long max_bytes={limit}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    // A document of its own is sent by itself.
    if form.may_be_lines() && serde_json::from_slice::<IgnoredAny>(&text).is_err() {
        return Ok(by_lines(&text, from_line, 0));
    }
    if form != Form::Tau || text.trim_ascii_start().starts_with(b"[") {
        return Ok(vec![Part {
            lines_before: 0,
            text,
        }]);
    }
    Ok(by_lines(&text, from_line, IMPORT_BATCH_BYTES))
}

fn by_lines(text: &[u8], from_line: u64, bytes_max: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (before, line) in (0..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
        if before + 1 < from_line {
            continue;
        }
        match parts.last_mut() {
            Some(part) if part.text.len() + line.len() <= bytes_max => {
                part.text.extend_from_slice(line)
            }
            _ if line.trim_ascii().is_empty() => {}
            _ => parts.push(Part {
                lines_before: before,
                text: line.to_owned(),
            }),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_are_put_together_and_remember_their_places() {
        let part = |lines_before, text: &str| Part {
            lines_before,
            text: text.as_bytes().to_vec(),
        };
        let text = b"aa\nbb\ncc\nd";
        assert_eq!(
            by_lines(text, 1, 6),
            [part(0, "aa\nbb\n"), part(2, "cc\nd")]
        );
        assert_eq!(by_lines(text, 3, 2), [part(2, "cc\n"), part(3, "d")]);
        assert!(by_lines(text, 5, 9).is_empty());
        let alone = by_lines(b"aa\n\nbb\n", 1, 0);
        assert_eq!(alone, [part(0, "aa\n"), part(2, "bb\n")]);
    }

    #[test]
    fn packed_files_are_read_like_plain_ones() {
        let dir = tempfile::tempdir().unwrap();
        let text = "{\"task_id\":1,\"traj\":[]}\n".repeat(50);
        let zstd = zstd::encode_all(text.as_bytes(), 3).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let packed = [text.clone().into_bytes(), zstd, gzip.finish().unwrap()];
        for (place, bytes) in packed.iter().enumerate() {
            let path = dir.path().join(place.to_string());
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(Form::seen(&path).unwrap(), Form::Tau);
            assert_eq!(parts(Form::Tau, &path, 1).unwrap()[0].text, text.as_bytes());
        }
        let archive = dir.path().join("log.eval");
        std::fs::write(&archive, b"PK\x03\x04\xff").unwrap();
        assert_eq!(Form::seen(&archive).unwrap(), Form::Inspect);
        assert_eq!(
            parts(Form::Inspect, &archive, 1).unwrap()[0].text,
            b"PK\x03\x04\xff"
        );
        assert!(open(dir.path()).is_err());
    }
}
