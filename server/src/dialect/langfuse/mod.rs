//! Langfuse's batches → events: traces, observations, scores.
//!
//! Every event of a batch is one item. Its `timestamp` orders it among the events of its row.

mod row;
mod score;
pub(super) mod usage;

use obsrv_engine::doc::DocRef;

use super::bad::Bad;
use super::theta::check::time_of;
use super::theta::{object, parse};
use super::{Context, DecodeError, Decoded, ITEMS_MAX, Item, JSON_DEPTH_MAX, json};
use row::Said;
pub(super) use row::map;

/// What rows say they came from.
const DIALECT: &str = "langfuse";
/// Before the names of fields that no table names.
const PREFIX: &str = "langfuse.";
/// A body stands in an event in a list in an object.
const BATCH_DEPTH_MAX: usize = JSON_DEPTH_MAX + 2;

fn text_of<'a>(doc: DocRef<'a>, key: &str) -> Option<&'a str> {
    let text = doc.get(key).and_then(DocRef::as_str);
    text.filter(|text| !text.is_empty())
}

/// `POST /api/public/ingestion`.
pub(super) fn decode_batch(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, BATCH_DEPTH_MAX)?;
    let Some(DocRef::Array(batch)) = object(parse(&doc))?.get("batch") else {
        return Err(DecodeError::Shape {
            field: "batch".to_owned(),
            problem: "expected a list".to_owned(),
        });
    };
    let mut decoded = Decoded::default();
    for (index, event) in batch.flatten().enumerate() {
        if index == ITEMS_MAX {
            return Err(DecodeError::Items);
        }
        let before = decoded.events.len();
        let (kind, result) = read_event(ctx, index, event, &mut decoded);
        if result.is_err() {
            decoded.events.truncate(before);
        }
        let (trace_id, error) = match result {
            Ok(trace_id) => (trace_id, None),
            Err(bad) => (None, Some(bad.message())),
        };
        decoded.items.push(Item {
            index,
            kind,
            trace_id,
            id: Some(text_of(event, "id").unwrap_or("").to_owned()),
            error,
        });
    }
    Ok(decoded)
}

/// Reads one event of a batch: what it is about, and the trace it belongs to.
fn read_event(
    ctx: &Context<'_>,
    index: usize,
    event: DocRef<'_>,
    decoded: &mut Decoded,
) -> (&'static str, Result<Option<String>, Bad>) {
    let Some(word) = event.get("type").and_then(DocRef::as_str) else {
        return ("unknown", Err(Bad::new("type", "missing")));
    };
    let Some(body @ DocRef::Map(_)) = event.get("body") else {
        return ("unknown", Err(Bad::new("body", "expected an object")));
    };
    let sent = event.get("timestamp").filter(|v| *v != DocRef::Null);
    let at_ns = match (sent, time_of(sent)) {
        (_, Some(ns)) => ns,
        (None, None) => ctx.received_ns,
        (Some(_), None) => {
            let bad = Bad::new("timestamp", "expected a time in RFC 3339");
            return ("unknown", Err(bad));
        }
    };
    let minted = ctx.mint("lf_", u64::try_from(index).unwrap_or(u64::MAX));
    let mut said = Said {
        is_create: true,
        observation: None,
        at_ns,
        minted: &minted,
    };
    let in_body = |mut bad: Bad| {
        bad.field = format!("body.{}", bad.field);
        bad
    };
    match word {
        "trace-create" => {
            let result = row::read_trace(body, said, &mut decoded.events);
            ("trace", result.map(Some).map_err(in_body))
        }
        "score-create" => {
            let result = score::read(body, &minted, at_ns).map(|event| {
                let trace_id = event.key.trace_id.to_string();
                decoded.events.push(event);
                Some(trace_id)
            });
            ("score", result.map_err(in_body))
        }
        // What an SDK writes about itself: nothing of the user's program.
        "sdk-log" => ("log", Ok(None)),
        _ => {
            let Some((noun, verb @ ("create" | "update"))) = word.rsplit_once('-') else {
                return ("unknown", Err(unknown(word)));
            };
            said.is_create = verb == "create";
            if noun == "observation" {
                let named = text_of(body, "type");
                said.observation = named.and_then(row::observation);
                if let (Some(named), None) = (named, said.observation) {
                    let bad = Bad::new("body.type", format!("unknown type={}", short(named)));
                    return ("observation", Err(bad));
                }
            } else if let Some(known) = row::observation(noun) {
                said.observation = Some(known);
            } else {
                return ("unknown", Err(unknown(word)));
            }
            let result = row::read_observation(body, said, &mut decoded.events);
            ("observation", result.map(Some).map_err(in_body))
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

fn unknown(word: &str) -> Bad {
    Bad::new("type", format!("unknown event type={}", short(word)))
}

/// `POST /api/public/scores`: one score or a list of scores.
pub(super) fn decode_scores(ctx: &Context<'_>, body: &[u8]) -> Result<Decoded, DecodeError> {
    let doc = json::read(body, JSON_DEPTH_MAX + 1)?;
    let mut decoded = Decoded::default();
    match parse(&doc) {
        DocRef::Array(scores) => {
            for (index, score) in scores.flatten().enumerate() {
                if index == ITEMS_MAX {
                    return Err(DecodeError::Items);
                }
                put_score(ctx, index, score, &mut decoded);
            }
        }
        score => put_score(ctx, 0, object(score)?, &mut decoded),
    }
    Ok(decoded)
}

fn put_score(ctx: &Context<'_>, index: usize, score: DocRef<'_>, decoded: &mut Decoded) {
    let minted = ctx.mint("lf_", u64::try_from(index).unwrap_or(u64::MAX));
    let (trace_id, id, error) = match score::read(score, &minted, ctx.received_ns) {
        Ok(event) => {
            let key = event.key.clone();
            decoded.events.push(event);
            (
                Some(key.trace_id.to_string()),
                Some(key.id.to_string()),
                None,
            )
        }
        Err(bad) => (None, None, Some(bad.message())),
    };
    decoded.items.push(Item {
        index,
        kind: "score",
        trace_id,
        id,
        error,
    });
}

#[cfg(test)]
mod tests;
