//! Forms with files: the rest of the form goes the way of every body, then each file becomes an attachment of the trace that
//! its run is in. Answered when all of it is durable; sent again it comes to the same.
//!
//! In a project with redaction rules a form stays whole: the rules decide over media where they read rows.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

use crate::blob::link::Wanted;
use crate::dialect::encoding::EncodingError;
use crate::dialect::{FormFile, FormParted, ITEM_ID_CHARS, Route, part_form};
use crate::http::access::{Access, TraceWrite};
use crate::http::admission::{self, Charge, Received};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::ingest::{self, Stored};
use crate::http::{App, blobs, governance, usage};
use crate::interpreter::{self, Encoding};

/// Stores a form with this boundary.
pub(super) async fn accept(
    app: &Arc<App>,
    access: &Access<TraceWrite>,
    request: Request,
    boundary: String,
) -> Result<Stored, ApiError> {
    let tenant = access.tenant();
    let whole =
        |request| ingest::accept(app, access, request, Route::LangsmithForm, boundary.clone());
    let encoding = request.headers().get(CONTENT_ENCODING);
    let encoding = Encoding::of_header(encoding.and_then(|v| v.to_str().ok()).unwrap_or(""));
    let (Ok(encoding), false) = (encoding, boundary.is_empty()) else {
        return whole(request).await;
    };
    if governance::redactor_of(app, tenant).await?.is_some() {
        return whole(request).await;
    }
    let (mut head, mut body) = request.into_parts();
    let project = tenant.project().0;
    let received = admission::receive(&app.admission, project, &head.headers, &mut body).await;
    let received = received.inspect_err(|error| usage::count_refused(app, tenant, error))?;
    let Received { bytes, charge } = received;
    let opened = open(app, encoding, bytes.clone(), charge, boundary.clone()).await?;
    let Some((plain, parted, charge)) = opened else {
        return whole(Request::from_parts(head, Body::from(bytes))).await;
    };
    drop(bytes);
    let FormParted {
        files,
        rest,
        places,
    } = parted;
    head.headers.remove(CONTENT_ENCODING);
    head.headers.insert(CONTENT_LENGTH, rest.len().into());
    let mut stored = whole(Request::from_parts(head, Body::from(rest))).await?;
    for file in files {
        keep(app, access, &stored, &plain, file).await?;
    }
    drop(charge);
    for item in &mut stored.items {
        item.index = places.get(item.index).copied().unwrap_or(item.index);
    }
    Ok(stored)
}

/// A form's plain bytes and its files; `None` if it has none, or does not read: then whoever reads it says why.
async fn open(
    app: &Arc<App>,
    encoding: Encoding,
    bytes: Bytes,
    mut charge: Charge,
    boundary: String,
) -> Result<Option<(Bytes, FormParted, Charge)>, ApiError> {
    let max = app.decoded_bytes_max;
    let first = encoding.likely_bytes(bytes.len()).min(max);
    let work = move || {
        // A second time only if the first guess was too small.
        for limit in [first, max] {
            // The body, its plain form, and the form that is left.
            charge.grow_to(bytes.len().saturating_add(limit.saturating_mul(2)))?;
            match interpreter::decompress(encoding, &bytes, limit) {
                Ok(plain) => {
                    let parted = part_form(&plain, &boundary).ok().flatten();
                    return Ok((charge, parted.map(|parted| (plain, parted))));
                }
                Err(EncodingError::TooLarge { .. }) => {}
                Err(_) => break,
            }
        }
        Ok::<_, ApiError>((charge, None))
    };
    let cut_off = |_| ApiError::new(ErrorCode::Internal, "reading a form was cut off");
    let read = tokio::task::spawn_blocking(work).await.map_err(cut_off)??;
    let (mut charge, read) = read;
    let Some((plain, parted)) = read else {
        return Ok(None);
    };
    charge.set_to(plain.len().saturating_add(parted.rest.len()))?;
    Ok(Some((plain, parted, charge)))
}

/// Keeps a file with the trace of its run, if the run was taken.
async fn keep(
    app: &Arc<App>,
    access: &Access<TraceWrite>,
    stored: &Stored,
    plain: &Bytes,
    file: FormFile,
) -> Result<(), ApiError> {
    let items = stored.items.iter().filter(|item| item.kind == "run");
    // Items tell no more of an id than this.
    let id: String = file.run_id.chars().take(ITEM_ID_CHARS).collect();
    let mut of_run = items.filter(|item| item.id.as_ref() == Some(&id));
    let Some(trace_id) = of_run.find_map(|item| item.trace_id.as_ref()) else {
        return Ok(());
    };
    let wanted = Wanted {
        name: Some(file.name),
        declared_type: Some(file.content_type).filter(|text| !text.is_empty()),
        span_id: Some(file.run_id),
        field: Some("attachments".to_owned()),
        ..Wanted::default()
    };
    blobs::keep(
        app,
        access.tenant(),
        trace_id,
        wanted,
        plain.slice(file.bytes),
    )
    .await
}
