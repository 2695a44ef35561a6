//! Expected values are those of the recorded requests of the published clients.

use obsrv_engine::row::{ProjectId, Table};
use serde_json::{Value, json};

use super::*;
use crate::dialect::{Dialect, decode, doc_json};

const S: i64 = 1_000_000_000;
/// 2026-11-21T02:07:32Z.
const T0: i64 = 1_795_226_852 * S;

fn read(dialect: Dialect, body: &Value) -> Decoded {
    let ctx = Context {
        project: ProjectId(7),
        body_hash: 1,
        subject: "",
        received_ns: T0,
        key_id: 0,
    };
    decode(dialect, &ctx, body.to_string().as_bytes()).unwrap()
}

fn doc(event: &Event) -> Value {
    serde_json::from_str(&doc_json::to_text(parse(&event.doc))).unwrap()
}

fn refusal(decoded: &Decoded) -> &str {
    assert!(decoded.events.is_empty());
    decoded.items[0].error.as_deref().unwrap()
}

#[test]
fn a_run_a_step_and_a_tool_call_are_a_run_and_two_spans() {
    let run = json!({ "type": "run", "run_id": "r/ü 1", "start_time": "2026-11-21T02:07:32.784Z",
        "end_time": "2026-11-21T02:07:32.813Z", "status_code": 0,
        "prompt": { "user_prompt": "What?", "system_prompt": "Be brief." }, "session_id": "sess-1",
        "conversational": true, "response": "61F", "metadata": { "agentName": "weather" }, "new": [1] });
    let decoded = read(Dialect::TccCustom, &run);
    let [event] = &decoded.events[..] else {
        panic!("{decoded:?}")
    };
    assert_eq!(
        (event.table, &*event.key.trace_id, &*event.key.id),
        (Table::Runs, "r/ü 1", "r/ü 1")
    );
    assert_eq!(event.start_ns, Some(T0 + 784_000_000));
    assert_eq!(event.end_ns, Some(T0 + 813_000_000));
    assert_eq!(
        doc(event),
        json!({ "dialect": "tcc", "status": "success", "status_code": 0, "input": run["prompt"],
            "group": "sess-1", "conversational": true, "output": "61F", "metadata": run["metadata"],
            "tcc.new": [1] })
    );
    let step = json!({ "type": "step", "run_id": "r", "step_id": "s", "start_time": "2026-11-21T02:07:32.784Z",
        "end_time": "2026-11-21T02:07:32.793Z", "status_code": 0, "prompt": "[1]", "response": "ok",
        "model_requested": "gpt-4o", "model_used": "gpt-4o-2024-08-06", "finish_reason": "stop",
        "prompt_uncached_tokens": 100, "prompt_cached_tokens": 20, "completion_tokens": 30,
        "real_total_cost": 0.0012, "tool_definitions": "[]" });
    let decoded = read(Dialect::TccCustom, &step);
    assert_eq!(
        (&*decoded.events[0].key.trace_id, &*decoded.events[0].key.id),
        ("r", "s")
    );
    assert_eq!(
        doc(&decoded.events[0]),
        json!({ "dialect": "tcc", "status": "success", "kind": "llm", "model": "gpt-4o",
            "tokens": { "input": 100, "output": 30, "cache_read": 20, "total": 150 }, "status_code": 0,
            "input": "[1]", "output": "ok", "model_requested": "gpt-4o", "model_used": "gpt-4o-2024-08-06",
            "finish_reason": "stop", "cost_usd": 0.0012, "tool_definitions": "[]" })
    );
    let call = json!({ "type": "tool_call", "run_id": "r", "tool_call_id": "c", "tool_name": "lookup",
        "start_time": "2026-11-21T02:07:32.803Z", "end_time": "2026-11-21T02:07:32.804Z", "status_code": 2,
        "status_message": "HTTP 500", "args": "raw" });
    assert_eq!(
        doc(&read(Dialect::TccCustom, &call).events[0]),
        json!({ "dialect": "tcc", "status": "error", "error_message": "HTTP 500", "kind": "tool",
            "tool": "lookup", "name": "lookup", "status_code": 2, "status_message": "HTTP 500", "input": "raw" })
    );
}

