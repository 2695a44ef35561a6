//! Log lines and points as every other row, and Theazo's questions about them.

use http_body_util::BodyExt;

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn line(n: u64, level: u64, agent: &str, body: &str) -> Value {
    json!({
        "timeUnixNano": (1_767_225_600_000_000_000 + n * 1_000_000_000).to_string(),
        "severityNumber": level,
        "body": { "stringValue": body },
        "attributes": [text("theazo.agent.id", agent), text("theazo.session.id", "ses_1")],
    })
}

async fn log(world: &World, lines: &[Value]) {
    let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": lines }] }] });
    let said = ask(
        &world.app,
        post("/v1/logs", "key-of-a", JSON, body.to_string()),
    )
    .await;
    assert_eq!(said.json(), json!({ "partialSuccess": {} }));
}

/// Six lines of two agents; the last stands in a trace.
async fn some(world: &World) {
    let mut lines: Vec<Value> = [
        (1, 9, "agt_1", "boot"),
        (2, 13, "agt_1", "slow timeout"),
        (3, 17, "agt_2", "rate limit reached"),
        (4, 21, "agt_1", "gone"),
        (5, 1, "agt_2", "trace"),
    ]
    .into_iter()
    .map(|(n, level, agent, body)| line(n, level, agent, body))
    .collect();
    let mut inside = line(6, 9, "agt_2", "inside");
    inside["traceId"] = json!(TRACE);
    inside["spanId"] = json!("00f067aa0ba902b7");
    lines.push(inside);
    log(world, &lines).await;
}

fn bodies(page: &Value) -> Vec<&str> {
    let rows = page["data"].as_array().unwrap().iter();
    rows.map(|row| row["body"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn filters_over_lines_mean_what_answers_say() {
    let world = world().await;
    some(&world).await;
    let found = async |q: &str| {
        let page = read(&world, &format!("/logs?sort=start&q={q}")).await;
        bodies(&page).join(" ")
    };
    assert_eq!(found("span_id:00f067aa0ba902b7").await, "inside");
    assert_eq!(found("has:span_id").await, "inside");
    assert_eq!(found("has:trace_id").await, "inside");
    assert_eq!(found("not+has:trace_id").await.split(' ').count(), 8);
    assert_eq!(found(&format!("trace_id:{TRACE}")).await, "inside");
    assert_eq!(
        found("thread_id:ses_1+level:error").await,
        "rate limit reached"
    );
    let one = read(&world, "/logs?q=inside").await;
    let id = one["data"][0]["id"].as_str().unwrap();
    assert_eq!(found(&format!("id:{id}")).await, "inside");
    assert_eq!(found(&format!("span_id:{id}")).await, "");
    let kept = read(&world, "/logs?q=inside&fields=body,level").await;
    assert_eq!(kept["data"][0]["level"], "info");
    assert_eq!(kept["data"][0].get("attributes"), None);
}

#[tokio::test]
async fn lines_are_counted_and_added_up() {
    let world = world().await;
    some(&world).await;
    let facets = read(&world, "/facets?over=logs&keys=level,trace_id").await;
    assert_eq!(facets["total"], 6);
    let levels = &facets["facets"][0]["values"];
    assert_eq!(levels[0], json!({ "value": "info", "count": 2 }));
    let traces = &facets["facets"][1];
    assert_eq!(traces["values"], json!([{ "value": TRACE, "count": 1 }]));
    assert_eq!(
        (&traces["missing"], &traces["other"]),
        (&json!(5), &json!(0))
    );
    let values = read(&world, "/values?over=logs&key=trace_id").await;
    assert_eq!(values["values"], json!([{ "value": TRACE, "count": 1 }]));
    let fields = read(&world, "/fields?over=logs&prefix=attributes").await;
    let keys: Vec<_> = fields["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| &k["key"])
        .collect();
    assert_eq!(
        keys,
        ["attributes.theazo.agent.id", "attributes.theazo.session.id"]
    );
    let asked = json!({
        "over": "logs", "group_by": ["level"], "interval": "1h", "sort": "-rows",
        "measures": [{ "fn": "count" }],
    });
    let said = question(&world, "/aggregate", asked).await.json();
    assert_eq!(said["groups"][0]["by"]["level"], "info");
    assert_eq!(said["groups"][0]["buckets"][0]["rows"], 2);
    let asked = json!({ "over": "logs", "group_by": ["trace_id"] });
    let said = question(&world, "/aggregate", asked).await.json();
    assert_eq!(said["groups"].as_array().unwrap().len(), 1);
    assert_eq!(said["groups"][0]["by"]["trace_id"], TRACE);
}

#[tokio::test]
async fn points_are_added_up_by_series() {
    let world = world().await;
    let point = |at: u64, value: f64, host: &str| json!({ "timeUnixNano": at.to_string(), "asDouble": value, "attributes": [text("host", host)] });
    let body = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [{ "name": "cpu", "gauge": {
        "dataPoints": [point(1, 1.0, "a"), point(2, 3.0, "a"), point(1, 5.0, "b")],
    } }] }] }] });
    let sent = post("/v1/metrics", "key-of-a", JSON, body.to_string());
    assert_eq!(ask(&world.app, sent).await.status, 200);
    let page = read(&world, "/points?q=attributes.host:b").await;
    let series = page["data"][0]["series"].as_str().unwrap();
    let page = read(&world, &format!("/points?q=series:{series}&total=true")).await;
    assert_eq!(page["total"], 1);
    assert_eq!(
        read(&world, "/points?q=has:trace_id&total=true").await["total"],
        0
    );
    let asked = json!({
        "over": "points", "q": "name:cpu", "group_by": ["attributes.host"], "sort": "keys",
        "measures": [{ "fn": "avg", "of": "value" }],
    });
    let said = question(&world, "/aggregate", asked).await.json();
    let groups = said["groups"].as_array().unwrap();
    let values: Vec<_> = groups.iter().map(|group| &group["values"][0]).collect();
    assert_eq!(values, [&json!(2.0), &json!(5.0)]);
}

