//! Exports in every form hold what lists tell, and go on where they ended.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as LogsRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as SpansRequest;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use prost::Message;

use super::*;
use crate::limits::PARQUET_EXPORTS_MAX;

async fn bytes(world: &World, rest: &str) -> Vec<u8> {
    let path = format!("/v1/projects/1/export{rest}");
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    assert_eq!(said.status, 200, "{rest}");
    said.body
}

async fn lines(world: &World, rest: &str) -> Vec<Value> {
    let text = String::from_utf8(bytes(world, rest).await).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn parquet(bytes: Vec<u8>) -> (Vec<Row>, Option<String>) {
    let file = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    let metadata = file.metadata().file_metadata().key_value_metadata();
    let next = metadata.and_then(|entries| entries[0].value.clone());
    let rows = file.get_row_iter(None).unwrap().map(Result::unwrap);
    (rows.collect(), next)
}

fn cell(row: &Row, name: &str) -> Value {
    let found = row.get_column_iter().find(|(column, _)| *column == name);
    match found.unwrap_or_else(|| panic!("no column {name}")).1 {
        Field::Null => Value::Null,
        Field::Str(text) => json!(text),
        Field::Long(n) => json!(n),
        Field::Double(n) => json!(n),
        Field::Bool(b) => json!(b),
        Field::ListInternal(list) => {
            let texts = list.elements().iter().map(|field| match field {
                Field::Str(text) => json!(text),
                other => panic!("{other}"),
            });
            texts.collect()
        }
        other => json!(other.to_string()),
    }
}

#[tokio::test]
async fn parquet_holds_what_lists_tell() {
    let world = world().await;
    let spans = stored(&world, 11, 30).await;
    for over in ["spans", "traces"] {
        let listed = lines(&world, &format!("?over={over}&sort=start&raw=true")).await;
        let file = bytes(
            &world,
            &format!("?over={over}&sort=start&format=parquet&raw=true"),
        )
        .await;
        let (rows, next) = parquet(file);
        assert_eq!((rows.len(), next), (listed.len(), None));
        for (row, told) in rows.iter().zip(&listed) {
            for name in [
                "trace_id",
                "name",
                "status",
                "duration_ns",
                "error_message",
                "tags",
            ] {
                assert_eq!(cell(row, name), told[name], "{over} {name}");
            }
            assert_eq!(cell(row, "tokens_total"), told["tokens"]["total"]);
            let raw: Value = serde_json::from_str(cell(row, "raw").as_str().unwrap()).unwrap();
            assert_eq!(raw, told["raw"]);
        }
    }
    let listed = lines(&world, "?over=spans").await;
    assert_eq!(listed.len(), spans.len());
}

#[tokio::test]
async fn parquet_goes_on_where_a_file_ended() {
    let world = world().await;
    let spans = stored(&world, 12, 12).await;
    let mut found = Vec::new();
    let mut rest = "?over=spans&format=parquet&fields=span_id&rows=7".to_owned();
    loop {
        let (rows, next) = parquet(bytes(&world, &rest).await);
        assert!(rows.len() <= 7);
        found.extend(rows.iter().map(|row| cell(row, "span_id")));
        let Some(next) = next else { break };
        rest = format!("?over=spans&format=parquet&fields=span_id&rows=7&cursor={next}");
    }
    let all = lines(&world, "?over=spans").await;
    let all: Vec<Value> = all.iter().map(|row| row["span_id"].clone()).collect();
    assert_eq!((found.len(), &found), (spans.len(), &all));
}

#[tokio::test]
async fn exports_that_keep_rows_have_bounded_places() {
    let world = world().await;
    let mut held = Vec::new();
    for _ in 0..PARQUET_EXPORTS_MAX {
        let place = Arc::clone(&world.app.parquet_exports).try_acquire_owned();
        held.push(place.unwrap());
    }
    let (status, error) = refused(&world, "/export?format=parquet").await;
    assert_eq!((status, &error["code"]), (503, &json!("overloaded")));
    held.pop();
    bytes(&world, "?format=parquet").await;
    bytes(&world, "?format=parquet").await;
}

#[tokio::test]
async fn what_goes_out_as_otlp_comes_in_as_the_same_rows() {
    let world = world().await;
    let spans = stored(&world, 13, 20).await;
    let text = String::from_utf8(bytes(&world, "?format=otlp").await).unwrap();
    for line in text.lines() {
        let sent = post("/v1/traces", "key-of-b", JSON, line.to_owned());
        assert_eq!(
            ask(&world.app, sent).await.json(),
            json!({ "partialSuccess": {} })
        );
    }
    let shown = async |project: u64, key: &str| {
        let path = format!("/v1/projects/{project}/export?over=spans&raw=true&sort=trace_id");
        let said = ask(&world.app, get(&path, key)).await;
        let text = String::from_utf8(said.body).unwrap();
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort();
        // Of each project the first key, which is another one.
        let key_id = format!(r#""key_id":"{project}","#);
        assert!(rows.iter().all(|row| row.contains(&key_id)));
        rows.iter()
            .map(|row| row.replace(&key_id, ""))
            .collect::<Vec<_>>()
    };
    let (ours, theirs) = (shown(1, "key-of-a").await, shown(2, "key-of-b").await);
    assert_eq!(ours.len(), spans.len());
    assert_eq!(ours, theirs);
    // Spans by themselves are the same ones, each request behind its length.
    let delimited = bytes(&world, "?over=spans&format=otlp-protobuf").await;
    let (mut rest, mut count) = (delimited.as_slice(), 0);
    while !rest.is_empty() {
        let request = SpansRequest::decode_length_delimited(&mut rest).unwrap();
        for group in request.resource_spans {
            count += group
                .scope_spans
                .iter()
                .map(|s| s.spans.len())
                .sum::<usize>();
        }
    }
    assert_eq!(count, spans.len());
}

#[tokio::test]
async fn runs_with_words_of_their_own_are_spans_too() {
    let world = world().await;
    let body = json!({
        "trace_id": "tr_1", "name": "whole", "status": "success", "user_id": "ann",
        "metadata": { "plan": "pro" }, "started_at": "2026-01-31T12:00:00Z",
        "steps": [{ "step_id": "st_1", "name": "part", "type": "llm", "model": "m" }],
    });
    let sent = post("/v1/traces", "key-of-a", JSON, body.to_string());
    assert_eq!(ask(&world.app, sent).await.status, 201);
    let requests = lines(&world, "?format=otlp").await;
    let spans: Vec<&Value> = requests
        .iter()
        .flat_map(|request| request["resourceSpans"].as_array().unwrap())
        .flat_map(|group| group["scopeSpans"].as_array().unwrap())
        .flat_map(|scope| scope["spans"].as_array().unwrap())
        .collect();
    let names: Vec<&str> = spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["whole", "part"]);
    assert_eq!(spans[0]["traceId"], spans[1]["traceId"]);
    let attributes = spans[0]["attributes"].as_array().unwrap();
    let plan = attributes
        .iter()
        .find(|a| a["key"] == "metadata.plan")
        .unwrap();
    assert_eq!(plan["value"]["stringValue"], "pro");
    let alone = lines(&world, "?over=spans&format=otlp").await;
    assert!(!alone[0].to_string().contains("whole"));
}

#[tokio::test]
async fn logs_points_and_scores_go_out_as_well() {
    let world = world().await;
    let log = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"timeUnixNano":"7","severityNumber":17,"body":{"stringValue":"broken"}}]}]}]}"#;
    let point = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"9","asDouble":1.5}]}}]}]}]}"#;
    for (path, body) in [("/v1/logs", log), ("/v1/metrics", point)] {
        let said = ask(&world.app, post(path, "key-of-a", JSON, body)).await;
        assert_eq!(said.status, 200);
    }
    let (rows, _) = parquet(bytes(&world, "?over=logs&format=parquet").await);
    assert_eq!(cell(&rows[0], "body"), "broken");
    assert_eq!(cell(&rows[0], "severity_number"), 17);
    assert_eq!(cell(&rows[0], "trace_id"), Value::Null);
    let (rows, _) = parquet(bytes(&world, "?over=points&format=parquet").await);
    assert_eq!(
        (cell(&rows[0], "name"), cell(&rows[0], "value")),
        (json!("m"), json!(1.5))
    );
    let logs = lines(&world, "?over=logs&format=otlp").await;
    let record = &logs[0]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(
        (&record["timeUnixNano"], &record["severityNumber"]),
        (&json!("7"), &json!(17))
    );
    let points = lines(&world, "?over=points&format=otlp").await;
    let metric = &points[0]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0];
    assert_eq!(metric["gauge"]["dataPoints"][0]["asDouble"], 1.5);
    let csv = String::from_utf8(bytes(&world, "?over=logs&format=csv&fields=body,level").await);
    assert_eq!(csv.unwrap(), "body,level\r\nbroken,error\r\n");
    let score = json!({ "trace_id": "t", "name": "quality", "value": 0.5 });
    assert!(question(&world, "/scores", score).await.status.is_success());
    let delimited = bytes(&world, "?over=scores&format=otlp-protobuf").await;
    let request = LogsRequest::decode_length_delimited(delimited.as_slice()).unwrap();
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(record.event_name, "gen_ai.evaluation.result");
}

#[tokio::test]
async fn forms_know_their_parameters() {
    let world = world().await;
    for (rest, field) in [
        ("?format=xml", "format"),
        ("?format=otlp&fields=a", "format"),
        ("?format=otlp&raw=true", "format"),
        ("?format=csv&raw=true", "format"),
        ("?format=parquet&cursors=true", "format"),
        ("?format=otlp-protobuf&cursors=true", "format"),
        ("?over=rows", "over"),
        ("?rows=0", "rows"),
        ("?rows=x", "rows"),
    ] {
        let (status, error) = refused(&world, &format!("/export{rest}")).await;
        assert_eq!((status, &error["field"]), (400, &json!(field)), "{rest}");
    }
    stored(&world, 14, 5).await;
    assert_eq!(lines(&world, "?over=spans&rows=2").await.len(), 2);
    let with_cursors = lines(&world, "?format=otlp&cursors=true").await;
    assert_eq!(
        with_cursors.last().unwrap(),
        &json!({ "next_cursor": null })
    );
}
