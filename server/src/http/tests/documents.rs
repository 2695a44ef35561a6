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
        assert!(
            [200, 204, 401].contains(&said.status.as_u16()) || is_empty(&said),
            "{name}: {}",
            said.status
        );
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

/// The answer of the routes of sign-in at a server that has none, as this test's, and of those of the
/// dashboard's files, none of which has this name.
fn is_empty(said: &Said) -> bool {
    let said = said.json();
    let message = said["error"]["message"].as_str().unwrap_or("");
    ["nobody signs in at this server", "no such file"].contains(&message)
}
