//! Files → batches of JSON documents that go to one route.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::whole::{self, Form};
use crate::limits::{IMPORT_BATCH_BYTES, IMPORT_BATCH_LINES, IMPORT_ITEM_BYTES_MAX};

/// Which route a document goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Theta traces and envelopes: `/v1/imports/traces`.
    Theta,
    /// OTLP requests of a signal.
    Otlp(Signal),
    /// A file as it is.
    File(Form),
}

/// A signal of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Spans,
    Logs,
    Metrics,
}

impl Signal {
    /// The one key of its requests.
    const fn key(self) -> &'static str {
        match self {
            Self::Spans => "resourceSpans",
            Self::Logs => "resourceLogs",
            Self::Metrics => "resourceMetrics",
        }
    }

    /// The route that takes them.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Spans => "/v1/traces",
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }
}

/// A document and the line it stood on, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) line: u64,
    text: String,
}

impl Item {
    /// The body that sends this document alone.
    pub(super) fn alone(&self, kind: Kind) -> String {
        body_of(kind, std::slice::from_ref(self))
    }
}

/// Documents of one kind that are sent together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) kind: Kind,
    pub(super) items: Vec<Item>,
    /// Lines that are no JSON object: never sent.
    pub(super) bad: Vec<(u64, String)>,
    pub(super) bytes_read: u64,
}

impl Batch {
    const fn new(kind: Kind) -> Self {
        Self {
            kind,
            items: Vec::new(),
            bad: Vec::new(),
            bytes_read: 0,
        }
    }

    /// The body of the request.
    pub(super) fn body(&self) -> String {
        body_of(self.kind, &self.items)
    }
}

#[derive(Deserialize)]
struct Otlp<'a> {
    #[serde(
        borrow,
        rename = "resourceSpans",
        alias = "resourceLogs",
        alias = "resourceMetrics"
    )]
    by_resource: Vec<&'a RawValue>,
}

