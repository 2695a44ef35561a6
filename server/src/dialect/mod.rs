//! Dialects: what a request body means. Pure functions from bytes to events.
//!
//! Nothing here does I/O, reads a clock or draws a random number: replay of the log runs the same
//! functions over the same bytes and must get the same events. `README.md` beside this file has
//! the mapping tables.

mod aiobs;
mod bad;
mod blob;
pub mod doc_json;
pub mod encoding;
pub mod import;
mod json;
mod langfuse;
mod langsmith;
pub(crate) mod origin;
mod otlp;
mod pieces;
pub(crate) mod place;
mod sniff;
mod tcc;
mod theta;
pub mod theta_read;
pub(crate) mod time;
mod tokens;

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::mapping::Mapped;
use obsrv_engine::model;
use obsrv_engine::row::{Event, ProjectId, Table};
use thiserror::Error;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use otlp::Signal;

pub(crate) use blob::came_in_rows;
pub use json::{JsonError, read as read_json};
pub(crate) use langsmith::multipart::boundary;
pub(crate) use langsmith::{FormFile, FormParted, ITEM_ID_CHARS, part_form};
pub(crate) use otlp::write as otlp_write;
pub use sniff::{Route, SniffError, sniff};
pub use time::{format_micros, format_nanos, parse as parse_time};

/// Version of the mapping from bodies to rows. Raise it with every change that gives other events
/// for the same bytes: it stands in the log's envelopes.
///
/// 2: tokens of OTLP in buckets that exclude one another (an input with cached tokens in it was priced and
/// added up twice); spans and logs that name a run stand in it; counts in Langfuse's attributes.
/// 3: Logfire's pending spans are the open spans that they stand for; `provider`, `repeats`; metadata of Langfuse
/// as values; names of `MLflow`, ADK and pydantic-ai; the model of a call that failed from its parameters.
/// 4: values of `MLflow`, which are JSON; its tokens, model, provider, cost and tags.
/// 5: `environment`, `version`, `release` and `region`, whatever names they came under.
/// 6: `key_id` of rows that are read from bodies; those that are stored do not get one.
pub const MAPPING_VERSION: u16 = 6;

/// Most spans, log records, points, steps, events and import items that one request may hold.
pub const ITEMS_MAX: usize = 100_000;
/// Most bytes of documents that one OTLP request may make. A resource and a scope stand in the
/// document of each of their spans, so a small body could ask for any amount of memory.
pub const DOCS_BYTES_MAX: usize = 256 << 20;
/// Most attributes of one span, event, link, scope or resource, and most entries of `metadata`.
pub const ATTRIBUTES_MAX: usize = 1_024;
/// Most buckets, bounds and quantiles of one metric point, each.
pub const BUCKETS_MAX: usize = 4_096;
/// Most exemplars of one metric point.
pub const EXEMPLARS_MAX: usize = 1_024;
/// Most fields of a body of which only some are read.
pub const MEMBERS_MAX: usize = 1_024;
/// Longest attribute or metadata key, in bytes.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Longest id in the text form in which it is stored, in bytes.
pub const ID_BYTES_MAX: usize = 256;
/// What the entry of a key takes in a document: two lengths, a tag, the name and 16 digits.
const KEY_ID_BYTES: usize = 32;
/// Deepest nesting of objects and lists in a JSON body. Two less than a document's limit, because
/// a row wraps some values in a map of its own.
pub const JSON_DEPTH_MAX: usize = obsrv_engine::doc::DEPTH_MAX - 2;
/// Deepest nesting of lists and maps inside one OTLP attribute value: a span event's attribute
/// stands four levels down in the row's document.
pub const VALUE_DEPTH_MAX: usize = obsrv_engine::doc::DEPTH_MAX - 4;

