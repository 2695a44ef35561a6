//! Langfuse's metrics: each figure worked out again row by row, and their limits.

use std::collections::BTreeMap;

use super::*;
use crate::limits::{
    LANGFUSE_METRICS_BINS_MAX, LANGFUSE_METRICS_BYTES, LANGFUSE_METRICS_ROWS_DEFAULT,
    LANGFUSE_METRICS_ROWS_MAX,
};

/// What a question is answered.
async fn metrics(world: &World, route: &str, question: &Value) -> (u16, Value) {
    let encoded: String = question
        .to_string()
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let path = format!("/api/public{route}?query={encoded}");
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    (said.status.as_u16(), said.json())
}

fn of(view: &str, dimensions: &[&str], metrics: &[(&str, &str)]) -> Value {
    let fields: Vec<Value> = dimensions.iter().map(|f| json!({ "field": f })).collect();
    let metrics: Vec<Value> = metrics
        .iter()
        .map(|(how, measure)| json!({ "measure": measure, "aggregation": how }))
        .collect();
    json!({
        "view": view, "dimensions": fields, "metrics": metrics, "filters": [],
        "fromTimestamp": "2025-01-01T00:00:00Z", "toTimestamp": "2027-01-01T00:00:00Z",
    })
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
#[tokio::test]
async fn figures_equal_those_of_the_rows() {
    let world = world().await;
    let made = stored(&world, 71, 60).await;
    let figures = [
        ("count", "count"),
        ("sum", "inputTokens"),
        ("avg", "inputTokens"),
        ("max", "latency"),
        ("p50", "latency"),
        ("histogram", "latency"),
    ];
    let question = of("observations", &["providedModelName", "level"], &figures);
    let (status, said) = metrics(&world, "/v2/metrics", &question).await;
    assert_eq!(status, 200, "{said}");
    let mut groups: BTreeMap<(Option<&str>, &str), Vec<&Made>> = BTreeMap::new();
    for span in &made {
        let level = if span.failed { "ERROR" } else { "DEFAULT" };
        groups.entry((span.model, level)).or_default().push(span);
    }
    let rows = said["data"].as_array().unwrap();
    assert_eq!(rows.len(), groups.len(), "{said}");
    for row in rows {
        let key = (
            row["providedModelName"].as_str(),
            row["level"].as_str().unwrap(),
        );
        let spans = &groups[&key];
        let tokens: i64 = spans.iter().map(|span| span.tokens).sum();
        assert_eq!(row["count_count"], json!(spans.len()));
        assert_eq!(row["sum_inputTokens"], json!(tokens));
        let mean = tokens as f64 / spans.len() as f64;
        assert!((row["avg_inputTokens"].as_f64().unwrap() - mean).abs() < 1e-9);
        let mut long: Vec<f64> = spans
            .iter()
            .filter_map(|span| Some((span.end? - span.start) as f64 / 1e6))
            .collect();
        long.sort_by(f64::total_cmp);
        assert_eq!(row["max_latency"].as_f64(), long.last().copied());
        let half = long[long.len().div_ceil(2) - 1];
        let told = row["p50_latency"].as_f64().unwrap();
        assert!((told - half).abs() <= half * 0.004, "{told} {half}");
        let bars = row["histogram_latency"].as_array().unwrap();
        let counted: u64 = bars.iter().map(|bar| bar[2].as_u64().unwrap()).sum();
        assert_eq!((bars.len(), counted), (10, long.len() as u64));
    }
}

#[tokio::test]
async fn buckets_of_time_add_up_to_the_same_and_filters_are_those_of_the_lists() {
    let world = world().await;
    let made = stored(&world, 72, 60).await;
    let mut question = of(
        "traces",
        &[],
        &[("count", "count"), ("sum", "observationsCount")],
    );
    question["timeDimension"] = json!({ "granularity": "minute" });
    let (status, said) = metrics(&world, "/metrics", &question).await;
    assert_eq!(status, 200, "{said}");
    let rows = said["data"].as_array().unwrap();
    let sum: u64 = rows
        .iter()
        .map(|row| row["sum_observationsCount"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, made.len() as u64);
    assert!(rows.len() > 1 && rows.is_sorted_by_key(|row| row["time_dimension"].as_str()));
    let mut question = of(
        "observations",
        &["isRootObservation"],
        &[("count", "count")],
    );
    question["filters"] = json!([
        { "column": "providedModelName", "operator": "=", "value": "o3", "type": "string" },
    ]);
    let (_, said) = metrics(&world, "/v2/metrics", &question).await;
    let all: u64 = said["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["count_count"].as_u64().unwrap())
        .sum();
    let wanted = made.iter().filter(|span| span.model == Some("o3")).count();
    assert_eq!(all, wanted as u64);
}

#[tokio::test]
async fn questions_are_bounded() {
    let world = world().await;
    let spans: Vec<Value> = (0..=LANGFUSE_METRICS_ROWS_MAX)
        .map(|n| {
            json!({
                "traceId": format!("{:032x}", 1), "spanId": format!("{:016x}", n + 1),
                "startTimeUnixNano": BASE_NS.to_string(), "name": format!("s{n}"),
            })
        })
        .collect();
    send(&world, &spans).await;
    let named = || of("observations", &["name"], &[("count", "count")]);
    let rows = |said: &Value| said["data"].as_array().map(Vec::len);
    let (_, said) = metrics(&world, "/v2/metrics", &named()).await;
    assert_eq!(rows(&said), Some(LANGFUSE_METRICS_ROWS_DEFAULT));
    for (key, most) in [
        ("row_limit", LANGFUSE_METRICS_ROWS_MAX),
        ("bins", LANGFUSE_METRICS_BINS_MAX),
    ] {
        let mut question = named();
        question["config"] = json!({ key: most });
        let (status, said) = metrics(&world, "/v2/metrics", &question).await;
        assert_eq!(status, 200, "{said}");
        if key == "row_limit" {
            assert_eq!(rows(&said), Some(LANGFUSE_METRICS_ROWS_MAX));
        }
        for wrong in [0, most + 1] {
            question["config"] = json!({ key: wrong });
            let (status, said) = metrics(&world, "/v2/metrics", &question).await;
            let field = format!("query.config.{key}");
            assert_eq!(
                (status, said["error"]["field"].as_str()),
                (400, Some(&*field))
            );
        }
    }
    let mut long = named();
    let free = LANGFUSE_METRICS_BYTES - long.to_string().len();
    let value = "x".repeat(free);
    long["toTimestamp"] = json!(format!("2027-01-01T00:00:00Z{value}"));
    let (_, said) = metrics(&world, "/v2/metrics", &long).await;
    assert_eq!(said["error"]["field"], "query.toTimestamp", "it was read");
    long["toTimestamp"] = json!(format!("2027-01-01T00:00:00Z{value}x"));
    let (_, said) = metrics(&world, "/v2/metrics", &long).await;
    assert_eq!(said["error"]["field"], "query");
}

#[tokio::test]
async fn what_is_not_known_is_named() {
    let world = world().await;
    let named = || of("observations", &["name"], &[("count", "count")]);
    for (key, value, field) in [
        ("view", json!("traces"), "query.view"),
        ("view", json!("scores-rumour"), "query.view"),
        (
            "dimensions",
            json!([{ "field": "colour" }]),
            "query.dimensions[0]",
        ),
        (
            "dimensions",
            json!([{ "field": "userId" }]),
            "query.dimensions[0]",
        ),
        ("metrics", json!([]), "query.metrics"),
        (
            "metrics",
            json!([{ "measure": "latency", "aggregation": "p12" }]),
            "query.metrics[0]",
        ),
        (
            "filters",
            json!([{ "column": "colour", "operator": "=", "value": 1 }]),
            "query.filters[0]",
        ),
        (
            "timeDimension",
            json!({ "granularity": "fortnight" }),
            "query.timeDimension.granularity",
        ),
        (
            "toTimestamp",
            json!("2025-01-01T00:00:00Z"),
            "query.toTimestamp",
        ),
        (
            "orderBy",
            json!([{ "field": "colour", "direction": "asc" }]),
            "query.orderBy[0]",
        ),
        ("colour", json!(1), "query"),
        (
            "dimensions",
            json!([
                { "field": "type" }, { "field": "level" }, { "field": "environment" },
                { "field": "version" },
            ]),
            "query.dimensions",
        ),
    ] {
        let mut question = named();
        question[key] = value;
        let (status, said) = metrics(&world, "/v2/metrics", &question).await;
        let told = said["error"]["field"].as_str();
        assert_eq!((status, told), (400, Some(field)), "{said}");
    }
}
