//! Sessions of Claude Code. A session is a thread; what a person says begins a trace, which lasts until they
//! speak again. An answer is one llm step, however many lines it was written in: its use counts once. A call of
//! a tool and its result are one tool step below it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{Traces, lines, messages, rest, set, text};

/// What has a place of its own in a trace or a step.
const TAKEN: [&str; 6] = [
    "type",
    "uuid",
    "timestamp",
    "sessionId",
    "message",
    "parentUuid",
];

pub(super) fn read(body: &[u8]) -> Traces {
    let mut session = Session::default();
    for (line, value) in lines(body) {
        let taken = value.and_then(|value| session.line(line, &value));
        if let Err(problem) = taken {
            session.traces.bad.push((line, problem));
        }
    }
    session.end_turn();
    for (leaf, summary) in session.summaries {
        if let Some(place) = session.turn_of.get(&leaf)
            && let Some((_, trace)) = session.traces.made.get_mut(*place)
        {
            trace["metadata"]["summary"] = summary.into();
        }
    }
    session.traces
}

#[derive(Default)]
struct Session {
    traces: Traces,
    turn: Option<Turn>,
    /// Of a line the trace it became part of.
    turn_of: HashMap<String, usize>,
    summaries: Vec<(String, String)>,
}

/// A trace that is still read.
struct Turn {
    line: usize,
    trace: Value,
    steps: Vec<Value>,
    /// Of an answer's id its step.
    answers: HashMap<String, usize>,
    /// Of a call's id its step.
    calls: HashMap<String, usize>,
    /// What was said since the last answer.
    said: Vec<Value>,
    last: String,
    others: Map<String, Value>,
}

impl Session {
    fn line(&mut self, line: usize, value: &Value) -> Result<(), String> {
        let kind = text(value, "type").ok_or("type: missing")?;
        if kind == "summary" {
            let both = text(value, "leafUuid").zip(text(value, "summary"));
            let (leaf, summary) = both.ok_or("summary: expected summary and leafUuid")?;
            self.summaries.push((leaf.to_owned(), summary.to_owned()));
            return Ok(());
        }
        let uuid = text(value, "uuid");
        match kind {
            "user" | "assistant" | "system" => {
                let uuid = uuid
                    .filter(|uuid| !uuid.is_empty())
                    .ok_or("uuid: missing")?;
                let at = text(value, "timestamp").ok_or("timestamp: missing")?;
                if self.turn.is_none() || begins(value) {
                    self.end_turn();
                    self.turn = Some(Turn::new(line, value, uuid, at));
                }
                self.turn_of.insert(uuid.to_owned(), self.traces.made.len());
            }
            // What the client keeps for itself is counted.
            _ => {}
        }
        let Some(turn) = &mut self.turn else {
            return Ok(());
        };
        match kind {
            "user" => turn.heard(value),
            "assistant" => turn.answered(value),
            "system" => turn.noted(value),
            other => {
                let count = turn.others.get(other).and_then(Value::as_u64).unwrap_or(0);
                turn.others.insert(other.to_owned(), (count + 1).into());
            }
        }
        Ok(())
    }

    fn end_turn(&mut self) {
        if let Some(turn) = self.turn.take() {
            self.traces.made.push((turn.line, turn.done()));
        }
    }
}

/// Whether a person speaks: no result of a tool, no agent below the first.
fn begins(value: &Value) -> bool {
    let is_flagged = |key: &str| value.get(key) == Some(&Value::Bool(true));
    if text(value, "type") != Some("user") || is_flagged("isSidechain") || is_flagged("isMeta") {
        return false;
    }
    let content = value.pointer("/message/content");
    let parts = content.and_then(Value::as_array);
    let is_result = |part: &Value| text(part, "type") == Some("tool_result");
    content.is_some_and(|content| !content.is_null())
        && !parts.is_some_and(|parts| parts.iter().any(is_result))
}

impl Turn {
    fn new(line: usize, value: &Value, uuid: &str, at: &str) -> Self {
        // A session that was forked has the lines of the one before under their old ids.
        let trace_id =
            text(value, "sessionId").map_or_else(|| uuid.to_owned(), |of| format!("{of}:{uuid}"));
        let mut trace = json!({
            "trace_id": trace_id,
            "name": title(value),
            "run_type": "agent",
            "platform": "claude-code",
            "status": "success",
            "started_at": at,
            "metadata": rest(value, &TAKEN),
        });
        set(&mut trace, "group", text(value, "sessionId"));
        Self {
            line,
            trace,
            steps: Vec::new(),
            answers: HashMap::new(),
            calls: HashMap::new(),
            said: Vec::new(),
            last: at.to_owned(),
            others: Map::new(),
        }
    }

    fn step(&mut self, value: &Value, kind: &str, name: &str) -> &mut Value {
        let at = text(value, "timestamp").unwrap_or("").to_owned();
        self.last.clone_from(&at);
        let place = self.steps.len();
        self.steps.push(json!({
            "step_id": text(value, "uuid").unwrap_or(""),
            "index": place,
            "type": kind,
            "name": name,
            "status": "success",
            "started_at": at,
            "ended_at": at,
            "metadata": rest(value, &TAKEN),
        }));
        &mut self.steps[place]
    }

    /// What a person, or a tool, said.
    fn heard(&mut self, value: &Value) {
        if let Some(at) = text(value, "timestamp") {
            at.clone_into(&mut self.last);
        }
        let content = value
            .pointer("/message/content")
            .cloned()
            .unwrap_or_default();
        let is_result = |part: &Value| text(part, "type") == Some("tool_result");
        let (results, said): (Vec<Value>, Vec<Value>) = match content {
            Value::Array(parts) => parts.into_iter().partition(is_result),
            Value::Null => (Vec::new(), Vec::new()),
            other => (Vec::new(), messages::parts(&other)),
        };
        for result in &results {
            self.result(value, result);
        }
        if !said.is_empty() {
            let message = json!({ "role": "user", "content": said });
            self.said.push(messages::message(&message));
        }
    }

