//! Scores beside the rows that they are of: in lists, in files, between two sets; and the names that filters over scores take.

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::facts::{scored, span, trace};
use super::lines::a_run;
use super::partial::flushed;
use super::*;
use crate::limits::{COMPARE_SCORES_MAX, COST_GROUPS_MAX};
use obsrv_engine::query::SCORES_TOLD_MAX;

/// A text too long for a column.
fn long() -> String {
    "calm, ".repeat(30)
}

/// Words: two of a trace, a long one, and words beside a number of another score.
async fn worded(world: &World) {
    scored(world).await;
    for (n, value) in [
        (1, json!("warm")),
        (1, json!("calm")),
        (2, json!(long())),
        (3, json!("odd")),
        (3, json!(2)),
    ] {
        let score = json!({ "trace_id": trace(n), "name": "tone", "value": value });
        assert_eq!(question(world, "/scores", score).await.status, 201);
    }
    let of_span =
        json!({ "trace_id": trace(4), "span_id": span(4), "name": "tone", "value": "flat" });
    assert_eq!(question(world, "/scores", of_span).await.status, 201);
}

const FIELDS: &str = "sort=start&fields=name,scores.help,scores.tone";

fn of_traces() -> Vec<Value> {
    vec![
        json!({ "help": 0.9, "tone": ["calm", "warm"] }),
        json!({ "help": 0.25, "tone": long() }),
        json!({ "help": 1.0, "tone": 2.0 }),
        json!({ "help": 0.5, "tone": "flat" }),
        json!({ "help": 0.75 }),
        json!({}),
    ]
}

#[tokio::test]
async fn lists_tell_the_scores_that_are_asked_for() {
    let world = world().await;
    worded(&world).await;
    for flush in [false, true] {
        if flush {
            flushed(&world).await;
        }
        let answer = read(&world, &format!("/traces?explain=true&{FIELDS}")).await;
        let rows = answer["data"].as_array().unwrap();
        let said: Vec<Value> = rows.iter().map(|row| row["scores"].clone()).collect();
        assert_eq!(said, of_traces());
        assert_eq!(
            (&rows[0]["name"], rows[0].get("status")),
            (&json!("run-1"), None)
        );
        assert!(
            answer["explain"]["score_rows_visited"].as_u64().unwrap() >= 12,
            "{answer}"
        );
        // What is said of a whole trace is said of none of its spans.
        let answer = read(&world, &format!("/spans?{FIELDS}")).await;
        let rows = answer["data"].as_array().unwrap();
        let said: Vec<Value> = rows.iter().map(|row| row["scores"].clone()).collect();
        assert_eq!(
            said,
            [
                json!({ "help": 0.9 }),
                json!({ "help": 0.25 }),
                json!({ "help": 1.0 }),
                json!({ "help": 0.5, "tone": "flat" }),
                json!({}),
                json!({}),
            ]
        );
    }
    let queue = read(
        &world,
        "/reviews?score=none&sort=start&fields=scores.help&limit=1",
    )
    .await;
    assert_eq!(queue["data"][0]["scores"], json!({ "help": 0.9 }));
    // Of other rows it is a path like any other.
    let logs = read(&world, "/scores?fields=scores.help").await;
    assert_eq!(logs["data"][0].get("scores"), None);
}

#[tokio::test]
async fn so_many_scores_are_told_at_once() {
    let world = world().await;
    worded(&world).await;
    for rest in ["/traces?fields=", "/export?over=spans&format=csv&fields="] {
        for (count, status) in [(SCORES_TOLD_MAX, 200), (SCORES_TOLD_MAX + 1, 400)] {
            let names: Vec<String> = (0..count).map(|n| format!("scores.{n}")).collect();
            let path = format!("/v1/projects/1{rest}{}", names.join(","));
            let said = ask(&world.app, get(&path, "key-of-a")).await;
            assert_eq!(said.status, status, "{rest} {count}");
        }
    }
}

async fn exported(world: &World, rest: &str) -> Vec<u8> {
    let path = format!("/v1/projects/1/export?{FIELDS}&{rest}");
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    assert_eq!(said.status, 200, "{rest}");
    said.body
}

