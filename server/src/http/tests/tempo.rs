//! Grafana's Tempo data source: its requests, as its sources make them, and what it reads of the answers.

use super::*;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::json;

const S: u64 = 1_767_225_600;

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Three traces: a shop of two services, one alone, and one with a name that is no hex.
#[expect(clippy::too_many_lines, reason = "a table of spans")]
pub(super) async fn stored() -> World {
    let world = world().await;
    let span =
        |trace: &str, id: &str, parent: &str, name: &str, at: u64, length: u64, more: Value| {
            let mut span = json!({
                "traceId": format!("{trace:0>32}"), "spanId": format!("{id:0>16}"), "name": name,
                "startTimeUnixNano": format!("{}000000000", S + at),
                "endTimeUnixNano": format!("{}000000000", S + at + length),
            });
            if !parent.is_empty() {
                span["parentSpanId"] = json!(format!("{parent:0>16}"));
            }
            for (key, value) in more.as_object().unwrap() {
                span[key] = value.clone();
            }
            span
        };
    let status = |code: u64| json!({ "code": code, "message": "no money" });
    let web = [
        span(
            "a1",
            "1",
            "",
            "GET /cart",
            0,
            10,
            json!({ "kind": 2, "attributes": [text("http.method", "GET"), { "key": "http.status_code", "value": { "intValue": "500" } }] }),
        ),
        span("a1", "2", "1", "pay", 1, 4, json!({ "kind": 3 })),
        span(
            "b2",
            "1",
            "",
            "GET /",
            100,
            1,
            json!({ "kind": 2, "attributes": [text("http.method", "GET")] }),
        ),
    ];
    let pay = [span(
        "a1",
        "3",
        "2",
        "charge",
        2,
        2,
        json!({ "kind": 2, "status": status(2), "events": [{ "name": "exception", "timeUnixNano": format!("{}500000000", S + 2), "attributes": [text("exception.type", "Broke")] }] }),
    )];
    for (service, spans) in [("web", &web[..]), ("pay", &pay[..])] {
        let body = json!({ "resourceSpans": [{
            "resource": { "attributes": [text("service.name", service), text("region", "eu")] },
            "scopeSpans": [{ "scope": { "name": "lib", "version": "1" }, "spans": spans }],
        }] });
        let said = ask(
            &world.app,
            post("/v1/traces", "key-of-a", JSON, body.to_string()),
        )
        .await;
        assert_eq!(said.status, 200);
    }
    let theta = json!({
        "trace_id": "t-1", "name": "agent", "status": "success", "started_at": "2026-01-01T00:05:00Z",
        "metadata": { "customer": "acme" }, "steps": [{
            "step_id": "s-1", "trace_id": "t-1", "name": "plan", "type": "llm", "model": "o3", "status": "success",
            "started_at": "2026-01-01T00:05:00Z", "ended_at": "2026-01-01T00:05:02Z",
        }],
    });
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", JSON, theta.to_string()),
    )
    .await;
    assert!(
        said.status.is_success(),
        "{:?}",
        String::from_utf8_lossy(&said.body)
    );
    world
}

