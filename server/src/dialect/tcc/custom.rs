//! A run, a step or a tool call by itself.

use obsrv_engine::doc::DocRef;
use obsrv_engine::model::{self, status};
use obsrv_engine::row::{Event, RowKey, Table};

use super::{DIALECT, FieldOf, checked, required, text_of, write};
use crate::dialect::bad::Bad;
use crate::dialect::pieces::{Piece, Times, key};
use crate::dialect::theta::check::{Want, time_of, whole};
use crate::dialect::tokens::{Tokens, count};
use crate::dialect::{Context, version_of};

const RUN: [FieldOf; 11] = [
    ("type", "", Want::Text),
    ("run_id", "", Want::Id),
    ("start_time", "", Want::Time),
    ("end_time", "", Want::Time),
    ("status_code", "status_code", Want::Number),
    ("status_message", "status_message", Want::Text),
    ("session_id", model::GROUP, Want::Text),
    ("prompt", "input", Want::Any),
    ("response", "output", Want::Any),
    ("conversational", "conversational", Want::Any),
    ("metadata", model::METADATA, Want::Metadata),
];
const STEP: [FieldOf; 17] = [
    ("type", "", Want::Text),
    ("run_id", "", Want::Id),
    ("step_id", "", Want::Id),
    ("start_time", "", Want::Time),
    ("end_time", "", Want::Time),
    ("status_code", "status_code", Want::Number),
    ("status_message", "status_message", Want::Text),
    ("prompt", "input", Want::Any),
    ("response", "output", Want::Any),
    ("model_requested", "model_requested", Want::Text),
    ("model_used", "model_used", Want::Text),
    ("finish_reason", "finish_reason", Want::Text),
    ("prompt_uncached_tokens", "", Want::Number),
    ("prompt_cached_tokens", "", Want::Number),
    ("completion_tokens", "", Want::Number),
    ("real_total_cost", model::COST_USD, Want::Number),
    ("tool_definitions", "tool_definitions", Want::Any),
];
const TOOL_CALL: [FieldOf; 10] = [
    ("type", "", Want::Text),
    ("run_id", "", Want::Id),
    ("tool_call_id", "", Want::Id),
    ("tool_name", model::NAME, Want::Text),
    ("start_time", "", Want::Time),
    ("end_time", "", Want::Time),
    ("status_code", "status_code", Want::Number),
    ("status_message", "status_message", Want::Text),
    ("args", "input", Want::Any),
    ("result", "output", Want::Any),
];

/// Reads what `type` names.
pub(super) fn read(ctx: &Context<'_>, doc: DocRef<'_>) -> (&'static str, Result<Event, Bad>) {
    match text_of(doc, "type") {
        Some("run") => ("run", run(doc)),
        Some("step") => ("step", step(ctx, doc)),
        Some("tool_call") => ("tool_call", tool_call(ctx, doc)),
        _ => {
            let bad = Bad::new("type", "expected run, step or tool_call");
            ("unknown", Err(bad))
        }
    }
}

/// What all three say: when, and how it went.
fn begun(table: Table, doc: DocRef<'_>) -> (Piece, Times) {
    let times = Times {
        start_ns: time_of(doc.get("start_time")),
        end_ns: time_of(doc.get("end_time")),
    };
    let mut piece = Piece::new(table, DIALECT);
    let failed = doc.get("status_code").and_then(whole) == Some(2);
    let state = match times.end_ns {
        _ if failed => status::ERROR,
        Some(_) => status::SUCCESS,
        None => status::RUNNING,
    };
    piece.text(model::STATUS, Some(state));
    if failed {
        piece.text(model::ERROR_MESSAGE, text_of(doc, "status_message"));
    }
    (piece, times)
}

fn finished(
    mut piece: Piece,
    times: Times,
    key: RowKey,
    (doc, fields): (DocRef<'_>, &[FieldOf]),
) -> Result<Event, Bad> {
    write(&mut piece, doc, fields)?;
    let version = version_of(times.end_ns, times.end_ns.is_some());
    Ok(piece.event(key, times, version, false))
}

fn run(doc: DocRef<'_>) -> Result<Event, Bad> {
    checked(doc, &RUN)?;
    let id = required(doc, "run_id")?;
    let (piece, times) = begun(Table::Runs, doc);
    finished(piece, times, key(id, id), (doc, &RUN))
}

/// The row of a step or tool call; neither says what is above it, but for its run.
fn row_of(ctx: &Context<'_>, doc: DocRef<'_>, field: &str) -> Result<RowKey, Bad> {
    let run_id = required(doc, "run_id")?;
    let id = text_of(doc, field).map_or_else(|| ctx.mint("cc_", 0), str::to_owned);
    Ok(key(run_id, &id))
}

fn step(ctx: &Context<'_>, doc: DocRef<'_>) -> Result<Event, Bad> {
    checked(doc, &STEP)?;
    let key = row_of(ctx, doc, "step_id")?;
    let (mut piece, times) = begun(Table::Spans, doc);
    piece.text(model::KIND, Some("llm"));
    let model = text_of(doc, "model_requested").or(text_of(doc, "model_used"));
    piece.text(model::MODEL, model);
    let counts = [
        "prompt_uncached_tokens",
        "prompt_cached_tokens",
        "completion_tokens",
    ];
    let [input, cached, output] = counts.map(|field| count(doc, field));
    if (input, cached, output) != (None, None, None) {
        let tokens = Tokens {
            input: input.unwrap_or(0),
            cache_read: cached.unwrap_or(0),
            output: output.unwrap_or(0),
            ..Tokens::default()
        };
        tokens.write(&mut piece.out);
    }
    finished(piece, times, key, (doc, &STEP))
}

fn tool_call(ctx: &Context<'_>, doc: DocRef<'_>) -> Result<Event, Bad> {
    checked(doc, &TOOL_CALL)?;
    let key = row_of(ctx, doc, "tool_call_id")?;
    let (mut piece, times) = begun(Table::Spans, doc);
    piece.text(model::KIND, Some("tool"));
    piece.text(model::TOOL, text_of(doc, "tool_name"));
    finished(piece, times, key, (doc, &TOOL_CALL))
}
