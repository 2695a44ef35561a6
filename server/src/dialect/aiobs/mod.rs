//! An export of aiobs → events: a run of its own for each session, a step for each call.
//!
//! What the client calls a trace is the run of a step. A session is the thread of its traces, and
//! the run of those steps that have no trace. `trace_tree` says once more what the lists say, in
//! any depth, and is passed over.

mod call;
mod session;

use std::collections::HashMap;

use obsrv_engine::doc::DocRef;
use obsrv_engine::row::Event;

use super::bad::Bad;
use super::json::{self, Member};
use super::theta::check::time_of;
use super::theta::parse;
use super::{
    Context, DOCS_BYTES_MAX, DecodeError, Decoded, ITEMS_MAX, Item, JSON_DEPTH_MAX, JsonError,
};
use call::Calls;

/// What rows say they came from.
const DIALECT: &str = "aiobs";
/// Before the names of fields that no table names.
const PREFIX: &str = "aiobs.";

/// Collects what a body says.
#[derive(Debug, Default)]
struct Collect {
    decoded: Decoded,
    doc_bytes: usize,
}

impl Collect {
    /// Takes one session or call.
    fn take(
        &mut self,
        index: usize,
        kind: &'static str,
        read: Result<Event, Bad>,
    ) -> Result<(), DecodeError> {
        if self.decoded.items.len() == ITEMS_MAX {
            return Err(DecodeError::Items);
        }
        let (trace_id, id, error) = match read {
            Ok(event) => {
                self.doc_bytes = self.doc_bytes.saturating_add(event.doc.len());
                if self.doc_bytes > DOCS_BYTES_MAX {
                    return Err(DecodeError::Documents);
                }
                let ids = (event.key.trace_id.to_string(), event.key.id.to_string());
                self.decoded.events.push(event);
                (Some(ids.0), Some(ids.1), None)
            }
            Err(bad) => (None, None, Some(bad.message())),
        };
        self.decoded.items.push(Item {
            index,
            kind,
            trace_id,
            id,
            error,
        });
        Ok(())
    }
}

/// The lists of an export, as documents.
struct Export {
    sessions: Vec<u8>,
    events: Vec<u8>,
    function_events: Vec<u8>,
    generated_ns: Option<i64>,
}

impl Export {
    fn read(body: &[u8]) -> Result<Self, DecodeError> {
        let members = json::members(body)?;
        let find = |key: &str| members.iter().find(|member| member.key == key);
        let generated = find("generated_at").map(|m| m.read(1)).transpose()?;
        Ok(Self {
            sessions: list(find("sessions"))?,
            events: list(find("events"))?,
            function_events: list(find("function_events"))?,
            generated_ns: time_of(generated.as_deref().map(parse)),
        })
    }
}

/// The document of a list; of an empty one if there is none.
fn list(member: Option<&Member<'_>>) -> Result<Vec<u8>, DecodeError> {
    let empty = || json::read(b"[]", 1);
    let Some(member) = member else {
        return Ok(empty()?);
    };
    // A list around the items, which are as deep as others.
    let doc: Result<Vec<u8>, JsonError> = member.read(JSON_DEPTH_MAX + 1);
    let doc = doc?;
    match parse(&doc) {
        DocRef::Array(_) => Ok(doc),
        DocRef::Null => Ok(empty()?),
        _ => Err(DecodeError::Shape {
            field: member.key.clone(),
            problem: "expected a list".to_owned(),
        }),
    }
}

fn items(doc: &[u8]) -> impl Iterator<Item = DocRef<'_>> {
    let list = match parse(doc) {
        DocRef::Array(list) => Some(list),
        _ => None,
    };
    list.into_iter().flatten().flatten()
}

fn text_of<'a>(doc: DocRef<'a>, key: &str) -> Option<&'a str> {
    let text = doc.get(key).and_then(DocRef::as_str);
    text.filter(|text| !text.is_empty())
}

/// `POST /v1/traces` with `sessions` and `events`.
pub(super) fn decode(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let export = Export::read(body)?;
    let mut collect = Collect::default();
    let mut labels = HashMap::new();
    for (index, session) in items(&export.sessions).enumerate() {
        if let (Some(id), Some(found)) = (text_of(session, "id"), session.get("labels")) {
            labels.insert(id, found);
        }
        let read = session::read(session, export.generated_ns);
        collect.take(index, "session", read)?;
    }
    let mut calls = Calls::new(ctx, labels, items(&export.function_events));
    for (index, event) in items(&export.function_events).enumerate() {
        collect.take(index, "function_event", calls.function(event))?;
    }
    for (index, event) in items(&export.events).enumerate() {
        collect.take(index, "event", calls.provider(event))?;
    }
    Ok(collect.decoded)
}

#[cfg(test)]
mod tests;
