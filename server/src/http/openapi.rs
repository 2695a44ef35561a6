//! `GET /openapi.json`: the route table as an `OpenAPI` 3.1 document.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::App;
use super::access::{Access, Needs, Public};
use super::error::{ApiError, ErrorCode};
use super::routes::Route;
use super::spent;
use crate::wire;

/// The document.
pub(super) fn document(table: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in table {
        let entry = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        entry[route.method.as_str().to_ascii_lowercase()] = operation(route, &mut generator);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Error".to_owned(), error_schema());
    json!({
        "openapi": "3.1.0",
        "info": { "title": "obsrv", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": { "type": "apiKey", "in": "header", "name": "x-api-key" },
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic" },
            },
        },
    })
}

fn error_schema() -> Value {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message", "retryable", "request_id"],
            "properties": {
                "code": { "type": "string", "enum": codes },
                "message": { "type": "string" },
                "field": { "type": "string" },
                "position": { "type": "integer" },
                "expected": { "type": "string" },
                "retryable": { "type": "boolean" },
                "request_id": { "type": "string" },
            },
        } },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "x-obsrv-permission": route.needs.describe(),
        "parameters": parameters(route),
    });
    let answer = route
        .gives
        .map_or_else(|| json!({}), |schema| schema(generator));
    let mut done = if route.is_silent {
        json!({ "description": "Done." })
    } else {
        json!({ "description": "Done.", "content": { "application/json": { "schema": answer } } })
    };
    if route.is_explained() {
        done["headers"] = json!({ spent::HEADER.as_str(): {
            "description": "What its questions cost, as JSON; with `explain=true`.",
            "schema": { "type": "string" },
        } });
    }
    operation["responses"] = json!({
        "2XX": done,
        "default": {
            "description": "Not done.",
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
        },
    });
    if let Some(schema) = route.takes {
        operation["requestBody"] =
            json!({ "content": { "application/json": { "schema": schema(generator) } } });
    }
    operation["security"] = match route.needs {
        Needs::Nothing | Needs::Link(_) => json!([]),
        Needs::Principal
        | Needs::Project(_)
        | Needs::OrgOfProject(_)
        | Needs::Org(_)
        | Needs::Server(_) => {
            json!([{ "key": [] }, { "bearer": [] }, { "basic": [] }])
        }
    };
    operation
}

/// Unique by method and path: `get_v1_orgs_org`.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!(
        "{}_{}",
        route.method.as_str().to_ascii_lowercase(),
        words.join("_")
    )
}

/// Of every route that reads rows.
const EXPLAIN: (&str, &str) = (
    spent::PARAMETER,
    "`true` tells in the header `obsrv-explain` what it cost",
);

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({
            "name": name, "in": "path", "required": true, "schema": { "type": "string" },
        }))
    });
    let is_named = route.query.iter().any(|(name, _)| *name == EXPLAIN.0);
    let explain = (route.is_explained() && !is_named).then_some(&EXPLAIN);
    let in_query = route.query.iter().chain(explain).map(|(name, meaning)| {
        let kind = if *name == EXPLAIN.0 {
            "boolean"
        } else {
            "string"
        };
        json!({
            "name": name, "in": "query", "description": meaning, "schema": { "type": kind },
        })
    });
    in_path.chain(in_query).collect()
}

pub(super) async fn show(
    _: Access<Public>,
    State(app): State<Arc<App>>,
) -> Result<Response, ApiError> {
    let document = app.openapi.get();
    let missing = || ApiError::new(ErrorCode::Internal, "no document was made");
    Ok(wire::json_response(document.ok_or_else(missing)?.clone()))
}
