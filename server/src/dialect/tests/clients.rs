//! What published clients send, as they were seen to send it (`tests/clients/campaign`), where it once came out wrong
//! or not at all.

use obsrv_engine::doc::DocRef;
use obsrv_engine::row::{Event, ProjectId, Table};
use serde_json::{Value, json};

use super::reported::listed;
use crate::dialect::{Context, Dialect, decode, doc_json};

const TRACE: &str = "000000000000000000000000000000aa";

fn events(dialect: Dialect, body: &Value) -> Vec<Event> {
    let ctx = Context {
        project: ProjectId(7),
        body_hash: 1,
        subject: "",
        received_ns: 1,
        key_id: 0,
    };
    let decoded = decode(dialect, &ctx, body.to_string().as_bytes()).unwrap();
    assert_eq!(decoded.rejected(), 0, "{decoded:?}");
    decoded.events
}

fn doc(event: &Event) -> Value {
    let text = doc_json::to_text(DocRef::parse(&event.doc).unwrap());
    serde_json::from_str(&text).unwrap()
}

/// One span with these attributes, of this scope.
fn span_of(scope: &str, more: &Value, attributes: &Value) -> (Event, Value) {
    let mut span = json!({ "traceId": TRACE, "spanId": "00000000000000b1", "name": "n",
        "startTimeUnixNano": "5", "endTimeUnixNano": "9", "attributes": listed(attributes) });
    let fields = more.as_object().unwrap().clone();
    span.as_object_mut().unwrap().extend(fields);
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "scope": { "name": scope }, "spans": [span] }] }] });
    let event = events(Dialect::OtlpJson, &body).pop().unwrap();
    let doc = doc(&event);
    (event, doc)
}

fn span(attributes: &Value) -> Value {
    span_of("s", &json!({}), attributes).1
}

/// Logfire 5 sends a record of its own for each span that begins: child of that span, ended at once.
#[test]
fn a_pending_span_of_logfire_is_the_open_span_that_it_stands_for() {
    let pending = |parent: &str| {
        let attributes = json!({ "logfire.span_type": "pending_span", "logfire.pending_parent_id": parent,
            "logfire.msg": "conversation acme", "customer": "acme" });
        let more = json!({ "parentSpanId": "00000000000000c1", "endTimeUnixNano": "5" });
        span_of("logfire", &more, &attributes)
    };
    let (event, open) = pending("00000000000000d1");
    assert_eq!(
        (&*event.key.id, event.start_ns, event.end_ns, event.partial),
        ("00000000000000c1", Some(5), None, false)
    );
    assert_eq!(
        (&open["status"], &open["parent_id"], open.get("root")),
        (&json!("running"), &json!("00000000000000d1"), None)
    );
    let (_, root) = pending("0000000000000000");
    assert_eq!((&root["root"], root.get("parent_id")), (&json!(true), None));
    // The span itself, once it has ended, is newer.
    let more = json!({ "spanId": "00000000000000c1", "parentSpanId": "00000000000000d1" });
    let (ended, doc) = span_of("logfire", &more, &json!({ "logfire.span_type": "span" }));
    assert_eq!(
        (&ended.key, &doc["status"]),
        (&event.key, &json!("success"))
    );
    assert!(ended.version > event.version);
}

/// A record that says so without a parent stands for nothing but itself.
#[test]
fn a_pending_span_without_a_parent_is_a_span() {
    let attributes = json!({ "logfire.span_type": "pending_span", "logfire.pending_parent_id": "0000000000000000" });
    let (event, doc) = span_of("logfire", &json!({}), &attributes);
    assert_eq!(
        (&*event.key.id, event.end_ns),
        ("00000000000000b1", Some(9))
    );
    assert_eq!(doc["status"], "success");
    let only = json!({ "logfire.pending_parent_id": "00000000000000d1" });
    let (event, _) = span_of("s", &json!({ "parentSpanId": "00000000000000c1" }), &only);
    assert_eq!(&*event.key.id, "00000000000000b1");
}

