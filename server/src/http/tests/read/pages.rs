//! Lists, single rows, names, and what is refused.

use super::*;
use crate::limits::{FACETS_MAX, PAGE_ROWS_MAX, TREE_COLUMN_ROWS_MAX, TREE_PAGE_ROWS_MAX};

#[tokio::test]
async fn pages_put_together_are_the_rows_that_pass_in_order() {
    let world = world().await;
    let made = stored(&world, 11, 20).await;
    let mut expected: Vec<&Made> = made.iter().filter(|m| m.tokens > 300).collect();
    expected.sort_by_key(|m| std::cmp::Reverse((m.tokens, &m.trace, &m.id)));
    let list = "/spans?q=tokens%3E300&sort=-tokens&limit=7&total=true&explain=true&to=now";
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = read(&world, &format!("{list}{cursor}")).await;
        assert_eq!(page["total"], expected.len());
        assert!(page["explain"]["rows_visited"].is_u64());
        for span in page["data"].as_array().unwrap() {
            let text = |key: &str| span[key].as_str().unwrap().to_owned();
            found.push((
                text("trace_id"),
                text("span_id"),
                span["tokens"]["total"].as_i64().unwrap(),
            ));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = expected
        .into_iter()
        .map(|m| (m.trace.clone(), m.id.clone(), m.tokens))
        .collect();
    assert_eq!(found, expected);
    let (status, error) = refused(&world, &format!("/traces?{}", &cursor[1..])).await;
    assert_eq!(
        (status, error["code"].as_str()),
        (400, Some("invalid_cursor"))
    );
}

#[tokio::test]
async fn a_trace_and_a_span_say_what_was_sent() {
    let world = world().await;
    let made = stored(&world, 12, 6).await;
    let page = read(
        &world,
        "/traces?sort=start&fields=name,span_count,environment,tokens.total",
    )
    .await;
    for run in page["data"].as_array().unwrap() {
        let spans: Vec<&Made> = made.iter().filter(|m| m.trace == run["trace_id"]).collect();
        assert_eq!(run["span_count"], spans.len());
        assert_eq!(run["environment"], "prod");
        assert!(run.get("status").is_none(), "{run}");
    }
    for m in &made {
        let at = format!("/traces/{}/spans/{}", m.trace, m.id);
        let span = read(&world, &at).await;
        assert_eq!(span["name"], m.name);
        assert_eq!(span["status"], m.status());
        assert_eq!(span["parent_id"], json!(m.parent));
        assert_eq!(span["duration_ns"], json!(m.end.map(|end| end - m.start)));
        assert_eq!(span["model"], json!(m.model));
        assert_eq!(span["attributes"]["tier"], json!(m.tier));
        assert_eq!(span["raw"]["name"], m.name);
    }
    let head = read(&world, &format!("/traces/{:032x}", 1)).await;
    assert_eq!(head["trace"]["service"], "shop");
    assert_eq!(head["scores"], json!([]));
}

#[tokio::test]
async fn names_are_those_that_rows_have() {
    let world = world().await;
    let made = stored(&world, 13, 12).await;
    let fields = read(&world, "/fields?over=spans&prefix=attributes.").await;
    let tier = fields["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["key"] == "attributes.tier");
    let with = made.iter().filter(|m| m.tier.is_some()).count();
    assert_eq!(
        tier.unwrap(),
        &json!({
            "key": "attributes.tier", "type": "int", "rows": with, "types": [{ "type": "int", "rows": with }],
        })
    );
    let values = read(
        &world,
        "/values?over=spans&key=name&prefix=step&q=status:error",
    )
    .await;
    let mut sum = 0;
    for value in values["values"].as_array().unwrap() {
        let count = made
            .iter()
            .filter(|m| m.failed && m.name == value["value"])
            .count();
        assert_eq!(value["count"], count);
        sum += count;
    }
    assert_eq!(sum, made.iter().filter(|m| m.failed).count());
}

#[tokio::test]
async fn what_does_not_read_is_refused_with_its_name() {
    let world = world().await;
    stored(&world, 14, 6).await;
    let trace = format!("/traces/{:032x}/spans", 1);
    let keys = |n: usize| format!("/facets?keys={}", vec!["a"; n].join(","));
    let good = [
        format!("/traces?limit={PAGE_ROWS_MAX}"),
        format!("{trace}?limit={TREE_PAGE_ROWS_MAX}"),
        format!("{trace}?shape=columns&limit={TREE_COLUMN_ROWS_MAX}"),
        keys(FACETS_MAX),
        "/facets?keys=a&limit=1000".to_owned(),
        "/fields?limit=10000".to_owned(),
        "/traces?from=-1h&to=now".to_owned(),
    ];
    for rest in good {
        read(&world, &rest).await;
    }
    let bad = [
        (format!("/traces?limit={}", PAGE_ROWS_MAX + 1), "limit"),
        ("/traces?limit=0".to_owned(), "limit"),
        (format!("{trace}?limit={}", TREE_PAGE_ROWS_MAX + 1), "limit"),
        (
            format!("{trace}?shape=columns&limit={}", TREE_COLUMN_ROWS_MAX + 1),
            "limit",
        ),
        (format!("{trace}?shape=round"), "shape"),
        (format!("{trace}?depth=-1"), "depth"),
        (keys(FACETS_MAX + 1), "keys"),
        ("/facets".to_owned(), "keys"),
        ("/facets?keys=a&limit=1001".to_owned(), "limit"),
        ("/fields?limit=10001".to_owned(), "limit"),
        ("/traces?from=soon".to_owned(), "from"),
        ("/traces?from=1h%20or%20a".to_owned(), "from"),
        ("/traces?sort=-".to_owned(), "sort"),
        ("/values".to_owned(), "key"),
        ("/facets?keys=a&over=things".to_owned(), "over"),
        ("/traces?wat=1".to_owned(), "wat"),
    ];
    for (rest, field) in bad {
        let (status, error) = refused(&world, &rest).await;
        assert_eq!(
            (status, error["field"].as_str()),
            (400, Some(field)),
            "{rest}: {error}"
        );
    }
}

#[tokio::test]
async fn refusals_say_where_and_what_would_do() {
    let world = world().await;
    stored(&world, 15, 1).await;
    let (_, error) = refused(&world, "/traces?wat=1").await;
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("q,from,to,sort"),
        "{error}"
    );
    let (status, error) = refused(&world, "/traces?q=statsu:error").await;
    assert_eq!(
        (status, &error["field"], &error["position"]),
        (400, &json!("q"), &json!(0))
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("did you mean status"),
        "{error}"
    );
    for rest in [
        "/traces/none",
        "/traces/none/spans",
        "/traces/none/spans/none",
    ] {
        assert_eq!(refused(&world, rest).await.0, 404, "{rest}");
    }
    let under = format!("/traces/{:032x}/spans?under=none", 1);
    assert_eq!(refused(&world, &under).await.0, 404);
}

/// Spans of which only what stands outside of their bodies is asked for are the same as the others.
#[tokio::test]
async fn spans_without_their_bodies_are_the_same() {
    let world = world().await;
    stored(&world, 16, 20).await;
    for rest in [
        "",
        "&q=status:error",
        "&sort=-duration&limit=7",
        "&q=name:step-1&total=true",
    ] {
        let bare = read(
            &world,
            &format!("/spans?fields=span_id,start,end,duration_ns{rest}"),
        )
        .await;
        let whole = read(
            &world,
            &format!("/spans?fields=span_id,start,end,duration_ns,tags{rest}"),
        )
        .await;
        let mut expected = whole["data"].clone();
        for row in expected.as_array_mut().unwrap() {
            row.as_object_mut().unwrap().remove("tags");
        }
        assert!(!expected.as_array().unwrap().is_empty());
        assert_eq!(bare["data"], expected, "{rest}");
        assert_eq!(bare["total"], whole["total"]);
        assert_eq!(
            bare["next_cursor"].is_null(),
            whole["next_cursor"].is_null()
        );
    }
}
