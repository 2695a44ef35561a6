//! Attachments over HTTP: sent, listed, read, linked to. `media.rs` has the same in the words of the theta and
//! Langfuse clients.

mod media;
mod range;
mod receive;
mod remove;
mod serve;
mod shown;
mod take;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(feature = "forge")]
pub(super) use self::range::reads as range_reads;
pub(super) use self::receive::{refuse_when_full, refused};
use self::shown::{BlobShown, BlobsShown, references};
pub(super) use self::shown::{Held, held};
pub(super) use self::take::keep;
use self::take::{Incoming, Taken, take};
use super::access::{Access, LinkRead, LinkWrite, TraceDelete, TraceRead, TraceWrite};
use super::auth::{LINK, Tenant};
use super::error::{ApiError, ErrorCode};
use super::input::{InPath, Input};
use super::params::Params;
use super::routes::Routes;
use super::trace::{check_id, stored_id};
use super::{App, query};
use crate::blob::link::{Link, Purpose};
use crate::blob::reference::Reference;
use crate::dialect::format_micros;
use crate::limits::{BLOB_LINK_TIME_DEFAULT, BLOB_LINK_TIME_MAX};

const OF_TRACE: &str = "/v1/projects/{project}/traces/{trace}/blobs";
const ONE: &str = "/v1/projects/{project}/traces/{trace}/blobs/{blob}";
const BY_LINK: &str = "/v1/blobs/{link}";

pub(super) fn add(routes: &mut Routes) {
    routes
        .post(OF_TRACE, TraceWrite, send)
        .asks("name", "a name for people")
        .asks("span_id", "the span that it belongs to")
        .asks(
            "field",
            "the field of the trace or span that it was taken out of",
        )
        .says("Attach a file to a trace; the body is its bytes.")
        .gives::<BlobShown>();
    routes
        .get(OF_TRACE, TraceRead, list)
        .says("Attachments of a trace.")
        .gives::<BlobsShown>();
    routes
        .get(ONE, TraceRead, read)
        .says("The bytes of an attachment, whole or a range.");
    routes
        .delete(ONE, TraceDelete, remove::remove)
        .says("Take an attachment out of its trace, with its bytes.")
        .gives::<remove::Removed>();
    routes
        .post(&format!("{ONE}/link"), TraceRead, make_link)
        .says("A link by which anybody reads an attachment until it expires.")
        .takes::<LinkAsked>()
        .gives::<LinkMade>();
    routes
        .get(BY_LINK, LinkRead, read_by_link)
        .says("The bytes of an attachment, by a signed link.");
    routes
        .put(BY_LINK, LinkWrite, send_by_link)
        .says("Send an attachment by a signed link.")
        .gives::<BlobShown>();
    media::add(routes);
}

/// A trace that is named in the path.
fn trace_of(place: &InPath) -> Result<String, ApiError> {
    let trace_id = place.text("trace");
    check_id(trace_id)?;
    Ok(trace_id.to_owned())
}

fn no_such_blob() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "no such attachment")
}

async fn send(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    place: InPath,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let incoming = Incoming {
        trace_id: trace_of(&place)?,
        ..Incoming::of(&params, request.headers())?
    };
    let taken = take(&app, access.tenant(), incoming, request).await?;
    Ok(answer(access.tenant(), taken))
}

/// 201, or what is left of it in a project that keeps no media.
fn answer(tenant: &Tenant, taken: Taken) -> Response {
    match taken {
        Taken::Stored(trace_id, reference) => {
            let shown = BlobShown::of(tenant.project(), &trace_id, &reference);
            (StatusCode::CREATED, Json(shown)).into_response()
        }
        Taken::Replaced => {
            let body = serde_json::json!({ "stored": false, "replaced_by": take::REPLACED });
            Json(body).into_response()
        }
    }
}

async fn list(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Response, ApiError> {
    let tenant = access.tenant();
    let trace_id = stored_id(&app, tenant, trace_of(&place)?).await?;
    let (store, asked) = (app.core()?.store(tenant), trace_id.clone());
    let found = query::ask(&app, tenant, move |_| references(&store, &asked)).await?;
    let found = found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "no such trace"))?;
    let shown = found
        .iter()
        .map(|reference| BlobShown::of(tenant.project(), &trace_id, reference));
    Ok(Json(BlobsShown {
        data: shown.collect(),
    })
    .into_response())
}

