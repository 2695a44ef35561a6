//! Environment, version, release and region as every client sends them, in every question that names a field; and the
//! models and tools of the steps of a trace.

use super::*;

const FIELDS: [&str; 4] = ["environment", "version", "release", "region"];
const START: &str = "2026-01-01T00:00:01Z";
const END: &str = "2026-01-01T00:00:02Z";

/// A body of a client, and what it says: rows over which, and of each field what the client sent.
struct Sent {
    client: &'static str,
    path: &'static str,
    body: Value,
    rows: &'static [(&'static str, usize)],
    says: [Option<String>; 4],
}

/// `prod-CLIENT` and so on: values of one client alone.
fn says(client: &str) -> [String; 4] {
    ["prod", "1.2", "r7", "eu"].map(|word| format!("{word}-{client}"))
}

fn attributes(pairs: &[(&str, &str)]) -> Value {
    let one =
        |(key, value): &(&str, &str)| json!({ "key": key, "value": { "stringValue": value } });
    pairs.iter().map(one).collect()
}

fn span(n: u64, of: &[(&str, &str)]) -> Value {
    json!({
        "traceId": format!("{n:032x}"), "spanId": format!("{n:016x}"), "name": "step",
        "startTimeUnixNano": BASE_NS.to_string(), "endTimeUnixNano": (BASE_NS + 5).to_string(),
        "attributes": attributes(of),
    })
}

fn spans(n: u64, resource: &[(&str, &str)], of: &[(&str, &str)]) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(resource) },
        "scopeSpans": [{ "spans": [span(n, of)] }],
    }] })
}

/// What OTLP and the products that speak it send.
fn of_otlp() -> Vec<Sent> {
    let all = |client: &str| says(client).map(Some);
    let [a, b, c, d] = says("otlp");
    let plain = spans(
        0xa1,
        &[
            ("deployment.environment.name", &a),
            ("service.version", &b),
            ("deployment.release", &c),
            ("cloud.region", &d),
        ],
        // What was called, not what ran.
        &[("cloud.region", "elsewhere"), ("environment", "theirs")],
    );
    let [oa, ob, oc, od] = says("obtrace");
    let obtrace = spans(
        0xa2,
        &[
            ("deployment.environment", "dev"),
            ("obtrace.env", &oa),
            ("service.version", &ob),
            ("vcs.ref.head.revision", &oc),
            ("region", &od),
        ],
        &[],
    );
    let [la, lb, lc, ld] = says("langfuse-otel");
    let langfuse = spans(
        0xa3,
        &[
            ("langfuse.release", "of-all"),
            ("service.version", "9"),
            ("deployment.environment.name", "dev"),
            ("cloud.region", &ld),
        ],
        &[
            ("langfuse.environment", &la),
            ("langfuse.version", &lb),
            ("langfuse.release", &lc),
        ],
    );
    let [va, vb, vc, vd] = says("vercel");
    let vercel = spans(
        0xa4,
        &[
            ("env", &va),
            ("service.version", &vb),
            ("vercel.sha", &vc),
            ("vercel.region", &vd),
        ],
        &[],
    );
    let sent = |client, body| Sent {
        client,
        path: "/v1/traces",
        body,
        rows: &[("spans", 1), ("traces", 1)],
        says: all(client),
    };
    vec![
        sent("otlp", plain),
        sent("obtrace", obtrace),
        sent("langfuse-otel", langfuse),
        sent("vercel", vercel),
    ]
}

/// Log lines and points.
fn of_signals() -> Vec<Sent> {
    let of = |client: &'static str| {
        let [a, b, c, d] = says(client);
        attributes(&[
            ("deployment.environment", &a),
            ("service.version", &b),
            ("deployment.release", &c),
            ("cloud.region", &d),
        ])
    };
    let at = BASE_NS.to_string();
    let logs = json!({ "resourceLogs": [{ "resource": { "attributes": of("logs") }, "scopeLogs": [{ "logRecords": [
        { "timeUnixNano": at, "body": { "stringValue": "one" } },
        { "timeUnixNano": at, "body": { "stringValue": "two" } }] }] }] });
    let points = json!({ "resourceMetrics": [{ "resource": { "attributes": of("points") }, "scopeMetrics": [{ "metrics": [
        { "name": "m", "gauge": { "dataPoints": [{ "timeUnixNano": at, "asInt": "1" }] } }] }] }] });
    vec![
        Sent {
            client: "logs",
            path: "/v1/logs",
            body: logs,
            rows: &[("logs", 2)],
            says: says("logs").map(Some),
        },
        Sent {
            client: "points",
            path: "/v1/metrics",
            body: points,
            rows: &[("points", 1)],
            says: says("points").map(Some),
        },
    ]
}