#[test]
fn what_is_not_named_or_is_of_no_type_is_refused() {
    let custom = |body: Value| read(Dialect::TccCustom, &body);
    assert_eq!(
        refusal(&custom(json!({}))),
        "type: expected run, step or tool_call"
    );
    assert_eq!(
        refusal(&custom(json!({ "type": "run" }))),
        "run_id: missing"
    );
    assert_eq!(
        refusal(&custom(json!({ "type": "step", "step_id": "s" }))),
        "run_id: missing"
    );
    let unnamed = custom(json!({ "type": "tool_call", "run_id": "r" }));
    assert!(unnamed.events[0].key.id.starts_with("cc_"));
    let bad = custom(json!({ "type": "run", "run_id": "r", "start_time": "soon" }));
    assert!(refusal(&bad).starts_with("start_time: expected a time"));
}

#[test]
fn feedback_is_a_score_of_a_run_that_may_never_come() {
    let body = json!({ "runId": "never", "score": "thumbs_down", "text": "wrong" });
    let decoded = read(Dialect::TccFeedback, &body);
    let event = &decoded.events[0];
    assert_eq!(
        (event.table, &*event.key.trace_id),
        (Table::Scores, "never")
    );
    assert_eq!(
        doc(event),
        json!({ "dialect": "tcc", "name": "feedback", "score": 0, "label": "thumbs_down", "comment": "wrong" })
    );
    let up = read(
        Dialect::TccFeedback,
        &json!({ "runId": "r", "score": "thumbs_up" }),
    );
    assert_eq!(doc(&up.events[0])["score"], 1);
    let none = read(Dialect::TccFeedback, &json!({ "runId": "r" }));
    assert_eq!(refusal(&none), "score: missing, and no text");
    assert_eq!(
        refusal(&read(Dialect::TccFeedback, &json!({ "text": "x" }))),
        "runId: missing"
    );
}

