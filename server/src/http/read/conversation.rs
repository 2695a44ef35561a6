//! `GET …/traces/{trace}/conversation`: what was said in a trace, each message once.
//!
//! A model call is sent the whole talk so far. So a message is new if the span has it more often
//! than any span before. Spans are gone through twice: once for the fingerprints of their messages,
//! once for the text of those on the page, so that a long talk is never held as often as it was sent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::engine::ReadBody;
use obsrv_engine::model;
use obsrv_engine::query::{Budget, QueryError};
use obsrv_engine::row::Table;
use schemars::JsonSchema;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use super::ask::{check_known, limit};
use super::damaged::{ALLOW_PARTIAL, Damaged, asks_partial, damaged};
use super::list::json;
use super::path;
use super::shape::{Raw, raw};
use super::trace::{run_of, trace_id};
use crate::dialect::format_nanos;
use crate::dialect::theta_read::{StoredRow, talk};
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::whole::named;
use crate::http::{App, query};
use crate::limits::{CONVERSATION_BYTES_MAX, CONVERSATION_PAGE_DEFAULT, CONVERSATION_PAGE_MAX};
use crate::wire;

const KNOWN: [&str; 3] = ["limit", "offset", ALLOW_PARTIAL];
/// Bytes of a fingerprint with its place.
const MARK_BYTES: u64 = 48;

#[derive(Debug, Serialize, JsonSchema)]
struct Conversation {
    data: Vec<MessageShown>,
    /// Messages of the trace, each counted once.
    total: usize,
    /// What `offset` is for the next page; null on the last.
    next_offset: Option<usize>,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
}

/// A message.
#[derive(Debug, Serialize, JsonSchema)]
struct MessageShown {
    /// The span that first had it.
    span_id: String,
    /// `system`, `user`, `assistant`, `tool` and others.
    role: String,
    /// Parts: `type`, `text` and others.
    #[schemars(with = "Vec<serde_json::Value>")]
    content: Raw,
    #[schemars(with = "Vec<serde_json::Value>")]
    tool_calls: Raw,
    /// When that span started.
    at: String,
}

pub(super) fn add(routes: &mut Routes) {
    let one = path("/traces/{trace}/conversation");
    asks_partial(routes.get(&one, TraceRead, show))
        .says("What was said in a trace, each message once, in order.")
        .asks("limit", "1 to 1000; 200 if not given")
        .asks("offset", "`next_offset` of the page before")
        .gives::<Conversation>();
}

/// A message of a span, by what it says.
#[derive(Clone, Debug)]
struct Marks {
    start_ns: i64,
    id: Box<str>,
    messages: Vec<u128>,
}

/// Calls `visit` for each message of the span, with its place.
fn messages(row: &StoredRow, visit: &mut dyn FnMut(usize, DocRef<'_>)) {
    let talk = talk(row);
    let talk = DocRef::parse(&talk).unwrap_or(DocRef::Null);
    if let Some(DocRef::Array(messages)) = talk.get("messages") {
        for (place, message) in messages.flatten().enumerate() {
            visit(place, message);
        }
    }
}

fn fingerprint(message: DocRef<'_>) -> u128 {
    let mut out = DocWriter::new();
    for key in ["role", "content", "tool_calls"] {
        out.value(message.get(key).unwrap_or(DocRef::Null));
    }
    xxh3_128(&out.finish())
}

/// Kinds of spans that talk, in the order in which they are believed: what an agent was asked and
/// said is told by its model calls, if it has any.
const TALKERS: [&[&str]; 2] = [&["llm"], &["agent", "chain", "custom"]];

struct Reader<'a> {
    view: &'a View,
    trace_id: &'a str,
    budget: &'a Budget<'a>,
}

impl Reader<'_> {
    fn each_span(
        &self,
        kinds: &[&str],
        visit: &mut dyn FnMut(&StoredRow) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let visit = &mut |core, body: ReadBody<'_>| {
            if (self.budget.cancelled)() {
                return Err(ApiError::from(QueryError::Cancelled));
            }
            let row = named(wire::row_of(&core, &body()?)?);
            if kinds.contains(&row.text(model::KIND).unwrap_or("custom")) {
                visit(&row)?;
            }
            Ok(())
        };
        self.view.each_row(Table::Spans, self.trace_id, visit)
    }

    /// The messages of each span, spans by start.
    fn marks(&self, kinds: &[&str]) -> Result<Vec<Marks>, ApiError> {
        let (mut all, mut held) = (Vec::new(), 0);
        self.each_span(kinds, &mut |row| {
            let mut marks = Marks {
                start_ns: row.core.start_ns,
                id: row.core.id.clone(),
                messages: Vec::new(),
            };
            messages(row, &mut |_, message| {
                marks.messages.push(fingerprint(message))
            });
            let count = u64::try_from(marks.messages.len()).unwrap_or(u64::MAX);
            held += MARK_BYTES.saturating_mul(count.saturating_add(1));
            if held > self.budget.bytes_max {
                return Err(ApiError::new(
                    ErrorCode::QueryTooExpensive,
                    format!(
                        "trace too large for a conversation max_bytes={}",
                        self.budget.bytes_max
                    ),
                ));
            }
            if count > 0 {
                all.push(marks);
            }
            Ok(())
        })?;
        all.sort_by(|a, b| (a.start_ns, &a.id).cmp(&(b.start_ns, &b.id)));
        Ok(all)
    }
}

