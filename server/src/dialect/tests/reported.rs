//! Counts that other products got wrong, as their users reported them. What is expected are the reports' own right
//! numbers, never what our mapping gives.

use obsrv_engine::doc::DocRef;
use obsrv_engine::row::{ProjectId, Table};
use serde_json::{Map, Value, json};

use crate::dialect::{Context, Dialect, decode, doc_json};

/// The only span of a body.
fn span(dialect: Dialect, body: &Value) -> Value {
    let ctx = Context {
        project: ProjectId(7),
        body_hash: 1,
        subject: "",
        received_ns: 1,
        key_id: 0,
    };
    let decoded = decode(dialect, &ctx, body.to_string().as_bytes()).unwrap();
    assert_eq!(decoded.rejected(), 0, "{decoded:?}");
    let mut spans = decoded.events.iter().filter(|e| e.table == Table::Spans);
    let span = spans.find(|e| DocRef::parse(&e.doc).unwrap().get("tokens").is_some());
    let text = doc_json::to_text(DocRef::parse(&span.unwrap().doc).unwrap());
    serde_json::from_str(&text).unwrap()
}

/// Attributes as OTLP's JSON has them.
pub(super) fn listed(attributes: &Value) -> Value {
    let typed = |value: &Value| match value {
        Value::String(text) => json!({ "stringValue": text }),
        Value::Bool(b) => json!({ "boolValue": b }),
        Value::Array(texts) => {
            let texts = texts.iter().map(|text| json!({ "stringValue": text }));
            json!({ "arrayValue": { "values": texts.collect::<Vec<_>>() } })
        }
        Value::Number(n) if n.is_f64() => json!({ "doubleValue": n }),
        n => json!({ "intValue": n.to_string() }),
    };
    let one = |(key, value): (&String, &Value)| json!({ "key": key, "value": typed(value) });
    attributes.as_object().unwrap().iter().map(one).collect()
}

fn otlp(attributes: &Value) -> Value {
    let attributes = listed(attributes);
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": "000000000000000000000000000000aa", "spanId": "00000000000000aa", "name": "call",
        "startTimeUnixNano": "1", "endTimeUnixNano": "2", "attributes": attributes,
    }] }] }] });
    span(Dialect::OtlpJson, &body)
}

fn langfuse(usage_details: &Value) -> Value {
    let body = json!({ "batch": [{ "id": "e", "type": "generation-create", "timestamp": "2026-05-01T10:00:00Z",
        "body": { "id": "g", "traceId": "t", "startTime": "2026-05-01T10:00:00Z",
            "endTime": "2026-05-01T10:00:01Z", "usageDetails": usage_details } }] });
    span(Dialect::LangfuseBatch, &body)
}

fn aiobs(usage: &Value) -> Value {
    let body = json!({ "sessions": [], "events": [{ "provider": "openai", "api": "chat.completions.create",
        "request": { "model": "m" }, "response": { "usage": usage }, "started_at": 1.0, "ended_at": 2.0,
        "span_id": "s", "trace_id": "t" }] });
    span(Dialect::AiobsExport, &body)
}

/// The buckets add up to the total, and are these.
fn assert_tokens(case: &str, span: &Value, expected: &Value) {
    let found = span["tokens"].as_object().unwrap();
    let empty = Map::new();
    for (bucket, n) in expected.as_object().unwrap_or(&empty) {
        assert_eq!(found.get(bucket), Some(n), "{case}: {bucket} of {found:?}");
    }
    let parts = found.iter().filter(|(bucket, _)| *bucket != "total");
    let sum: i64 = parts.map(|(_, n)| n.as_i64().unwrap()).sum();
    assert_eq!(found["total"].as_i64(), Some(sum), "{case}: {found:?}");
}