/// NDJSON for theta; for OTLP one request with what all of them have.
fn body_of(kind: Kind, items: &[Item]) -> String {
    if let (Kind::Otlp(_), [item]) = (kind, items) {
        return item.text.clone();
    }
    match kind {
        Kind::Theta | Kind::File(_) => items
            .iter()
            .map(|i| i.text.as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        Kind::Otlp(signal) => {
            let parts: Vec<&str> = items
                .iter()
                .filter_map(|item| serde_json::from_str::<Otlp<'_>>(&item.text).ok())
                .flat_map(|request| request.by_resource)
                .map(RawValue::get)
                .collect();
            format!("{{\"{}\":[{}]}}", signal.key(), parts.join(","))
        }
    }
}

#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "resourceSpans")]
    spans: Option<Vec<IgnoredAny>>,
    #[serde(rename = "resourceLogs")]
    logs: Option<Vec<IgnoredAny>>,
    #[serde(rename = "resourceMetrics")]
    metrics: Option<Vec<IgnoredAny>>,
}

/// Tells the kind of a JSON object; an error says why it is none.
fn kind_of(text: &str) -> Result<Kind, String> {
    if !text.trim_start().starts_with('{') {
        return Err("not a json object".to_owned());
    }
    let shape: Shape = serde_json::from_str(text).map_err(|e| format!("not valid json: {e}"))?;
    let of_signals = [
        shape.spans.map(|_| Signal::Spans),
        shape.logs.map(|_| Signal::Logs),
        shape.metrics.map(|_| Signal::Metrics),
    ];
    let mut signals = of_signals.into_iter().flatten();
    match (signals.next(), signals.next()) {
        (None, _) => Ok(Kind::Theta),
        (Some(signal), None) => Ok(Kind::Otlp(signal)),
        (Some(_), Some(_)) => Err("an otlp request of more than one signal".to_owned()),
    }
}

/// Reads a file batch by batch.
#[derive(Debug)]
pub(super) struct Reader<R> {
    input: BufReader<R>,
    line: u64,
    /// The first document of the next batch.
    held: Option<(Kind, Item)>,
    started: bool,
    /// Lines before this one were imported before.
    from_line: u64,
}

impl Reader<Box<dyn Read + Send>> {
    /// The lines of a file from this one on.
    pub(super) fn open(path: &Path, from_line: u64) -> io::Result<Self> {
        let mut reader = Self::new(whole::open(path)?);
        reader.from_line = from_line;
        Ok(reader)
    }
}

impl<R: Read> Reader<R> {
    fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(1 << 20, input),
            line: 0,
            held: None,
            started: false,
            from_line: 1,
        }
    }

    /// The next batch; `None` at the end.
    pub(super) fn next_batch(&mut self) -> io::Result<Option<Batch>> {
        let mut batch = Batch::new(Kind::Theta);
        let mut bytes = 0;
        if let Some((kind, item)) = self.held.take() {
            bytes += item.text.len();
            batch.kind = kind;
            batch.items.push(item);
        }
        while let Some(text) = self.next_text(&mut batch.bytes_read)? {
            let line = self.line;
            if text.trim().is_empty() || line < self.from_line {
                continue;
            }
            let kind = match kind_of(&text) {
                Ok(kind) => kind,
                Err(problem) => {
                    // A file whose first line is no document may be one document as a whole.
                    if line == 1 && batch.bad.is_empty() {
                        return self.whole(text, batch).map(Some);
                    }
                    batch.bad.push((line, problem));
                    continue;
                }
            };
            let item = Item { line, text };
            let is_full = batch.items.len() >= IMPORT_BATCH_LINES
                || bytes + item.text.len() > IMPORT_BATCH_BYTES;
            if !batch.items.is_empty() && (is_full || kind != batch.kind) {
                self.held = Some((kind, item));
                return Ok(Some(batch));
            }
            bytes += item.text.len();
            batch.kind = kind;
            batch.items.push(item);
        }
        let is_over = batch.items.is_empty() && batch.bad.is_empty();
        Ok(if is_over { None } else { Some(batch) })
    }

    /// The next line without its end; `None` at the end of the file.
    fn next_text(&mut self, bytes_read: &mut u64) -> io::Result<Option<String>> {
        let limit = u64::try_from(IMPORT_ITEM_BYTES_MAX).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        let n = (&mut self.input)
            .take(limit + 1)
            .read_until(b'\n', &mut bytes)?;
        if n == 0 {
            return Ok(None);
        }
        if n > IMPORT_ITEM_BYTES_MAX {
            let message = format!("line too long max_bytes={limit} line={}", self.line + 1);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        *bytes_read += u64::try_from(n).unwrap_or(u64::MAX);
        self.line += 1;
        self.started = true;
        // What is not UTF-8 is not JSON: the line's error says so.
        Ok(Some(
            String::from_utf8(bytes).unwrap_or_else(|_| "not utf-8".to_owned()),
        ))
    }

    /// The rest of the file and its first line as one JSON document.
    fn whole(&mut self, first: String, mut batch: Batch) -> io::Result<Batch> {
        let mut text = first;
        let left = IMPORT_ITEM_BYTES_MAX.saturating_sub(text.len());
        let limit = u64::try_from(left).unwrap_or(u64::MAX);
        let n = (&mut self.input)
            .take(limit + 1)
            .read_to_string(&mut text)?;
        if n > left {
            let message = format!("document too long max_bytes={IMPORT_ITEM_BYTES_MAX}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        batch.bytes_read += u64::try_from(n).unwrap_or(u64::MAX);
        if text.trim_start().starts_with('[') {
            match serde_json::from_str::<Vec<&RawValue>>(&text) {
                // The place in the list stands for the line.
                Ok(all) => batch.items.extend((1..).zip(all).map(|(line, value)| Item {
                    line,
                    text: one_line(value.get()),
                })),
                Err(error) => batch.bad.push((1, format!("not valid json: {error}"))),
            }
            return Ok(batch);
        }
        match kind_of(&text) {
            Ok(kind) => {
                batch.kind = kind;
                batch.items.push(Item {
                    line: 1,
                    text: one_line(&text),
                });
            }
            Err(problem) => batch.bad.push((1, problem)),
        }
        Ok(batch)
    }
}

/// Line ends stand between the tokens of JSON only, where a space does as well.
fn one_line(json: &str) -> String {
    json.trim().replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(text: &str) -> Vec<Batch> {
        let mut reader = Reader::new(text.as_bytes());
        std::iter::from_fn(|| reader.next_batch().unwrap()).collect()
    }

    #[test]
    fn lines_are_batched_by_kind_and_bad_ones_named() {
        let text = "{\"trace_id\":\"a\"}\n\nnot json\n{\"trace_id\":\"b\"}\n\
            {\"resourceSpans\":[1]}\n{\"resourceSpans\":[2,3]}\n[]\n\
            {\"resourceLogs\":[1]}\n{\"resourceLogs\":[2]}\n{\"resourceMetrics\":[4]}\n\
            {\"resourceLogs\":[1],\"resourceSpans\":[2]}\n";
        let all = batches(text);
        assert_eq!(all.len(), 4);
        assert_eq!(all[0].kind, Kind::Theta);
        assert_eq!(
            all[0].items.iter().map(|i| i.line).collect::<Vec<_>>(),
            [1, 4]
        );
        assert_eq!(all[0].bad.len(), 1);
        assert_eq!(all[0].bad[0].0, 3);
        assert_eq!(all[1].kind, Kind::Otlp(Signal::Spans));
        assert_eq!(all[1].body(), "{\"resourceSpans\":[1,2,3]}");
        assert_eq!(all[1].bad[0].0, 7);
        assert_eq!(all[2].kind, Kind::Otlp(Signal::Logs));
        assert_eq!(all[2].body(), "{\"resourceLogs\":[1,2]}");
        assert_eq!(all[3].kind, Kind::Otlp(Signal::Metrics));
        assert_eq!(all[3].body().trim(), "{\"resourceMetrics\":[4]}");
        let two = "an otlp request of more than one signal";
        assert_eq!(all[3].bad, [(11, two.to_owned())]);
        let bytes: u64 = all.iter().map(|b| b.bytes_read).sum();
        assert_eq!(bytes, text.len() as u64);
    }

    #[test]
    fn whole_documents() {
        let pretty = "{\n  \"resourceSpans\": [\n ]\n}\n";
        let [batch] = &batches(pretty)[..] else {
            panic!("one batch")
        };
        assert_eq!(
            (batch.kind, batch.items.len()),
            (Kind::Otlp(Signal::Spans), 1)
        );
        assert!(!batch.body().contains('\n'));
        let list = "[\n{\"trace_id\": \"a\"},\n{\"trace_id\": \"b\"}]";
        let [batch] = &batches(list)[..] else {
            panic!("one batch")
        };
        assert_eq!(batch.body(), "{\"trace_id\": \"a\"}\n{\"trace_id\": \"b\"}");
        let [batch] = &batches("{\"a\": \n")[..] else {
            panic!("one batch")
        };
        assert_eq!((batch.items.len(), batch.bad.len()), (0, 1));
        assert!(batches("").is_empty());
    }

    #[test]
    fn batches_are_bounded() {
        let text = "{\"trace_id\":\"a\"}\n".repeat(IMPORT_BATCH_LINES + 1);
        let sizes: Vec<_> = batches(&text).iter().map(|b| b.items.len()).collect();
        assert_eq!(sizes, [IMPORT_BATCH_LINES, 1]);
    }
}
