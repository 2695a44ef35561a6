//! A `LangSmith` run, as posted or patched → pieces of a step, and of the run of a root.

use std::borrow::Cow;

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, Table};

use super::{Attachment, DIALECT, PREFIX, dotted, usage};
use crate::dialect::bad::Bad;
use crate::dialect::pieces::{
    Piece, Rank, Times, begun_by, check_count, failed, kept_name, key, version,
};
use crate::dialect::place::Said;
use crate::dialect::theta::check::{Want, check_entries, check_id, check_metadata, time_of};

/// Fields of a run: its name, the row's, what it must be.
const FIELDS: [(&str, &str, Want); 20] = [
    ("id", "", Want::Id),
    ("trace_id", "", Want::Id),
    ("start_time", "", Want::Time),
    ("end_time", "", Want::Time),
    ("run_type", "", Want::Text),
    ("error", "", Want::Any),
    ("extra", "", Want::Map),
    ("parent_run_id", "", Want::Id),
    ("name", model::NAME, Want::Text),
    ("inputs", "input", Want::Any),
    ("outputs", "output", Want::Any),
    ("events", "events", Want::Any),
    ("tags", model::TAGS, Want::Texts),
    ("dotted_order", "dotted_order", Want::Text),
    ("session_name", "session_name", Want::Text),
    ("session_id", "session_id", Want::Text),
    ("serialized", "serialized", Want::Any),
    ("reference_example_id", "reference_example_id", Want::Text),
    ("child_runs", "", Want::List),
    ("attachments", "", Want::Any),
];

/// Types of runs as kinds; any other word is `custom`.
const KINDS: [(&str, &str); 6] = [
    ("llm", "llm"),
    ("chain", "chain"),
    ("tool", "tool"),
    ("retriever", "retrieval"),
    ("embedding", "embedding"),
    ("agent", "agent"),
];

/// Keys of `extra.metadata` that name the thread of a run, and the model of a call.
const THREAD: [&str; 3] = ["session_id", "thread_id", "conversation_id"];
const MODEL: [&str; 3] = ["model", "model_name", "model_id"];

/// A run and the parts of it that came apart from it.
#[derive(Clone, Debug)]
pub(super) struct Run<'a> {
    /// Its main object.
    pub(super) main: DocRef<'a>,
    /// Fields that came as parts of their own.
    pub(super) apart: Vec<(&'a str, DocRef<'a>)>,
    /// Files.
    pub(super) attachments: Vec<Attachment<'a>>,
    /// Makes the run, or updates it.
    pub(super) is_post: bool,
}

impl<'a> Run<'a> {
    /// A run that is one object.
    pub(super) fn of(main: DocRef<'a>, is_post: bool) -> Self {
        Self {
            main,
            apart: Vec::new(),
            attachments: Vec::new(),
            is_post,
        }
    }

    /// A field that is not null; what came apart is meant before the main object.
    pub(super) fn field(&self, key: &str) -> Option<DocRef<'a>> {
        let apart = self.apart.iter().rev().find(|(k, _)| *k == key);
        let found = apart.map(|(_, v)| *v).or_else(|| self.main.get(key));
        found.filter(|v| *v != DocRef::Null)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        let text = self.field(key).and_then(DocRef::as_str);
        text.filter(|text| !text.is_empty())
    }

    fn metadata(&self) -> Option<DocRef<'a>> {
        let metadata = self.field("extra")?.get(model::METADATA)?;
        Some(metadata).filter(|v| v.entries().is_some())
    }

    fn said_of(&self, keys: [&str; 3], of: Option<DocRef<'a>>) -> Option<&'a str> {
        let mut texts = keys.iter().filter_map(|key| of?.get(key)?.as_str());
        texts.find(|text| !text.is_empty())
    }

    fn model(&self) -> Option<&'a str> {
        let named = self.metadata().and_then(|m| m.get("ls_model_name"));
        let parameters = self.field("extra").and_then(|e| e.get("invocation_params"));
        named
            .and_then(DocRef::as_str)
            .or_else(|| self.said_of(MODEL, parameters))
    }

    /// Every field once.
    fn fields(&self) -> impl Iterator<Item = (&'a str, DocRef<'a>)> {
        let main = self.main.entries().into_iter().flatten().flatten();
        let main = main.filter(|(key, _)| !self.apart.iter().any(|(k, _)| k == key));
        main.chain(self.apart.iter().copied())
    }
}

