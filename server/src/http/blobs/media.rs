//! Attachments in the words of the theta and Langfuse clients.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Order, Request as Question};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shown;
use super::take::{Incoming, REPLACED, Taken, owner, refer, shared_lock, take, trace_of_one};
use super::{link_to, no_such_blob};
use crate::blob::key::ContentHash;
use crate::blob::link::{Purpose, Wanted};
use crate::blob::reference::Reference;
use crate::dialect::format_micros;
use crate::http::access::{Access, TraceRead, TraceWrite};
use crate::http::auth::Tenant;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::governance::small_body;
use crate::http::input::{InPath, parse};
use crate::http::params::Params;
use crate::http::read::encoded;
use crate::http::routes::Routes;
use crate::http::trace::{check_id, stored_id};
use crate::http::{App, query};
use crate::limits::{BLOB_LINK_TIME_DEFAULT, MEDIA_BODY_BYTES_MAX};
use crate::wire;

pub(super) fn add(routes: &mut Routes) {
    routes
        .post("/v1/media/upload", TraceWrite, upload)
        .asks("trace_id", "the trace, which need not be there yet")
        .asks("name", "a name for people")
        .says("Take media of a theta client; the body is its bytes.");
    routes
        .post("/v1/media/signed-url", TraceWrite, signed_url)
        .says("A place to send media to, in the words of the theta client.");
    routes
        .post("/api/public/media", TraceWrite, langfuse_place)
        .says("A place to send media to, in Langfuse's words.");
    routes
        .get("/api/public/media/{media}", TraceRead, langfuse_show)
        .says("Media and a link to its bytes, in Langfuse's words.");
    routes
        .patch("/api/public/media/{media}", TraceWrite, langfuse_report)
        .says("Take what a Langfuse client tells of its upload.");
}

/// Runs that are looked at for one that still has some media.
const MEDIA_RUNS: usize = 16;

/// What theta clients keep of an attachment. They do not look into it.
fn uri(tenant: &Tenant, trace_id: &str, name: &str) -> String {
    let project = tenant.project().0;
    format!("obsrv-blob://{project}/{}/{name}", encoded(trace_id))
}

