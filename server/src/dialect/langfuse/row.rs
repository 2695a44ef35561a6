//! A trace or an observation of Langfuse → pieces of a run or of a step.

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, Table};

use super::{DIALECT, PREFIX, text_of, usage};
use crate::dialect::bad::Bad;
use crate::dialect::pieces::{
    Piece, Rank, Times, begun_by, check_count, failed, kept_name, key, version,
};
use crate::dialect::theta::check::{Want, check, check_metadata, time_of};

/// Fields of a trace: its name, the row's, what it must be.
const TRACE: [(&str, &str, Want); 13] = [
    ("id", "", Want::Id),
    ("timestamp", "", Want::Time),
    ("name", model::NAME, Want::Text),
    ("userId", model::USER_ID, Want::Text),
    ("sessionId", model::GROUP, Want::Text),
    ("tags", model::TAGS, Want::Texts),
    ("metadata", model::METADATA, Want::Any),
    ("input", "input", Want::Any),
    ("output", "output", Want::Any),
    ("release", "release", Want::Text),
    ("version", "version", Want::Text),
    ("environment", "environment", Want::Text),
    ("externalId", "external_id", Want::Text),
];

/// Fields of an observation.
const OBSERVATION: [(&str, &str, Want); 22] = [
    ("id", "", Want::Id),
    ("traceId", "", Want::Id),
    ("type", "", Want::Text),
    ("startTime", "", Want::Time),
    ("endTime", "", Want::Time),
    ("parentObservationId", model::PARENT_ID, Want::Id),
    ("name", model::NAME, Want::Text),
    ("model", model::MODEL, Want::Text),
    ("metadata", model::METADATA, Want::Any),
    ("input", "input", Want::Any),
    ("output", "output", Want::Any),
    ("level", "level", Want::Text),
    ("statusMessage", "status_message", Want::Text),
    ("version", "version", Want::Text),
    ("environment", "environment", Want::Text),
    ("completionStartTime", "completion_start_time", Want::Time),
    ("modelParameters", "model_parameters", Want::Any),
    ("usage", "usage", Want::Any),
    ("usageDetails", "usage_details", Want::Any),
    ("costDetails", "cost_details", Want::Any),
    ("promptName", "prompt_name", Want::Text),
    ("promptVersion", "prompt_version", Want::Any),
];

/// Langfuse's types of observation as kinds.
const KINDS: [(&str, &str); 10] = [
    ("span", "custom"),
    ("event", "custom"),
    ("generation", "llm"),
    ("agent", "agent"),
    ("tool", "tool"),
    ("chain", "chain"),
    ("retriever", "retrieval"),
    ("evaluator", "custom"),
    ("embedding", "embedding"),
    ("guardrail", "guardrail"),
];

/// The type of observation that a word names, and its kind.
pub(super) fn observation(word: &str) -> Option<(&'static str, &'static str)> {
    KINDS
        .into_iter()
        .find(|(sent, _)| word.eq_ignore_ascii_case(sent))
}

/// What an event of the batch says beside its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    /// Makes the observation, or updates it.
    pub(super) is_create: bool,
    /// Type and kind; none when the event names no type.
    pub(super) observation: Option<(&'static str, &'static str)>,
    /// When the event was made, which orders the events of one row.
    pub(super) at_ns: i64,
    /// Id of a row that has none.
    pub(super) minted: &'a str,
}

/// Reads a trace: every event of one is laid over those before it.
pub(super) fn read_trace(
    body: DocRef<'_>,
    said: Said<'_>,
    events: &mut Vec<Event>,
) -> Result<String, Bad> {
    checked(body, &TRACE)?;
    let id = text_of(body, "id").unwrap_or(said.minted);
    let mut piece = Piece::new(Table::Runs, DIALECT);
    write_fields(&mut piece, body, &TRACE)?;
    let times = Times {
        start_ns: time_of(body.get("timestamp")),
        end_ns: None,
    };
    let key = key(id, id);
    if times.start_ns.is_none() {
        events.push(begun_by(Table::Runs, DIALECT, key.clone(), said.at_ns));
    }
    events.push(piece.event(key, times, version(Rank::Create, said.at_ns), true));
    Ok(id.to_owned())
}

