//! What answers of several queries cost, and what an export would.

use std::collections::BTreeSet;

use obsrv_engine::query::FACETS_MAX;

use super::*;
use crate::limits::EXPORT_RUNS;

fn number(explain: &Value, name: &str) -> u64 {
    let found = explain[name].as_u64();
    found.unwrap_or_else(|| panic!("no {name}: {explain}"))
}

#[tokio::test]
async fn a_comparison_and_paths_say_what_all_their_queries_cost() {
    let world = world().await;
    let made = stored(&world, 61, 20).await;
    let spans = u64::try_from(made.len()).unwrap();
    let side = json!({});
    let of = |keys: &[&str], explain: bool| json!({ "over": "spans", "keys": keys, "a": side, "b": side, "explain": explain });
    let found = question(&world, "/compare", of(&["name"], true)).await;
    let explain = &found.json()["explain"];
    // Every row is looked at for each side.
    assert_eq!(number(explain, "rows_visited"), 2 * spans);
    let keys: Vec<String> = (0..=FACETS_MAX).map(|n| format!("k{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = question(&world, "/compare", of(&keys, true)).await;
    // More keys than one query counts: two for each side.
    assert_eq!(number(&found.json()["explain"], "rows_visited"), 4 * spans);
    let silent = question(&world, "/compare", of(&["name"], false)).await;
    assert_eq!(silent.json().get("explain"), None);

    let paths = question(&world, "/paths", json!({ "explain": true }))
        .await
        .json();
    let runs = number(&paths, "runs");
    assert_eq!(number(&paths["explain"], "rows_visited"), runs + spans);
    assert!(number(&paths["explain"], "page_bytes") > 100 * spans);
    let silent = question(&world, "/paths", json!({})).await.json();
    assert_eq!(silent.get("explain"), None);
}

#[tokio::test]
async fn versions_beginnings_and_queues_say_what_they_cost() {
    let world = world().await;
    let made = stored(&world, 63, 12).await;
    let spans = u64::try_from(made.len()).unwrap();
    let traces: BTreeSet<&str> = made.iter().map(|m| m.trace.as_str()).collect();
    let runs = u64::try_from(traces.len()).unwrap();
    // Spans are looked at once for their versions, once for their releases; a queue looks at runs, of which none has a score.
    for (path, least) in [
        ("/releases", 2 * spans),
        ("/timeline", 3 * spans),
        ("/reviews?score=good", runs),
    ] {
        let joint = if path.contains('?') { '&' } else { '?' };
        let said = read(&world, &format!("{path}{joint}explain=true")).await;
        assert_eq!(number(&said["explain"], "rows_visited"), least, "{path}");
        assert_eq!(read(&world, path).await.get("explain"), None, "{path}");
    }
}

#[tokio::test]
async fn keys_are_counted_where_they_stand_but_for_dead_rows() {
    let world = world().await;
    plain(&world, 1, 0, 3).await;
    let said = read(&world, "/fields?over=spans&explain=true").await;
    assert!(said["keys"].as_array().unwrap().len() > 1);
    let cost = |said: &Value| {
        ["sources", "sources_pruned", "rows_visited"].map(|name| number(&said["explain"], name))
    };
    assert_eq!(cost(&said), [1, 1, 0]);
    // The dead row is looked at, for all keys: the span that another version took the place of.
    plain(&world, 1, 0, 1).await;
    let other = json!({ "traceId": format!("{:032x}", 1), "spanId": format!("{:016x}", 1), "name": "t",
        "startTimeUnixNano": BASE_NS.to_string() });
    send(&world, &[other]).await;
    let said = read(&world, "/fields?over=spans&explain=true").await;
    assert_eq!(cost(&said), [1, 0, 1]);
    assert_eq!(
        read(&world, "/fields?over=spans").await.get("explain"),
        None
    );
}

#[tokio::test]
async fn an_export_s_cost_comes_instead_of_its_rows() {
    let world = world().await;
    let made = stored(&world, 62, 20).await;
    let failed = made.iter().filter(|m| m.failed).count();
    let failed = u64::try_from(failed).unwrap();
    let audit = Arc::clone(world.app.core().unwrap().plane().audit());
    let plan = async |rest: &str| {
        let path = format!("/v1/projects/1/export?explain=true{rest}");
        let said = ask(&world.app, get(&path, "key-of-a")).await;
        assert_eq!(said.status, 200, "{rest}");
        assert_eq!(
            said.headers[header::CONTENT_TYPE],
            "application/json",
            "{rest}"
        );
        said.json()
    };
    for (format, kind) in [
        ("jsonl", "application/x-ndjson"),
        ("csv", "text/csv; charset=utf-8"),
        ("parquet", "application/vnd.apache.parquet"),
        ("otlp", "application/x-ndjson"),
        ("otlp-protobuf", "application/x-protobuf; delimited=true"),
    ] {
        let said = plan(&format!("&over=spans&q=status:error&format={format}")).await;
        assert_eq!(said["content_type"], kind);
        let sizes = ["total", "rows", "pages"].map(|name| number(&said, name));
        assert_eq!(sizes, [failed, failed, 1], "{format}");
        assert!(number(&said, "bytes_about") > 100 * failed);
        assert!(number(&said["explain"], "rows_visited") >= failed);
    }
    let said = plan("&over=spans&rows=3").await;
    let sizes = ["total", "rows", "pages"].map(|name| number(&said, name));
    assert_eq!(sizes, [u64::try_from(made.len()).unwrap(), 3, 1]);
    // Behind a cursor nobody has counted.
    let path = "/v1/projects/1/export?over=spans&rows=3&cursors=true";
    let file = String::from_utf8(ask(&world.app, get(path, "key-of-a")).await.body).unwrap();
    let last: Value = serde_json::from_str(file.lines().last().unwrap()).unwrap();
    let cursor = last["next_cursor"].as_str().unwrap();
    let noted = audit.bytes();
    let said = plan(&format!("&over=spans&cursor={cursor}")).await;
    assert_eq!(number(&said, "total"), u64::try_from(made.len()).unwrap());
    for name in ["rows", "pages", "bytes_about"] {
        assert_eq!(said.get(name), Some(&Value::Null), "{name}");
    }
    let said = plan("&over=spans&q=name:none").await;
    let sizes = ["total", "rows", "pages", "bytes_about"].map(|name| number(&said, name));
    assert_eq!(sizes, [0; 4]);
    // Traces as requests are read some at a time.
    let traces: BTreeSet<&str> = made.iter().map(|m| m.trace.as_str()).collect();
    let said = plan("&format=otlp").await;
    let pages = u64::try_from(traces.len().div_ceil(EXPORT_RUNS)).unwrap();
    assert_eq!(
        (number(&said, "rows"), number(&said, "pages")),
        (u64::try_from(traces.len()).unwrap(), pages)
    );
    // Nothing left, so nothing is noted; what leaves is.
    assert_eq!(audit.bytes(), noted);
    let path = "/v1/projects/1/export?over=spans&explain=false";
    let said = ask(&world.app, get(path, "key-of-a")).await;
    assert_eq!(
        String::from_utf8(said.body).unwrap().lines().count(),
        made.len()
    );
    assert!(audit.bytes() > noted);
    let (status, error) = refused(&world, "/export?explain=true&format=pdf").await;
    assert_eq!((status, &error["field"]), (400, &json!("format")));
}

/// What was guessed stands beside what came of it; the header, which has a bound, leaves it out.
#[tokio::test]
async fn a_search_says_of_each_condition_how_many_rows_it_left() {
    let world = world().await;
    let made = stored(&world, 65, 12).await;
    let spans = u64::try_from(made.len()).unwrap();
    let said = read(
        &world,
        "/spans?q=has:name%20metadata.zz:nowhere&total=true&explain=true",
    )
    .await;
    let parts = said["explain"]["parts"].as_array().unwrap();
    let part = |name: &str| {
        let found = parts.iter().find(|one| one["part"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {parts:?}"))
    };
    let (named, none) = (part("name exists"), part("metadata.zz ="));
    assert_eq!(parts.len(), 2);
    // Rows in memory tell nothing beforehand: half of them, whatever is asked.
    assert_eq!(number(named, "rows"), spans);
    assert_eq!(number(named, "guess"), spans.div_ceil(2));
    assert_eq!(number(named, "left"), spans);
    assert_eq!(number(none, "left"), 0);
    assert_eq!(number(none, "skipped_groups"), 0);
}