async fn upload(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    let tenant = access.tenant();
    let mut incoming = Incoming::of(&params, request.headers())?;
    incoming.trace_id = match params.one("trace_id")? {
        Some(trace_id) => {
            check_id(trace_id)?;
            trace_id.to_owned()
        }
        None => trace_of_one(ContentHash::of(
            app.core()?.blobs()?.fresh_name().as_bytes(),
        )),
    };
    let body = match take(&app, tenant, incoming, request).await? {
        Taken::Stored(trace_id, reference) => json!({
            "gs_uri": uri(tenant, &trace_id, &reference.id),
            "trace_id": trace_id,
            "content_type": reference.content_type,
            "size_bytes": reference.size,
        }),
        Taken::Replaced => json!({ "gs_uri": REPLACED }),
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// What a theta client asks for.
#[derive(Debug, Deserialize)]
struct ThetaPlace {
    content_type: Option<String>,
    size: Option<u64>,
    filename: Option<String>,
    trace_id: Option<String>,
}

async fn signed_url(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let tenant = access.tenant();
    let body = small_body(&app, request, MEDIA_BODY_BYTES_MAX).await?;
    let asked: ThetaPlace = parse(&body)?;
    let upload = app.core()?.blobs()?.fresh_name();
    let own = || trace_of_one(ContentHash::of(upload.as_bytes()));
    let trace_id = asked.trace_id.unwrap_or_else(own);
    check_id(&trace_id)?;
    let wanted = Wanted {
        name: asked.filename,
        declared_type: asked.content_type,
        size: asked.size,
        upload: Some(upload.clone()),
        ..Wanted::default()
    };
    let (url, expires_at) = place(&app, tenant, trace_id.clone(), wanted.clone())?;
    let stored = stored_id(&app, tenant, trace_id).await?;
    let mut headers = serde_json::Map::new();
    if let Some(content_type) = wanted.declared_type {
        headers.insert("Content-Type".to_owned(), content_type.into());
    }
    let body = json!({
        "url": url,
        "gs_uri": uri(tenant, &stored, &upload),
        "expires_at": expires_at,
        "headers": headers,
    });
    Ok(Json(body).into_response())
}

/// A link to send a file to.
fn place(
    app: &App,
    tenant: &Tenant,
    trace_id: String,
    wanted: Wanted,
) -> Result<(String, String), ApiError> {
    owner(tenant, &trace_id)?;
    let bytes_max = app.core()?.blobs()?.terms().bytes_max;
    if wanted.size.is_some_and(|size| size > bytes_max) {
        let message = format!("attachment too large max_bytes={bytes_max}");
        return Err(ApiError::new(ErrorCode::TooLarge, message));
    }
    let incoming = Incoming { trace_id, wanted };
    incoming.check()?;
    let Incoming { trace_id, wanted } = incoming;
    let purpose = Purpose::Write(wanted);
    link_to(app, tenant, trace_id, purpose, BLOB_LINK_TIME_DEFAULT)
}

/// What a Langfuse client asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LangfusePlace {
    trace_id: Option<String>,
    observation_id: Option<String>,
    content_type: String,
    content_length: u64,
    sha256_hash: String,
    field: String,
}

async fn langfuse_place(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let tenant = access.tenant();
    let body = small_body(&app, request, MEDIA_BODY_BYTES_MAX).await?;
    let asked: LangfusePlace = parse(&body)?;
    let hash = STANDARD.decode(&asked.sha256_hash).ok();
    let hash: Option<[u8; 32]> = hash.and_then(|hash| hash.try_into().ok());
    let hash = hash.ok_or_else(|| ApiError::parameter("sha256Hash", "not a sha-256 in base64"))?;
    let no_trace = || {
        let message = "missing: media is kept with a trace, none with a dataset";
        ApiError::parameter("traceId", message)
    };
    let trace_id = asked.trace_id.ok_or_else(no_trace)?;
    check_id(&trace_id)?;
    let media_id = ContentHash(hash).id();
    let wanted = Wanted {
        declared_type: Some(asked.content_type),
        span_id: asked.observation_id,
        field: Some(asked.field),
        size: Some(asked.content_length),
        sha256: Some(hash),
        ..Wanted::default()
    };
    let is_there = is_there_already(&app, tenant, &trace_id, &wanted).await?;
    let url = if is_there {
        None
    } else {
        Some(place(&app, tenant, trace_id, wanted)?.0)
    };
    let body = json!({ "mediaId": media_id, "uploadUrl": url });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Whether the trace has these bytes. Of what it has, it is written down that this field has them, too; in a
/// project with rules they are sent again instead, so that one place alone looks at what is said of them.
async fn is_there_already(
    app: &Arc<App>,
    tenant: &Tenant,
    trace_id: &str,
    wanted: &Wanted,
) -> Result<bool, ApiError> {
    let redactor = crate::http::governance::redactor_of(app, tenant).await?;
    let Some(hash) = wanted.sha256.filter(|_| redactor.is_none()) else {
        return Ok(false);
    };
    let blobs = app.core()?.blobs()?;
    let owner = owner(tenant, trace_id)?;
    let shared = shared_lock(blobs, &owner).await?;
    let (store, asked) = (app.core()?.store(tenant), trace_id.to_owned());
    let known = query::ask(app, tenant, move |_| shown::held(&store, &asked)).await?;
    let held = known.unwrap_or_default();
    let Some(same) = held.known.iter().find(|known| known.sha256.0 == hash) else {
        return Ok(false);
    };
    let new = Reference {
        declared_type: wanted.declared_type.clone(),
        span_id: wanted.span_id.clone(),
        field: wanted.field.clone(),
        name: None,
        upload: None,
        ..same.clone()
    };
    if !held.known.contains(&new) {
        if !held.has_room(&new) {
            return Ok(false);
        }
        refer((app, tenant), trace_id, &new, shared).await?;
    }
    Ok(true)
}

async fn langfuse_show(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    in_path: InPath,
) -> Result<Response, ApiError> {
    let tenant = access.tenant();
    let media_id = in_path.text("media").to_owned();
    let store = app.core()?.store(tenant);
    let (sought, question) = (media_id.clone(), newest_with(&media_id));
    let found = query::ask(&app, tenant, move |budget| {
        let page = store.search(Table::Runs, &question, budget)?;
        // Of some it may have been taken out again.
        for hit in &page.hits {
            let run = wire::row_of(&hit.core, &hit.body)?;
            let all = Reference::all(run.doc());
            if let Some(found) = all.into_iter().find(|reference| reference.id == sought) {
                return Ok(Some((hit.core.trace_id.to_string(), found)));
            }
        }
        Ok(None)
    });
    let (trace_id, reference) = found.await?.ok_or_else(no_such_blob)?;
    let key = owner(tenant, &trace_id)?.blob(reference.sha256);
    let blobs = Arc::clone(app.core()?.blobs()?);
    let opened = tokio::task::spawn_blocking(move || blobs.store().open(&key)).await;
    let opened = opened.map_err(|_| ApiError::new(ErrorCode::Internal, "reading was cut off"))?;
    let (_, put_ns) = opened.map_err(|_| no_such_blob())?;
    let purpose = Purpose::Read {
        sha256: reference.sha256.0,
    };
    let (url, expires_at) = link_to(&app, tenant, trace_id, purpose, BLOB_LINK_TIME_DEFAULT)?;
    let body = json!({
        "mediaId": media_id,
        "contentType": reference.declared_type.as_ref().unwrap_or(&reference.content_type),
        "contentLength": reference.size,
        "uploadedAt": format_micros(put_ns),
        "url": url,
        "urlExpiry": expires_at,
    });
    Ok(Json(body).into_response())
}

/// The newest runs that have this blob, or had it.
fn newest_with(id: &str) -> Question {
    let is_it = Test::Eq(Literal::Str(id.to_owned()));
    Question {
        order: Order {
            column: Column::Start,
            descending: true,
        },
        ..Question::new(
            Filter::Is(Column::Path("blobs.id".into()), is_it),
            MEDIA_RUNS,
        )
    }
}

/// Whether the upload worked is known here: it is read, and nothing depends on it.
async fn langfuse_report(
    _: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let body = small_body(&app, request, MEDIA_BODY_BYTES_MAX).await?;
    let _report: Value = parse(&body)?;
    Ok(Json(json!({})).into_response())
}