async fn theazo(world: &World, path: &str) -> Value {
    let said = ask(&world.app, get(path, "key-of-a")).await;
    let text = String::from_utf8_lossy(&said.body).into_owned();
    assert_eq!(said.status, 200, "{path}: {text}");
    said.json()
}

#[tokio::test]
async fn theazo_asks_for_lines_and_how_many_there_are() {
    let world = world().await;
    some(&world).await;
    let all = theazo(&world, "/v1/logs/query").await;
    assert_eq!(all["total"], 6);
    let first = &all["logs"][0];
    assert_eq!(
        (
            &first["message"],
            &first["level"],
            &first["agentId"],
            &first["sessionId"]
        ),
        (
            &json!("inside"),
            &json!("info"),
            &json!("agt_2"),
            &json!("ses_1")
        )
    );
    assert_eq!(first["timestamp"], "2026-01-01T00:00:06.000000000Z");
    for (rest, total, messages) in [
        ("?agentId=agt_1", 3, vec!["gone", "slow timeout", "boot"]),
        ("?level=error", 2, vec!["gone", "rate limit reached"]),
        ("?level=debug", 1, vec!["trace"]),
        ("?search=rate+limit", 1, vec!["rate limit reached"]),
        ("?sessionId=ses_2", 0, vec![]),
        ("?limit=2&offset=1", 6, vec!["trace", "gone"]),
        ("?limit=2&offset=5", 6, vec!["boot"]),
        (
            "?since=2026-01-01T00:00:02Z&until=2026-01-01T00:00:04Z",
            2,
            vec!["rate limit reached", "slow timeout"],
        ),
    ] {
        let found = theazo(&world, &format!("/v1/logs/query{rest}")).await;
        assert_eq!(found["total"], total, "{rest}");
        let logs = found["logs"].as_array().unwrap();
        let said: Vec<_> = logs
            .iter()
            .map(|log| log["message"].as_str().unwrap())
            .collect();
        assert_eq!(said, messages, "{rest}");
    }
    assert_eq!(theazo(&world, "/v1/agents/agt_2/logs").await["total"], 3);
    for (rest, field) in [
        ("level=fatal", "level"),
        ("limit=1001", "limit"),
        ("offset=10001", "offset"),
        ("since=soon", "since"),
        ("colour=a", "colour"),
    ] {
        let said = ask(
            &world.app,
            get(&format!("/v1/logs/query?{rest}"), "key-of-a"),
        )
        .await;
        assert_eq!(
            (said.status.as_u16(), &said.json()["error"]["field"]),
            (400, &json!(field))
        );
    }
    assert_eq!(
        theazo(&world, "/v1/logs/query?offset=10000&limit=1000").await["logs"],
        json!([])
    );
}