/// Reads an observation.
pub(super) fn read_observation(
    body: DocRef<'_>,
    said: Said<'_>,
    events: &mut Vec<Event>,
) -> Result<String, Bad> {
    checked(body, &OBSERVATION)?;
    let trace_id = match text_of(body, "traceId") {
        Some(id) => id,
        None if said.is_create => said.minted,
        None => return Err(Bad::new("traceId", "missing")),
    };
    let id = match text_of(body, "id") {
        Some(id) => id,
        None if said.is_create => said.minted,
        None => return Err(Bad::new("id", "missing")),
    };
    let key = key(trace_id, id);
    let is_moment = matches!(said.observation, Some(("event", _)));
    let start_ns = time_of(body.get("startTime"));
    let at_start = || start_ns.or(Some(said.at_ns)).filter(|_| is_moment);
    let end_ns = time_of(body.get("endTime")).or_else(at_start);
    let mut piece = Piece::new(Table::Spans, DIALECT);
    let state = match end_ns {
        Some(_) => Some(status::SUCCESS),
        None => said.is_create.then_some(status::RUNNING),
    };
    piece.text(model::STATUS, state);
    if said.is_create && text_of(body, "parentObservationId").is_none() {
        piece.value(model::ROOT, DocRef::Bool(true));
    }
    // An update through the calls for spans says nothing of the type.
    let typed = said
        .observation
        .filter(|(word, _)| said.is_create || *word != "span");
    if let Some((word, kind)) = typed {
        piece.text(model::KIND, Some(kind));
        piece.text("type", Some(word).filter(|word| *word != kind));
        piece.text(
            model::TOOL,
            text_of(body, "name").filter(|_| kind == "tool"),
        );
    }
    write_fields(&mut piece, body, &OBSERVATION)?;
    write_used(&mut piece, body);
    if start_ns.is_none() && said.is_create {
        events.push(begun_by(Table::Spans, DIALECT, key.clone(), said.at_ns));
    }
    let rank = if said.is_create {
        Rank::Create
    } else {
        Rank::Update
    };
    let times = Times { start_ns, end_ns };
    events.push(piece.event(key.clone(), times, version(rank, said.at_ns), true));
    if text_of(body, "level") == Some("ERROR") {
        let message = text_of(body, "statusMessage");
        events.push(failed(DIALECT, key, message, said.at_ns));
    }
    Ok(trace_id.to_owned())
}

/// What it used, and what that cost.
fn write_used(piece: &mut Piece, body: DocRef<'_>) {
    if let Some(tokens) = usage::tokens(body) {
        tokens.write(&mut piece.out);
    }
    if let Some(cost) = usage::cost(body) {
        piece.value(model::COST_USD, DocRef::F64(cost));
    }
}

/// The document of a piece of a step by today's mapping: what it used is said in fields that stand there as they
/// were sent. Everything else has the sender's own names.
pub(in crate::dialect) fn map(doc: DocRef<'_>) -> Vec<u8> {
    let said = OBSERVATION
        .iter()
        .filter(|(sent, ..)| sent.starts_with("usage") || *sent == "costDetails");
    let mut body = DocWriter::new();
    let open = body.begin_map();
    for (sent, row, _) in said {
        if let Some(value) = doc.get(row) {
            body.key(sent);
            body.value(value);
        }
    }
    body.end(open);
    let body = body.finish();
    let mut piece = Piece::new(Table::Spans, DIALECT);
    let derived = [model::DIALECT, model::TOKENS, model::COST_USD];
    for (key, value) in doc.entries().into_iter().flatten().flatten() {
        if !derived.contains(&key) {
            piece.value(key, value);
        }
    }
    write_used(&mut piece, DocRef::parse(&body).unwrap_or(DocRef::Null));
    piece.finish()
}

fn checked(body: DocRef<'_>, fields: &[(&str, &str, Want)]) -> Result<(), Bad> {
    let wants: Vec<(&str, Want)> = fields
        .iter()
        .map(|(sent, _, want)| (*sent, *want))
        .collect();
    check(body, &wants)?;
    check_count(body.entries().into_iter().flatten().count())?;
    match body.get(model::METADATA) {
        Some(map @ DocRef::Map(_)) => check_metadata(model::METADATA, map),
        _ => Ok(()),
    }
}

/// The fields under their names in the row, and what no table names below `langfuse.`.
fn write_fields(
    piece: &mut Piece,
    body: DocRef<'_>,
    fields: &[(&str, &str, Want)],
) -> Result<(), Bad> {
    for (name, value) in body.entries().into_iter().flatten().flatten() {
        if value == DocRef::Null {
            continue;
        }
        match fields.iter().find(|(sent, _, _)| *sent == name) {
            Some((_, "", _)) => {}
            Some((_, model::METADATA, _)) => piece.metadata(value),
            Some((_, row, _)) => piece.value(row, value),
            None => piece.value(&kept_name(PREFIX, name)?, value),
        }
    }
    Ok(())
}
