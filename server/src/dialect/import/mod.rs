//! Files of other tools: what they recorded, as the traces and spans that a client would have sent.
//!
//! Each format is one file and one pure function: of agents' records theta traces ([`Traces`]), of tracers'
//! files OTLP. The decoders of those two do the rest, so an imported trace is read like any other. Ids are the
//! file's own or hashes of what is in it: importing a file again makes the same rows.
//!
//! Formats without times get times: a step a second from when the file came in; `metadata.times` says
//! `synthesised`.

pub(crate) mod archive;
mod claude_code;
mod inspect;
mod jaeger;
mod messages;
mod swe_agent;
mod tau;
mod zipkin;

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::otlp::{self, Signal};
use super::time::format_micros;
use super::{Context, DecodeError, Decoded, Item, theta};

/// A format of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The JSON of Jaeger's UI and HTTP API.
    Jaeger,
    /// Zipkin's JSON, version 2.
    Zipkin,
    /// A session of Claude Code, one JSON object a line.
    ClaudeCode,
    /// A trajectory of SWE-agent or mini-SWE-agent.
    SweAgent,
    /// Runs of tau-bench, one JSON object a line or a list.
    Tau,
    /// An evaluation log of Inspect, as JSON or as an `.eval` archive.
    Inspect,
}

impl Format {
    /// Every format and its name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("jaeger", Self::Jaeger),
        ("zipkin", Self::Zipkin),
        ("claude-code", Self::ClaudeCode),
        ("swe-agent", Self::SweAgent),
        ("tau", Self::Tau),
        ("inspect", Self::Inspect),
    ];

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(own, _)| *own == name);
        found.map(|(_, format)| format)
    }

    /// The format of a file that begins with this line, or with this whole document. `None` if none fits.
    pub fn of(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let first = value.as_array().and_then(|all| all.first());
        let has = |of: &Value, keys: &[&str]| keys.iter().all(|key| of.get(key).is_some());
        let one = first.unwrap_or(&value);
        SIGNS
            .iter()
            .find(|(_, keys)| has(one, keys))
            .map(|(format, _)| *format)
    }
}

/// Keys by which a document, or the first of a list, is known. The first that fits counts.
const SIGNS: [(Format, &[&str]); 14] = [
    (Format::Inspect, &["eval", "samples"]),
    (Format::Inspect, &["eval", "plan"]),
    (Format::Jaeger, &["spans", "processes"]),
    (Format::Jaeger, &["data", "total"]),
    (Format::Jaeger, &["data", "errors"]),
    (Format::Zipkin, &["traceId", "id", "localEndpoint"]),
    (Format::Zipkin, &["traceId", "id", "timestamp", "duration"]),
    (Format::SweAgent, &["trajectory", "history"]),
    (Format::SweAgent, &["messages", "trajectory_format"]),
    (Format::SweAgent, &["history"]),
    (Format::SweAgent, &["role", "content"]),
    (Format::Tau, &["task_id", "traj"]),
    (Format::ClaudeCode, &["sessionId", "uuid", "type"]),
    (Format::ClaudeCode, &["type", "summary", "leafUuid"]),
];

/// Reads a file.
pub(super) fn decode(
    format: Format,
    ctx: &Context<'_>,
    body: &[u8],
) -> Result<Decoded, DecodeError> {
    match format {
        Format::Jaeger => spans(ctx, jaeger::read(&document(body)?)?),
        Format::Zipkin => spans(ctx, zipkin::read(&document(body)?)?),
        Format::ClaudeCode => claude_code::read(body).decode(ctx),
        Format::SweAgent => swe_agent::read(&document(body)?, body, ctx)?.decode(ctx),
        Format::Tau => tau::read(body, ctx)?.decode(ctx),
        Format::Inspect if body.starts_with(archive::SIGN) => archive::read(body)?.decode(ctx),
        Format::Inspect => inspect::read(&document(body)?)?.decode(ctx),
    }
}

fn document(body: &[u8]) -> Result<Value, DecodeError> {
    serde_json::from_slice(body).map_err(|error| shape("body", &error.to_string()))
}

/// What is wrong with a file as a whole.
fn shape(field: &str, problem: &str) -> DecodeError {
    DecodeError::Shape {
        field: field.to_owned(),
        problem: problem.to_owned(),
    }
}

/// OTLP's spans by resource, as its decoder reads them, and which traces they make.
fn spans(ctx: &Context<'_>, resource_spans: Vec<Value>) -> Result<Decoded, DecodeError> {
    let request = json!({ "resourceSpans": resource_spans });
    let mut decoded = otlp::decode_json(Signal::Spans, ctx, request.to_string().as_bytes())?;
    let mut seen = HashSet::new();
    let traces = decoded.events.iter().map(|event| &*event.key.trace_id);
    let traces = traces.filter(|trace| seen.insert(*trace)).enumerate();
    let taken = traces.map(|(index, trace)| Item {
        index,
        kind: "trace",
        trace_id: Some(trace.to_owned()),
        id: None,
        error: None,
    });
    let taken: Vec<Item> = taken.collect();
    decoded.items.splice(0..0, taken);
    Ok(decoded)
}

/// Theta traces and the lines of the file that they begin at; lines that do not read.
#[derive(Debug, Default)]
struct Traces {
    made: Vec<(usize, Value)>,
    bad: Vec<(usize, String)>,
}

impl Traces {
    fn one(trace: Value) -> Self {
        Self {
            made: vec![(1, trace)],
            bad: Vec::new(),
        }
    }

    fn decode(self, ctx: &Context<'_>) -> Result<Decoded, DecodeError> {
        let (lines, made): (Vec<usize>, Vec<Value>) = self.made.into_iter().unzip();
        let body = Value::Array(made).to_string();
        let mut decoded = theta::decode_import(ctx, body.as_bytes())?;
        // A step's place is within its trace; that of a trace is the line it came from.
        for item in &mut decoded.items {
            if item.kind == "trace" {
                item.index = lines.get(item.index).copied().unwrap_or(item.index);
            }
        }
        for (line, problem) in self.bad {
            decoded.reject(line, "line", None, problem);
        }
        Ok(decoded)
    }
}

/// The lines of a body that have something on them, counted from 1, as JSON.
fn lines(body: &[u8]) -> impl Iterator<Item = (usize, Result<Value, String>)> {
    let numbered = (1..).zip(body.split(|b| *b == b'\n'));
    let said = numbered.filter(|(_, line)| !line.trim_ascii().is_empty());
    said.map(|(number, line)| {
        let value = serde_json::from_slice(line);
        (
            number,
            value.map_err(|error| format!("not valid json: {error}")),
        )
    })
}

/// An id that is the same for the same bytes.
fn id_of(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}{:032x}", xxh3_128(bytes))
}

fn text<'a>(of: &'a Value, key: &str) -> Option<&'a str> {
    of.get(key).and_then(Value::as_str)
}

/// What a map has, without what has a place of its own.
fn rest(of: &Value, taken: &[&str]) -> Map<String, Value> {
    let entries = of.as_object().into_iter().flatten();
    let left = entries.filter(|(key, _)| !taken.contains(&key.as_str()));
    left.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Sets what is there; null is nothing.
fn set(map: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value
        .map(Into::into)
        .filter(|value: &Value| !value.is_null())
    {
        map[key] = value;
    }
}

/// The made-up time of a step.
fn second(ctx: &Context<'_>, step: usize) -> String {
    let nanos = i64::try_from(step)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000_000);
    format_micros(ctx.received_ns.saturating_add(nanos))
}

#[cfg(test)]
mod tests;
