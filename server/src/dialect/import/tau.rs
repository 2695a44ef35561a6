//! Runs of tau-bench: `task_id`, `trial`, `reward`, `info` and the conversation `traj`. A run is a trace, its
//! task a thread; a reward of 1 is a success.

use serde_json::{Value, json};

use super::{Traces, id_of, lines, messages, rest, second, set};
use crate::dialect::{Context, DecodeError};

pub(super) fn read(body: &[u8], ctx: &Context<'_>) -> Result<Traces, DecodeError> {
    let mut traces = Traces::default();
    let is_list = body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    let runs: Vec<(usize, Result<Value, String>)> = if is_list {
        let document = super::document(body)?;
        let all = document.as_array().cloned().unwrap_or_default();
        (1..).zip(all.into_iter().map(Ok)).collect()
    } else {
        lines(body).collect()
    };
    for (line, run) in runs {
        match run.and_then(|run| trace(&run, ctx)) {
            Ok(trace) => traces.made.push((line, trace)),
            Err(problem) => traces.bad.push((line, problem)),
        }
    }
    Ok(traces)
}

fn trace(run: &Value, ctx: &Context<'_>) -> Result<Value, String> {
    let said = run.get("traj").and_then(Value::as_array);
    let said = said.ok_or("traj: expected a list of messages")?;
    let task = run.get("task_id").filter(|task| !task.is_null());
    let task = task.ok_or("task_id: missing")?;
    let id = id_of("tau_", run.to_string().as_bytes());
    let at = |place: usize, step: &mut Value| {
        step["step_id"] = format!("{id}-{place}").into();
        step["index"] = place.into();
        step["started_at"] = second(ctx, place).into();
        step["ended_at"] = second(ctx, place + 1).into();
    };
    let steps = messages::steps(said, None, &at);
    let reward = run.get("reward").and_then(Value::as_f64);
    let is_solved = reward == Some(1.0);
    let mut metadata = rest(run, &["traj"]);
    metadata.insert("times".to_owned(), "synthesised".into());
    let mut made = json!({
        "trace_id": id,
        "name": format!("task {task}"),
        "run_type": "agent",
        "platform": "tau-bench",
        "group": format!("task-{task}"),
        "status": if is_solved { "success" } else { "error" },
        "started_at": second(ctx, 0),
        "ended_at": second(ctx, steps.len()),
        "metadata": metadata,
        "steps": steps,
    });
    set(
        &mut made,
        "user_id",
        run.pointer("/info/task/user_id").cloned(),
    );
    if let Some(reward) = reward {
        made["annotations"] = json!([{ "label": "reward", "score": reward }]);
        if !is_solved {
            made["error_message"] = format!("reward {reward}").into();
        }
    }
    Ok(made)
}
