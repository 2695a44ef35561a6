//! The dashboard: one page for every address that people see, and the files that it loads. They are in
//! the binary, compressed already. A binary built without them says so in their place.

use axum::extract::{Path, Request};
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::access::{Access, Public};
use super::error::{ApiError, ErrorCode};
use super::routes::Routes;

/// A file of the dashboard.
struct File {
    /// Below the root, without a slash before it.
    path: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

/// In the order of their paths.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/dashboard_files.rs"));

/// Addresses of pages. None of them is one of the API's, and no page is at any other address.
const PAGES: [&str; 12] = [
    "/",
    "/signin",
    "/setup",
    "/reset",
    "/verify",
    "/join",
    "/account",
    "/p/{project}",
    "/p/{project}/{page}",
    "/p/{project}/{page}/{id}",
    "/o/{org}",
    "/o/{org}/{page}",
];

const INDEX: &str = "index.html";
const ABSENT: &str = include_str!("dashboard/absent.html");

/// Nothing inline, nothing from elsewhere, no text ever made to code.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     media-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'; report-uri /csp-report",
);
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
/// Pages name the files that they load by names that change with the content.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Adds these routes.
pub(super) fn add(routes: &mut Routes) {
    for path in PAGES {
        routes.get(path, Public, page).says("A page for people.");
    }
    routes
        .get("/assets/{file}", Public, asset)
        .says("A file of the dashboard.");
    routes
        .get("/favicon.svg", Public, icon)
        .says("The sign of the dashboard.");
    routes
        .post("/csp-report", Public, report)
        .says("Take a browser's word that a page tried what it must not.")
        .gives_nothing();
}

fn file(path: &str) -> Option<&'static File> {
    let at = FILES.binary_search_by(|file| file.path.cmp(path)).ok()?;
    FILES.get(at)
}

async fn page(_: Access<Public>, request: Request) -> Response {
    match file(INDEX) {
        Some(file) => give(file, ASK_AGAIN, request.headers()),
        None => with_headers(
            Bytes::from_static(ABSENT.as_bytes()),
            INDEX,
            None,
            ASK_AGAIN,
        ),
    }
}

async fn asset(
    _: Access<Public>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let found = file(&format!("assets/{name}")).ok_or_else(no_such_file)?;
    Ok(give(found, FOR_EVER, request.headers()))
}

async fn icon(_: Access<Public>, request: Request) -> Result<Response, ApiError> {
    let found = file("favicon.svg").ok_or_else(no_such_file)?;
    Ok(give(found, ASK_AGAIN, request.headers()))
}

fn no_such_file() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "no such file")
}

/// Nothing of a report is kept: it may quote what somebody sent. That there was one is in the log, and
/// counted.
async fn report(_: Access<Public>) -> StatusCode {
    tracing::warn!("a browser stopped a page from what its policy forbids");
    StatusCode::NO_CONTENT
}

fn give(file: &File, caching: HeaderValue, headers: &HeaderMap) -> Response {
    let takes = |coding: &str| takes(headers, coding);
    let (bytes, coding) = match (file.brotli, file.gzip) {
        (Some(bytes), _) if takes("br") => (bytes, Some("br")),
        (_, Some(bytes)) if takes("gzip") => (bytes, Some("gzip")),
        _ => (file.plain, None),
    };
    with_headers(Bytes::from_static(bytes), file.path, coding, caching)
}

/// Whether the client takes this coding.
fn takes(headers: &HeaderMap, coding: &str) -> bool {
    let named = headers.get_all(ACCEPT_ENCODING).into_iter();
    named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| {
            let mut parts = one.split(';').map(str::trim);
            let is_it = parts.next().is_some_and(|n| n.eq_ignore_ascii_case(coding));
            let refused = parts.filter_map(|p| p.strip_prefix("q=")).any(is_zero);
            is_it && !refused
        })
}

fn is_zero(quality: &str) -> bool {
    quality.bytes().all(|b| matches!(b, b'0' | b'.'))
}

fn with_headers(
    bytes: Bytes,
    path: &str,
    coding: Option<&'static str>,
    caching: HeaderValue,
) -> Response {
    let mut response = Response::new(axum::body::Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind(path)));
    headers.insert(CACHE_CONTROL, caching);
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, SAME_ORIGIN);
    headers.insert(OPENER_POLICY, SAME_ORIGIN);
    headers.insert(RESOURCE_POLICY, SAME_ORIGIN);
    response
}

/// The media type that a file has by its name.
fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