#[tokio::test]
async fn files_have_the_scores_that_are_asked_for() {
    let world = world().await;
    worded(&world).await;
    let lines = String::from_utf8(exported(&world, "format=jsonl").await).unwrap();
    let said = lines.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        row["scores"].clone()
    });
    assert_eq!(said.collect::<Vec<_>>(), of_traces());
    let csv = String::from_utf8(exported(&world, "format=csv").await).unwrap();
    let expected = [
        "name,scores.help,scores.tone".to_owned(),
        "run-1,0.9,\"[\"\"calm\"\",\"\"warm\"\"]\"".to_owned(),
        format!("run-2,0.25,\"{}\"", long()),
        "run-3,1.0,2.0".to_owned(),
        "run-4,0.5,flat".to_owned(),
        "run-5,0.75,".to_owned(),
        "run-6,,".to_owned(),
    ];
    assert_eq!(csv.lines().collect::<Vec<_>>(), expected);
    // A number where all are numbers, yes and no; text where some are words.
    let file = bytes::Bytes::from(exported(&world, "format=parquet").await);
    let file = SerializedFileReader::new(file).unwrap();
    let rows = file.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap();
        let mut fields = row.get_column_iter().map(|(_, field)| field.clone());
        (fields.nth(1).unwrap(), fields.next().unwrap())
    });
    let text = |text: &str| Field::Str(text.to_owned());
    let expected = [
        (Field::Double(0.9), text("[\"calm\",\"warm\"]")),
        (Field::Double(0.25), text(&long())),
        (Field::Double(1.0), text("2.0")),
        (Field::Double(0.5), text("flat")),
        (Field::Double(0.75), Field::Null),
        (Field::Null, Field::Null),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn two_sets_differ_in_their_scores() {
    let world = world().await;
    worded(&world).await;
    let sets = json!({ "a": { "q": "scores.help>=0.75" }, "b": { "q": "-scores.help>=0.75" } });
    let mut asked = sets.clone();
    asked["keys"] = json!(["scores.help", "name", "scores.tone"]);
    let answer = question(&world, "/compare", asked).await.json();
    assert_eq!(
        (&answer["a_rows"], &answer["b_rows"]),
        (&json!(2), &json!(4))
    );
    let of = |key: &str, value: Value| {
        let rows = answer["data"].as_array().unwrap();
        let row = rows
            .iter()
            .find(|row| row["key"] == key && row["value"] == value);
        let row = row.unwrap_or_else(|| panic!("{key} {value}: {answer}"));
        (
            row["a_count"].as_u64().unwrap(),
            row["b_count"].as_u64().unwrap(),
        )
    };
    assert_eq!(of("scores.help", json!(0.9)), (1, 0));
    assert_eq!(of("scores.help", json!(0.25)), (0, 1));
    assert_eq!(of("name", json!("run-5")), (1, 0));
    // A value too long to be listed leaves out the values, not the means.
    assert_eq!(answer["left_out"], json!(["scores.tone"]));
    let help = &answer["scores"][0];
    assert_eq!(
        (
            &help["key"],
            &help["a_rows"],
            &help["b_rows"],
            &help["a_mean"]
        ),
        (&json!("scores.help"), &json!(2), &json!(3), &json!(0.825))
    );
    let close = |value: &Value, right: f64| (value.as_f64().unwrap() - right).abs() < 1e-9;
    assert!(close(&help["b_mean"], 1.75 / 3.0), "{help}");
    assert!(close(&help["difference"], 0.825 - 1.75 / 3.0), "{help}");
    let tone = &answer["scores"][1];
    assert_eq!(
        (
            &tone["b_rows"],
            &tone["b_mean"],
            &tone["a_mean"],
            &tone["difference"]
        ),
        (&json!(1), &json!(2.0), &Value::Null, &Value::Null)
    );
    // Scores are among the usual keys, and those of spans are the spans' own.
    let usual = question(&world, "/compare", sets).await.json();
    assert_eq!(usual["scores"][0]["key"], "scores.help", "{usual}");
    let spans =
        json!({ "over": "spans", "a": {}, "b": { "q": "name:run-4" }, "keys": ["scores.help"] });
    let spans = question(&world, "/compare", spans).await.json();
    assert_eq!(
        (&spans["scores"][0]["a_rows"], &spans["scores"][0]["b_mean"]),
        (&json!(4), &json!(0.5))
    );
    for (count, status) in [(COMPARE_SCORES_MAX, 200), (COMPARE_SCORES_MAX + 1, 400)] {
        let names: Vec<String> = (0..count).map(|n| format!("scores.{n}")).collect();
        let many = json!({ "a": {}, "b": {}, "keys": names });
        assert_eq!(question(&world, "/compare", many).await.status, status);
    }
    // Scores themselves are compared by what every protocol says.
    let scores = json!({ "over": "scores", "a": { "q": "name:help value>=0.75" }, "b": { "q": "name:help value<0.75" } });
    let scores = question(&world, "/compare", scores).await.json();
    let keys = scores["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["key"].as_str().unwrap());
    assert!(keys.collect::<Vec<_>>().contains(&"value"), "{scores}");
}

#[tokio::test]
async fn fields_of_scores_are_what_filters_call_them() {
    let world = world().await;
    scored(&world).await;
    for flush in [false, true] {
        if flush {
            flushed(&world).await;
        }
        let all = read(&world, "/fields?over=scores").await;
        let of = |name: &str| {
            let keys = all["keys"].as_array().unwrap();
            let key = keys.iter().find(|key| key["key"] == name)?;
            let types = key["types"].as_array().unwrap().iter();
            let mut types: Vec<String> = types
                .map(|of| format!("{} {}", of["type"].as_str().unwrap(), of["rows"]))
                .collect();
            types.sort();
            Some(types.join(", "))
        };
        assert_eq!(of("name").unwrap(), "text 6", "{all}");
        assert_eq!(
            of("value").unwrap(),
            "bool 1, float 4, int 1, text 2",
            "{all}"
        );
        assert_eq!(of("user_id").unwrap(), "text 3", "{all}");
        assert_eq!(of("span_id").unwrap(), "text 4", "{all}");
        assert_eq!(of("source").unwrap(), "text 4", "{all}");
        assert_eq!(of("comment").unwrap(), "text 3", "{all}");
        for place in [
            "label",
            "score",
            "step_id",
            "run_id",
            "metadata.user_id",
            "feedback_source.type",
        ] {
            assert_eq!(of(place), None, "{all}");
        }
        // Every name that is listed finds the rows that are counted.
        for key in all["keys"].as_array().unwrap() {
            let name = key["key"].as_str().unwrap();
            let rows = read(&world, &format!("/scores?total=true&q=has:{name}")).await;
            assert!(rows["total"].as_u64() >= key["rows"].as_u64(), "{key}");
        }
        let some = read(&world, "/fields?over=scores&prefix=s").await;
        let names = some["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| &key["key"]);
        assert_eq!(names.collect::<Vec<_>>(), ["source", "span_id"]);
        let first = read(&world, "/fields?over=scores&limit=1").await;
        assert_eq!(
            (first["keys"].as_array().unwrap().len(), &first["more"]),
            (1, &json!(true))
        );
    }
}

/// What was sent with a key is what that key cost; what comes again with another one is that one's.
#[tokio::test]
async fn costs_are_told_by_key() {
    let world = world().await;
    let scopes = json!({ "scopes": ["ingest"] }).to_string();
    let made = ask(&world.app, post("/v1/keys", "key-of-a", JSON, scopes)).await;
    let made = made.json();
    let (second, id) = (made["key"].as_str().unwrap(), &made["key_id"]);
    let send = async |key: &str, span: u64, model: &str| {
        let said = |key: &str, value: Value| json!({ "key": key, "value": value });
        let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
            "traceId": format!("{span:032x}"), "spanId": format!("{span:016x}"), "name": "chat",
            "startTimeUnixNano": BASE_NS.to_string(), "endTimeUnixNano": (BASE_NS + 1).to_string(),
            "attributes": [
                said("gen_ai.operation.name", json!({ "stringValue": "chat" })),
                said("gen_ai.request.model", json!({ "stringValue": model })),
                said("gen_ai.usage.input_tokens", json!({ "intValue": "1000000" })),
            ],
        }] }] }] });
        let sent = post("/v1/traces", key, JSON, body.to_string());
        assert_eq!(ask(&world.app, sent).await.status, 200);
    };
    send("key-of-a", 1, "gpt-4o").await;
    send("key-of-a", 2, "nobody-knows").await;
    send(second, 3, "gpt-4o").await;
    let by_key = read(&world, "/costs?group_by=key").await;
    let told = by_key["data"].as_array().unwrap();
    assert_eq!(told.len(), 2);
    for of_key in told {
        assert_eq!(of_key["total"]["amount"], 250, "{by_key}");
    }
    assert!(told.iter().any(|of_key| of_key["key"] == *id), "{by_key}");
    let listed = read(&world, &format!("/spans?q=key_id:{}", id.as_str().unwrap())).await;
    let ids: Vec<&Value> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["span_id"])
        .collect();
    assert_eq!(ids, [&json!(format!("{:016x}", 3))]);
    let traces = read(
        &world,
        &format!("/traces?q=key_id:{}&total=true", id.as_str().unwrap()),
    )
    .await;
    assert_eq!(traces["total"], 1);
    // The same span again, with the other key.
    send(second, 1, "gpt-4o").await;
    let by_key = read(&world, "/costs?group_by=key").await;
    assert_eq!(by_key["total"]["amount"], 500, "{by_key}");
}