/// How a body is read. Persisted in the log: never reuse a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Dialect {
    /// `ExportTraceServiceRequest`, protobuf.
    OtlpProtobuf = 1,
    /// `ExportTraceServiceRequest`, JSON.
    OtlpJson = 2,
    /// One theta trace.
    ThetaTrace = 3,
    /// One annotation of the trace named by the path.
    ThetaAnnotation = 4,
    /// Theta traces and envelopes, as a JSON array or one per line.
    ThetaImport = 5,
    /// One canonical envelope.
    ThetaEvent = 6,
    /// `ExportLogsServiceRequest`, protobuf.
    OtlpLogsProtobuf = 7,
    /// `ExportLogsServiceRequest`, JSON.
    OtlpLogsJson = 8,
    /// `ExportMetricsServiceRequest`, protobuf.
    OtlpMetricsProtobuf = 9,
    /// `ExportMetricsServiceRequest`, JSON.
    OtlpMetricsJson = 10,
    /// The definition of a theta metric.
    ThetaMetric = 11,
    /// What the metric named by the path says of a trace.
    ThetaMetricEvent = 12,
    /// A batch of Langfuse's events.
    LangfuseBatch = 32,
    /// One Langfuse score.
    LangfuseScore = 33,
    /// A list of Langfuse scores.
    LangfuseScores = 34,
    /// One `LangSmith` run.
    LangsmithRun = 40,
    /// An update of the `LangSmith` run that the path names.
    LangsmithPatch = 41,
    /// `LangSmith` runs and updates, as JSON.
    LangsmithBatch = 42,
    /// `LangSmith` runs, updates, feedback and files, as a form; the subject is its boundary.
    LangsmithForm = 43,
    /// One piece of `LangSmith` feedback.
    LangsmithFeedback = 44,
    /// What an aiobs client has recorded.
    AiobsExport = 48,
    /// A run, a step or a tool call of The Context Company's client.
    TccCustom = 56,
    /// Feedback of The Context Company's client.
    TccFeedback = 57,
    /// The messages of a Claude agent's run.
    TccClaude = 58,
    /// That a file of a run was stored; written by obsrv itself.
    Blob = 64,
    /// A file of Jaeger's API.
    ImportJaeger = 70,
    /// A file of Zipkin's API.
    ImportZipkin = 71,
    /// A session of Claude Code.
    ImportClaudeCode = 72,
    /// A trajectory of SWE-agent.
    ImportSweAgent = 73,
    /// Runs of tau-bench.
    ImportTau = 74,
    /// A log of Inspect.
    ImportInspect = 75,
}

impl Dialect {
    /// The dialect with this persisted number.
    pub const fn from_u16(n: u16) -> Option<Self> {
        match n {
            1 => Some(Self::OtlpProtobuf),
            2 => Some(Self::OtlpJson),
            3 => Some(Self::ThetaTrace),
            4 => Some(Self::ThetaAnnotation),
            5 => Some(Self::ThetaImport),
            6 => Some(Self::ThetaEvent),
            7 => Some(Self::OtlpLogsProtobuf),
            8 => Some(Self::OtlpLogsJson),
            9 => Some(Self::OtlpMetricsProtobuf),
            10 => Some(Self::OtlpMetricsJson),
            11 => Some(Self::ThetaMetric),
            12 => Some(Self::ThetaMetricEvent),
            32 => Some(Self::LangfuseBatch),
            33 => Some(Self::LangfuseScore),
            34 => Some(Self::LangfuseScores),
            40 => Some(Self::LangsmithRun),
            41 => Some(Self::LangsmithPatch),
            42 => Some(Self::LangsmithBatch),
            43 => Some(Self::LangsmithForm),
            44 => Some(Self::LangsmithFeedback),
            48 => Some(Self::AiobsExport),
            56 => Some(Self::TccCustom),
            57 => Some(Self::TccFeedback),
            58 => Some(Self::TccClaude),
            64 => Some(Self::Blob),
            70 => Some(Self::ImportJaeger),
            71 => Some(Self::ImportZipkin),
            72 => Some(Self::ImportClaudeCode),
            73 => Some(Self::ImportSweAgent),
            74 => Some(Self::ImportTau),
            75 => Some(Self::ImportInspect),
            _ => None,
        }
    }

    /// Whether its documents are written by [`otlp`], which names the key itself.
    const fn is_otlp(self) -> bool {
        matches!(
            self,
            Self::OtlpProtobuf
                | Self::OtlpJson
                | Self::OtlpLogsProtobuf
                | Self::OtlpLogsJson
                | Self::OtlpMetricsProtobuf
                | Self::OtlpMetricsJson
        )
    }

    /// The persisted number.
    #[expect(
        clippy::as_conversions,
        reason = "the discriminant of a repr(u16) enum"
    )]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// What a dialect knows beside the body.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The key's project.
    pub project: ProjectId,
    /// Hash of the body as received; minted ids come from it.
    pub body_hash: u64,
    /// What is not in the body and decides what it means: the trace id of annotations and the run
    /// id of patches and the metric of events, from the path; the boundary of a form. Empty elsewhere.
    pub subject: &'a str,
    /// When the request came in.
    pub received_ns: i64,
    /// The key that it came with; 0 if with none.
    pub key_id: u64,
}