fn of_langs() -> Vec<Sent> {
    let [a, b, c, _] = says("langfuse");
    let trace = json!({ "id": "lf", "timestamp": START, "environment": a, "version": b, "release": c,
        "metadata": { "environment": "theirs" } });
    let step = json!({ "id": "lf-1", "traceId": "lf", "startTime": START, "endTime": END, "environment": a, "version": b });
    let event = |kind: &str, body: Value| json!({ "id": kind, "timestamp": START, "type": kind, "body": body });
    let batch =
        json!({ "batch": [event("trace-create", trace), event("generation-create", step)] });
    let [sa, sb, sc, sd] = says("langsmith");
    let id = "00000000-0000-4000-8000-00000000000a";
    let run = json!({ "post": [{ "id": id, "trace_id": id, "name": "agent", "run_type": "chain", "start_time": START,
        "end_time": END, "inputs": {}, "dotted_order": format!("20260101T000001000000Z{id}"), "session_name": "p",
        "extra": { "metadata": { "LANGSMITH_ENVIRONMENT": sa, "version": sb, "revision_id": sc, "region": sd } } }] });
    vec![
        Sent {
            client: "langfuse",
            path: "/api/public/ingestion",
            body: batch,
            rows: &[("traces", 1)],
            says: [Some(a), Some(b), Some(c), None],
        },
        Sent {
            client: "langsmith",
            path: "/runs/batch",
            body: run,
            rows: &[("spans", 1), ("traces", 1)],
            says: [sa, sb, sc, sd].map(Some),
        },
    ]
}

fn map_of(client: &str) -> Value {
    let [a, b, c, d] = says(client);
    json!({ "environment": a, "version": b, "release": c, "region": d })
}

fn of_theta() -> Vec<Sent> {
    let step = json!({ "step_id": "st", "type": "llm", "status": "success", "started_at": START, "ended_at": END });
    let trace = |id: &str| json!({ "trace_id": id, "status": "success", "started_at": START, "ended_at": END, "steps": [step] });
    let mut attached = trace("theta");
    attached["metadata"] = map_of("theta");
    let mut own = trace("theta-own");
    own["metadata"] = map_of("theirs");
    for (key, value) in map_of("theta-own").as_object().unwrap() {
        own[key] = value.clone();
    }
    let envelope = json!({ "trace_id": "envelope", "started_at": START, "metadata": map_of("envelope"),
        "events": [{ "event_id": "e", "type": "llm", "started_at": START, "ended_at": END }] });
    let sent = |client: &'static str, path, body| Sent {
        client,
        path,
        body,
        rows: &[("spans", 1), ("traces", 1)],
        says: says(client).map(Some),
    };
    vec![
        sent("theta", "/v1/traces", attached),
        sent("theta-own", "/v1/traces", own),
        sent("envelope", "/v1/events", envelope),
    ]
}

fn of_others() -> Vec<Sent> {
    let session = json!({ "id": "s-1", "name": "s", "started_at": 1_767_225_600.5, "ended_at": null, "labels": map_of("aiobs") });
    let function = |id: &str, parent: Option<&str>| {
        json!({ "provider": "function", "api": "a.f", "name": "f", "span_id": id, "parent_span_id": parent,
            "trace_id": "t-1", "session_id": "s-1", "started_at": 1_767_225_601.0, "ended_at": 1_767_225_602.0 })
    };
    let export = json!({ "sessions": [session], "events": [], "generated_at": 1_767_225_609.0, "version": 1,
        "function_events": [function("00000000000000a1", None), function("00000000000000a2", Some("00000000000000a1"))] });
    let custom = json!({ "type": "run", "run_id": "tcc", "start_time": START, "end_time": END, "status_code": 0,
        "metadata": map_of("tcc") });
    let claude = json!({ "runId": "claude", "customMetadata": map_of("claude"), "messages": [
        { "type": "assistant", "receivedAtMs": 1_767_225_600_000_i64, "message": { "id": "m", "model": "claude",
            "content": [{ "type": "text", "text": "hi" }] } }] });
    let [a, b, c, d] = says("jaeger");
    let tag = |key: &str, value: &str| json!({ "key": key, "type": "string", "value": value });
    let jaeger = json!({ "data": [{ "traceID": "00000000000000000000000000000a90", "spans": [{
            "traceID": "00000000000000000000000000000a90", "spanID": "0000000000000001", "operationName": "o",
            "references": [], "startTime": 1_767_225_600_000_000_i64, "duration": 5, "tags": [], "logs": [], "processID": "p" }],
        "processes": { "p": { "serviceName": "shop", "tags": [tag("deployment.environment", &a), tag("service.version", &b),
            tag("deployment.release", &c), tag("cloud.region", &d)] } } }], "total": 1 });
    let sent = |client: &'static str, path, body, rows| Sent {
        client,
        path,
        body,
        rows,
        says: says(client).map(Some),
    };
    vec![
        // The session and the trace of its calls.
        sent(
            "aiobs",
            "/v1/traces",
            export,
            &[("spans", 2), ("traces", 2)],
        ),
        sent("tcc", "/v1/custom", custom, &[("spans", 0), ("traces", 1)]),
        sent(
            "claude",
            "/v1/claude",
            claude,
            &[("spans", 1), ("traces", 1)],
        ),
        sent(
            "jaeger",
            "/v1/imports/jaeger",
            jaeger,
            &[("spans", 1), ("traces", 1)],
        ),
    ]
}