/// Langfuse 5 sends the JSON of every value of metadata; a text that is none stays a text.
#[test]
fn metadata_of_langfuse_is_what_the_user_said() {
    let found = span(
        &json!({ "langfuse.trace.metadata.customer": "\"acme\"", "langfuse.trace.metadata.n": "3",
        "langfuse.observation.metadata.deep": "{\"list\":[1,null,\"x\"]}", "langfuse.trace.metadata.bare": "acme inc",
        "metadata.other": "\"kept\"" }),
    );
    let metadata = json!({ "customer": "acme", "n": 3, "deep": { "list": [1, null, "x"] }, "bare": "acme inc",
        "other": "\"kept\"" });
    assert_eq!(found["metadata"], metadata);
    assert_eq!(
        found["attributes"]["langfuse.trace.metadata.customer"],
        "\"acme\""
    );
}

/// The SDK of Anthropic makes a span of its own below the one that an instrumentor makes.
#[test]
fn a_clients_own_account_of_a_call_is_marked() {
    let usage = json!({ "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic",
        "gen_ai.usage.input_tokens": 150, "gen_ai.usage.output_tokens": 20 });
    let (_, own) = span_of("com.anthropic.sdk.python", &json!({}), &usage);
    let (_, other) = span_of(
        "openinference.instrumentation.anthropic",
        &json!({}),
        &usage,
    );
    assert_eq!(
        (&own["repeats"], other.get("repeats")),
        (&json!(true), None)
    );
    assert_eq!(
        (&own["kind"], &own["provider"]),
        (&json!("llm"), &json!("anthropic"))
    );
}

/// `OpenInference` names no model on a call that failed.
#[test]
fn the_model_of_a_failed_call_stands_in_its_parameters() {
    let parameters = r#"{"model": "broken-model", "temperature": 0.5}"#;
    let failed =
        json!({ "openinference.span.kind": "LLM", "llm.invocation_parameters": parameters });
    assert_eq!(span(&failed)["model"], "broken-model");
    let both = json!({ "llm.model_name": "m", "llm.invocation_parameters": parameters });
    assert_eq!(span(&both)["model"], "m");
    assert_eq!(
        span(&json!({ "llm.invocation_parameters": "no json" })).get("model"),
        None
    );
}

/// pydantic-ai and Logfire, Google's ADK, `MLflow`, and the runtime context of the AI SDK 7.
#[test]
fn names_of_frameworks_are_facts() {
    let found = span(
        &json!({ "operation.cost": 0.25, "logfire.tags": ["a", "b"], "gen_ai.system": "openai",
        "ai.settings.context.team": "blue" }),
    );
    assert_eq!(
        (
            &found["cost_usd"],
            &found["tags"],
            &found["provider"],
            &found["metadata"]
        ),
        (
            &json!(0.25),
            &json!(["a", "b"]),
            &json!("openai"),
            &json!({ "team": "blue" })
        )
    );
    let found = span(
        &json!({ "mlflow.spanType": "CHAT_MODEL", "mlflow.trace.user": "ada", "mlflow.trace.session": "s" }),
    );
    assert_eq!(
        (&found["kind"], &found["user_id"], &found["group"]),
        (&json!("llm"), &json!("ada"), &json!("s"))
    );
    let found = span(&json!({ "gcp.vertex.agent.session_id": "s", "llm.provider": "google" }));
    assert_eq!(
        (&found["group"], &found["provider"]),
        (&json!("s"), &json!("google"))
    );
}

/// Claude Code 2.1 with its spans on.
#[test]
fn spans_of_claude_code_have_the_names_of_its_events() {
    let scope = "com.anthropic.claude_code.tracing";
    let call = json!({ "span.type": "llm_request", "model": "m", "gen_ai.system": "anthropic",
        "gen_ai.request.model": "m", "input_tokens": 20, "output_tokens": 20, "cache_read_tokens": 100,
        "cache_creation_tokens": 30, "session.id": "s" });
    let (_, found) = span_of(scope, &json!({}), &call);
    let tokens =
        json!({ "input": 20, "output": 20, "cache_read": 100, "cache_write": 30, "total": 170 });
    assert_eq!(
        (&found["kind"], &found["tokens"], &found["group"]),
        (&json!("llm"), &tokens, &json!("s"))
    );
    let (_, found) = span_of(scope, &json!({}), &json!({ "span.type": "interaction" }));
    assert_eq!(found["kind"], "agent");
    let (_, other) = span_of("program", &json!({}), &call);
    assert_eq!(
        other.get("tokens"),
        None,
        "these names mean nothing elsewhere"
    );
}

