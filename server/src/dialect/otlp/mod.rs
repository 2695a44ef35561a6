//! OTLP traces, logs and metrics → events. The JSON form is turned into the wire form item by item, so
//! that both give the same rows by construction.

mod again;
mod agents;
mod from_json;
mod json_signals;
mod known;
mod log;
mod metric;
mod mlflow;
mod names;
mod point;
mod series;
mod span;
mod usage;
mod value;
mod wire;
pub(crate) mod write;

use std::collections::HashMap;

use bytes::Bytes;
use obsrv_engine::doc::DocWriter;
use obsrv_engine::row::Event;

use self::span::{ResourceDoc, Shared};
use self::value::{Any, Attribute, named, write_attributes};
use self::wire::{Field, Fields, Put, WireError};
use super::bad::Bad;
use super::{Context, DOCS_BYTES_MAX, DecodeError, Decoded, ITEMS_MAX};

pub(super) use again::map;
pub(super) use from_json::decode_json;

/// Resource attributes that name a project.
const PROJECT_ATTRIBUTES: [&str; 2] = ["openinference.project.name", "obtrace.project_id"];

impl From<WireError> for DecodeError {
    fn from(e: WireError) -> Self {
        Self::Protobuf {
            problem: e.problem,
            offset: e.offset,
        }
    }
}

/// What a request holds. All three have groups by resource, in these groups by scope, with the same
/// field numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// `ExportTraceServiceRequest`.
    Spans,
    /// `ExportLogsServiceRequest`.
    Logs,
    /// `ExportMetricsServiceRequest`.
    Metrics,
}

impl Signal {
    /// What an item is called in a refusal.
    const fn item(self) -> &'static str {
        match self {
            Self::Spans => "span",
            Self::Logs => "log",
            Self::Metrics => "point",
        }
    }
}

/// Reads an export request.
pub(super) fn decode_protobuf(
    signal: Signal,
    ctx: &Context<'_>,
    body: &[u8],
) -> Result<Decoded, DecodeError> {
    let mut sink = Sink::new(signal, ctx);
    for field in Fields::new(body, 0) {
        let field = field?;
        if field.number == 1 {
            resource_group(field, &mut sink)?;
        }
    }
    Ok(sink.finish())
}

fn resource_group(field: Field<'_>, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let fields = field.message()?;
    // The resource may stand after its groups.
    let resource = resource_doc(fields);
    for part in fields {
        let part = part?;
        if part.number == 2 {
            scope_group(part, resource.as_ref(), sink)?;
        }
    }
    Ok(())
}

fn scope_group(
    field: Field<'_>,
    resource: Result<&ResourceDoc, &Bad>,
    sink: &mut Sink<'_>,
) -> Result<(), DecodeError> {
    let fields = field.message()?;
    let shared = shared((sink.signal, sink.ctx), resource, scope_doc(fields));
    let items = fields.flatten().filter(|part| part.number == 2).count();
    sink.make_room(items, fields.len());
    for part in fields {
        let part = part?;
        if part.number == 2 {
            sink.item(part.message()?, shared.as_ref())?;
        }
    }
    Ok(())
}

fn shared(
    (signal, ctx): (Signal, &Context<'_>),
    resource: Result<&ResourceDoc, &Bad>,
    scope: Result<Vec<u8>, Bad>,
) -> Result<Shared, Bad> {
    let (resource, scope) = (resource.map_err(Bad::clone)?, scope?);
    let mut shared = Shared::new(resource, &scope, ctx.key_id().as_deref());
    if signal == Signal::Metrics {
        shared.identity = series::identity_of_group(&resource.attributes, &scope);
    }
    Ok(shared)
}

/// Bytes that a document has beside what stands in the message, about.
const DOC_EXTRA_BYTES: usize = 512;

/// Collects the rows of a request. Their documents are written one behind the other into one
/// buffer, so that a row costs no allocation of its own but for its ids.
#[derive(Debug)]
struct Sink<'a> {
    signal: Signal,
    ctx: &'a Context<'a>,
    decoded: Decoded,
    docs: DocWriter,
    /// Where the document of each event ends.
    ends: Vec<usize>,
    /// Items seen, the refused ones too.
    seen: usize,
    /// The item that is turned from JSON into wire form.
    put: Put,
    /// The user's names of runs, by those that their spans name.
    run_names: HashMap<Box<str>, Box<str>>,
}