impl Context<'_> {
    /// The key that it came with, as answers name it.
    fn key_id(&self) -> Option<String> {
        (self.key_id != 0).then(|| format!("{:x}", self.key_id))
    }

    /// An id for item `index` (its place in document order) that has none.
    fn mint(&self, prefix: &str, index: u64) -> String {
        let mut bytes = [0; 24];
        let words = [self.project.0, self.body_hash, index];
        for (slot, word) in bytes.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        format!("{prefix}{:032x}", xxh3_128(&bytes))
    }
}

/// What became of one item of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its place: in the import, among the spans of the request, among the steps of the trace.
    pub index: usize,
    /// `trace`, `envelope`, `step`, `event`, `annotation`, `span`, `observation`, `score`, `log`, `point`,
    /// `metric`, `metric_event`, `run`, `feedback`, `attachment`, `session`, `function_event`, `tool_call`,
    /// `blob`, `line` or `unknown`.
    pub kind: &'static str,
    /// The trace it belongs to, where that is known.
    pub trace_id: Option<String>,
    /// The row made of it where clients want to know: the id of an annotation. For an event of a
    /// Langfuse batch the event's own.
    pub id: Option<String>,
    /// Why it was refused, naming the field.
    pub error: Option<String>,
}

/// What a body says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The facts to store.
    pub events: Vec<Event>,
    /// Every top-level item of a theta body and every refused part of any body. What was taken of OTLP
    /// is not listed.
    pub items: Vec<Item>,
    /// xxh3 over table, trace id and row id of the events: tells a changed mapping at replay.
    pub digest: u64,
    /// The project that the body names, if it names one.
    pub named_project: Option<String>,
}

impl Decoded {
    /// How many items were refused.
    pub fn rejected(&self) -> usize {
        self.items.iter().filter(|i| i.error.is_some()).count()
    }

    /// How much memory the events hold.
    pub fn held_bytes(&self) -> usize {
        let held = |event: &Event| {
            let texts = event.key.trace_id.len() + event.key.id.len() + event.doc.len();
            size_of::<Event>() + texts
        };
        self.events
            .iter()
            .fold(0, |sum: usize, event| sum.saturating_add(held(event)))
    }

    /// Says of every row but scores which key it came with, behind the dialect.
    fn sent_with(&mut self, key_id: &str) {
        let rows = self.events.iter_mut();
        for event in rows.filter(|event| event.table != Table::Scores) {
            let Some(entries) = DocRef::parse(&event.doc).ok().and_then(DocRef::entries) else {
                continue;
            };
            let mut out = DocWriter::new();
            out.reserve(event.doc.len().saturating_add(KEY_ID_BYTES));
            let open = out.begin_map();
            for (key, value) in entries.map_while(Result::ok) {
                out.key(key);
                out.value(value);
                if key == model::DIALECT {
                    out.key(model::KEY_ID);
                    out.str(key_id);
                }
            }
            out.end(open);
            event.doc = out.finish().into();
        }
    }

    fn sealed(mut self) -> Self {
        let mut hash = Xxh3::new();
        for event in &self.events {
            hash.update(&[table_number(event)]);
            for part in [&event.key.trace_id, &event.key.id] {
                hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
                hash.update(part.as_bytes());
            }
        }
        self.digest = hash.digest();
        #[cfg(test)]
        for event in &self.events {
            tests::maps_to_itself(event);
        }
        self
    }

    fn reject(
        &mut self,
        index: usize,
        kind: &'static str,
        trace_id: Option<String>,
        error: String,
    ) {
        self.items.push(Item {
            index,
            kind,
            trace_id,
            id: None,
            error: Some(error),
        });
    }
}

#[expect(clippy::as_conversions, reason = "the discriminant of a repr(u8) enum")]
const fn table_number(event: &Event) -> u8 {
    event.table as u8
}

/// Why a whole body is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Not protobuf, or not this message.
    #[error("body is not an otlp request: {problem} offset={offset}")]
    Protobuf {
        /// What is wrong.
        problem: &'static str,
        /// Where, in the decoded body.
        offset: usize,
    },
    /// Not JSON.
    #[error("body is not valid json: {0}")]
    Json(#[from] JsonError),
    /// JSON of another shape.
    #[error("{field}: {problem}")]
    Shape {
        /// The field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// More than [`ITEMS_MAX`].
    #[error("too many items in one request limit={ITEMS_MAX}")]
    Items,
    /// More than [`DOCS_BYTES_MAX`].
    #[error(
        "rows of one request too large with their resource and scope, send fewer at once \
         limit={DOCS_BYTES_MAX}"
    )]
    Documents,
}