/// What stands for the run in the rows.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    trace_id: &'a str,
    id: &'a str,
    parent_id: Option<&'a str>,
    start_ns: Option<i64>,
    /// A start by another field than `start_time`.
    about_ns: Option<i64>,
}

impl<'a> Place<'a> {
    fn of(run: &Run<'a>, subject: &'a str) -> Result<Self, Bad> {
        let id = if subject.is_empty() {
            run.text("id").ok_or_else(|| Bad::new("id", "missing"))?
        } else {
            subject
        };
        check_id("id", id)?;
        let path = match run.text("dotted_order") {
            Some(text) => {
                let bad = || Bad::new("dotted_order", "expected times and ids, joined by dots");
                Some(dotted::read(text).ok_or_else(bad)?)
            }
            None => None,
        };
        let parent_id = run.text("parent_run_id").or(path.and_then(|p| p.parent_id));
        // Without either of both the run is its own root, or a child of one.
        let trace_id = run
            .text("trace_id")
            .or(path.map(|p| p.trace_id))
            .or(parent_id)
            .unwrap_or(id);
        check_id("trace_id", trace_id)?;
        Ok(Self {
            trace_id,
            id,
            parent_id,
            start_ns: time_of(run.field("start_time")),
            about_ns: path.map(|p| p.start_ns),
        })
    }

    fn is_root(&self) -> bool {
        self.parent_id.is_none() && self.trace_id == self.id
    }
}

/// Reads one run; `subject` is its id if the path named it. Gives the trace that it belongs to.
pub(super) fn read(
    run: &Run<'_>,
    subject: &str,
    received_ns: i64,
    events: &mut Vec<Event>,
) -> Result<String, Bad> {
    let wants: Vec<(&str, Want)> = FIELDS
        .iter()
        .map(|(sent, _, want)| (*sent, *want))
        .collect();
    check_count(run.main.entries().into_iter().flatten().count())?;
    check_entries(run.fields(), &wants)?;
    if let Some(metadata) = run.metadata() {
        check_metadata("extra.metadata", metadata)?;
    }
    let place = Place::of(run, subject)?;
    let end_ns = time_of(run.field("end_time"));
    let row_key = key(place.trace_id, place.id);
    let at_ns = end_ns.or(place.start_ns).or(place.about_ns).unwrap_or(0);
    let rank = if run.is_post {
        Rank::Create
    } else {
        Rank::Update
    };
    let fallback = place.about_ns.or(run.is_post.then_some(received_ns));
    if let (None, Some(about_ns)) = (place.start_ns, fallback) {
        events.push(begun_by(Table::Spans, DIALECT, row_key.clone(), about_ns));
    }
    let piece = span(run, &place, end_ns)?;
    let times = Times {
        start_ns: place.start_ns,
        end_ns,
    };
    // A post of a run that is over says all of it.
    let partial = !(run.is_post && end_ns.is_some() && place.start_ns.is_some());
    events.push(piece.event(row_key.clone(), times, version(rank, at_ns), partial));
    if let Some(error) = run.field("error") {
        let text = error_text(error);
        events.push(failed(DIALECT, row_key, Some(&text), at_ns));
    }
    if let (true, Some(project)) = (place.is_root() && run.is_post, run.text("session_name")) {
        let mut piece = Piece::new(Table::Runs, DIALECT);
        piece.text("project_id", Some(project));
        piece.text("session_name", Some(project));
        let key = key(place.trace_id, place.trace_id);
        events.push(piece.event(key, Times::default(), version(rank, at_ns), true));
    }
    Ok(place.trace_id.to_owned())
}