impl<'a> Sink<'a> {
    fn new(signal: Signal, ctx: &'a Context<'a>) -> Self {
        Self {
            signal,
            ctx,
            decoded: Decoded::default(),
            docs: DocWriter::new(),
            ends: Vec::new(),
            seen: 0,
            put: Put::default(),
            run_names: HashMap::new(),
        }
    }

    /// Makes room for what is about to come: so many items in so many bytes of a message.
    fn make_room(&mut self, items: usize, bytes: usize) {
        let items = items.min(ITEMS_MAX);
        self.decoded.events.reserve(items);
        self.ends.reserve(items);
        self.docs.reserve(bytes + items * DOC_EXTRA_BYTES);
    }

    fn next_index(&mut self) -> Result<usize, DecodeError> {
        if self.seen == ITEMS_MAX {
            return Err(DecodeError::Items);
        }
        self.seen += 1;
        Ok(self.seen - 1)
    }

    /// Takes one span, log record or metric.
    fn item(
        &mut self,
        fields: Fields<'_>,
        shared: Result<&Shared, &Bad>,
    ) -> Result<(), DecodeError> {
        let ctx = self.ctx;
        match self.signal {
            Signal::Spans => {
                let mut names = std::mem::take(&mut self.run_names);
                let mut renamed = |run: &str, name: &str| {
                    names.entry(run.into()).or_insert_with(|| name.into());
                };
                let taken = self.row(shared, |_, shared, docs| {
                    span::event(fields, shared, docs, &mut renamed)
                });
                self.run_names = names;
                taken
            }
            Signal::Logs => self.row(shared, |index, shared, docs| {
                log::event(fields, shared, (ctx, index), docs)
            }),
            Signal::Metrics => metric::points(fields, shared, self),
        }
    }

    /// Takes what makes one row. What is wrong with its resource or scope is wrong with it.
    fn row(
        &mut self,
        shared: Result<&Shared, &Bad>,
        event: impl FnOnce(usize, &Shared, &mut DocWriter) -> Result<Event, Bad>,
    ) -> Result<(), DecodeError> {
        let index = self.next_index()?;
        let start = self.docs.len();
        let event = shared.map_err(Bad::clone).and_then(|shared| {
            if self.decoded.named_project.is_none() {
                self.decoded.named_project.clone_from(&shared.project);
            }
            event(index, shared, &mut self.docs)
        });
        match event {
            Ok(event) => {
                if self.docs.len() > DOCS_BYTES_MAX {
                    return Err(DecodeError::Documents);
                }
                self.decoded.events.push(event);
                self.ends.push(self.docs.len());
            }
            Err(bad) => {
                self.docs.truncate(start);
                self.refuse(index, &bad);
            }
        }
        Ok(())
    }

    /// Refuses an item that does not read at all.
    fn refuse_next(&mut self, bad: &Bad) -> Result<(), DecodeError> {
        let index = self.next_index()?;
        self.refuse(index, bad);
        Ok(())
    }

    fn refuse(&mut self, index: usize, bad: &Bad) {
        let item = self.signal.item();
        let message = format!("{item} {index}: {}", bad.message());
        self.decoded.reject(index, item, None, message);
    }

