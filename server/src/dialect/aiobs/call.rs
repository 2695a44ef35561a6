//! A call of a function or of a model → a step.

use std::collections::HashMap;

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, Table};
use xxhash_rust::xxh3::xxh3_128;

use super::session::write;
use super::{DIALECT, text_of};
use crate::dialect::bad::Bad;
use crate::dialect::doc_json;
use crate::dialect::pieces::{Piece, Times, check_count, key};
use crate::dialect::place::Said;
use crate::dialect::theta::check::{Want, check, time_of};
use crate::dialect::tokens;
use crate::dialect::{Context, version_of};

/// Fields of both: the name, the row's, what it must be.
const FIELDS: [(&str, &str, Want); 21] = [
    ("trace_id", "", Want::Id),
    ("span_id", "", Want::Id),
    ("parent_span_id", model::PARENT_ID, Want::Id),
    ("session_id", "session_id", Want::Id),
    ("started_at", "", Want::Time),
    ("ended_at", "", Want::Time),
    ("duration_ms", "duration_ms", Want::Number),
    ("provider", "provider", Want::Text),
    ("api", "api", Want::Text),
    ("name", "", Want::Text),
    ("module", "module", Want::Text),
    ("callsite", "callsite", Want::Any),
    ("error", "", Want::Any),
    ("args", "", Want::Any),
    ("kwargs", "", Want::Any),
    ("result", "output", Want::Any),
    ("request", "input", Want::Any),
    ("response", "output", Want::Any),
    ("enh_prompt", "enh_prompt", Want::Any),
    ("enh_prompt_id", "enh_prompt_id", Want::Text),
    ("auto_enhance_after", "auto_enhance_after", Want::Any),
];

/// Reads calls of one body.
#[derive(Debug)]
pub(super) struct Calls<'a> {
    ctx: &'a Context<'a>,
    /// What sessions are labelled.
    labels: HashMap<&'a str, DocRef<'a>>,
    /// The session in which the functions of a trace ran. Calls of models are filed under the
    /// session that is open when the client sends them, which may be another.
    sessions: HashMap<&'a str, &'a str>,
    /// How often calls without an id came that say this.
    seen: HashMap<u128, u64>,
}

/// Which row a call is.
struct Place<'a> {
    trace_id: String,
    id: String,
    session: Option<&'a str>,
}

impl<'a> Calls<'a> {
    pub(super) fn new(
        ctx: &'a Context<'a>,
        labels: HashMap<&'a str, DocRef<'a>>,
        functions: impl Iterator<Item = DocRef<'a>>,
    ) -> Self {
        let mut sessions = HashMap::new();
        for event in functions {
            let ids = (text_of(event, "trace_id"), text_of(event, "session_id"));
            if let (Some(trace), Some(session)) = ids {
                sessions.entry(trace).or_insert(session);
            }
        }
        Self {
            ctx,
            labels,
            sessions,
            seen: HashMap::new(),
        }
    }

    /// Reads a call of a function.
    pub(super) fn function(&mut self, event: DocRef<'a>) -> Result<Event, Bad> {
        let session = text_of(event, "session_id");
        let place = self.place(event, session)?;
        let mut piece = self.begun(event, &place);
        piece.text(
            model::NAME,
            text_of(event, "name").or(text_of(event, "api")),
        );
        piece.text(model::KIND, Some("custom"));
        let given = ["args", "kwargs"].map(|key| (key, said(event, key)));
        if given.iter().any(|(_, value)| value.is_some()) {
            piece.out.key("input");
            let open = piece.out.begin_map();
            for (key, value) in given {
                if let Some(value) = value {
                    piece.value(key, value);
                }
            }
            piece.out.end(open);
        }
        finished(piece, event, &place)
    }