#[tokio::test]
async fn costs_are_told_by_user_and_model() {
    let world = world().await;
    a_run(&world).await;
    let said = |key: &str, value: Value| json!({ "key": key, "value": value });
    let call = |n: u64, user: Option<&str>, model: &str| {
        let mut attributes = vec![
            said("gen_ai.operation.name", json!({ "stringValue": "chat" })),
            said("gen_ai.request.model", json!({ "stringValue": model })),
            said(
                "gen_ai.usage.input_tokens",
                json!({ "intValue": "1000000" }),
            ),
        ];
        attributes.extend(user.map(|user| said("user.id", json!({ "stringValue": user }))));
        json!({
            "traceId": format!("{n:032x}"), "spanId": format!("{n:016x}"), "name": "chat", "attributes": attributes,
            "startTimeUnixNano": BASE_NS.to_string(), "endTimeUnixNano": (BASE_NS + 1).to_string(),
        })
    };
    let calls = [
        call(7, Some("ada"), "gpt-4o"),
        call(8, None, "gpt-4o"),
        call(9, Some("ada"), "nobody-knows"),
    ];
    send(&world, &calls).await;
    let usd = |amount: i64| json!({ "amount": amount, "currency": "usd" });
    let bill = |model: i64, compute: i64, mode: &str| json!({ "model": usd(model), "compute": usd(compute), "total": usd(model + compute), "billing_mode": mode });
    let of = |key: Value, mut bill: Value| {
        bill["key"] = key;
        bill
    };
    let all = bill(518, 24, "byoi_compute");
    let mut expected = all.clone();
    expected["more"] = json!(false);
    assert_eq!(read(&world, "/costs").await, expected);
    let by_user = read(&world, "/costs?group_by=user").await;
    assert_eq!(by_user["total"], all["total"]);
    assert_eq!(
        by_user["data"],
        json!([
            of(Value::Null, bill(250, 0, "managed")),
            of(json!("ada"), bill(250, 0, "managed")),
            of(json!("user_1"), bill(18, 24, "byoi_compute")),
        ])
    );
    let by_model = read(&world, "/costs?group_by=model&limit=2").await;
    assert_eq!(
        (&by_model["data"], &by_model["more"]),
        (
            &json!([
                of(json!("gpt-4o"), bill(500, 0, "managed")),
                of(Value::Null, bill(18, 24, "byoi_compute")),
            ]),
            &json!(true)
        )
    );
    let one = read(&world, "/costs?q=user_id:ada&group_by=model").await;
    assert_eq!(one["total"], usd(250));
    assert_eq!(one["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        read(&world, "/costs?from=2030-01-01").await["total"],
        usd(0)
    );
    for (rest, field) in [
        ("/costs?group_by=tool".to_owned(), "group_by"),
        (format!("/costs?limit={}", COST_GROUPS_MAX + 1), "limit"),
    ] {
        let (status, error) = refused(&world, &rest).await;
        assert_eq!((status, &error["field"]), (400, &json!(field)));
    }
    read(&world, &format!("/costs?limit={COST_GROUPS_MAX}")).await;
}