/// Which message of which span is each new one.
fn new_ones(all: &[Marks]) -> Vec<(usize, usize)> {
    let mut seen: HashMap<u128, usize> = HashMap::new();
    let mut new = Vec::new();
    for (span, marks) in all.iter().enumerate() {
        let mut here: HashMap<u128, usize> = HashMap::new();
        for (place, mark) in marks.messages.iter().enumerate() {
            let times = here.entry(*mark).or_default();
            *times += 1;
            let before = seen.entry(*mark).or_default();
            if *times > *before {
                *before = *times;
                new.push((span, place));
            }
        }
    }
    new
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(asked): RawQuery,
) -> Result<Response, ApiError> {
    let trace_id = trace_id(&place, "trace")?;
    let params = Params::parse(asked.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let limit = limit(&params, CONVERSATION_PAGE_DEFAULT, CONVERSATION_PAGE_MAX)?;
    let offset = params.one("offset")?.map_or(Ok(0), str::parse);
    let offset: usize = offset.map_err(|_| ApiError::parameter("offset", "not a number"))?;
    let partial = params.flag(ALLOW_PARTIAL)?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view_or(partial);
        match run_of(&view, &trace_id) {
            // What was said stands in its spans.
            Err(error) if partial && error.code == ErrorCode::Damaged => {}
            run => drop(run?),
        }
        let reader = Reader {
            view: &view,
            trace_id: &trace_id,
            budget,
        };
        let shown = page(&reader, offset, limit)?;
        json(&Conversation {
            damaged: damaged(view.left_out()),
            ..shown
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

fn page(reader: &Reader<'_>, offset: usize, limit: usize) -> Result<Conversation, ApiError> {
    let mut found = (TALKERS[0], reader.marks(TALKERS[0])?);
    if found.1.is_empty() {
        found = (TALKERS[1], reader.marks(TALKERS[1])?);
    }
    let (kinds, marks) = found;
    let new = new_ones(&marks);
    let wanted = new.iter().enumerate().skip(offset).take(limit);
    let mut of_span: HashMap<&str, BTreeMap<usize, usize>> = HashMap::new();
    for (order, (span, place)) in wanted {
        let places = of_span.entry(&marks[*span].id).or_default();
        places.insert(*place, order);
    }
    let (mut texts, mut bytes) = (BTreeMap::new(), 0_usize);
    reader.each_span(kinds, &mut |row| {
        let Some(places) = of_span.get(&*row.core.id) else {
            return Ok(());
        };
        messages(row, &mut |place, message| {
            if let Some(order) = places.get(&place) {
                let shown = MessageShown::of(row, message);
                bytes = bytes.saturating_add(shown.content.get().len());
                texts.insert(*order, shown);
                // The last ones go to a later page; the first is always there.
                while bytes > CONVERSATION_BYTES_MAX && texts.len() > 1 {
                    let last = texts.pop_last().map_or(0, |(_, m)| m.content.get().len());
                    bytes = bytes.saturating_sub(last);
                }
            }
        });
        Ok(())
    })?;
    // What came after one that had to go is on a later page, too.
    let first = offset..;
    let data: Vec<MessageShown> = first
        .zip(texts)
        .take_while(|(due, (order, _))| due == order)
        .map(|(_, (_, shown))| shown)
        .collect();
    let next = offset.saturating_add(data.len());
    Ok(Conversation {
        next_offset: (next < new.len() && !data.is_empty()).then_some(next),
        total: new.len(),
        data,
        damaged: None,
    })
}

impl MessageShown {
    fn of(row: &StoredRow, message: DocRef<'_>) -> Self {
        let list = |key| raw(message.get(key).unwrap_or(DocRef::Null));
        Self {
            span_id: row.core.id.to_string(),
            role: message
                .get("role")
                .and_then(DocRef::as_str)
                .unwrap_or("user")
                .to_owned(),
            content: list("content"),
            tool_calls: list("tool_calls"),
            at: format_nanos(row.core.start_ns),
        }
    }
}
