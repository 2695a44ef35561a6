//! The `OpenAPI` document and the router name the same routes.

use super::*;

#[tokio::test]
async fn the_document_names_every_route_and_no_other() {
    let world = world().await;
    let said = ask(&world.app, get("/openapi.json", "")).await;
    let document = said.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut in_document = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert_ne!(operation["summary"], "", "{method} {path}");
            in_document.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    let routes = routes(&world.app);
    let mut in_router: Vec<String> = routes
        .table()
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    in_document.sort();
    in_router.sort();
    assert_eq!(in_document, in_router);
    // And the router answers each of them: neither 404 for the route nor 405.
    for name in &in_document {
        let (method, path) = name.split_once(' ').unwrap();
        let path = path.replace(['{', '}'], "");
        let request = Request::builder().method(method).uri(path);
        let said = ask(&world.app, request.body(Body::empty()).unwrap()).await;
        assert!(is_answered(&said), "{name}: {}", said.status);
    }
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere_and_ids_are_distinct() {
    let world = world().await;
    let document = ask(&world.app, get("/openapi.json", "")).await.json();
    let text = document.to_string();
    let references = text.match_indices("\"$ref\":\"#").map(|(at, found)| {
        let rest = &text[at + found.len()..];
        &rest[..rest.find('"').unwrap()]
    });
    let mut count = 0;
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
        count += 1;
    }
    assert!(count > 50, "only {count} references");
    let ids: Vec<&str> = text
        .split("\"operationId\":\"")
        .skip(1)
        .map(|rest| &rest[..rest.find('"').unwrap()])
        .collect();
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[tokio::test]
async fn what_a_delete_and_a_plan_answer_is_described() {
    let world = world().await;
    let document = ask(&world.app, get("/openapi.json", "")).await.json();
    for (path, method, members) in [
        (
            "/v1/projects/{project}/traces/{trace}",
            "delete",
            &["trace_id", "deleted", "receipt"][..],
        ),
        (
            "/v1/traces/{id}",
            "delete",
            &["trace_id", "deleted", "receipt"],
        ),
        (
            "/v1/projects/{project}/export",
            "get",
            &["total", "rows", "pages", "bytes_about", "explain"],
        ),
    ] {
        let answer = &document["paths"][path][method]["responses"]["2XX"];
        let mut schema = &answer["content"]["application/json"]["schema"];
        if let Some(at) = schema["$ref"].as_str() {
            schema = document.pointer(at.strip_prefix('#').unwrap()).unwrap();
        }
        for member in members {
            assert!(!schema["properties"][member].is_null(), "{path} {member}");
        }
    }
}

/// A route was there, whatever it said.
fn is_answered(said: &Said) -> bool {
    let body: Value = serde_json::from_slice(&said.body).unwrap_or_default();
    said.status != 405 && body["error"]["message"] != "no such route"
}

/// A route that is read is told apart in the counters.
#[tokio::test]
async fn every_route_that_reads_rows_has_a_label() {
    let world = world().await;
    let routes = routes(&world.app);
    let mut reads = 0;
    for route in routes.table() {
        if route.needs == Needs::Project(Right::TraceRead) {
            reads += 1;
            assert!(metrics::has_label(&route.path), "{}", route.path);
        }
    }
    assert!(reads > 60, "only {reads} routes read rows");
}