    /// Reads a call of a model.
    pub(super) fn provider(&mut self, event: DocRef<'a>) -> Result<Event, Bad> {
        let filed = text_of(event, "session_id");
        let trace = text_of(event, "trace_id");
        let session = trace.and_then(|trace| self.sessions.get(trace).copied());
        let place = self.place(event, session.or(filed))?;
        let mut piece = self.begun(event, &place);
        piece.text(model::NAME, text_of(event, "api"));
        piece.text(model::KIND, Some(kind(event)));
        let model_of = |key| said(event, key).and_then(|part| text_of(part, "model"));
        piece.text(model::MODEL, model_of("request").or(model_of("response")));
        let usage = said(event, "response").and_then(|response| response.get("usage"));
        if let Some(tokens) = usage.and_then(tokens::of_provider) {
            tokens.write(&mut piece.out);
        }
        finished(piece, event, &place)
    }

    fn place(&mut self, event: DocRef<'a>, session: Option<&'a str>) -> Result<Place<'a>, Bad> {
        let wants = FIELDS.map(|(sent, _, want)| (sent, want));
        check(event, &wants)?;
        check_count(event.entries().into_iter().flatten().count())?;
        let id = match text_of(event, "span_id") {
            Some(id) => id.to_owned(),
            None => self.minted(event),
        };
        let trace_id = text_of(event, "trace_id").or(session);
        Ok(Place {
            trace_id: trace_id.map_or_else(|| self.ctx.mint("ab_", 0), str::to_owned),
            id,
            session,
        })
    }

    /// An id that the same call has when it comes again, with others and from another session.
    fn minted(&mut self, event: DocRef<'_>) -> String {
        let mut out = DocWriter::new();
        let open = out.begin_map();
        for (name, value) in event.entries().into_iter().flatten().flatten() {
            if name != "session_id" {
                out.key(name);
                out.value(value);
            }
        }
        out.end(open);
        let hash = xxh3_128(&out.finish());
        let times = self.seen.entry(hash).or_default();
        *times += 1;
        let nth = u128::from(*times - 1);
        format!("ab_{:032x}", hash.wrapping_add(nth))
    }

    fn begun(&self, event: DocRef<'a>, place: &Place<'_>) -> Piece {
        let mut piece = Piece::new(Table::Spans, DIALECT);
        let failed = said(event, "error");
        let state = match (failed, time_of(event.get("ended_at"))) {
            (Some(_), _) => status::ERROR,
            (None, Some(_)) => status::SUCCESS,
            (None, None) => status::RUNNING,
        };
        piece.text(model::STATUS, Some(state));
        match failed {
            Some(DocRef::Str(text)) => piece.text(model::ERROR_MESSAGE, Some(text)),
            Some(other) => piece.text(model::ERROR_MESSAGE, Some(&doc_json::to_text(other))),
            None => {}
        }
        piece.text(model::GROUP, place.session);
        let labels = place.session.and_then(|session| self.labels.get(session));
        if text_of(event, "parent_span_id").is_none() {
            piece.value(model::ROOT, DocRef::Bool(true));
            if let Some(labels @ DocRef::Map(_)) = labels {
                piece.value(model::METADATA, *labels);
            }
        }
        Said::of_metadata(labels.copied()).write(&mut piece.out);
        piece
    }
}

fn said<'a>(doc: DocRef<'a>, key: &str) -> Option<DocRef<'a>> {
    doc.get(key).filter(|value| *value != DocRef::Null)
}

fn finished(mut piece: Piece, event: DocRef<'_>, place: &Place<'_>) -> Result<Event, Bad> {
    write(&mut piece, event, &FIELDS)?;
    let times = Times {
        start_ns: time_of(event.get("started_at")),
        end_ns: time_of(event.get("ended_at")),
    };
    let version = version_of(times.end_ns, times.end_ns.is_some());
    Ok(piece.event(key(&place.trace_id, &place.id), times, version, false))
}

/// What a call of a provider is: a provider of the client's own may be any.
fn kind(event: DocRef<'_>) -> &'static str {
    let api = text_of(event, "api").unwrap_or("");
    let knows = matches!(text_of(event, "provider"), Some("openai" | "gemini"));
    let names_model = said(event, "request").is_some_and(|r| text_of(r, "model").is_some());
    if api.contains("embed") {
        "embedding"
    } else if knows || names_model {
        "llm"
    } else {
        "custom"
    }
}
