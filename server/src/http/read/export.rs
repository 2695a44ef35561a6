//! `GET …/export`: every row that passes a filter, without a row limit: as lines of JSON, CSV, Parquet or
//! requests of OTLP.
//!
//! Rows are read page by page, each page a query of its own; two pages at most wait for the client.
//! What goes wrong on the way ends the connection, so that a short file is never taken for a whole
//! one. With `cursors=true` a line after each page says where to go on; `rows` ends a file early, and a
//! Parquet file says in its footer where the next one begins. With `allow_partial=true` the same two places
//! say what is damaged on disk and left out. With `explain=true` no row is written: see `explained`.

mod columns;
mod csv;
mod explained;
mod form;
mod job;
mod otlp;
mod parquet;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc;

use self::columns::Kind;
use self::form::{MEDIA, Writer};
use self::job::Job;
use self::parquet::Kinds;
use super::ask::{OVER, Over, Paging, check_known};
use super::damaged::ALLOW_PARTIAL;
use super::list::{asks_rows, chosen};
use super::project::Fields;
use super::{path, told};
use crate::control::{AuditAction, AuditNote};
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::params::Params;
use crate::http::pieces::Pieces;
use crate::http::routes::Routes;
use crate::http::usage;
use crate::http::{App, query};
use crate::limits::{EXPORT_PAGE_ROWS, EXPORT_PAGES_WAITING};
use obsrv_engine::query::Request;

const KNOWN: [&str; 16] = [
    "over",
    "q",
    "filter",
    "traceql",
    "from",
    "to",
    "sort",
    "format",
    "fields",
    "raw",
    MEDIA,
    "cursor",
    "cursors",
    "rows",
    "explain",
    ALLOW_PARTIAL,
];
const NOT_SCOPE: [&str; 9] = [
    "cursor",
    "cursors",
    "format",
    "fields",
    "raw",
    MEDIA,
    "rows",
    "explain",
    ALLOW_PARTIAL,
];

pub(super) fn add(routes: &mut Routes) {
    let route = routes.get(&path("/export"), TraceRead, export);
    asks_rows(route)
        .asks("over", OVER)
        .asks("sort", "as in lists; `start` if not given")
        .asks(
            "format",
            "`jsonl`, `csv`, `parquet`, `otlp` (a request as JSON on each line) or `otlp-protobuf` (each request behind its length); `jsonl` if not given",
        )
        .asks(
            "fields",
            "keys and paths, with commas: of CSV and Parquet the columns; of traces and spans also `scores.NAME`, which Parquet has as a number if all scores of the name are, else as text; not for OTLP",
        )
        .asks(
            "raw",
            "`true` adds each row's whole document to lines of JSON, and to Parquet as a column of JSON",
        )
        .asks(
            MEDIA,
            "of `raw`: `inline` gives documents as they were sent, with media that is kept as attachments, a row over 32 MiB of it alone; `reference` names the attachment in its place; `reference` if not given",
        )
        .asks(
            "cursor",
            "where to go on: of a line that `cursors` made, or `obsrv.next_cursor` in a Parquet file's footer",
        )
        .asks(
            "cursors",
            "`true`: a line `{\"next_cursor\":…}` after every 1000 rows; null after the last",
        )
        .asks("rows", "ends the file after so many rows; all if not given")
        .asks(
            ALLOW_PARTIAL,
            "`true` goes on without rows that are damaged on disk: a last line `{\"damaged\":[…]}`, or `obsrv.damaged` in a Parquet file's footer, says which; not for CSV and `otlp-protobuf`",
        )
        .asks(
            "explain",
            "`true` answers JSON instead of the file, whatever its format: how many rows and pages it has, about how many bytes of rows are read for it, and what its first page and the count cost; how many only without `cursor`",
        )
        .says("Every row that passes, streamed in its format; JSON is the answer to `explain=true`.")
        .gives::<explained::Plan>();
}

/// How many rows are wanted.
fn rows(params: &Params) -> Result<Option<u64>, ApiError> {
    let Some(text) = params.one("rows")? else {
        return Ok(None);
    };
    let rows = text.parse().ok().filter(|n| *n > 0);
    let wrong = || ApiError::parameter("rows", "not a number above 0");
    rows.map(Some).ok_or_else(wrong)
}

/// Writes what is asked for, in its format.
async fn writer(
    app: &Arc<App>,
    access: &Access<TraceRead>,
    params: &Params,
    over: Over,
) -> Result<Writer, ApiError> {
    let fields = Fields::of(params, over)?;
    let mut kinds = Kinds::default();
    if Writer::asks_kinds(params, &fields)? {
        let store = app.core()?.store(access.tenant());
        let names = fields.scores().to_vec();
        kinds = query::run(app, access.tenant().project(), move |budget| {
            let are_numbers = told::are_numbers(&store.view(), &names, budget)?;
            let kind = |numbers| if numbers { Kind::Double } else { Kind::Text };
            let kinds = are_numbers.into_iter().map(kind);
            Ok(names.into_iter().zip(kinds).collect())
        })
        .await?;
    }
    Writer::of(params, over, fields, &kinds)
}

async fn export(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    usage::admit_query(&app, access.tenant())?;
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &KNOWN)?;
    let over = Over::of(&params)?;
    let writer = writer(&app, &access, &params, over).await?;
    let left = rows(&params)?;
    let is_explained = params.flag("explain")?;
    let place = if writer.needs_room() && !is_explained {
        let full = || ApiError::new(ErrorCode::Overloaded, "too many exports as Parquet at once");
        let place = Arc::clone(&app.parquet_exports).try_acquire_owned();
        Some(place.map_err(|_| full())?)
    } else {
        None
    };
    let project = access.tenant().project();
    let list = format!("export-{}", over.as_str());
    let now_ns = app.clock.wall_ns();
    let paging = Paging::of(core, (project, &list), &params, &NOT_SCOPE, now_ns)?;
    let request = Request {
        order: over.order(params.one("sort")?.unwrap_or("start"))?,
        after: paging.after.clone(),
        ..Request::new(chosen(over, &params, paging.now_ns)?, EXPORT_PAGE_ROWS)
    };
    if is_explained {
        return explained::answer((&app, &access), (over, left), writer, request).await;
    }
    let note = AuditNote {
        action: AuditAction::Exported,
        org: Some(access.tenant().org()),
        project: Some(project.0),
        subject: over.as_str().to_owned(),
    };
    core.plane().note(access.by().actor, note).await?;
    let kind = HeaderValue::from_static(writer.content_type());
    let store = core.store(access.tenant());
    let mut job = Job::new((&app, store), (over, request, left), paging, writer, place);
    // The first page is an answer of its own if it fails.
    let first = job.next().await?;
    let (sender, receiver) = mpsc::channel(EXPORT_PAGES_WAITING);
    tokio::spawn(job.run(first, sender));
    let mut response = Response::new(Body::new(Pieces(receiver)));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