/// Reads a body that is already decompressed.
pub fn decode(dialect: Dialect, ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let mut decoded = match dialect {
        Dialect::OtlpProtobuf => otlp::decode_protobuf(Signal::Spans, ctx, body)?,
        Dialect::OtlpJson => otlp::decode_json(Signal::Spans, ctx, body)?,
        Dialect::OtlpLogsProtobuf => otlp::decode_protobuf(Signal::Logs, ctx, body)?,
        Dialect::OtlpLogsJson => otlp::decode_json(Signal::Logs, ctx, body)?,
        Dialect::OtlpMetricsProtobuf => otlp::decode_protobuf(Signal::Metrics, ctx, body)?,
        Dialect::OtlpMetricsJson => otlp::decode_json(Signal::Metrics, ctx, body)?,
        Dialect::ThetaTrace => theta::decode_trace(ctx, body)?,
        Dialect::ThetaAnnotation => theta::decode_annotation(ctx, body)?,
        Dialect::ThetaImport => theta::decode_import(ctx, body)?,
        Dialect::ThetaEvent => theta::decode_event(ctx, body)?,
        Dialect::ThetaMetric => theta::metric::decode_definition(ctx, body)?,
        Dialect::ThetaMetricEvent => theta::metric::decode_event(ctx, body)?,
        Dialect::LangfuseBatch => langfuse::decode_batch(ctx, body)?,
        Dialect::LangfuseScore | Dialect::LangfuseScores => langfuse::decode_scores(ctx, body)?,
        Dialect::LangsmithRun => langsmith::decode_run(ctx, body, true)?,
        Dialect::LangsmithPatch => langsmith::decode_run(ctx, body, false)?,
        Dialect::LangsmithBatch => langsmith::decode_batch(ctx, body)?,
        Dialect::LangsmithForm => langsmith::decode_form(ctx, body)?,
        Dialect::LangsmithFeedback => langsmith::decode_feedback(ctx, body)?,
        Dialect::AiobsExport => aiobs::decode(ctx, body)?,
        Dialect::TccCustom => tcc::decode_custom(ctx, body)?,
        Dialect::TccFeedback => tcc::decode_feedback(ctx, body)?,
        Dialect::TccClaude => tcc::decode_claude(ctx, body)?,
        Dialect::Blob => blob::decode(ctx, body)?,
        Dialect::ImportJaeger => import::decode(import::Format::Jaeger, ctx, body)?,
        Dialect::ImportZipkin => import::decode(import::Format::Zipkin, ctx, body)?,
        Dialect::ImportClaudeCode => import::decode(import::Format::ClaudeCode, ctx, body)?,
        Dialect::ImportSweAgent => import::decode(import::Format::SweAgent, ctx, body)?,
        Dialect::ImportTau => import::decode(import::Format::Tau, ctx, body)?,
        Dialect::ImportInspect => import::decode(import::Format::Inspect, ctx, body)?,
    };
    if let Some(key_id) = ctx.key_id().filter(|_| !dialect.is_otlp()) {
        decoded.sent_with(&key_id);
    }
    Ok(decoded.sealed())
}

/// Makes the document of one event anew by today's mapping, as far as what is derived stands beside what it was derived
/// from. The rest is the sender's own, or comes from several parts of a body that no row has.
pub fn map(table: Table, doc: &[u8]) -> Mapped {
    // What does not read to its end would be stored cut off.
    let read = DocRef::parse(doc).ok().filter(|doc| doc.validate().is_ok());
    let dialect = read
        .and_then(|doc| doc.get(model::DIALECT))
        .and_then(DocRef::as_str);
    let found = read.and_then(|doc| match (dialect, table) {
        (Some("otlp"), _) => otlp::map(table, doc),
        (Some("langfuse"), Table::Spans) => Some(langfuse::map(doc)),
        (Some("langsmith"), Table::Spans) => Some(langsmith::map(doc)),
        (Some("theta"), Table::Spans | Table::Runs) => Some(theta::map(doc)),
        (Some("aiobs" | "tcc"), Table::Spans | Table::Runs) => Some(place::fill(doc)),
        _ => None,
    });
    match found {
        None => Mapped::Left,
        Some(new) if new == doc => Mapped::Same,
        Some(new) => Mapped::Other(new),
    }
}

/// Orders the events of one row: ended beats running, then the later end wins.
fn version_of(end_ns: Option<i64>, closed: bool) -> u64 {
    let end = end_ns.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    (u64::from(closed) << 63) | (end >> 1)
}

#[cfg(test)]
mod tests;