/// langfuse/langfuse#12306 and #12308: pydantic-ai's input has what was cached in it (5 = fresh input), and was
/// shown as 260,421.
#[test]
fn cached_tokens_of_pydantic_ai_count_once() {
    let anthropic = json!({ "input": 5, "cache_read": 128_955, "cache_write": 1_253 });
    for (read, write) in [
        (
            "gen_ai.usage.cache_read_tokens",
            "gen_ai.usage.cache_write_tokens",
        ),
        (
            "gen_ai.usage.details.cache_read_tokens",
            "gen_ai.usage.details.cache_write_tokens",
        ),
        (
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
        ),
        (
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
        ),
    ] {
        let found =
            otlp(&json!({ "gen_ai.usage.input_tokens": 130_213, read: 128_955, write: 1_253 }));
        assert_tokens(read, &found, &anthropic);
        assert_eq!(found["tokens"]["total"], 130_213);
    }
}

/// langfuse/langfuse#17117: under the names of the convention a cache write was neither taken out nor priced.
#[test]
fn cache_writes_under_their_official_name_are_a_bucket() {
    let sent = json!({ "gen_ai.usage.input_tokens": 300, "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_write.input_tokens": 25 });
    let right = json!({ "input": 235, "cache_read": 40, "cache_write": 25, "total": 300 });
    assert_tokens("17117", &otlp(&sent), &right);
}

/// langfuse/langfuse#10592: input 86 and 17,817 cached were shown as 35,720.
#[test]
fn cached_tokens_of_openai_count_once() {
    let usage = json!({ "prompt_tokens": 17_903, "completion_tokens": 10, "total_tokens": 17_913,
        "prompt_tokens_details": { "cached_tokens": 17_817 } });
    let right = json!({ "input": 86, "cache_read": 17_817, "output": 10, "total": 17_913 });
    assert_tokens("by langfuse", &langfuse(&usage), &right);
    assert_tokens("by aiobs", &aiobs(&usage), &right);
    let sent = json!({ "llm.token_count.prompt": 17_903, "llm.token_count.completion": 10,
        "llm.token_count.total": 17_913, "llm.token_count.prompt_details.cache_read": 17_817 });
    assert_tokens("by openinference", &otlp(&sent), &right);
}

/// langfuse/langfuse#5568: the second of two equal requests, 1,792 of its 1,999 tokens cached, was shown as 3,791.
/// BerriAI/litellm#18520: cached tokens of Gemini, 20,203 of 20,209, were shown as fresh.
#[test]
fn cached_tokens_of_a_repeated_request_count_once() {
    for (input, output, cached) in [(1_999, 0, 1_792), (20_209, 541, 20_203)] {
        let usage = json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": { "cached_tokens": cached } });
        let right = json!({ "input": input - cached, "cache_read": cached, "output": output, "total": input + output });
        assert_tokens("by langfuse", &langfuse(&usage), &right);
        let sent = json!({ "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output,
            "gen_ai.usage.details.cached_tokens": cached });
        assert_tokens("by otlp", &otlp(&sent), &right);
    }
}

/// langfuse/langfuse#9482: what the AI SDK 5 says of its cache was in the attributes and in no bucket.
#[test]
fn cached_tokens_of_the_ai_sdk_are_a_bucket() {
    let sent = json!({ "ai.usage.inputTokens": 100, "ai.usage.outputTokens": 9, "ai.usage.totalTokens": 109,
        "ai.usage.cachedInputTokens": 64 });
    let right = json!({ "input": 36, "cache_read": 64, "output": 9, "total": 109 });
    assert_tokens("9482", &otlp(&sent), &right);
}

/// langfuse/codex-observability-plugin#22: 1,647 of 117,231 were fresh.
#[test]
fn cached_tokens_beside_an_input_that_has_them_count_once() {
    let sent = json!({ "input": 117_231, "cache_read_input_tokens": 115_584, "output": 225, "total": 117_456 });
    let right = json!({ "input": 1_647, "cache_read": 115_584, "output": 225, "total": 117_456 });
    assert_tokens("by langfuse", &langfuse(&sent), &right);
    let text = json!({ "langfuse.observation.usage_details": sent.to_string() });
    assert_tokens("by langfuse over otlp", &otlp(&text), &right);
}

