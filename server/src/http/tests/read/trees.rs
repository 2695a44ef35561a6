//! Trees and critical paths against plain recursion.

use super::*;

/// The rows of a trace in pre-order by recursion: id, depth, children.
fn preorder(spans: &[&Made]) -> Vec<(String, u64, usize)> {
    fn walk(spans: &[&Made], at: &Made, depth: u64, out: &mut Vec<(String, u64, usize)>) {
        let mut below: Vec<&&Made> = spans
            .iter()
            .filter(|m| m.parent.as_deref() == Some(&at.id))
            .collect();
        below.sort_by_key(|m| (m.start, &m.id));
        out.push((at.id.clone(), depth, below.len()));
        for child in below {
            walk(spans, child, depth + 1, out);
        }
    }
    let is_there = |id: &String| spans.iter().any(|m| m.id == *id);
    let mut roots: Vec<&&Made> = spans
        .iter()
        .filter(|m| !m.parent.as_ref().is_some_and(is_there))
        .collect();
    roots.sort_by_key(|m| (m.start, &m.id));
    let mut out = Vec::new();
    for root in roots {
        walk(spans, root, 0, &mut out);
    }
    out
}

fn shown(page: &Value) -> Vec<(String, u64, usize)> {
    let rows = page["data"].as_array().unwrap().iter();
    rows.map(|row| {
        let children = usize::try_from(row["children"].as_u64().unwrap()).unwrap();
        (
            row["span_id"].as_str().unwrap().to_owned(),
            row["depth"].as_u64().unwrap(),
            children,
        )
    })
    .collect()
}

async fn paged(world: &World, path: &str) -> Vec<(String, u64, usize)> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = read(world, &format!("{path}&limit=2{cursor}")).await;
        all.extend(shown(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn a_tree_is_that_of_plain_recursion() {
    let world = world().await;
    let made = stored(&world, 21, 30).await;
    let traces: std::collections::BTreeSet<&str> = made.iter().map(|m| &*m.trace).collect();
    for trace in traces {
        let spans: Vec<&Made> = made.iter().filter(|m| m.trace == trace).collect();
        let expected = preorder(&spans);
        let path = format!("/traces/{trace}/spans");
        let whole = read(&world, &path).await;
        assert_eq!(shown(&whole), expected);
        assert_eq!(whole["span_count"], spans.len());
        let first = spans.iter().map(|m| m.start).min().unwrap();
        for row in whole["data"].as_array().unwrap() {
            let m = spans.iter().find(|m| m.id == row["span_id"]).unwrap();
            assert_eq!(row["offset_ns"], m.start - first);
            assert_eq!(row["duration_ns"], json!(m.end.map(|end| end - m.start)));
            assert_eq!(
                (&row["status"], &row["name"]),
                (&json!(m.status()), &json!(m.name))
            );
        }
        assert_eq!(paged(&world, &format!("{path}?shape=rows")).await, expected);
        let shallow: Vec<_> = expected.iter().filter(|row| row.1 <= 1).cloned().collect();
        assert_eq!(paged(&world, &format!("{path}?depth=1")).await, shallow);
        for (at, (id, depth, _)) in expected.iter().enumerate() {
            let below = expected[at + 1..]
                .iter()
                .take_while(|row| row.1 > *depth)
                .count();
            let subtree = paged(&world, &format!("{path}?under={id}")).await;
            assert_eq!(subtree, expected[at..=at + below]);
        }
        columns_say_the_same(&world, &path, &whole).await;
    }
}

async fn columns_say_the_same(world: &World, path: &str, whole: &Value) {
    let rows = whole["data"].as_array().unwrap();
    let columns = read(world, &format!("{path}?shape=columns")).await;
    let of = &columns["columns"];
    let text = |column: &str, at: usize| {
        let code = of[column]["codes"][at].as_i64().unwrap();
        usize::try_from(code).map_or(Value::Null, |code| of[column]["dict"][code].clone())
    };
    assert_eq!(columns["count"], rows.len());
    for (at, row) in rows.iter().enumerate() {
        for key in ["span_id", "depth", "children", "offset_ns", "duration_ns"] {
            assert_eq!(of[key][at], row[key], "{key}");
        }
        assert_eq!(of["tokens"][at], row["tokens_total"]);
        for key in ["name", "kind", "status", "model", "tool"] {
            assert_eq!(text(key, at), row[key], "{key}");
        }
        let parent = rows
            .iter()
            .position(|other| other["span_id"] == row["parent_id"]);
        let parent = parent.map_or(-1, |parent| i64::try_from(parent).unwrap());
        assert_eq!(of["parent"][at], parent);
        let critical = of["critical"].as_array().unwrap().contains(&json!(at));
        assert_eq!(row["critical"], critical);
    }
}

/// A ring of parents is shown, beginning with its earliest span.
#[tokio::test]
async fn a_trace_without_spans_has_an_empty_tree() {
    let world = world().await;
    let sent = json!({ "trace_id": "bare", "name": "n", "status": "success",
        "started_at": "2026-01-01T00:00:00Z", "steps": [] });
    let said = ask(
        &world.app,
        post("/v1/traces", "key-of-a", JSON, sent.to_string()),
    );
    assert_eq!(said.await.status, 201);
    for path in ["spans?", "spans?shape=columns", "critical-path?"] {
        let read = read(&world, &format!("/traces/bare/{path}")).await;
        let rows = read["data"].as_array().map(Vec::len).or_else(|| {
            let ids = read["columns"]["span_id"].as_array();
            ids.map(Vec::len)
        });
        assert_eq!(rows, Some(0), "{path}: {read}");
    }
    let none = get("/v1/projects/1/traces/none/spans", "key-of-a");
    assert_eq!(ask(&world.app, none).await.status, 404);
}

#[tokio::test]
async fn a_ring_of_parents_ends() {
    let world = world().await;
    let made = |id: u64, parent: u64, start| Made {
        trace: format!("{:032x}", 77),
        id: format!("{id:016x}"),
        parent: Some(format!("{parent:016x}")),
        name: "ring".to_owned(),
        start: BASE_NS + start,
        end: Some(BASE_NS + start + 10),
        failed: false,
        model: None,
        tokens: 0,
        tier: None,
    };
    let spans = [
        made(1, 3, 5),
        made(2, 1, 6),
        made(3, 2, 7),
        made(4, 4, 1),
        made(5, 2, 9),
    ];
    send(&world, &spans.iter().map(Made::otlp).collect::<Vec<_>>()).await;
    let page = read(&world, &format!("/traces/{:032x}/spans", 77)).await;
    let ids: Vec<(u64, u64)> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let id = row["span_id"]
                .as_str()
                .unwrap()
                .trim_start_matches('0')
                .parse()
                .unwrap();
            (id, row["depth"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(ids, [(4, 0), (1, 0), (2, 1), (3, 2), (5, 2)]);
}
