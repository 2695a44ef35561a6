//! Makes the pages of an export, one query each.
//!
//! Traces as OTLP are the spans of some runs at a time: an inner query goes through these spans page by
//! page, so that a run of any length is written in bounded pieces.

use std::sync::Arc;

use bytes::Bytes;
use obsrv_engine::engine::LeftOut;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Order, Position, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::form::Writer;
use crate::http::error::ApiError;
use crate::http::read::ask::{Over, Paging};
use crate::http::read::damaged::AllDamaged;
use crate::http::store::Store;
use crate::http::whole::room_of;
use crate::http::{App, query};
use crate::limits::{EXPORT_PAGE_ROWS, EXPORT_RUNS};

/// What makes the pages.
pub(super) struct Job {
    app: Arc<App>,
    store: Store,
    over: Over,
    paging: Arc<Paging>,
    /// Of the next page; nothing after the last.
    request: Option<Request>,
    /// Of the next page of spans of the runs of the last page.
    inner: Option<Request>,
    /// Rows that are still wanted.
    left: Option<u64>,
    /// Away while a page is written.
    writer: Option<Writer>,
    is_begun: bool,
    damaged: AllDamaged,
    _place: Option<OwnedSemaphorePermit>,
}

/// A page that was written.
struct Page {
    writer: Writer,
    bytes: Vec<u8>,
    rows: usize,
    next: Option<Position>,
    /// Traces of the rows, if their spans are wanted.
    traces: Vec<Literal>,
    left_out: Vec<LeftOut>,
}

impl Job {
    pub(super) fn new(
        (app, store): (&Arc<App>, Store),
        (over, request, left): (Over, Request, Option<u64>),
        paging: Paging,
        writer: Writer,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            app: Arc::clone(app),
            store,
            over,
            paging: Arc::new(paging),
            request: Some(request),
            inner: None,
            left,
            writer: Some(writer),
            is_begun: false,
            damaged: AllDamaged::default(),
            _place: place,
        }
    }

    /// The next piece; nothing after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some(writer) = self.writer.take() else {
            return Ok(None);
        };
        if let Some(inner) = self.inner.take() {
            return self.spans(writer, inner).await.map(Some);
        }
        let Some(mut request) = self.request.take() else {
            return Ok(None);
        };
        let max = if writer.wants_spans() {
            EXPORT_RUNS
        } else {
            EXPORT_PAGE_ROWS
        };
        let left = self.left.and_then(|n| usize::try_from(n).ok());
        request.limit = left.map_or(max, |left| left.min(max));
        let page = self.page(writer, request.clone()).await?;
        let rows = u64::try_from(page.rows).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(rows));
        if !page.traces.is_empty() {
            self.inner = Some(spans_of(page.traces));
        }
        request.after = page.next;
        self.request = Some(request).filter(|request| request.after.is_some());
        let (mut writer, mut bytes) = (page.writer, page.bytes);
        if self.inner.is_none() {
            self.close(&mut writer, &mut bytes)?;
        }
        self.writer = Some(writer);
        Ok(Some(bytes.into()))
    }

    /// The next page of spans of some runs.
    async fn spans(&mut self, writer: Writer, request: Request) -> Result<Bytes, ApiError> {
        let mut next = request.clone();
        let page = self.page_of(Table::Spans, writer, request).await?;
        let (mut writer, mut bytes) = (page.writer, page.bytes);
        next.after = page.next;
        self.inner = Some(next).filter(|request| request.after.is_some());
        if self.inner.is_none() {
            self.close(&mut writer, &mut bytes)?;
        }
        self.writer = Some(writer);
        Ok(bytes.into())
    }

    /// After a page: its cursor, and the end of the file if it was the last.
    fn close(&mut self, writer: &mut Writer, bytes: &mut Vec<u8>) -> Result<(), ApiError> {
        let core = self.app.core()?;
        let after = self.request.as_ref().and_then(|r| r.after.as_ref());
        let next = after.map(|next| self.paging.next(core, next));
        writer.place(next.as_deref(), bytes);
        if self.left == Some(0) {
            self.request = None;
        }
        if self.request.is_none() {
            writer.end(next.as_deref(), self.damaged.all(), bytes)?;
        }
        Ok(())
    }

    async fn page(&mut self, writer: Writer, request: Request) -> Result<Page, ApiError> {
        self.page_of(self.over.table(), writer, request).await
    }

    async fn page_of(
        &mut self,
        table: Table,
        mut writer: Writer,
        request: Request,
    ) -> Result<Page, ApiError> {
        let (store, is_first) = (self.store.clone(), !self.is_begun);
        let are_runs = writer.wants_spans() && table == Table::Runs;
        self.is_begun = true;
        let page = query::run(&self.app, move |budget| {
            let view = store.view_or(writer.allows_partial());
            let mut page = view.search(table, &request, budget)?;
            let (fitting, media_bytes) = writer.fitting(&page.hits, room_of(budget))?;
            if fitting < page.hits.len() {
                // The same again, shorter: so it also says where the next page begins.
                let request = Request {
                    limit: fitting,
                    ..request
                };
                page = view.search(table, &request, budget)?;
            }
            let mut bytes = Vec::new();
            if is_first {
                writer.head(&mut bytes)?;
            }
            if are_runs {
                writer.runs(&page.hits, &mut bytes)?;
            } else {
                let mut whole = view.whole(budget).with_room(media_bytes);
                writer.rows(&page.hits, &mut whole, &mut bytes)?;
            }
            let traces = page.hits.iter().filter(|_| are_runs);
            let traces = traces.map(|hit| Literal::Str(hit.core.trace_id.to_string()));
            Ok(Page {
                traces: traces.collect(),
                rows: page.hits.len(),
                next: page.next,
                left_out: view.left_out(),
                writer,
                bytes,
            })
        });
        let mut page = page.await?;
        self.damaged.add(std::mem::take(&mut page.left_out))?;
        Ok(page)
    }

    /// Sends the pages until there are no more, or nobody reads them.
    pub(super) async fn run(
        mut self,
        first: Option<Bytes>,
        sender: mpsc::Sender<Result<Bytes, ApiError>>,
    ) {
        let mut piece = first;
        while let Some(bytes) = piece {
            if !bytes.is_empty() && sender.send(Ok(bytes)).await.is_err() {
                return;
            }
            piece = match self.next().await {
                Ok(piece) => piece,
                Err(error) => {
                    tracing::warn!(%error, "export ended early");
                    // The client may have gone as well.
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            };
        }
    }
}

fn spans_of(traces: Vec<Literal>) -> Request {
    Request {
        order: Order {
            column: Column::Start,
            descending: false,
        },
        ..Request::new(
            Filter::Is(Column::TraceId, Test::In(traces)),
            EXPORT_PAGE_ROWS,
        )
    }
}
