//! `GET …/export`: every row that passes a filter, as lines of JSON or as CSV, without a row limit.
//!
//! Rows are read page by page, each page a query of its own; two pages at most wait for the client.
//! What goes wrong on the way ends the connection, so that a short file is never taken for a whole
//! one. With `cursors=true` a line after each page says where to go on.

mod csv;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use obsrv_engine::query::{Hit, Position, Request};
use serde_json::json;
use tokio::sync::mpsc;

use self::csv::Table as Csv;
use super::ask::{Over, Paging, check_known, order};
use super::list::{asks_rows, chosen, shown};
use super::path;
use super::project::Fields;
use super::shape::raw;
use crate::control::{AuditAction, AuditNote};
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::pieces::Pieces;
use crate::http::routes::Routes;
use crate::http::store::Store;
use crate::http::usage;
use crate::http::{App, query};
use crate::limits::{EXPORT_PAGE_ROWS, EXPORT_PAGES_WAITING};
use crate::wire;

const KNOWN: [&str; 12] = [
    "over", "q", "filter", "traceql", "from", "to", "sort", "format", "fields", "raw", "cursor",
    "cursors",
];
const NOT_SCOPE: [&str; 5] = ["cursor", "cursors", "format", "fields", "raw"];

pub(super) fn add(routes: &mut Routes) {
    let route = routes.get(&path("/export"), TraceRead, export);
    asks_rows(route)
        .asks(
            "over",
            "`traces`, `spans` or `scores`; `traces` if not given",
        )
        .asks("sort", "as in lists; `start` if not given")
        .asks("format", "`jsonl` or `csv`; `jsonl` if not given")
        .asks("fields", "keys and paths, with commas: of CSV the columns")
        .asks(
            "raw",
            "`true` adds each row's whole document to lines of JSON",
        )
        .asks("cursor", "where to go on: of a line that `cursors` made")
        .asks(
            "cursors",
            "`true`: a line `{\"next_cursor\":…}` after every 1000 rows; null after the last",
        )
        .says("Every row that passes, streamed.");
}

/// How rows are written.
#[derive(Debug)]
struct Writer {
    over: Over,
    fields: Fields,
    csv: Option<Csv>,
    with_raw: bool,
    with_cursors: bool,
}

impl Writer {
    fn of(params: &Params, over: Over) -> Result<Self, ApiError> {
        let fields = Fields::of(params)?;
        let csv = match params.one("format")? {
            None | Some("jsonl") => None,
            Some("csv") => Some(Csv::of(over, &fields)),
            Some(_) => return Err(ApiError::parameter("format", "neither jsonl nor csv")),
        };
        let writer = Self {
            over,
            fields: if csv.is_some() {
                Fields::default()
            } else {
                fields
            },
            csv,
            with_raw: params.flag("raw")?,
            with_cursors: params.flag("cursors")?,
        };
        if writer.csv.is_some() && (writer.with_raw || writer.with_cursors) {
            return Err(ApiError::parameter(
                "format",
                "raw and cursors are for jsonl",
            ));
        }
        Ok(writer)
    }

    fn write(&self, hit: &Hit, out: &mut String) -> Result<(), ApiError> {
        let row = shown(self.over, hit, &self.fields)?;
        if let Some(csv) = &self.csv {
            csv.write(&row, out);
            return Ok(());
        }
        out.push_str(row.get());
        if self.with_raw && out.pop() == Some('}') {
            let doc = wire::row_of(&hit.core, &hit.body)?;
            out.push_str(",\"raw\":");
            out.push_str(raw(doc.doc()).get());
            out.push('}');
        }
        out.push('\n');
        Ok(())
    }
}

/// What makes the pages.
struct Job {
    app: Arc<App>,
    store: Store,
    request: Request,
    paging: Arc<Paging>,
    writer: Arc<Writer>,
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
    let writer = Arc::new(Writer::of(&params, over)?);
    let project = access.tenant().project();
    let list = format!("export-{}", over.as_str());
    let now_ns = app.clock.wall_ns();
    let paging = Paging::of(core, (project, &list), &params, &NOT_SCOPE, now_ns)?;
    let request = Request {
        order: order(params.one("sort")?.unwrap_or("start"))?,
        after: paging.after.clone(),
        ..Request::new(chosen(&params, over, paging.now_ns)?, EXPORT_PAGE_ROWS)
    };
    let note = AuditNote {
        action: AuditAction::Exported,
        org: Some(access.tenant().org()),
        project: Some(project.0),
        subject: over.as_str().to_owned(),
    };
    core.plane().note(access.by().actor, note).await?;
    let kind = if writer.csv.is_some() {
        "text/csv; charset=utf-8"
    } else {
        "application/x-ndjson"
    };
    let mut job = Job {
        store: core.store(access.tenant()),
        app: Arc::clone(&app),
        request,
        paging: Arc::new(paging),
        writer,
    };
    // The first page is an answer of its own if it fails.
    let head = job.writer.csv.as_ref().map_or_else(String::new, Csv::head);
    let (first, next) = job.page(head).await?;
    let (sender, receiver) = mpsc::channel(EXPORT_PAGES_WAITING);
    tokio::spawn(async move { job.run(first, next, sender).await });
    let mut response = Response::new(Body::new(Pieces(receiver)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

impl Job {
    async fn page(&self, mut text: String) -> Result<(String, Option<Position>), ApiError> {
        let (store, request) = (self.store.clone(), self.request.clone());
        let (app, writer) = (Arc::clone(&self.app), Arc::clone(&self.writer));
        let paging = Arc::clone(&self.paging);
        query::run(&self.app, move |budget| {
            let page = store.search(writer.over.table(), &request, budget)?;
            for hit in &page.hits {
                writer.write(hit, &mut text)?;
            }
            if writer.with_cursors {
                let core = app.core()?;
                let next = page.next.as_ref().map(|next| paging.next(core, next));
                text.push_str(&json!({ "next_cursor": next }).to_string());
                text.push('\n');
            }
            Ok((text, page.next))
        })
        .await
    }

    async fn run(
        &mut self,
        first: String,
        next: Option<Position>,
        sender: mpsc::Sender<Result<Bytes, ApiError>>,
    ) {
        let (mut text, mut next) = (first, next);
        loop {
            // Nobody reads any more: there is no one to go on for.
            if sender.send(Ok(Bytes::from(text))).await.is_err() {
                return;
            }
            let Some(position) = next else { return };
            self.request.after = Some(position);
            match self.page(String::new()).await {
                Ok(page) => (text, next) = page,
                Err(error) => {
                    tracing::warn!(%error, "export ended early");
                    // The same: the client may have gone.
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            }
        }
    }
}
