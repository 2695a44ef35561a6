//! Evaluation logs of Inspect. A sample is a trace, its evaluation a run id; spans, model calls and
//! calls of tools are steps by their own ids and parents, scores are annotations.
//!
//! `state` and `store` events are changes to a value that the sample has as a whole; they are counted, not kept.

use serde_json::{Map, Value, json};

use super::{Traces, messages, rest, set, shape, text};
use crate::dialect::DecodeError;
use crate::limits::ARCHIVE_BYTES_MAX;

/// Fields of a sample that have a place of their own.
const TAKEN: [&str; 10] = [
    "message_pool",
    "call_pool",
    "events_data",
    "events",
    "messages",
    "scores",
    "attachments",
    "uuid",
    "output",
    "model_usage",
];
/// Events that say nothing that is not elsewhere.
const COUNTED: [&str; 4] = ["state", "store", "sample_init", "span_end"];
/// What letters of a score are worth, as Inspect counts them.
const WORTH: [(&str, f64); 4] = [("C", 1.0), ("P", 0.5), ("I", 0.0), ("N", 0.0)];

pub(super) fn read(file: &Value) -> Result<Traces, DecodeError> {
    let eval = file.get("eval").ok_or_else(|| shape("eval", "missing"))?;
    let samples = file.get("samples").and_then(Value::as_array);
    let mut traces = Traces::default();
    for numbered in (1..).zip(samples.into_iter().flatten()) {
        sample(file, eval, numbered, &mut traces);
    }
    Ok(traces)
}

/// One sample: its place, and what is said of it.
pub(super) fn sample(
    file: &Value,
    eval: &Value,
    (place, sample): (usize, &Value),
    traces: &mut Traces,
) {
    match trace(file, eval, sample) {
        Ok(made) => traces.made.push((place, made)),
        Err(problem) => traces.bad.push((place, problem)),
    }
}

fn trace(file: &Value, eval: &Value, sample: &Value) -> Result<Value, String> {
    let field = |of: &Value, key: &str| of.get(key).cloned().unwrap_or_default();
    let run = text(eval, "eval_id")
        .or_else(|| text(eval, "run_id"))
        .unwrap_or("");
    let numbered = format!(
        "{run}-{}-{}",
        shown(&field(sample, "id")),
        field(sample, "epoch")
    );
    let id = text(sample, "uuid").map_or_else(|| format!("inspect_{numbered}"), str::to_owned);
    let model = text(eval, "model");
    let mut walk = Walk::new(&id, model, sample);
    let events = sample.get("events").and_then(Value::as_array);
    for event in events.into_iter().flatten() {
        walk.event(event);
    }
    if walk.pool.is_over {
        return Err(format!(
            "messages of its pool come to too much max_bytes={ARCHIVE_BYTES_MAX}"
        ));
    }
    let began = events.and_then(|all| text(all.first()?, "timestamp"));
    let began = began
        .or_else(|| text(eval, "created"))
        .unwrap_or("")
        .to_owned();
    if walk.steps.is_empty() {
        walk.conversation(sample, &began);
    }
    let mut metadata = rest(sample, &TAKEN);
    metadata.insert("eval".to_owned(), eval.clone());
    if !walk.counted.is_empty() {
        metadata.insert("events_left_out".to_owned(), Value::Object(walk.counted));
    }
    let error = sample.get("error").filter(|error| !error.is_null());
    let mut made = json!({
        "trace_id": id,
        "name": format!("{} {}", text(eval, "task").unwrap_or("eval"), shown(&field(sample, "id"))),
        "run_type": "evaluation",
        "platform": "inspect",
        "status": if error.is_some() || text(file, "status") == Some("error") { "error" } else { "success" },
        "started_at": began,
        "ended_at": walk.last.unwrap_or(began.clone()),
        "metadata": metadata,
        "steps": walk.steps,
        "annotations": scores(sample),
    });
    set(&mut made, "run_id", Some(run).filter(|run| !run.is_empty()));
    set(&mut made, "model", model);
    set(
        &mut made,
        "error_message",
        error.map(|error| shown(error.get("message").unwrap_or(error))),
    );
    set(
        &mut made,
        "output",
        sample.pointer("/output/completion").cloned(),
    );
    Ok(made)
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A score for each scorer; what it is beside a number stays on it.
fn scores(sample: &Value) -> Vec<Value> {
    let all = sample.get("scores").and_then(Value::as_object);
    let made = all.into_iter().flatten().map(|(name, score)| {
        let value = score.get("value").cloned().unwrap_or_default();
        let worth = WORTH.iter().find(|(letter, _)| value == **letter);
        let number = value
            .as_f64()
            .or(value.as_bool().map(|yes| f64::from(u8::from(yes))));
        let mut made = json!({ "label": name, "value": value });
        set(
            &mut made,
            "score",
            worth.map(|(_, worth)| *worth).or(number),
        );
        set(&mut made, "comment", text(score, "explanation"));
        set(&mut made, "answer", score.get("answer").cloned());
        made
    });
    made.collect()
}

/// Messages of a sample that calls of models refer to by their places, so that a conversation that grows is written once.
struct Pool<'a> {
    messages: Vec<(&'a Value, usize)>,
    /// Bytes that may still be said again: places are short, and what they stand for is not.
    left: usize,
    is_over: bool,
}

impl<'a> Pool<'a> {
    fn of(sample: &'a Value) -> Self {
        let pool = sample
            .get("message_pool")
            .or_else(|| sample.pointer("/events_data/messages"));
        let messages = pool.and_then(Value::as_array).into_iter().flatten();
        Self {
            messages: messages
                .map(|message| (message, message.to_string().len()))
                .collect(),
            left: ARCHIVE_BYTES_MAX,
            is_over: false,
        }
    }

    /// The messages of these ranges of places.
    fn referred(&mut self, refs: &Value) -> Vec<Value> {
        let mut found = Vec::new();
        for range in refs.as_array().into_iter().flatten() {
            let place = |at: usize| usize::try_from(range.get(at)?.as_u64()?).ok();
            let (Some(from), Some(to)) = (place(0), place(1)) else {
                continue;
            };
            for (message, len) in self.messages.get(from..to).unwrap_or_default() {
                let Some(left) = self.left.checked_sub(*len) else {
                    self.is_over = true;
                    return Vec::new();
                };
                self.left = left;
                found.push((*message).clone());
            }
        }
        found
    }
}

/// The events of one sample on their way into steps.
struct Walk<'a> {
    id: &'a str,
    model: Option<&'a str>,
    attachments: Option<&'a Value>,
    pool: Pool<'a>,
    steps: Vec<Value>,
    /// Places of the steps that are open, of logs whose steps nest without ids.
    open: Vec<usize>,
    counted: Map<String, Value>,
    last: Option<String>,
}

