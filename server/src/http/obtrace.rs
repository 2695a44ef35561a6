//! `POST /v1/init`: what Obtrace's clients ask once when they start. Their signals come by OTLP.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Access, TraceWrite};
use super::error::ApiError;
use super::governance::small_body;
use super::input::parse;
use super::routes::Routes;
use crate::limits::INIT_BODY_BYTES_MAX;

pub(super) fn add(routes: &mut Routes) {
    routes
        .post("/v1/init", TraceWrite, init)
        .says("Whether a key may send, in Obtrace's words.")
        .takes::<Init>()
        .gives::<Initialised>();
}

/// What a client says of itself. Each of its signals says it again in its resource, so it is
/// stored with these.
#[derive(Debug, Deserialize, JsonSchema)]
struct Init {
    /// Its name.
    #[serde(default)]
    #[expect(dead_code, reason = "read to check that it is text")]
    sdk: Option<String>,
    /// Its version.
    #[serde(default)]
    #[expect(dead_code, reason = "read to check that it is text")]
    sdk_version: Option<String>,
    /// What it watches.
    #[serde(default)]
    #[expect(dead_code, reason = "read to check that it is text")]
    service_name: Option<String>,
    /// In which version.
    #[serde(default)]
    #[expect(dead_code, reason = "read to check that it is text")]
    service_version: Option<String>,
}

/// Clients take exactly 200 for a yes and do not read this.
#[derive(Debug, Serialize, JsonSchema)]
struct Initialised {
    status: &'static str,
    /// The key's project.
    project: String,
}

async fn init(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Initialised>, ApiError> {
    let body = small_body(&app, request, INIT_BODY_BYTES_MAX).await?;
    let _checked: Init = parse(&body)?;
    Ok(Json(Initialised {
        status: "ok",
        project: access.tenant().project_name().to_owned(),
    }))
}