/// langfuse/langfuse#9386 and #9034: what `LiteLLM` sent of 8,000 cached tokens was shown as twice the input, the output being right.
#[test]
fn cached_tokens_of_litellm_count_once() {
    let sent = json!({ "input": 8_040, "output": 300, "total": 8_340, "cache_read_input_tokens": 8_000,
        "cache_creation_input_tokens": 0 });
    let right = json!({ "input": 40, "cache_read": 8_000, "output": 300, "total": 8_340 });
    assert_tokens("9386", &langfuse(&sent), &right);
}

/// BerriAI/litellm#26919: later it took what was read out of the input, and not what was written: of a prompt of 10,000, 500
/// fresh, 2,500 written and 7,000 read.
#[test]
fn cache_writes_of_litellm_count_once() {
    let sent = json!({ "input": 3_000, "output": 100, "total": 10_100, "cache_read_input_tokens": 7_000,
        "cache_creation_input_tokens": 2_500 });
    let right = json!({ "input": 500, "cache_read": 7_000, "cache_write": 2_500, "output": 100, "total": 10_100 });
    assert_tokens("26919", &langfuse(&sent), &right);
    // A total that nothing explains is the sender's own affair: no bucket is changed for it.
    let odd =
        json!({ "input": 3_000, "output": 100, "total": 9_000, "cache_read_input_tokens": 7_000 });
    assert_eq!(langfuse(&odd)["tokens"]["input"], 3_000);
}

/// trpc-group/trpc-agent-go#2282, dust-tt/dust#20989, thoughtbot/opentelemetry-instrumentation-ruby_llm#38.
#[test]
fn cached_tokens_of_other_reports_count_once() {
    for (input, output, read, write, fresh) in [
        (100, 50, 30, 0, 70),
        (2_495, 291, 2_304, 0, 191),
        (9_844, 0, 9_842, 0, 2),
        (100, 0, 75, 0, 25),
        (195, 0, 75, 20, 100),
    ] {
        let found = otlp(
            &json!({ "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output,
            "gen_ai.usage.cache_read.input_tokens": read, "gen_ai.usage.cache_creation.input_tokens": write }),
        );
        let right = json!({ "input": fresh, "output": output, "total": input + output });
        assert_tokens(&input.to_string(), &found, &right);
    }
}

/// Anthropic's own numbers, as some send them (langfuse/langfuse#12306): the cache stands beside the input.
#[test]
fn a_cache_beside_the_input_is_not_taken_out_of_it() {
    let sent = json!({ "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read_input_tokens": 128_955, "gen_ai.usage.cache_creation_input_tokens": 1_253 });
    let right = json!({ "input": 5, "output": 7, "cache_read": 128_955, "cache_write": 1_253, "total": 130_220 });
    assert_tokens("by size", &otlp(&sent), &right);
    let usage = json!({ "input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 128_955,
        "cache_creation_input_tokens": 1_253 });
    assert_tokens("by anthropic's form", &aiobs(&usage), &right);
    // As large as the input could hold: the total tells.
    let sent = json!({ "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read_input_tokens": 40, "gen_ai.usage.total_tokens": 150 });
    let right = json!({ "input": 100, "output": 10, "cache_read": 40, "total": 150 });
    assert_tokens("by the total", &otlp(&sent), &right);
}

/// comet-ml/opik#5214: what a cache write costs is input, not output.
#[test]
fn cache_writes_are_no_output() {
    let usage =
        json!({ "input_tokens": 10, "output_tokens": 20, "cache_creation_input_tokens": 30 });
    let right = json!({ "input": 10, "output": 20, "cache_write": 30, "total": 60 });
    assert_tokens("5214", &aiobs(&usage), &right);
}

