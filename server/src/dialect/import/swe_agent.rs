//! Trajectories of SWE-agent (`trajectory` and `history`) and of mini-SWE-agent (`messages`). What the model
//! answered is an llm step; what its action led to is a tool step below it.

use serde_json::{Map, Value, json};

use super::{Traces, id_of, messages, rest, second, set, shape, text};
use crate::dialect::{Context, DecodeError};

pub(super) fn read(file: &Value, body: &[u8], ctx: &Context<'_>) -> Result<Traces, DecodeError> {
    let id = id_of("swe_", body);
    let list = |key: &str| file.get(key).and_then(Value::as_array);
    // Old files of mini-SWE-agent are the messages alone.
    let said = list("messages")
        .or_else(|| list("history"))
        .or_else(|| file.as_array());
    let steps = match (list("trajectory"), said) {
        (Some(turns), said) => turns_of(turns, said.map_or(&[], Vec::as_slice), &id, ctx),
        (None, Some(said)) => {
            let at = |place: usize, step: &mut Value| timed(step, &id, place, ctx);
            messages::steps(said, None, &at)
        }
        (None, None) => return Err(shape("trajectory", "missing, and no messages")),
    };
    let info = file.get("info").cloned().unwrap_or_default();
    let exit = text(&info, "exit_status");
    let is_done = exit.is_none_or(|exit| exit.to_ascii_lowercase().starts_with("submitted"));
    let mut metadata = rest(file, &["trajectory", "history", "messages"]);
    metadata.insert("times".to_owned(), "synthesised".into());
    let mut made = json!({
        "trace_id": id,
        "name": text(file, "environment").unwrap_or("swe-agent"),
        "run_type": "agent",
        "platform": "swe-agent",
        "status": if is_done { "success" } else { "error" },
        "started_at": second(ctx, 0),
        "ended_at": second(ctx, steps.len()),
        "metadata": metadata,
        "steps": steps,
    });
    if !is_done {
        set(&mut made, "error_message", exit);
    }
    let stats = info.get("model_stats").unwrap_or(&Value::Null);
    set(&mut made, "cost_usd", stats.get("instance_cost").cloned());
    let mut tokens = Map::new();
    for (sent, name) in [("tokens_sent", "input"), ("tokens_received", "output")] {
        if let Some(count) = stats.get(sent).and_then(Value::as_i64) {
            tokens.insert(name.to_owned(), count.into());
        }
    }
    set(
        &mut made,
        "token_usage",
        (!tokens.is_empty()).then_some(tokens),
    );
    Ok(Traces::one(made))
}

fn timed(step: &mut Value, id: &str, place: usize, ctx: &Context<'_>) {
    step["step_id"] = format!("{id}-{place}").into();
    step["index"] = place.into();
    step["started_at"] = second(ctx, place).into();
    step["ended_at"] = second(ctx, place + 1).into();
}

/// Two steps a turn. The first has what was said before the first answer, each other one what the tool showed.
fn turns_of(turns: &[Value], history: &[Value], id: &str, ctx: &Context<'_>) -> Vec<Value> {
    let before = history
        .iter()
        .take_while(|said| text(said, "role") != Some("assistant"));
    let mut said: Vec<Value> = before.map(messages::message).collect();
    let mut made: Vec<Value> = Vec::new();
    for turn in turns {
        let mut metadata = rest(
            turn,
            &["action", "observation", "response", "execution_time"],
        );
        // What the model was sent is in the steps before.
        metadata.remove("query");
        let action = text(turn, "action").unwrap_or("");
        let answer = text(turn, "response").unwrap_or(action);
        said.push(json!({ "role": "assistant", "content": messages::parts(&answer.into()) }));
        let mut step = json!({
            "type": "llm", "name": "answer", "status": "success",
            "messages": std::mem::take(&mut said), "metadata": metadata,
        });
        timed(&mut step, id, made.len(), ctx);
        let parent = step["step_id"].clone();
        made.push(step);
        let observation = turn.get("observation").cloned().unwrap_or_default();
        let mut call = json!({
            "id": format!("{id}-call-{}", made.len()),
            "name": action.split_whitespace().next().unwrap_or(""),
            "arguments": { "action": action },
            "result": observation,
        });
        let seconds = turn.get("execution_time").and_then(Value::as_f64);
        set(
            &mut call,
            "latency_ms",
            seconds.map(|seconds| (seconds * 1000.0).round()),
        );
        let mut step = json!({
            "type": "tool", "name": call["name"], "status": "success", "tool_calls": [call],
            "parent_step_id": parent,
        });
        timed(&mut step, id, made.len(), ctx);
        made.push(step);
    }
    made
}