/// As the client sends it, but that the first answer comes in two messages, as the agent gives it.
fn claude() -> Value {
    let meta = json!({ "runId": "run", "sessionId": "sess-1" });
    let usage = json!({ "input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 2 });
    let assistant = |id: &str, at: i64, content: Value| {
        json!({ "type": "assistant", "session_id": "inner", "uuid": format!("u{at}"), "receivedAtMs": at,
            "tccMetadata": meta, "message": { "id": id, "model": "claude-sonnet-4", "content": content,
            "usage": usage, "stop_reason": "tool_use" } })
    };
    json!({ "runId": "run", "sessionId": "sess-1", "userPrompt": "What files?",
        "customMetadata": { "agentName": "cli", "tcc.conversational": true },
        "messages": [
            { "type": "system", "subtype": "init", "model": "claude-sonnet-4", "receivedAtMs": 1000 },
            assistant("msg_1", 1100, json!([{ "type": "text", "text": "Let me look." }])),
            assistant("msg_1", 1200, json!([{ "type": "tool_use", "id": "tu_1", "name": "Bash",
                "input": { "command": "ls" } }])),
            { "type": "user", "receivedAtMs": 1500, "message": { "content": [{ "type": "tool_result",
                "tool_use_id": "tu_1", "content": "a.txt", "is_error": false }] } },
            { "type": "assistant", "receivedAtMs": 1900, "uuid": "u3", "message": { "id": "msg_2",
                "model": "claude-sonnet-4", "content": [{ "type": "text", "text": "One file." }] } },
            { "type": "result", "subtype": "success", "is_error": false, "total_cost_usd": 0.0123,
                "usage": { "input_tokens": 20, "output_tokens": 9, "cache_creation_input_tokens": 4 },
                "result": "One file.", "receivedAtMs": 2000 },
        ] })
}

#[test]
fn an_agents_messages_are_its_run_its_answers_and_the_tools_it_used() {
    let decoded = read(Dialect::TccClaude, &claude());
    let keys: Vec<_> = decoded
        .events
        .iter()
        .map(|e| (e.table, &*e.key.trace_id, &*e.key.id))
        .collect();
    let span = |id| (Table::Spans, "run", id);
    assert_eq!(
        keys,
        [
            span("msg_1"),
            span("msg_2"),
            span("tu_1"),
            (Table::Runs, "run", "run")
        ]
    );
    let ms = |event: &Event| [event.start_ns, event.end_ns].map(|ns| ns.unwrap() / 1_000_000);
    assert_eq!(ms(&decoded.events[0]), [1000, 1200]);
    assert_eq!(ms(&decoded.events[1]), [1500, 1900]);
    assert_eq!(ms(&decoded.events[2]), [1200, 1500]);
    assert_eq!(ms(&decoded.events[3]), [1000, 2000]);
    let first = doc(&decoded.events[0]);
    // Both messages say what the answer used: it used it once.
    assert_eq!(
        first["tokens"],
        json!({ "input": 10, "output": 5, "cache_read": 2, "total": 17 })
    );
    assert_eq!(
        first["input"],
        json!([{ "role": "user", "content": "What files?" }])
    );
    assert_eq!(first["output"]["content"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&first["model"], &first["stop_reason"]),
        (&json!("claude-sonnet-4"), &json!("tool_use"))
    );
    let second = doc(&decoded.events[1]);
    assert_eq!(second.get("tokens"), None);
    assert_eq!(second["input"][0]["role"], "tool");
    let tool = doc(&decoded.events[2]);
    assert_eq!(
        tool,
        json!({ "dialect": "tcc", "status": "success", "kind": "tool", "name": "Bash", "tool": "Bash",
            "input": { "command": "ls" }, "output": "a.txt" })
    );
    let run = doc(&decoded.events[3]);
    assert_eq!(run["cost_usd"], 0.0123);
    assert_eq!(
        run["tokens"],
        json!({ "input": 20, "output": 9, "cache_write": 4, "total": 33 })
    );
    assert_eq!(
        (&run["input"], &run["output"]),
        (&json!("What files?"), &json!("One file."))
    );
    assert_eq!(
        (&run["group"], &run["conversational"]),
        (&json!("sess-1"), &json!(true))
    );
    assert_eq!(run["claude.messages"], json!([claude()["messages"][0]]));
    assert_eq!(run["claude.results"], json!([claude()["messages"][5]]));
}

#[test]
fn what_an_agent_below_a_tool_does_hangs_from_the_tool() {
    let mut body = claude();
    body["messages"][4]["parent_tool_use_id"] = json!("tu_1");
    let decoded = read(Dialect::TccClaude, &body);
    assert_eq!(doc(&decoded.events[1])["parent_id"], "tu_1");
    assert_eq!(doc(&decoded.events[1]).get("input"), None);
}

#[test]
fn a_run_of_an_agent_that_failed_or_goes_on_says_so() {
    let mut body = claude();
    body["messages"][5]["is_error"] = json!(true);
    body["messages"][5]["result"] = json!("limit reached");
    let run = doc(read(Dialect::TccClaude, &body).events.last().unwrap());
    assert_eq!(
        (&run["status"], &run["error_message"]),
        (&json!("error"), &json!("limit reached"))
    );
    body["messages"].as_array_mut().unwrap().truncate(3);
    let decoded = read(Dialect::TccClaude, &body);
    assert_eq!(doc(decoded.events.last().unwrap())["status"], "running");
    assert_eq!(
        doc(&decoded.events[1])["status"],
        "running",
        "the tool that has not answered"
    );
    let none = read(Dialect::TccClaude, &json!({ "messages": [] }));
    assert_eq!(refusal(&none), "runId: missing");
}
