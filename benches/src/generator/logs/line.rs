//! A log line, and its wire form.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Batch, Place};
use crate::generator::sender::Sender;
use crate::generator::span::{Value, hex};
use crate::generator::wire::{self, attribute, put_bytes, put_fixed64, put_varint_field};

/// A log line as the workload has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// When the SDK was given it.
    pub observed_ns: u64,
    /// One of the names of [`super::SEVERITIES`].
    pub severity: &'static str,
    /// Its number in OTLP.
    pub severity_number: u8,
    /// What it says.
    pub body: String,
    /// The library that it was written with.
    pub scope: &'static str,
    /// Who writes, in the program.
    pub logger: Rc<str>,
    /// The trace and span that it was written in.
    pub place: Option<Place>,
    /// Empty: none.
    pub user: String,
    /// Of this line alone.
    pub request: String,
    /// The function that wrote it.
    pub function: Rc<str>,
    /// The line of the program's text.
    pub line_number: u32,
}

/// A line and where it came from: what engines without OTLP are given, and what answers are worked
/// out from.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Index of the project.
    pub project: usize,
    /// The process.
    pub from: &'a Sender,
    /// The line.
    pub line: &'a Line,
}

impl Row<'_> {
    /// Lower-case hex; empty outside of traces.
    pub fn trace_id(&self) -> String {
        let place = self.line.place.as_ref();
        place.map(|(trace, _)| hex(trace)).unwrap_or_default()
    }

    /// Lower-case hex; empty outside of traces.
    pub fn span_id(&self) -> String {
        let place = self.line.place.as_ref();
        place.map(|(_, span)| hex(span)).unwrap_or_default()
    }
}

/// A batch as OTLP protobuf: its lines by scope, as SDKs group them.
pub fn export_request(batch: &Batch) -> Vec<u8> {
    let mut scopes: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in &batch.lines {
        scopes.entry(line.scope).or_default().push(line);
    }
    let scopes = scopes
        .into_iter()
        .map(|(scope, lines)| (scope, lines.into_iter().map(record)));
    wire::export_request(&batch.from.attributes(), scopes)
}

fn record(line: &Line) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    put_fixed64(&mut out, 1, line.time_ns);
    put_varint_field(&mut out, 2, u64::from(line.severity_number));
    put_bytes(&mut out, 3, line.severity.to_ascii_uppercase().as_bytes());
    let mut body = Vec::with_capacity(line.body.len() + 4);
    put_bytes(&mut body, 1, line.body.as_bytes());
    put_bytes(&mut out, 5, &body);
    let text = |text: &str| Value::Text(text.to_owned());
    let user = (!line.user.is_empty()).then(|| ("user.id", text(&line.user)));
    let attributes = [
        ("logger", text(&line.logger)),
        ("request_id", text(&line.request)),
        ("code.function.name", text(&line.function)),
        ("code.line.number", Value::Int(i64::from(line.line_number))),
    ];
    for (key, value) in attributes.into_iter().chain(user) {
        put_bytes(&mut out, 6, &attribute(key, &value));
    }
    if let Some((trace, span)) = &line.place {
        put_bytes(&mut out, 9, trace);
        put_bytes(&mut out, 10, span);
    }
    put_fixed64(&mut out, 11, line.observed_ns);
    out
}