/// The attachment of a trace's live row that is called so.
async fn find(
    app: &Arc<App>,
    tenant: &Tenant,
    trace_id: &str,
    name: String,
) -> Result<Reference, ApiError> {
    let (store, trace_id) = (app.core()?.store(tenant), trace_id.to_owned());
    let found = query::ask(app, tenant, move |_| {
        let all = references(&store, &trace_id)?.unwrap_or_default();
        Ok(all.into_iter().find(|reference| reference.is_called(&name)))
    });
    found.await?.ok_or_else(no_such_blob)
}

async fn read(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let tenant = access.tenant();
    let trace_id = stored_id(&app, tenant, trace_of(&place)?).await?;
    let name = place.text("blob").to_owned();
    let reference = find(&app, tenant, &trace_id, name).await?;
    serve::serve(&app, tenant, &trace_id, &reference, (&method, &headers)).await
}

/// For how long.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinkAsked {
    /// Seconds; an hour if not given, at most a day.
    #[serde(default)]
    expires_in: Option<u64>,
}

/// A link.
#[derive(Debug, Serialize, JsonSchema)]
struct LinkMade {
    /// Whoever has it reads the attachment.
    url: String,
    /// Until then.
    expires_at: String,
}

async fn make_link(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    Input(asked): Input<LinkAsked>,
) -> Result<Response, ApiError> {
    let tenant = access.tenant();
    let time = asked
        .expires_in
        .map_or(BLOB_LINK_TIME_DEFAULT, Duration::from_secs);
    if time.is_zero() || time > BLOB_LINK_TIME_MAX {
        let message = format!("not from 1 to {} seconds", BLOB_LINK_TIME_MAX.as_secs());
        return Err(ApiError::parameter("expires_in", message));
    }
    let trace_id = stored_id(&app, tenant, trace_of(&place)?).await?;
    let name = place.text("blob").to_owned();
    let reference = find(&app, tenant, &trace_id, name).await?;
    let purpose = Purpose::Read {
        sha256: reference.sha256.0,
    };
    let (url, expires_at) = link_to(&app, tenant, trace_id, purpose, time)?;
    Ok((StatusCode::CREATED, Json(LinkMade { url, expires_at })).into_response())
}

/// A link and when it ends.
fn link_to(
    app: &App,
    tenant: &Tenant,
    trace_id: String,
    purpose: Purpose,
    time: Duration,
) -> Result<(String, String), ApiError> {
    let now_s = u64::try_from(app.clock.wall_ns() / 1_000_000_000).unwrap_or(0);
    let expires_s = now_s.saturating_add(time.as_secs());
    let link = Link {
        project: tenant.project().0,
        trace_id,
        key_id: tenant.key_id(),
        expires_s,
        purpose,
    };
    let expires_ns = i64::try_from(expires_s)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000_000);
    let url = app.core()?.blobs()?.seal_link(&link);
    Ok((url, format_micros(expires_ns)))
}

/// What the link says, which the guard has let in.
fn link_of(app: &App, place: &InPath) -> Result<Link, ApiError> {
    let blobs = app.core()?.blobs()?;
    let link = blobs.open_link(place.text(LINK), app.clock.wall_ns());
    link.map_err(|error| ApiError::new(ErrorCode::Unauthorized, error.to_string()))
}

async fn read_by_link(
    access: Access<LinkRead>,
    State(app): State<Arc<App>>,
    place: InPath,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let link = link_of(&app, &place)?;
    let Purpose::Read { sha256 } = link.purpose else {
        return Err(no_such_blob());
    };
    let name = crate::keys::hex(&sha256);
    let reference = find(&app, access.tenant(), &link.trace_id, name).await?;
    let asked = (&method, &headers);
    serve::serve(&app, access.tenant(), &link.trace_id, &reference, asked).await
}

async fn send_by_link(
    access: Access<LinkWrite>,
    State(app): State<Arc<App>>,
    place: InPath,
    request: Request,
) -> Result<Response, ApiError> {
    let link = link_of(&app, &place)?;
    let Purpose::Write(wanted) = link.purpose else {
        return Err(no_such_blob());
    };
    let incoming = Incoming {
        trace_id: link.trace_id,
        wanted,
    };
    let taken = take(&app, access.tenant(), incoming, request).await?;
    // As a bucket would: not every client takes another status for good.
    let mut answer = answer(access.tenant(), taken);
    *answer.status_mut() = StatusCode::OK;
    Ok(answer)
}

#[cfg(test)]
mod tests;