    /// What the request says: every event gets its part of the buffer.
    fn finish(mut self) -> Decoded {
        let mut docs = self.docs.finish();
        if docs.capacity() - docs.len() > docs.len() / 4 {
            docs.shrink_to_fit();
        }
        let docs = Bytes::from(docs);
        let mut start = 0;
        for (event, end) in self.decoded.events.iter_mut().zip(self.ends) {
            event.doc = docs.slice(start..end);
            start = end;
            // Not every span of a run says the user's name for it.
            if !self.run_names.is_empty()
                && let Some(name) = self.run_names.get(&event.key.trace_id)
            {
                event.key.trace_id.clone_from(name);
            }
        }
        #[cfg(test)]
        self.decoded.events.iter().for_each(tests::maps_to_itself);
        self.decoded
    }
}

/// The documents of the resource in field 1 and the schema URL in field 3 of a group.
fn resource_doc(fields: Fields<'_>) -> Result<ResourceDoc, Bad> {
    let mut resource = ResourceDoc::default();
    let (mut schema, mut dropped) = ("", 0);
    let mut message = Fields::new(&[], 0);
    for field in fields {
        let field = field.map_err(named("resource"))?;
        match field.number {
            1 => message = field.message().map_err(named("resource"))?,
            3 => schema = field.text().map_err(named("resource.schema_url"))?,
            _ => {}
        }
    }
    for field in message {
        let field = field.map_err(named("resource"))?;
        if field.number == 2 {
            dropped = field
                .varint()
                .map_err(named("resource.dropped_attributes_count"))?;
        }
    }
    let mut out = DocWriter::new();
    write_attributes(
        message,
        1,
        "resource.attributes",
        &mut out,
        |Attribute { key, any, .. }| {
            if let Any::Str(value) = any {
                if key == "service.name" {
                    resource.service = Some(value.to_owned());
                } else if PROJECT_ATTRIBUTES.contains(&key) && !value.is_empty() {
                    resource.project = Some(value.to_owned());
                }
            }
        },
    )?;
    resource.attributes = out.finish();
    resource.about = about(&[("schema_url", schema)], dropped);
    Ok(resource)
}

/// A map of the texts that are not empty and the count if it is not 0.
fn about(texts: &[(&str, &str)], dropped: u64) -> Option<Vec<u8>> {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    write_about(texts, dropped, &mut out);
    out.end(open);
    (dropped != 0 || texts.iter().any(|(_, v)| !v.is_empty())).then(|| out.finish())
}

fn write_about(texts: &[(&str, &str)], dropped: u64, out: &mut DocWriter) {
    for (key, value) in texts.iter().filter(|(_, v)| !v.is_empty()) {
        out.key(key);
        out.str(value);
    }
    if dropped != 0 {
        out.key("dropped_attributes_count");
        out.u64(dropped);
    }
}

/// The document of the scope in field 1 and the schema URL in field 3 of a group.
fn scope_doc(fields: Fields<'_>) -> Result<Vec<u8>, Bad> {
    let (mut schema, mut name, mut version, mut dropped) = ("", "", "", 0);
    let mut message = Fields::new(&[], 0);
    for field in fields {
        let field = field.map_err(named("scope"))?;
        match field.number {
            1 => message = field.message().map_err(named("scope"))?,
            3 => schema = field.text().map_err(named("scope.schema_url"))?,
            _ => {}
        }
    }
    let mut has_attributes = false;
    for field in message {
        let field = field.map_err(named("scope"))?;
        match field.number {
            1 => name = field.text().map_err(named("scope.name"))?,
            2 => version = field.text().map_err(named("scope.version"))?,
            3 => has_attributes = true,
            4 => {
                dropped = field
                    .varint()
                    .map_err(named("scope.dropped_attributes_count"))?;
            }
            _ => {}
        }
    }
    let mut out = DocWriter::new();
    let open = out.begin_map();
    let texts = [("name", name), ("version", version), ("schema_url", schema)];
    write_about(&texts, dropped, &mut out);
    if has_attributes {
        out.key("attributes");
        write_attributes(message, 3, "scope.attributes", &mut out, |_| {})?;
    }
    out.end(open);
    Ok(out.finish())
}

#[cfg(test)]
mod tests;