impl<'a> Walk<'a> {
    fn new(id: &'a str, model: Option<&'a str>, sample: &'a Value) -> Self {
        Self {
            id,
            model,
            attachments: sample.get("attachments"),
            pool: Pool::of(sample),
            steps: Vec::new(),
            open: Vec::new(),
            counted: Map::new(),
            last: None,
        }
    }

    fn event(&mut self, event: &Value) {
        let at = text(event, "timestamp").unwrap_or("").to_owned();
        self.last = Some(text(event, "completed").map_or_else(|| at.clone(), str::to_owned));
        let kind = text(event, "event").unwrap_or("");
        match (kind, text(event, "action")) {
            ("span_begin", _) => {
                self.begin(event, &at);
            }
            ("step", Some("begin")) => {
                let place = self.begin(event, &at);
                self.open.push(place);
            }
            ("step", _) => {
                let ended = self.open.pop().and_then(|place| self.steps.get_mut(place));
                if let Some(step) = ended {
                    step["ended_at"] = at.into();
                }
            }
            ("model", _) => self.model_call(event, &at),
            ("tool", _) => self.tool_call(event, &at),
            (kind, _) if COUNTED.contains(&kind) => self.left_out(event, kind, at),
            (kind, _) => {
                let step = self.step(event, &at, "custom", kind);
                step["metadata"] = json!({ "event": event });
            }
        }
    }

    fn left_out(&mut self, event: &Value, kind: &str, at: String) {
        if kind == "span_end" {
            let id = text(event, "id");
            let is_it = |step: &&mut Value| text(step, "step_id") == id;
            if let Some(step) = self.steps.iter_mut().find(is_it) {
                step["ended_at"] = at.into();
            }
            return;
        }
        let count = self.counted.get(kind).and_then(Value::as_u64).unwrap_or(0);
        self.counted.insert(kind.to_owned(), (count + 1).into());
    }

    fn begin(&mut self, event: &Value, at: &str) -> usize {
        let name = text(event, "name").unwrap_or("span");
        let id = text(event, "id").map(str::to_owned);
        let parent = text(event, "parent_id").map(str::to_owned);
        let kind = text(event, "type").map(str::to_owned);
        let step = self.step(event, at, "custom", name);
        if id.is_some() {
            step["parent_step_id"] = Value::Null;
        }
        set(step, "step_id", id);
        set(step, "parent_step_id", parent);
        set(step, "metadata", kind.map(|kind| json!({ "type": kind })));
        self.steps.len() - 1
    }

    fn step(&mut self, event: &Value, at: &str, kind: &str, name: &str) -> &mut Value {
        let place = self.steps.len();
        let open = self.open.last().and_then(|place| self.steps.get(*place));
        let above = open
            .and_then(|step| text(step, "step_id"))
            .map(str::to_owned);
        let parent = text(event, "span_id").map(str::to_owned).or(above);
        let ended = text(event, "completed").unwrap_or(at);
        let mut step = json!({
            "step_id": format!("{}-{place}", self.id),
            "index": place,
            "type": kind,
            "name": name,
            "status": "success",
            "started_at": at,
            "ended_at": ended,
        });
        set(&mut step, "parent_step_id", parent);
        self.steps.push(step);
        &mut self.steps[place]
    }