fn every_client() -> Vec<Sent> {
    [of_otlp(), of_signals(), of_langs(), of_theta(), of_others()]
        .into_iter()
        .flatten()
        .collect()
}

async fn store(world: &World, path: &str, body: &Value) {
    let said = ask(&world.app, post(path, "key-of-a", JSON, body.to_string())).await;
    let text = String::from_utf8_lossy(&said.body).into_owned();
    assert!(said.status.is_success(), "{path}: {} {text}", said.status);
    assert_ne!(said.json()["failed"], json!(1), "{path}: {text}");
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn total(world: &World, over: &str, q: &str) -> Value {
    read(world, &format!("/{over}?total=true&limit=1&q={q}")).await["total"].clone()
}

#[tokio::test]
async fn what_every_client_says_is_one_field_in_every_question() {
    let world = world().await;
    let all = every_client();
    for sent in &all {
        store(&world, sent.path, &sent.body).await;
    }
    for sent in &all {
        for (over, rows) in sent.rows {
            for (field, value) in FIELDS.iter().zip(&sent.says) {
                let Some(value) = value else { continue };
                let at = format!("{} {over} {field}", sent.client);
                let path = format!("/{over}?total=true&q={field}:{value}");
                let page = read(&world, &path).await;
                assert_eq!(page["total"], json!(rows), "{at}");
                for row in page["data"].as_array().unwrap() {
                    assert_eq!(row[field], json!(value), "{at}");
                }
                let facets = format!("/facets?over={over}&limit=100&keys={field}");
                let facets = read(&world, &facets).await;
                let values = facets["facets"][0]["values"].as_array().unwrap();
                let counted = values.iter().find(|one| one["value"] == json!(value));
                let counted = counted.map_or(json!(0), |one| one["count"].clone());
                assert_eq!(counted, json!(rows), "{at}: {facets}");
                let body = json!({ "over": over, "group_by": [field], "limit": 100 });
                let groups = question(&world, "/aggregate", body).await.json();
                let groups = groups["groups"].as_array().unwrap();
                let group = groups.iter().find(|one| one["by"][field] == json!(value));
                let grouped = group.map_or(json!(0), |one| one["rows"].clone());
                assert_eq!(grouped, json!(rows), "{at}: {groups:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_field_is_listed_completed_ordered_and_exported() {
    let world = world().await;
    for sent in &every_client() {
        store(&world, sent.path, &sent.body).await;
    }
    for over in ["traces", "spans", "logs", "points"] {
        let listed = read(&world, &format!("/fields?over={over}&limit=1000")).await;
        let keys: Vec<&str> = listed["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["key"].as_str().unwrap())
            .collect();
        for field in FIELDS {
            assert!(keys.contains(&field), "{over} {field} {keys:?}");
            let path = format!("/{over}?sort={field}&limit=1000&fields={field}&q=has:{field}");
            let page = read(&world, &path).await;
            let rows: Vec<&str> = page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row[field].as_str().unwrap())
                .collect();
            assert!(rows.is_sorted(), "{over} {field} {rows:?}");
            assert!(!rows.is_empty(), "{over} {field}");
            let csv =
                format!("/v1/projects/1/export?over={over}&format=csv&sort={field}&q=has:{field}");
            let csv = ask(&world.app, get(&csv, "key-of-a")).await;
            let csv = String::from_utf8(csv.body).unwrap();
            let head: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
            assert!(head.contains(&field), "{over} {head:?}");
            assert!(csv.contains(rows[0]), "{over} {field} {csv}");
        }
    }
    let values = read(
        &world,
        "/values?over=spans&key=environment&prefix=prod-langfuse",
    )
    .await;
    assert_eq!(values["values"][0]["value"], "prod-langfuse");
    let releases = read(&world, "/releases?over=logs").await;
    let mut known: Vec<(&str, &str)> = releases["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["key"].as_str().unwrap(),
                one["version"].as_str().unwrap(),
            )
        })
        .collect();
    known.sort_unstable();
    assert_eq!(known, [("release", "r7-logs"), ("version", "1.2-logs")]);
    // One slip away.
    let (status, error) = refused(&world, "/spans?q=enviroment:prod").await;
    assert_eq!(status, 400);
    let said = error["message"].as_str().unwrap();
    assert!(said.contains("did you mean environment?"), "{said}");
    let traceql = "%7Benvironment=%22prod-otlp%22%20%26%26%20region=%22eu-otlp%22%20%26%26%20\
                   resource.deployment.environment.name=%22prod-otlp%22%7D";
    let found = read(&world, &format!("/spans?total=true&traceql={traceql}")).await;
    assert_eq!(found["total"], 1);
}

#[tokio::test]
async fn what_somebody_else_called_so_stays_apart_and_nothing_is_made_up() {
    let world = world().await;
    let sent = of_otlp();
    let plain = sent.first().unwrap();
    store(&world, plain.path, &plain.body).await;
    let bare = spans(
        0xb1,
        &[("service.name", "shop")],
        &[("environment", "mine"), ("metadata.environment", "staging")],
    );
    store(&world, "/v1/traces", &bare).await;
    for (q, right) in [
        ("attributes.environment:theirs", 1),
        ("attributes.environment:mine", 1),
        ("metadata.environment:staging", 1),
        ("attributes.cloud.region:elsewhere", 1),
        ("environment:(theirs,mine,staging)", 0),
        ("region:elsewhere", 0),
        ("-has:environment", 1),
        ("-has:version", 1),
        ("-has:release", 1),
        ("-has:region", 1),
        ("%22resource.deployment.environment.name%22:prod-otlp", 1),
    ] {
        assert_eq!(total(&world, "spans", q).await, right, "{q}");
    }
    let row = read(&world, "/spans?q=-has:environment").await["data"][0].clone();
    for field in FIELDS {
        assert_eq!(row[field], Value::Null, "{field}");
    }
    // As it came, and nothing beside it.
    let out = ask(
        &world.app,
        get(
            "/v1/projects/1/export?over=spans&format=otlp&sort=start",
            "key-of-a",
        ),
    )
    .await;
    let out = String::from_utf8(out.body).unwrap();
    let sent = |body: &Value| body["resourceSpans"][0]["resource"].to_string();
    for body in [&plain.body, &bare] {
        assert!(out.contains(&sent(body)), "{out}");
    }
    assert_eq!(out.matches("deployment.environment.name").count(), 1);
}

#[tokio::test]
async fn a_trace_of_theta_reads_back_as_it_was_sent() {
    let world = world().await;
    for sent in of_theta() {
        store(&world, sent.path, &sent.body).await;
        let id = sent.body["trace_id"].as_str().unwrap();
        let said = ask(&world.app, get(&format!("/v1/traces/{id}"), "key-of-a")).await;
        let back = &said.json()["trace"];
        for field in FIELDS {
            assert_eq!(back[field], sent.body[field], "{id} {field}");
            assert_eq!(back["steps"][0][field], Value::Null, "{id} {field}");
        }
        assert_eq!(back["metadata"], sent.body["metadata"], "{id}");
        assert_eq!(back["not_sent"], Value::Null, "{id}");
    }
}

#[tokio::test]
async fn another_dialects_row_goes_out_with_the_attributes_of_the_conventions() {
    let world = world().await;
    for sent in of_langs() {
        store(&world, sent.path, &sent.body).await;
    }
    let path = "/v1/projects/1/export?over=spans&format=otlp&q=environment:prod-langsmith";
    let out = ask(&world.app, get(path, "key-of-a")).await;
    let out = String::from_utf8(out.body).unwrap();
    let [a, b, c, d] = says("langsmith");
    for (key, value) in [
        ("service.version", b),
        ("deployment.environment.name", a),
        ("deployment.release", c),
        ("cloud.region", d),
    ] {
        let one = json!({ "key": key, "value": { "stringValue": value } });
        assert_eq!(out.matches(&one.to_string()).count(), 1, "{one} {out}");
    }
    assert!(!out.contains("obsrv.environment"), "{out}");
    let path = "/api/public/traces?environment=prod-langfuse&release=r7-langfuse";
    let said = ask(&world.app, get(path, "key-of-a")).await.json();
    assert_eq!(
        (
            &said["data"][0]["id"],
            said["data"].as_array().unwrap().len()
        ),
        (&json!("lf"), 1)
    );
    assert_eq!(said["data"][0]["version"], "1.2-langfuse");
}

/// Three traces: one of which two steps call two models, one of one model by way of a tool, one that names its model itself.
async fn models(world: &World) {
    let steps = |n: u64, of: &[(&str, &[(&str, &str)])]| -> Vec<Value> {
        let trace = format!("{:032x}", 0xc0 + n);
        let root = json!({ "traceId": trace, "spanId": "0000000000000001", "name": "root",
            "startTimeUnixNano": BASE_NS.to_string(), "endTimeUnixNano": (BASE_NS + 9).to_string() });
        let below = of.iter().map(|(id, said)| {
            json!({ "traceId": trace, "spanId": id, "parentSpanId": "0000000000000001", "name": "step",
                "startTimeUnixNano": BASE_NS.to_string(), "endTimeUnixNano": (BASE_NS + 5).to_string(),
                "attributes": attributes(said) })
        });
        std::iter::once(root).chain(below).collect()
    };
    let gpt: &[(&str, &str)] = &[("gen_ai.request.model", "gpt-4o")];
    let haiku: &[(&str, &str)] = &[("gen_ai.request.model", "haiku")];
    let tool: &[(&str, &str)] = &[("gen_ai.tool.name", "search")];
    let two = [("0000000000000002", gpt), ("0000000000000003", haiku)];
    let one = [("0000000000000002", haiku), ("0000000000000003", tool)];
    send(world, &steps(1, &two)).await;
    send(world, &steps(2, &one)).await;
    let own = json!({ "trace_id": "own", "status": "success", "model": "gpt-4o", "started_at": START, "ended_at": END,
        "steps": [{ "step_id": "st", "type": "custom", "status": "success", "started_at": START, "ended_at": END }] });
    store(world, "/v1/traces", &own).await;
}

#[tokio::test]
async fn a_trace_is_found_and_grouped_by_every_model_of_its_steps() {
    let world = world().await;
    models(&world).await;
    for (q, right) in [
        ("model:gpt-4o", 2),
        ("model:haiku", 2),
        ("model:(gpt-4o,haiku)", 3),
        ("model:gpt*", 2),
        ("model!=gpt-4o", 1),
        ("-model:haiku", 1),
        ("model:gpt-4o%20model:haiku", 1),
        ("has:model", 3),
        ("%7Bmodel:gpt-4o%7D", 1),
        ("%7Bmodel:gpt-4o%20name:root%7D", 0),
        ("tool:search", 1),
        ("-has:tool", 2),
    ] {
        assert_eq!(total(&world, "traces", q).await, right, "{q}");
    }
    for (filter, right) in [
        (json!({ "key": "model", "eq": "gpt-4o" }), 2),
        (json!({ "key": "model", "ne": "gpt-4o" }), 1),
        (json!({ "key": "model", "exists": true }), 3),
        (json!({ "span": { "key": "model", "eq": "gpt-4o" } }), 1),
        (json!({ "path": "model", "eq": "gpt-4o" }), 1),
    ] {
        let text = percent(&filter.to_string());
        let said = read(&world, &format!("/traces?filter={text}")).await;
        assert_eq!(said["data"].as_array().unwrap().len(), right, "{filter}");
    }
    // A trace counts for each of its models.
    let body = json!({ "over": "traces", "group_by": ["model"], "sort": "keys" });
    let groups = question(&world, "/aggregate", body).await.json();
    let groups: Vec<(&str, u64)> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["by"]["model"].as_str().unwrap(),
                one["rows"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(groups, [("gpt-4o", 2), ("haiku", 2)]);
    let facets = read(&world, "/facets?keys=model,tool").await;
    let counts = |at: usize| -> Vec<(String, u64)> {
        let values = facets["facets"][at]["values"].as_array().unwrap();
        let mut all: Vec<(String, u64)> = values
            .iter()
            .map(|one| {
                let value = one["value"].as_str().unwrap().to_owned();
                (value, one["count"].as_u64().unwrap())
            })
            .collect();
        all.sort();
        all
    };
    assert_eq!(
        counts(0),
        [("gpt-4o".to_owned(), 2), ("haiku".to_owned(), 2)]
    );
    assert_eq!(counts(1), [("search".to_owned(), 1)]);
    // Over spans it is the step's own.
    assert_eq!(total(&world, "spans", "model:gpt-4o").await, 1);
}
