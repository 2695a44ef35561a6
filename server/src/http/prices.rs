//! `GET` and `PUT /v1/orgs/{org}/prices`: what tokens cost an organization.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::App;
use super::access::{Access, OrgEdit, OrgSee};
use super::answers::{Changed, Receipt};
use super::error::{ApiError, ErrorCode};
use super::governance::small_body;
use super::input::parse;
use super::routes::Routes;
use crate::dialect::format_micros;
use crate::limits::PRICES_BYTES_MAX;
use crate::price::{Book, Table, TableError};
use crate::tenancy::OrgId;

/// Bytes of a change beside its table.
const FRAME_BYTES: usize = 1 << 10;

pub(super) fn add(routes: &mut Routes) {
    let path = "/v1/orgs/{org}/prices";
    routes
        .get(path, OrgSee, show)
        .says("Prices of an organization's own, and whether what is stored has them already.")
        .gives::<Shown>();
    routes
        .put(path, OrgEdit, change)
        .says("Change an organization's prices; what is stored is priced again behind it.")
        .takes::<Change>()
        .gives::<Changed<Shown>>();
}

/// Prices of an organization.
#[derive(Debug, Serialize, JsonSchema)]
struct Shown {
    /// How often they were changed.
    revision: u64,
    /// When they were changed last.
    changed_at: Option<String>,
    /// Whether all that is stored has been priced by the prices that hold.
    is_applied: bool,
    /// When the youngest entry of the server's table was looked at, which holds where the own ones say nothing.
    base_date: String,
    /// How many models that has.
    base_models: usize,
    /// The own entries, in the form of `--prices`.
    #[schemars(with = "Vec<serde_json::Value>")]
    table: Box<RawValue>,
}

impl Shown {
    fn of(book: &Book, org: OrgId) -> Result<Self, ApiError> {
        let unread = |_| ApiError::new(ErrorCode::Internal, "prices do not read");
        let prices = book.of_org(org.0);
        let own = prices.own.as_deref();
        let text = own.map_or("[]", |own| &own.text).to_owned();
        Ok(Self {
            revision: own.map_or(0, |own| own.revision),
            changed_at: own.map(|own| format_micros(own.at_ns)),
            is_applied: book.is_applied(org.0),
            base_date: prices.base.date().to_owned(),
            base_models: prices.base.len(),
            table: RawValue::from_string(text).map_err(unread)?,
        })
    }
}

/// Other prices of an organization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// Of the prices that the change was made from.
    revision: u64,
    /// The own entries, all of them; none: those of the server hold.
    table: Vec<serde_json::Value>,
}

async fn show(
    access: Access<OrgSee>,
    State(app): State<Arc<App>>,
) -> Result<Json<Shown>, ApiError> {
    Ok(Json(Shown::of(app.book(), access.org())?))
}

async fn change(
    access: Access<OrgEdit>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Changed<Shown>>, ApiError> {
    let org = access.org();
    let body = small_body(&app, request, PRICES_BYTES_MAX + FRAME_BYTES).await?;
    let read = tokio::task::spawn_blocking(move || {
        let change: Change = parse(&body)?;
        let unread = |_| ApiError::new(ErrorCode::Internal, "a table cannot be written");
        let table = to_raw_value(&change.table)
            .map_err(unread)?
            .get()
            .to_owned();
        Table::read_own(table.as_bytes()).map_err(refused)?;
        Ok::<_, ApiError>((change.revision, table))
    });
    let cut_off = |_| ApiError::new(ErrorCode::Internal, "reading prices was cut off");
    let (revision, table) = read.await.map_err(cut_off)??;
    let book = Arc::clone(app.book());
    let now = move || book.of_org(org.0).own.map_or(0, |own| own.revision);
    let governance = app.core()?.governance();
    let set = governance.set_prices(access.by(), org, (revision, now), table);
    let (revision, place) = set.await?;
    tracing::info!(org = org.0, revision, "prices changed");
    Ok(Json(Changed {
        shown: Shown::of(app.book(), org)?,
        receipt: Receipt::of(place),
    }))
}

fn refused(error: TableError) -> ApiError {
    let code = match error {
        TableError::Large(_) | TableError::Patterns(_) => ErrorCode::TooLarge,
        TableError::Form(_) | TableError::Model { .. } => ErrorCode::InvalidRequest,
    };
    ApiError::new(code, error.to_string()).at("table")
}

#[cfg(test)]
mod tests;