fn error_text(error: DocRef<'_>) -> Cow<'_, str> {
    match error.as_str() {
        Some(text) => text.into(),
        None => crate::dialect::doc_json::to_text(error).into(),
    }
}

fn span(run: &Run<'_>, place: &Place<'_>, end_ns: Option<i64>) -> Result<Piece, Bad> {
    let mut piece = Piece::new(Table::Spans, DIALECT);
    let state = match end_ns {
        Some(_) => Some(status::SUCCESS),
        None => run.is_post.then_some(status::RUNNING),
    };
    piece.text(model::STATUS, state);
    piece.text(model::PARENT_ID, place.parent_id);
    if place.is_root() {
        piece.value(model::ROOT, DocRef::Bool(true));
    }
    if let Some(word) = run.text("run_type") {
        let kind = KINDS.iter().find(|(sent, _)| *sent == word);
        let kind = kind.map_or("custom", |(_, kind)| *kind);
        piece.text(model::KIND, Some(kind));
        piece.text("type", Some(word).filter(|word| *word != kind));
        piece.text(model::TOOL, run.text("name").filter(|_| kind == "tool"));
    }
    write_said(run, &mut piece);
    for (name, value) in run.fields().filter(|(_, v)| *v != DocRef::Null) {
        match FIELDS.iter().find(|(sent, _, _)| *sent == name) {
            Some(("extra", _, _)) => write_extra(&mut piece, value),
            Some(("attachments" | "child_runs", _, _)) | None => {
                piece.value(&kept_name(PREFIX, name)?, value);
            }
            Some((_, "", _)) => {}
            Some((_, row, _)) => piece.value(row, value),
        }
    }
    super::attachment::write(&run.attachments, &mut piece);
    Ok(piece)
}

/// Before what is said deeper in a run.
const HEAD: [&str; 8] = [
    model::DIALECT,
    model::KEY_ID,
    model::STATUS,
    model::PARENT_ID,
    model::ROOT,
    model::KIND,
    "type",
    model::TOOL,
];
const SAID: [&str; 9] = [
    model::MODEL,
    model::GROUP,
    model::USER_ID,
    model::TOKENS,
    model::COST_USD,
    model::ENVIRONMENT,
    model::VERSION,
    model::RELEASE,
    model::REGION,
];

/// What is said deeper in a run.
fn write_said(run: &Run<'_>, piece: &mut Piece) {
    piece.text(model::MODEL, run.model());
    piece.text(model::GROUP, run.said_of(THREAD, run.metadata()));
    let user = run.metadata().and_then(|m| m.get(model::USER_ID));
    piece.text(model::USER_ID, user.and_then(DocRef::as_str));
    if let Some(tokens) = usage::tokens(run) {
        tokens.write(&mut piece.out);
    }
    if let Some(cost) = usage::cost(run) {
        piece.value(model::COST_USD, DocRef::F64(cost));
    }
    Said::of_metadata(run.metadata()).write(&mut piece.out);
}

/// The document of a piece of a step by today's mapping, as far as what it follows from stands there as it was sent.
pub(in crate::dialect) fn map(doc: DocRef<'_>) -> Vec<u8> {
    let entries = || doc.entries().into_iter().flatten().flatten();
    let sent = as_sent(doc);
    let main = DocRef::parse(&sent).unwrap_or(DocRef::Null);
    let mut piece = Piece::new(Table::Spans, DIALECT);
    let is_head = |key: &str| HEAD.contains(&key);
    for (key, value) in entries().filter(|(key, _)| is_head(key) && *key != model::DIALECT) {
        piece.value(key, value);
    }
    write_said(&Run::of(main, false), &mut piece);
    for (key, value) in entries().filter(|(key, _)| !is_head(key) && !SAID.contains(key)) {
        piece.value(key, value);
    }
    piece.finish()
}

/// The run with those of its fields that say more than they are, under the sender's names.
fn as_sent(doc: DocRef<'_>) -> Vec<u8> {
    let mut out = DocWriter::new();
    let open = out.begin_map();
    if let Some(outputs) = doc.get("output") {
        out.key("outputs");
        out.value(outputs);
    }
    out.key("extra");
    let extra = out.begin_map();
    if let Some(metadata) = doc.get(model::METADATA) {
        out.key(model::METADATA);
        out.value(metadata);
    }
    let rest = doc.get(&format!("{PREFIX}extra"));
    if let Some(rest) = rest.and_then(DocRef::entries) {
        out.entries(rest);
    }
    out.end(extra);
    out.end(open);
    out.finish()
}

/// `metadata` is the user's; the rest of `extra` stays under the sender's name.
fn write_extra(piece: &mut Piece, extra: DocRef<'_>) {
    let entries = || extra.entries().into_iter().flatten().flatten();
    if let Some(metadata) = extra.get(model::METADATA).filter(|v| *v != DocRef::Null) {
        piece.metadata(metadata);
    }
    if entries().all(|(key, _)| key == model::METADATA) {
        return;
    }
    piece.out.key(&format!("{PREFIX}extra"));
    let open = piece.out.begin_map();
    for (key, value) in entries().filter(|(key, _)| *key != model::METADATA) {
        piece.value(key, value);
    }
    piece.out.end(open);
}
