//! Makes the pages of an export, one query each.
//!
//! A page whose media has no room at once is written in pieces: its rows are kept until they are written, and asked for once.
//! Traces as OTLP are the spans of some runs at a time: an inner query goes through these spans page by
//! page, so that a run of any length is written in bounded pieces.

use std::sync::Arc;

use bytes::Bytes;
use obsrv_engine::engine::LeftOut;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, Explain, Hit, Order, Position, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::form::Writer;
use crate::http::error::ApiError;
use crate::http::read::ask::{Over, Paging};
use crate::http::read::damaged::AllDamaged;
use crate::http::read::told;
use crate::http::store::{Store, View};
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
    /// Rows of the last page that are not written yet.
    rest: Vec<Hit>,
    /// Rows that are still wanted.
    left: Option<u64>,
    /// Away while a page is written.
    writer: Option<Writer>,
    is_begun: bool,
    damaged: AllDamaged,
    _place: Option<OwnedSemaphorePermit>,
}

/// A page, as far as it was written.
struct Page {
    piece: Piece,
    rows: usize,
    next: Option<Position>,
    /// Traces of the rows, if their spans are wanted.
    traces: Vec<Literal>,
    left_out: Vec<LeftOut>,
}

/// Rows that were written, and those of their page that were not.
struct Piece {
    writer: Writer,
    bytes: Vec<u8>,
    rest: Vec<Hit>,
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
            rest: Vec::new(),
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
        let rest = std::mem::take(&mut self.rest);
        let piece = if !rest.is_empty() {
            self.go_on(writer, rest).await?
        } else if let Some(inner) = self.inner.take() {
            self.spans(writer, inner).await?
        } else if let Some(request) = self.request.take() {
            self.rows(writer, request).await?
        } else {
            return Ok(None);
        };
        let (mut writer, mut bytes) = (piece.writer, piece.bytes);
        self.rest = piece.rest;
        if self.rest.is_empty() && self.inner.is_none() {
            self.close(&mut writer, &mut bytes)?;
        }
        self.writer = Some(writer);
        Ok(Some(bytes.into()))
    }

    /// The next page.
    async fn rows(&mut self, writer: Writer, mut request: Request) -> Result<Piece, ApiError> {
        let max = if writer.wants_spans() {
            EXPORT_RUNS
        } else {
            EXPORT_PAGE_ROWS
        };
        let left = self.left.and_then(|n| usize::try_from(n).ok());
        request.limit = left.map_or(max, |left| left.min(max));
        let page = self.page_of(self.over.table(), writer, request.clone());
        let page = page.await?;
        let rows = u64::try_from(page.rows).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(rows));
        if !page.traces.is_empty() {
            self.inner = Some(spans_of(page.traces));
        }
        request.after = page.next;
        self.request = Some(request).filter(|request| request.after.is_some());
        Ok(page.piece)
    }

    /// The next page of spans of some runs.
    async fn spans(&mut self, writer: Writer, mut request: Request) -> Result<Piece, ApiError> {
        let page = self.page_of(Table::Spans, writer, request.clone());
        let page = page.await?;
        request.after = page.next;
        self.inner = Some(request).filter(|request| request.after.is_some());
        Ok(page.piece)
    }

    /// The next piece of a page.
    async fn go_on(&self, writer: Writer, rest: Vec<Hit>) -> Result<Piece, ApiError> {
        let (store, over) = (self.store.clone(), self.over);
        let piece = query::run_heavy(&self.app, self.store.project(), move |budget| {
            let view = store.view_or(writer.allows_partial());
            let bytes = Vec::new();
            piece(
                Piece {
                    writer,
                    bytes,
                    rest,
                },
                (over, &view),
                budget,
            )
        });
        piece.await
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

    async fn page_of(
        &mut self,
        table: Table,
        mut writer: Writer,
        request: Request,
    ) -> Result<Page, ApiError> {
        let (store, over, is_first) = (self.store.clone(), self.over, !self.is_begun);
        let are_runs = writer.wants_spans() && table == Table::Runs;
        self.is_begun = true;
        let page = query::run_heavy(&self.app, self.store.project(), move |budget| {
            let view = store.view_or(writer.allows_partial());
            let page = view.search(table, &request, budget)?;
            let rows = page.hits.len();
            let traces = page.hits.iter().filter(|_| are_runs);
            let traces = traces.map(|hit| Literal::Str(hit.core.trace_id.to_string()));
            let traces = traces.collect();
            let mut bytes = Vec::new();
            if is_first {
                writer.head(&mut bytes)?;
            }
            let mut written = Piece {
                writer,
                bytes,
                rest: page.hits,
            };
            if are_runs {
                let runs = std::mem::take(&mut written.rest);
                written.writer.runs(&runs, &mut written.bytes)?;
            } else {
                written = piece(written, (over, &view), budget)?;
            }
            Ok(Page {
                piece: written,
                rows,
                next: page.next,
                traces,
                left_out: view.left_out(),
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

/// Writes as many of the rows that are left as there is room for at once.
fn piece(
    mut piece: Piece,
    (over, view): (Over, &View),
    budget: &Budget<'_>,
) -> Result<Piece, ApiError> {
    let (fitting, media_bytes) = piece.writer.fitting(&piece.rest, room_of(budget))?;
    let later = piece.rest.split_off(fitting);
    let now = std::mem::replace(&mut piece.rest, later);
    let mut whole = view.whole(budget).with_room(media_bytes);
    let cost = (&mut Explain::default(), budget);
    let scores = told::beside(view, (over, &now), piece.writer.fields(), cost)?;
    piece
        .writer
        .rows((&now, &scores), &mut whole, &mut piece.bytes)?;
    Ok(piece)
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