/// A question in `name=value` pairs, encoded.
pub(super) fn asking(path: &str, params: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|b| {
                if b.is_ascii_alphanumeric() {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect()
    };
    let params: Vec<String> = params
        .iter()
        .map(|(k, v)| format!("{k}={}", encode(v)))
        .collect();
    format!("{path}?{}", params.join("&"))
}

async fn tempo(world: &World, path: &str, params: &[(&str, &str)]) -> Value {
    let path = asking(&format!("/tempo{path}"), params);
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    assert_eq!(
        said.status,
        200,
        "{path}: {}",
        String::from_utf8_lossy(&said.body)
    );
    said.json()
}

async fn status(world: &World, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
    let path = asking(&format!("/tempo{path}"), params);
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    (
        said.status.as_u16(),
        serde_json::from_slice(&said.body).unwrap_or_default(),
    )
}

fn ids(found: &Value) -> Vec<&str> {
    let traces = found["traces"].as_array().unwrap();
    traces
        .iter()
        .map(|trace| trace["traceID"].as_str().unwrap())
        .collect()
}

const A1: &str = "000000000000000000000000000000a1";
const B2: &str = "000000000000000000000000000000b2";
/// `t-1`
const T1: &str = "742d31";

#[tokio::test]
async fn a_search_in_traceql_is_what_grafana_reads() {
    let world = stored().await;
    let (from, to) = (S.to_string(), (S + 1000).to_string());
    // As the data source asks: q, limit, spss and both ends in seconds.
    let range = [
        ("limit", "20"),
        ("spss", "3"),
        ("start", &*from),
        ("end", &*to),
    ];
    let q = "{resource.service.name=\"web\" && span.http.method=\"GET\"}";
    let mut params = range.to_vec();
    params.push(("q", q));
    let found = tempo(&world, "/api/search", &params).await;
    assert_eq!(ids(&found), [B2, A1]);
    let trace = &found["traces"][1];
    assert_eq!(trace["rootServiceName"], "web");
    assert_eq!(trace["rootTraceName"], "GET /cart");
    assert_eq!(trace["startTimeUnixNano"], format!("{S}000000000"));
    assert_eq!(trace["durationMs"], 10_000);
    let set = &trace["spanSets"][0];
    assert_eq!((&set["matched"], &trace["spanSet"]), (&json!(1), set));
    let span = &set["spans"][0];
    assert_eq!(span["spanID"], "0000000000000001");
    assert_eq!(span["durationNanos"], "10000000000");
    assert_eq!(
        span["attributes"],
        json!([text("service.name", "web"), text("http.method", "GET")])
    );
    let metrics = found["metrics"].as_object().unwrap();
    assert!(metrics["inspectedBytes"].is_string() && metrics["inspectedTraces"].is_u64());

    let only = async |q: &str| ids_of(&tempo(&world, "/api/search", &[("q", q)]).await);
    assert_eq!(only("{ kind = server } >> { status = error }").await, [A1]);
    assert_eq!(
        only("{ status = error } | select(event.exception.type)").await,
        [A1]
    );
    assert_eq!(only("{}").await, [T1, B2, A1]);
    assert_eq!(only("").await, [T1, B2, A1]);
    assert_eq!(only("{ model = \"o3\" }").await, [T1]);
    assert_eq!(
        only("{nestedSetParent<0 && true} | count() > 5").await,
        Vec::<String>::new()
    );
    let grouped = tempo(
        &world,
        "/api/search",
        &[("q", "{} | by(resource.service.name) | count() > 1")],
    )
    .await;
    let says = &grouped["traces"][0]["spanSets"][0]["attributes"];
    assert_eq!(says[0], text("by(resource.service.name)", "web"));
    assert_eq!(
        says[1],
        json!({ "key": "count()", "value": { "intValue": "2" } })
    );
    // Drilldown's tree of errors.
    let q = "({nestedSetParent<0 && true && status = error} &>> { status = error }) || ({nestedSetParent<0 && true}) \
             | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)";
    let tree = tempo(
        &world,
        "/api/search",
        &[("q", q), ("limit", "200"), ("spss", "20")],
    )
    .await;
    let attributes = tree["traces"][2]["spanSets"][0]["spans"][0]["attributes"]
        .as_array()
        .unwrap();
    let left = attributes
        .iter()
        .find(|one| one["key"] == "nestedSetLeft")
        .unwrap();
    assert_eq!(left["value"], json!({ "intValue": "1" }));
}

fn ids_of(found: &Value) -> Vec<String> {
    ids(found).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_search_by_tags_and_what_is_refused() {
    let world = stored().await;
    let only = async |params: &[(&str, &str)]| ids_of(&tempo(&world, "/api/search", params).await);
    assert_eq!(
        only(&[("tags", "service.name=WEB http.method=ge")]).await,
        [B2, A1]
    );
    assert_eq!(only(&[("tags", "http.status_code=500")]).await, [A1]);
    assert_eq!(
        only(&[("tags", "name=\"get /\""), ("minDuration", "5s")]).await,
        [A1]
    );
    assert_eq!(only(&[("maxDuration", "1500ms")]).await, [B2]);
    let (end, begin) = ((S + 50).to_string(), (S + 51).to_string());
    assert_eq!(only(&[("end", &end)]).await, [A1]);
    assert_eq!(
        only(&[("start", "0"), ("end", "18446744073709551615")]).await,
        [T1, B2, A1]
    );
    for (params, part) in [
        (&[("q", "{ sttaus = error }")][..], "did you mean status"),
        (&[("q", "{} | rate()")], "function over time"),
        (&[("q", "{}"), ("tags", "a=b")], "same query"),
        (
            &[("start", &*begin), ("end", &*end)],
            "start must be before end",
        ),
        (&[("limit", "0")], "limit"),
        (&[("start", "soon")], "seconds"),
        (&[("tags", "a")], "key=value"),
        (&[("minDuration", "1x")], "length of time"),
    ] {
        let (code, body) = status(&world, "/api/search", params).await;
        assert_eq!(code, 400, "{params:?}");
        let said = body["error"].to_string();
        assert!(said.contains(part), "{said}");
    }
    let wrong = status(&world, "/api/search", &[("q", "{ .a = 1 ")]).await.1;
    assert_eq!(wrong["error"]["position"], 9);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one request after the other")]
async fn names_and_values_for_who_types() {
    let world = stored().await;
    let tags = tempo(&world, "/api/v2/search/tags", &[("limit", "5000")]).await;
    let scope = |name: &str| -> Vec<String> {
        let scopes = tags["scopes"].as_array().unwrap();
        let one = scopes.iter().find(|scope| scope["name"] == name).unwrap();
        let names = one["tags"].as_array().unwrap();
        names
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(scope("span"), ["http.method", "http.status_code"]);
    assert_eq!(scope("resource"), ["region", "service.name"]);
    assert_eq!(scope("event"), ["exception.type"]);
    assert!(
        scope("intrinsic").iter().any(|name| name == "model"),
        "{:?}",
        scope("intrinsic")
    );
    // Every one of them is a name of TraceQL.
    for name in scope("intrinsic") {
        let path = format!("/api/v2/search/tag/{name}/values");
        tempo(&world, &path, &[]).await;
    }
    let plain = tempo(&world, "/api/search/tags", &[("scope", "span")]).await;
    assert_eq!(
        plain["tagNames"],
        json!(["http.method", "http.status_code"])
    );
    assert_eq!(
        status(&world, "/api/v2/search/tags", &[("scope", "x")])
            .await
            .0,
        400
    );
    let values = async |tag: &str, params: &[(&str, &str)]| {
        let found = tempo(&world, &format!("/api/v2/search/tag/{tag}/values"), params).await;
        let mut all: Vec<(String, String)> = found["tagValues"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| {
                (
                    v["type"].as_str().unwrap().to_owned(),
                    v["value"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        all.sort();
        all
    };
    let strings = |texts: &[&str]| -> Vec<(String, String)> {
        texts
            .iter()
            .map(|text| ("string".to_owned(), (*text).to_owned()))
            .collect()
    };
    assert_eq!(
        values("resource.service.name", &[]).await,
        strings(&["pay", "web"])
    );
    // Of a query that is being typed what reads.
    for q in [
        "{ span.http.method = \"GET\" }",
        "{ span.http.method = \"GET\" && resource.x = }",
    ] {
        assert_eq!(
            values("resource.service.name", &[("q", q)]).await,
            strings(&["web"]),
            "{q}"
        );
    }
    assert_eq!(values("name", &[("q", "{ nonsense")]).await.len(), 5);
    let end = (S + 50).to_string();
    assert_eq!(
        values("name", &[("end", &end)]).await,
        strings(&["GET /cart", "charge", "pay"])
    );
    assert_eq!(
        values("span.http.status_code", &[]).await,
        [("int".to_owned(), "500".to_owned())]
    );
    assert_eq!(
        values("status", &[]).await[0],
        ("keyword".to_owned(), "error".to_owned())
    );
    assert_eq!(values("rootServiceName", &[]).await, strings(&["web"]));
    let v1 = tempo(&world, "/api/search/tag/service.name/values", &[]).await;
    assert_eq!(v1["tagValues"], json!(["pay", "web"]));
    assert_eq!(
        status(&world, "/api/v2/search/tag/nonsense/values", &[])
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn a_trace_as_protobuf_and_as_json() {
    let world = stored().await;
    let binary = async |path: &str| {
        let request = Request::get(path)
            .header("authorization", "Basic YTprZXktb2YtYQ==")
            .header("accept", "application/protobuf");
        ask(&world.app, request.body(Body::empty()).unwrap()).await
    };
    // First version 2, as the data source does, with the range of the panel.
    let said = binary(&format!(
        "/tempo/api/v2/traces/{A1}?start={S}&end={}",
        S + 9
    ))
    .await;
    assert_eq!(said.status, 200);
    assert_eq!(said.headers[header::CONTENT_TYPE], "application/x-protobuf");
    // TraceByIDResponse { Trace trace = 1; }
    assert_eq!(said.body[0], 0x0a);
    let mut inner = &said.body[1..];
    let length = prost::encoding::decode_varint(&mut inner).unwrap();
    assert_eq!(usize::try_from(length).unwrap(), inner.len());
    let read = ExportTraceServiceRequest::decode(inner).unwrap();
    let count = |read: &ExportTraceServiceRequest| -> usize {
        let scopes = read.resource_spans.iter().flat_map(|r| &r.scope_spans);
        scopes.map(|scope| scope.spans.len()).sum()
    };
    assert_eq!((read.resource_spans.len(), count(&read)), (2, 3));
    let plain = binary(&format!("/tempo/api/traces/{A1}")).await;
    let plain = ExportTraceServiceRequest::decode(&*plain.body).unwrap();
    assert_eq!(plain, read);
    for id in ["a1", &A1.to_uppercase()] {
        assert_eq!(
            binary(&format!("/tempo/api/traces/{id}")).await.status,
            200,
            "{id}"
        );
    }
    for id in [T1, "t-1"] {
        let found = tempo(&world, &format!("/api/v2/traces/{id}"), &[]).await;
        let span = &found["trace"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["name"], "plan");
    }
    let json = tempo(&world, &format!("/api/traces/{A1}"), &[]).await;
    let spans = json["batches"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|b| b["scopeSpans"][0]["spans"].as_array().unwrap());
    assert_eq!(spans.count(), 3);
    assert_eq!(binary("/tempo/api/v2/traces/ff").await.status, 404);
    let other = Request::get(format!("/tempo/api/v2/traces/{A1}")).header("x-api-key", "key-of-b");
    assert_eq!(
        ask(&world.app, other.body(Body::empty()).unwrap())
            .await
            .status,
        404
    );
    assert_eq!(
        status(
            &world,
            &format!("/api/traces/{A1}"),
            &[("start", "5"), ("end", "4")]
        )
        .await
        .0,
        400
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one request after the other")]
async fn functions_over_time() {
    let world = stored().await;
    let (from, to) = (S.to_string(), (S + 400).to_string());
    let range = [("start", &*from), ("end", &*to), ("step", "100s")];
    let asked = async |q: &str| {
        let mut params = range.to_vec();
        params.push(("q", q));
        tempo(&world, "/api/metrics/query_range", &params).await["series"].clone()
    };
    let all = asked("{} | count_over_time()").await;
    assert_eq!(
        all[0]["labels"],
        json!([text("__name__", "count_over_time")])
    );
    let values: Vec<f64> = all[0]["samples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["value"].as_f64().unwrap())
        .collect();
    assert_eq!(values, [3.0, 1.0, 0.0, 1.0]);
    assert_eq!(all[0]["samples"][0]["timestampMs"], format!("{S}000"));
    let by = asked("{nestedSetParent<0 && true && resource.service.name != nil} | rate() by(resource.service.name)").await;
    assert_eq!(by.as_array().unwrap().len(), 1);
    assert_eq!(
        by[0]["labels"],
        json!([text("resource.service.name", "web")])
    );
    let quantile = asked("{} | quantile_over_time(duration, 1) by (kind)").await;
    let labels: Vec<&Value> = quantile
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["labels"][1])
        .collect();
    assert_eq!(
        labels[0],
        &json!({ "key": "p", "value": { "doubleValue": 1.0 } })
    );
    let histogram = asked("{} | histogram_over_time(duration) with(sample=true)").await;
    assert_eq!(histogram[0]["labels"][0]["key"], "__bucket");
    let compared = asked("{} | compare({status = error}, 10)").await;
    let has = |kind: &str, key: &str, value: &str| {
        compared
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["labels"] == json!([text("__meta_type", kind), text(key, value)]))
    };
    assert!(
        has("selection", "resource.service.name", "pay"),
        "{compared}"
    );
    assert!(has("baseline", "span.http.method", "GET"));
    let instant = tempo(
        &world,
        "/api/metrics/query",
        &[
            ("q", "{} | count_over_time()"),
            ("start", &from),
            ("end", &to),
        ],
    )
    .await;
    assert_eq!(instant["series"][0]["value"], 5.0);
    let nanos = format!("{from}000000000");
    let since = tempo(
        &world,
        "/api/metrics/query",
        &[("q", "{} | rate()"), ("end", &nanos), ("since", "30m")],
    )
    .await;
    assert_eq!(since["series"], json!([]));
    for (params, part) in [
        (&[("q", "{}")][..], "function over time"),
        (&[("q", "{} | rate()"), ("step", "0")], "step"),
        (&[("q", "{} | rate()"), ("step", "1ms")], "too many steps"),
        (
            &[("q", "{} | rate()"), ("start", "9"), ("end", "8")],
            "before end",
        ),
        (
            &[
                ("q", "{} | rate()"),
                ("start", "0"),
                ("end", "18446744073709551615"),
                ("step", "1s"),
            ],
            "too many steps",
        ),
    ] {
        let (code, body) = status(&world, "/api/metrics/query_range", params).await;
        assert!((400..500).contains(&code), "{code} {params:?}");
        let said = body["error"].to_string();
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn functions_are_calculated_with() {
    let world = stored().await;
    let (from, to) = (S.to_string(), (S + 400).to_string());
    let asked = async |q: &str| {
        let params = [("start", &*from), ("end", &to), ("step", "100s"), ("q", q)];
        tempo(&world, "/api/metrics/query_range", &params).await["series"].clone()
    };
    let samples = |one: &Value| -> Vec<(u64, f64)> {
        let samples = one["samples"].as_array().unwrap().iter();
        let at = |p: &Value| p["timestampMs"].as_str().unwrap().parse::<u64>().unwrap() / 1000 - S;
        samples
            .map(|p| (at(p), p["value"].as_f64().unwrap()))
            .collect()
    };
    let share = asked("({status = error} | rate()) / ({} | rate())").await;
    assert_eq!(share.as_array().unwrap().len(), 1);
    assert_eq!(
        share[0]["labels"],
        json!([text("__name__", "(rate / rate)")])
    );
    // Nothing is in the third step to be divided by.
    let third = 1.0 / 3.0;
    let near = |found: &[(u64, f64)], wanted: &[(u64, f64)]| {
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert_eq!(found.0, wanted.0);
            assert!((found.1 - wanted.1).abs() < 1e-12, "{found:?}");
        }
    };
    near(&samples(&share[0]), &[(0, third), (100, 0.0), (300, 0.0)]);
    let percent = asked("100 * ({} | rate()) > 1").await;
    assert_eq!(percent[0]["labels"], json!([text("__name__", "rate")]));
    near(&samples(&percent[0]), &[(0, 3.0)]);
    let by = asked(
        "({} | count_over_time() by (resource.service.name)) - ({status = error} | count_over_time() by (resource.service.name))",
    )
    .await;
    assert_eq!(by.as_array().unwrap().len(), 1);
    assert_eq!(
        by[0]["labels"],
        json!([text("resource.service.name", "pay")])
    );
    let params = [
        ("q", "1 + ({} | count_over_time())"),
        ("start", &from),
        ("end", &to),
    ];
    let instant = tempo(&world, "/api/metrics/query", &params).await;
    assert_eq!(instant["series"][0]["value"], 6.0);
    let q = "({} | rate()) % 2";
    let (code, body) = status(&world, "/api/metrics/query_range", &[("q", q)]).await;
    assert_eq!((code, &body["error"]["position"]), (400, &json!(14)));
    let (code, _) = status(&world, "/api/search", &[("q", "2 * ({} | rate())")]).await;
    assert_eq!(code, 400);
}

#[tokio::test]
async fn spans_are_shown_beside_series() {
    let world = stored().await;
    let (from, to) = (S.to_string(), (S + 400).to_string());
    // As Grafana reads them: the trace by its label, milliseconds, and the value.
    let asked = async |q: &str, more: &[(&str, &str)]| -> Vec<(String, u64, f64)> {
        let mut params = vec![("start", &*from), ("end", &to), ("step", "100s"), ("q", q)];
        params.extend(more);
        let found = tempo(&world, "/api/metrics/query_range", &params).await;
        let series = found["series"].as_array().unwrap().iter();
        let shown = series.flat_map(|one| one["exemplars"].as_array().cloned().unwrap_or_default());
        let shown = shown.map(|one| {
            let labels = one["labels"].as_array().unwrap();
            let trace = labels.iter().find(|l| l["key"] == "trace:id").unwrap();
            let trace = trace["value"]["stringValue"].as_str().unwrap();
            let at = one["timestampMs"].as_str().unwrap();
            let at = at.parse::<u64>().unwrap() - S * 1000;
            (trace.to_owned(), at, one["value"].as_f64().unwrap())
        });
        shown.collect()
    };
    let is = |trace: &str, at: u64, value: f64| (trace.to_owned(), at, value);
    let count = "{} | count_over_time()";
    let all = [is(A1, 0, 3.0), is(B2, 100_000, 1.0), is(T1, 300_000, 1.0)];
    for more in [&[][..], &[("exemplars", "0")], &[("exemplars", "101")]] {
        assert_eq!(asked(count, more).await, all, "{more:?}");
    }
    let two = [is(A1, 0, 3.0), is(T1, 300_000, 1.0)];
    assert_eq!(asked(count, &[("exemplars", "2")]).await, two);
    let hinted = "{} | count_over_time() with(exemplars=2)";
    assert_eq!(asked(hinted, &[("exemplars", "1")]).await, two);
    let none = "{} | count_over_time() with(exemplars=false)";
    assert_eq!(asked(none, &[("exemplars", "1")]).await, []);
    let longest = asked("{} | max_over_time(duration)", &[("exemplars", "1")]).await;
    assert_eq!(longest, [is(A1, 0, 10.0)]);
    let share = "({status = error} | count_over_time()) / ({} | count_over_time())";
    let third = asked(share, &[("exemplars", "4")]).await;
    assert_eq!(third[0], is(A1, 0, 1.0 / 3.0));
    // Every one is found by the name that it is shown by.
    for (trace, ..) in &all {
        tempo(&world, &format!("/api/v2/traces/{trace}"), &[]).await;
    }
    let instant = [("q", count), ("start", &from), ("end", &to)];
    let instant = tempo(&world, "/api/metrics/query", &instant).await;
    assert_eq!(instant["series"][0].get("exemplars"), None);
    let wrong = [("q", count), ("exemplars", "some")];
    assert_eq!(
        status(&world, "/api/metrics/query_range", &wrong).await.0,
        400
    );
}

#[tokio::test]
async fn save_and_test_tells_a_good_key_from_a_bad_one() {
    let world = stored().await;
    let good = ask(&world.app, get("/tempo/api/echo", "key-of-a")).await;
    assert_eq!((good.status.as_u16(), &*good.body), (200, &b"echo"[..]));
    assert_eq!(
        ask(&world.app, get("/tempo/api/echo", "bad")).await.status,
        401
    );
    let request = Request::get("/tempo/api/echo")
        .header("x-api-key", "key-of-a")
        .header("x-scope-orgid", "anonymous");
    assert_eq!(
        ask(&world.app, request.body(Body::empty()).unwrap())
            .await
            .status,
        200
    );
    // A person sees several projects and names one.
    let plane = Arc::clone(world.app.core().unwrap().plane());
    let owner = crate::tenancy::Role::Owner;
    let made = plane.set_member(By::operator(), crate::tenancy::FIRST_ORG, UserId(9), owner);
    made.await.unwrap();
    for (project, code) in [("1", 200), ("77", 404), ("", 400)] {
        let request = Request::get("/tempo/api/echo")
            .header("x-test-user", "9")
            .header("x-scope-orgid", project);
        let said = ask(&world.app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(said.status, code, "{project}");
    }
    let build = ask(&world.app, get("/tempo/api/status/buildinfo", "")).await;
    assert_eq!(build.json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(ask(&world.app, get("/tempo/ready", "")).await.status, 200);
}

#[tokio::test]
async fn lists_take_traceql_and_json() {
    let world = stored().await;
    let list = async |rest: &str, params: &[(&str, &str)]| {
        let said = ask(
            &world.app,
            get(
                &asking(&format!("/v1/projects/1{rest}"), params),
                "key-of-a",
            ),
        )
        .await;
        (said.status.as_u16(), said.json())
    };
    let traceql = "{ resource.service.name = \"pay\" } && { kind = client }";
    let (code, found) = list("/traces", &[("traceql", traceql)]).await;
    assert_eq!((code, found["data"].as_array().unwrap().len()), (200, 1));
    assert_eq!(found["data"][0]["trace_id"], A1);
    let json =
        "{\"and\":[{\"key\":\"service\",\"eq\":\"web\"},{\"key\":\"duration\",\"gt\":\"2s\"}]}";
    let (code, found) = list("/spans", &[("filter", json), ("q", "name:pay")]).await;
    assert_eq!((code, found["data"].as_array().unwrap().len()), (200, 1));
    let (code, found) = list("/traces", &[("traceql", "{} > {}")]).await;
    assert_eq!((code, &found["error"]["field"]), (400, &json!("traceql")));
    let (code, found) = list(
        "/spans",
        &[("filter", "{\"and\":[{\"key\":\"a\",\"gt\":true}]}")],
    )
    .await;
    assert_eq!(
        (code, &found["error"]["field"]),
        (400, &json!("filter.and[0].gt"))
    );
    let body = json!({ "over": "spans", "filter": { "key": "service", "eq": "web" } });
    let said = ask(
        &world.app,
        post(
            "/v1/projects/1/aggregate",
            "key-of-a",
            JSON,
            body.to_string(),
        ),
    )
    .await;
    assert_eq!(said.json()["total"]["rows"], 3);
}