    /// What a text stands for that was kept apart.
    fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let id = text.strip_prefix("attachment://");
                let found = id.and_then(|id| self.attachments?.get(id));
                found.unwrap_or(value).clone()
            }
            Value::Array(all) => all.iter().map(|value| self.resolved(value)).collect(),
            Value::Object(all) => {
                let each = all
                    .iter()
                    .map(|(key, value)| (key.clone(), self.resolved(value)));
                Value::Object(each.collect())
            }
            other => other.clone(),
        }
    }

    fn model_call(&mut self, event: &Value, at: &str) {
        let referred = event.get("input_refs").filter(|refs| !refs.is_null());
        let referred = referred.map(|refs| Value::Array(self.pool.referred(refs)));
        let input = referred.as_ref().or_else(|| event.get("input"));
        let input = self.resolved(input.unwrap_or(&Value::Null));
        let mut said: Vec<Value> = match &input {
            Value::Array(all) => all.iter().map(messages::message).collect(),
            _ => Vec::new(),
        };
        let output = self.resolved(event.get("output").unwrap_or(&Value::Null));
        if let Some(answer) = output.pointer("/choices/0/message") {
            said.push(messages::message(answer));
        }
        let model = text(event, "model").or(self.model).map(str::to_owned);
        let taken = [
            "event",
            "timestamp",
            "completed",
            "span_id",
            "input",
            "input_refs",
            "output",
            "call",
            "call_refs",
            "model",
        ];
        let mut metadata = rest(event, &taken);
        if let Some(why) = output.pointer("/choices/0/stop_reason") {
            metadata.insert("stop_reason".to_owned(), why.clone());
        }
        let error = text(event, "error").or_else(|| text(&output, "error"));
        let (error, usage) = (error.map(str::to_owned), output.get("usage").map(tokens));
        let step = self.step(event, at, "llm", model.as_deref().unwrap_or("model"));
        step["messages"] = said.into();
        step["metadata"] = metadata.into();
        set(step, "model", model);
        set(step, "token_usage", usage);
        fail(step, error);
    }

    fn tool_call(&mut self, event: &Value, at: &str) {
        let name = text(event, "function").unwrap_or("").to_owned();
        let error = event.get("error").filter(|error| !error.is_null());
        let error = error.map(|error| shown(error.get("message").unwrap_or(error)));
        let mut call = json!({
            "id": text(event, "id").unwrap_or(""),
            "name": name,
            "arguments": messages::arguments(event.get("arguments")),
            "result": self.resolved(event.get("result").unwrap_or(&Value::Null)),
        });
        set(&mut call, "error", error.clone());
        let step = self.step(event, at, "tool", &name);
        step["tool_calls"] = json!([call]);
        fail(step, error);
    }

    /// A sample without events has its messages alone.
    fn conversation(&mut self, sample: &Value, at: &str) {
        let all = self.resolved(sample.get("messages").unwrap_or(&Value::Null));
        let fields = |place: usize, step: &mut Value| {
            step["step_id"] = format!("{}-{place}", self.id).into();
            step["index"] = place.into();
            step["started_at"] = at.into();
            step["ended_at"] = at.into();
        };
        self.steps = messages::steps(
            all.as_array().map_or(&[], Vec::as_slice),
            self.model,
            &fields,
        );
    }
}

fn fail(step: &mut Value, error: Option<String>) {
    if error.is_some() {
        step["status"] = "error".into();
        set(step, "error_message", error);
    }
}

/// Inspect's buckets: what a cache did stands beside the input.
fn tokens(usage: &Value) -> Value {
    let mut made = Map::new();
    for (sent, name) in [
        ("input_tokens", "input"),
        ("output_tokens", "output"),
        ("total_tokens", "total"),
        ("input_tokens_cache_read", "cache_read"),
        ("input_tokens_cache_write", "cache_write"),
        ("reasoning_tokens", "reasoning"),
    ] {
        if let Some(count) = usage.get(sent).and_then(Value::as_i64) {
            made.insert(name.to_owned(), count.into());
        }
    }
    // Of the output the reasoning is a part.
    let part = |name: &str| made.get(name).and_then(Value::as_i64).unwrap_or(0);
    let fresh = part("output") - part("reasoning");
    if part("reasoning") > 0 && fresh >= 0 {
        made.insert("output".to_owned(), fresh.into());
    }
    made.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_is_said_over_and_over_is_bounded() {
        let message = json!({ "role": "user", "content": "hi" });
        let sample = json!({ "events_data": { "messages": [message, 1] } });
        let len = message.to_string().len();
        let with = |times: usize| {
            let mut pool = Pool {
                left: 3 * len,
                ..Pool::of(&sample)
            };
            let said = pool.referred(&vec![json!([0, 1]); times].into());
            (said.len(), pool.is_over)
        };
        assert_eq!((with(3), with(4)), ((3, false), (0, true)));
        let mut pool = Pool::of(&sample);
        assert_eq!(pool.left, ARCHIVE_BYTES_MAX);
        let odd = json!([[1, 2], [0, 9], [2, 1], "x", [0], [-1, 1]]);
        assert_eq!(pool.referred(&odd), [json!(1)]);
    }
}
