//! Facets and aggregates, worked out again row by row.

use std::collections::BTreeMap;

use super::*;
use crate::limits::AGGREGATE_GROUPS_MAX;

#[tokio::test]
async fn facets_count_what_rows_have() {
    let world = world().await;
    let made = stored(&world, 31, 25).await;
    let rest = "/facets?over=spans&keys=status,model,attributes.tier,name&q=tokens%3C700&limit=2";
    let answer = read(&world, rest).await;
    let rows: Vec<&Made> = made.iter().filter(|m| m.tokens < 700).collect();
    assert_eq!(answer["total"], rows.len());
    let value_of = |key: &str, m: &Made| match key {
        "status" => json!(m.status()),
        "model" => json!(m.model),
        "name" => json!(m.name),
        _ => json!(m.tier),
    };
    for facet in answer["facets"].as_array().unwrap() {
        let key = facet["key"].as_str().unwrap();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for m in &rows {
            *counts.entry(value_of(key, m).to_string()).or_default() += 1;
        }
        let missing = counts.remove("null").unwrap_or(0);
        assert_eq!(facet["missing"], missing, "{key}");
        let mut listed = 0;
        for value in facet["values"].as_array().unwrap() {
            let count = counts[&value["value"].to_string()];
            assert_eq!(value["count"], count, "{key}");
            listed += count;
        }
        let all: u64 = counts.values().sum();
        assert_eq!(facet["other"], all - listed, "{key}");
        assert_eq!(facet["more"], counts.len() > 2, "{key}");
    }
}

fn quantile(mut numbers: Vec<i64>, q: f64) -> f64 {
    numbers.sort_unstable();
    let mut rank = 1;
    while (f64::from(u32::try_from(rank).unwrap()))
        < q * f64::from(u32::try_from(numbers.len()).unwrap())
    {
        rank += 1;
    }
    f64::from(i32::try_from(numbers[rank - 1] / 1_000_000).unwrap()) * 1e6
}

#[tokio::test]
async fn aggregates_are_what_rows_add_up_to() {
    let world = world().await;
    let made = stored(&world, 32, 25).await;
    let asked = json!({
        "over": "spans", "group_by": ["model"], "sort": "keys",
        "measures": [
            { "fn": "count" }, { "fn": "sum", "of": "tokens" }, { "fn": "max", "of": "tokens" },
            { "fn": "count", "where": "status:error" }, { "fn": "share", "where": "status:error" },
            { "fn": "quantile", "of": "duration", "q": 0.5 }, { "fn": "distinct", "of": "name" },
        ],
    });
    let said = question(&world, "/aggregate", asked).await;
    let answer = said.json();
    assert_eq!(said.status, 200, "{answer}");
    let mut seen = 0;
    for group in answer["groups"].as_array().unwrap() {
        let rows: Vec<&Made> = made
            .iter()
            .filter(|m| json!(m.model) == group["by"]["model"])
            .collect();
        let count = u32::try_from(rows.len()).unwrap();
        let failed = u32::try_from(rows.iter().filter(|m| m.failed).count()).unwrap();
        let durations = rows.iter().filter_map(|m| Some(m.end? - m.start)).collect();
        let names: std::collections::BTreeSet<&str> = rows.iter().map(|m| &*m.name).collect();
        let values = group["values"].as_array().unwrap();
        assert_eq!((&group["rows"], &values[0]), (&json!(count), &json!(count)));
        assert_eq!(values[1], rows.iter().map(|m| m.tokens).sum::<i64>());
        assert_eq!(values[2], rows.iter().map(|m| m.tokens).max().unwrap());
        assert_eq!(values[3], failed);
        assert!((values[4].as_f64().unwrap() - f64::from(failed) / f64::from(count)).abs() < 1e-12);
        let (found, exact) = (values[5].as_f64().unwrap(), quantile(durations, 0.5));
        assert!((found - exact).abs() <= exact * 0.005, "{found} {exact}");
        assert_eq!(values[6], names.len());
        seen += rows.len();
    }
    assert_eq!(
        (seen, &answer["total"]["rows"]),
        (made.len(), &json!(made.len()))
    );
}

#[tokio::test]
async fn buckets_are_cut_at_both_ends_and_rates_are_per_second() {
    let world = world().await;
    let made = stored(&world, 33, 25).await;
    let (from, to) = (BASE_NS + 3_500_000_000, BASE_NS + 20_000_000_000);
    let asked = json!({
        "over": "spans", "interval": "5s",
        "from": "2026-01-01T00:00:03.5Z", "to": "2026-01-01T00:00:20Z",
        "measures": [{ "fn": "count" }, { "fn": "rate" }],
    });
    let answer = question(&world, "/aggregate", asked).await.json();
    let buckets = answer["groups"][0]["buckets"].as_array().unwrap();
    let mut at = from;
    for bucket in buckets {
        let end = (at.div_euclid(5_000_000_000) + 1) * 5_000_000_000;
        let count = made.iter().filter(|m| (at..end).contains(&m.start)).count();
        let count = u32::try_from(count).unwrap();
        assert_eq!(bucket["at"], crate::dialect::format_nanos(at));
        assert_eq!(bucket["values"][0], count);
        let seconds = f64::from(u32::try_from((end - at) / 1_000_000).unwrap()) / 1e3;
        assert!((bucket["values"][1].as_f64().unwrap() - f64::from(count) / seconds).abs() < 1e-9);
        at = end;
    }
    assert_eq!(at, to);
}

#[tokio::test]
async fn aggregates_that_mean_nothing_are_refused() {
    let world = world().await;
    let most = question(
        &world,
        "/aggregate",
        json!({ "limit": AGGREGATE_GROUPS_MAX }),
    )
    .await;
    assert_eq!(most.status, 200);
    for (body, field) in [
        (json!({ "limit": AGGREGATE_GROUPS_MAX + 1 }), "limit"),
        (json!({ "measures": [{ "fn": "rate" }] }), "measures"),
        (json!({ "measures": [{ "fn": "sum" }] }), "measures"),
        (json!({ "measures": [{ "fn": "share" }] }), "measures"),
        (
            json!({ "measures": [{ "fn": "median", "of": "x" }] }),
            "measures",
        ),
        (json!({ "interval": "often" }), "interval"),
        (json!({ "from": "then" }), "from"),
        (json!({ "sort": "up" }), "sort"),
        (json!({ "over": "rows" }), "over"),
        (json!({ "q": "a:(" }), "q"),
    ] {
        let said = question(&world, "/aggregate", body.clone()).await;
        let error = &said.json()["error"];
        assert_eq!(
            (said.status.as_u16(), error["field"].as_str()),
            (400, Some(field)),
            "{body}: {error}"
        );
    }
    for body in [
        json!({ "group_by": ["a", "b", "c", "d", "e"] }),
        json!({ "interval": "1ns" }),
    ] {
        assert_eq!(question(&world, "/aggregate", body).await.status, 400);
    }
}