/// Codex CLI 0.169: a place in its source stands where the name of an event is due.
#[test]
fn an_event_of_codex_has_the_name_of_its_attribute() {
    let attributes = json!({ "event.name": "codex.sse_event", "event.kind": "response.completed",
        "input_token_count": "120", "output_token_count": "20", "cached_token_count": "100",
        "cache_write_token_count": "5", "reasoning_token_count": "8", "conversation.id": "c", "model": "m" });
    let record = json!({ "timeUnixNano": "7", "eventName": "event otel/src/events/session_telemetry.rs:1153",
        "attributes": listed(&attributes) });
    let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] });
    let found = events(Dialect::OtlpLogsJson, &body);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].table, Table::Logs);
    let line = doc(&found[0]);
    let tokens = json!({ "input": 15, "output": 12, "cache_read": 100, "cache_write": 5, "reasoning": 8, "total": 140 });
    assert_eq!(
        (
            &line["name"],
            &line["tokens"],
            &line["group"],
            &line["model"]
        ),
        (&json!("codex.sse_event"), &tokens, &json!("c"), &json!("m"))
    );
    assert_eq!(
        line["event_name"],
        "event otel/src/events/session_telemetry.rs:1153"
    );
}

/// `MLflow` 3.17 with its traces sent over OTLP: the value of each attribute is the JSON of what was set.
#[test]
fn values_of_mlflow_are_read_as_the_json_that_they_are() {
    let of = |attributes| span_of("mlflow.tracing.provider", &json!({}), &attributes).1;
    let call = of(
        json!({ "mlflow.spanType": "\"CHAT_MODEL\"", "model": "\"mock-large\"", "temperature": "0.5",
        "mlflow.llm.model": "\"mock-large\"", "mlflow.llm.provider": "\"openai\"",
        "mlflow.llm.cost": "{\"input_cost\": 0.25, \"output_cost\": 0.5, \"total_cost\": 0.75}",
        "mlflow.chat.tokenUsage": "{\"input_tokens\": 120, \"output_tokens\": 20, \"total_tokens\": 140, \"cache_read_input_tokens\": 100}" }),
    );
    let fields = |doc: &Value, keys: &[&str]| -> Vec<Value> {
        let found = keys.iter().map(|key| doc.get(*key).cloned());
        found.map(|value| value.unwrap_or(Value::Null)).collect()
    };
    let tokens = json!({ "input": 20, "output": 20, "cache_read": 100, "total": 140 });
    assert_eq!(
        fields(
            &call,
            &[
                "kind", "model", "provider", "cost_usd", "tokens", "metadata"
            ]
        ),
        [
            json!("llm"),
            json!("mock-large"),
            json!("openai"),
            json!(0.75),
            tokens,
            Value::Null
        ],
    );
    assert_eq!(
        call["attributes"]["model"], "\"mock-large\"",
        "kept as sent"
    );
    let root = of(
        json!({ "mlflow.spanType": "\"CHAIN\"", "user.id": "\"ada\"", "session.id": "\"thread-1\"",
        "rating": "0.25", "live": "true", "words": "[\"a\", \"ü\"]", "quoted": "\"say \\\"x\\\"\"",
        "mlflow.traceTag.customer": "acme", "mlflow.traceTag.n": "7" }),
    );
    let metadata = json!({ "rating": 0.25, "live": true, "words": ["a", "ü"], "quoted": "say \"x\"", "customer": "acme", "n": "7" });
    assert_eq!(
        fields(&root, &["kind", "user_id", "group", "metadata"]),
        [json!("chain"), json!("ada"), json!("thread-1"), metadata],
    );
    let failed = of(json!({ "mlflow.spanType": "\"CHAT_MODEL\"", "model": "\"broken-model\"" }));
    assert_eq!(failed["model"], "broken-model");
    let tool = of(
        json!({ "mlflow.spanType": "\"TOOL\"", "mlflow.spanFunctionName": "\"get_weather\"",
        "model": "\"T\"" }),
    );
    assert_eq!(
        fields(&tool, &["kind", "tool", "model"]),
        [json!("tool"), json!("get_weather"), Value::Null],
        "an attribute of what calls no model names none"
    );
    // Elsewhere a text is what it says.
    assert_eq!(span(&json!({ "user.id": "\"ada\"" }))["user_id"], "\"ada\"");
}