/// The recorded requests of ai 6: `noCacheTokens` is the input that was fresh.
#[test]
fn the_ai_sdk_says_what_was_fresh() {
    let sent = json!({ "ai.usage.inputTokens": 20, "ai.usage.inputTokenDetails.noCacheTokens": 18,
        "ai.usage.inputTokenDetails.cacheReadTokens": 2, "ai.usage.inputTokenDetails.cacheWriteTokens": 0,
        "ai.usage.outputTokens": 7, "ai.usage.outputTokenDetails.reasoningTokens": 3, "ai.usage.totalTokens": 27,
        "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 7 });
    let right = json!({ "input": 18, "cache_read": 2, "output": 4, "reasoning": 3, "total": 27 });
    assert_tokens("ai 6", &otlp(&sent), &right);
}

/// langfuse/langfuse#2112: an answer out of the program's own cache cost nothing. Nothing is made up where the
/// sender says nothing.
#[test]
fn what_is_not_said_stays_unknown() {
    let found = otlp(&json!({ "gen_ai.request.model": "gpt-4o", "gen_ai.usage.total_tokens": 7 }));
    assert_eq!(found["tokens"], json!({ "total": 7 }));
    assert_eq!(found.get("cost_usd"), None);
    let found = otlp(&json!({ "gen_ai.usage.input_tokens": 7, "gen_ai.usage.cost": 0.0 }));
    assert_eq!(found["cost_usd"], 0.0);
}

/// Costs in whole cents, of another currency, and in Langfuse's attribute.
#[test]
fn costs_are_dollars() {
    let cost = |attributes: Value| {
        let mut all = json!({ "gen_ai.usage.input_tokens": 1 });
        all.as_object_mut()
            .unwrap()
            .extend(attributes.as_object().unwrap().clone());
        otlp(&all).get("cost_usd").cloned()
    };
    assert_eq!(cost(json!({ "theazo.cost.amount": 42 })), Some(json!(0.42)));
    assert_eq!(
        cost(json!({ "theazo.cost.amount": 42, "theazo.cost.currency": "USD" })),
        Some(json!(0.42))
    );
    assert_eq!(
        cost(json!({ "theazo.cost.amount": 42, "theazo.cost.currency": "eur" })),
        None
    );
    let details = json!({ "input": 0.25, "output": 0.5 }).to_string();
    assert_eq!(
        cost(json!({ "langfuse.observation.cost_details": details })),
        Some(json!(0.75))
    );
    assert_eq!(
        cost(json!({ "gen_ai.usage.cost": 0.5, "theazo.cost.amount": 42 })),
        Some(json!(0.5))
    );
}

/// The README's table of Theazo's attributes.
#[test]
fn what_theazo_tells_stands_in_the_fields_of_the_model() {
    let span = otlp(
        &json!({ "theazo.trace.id": "trc_1", "theazo.session.id": "ses_1", "theazo.user.id": "user_1",
        "theazo.agent.id": "agt_1", "theazo.operation": "model.call", "theazo.model": "claude-sonnet-4-20250514",
        "theazo.tokens": 1_847, "theazo.cost.amount": 18, "theazo.billing_mode": "managed" }),
    );
    for (field, value) in [
        ("otel_trace_id", json!("000000000000000000000000000000aa")),
        ("group", json!("ses_1")),
        ("user_id", json!("user_1")),
        ("kind", json!("llm")),
        ("model", json!("claude-sonnet-4-20250514")),
        ("tokens", json!({ "total": 1_847 })),
        ("cost_usd", json!(0.18)),
    ] {
        assert_eq!(span[field], value, "{field}");
    }
    assert_eq!(span["attributes"]["theazo.agent.id"], "agt_1");
    for (operation, kind) in [
        ("tool.exec", "tool"),
        ("file.read", "file"),
        ("file.write", "file"),
        ("sandbox.boot", "sandbox"),
        ("sandbox.exec", "sandbox"),
        ("sandbox.destroy", "sandbox"),
        ("agent.run", "agent"),
    ] {
        let span = otlp(
            &json!({ "theazo.operation": operation, "theazo.tool": "grep", "theazo.tokens": 1 }),
        );
        assert_eq!(
            (&span["kind"], &span["tool"]),
            (&json!(kind), &json!("grep"))
        );
    }
}