    fn result(&mut self, value: &Value, result: &Value) {
        let id = text(result, "tool_use_id").unwrap_or("");
        let place = if let Some(place) = self.calls.get(id) {
            *place
        } else {
            let call = json!({ "id": id, "name": "", "arguments": {} });
            self.step(value, "tool", "")["tool_calls"] = json!([call]);
            self.steps.len() - 1
        };
        let Some(step) = self.steps.get_mut(place) else {
            return;
        };
        step["tool_calls"][0]["result"] = result.get("content").cloned().unwrap_or_default();
        set(step, "ended_at", text(value, "timestamp"));
        if let Some(more) = value.get("toolUseResult") {
            step["metadata"]["toolUseResult"] = more.clone();
        }
        if result.get("is_error") == Some(&Value::Bool(true)) {
            let why = result
                .get("content")
                .and_then(Value::as_str)
                .unwrap_or("failed");
            step["status"] = "error".into();
            step["error_message"] = why.into();
            step["tool_calls"][0]["error"] = why.into();
        }
    }

    /// An answer, or more of one: its lines share the id of the message.
    fn answered(&mut self, value: &Value) {
        let message = value.get("message").cloned().unwrap_or_default();
        let parts = message.get("content").cloned().unwrap_or_default();
        let is_call = |part: &Value| text(part, "type") == Some("tool_use");
        let (asked, said): (Vec<Value>, Vec<Value>) = match parts {
            Value::Array(parts) => parts.into_iter().partition(is_call),
            Value::Null => (Vec::new(), Vec::new()),
            other => (Vec::new(), messages::parts(&other)),
        };
        let calls: Vec<Value> = asked.iter().map(call).collect();
        let id = text(&message, "id")
            .or_else(|| text(value, "uuid"))
            .unwrap_or("")
            .to_owned();
        let place = if let Some(place) = self.answers.get(&id) {
            *place
        } else {
            let mut said = std::mem::take(&mut self.said);
            said.push(json!({ "role": "assistant", "content": [], "tool_calls": [] }));
            self.step(value, "llm", "answer")["messages"] = said.into();
            let place = self.steps.len() - 1;
            self.answers.insert(id, place);
            place
        };
        let step = &mut self.steps[place];
        set(step, "model", text(&message, "model"));
        set(step, "ended_at", text(value, "timestamp"));
        set(step, "token_usage", message.get("usage").map(tokens));
        let answer = step["messages"]
            .as_array_mut()
            .and_then(|all| all.last_mut());
        if let Some(answer) = answer {
            let said = messages::parts(&Value::Array(said));
            extend(answer, "content", said);
            extend(answer, "tool_calls", calls.clone());
        }
        let parent = self.steps[place]["step_id"].clone();
        for call in calls {
            let id = text(&call, "id").unwrap_or("").to_owned();
            let name = text(&call, "name").unwrap_or("").to_owned();
            let step = self.step(value, "tool", &name);
            step["step_id"] = id.as_str().into();
            step["parent_step_id"] = parent.clone();
            step["metadata"] = json!({});
            step["tool_calls"] = json!([call]);
            self.calls.insert(id, self.steps.len() - 1);
        }
    }

    /// What the client says of itself.
    fn noted(&mut self, value: &Value) {
        let name = text(value, "subtype").unwrap_or("system").to_owned();
        let said = value
            .get("content")
            .map(messages::parts)
            .unwrap_or_default();
        let step = self.step(value, "custom", &name);
        step["messages"] = json!([{ "role": "system", "content": said }]);
    }

    fn done(mut self) -> Value {
        if !self.said.is_empty() {
            // Nobody answered.
            let id = format!("{}-last", text(&self.trace, "trace_id").unwrap_or(""));
            let at = self.last.clone();
            let place = self.steps.len();
            self.steps.push(json!({
                "step_id": id, "index": place, "type": "human", "name": "last word", "status": "success",
                "started_at": at, "ended_at": at, "messages": self.said,
            }));
        }
        if !self.others.is_empty() {
            self.trace["metadata"]["lines_left_out"] = Value::Object(self.others);
        }
        self.trace["ended_at"] = self.last.into();
        self.trace["steps"] = self.steps.into();
        self.trace
    }
}

fn extend(message: &mut Value, key: &str, more: Vec<Value>) {
    if let Some(all) = message[key].as_array_mut() {
        all.extend(more);
    }
}

fn call(part: &Value) -> Value {
    json!({
        "id": text(part, "id").unwrap_or(""),
        "name": text(part, "name").unwrap_or(""),
        "arguments": messages::arguments(part.get("input")),
    })
}

/// Anthropic counts what a cache did beside the input: buckets that exclude one another.
fn tokens(usage: &Value) -> Value {
    let mut made = Map::new();
    for (sent, name) in [
        ("input_tokens", "input"),
        ("output_tokens", "output"),
        ("cache_read_input_tokens", "cache_read"),
        ("cache_creation_input_tokens", "cache_write"),
    ] {
        if let Some(count) = usage.get(sent).and_then(Value::as_i64) {
            made.insert(name.to_owned(), count.into());
        }
    }
    made.into()
}

/// The beginning of what was said.
fn title(value: &Value) -> String {
    let content = value
        .pointer("/message/content")
        .map(messages::parts)
        .unwrap_or_default();
    let said = content
        .iter()
        .find_map(|part| text(part, "text"))
        .unwrap_or("session");
    let line = said.trim().lines().next().unwrap_or("session");
    line.chars().take(80).collect()
}
