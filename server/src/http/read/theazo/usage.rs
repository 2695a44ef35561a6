//! `GET /v1/usage/users/{user}`: what a user's runs cost, in Theazo's words: see [`costs`].

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::filter::quoted;
use super::logs::range;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::InPath;
use crate::http::params::Params;
use crate::http::read::ask::{Over, check_known};
use crate::http::read::costs::{self, Amount};
use crate::http::read::list::json;
use crate::http::routes::Routes;
use crate::http::{App, query};
use crate::wire;

const KNOWN: [&str; 2] = ["since", "until"];

/// What a user cost: stated, or by the prices of the organization.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Usage {
    user_id: String,
    model: Amount,
    compute: Amount,
    total: Amount,
    /// That of the user's last span which says one: `managed`, `byoi_compute`, `byoi_models` or `byoi_both`.
    billing_mode: &'static str,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get("/v1/usage/users/{user}", TraceRead, show)
        .asks("since", "earliest start of a run; all if not given")
        .asks("until", "the start before which they are")
        .says("What a user cost, by model and machine, in Theazo's words.")
        .gives::<Usage>();
}

async fn show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let now_ns = app.clock.wall_ns();
    let user = place.text("user").to_owned();
    let of_user = Over::Traces.searched(&format!("user_id:{}", quoted(&user)), now_ns)?;
    let runs = range(&params, now_ns)?.and(of_user);
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let billed = costs::all(&store.view(), runs, budget)?;
        json(&Usage {
            user_id: user,
            model: billed.model,
            compute: billed.compute,
            total: billed.total,
            billing_mode: billed.billing_mode,
        })
    })
    .await?;
    Ok(wire::json_response(body))
}
