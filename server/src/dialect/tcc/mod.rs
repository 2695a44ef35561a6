//! What The Context Company's clients send beside OTLP → events: runs, steps and tool calls one by one,
//! feedback, and the messages of a Claude agent's run.

mod claude;
mod custom;

use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use obsrv_engine::row::{Event, Table};

use super::bad::Bad;
use super::pieces::{Piece, Rank, Times, check_count, kept_name, key, version};
use super::place::Said;
use super::theta::check::{Want, check, check_id};
use super::theta::{object, parse};
use super::{Context, DecodeError, Decoded, Item, JSON_DEPTH_MAX, json};

pub(super) use claude::decode as decode_claude;

/// What rows say they came from.
const DIALECT: &str = "tcc";
/// Before the names of fields that no table names.
const PREFIX: &str = "tcc.";

/// A field of a body: its name, the row's, what it must be. Without a name in the row it is read
/// elsewhere.
type FieldOf = (&'static str, &'static str, Want);

fn text_of<'a>(doc: DocRef<'a>, key: &str) -> Option<&'a str> {
    let text = doc.get(key).and_then(DocRef::as_str);
    text.filter(|text| !text.is_empty())
}

fn required<'a>(doc: DocRef<'a>, key: &str) -> Result<&'a str, Bad> {
    text_of(doc, key).ok_or_else(|| Bad::new(key, "missing"))
}

fn checked(doc: DocRef<'_>, fields: &[FieldOf]) -> Result<(), Bad> {
    let wants: Vec<(&str, Want)> = fields
        .iter()
        .map(|(sent, _, want)| (*sent, *want))
        .collect();
    check(doc, &wants)?;
    check_count(doc.entries().into_iter().flatten().count())
}

/// The fields under their names in the row, and what no table names below `tcc.`.
fn write(piece: &mut Piece, doc: DocRef<'_>, fields: &[FieldOf]) -> Result<(), Bad> {
    for (name, value) in doc.entries().into_iter().flatten().flatten() {
        match fields.iter().find(|(sent, _, _)| *sent == name) {
            _ if value == DocRef::Null => {}
            Some((_, "", _)) => {}
            Some((_, row, _)) => piece.value(row, value),
            None => piece.value(&kept_name(PREFIX, name)?, value),
        }
    }
    let metadata = fields.iter().find(|(_, row, _)| *row == model::METADATA);
    let metadata = metadata.and_then(|(sent, ..)| doc.get(sent));
    Said::of_metadata(metadata).write(&mut piece.out);
    Ok(())
}

/// A body that holds one thing.
fn one(kind: &'static str, read: Result<Event, Bad>) -> Decoded {
    let mut decoded = Decoded::default();
    let (trace_id, id, error) = match read {
        Ok(event) => {
            let ids = (event.key.trace_id.to_string(), event.key.id.to_string());
            decoded.events.push(event);
            (Some(ids.0), Some(ids.1), None)
        }
        Err(bad) => (None, None, Some(bad.message())),
    };
    decoded.items.push(Item {
        index: 0,
        kind,
        trace_id,
        id,
        error,
    });
    decoded
}

/// `POST /v1/custom`: a run, a step or a tool call, as `type` says.
pub(super) fn decode_custom(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX)?;
    let doc = object(parse(&doc))?;
    let (kind, read) = custom::read(ctx, doc);
    Ok(one(kind, read))
}

const FEEDBACK: [FieldOf; 3] = [
    ("runId", "", Want::Id),
    ("score", "label", Want::Text),
    ("text", "comment", Want::Text),
];

/// `POST /v1/feedback`. The run that it names may come later, or never.
pub(super) fn decode_feedback(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX)?;
    let doc = object(parse(&doc))?;
    Ok(one("feedback", feedback(ctx, doc)))
}

fn feedback(ctx: &Context<'_>, doc: DocRef<'_>) -> Result<Event, Bad> {
    checked(doc, &FEEDBACK)?;
    let run_id = required(doc, "runId")?;
    check_id("runId", run_id)?;
    let said = text_of(doc, "score");
    if said.is_none() && text_of(doc, "text").is_none() {
        return Err(Bad::new("score", "missing, and no text"));
    }
    let mut piece = Piece::new(Table::Scores, DIALECT);
    piece.text(model::NAME, Some("feedback"));
    match said {
        Some("thumbs_up") => piece.value("score", DocRef::I64(1)),
        Some("thumbs_down") => piece.value("score", DocRef::I64(0)),
        _ => {}
    }
    write(&mut piece, doc, &FEEDBACK)?;
    let times = Times {
        start_ns: Some(ctx.received_ns),
        end_ns: None,
    };
    // Nothing in it tells it from others of its run: who says the same twice is heard once.
    let key = key(run_id, &ctx.mint("fb_", 0));
    Ok(piece.event(key, times, version(Rank::Fallback, ctx.received_ns), true))
}

#[cfg(test)]
mod tests;
