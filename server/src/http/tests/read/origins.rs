//! Which of the values that were sent a field comes from: what the client sent is known here, and where.

use super::*;
use crate::limits::ORIGIN_VALUE_BYTES_MAX;

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

/// Sends one span of these attributes, of a resource of those, and asks.
async fn origins_of(world: &World, attributes: &[Value], resource: &[Value]) -> Value {
    let body = json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "spans": [{
            "traceId": "a".repeat(32), "spanId": "b".repeat(16), "name": "step",
            "startTimeUnixNano": BASE_NS.to_string(), "endTimeUnixNano": (BASE_NS + 5).to_string(),
            "attributes": attributes,
        }] }],
    }] });
    let sent = post("/v1/traces", "key-of-a", JSON, body.to_string());
    assert_eq!(ask(&world.app, sent).await.status, 200);
    told(world, &"a".repeat(32), &"b".repeat(16)).await
}

async fn told(world: &World, trace: &str, span: &str) -> Value {
    let path = format!("/traces/{trace}/spans/{span}");
    let plain = read(world, &path).await;
    assert!(plain.get("origins").is_none(), "nobody asked");
    read(world, &format!("{path}?origins=true")).await["origins"].clone()
}

#[tokio::test]
async fn a_field_of_a_span_names_the_attributes_that_it_comes_from() {
    let world = world().await;
    let sent = [
        text("openinference.span.kind", "LLM"),
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.request.model", "gpt-x"),
        text("llm.model_name", "gpt-x"),
        text("user.id", "ann"),
        text("customer", "acme"),
        text("metadata.tier", "gold"),
        number("gen_ai.usage.input_tokens", 10),
        number("gen_ai.usage.cache_read.input_tokens", 4),
        number("gen_ai.usage.output_tokens", 2),
        text(
            "gen_ai.input.messages",
            &"long ".repeat(ORIGIN_VALUE_BYTES_MAX),
        ),
    ];
    let resource = [
        text("service.name", "shop"),
        text("deployment.environment.name", "prod"),
    ];
    let told = origins_of(&world, &sent, &resource).await;
    let of = |field: &str| told[field].clone();
    // Of two that say the same, the one that counts.
    assert_eq!(of("model"), json!(["attributes.gen_ai.request.model"]));
    // Each would do: that a model is named makes it a model's call, too.
    let kind = [
        "attributes.gen_ai.operation.name",
        "attributes.gen_ai.request.model",
        "attributes.llm.model_name",
        "attributes.openinference.span.kind",
    ];
    assert_eq!(of("kind"), json!(kind));
    assert_eq!(of("user_id"), json!(["attributes.user.id"]));
    assert_eq!(of("service"), json!(["resource.service.name"]));
    assert_eq!(
        of("environment"),
        json!(["resource.deployment.environment.name"])
    );
    assert_eq!(of("metadata.tier"), json!(["attributes.metadata.tier"]));
    // What is read from the cache is no part of the input.
    let input = [
        "attributes.gen_ai.usage.cache_read.input_tokens",
        "attributes.gen_ai.usage.input_tokens",
    ];
    assert_eq!(of("tokens.input"), json!(input), "{told}");
    assert_eq!(
        of("tokens.output"),
        json!(["attributes.gen_ai.usage.output_tokens"])
    );
    for absent in ["name", "start", "version", "customer", "attributes"] {
        assert_eq!(of(absent), Value::Null, "{absent}: {told}");
    }
}

/// Talk is made of what was sent when somebody reads it.
#[tokio::test]
async fn messages_name_what_they_were_made_of() {
    let world = world().await;
    let sent = [
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.prompt.0.role", "user"),
        text(
            "gen_ai.prompt.0.content",
            &"What? ".repeat(ORIGIN_VALUE_BYTES_MAX / 6),
        ),
        text("gen_ai.completion.0.role", "assistant"),
        text("gen_ai.completion.0.content", "61F"),
        text("input.value", "What?"),
        text("customer", "acme"),
    ];
    let told = origins_of(&world, &sent, &[]).await;
    assert_eq!(told["input"], json!(["attributes.input.value"]));
    assert_eq!(told["output"], Value::Null);
    let messages = [
        "attributes.gen_ai.completion.0.content",
        "attributes.gen_ai.completion.0.role",
        "attributes.gen_ai.prompt.0.content",
        "attributes.gen_ai.prompt.0.role",
    ];
    assert_eq!(told["messages"], json!(messages));
}

/// Of log lines and points, too.
#[tokio::test]
async fn a_log_line_and_a_point_name_the_attributes_that_they_come_from() {
    let world = world().await;
    let resource = json!({ "attributes": [text("service.name", "shop")] });
    let line = json!({ "timeUnixNano": BASE_NS.to_string(), "severityText": "WARN", "body": { "stringValue": "sold out" },
        "attributes": [text("session.id", "s-1"), text("customer", "acme")] });
    let logs = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": [line] }] }] });
    let data = json!({ "timeUnixNano": BASE_NS.to_string(), "asInt": "3", "attributes": [text("user.id", "ann")] });
    let metric = json!({ "name": "queue", "gauge": { "dataPoints": [data] } });
    let points = json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "metrics": [metric] }] }] });
    for (route, body) in [("/v1/logs", logs), ("/v1/metrics", points)] {
        let sent = post(route, "key-of-a", JSON, body.to_string());
        assert_eq!(ask(&world.app, sent).await.status, 200, "{route}");
    }
    for (list, field, path) in [
        ("/logs", "group", "attributes.session.id"),
        ("/points", "user_id", "attributes.user.id"),
    ] {
        let listed = read(&world, &format!("{list}?fields=id")).await;
        let id = listed["data"][0]["id"].as_str().unwrap().to_owned();
        let told = read(&world, &format!("{list}/{id}/origins")).await;
        assert_eq!(told["origins"][field], json!([path]), "{told}");
        assert_eq!(told["origins"]["service"], json!(["resource.service.name"]));
        assert_eq!(told["origins"]["customer"], Value::Null);
        let (status, _) = refused(&world, &format!("{list}/none/origins")).await;
        assert_eq!(status, 404);
    }
}

/// Products that have fields of their own say them there: what is found elsewhere is named.
#[tokio::test]
async fn rows_of_other_protocols_name_what_was_found_in_them() {
    let world = world().await;
    let body = json!({ "trace_id": "t", "name": "n", "steps": [{
        "step_id": "s", "step_type": "llm", "name": "call", "model": "gpt-x",
        "metadata": { "environment": "prod", "other": "x" },
    }] });
    let sent = post("/v1/traces", "key-of-a", JSON, body.to_string());
    assert_eq!(ask(&world.app, sent).await.status, 201);
    let told = told(&world, "t", "s").await;
    assert_eq!(
        told["environment"],
        json!(["metadata.environment"]),
        "{told}"
    );
    // The sender's own field.
    assert_eq!(told["model"], Value::Null, "{told}");
}