/// The next event of a stream.
async fn event(body: &mut Body, text: &mut String) -> (String, Value) {
    loop {
        if let Some((event, rest)) = text.split_once("\n\n") {
            let part = |name: &str| {
                let found = event.lines().find_map(|line| line.strip_prefix(name));
                found.unwrap_or("").to_owned()
            };
            let said = (part("event: "), part("data: "));
            *text = rest.to_owned();
            if !said.0.is_empty() {
                return (said.0, serde_json::from_str(&said.1).unwrap());
            }
            continue;
        }
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
}

async fn watch(world: &World, path: &str) -> Body {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = build(Arc::clone(&world.app))
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.into_body()
}

#[tokio::test]
async fn lines_are_told_as_they_come() {
    let world = world().await;
    some(&world).await;
    let mut theazo = watch(
        &world,
        "/v1/agents/agt_9/logs/stream?token=key-of-a&level=error",
    )
    .await;
    let request = get("/v1/projects/1/tail?over=logs&q=level:error", "key-of-a");
    let mut own = build(Arc::clone(&world.app))
        .oneshot(request)
        .await
        .unwrap()
        .into_body();
    let (mut first, mut second) = (String::new(), String::new());
    log(
        &world,
        &[
            line(7, 17, "agt_9", "one"),
            line(8, 9, "agt_9", "quiet"),
            line(9, 17, "agt_8", "other"),
        ],
    )
    .await;
    log(&world, &[line(10, 21, "agt_9", "two")]).await;
    for message in ["one", "two"] {
        let (kind, data) = event(&mut theazo, &mut first).await;
        assert_eq!((&*kind, &data["message"]), ("log", &json!(message)));
        assert_eq!(data["level"], "error");
    }
    for body in ["one", "other"] {
        let (kind, data) = event(&mut own, &mut second).await;
        assert_eq!((&*kind, &data["body"]), ("log", &json!(body)));
    }
}

/// The id of the next event.
async fn next_id(body: &mut Body) -> String {
    let mut text = String::new();
    loop {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        if let Some(id) = text.lines().find_map(|line| line.strip_prefix("id: ")) {
            return id.to_owned();
        }
    }
}

#[tokio::test]
async fn lines_go_on_after_an_event_that_is_named() {
    let world = world().await;
    let path = "/v1/agents/agt_9/logs/stream?token=key-of-a";
    let mut first = watch(&world, path).await;
    log(&world, &[line(7, 17, "agt_9", "one")]).await;
    let id = next_id(&mut first).await;
    drop(first);
    log(&world, &[line(8, 17, "agt_9", "two")]).await;
    for (after, expected) in [
        (id.as_str(), ("log", json!("two"))),
        ("1-1", ("gap", Value::Null)),
        ("nonsense", ("gap", Value::Null)),
    ] {
        let mut again = watch(&world, &format!("{path}&lastEventId={after}")).await;
        let (kind, data) = event(&mut again, &mut String::new()).await;
        assert_eq!((&*kind, data["message"].clone()), expected, "{after}");
    }
}

#[tokio::test]
async fn a_token_opens_streams_alone() {
    let world = world().await;
    for (path, status) in [
        ("/v1/logs/stream?token=key-of-nobody", 401),
        ("/v1/logs/stream?token=", 401),
        ("/v1/logs/stream", 401),
        ("/v1/logs/query?token=key-of-a", 401),
        ("/v1/traces?token=key-of-a", 401),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(ask(&world.app, request).await.status, status, "{path}");
    }
    // A header that opens nothing is not passed over.
    let request = get("/v1/logs/stream?token=key-of-a", "key-of-nobody");
    assert_eq!(ask(&world.app, request).await.status, 401);
}

fn theazo_span(n: u64, parent: Option<u64>, operation: &str, cents: u64, mode: &str) -> Value {
    let start = 1_767_225_600_000_000_000 + n * 1_000_000_000;
    let mut span = json!({
        "traceId": TRACE, "spanId": format!("{n:016x}"), "name": "step",
        "startTimeUnixNano": start.to_string(),
        "endTimeUnixNano": (start + 500_000_000).to_string(),
        "attributes": [
            text("theazo.operation", operation), text("theazo.trace.id", "trc_1"),
            text("theazo.agent.id", "agt_1"), text("theazo.billing_mode", mode),
            json!({ "key": "theazo.cost.amount", "value": { "intValue": cents.to_string() } }),
            json!({ "key": "theazo.tokens", "value": { "intValue": "100" } }),
        ],
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = json!(format!("{parent:016x}"));
    } else {
        span["attributes"]
            .as_array_mut()
            .unwrap()
            .push(text("theazo.user.id", "user_1"));
    }
    span
}

/// A run of an agent with a model, a tool and a machine.
pub(super) async fn a_run(world: &World) {
    send(
        world,
        &[
            theazo_span(1, None, "agent.run", 0, "managed"),
            theazo_span(2, Some(1), "model.call", 18, "managed"),
            theazo_span(3, Some(2), "tool.exec", 0, "managed"),
            theazo_span(4, Some(1), "sandbox.boot", 24, "managed"),
            theazo_span(5, Some(1), "sandbox.exec", 50, "byoi_compute"),
        ],
    )
    .await;
}

#[tokio::test]
async fn theazo_asks_for_traces_and_costs() {
    let world = world().await;
    a_run(&world).await;
    let traces = theazo(&world, "/v1/agents/agt_1/traces").await;
    let trace = &traces["traces"][0];
    assert_eq!(
        (&trace["traceId"], &trace["agentId"]),
        (&json!("trc_1"), &json!("agt_1"))
    );
    assert_eq!(trace["spans"].as_array().unwrap().len(), 5);
    assert_eq!(
        theazo(&world, "/v1/agents/agt_2/traces").await["traces"],
        json!([])
    );
    let trace = theazo(&world, "/v1/agents/traces/trc_1").await;
    assert_eq!(
        (&trace["status"], &trace["duration"]),
        (&json!("ok"), &json!(4500.0))
    );
    let root = &trace["spans"][0];
    assert_eq!(
        (&root["name"], &root["duration"]),
        (&json!("agent.run"), &json!(500.0))
    );
    let names: Vec<_> = root["children"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert_eq!(names, ["model.call", "sandbox.boot", "sandbox.exec"]);
    assert_eq!(root["children"][0]["children"][0]["name"], "tool.exec");
    assert_eq!(root["children"][0]["metadata"]["tokens"], 100);

    let usage = theazo(&world, "/v1/usage/users/user_1").await;
    let usd = |amount: i64| json!({ "amount": amount, "currency": "usd" });
    assert_eq!(
        (&usage["model"], &usage["compute"], &usage["total"]),
        (&usd(18), &usd(24), &usd(42))
    );
    assert_eq!(usage["billingMode"], "byoi_compute");
    // What nobody stated is by the price: two dollars and a half for a million tokens into gpt-4o.
    let said = |key: &str, value: Value| json!({ "key": key, "value": value });
    let call = json!({
        "traceId": format!("{:032x}", 9), "spanId": format!("{:016x}", 1), "name": "chat",
        "startTimeUnixNano": BASE_NS.to_string(), "endTimeUnixNano": (BASE_NS + 1).to_string(),
        "attributes": [
            said("user.id", json!({ "stringValue": "user_3" })),
            said("gen_ai.operation.name", json!({ "stringValue": "chat" })),
            said("gen_ai.request.model", json!({ "stringValue": "gpt-4o" })),
            said("gen_ai.usage.input_tokens", json!({ "intValue": "1000000" })),
        ],
    });
    send(&world, &[call]).await;
    let priced = theazo(&world, "/v1/usage/users/user_3").await;
    assert_eq!((&priced["model"], &priced["total"]), (&usd(250), &usd(250)));
    let nobody = theazo(&world, "/v1/usage/users/user_2").await;
    assert_eq!(
        (&nobody["total"], &nobody["billingMode"]),
        (&usd(0), &json!("managed"))
    );
}

#[tokio::test]
async fn theazo_asks_for_metrics() {
    let world = world().await;
    a_run(&world).await;
    let time = "since=2026-01-01T00:00:00Z&until=2026-01-01T02:00:00Z&interval=1h";
    let metric = async |name: &str| {
        let path = format!("/v1/agents/agt_1/metrics?metric={name}&{time}");
        let series = theazo(&world, &path).await;
        assert_eq!(series[0]["timestamp"], "2026-01-01T00:00:00Z", "{name}");
        (series[0]["value"].clone(), series[1]["value"].clone())
    };
    assert_eq!(metric("agents.active").await, (json!(1.0), json!(0.0)));
    assert_eq!(
        metric("agents.boot_time").await,
        (json!(500.0), Value::Null)
    );
    assert_eq!(metric("error_rate").await, (json!(0.0), Value::Null));
    for name in ["tokens", "tokens.total"] {
        assert_eq!(metric(name).await, (json!(500.0), json!(0.0)));
    }
    assert_eq!(metric("latency").await.0, json!(4500.0));
    let (cost, _) = metric("cost.total").await;
    assert!((cost.as_f64().unwrap() - 92.0).abs() < 1e-9, "{cost}");
    for rest in [
        "metric=nothing",
        "metric=latency&interval=2h",
        "metric=latency&since=x",
    ] {
        let path = format!("/v1/agents/metrics?{rest}");
        assert_eq!(
            ask(&world.app, get(&path, "key-of-a")).await.status,
            400,
            "{rest}"
        );
    }
}

/// Three traces, of which the last two are one thread, and lines that stand in them in every way.
async fn lines_and_traces(world: &World) {
    let span = Made {
        trace: format!("{:032x}", 77),
        id: format!("{:016x}", 5),
        parent: None,
        name: "work".to_owned(),
        start: BASE_NS,
        end: Some(BASE_NS + 9),
        failed: false,
        model: None,
        tokens: 0,
        tier: None,
    };
    let mut spans = vec![span.otlp()];
    for (trace, start) in [(78_u64, 10), (79, 20)] {
        let mut one = span.clone();
        one.trace = format!("{trace:032x}");
        one.start = BASE_NS + start;
        one.end = Some(BASE_NS + start);
        let mut one = one.otlp();
        let thread = json!({ "key": "session.id", "value": { "stringValue": "th" } });
        one["attributes"].as_array_mut().unwrap().push(thread);
        spans.push(one);
    }
    send(world, &spans).await;
    let line = |text: &str, at: i64, more: Value| {
        let mut line = json!({
            "timeUnixNano": (BASE_NS + at).to_string(), "body": { "stringValue": text },
        });
        for (key, value) in more.as_object().unwrap() {
            line[key] = value.clone();
        }
        line
    };
    let thread = json!([{ "key": "session.id", "value": { "stringValue": "th" } }]);
    let lines = json!([
        line(
            "in-span",
            3,
            json!({ "traceId": span.trace, "spanId": span.id })
        ),
        line(
            "no-span",
            3,
            json!({ "traceId": span.trace, "spanId": "00000000000000aa" })
        ),
        line("in-thread", 15, json!({ "attributes": thread })),
        line("too-early", 5, json!({ "attributes": thread })),
        line("alone", 5, json!({})),
        line("gone", 5, json!({ "traceId": format!("{:032x}", 99) })),
    ]);
    let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": lines }] }] });
    let said = ask(
        &world.app,
        post("/v1/logs", "key-of-a", JSON, body.to_string()),
    )
    .await;
    assert_eq!(said.status, 200);
}

#[tokio::test]
async fn a_line_leads_to_its_trace() {
    let world = world().await;
    lines_and_traces(&world).await;
    let all = read(&world, "/logs").await;
    let mut seen = std::collections::BTreeMap::new();
    for line in all["data"].as_array().unwrap() {
        let path = format!("/v1/projects/1/logs/{}/trace", line["id"].as_str().unwrap());
        let said = ask(&world.app, get(&path, "key-of-a")).await;
        let told = said.json();
        let shown = if said.status == 200 {
            assert_eq!(&told["log"], line);
            let end =
                |of: &Value, key: &str| of[key].as_str().map(|id| id[id.len() - 2..].to_owned());
            (
                told["by"].as_str().map(str::to_owned),
                end(&told["trace"], "trace_id"),
                end(&told["span"], "span_id"),
            )
        } else {
            assert_eq!(said.status, 404);
            (None, None, None)
        };
        seen.insert(line["body"].as_str().unwrap().to_owned(), shown);
    }
    let some = |text: &str| Some(text.to_owned());
    let hex = |n: u64| Some(format!("{n:02x}"));
    let expected = [
        ("alone", (None, None, None)),
        ("gone", (None, None, None)),
        ("in-span", (some("trace"), hex(77), hex(5))),
        ("in-thread", (some("thread"), hex(78), None)),
        ("no-span", (some("trace"), hex(77), None)),
        ("too-early", (None, None, None)),
    ];
    let expected = expected.map(|(name, shown)| (name.to_owned(), shown));
    assert_eq!(seen, expected.into());
    assert_eq!(refused(&world, "/logs/nothing/trace").await.0, 404);
}
