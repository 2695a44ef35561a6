//! Pages: numbered ones, as the older SDKs turn them, and ones with cursors.

use std::sync::Arc;

use axum::response::Response;
use obsrv_engine::query::{Budget, Hit, Request};
use obsrv_engine::row::Table;
use serde::Serialize;

use super::ask::limit;
use super::members::Members;
use crate::dialect::theta_read::StoredRow;
use crate::http::access::{Access, TraceRead};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::params::Params;
use crate::http::read::list::json;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{LANGFUSE_PAGE_ROWS_MAX, LANGFUSE_ROWS_BEFORE_MAX, PAGE_ROWS_MAX};
use crate::wire;

/// The parameters of a numbered page.
pub(super) const NUMBERED: [&str; 2] = ["page", "limit"];

/// A page by its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    page: usize,
    /// Rows of a page.
    pub(super) limit: usize,
}

impl Numbered {
    pub(super) fn of(params: &Params) -> Result<Self, ApiError> {
        let limit = limit(params, LANGFUSE_PAGE_ROWS_MAX)?;
        let refused = || ApiError::parameter("page", "not a number from 1");
        let page = match params.one("page")?.map(str::parse::<usize>) {
            None => 1,
            Some(Ok(n)) if n > 0 => n,
            Some(_) => return Err(refused()),
        };
        let numbered = Self { page, limit };
        if numbered.before() > LANGFUSE_ROWS_BEFORE_MAX {
            let message = format!(
                "more than {LANGFUSE_ROWS_BEFORE_MAX} rows before it; narrow the time instead"
            );
            return Err(ApiError::parameter("page", message));
        }
        Ok(numbered)
    }

    /// Rows on the pages before it.
    pub(super) const fn before(self) -> usize {
        (self.page - 1).saturating_mul(self.limit)
    }

    /// What is told of the page beside its rows.
    pub(super) fn meta(self, total: u64) -> Members {
        let mut meta = Members::default();
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        meta.put("page", self.page)
            .put("limit", self.limit)
            .put("totalItems", total)
            .put("totalPages", total.div_ceil(limit));
        meta
    }

    /// The rows of the page and how many there are in all.
    pub(super) fn rows(
        self,
        view: &View,
        (table, mut request): (Table, Request),
        budget: &Budget<'_>,
    ) -> Result<(Vec<StoredRow>, u64), ApiError> {
        let mut left = self.before();
        request.limit = self.limit;
        while left > 0 {
            request.limit = left.min(PAGE_ROWS_MAX);
            let page = view.search_cores(table, &request, budget)?;
            left -= request.limit;
            request.limit = self.limit;
            request.after = page.next;
            if request.after.is_none() {
                // The list ended before the page; only how long it is, is left to say.
                request.limit = 0;
                break;
            }
        }
        request.total = true;
        let page = view.search(table, &request, budget)?;
        // A numbered page cannot be cut short: its rows would be missed.
        if page.next.is_some() && page.hits.len() < request.limit {
            let message = "page too large for one answer; ask for a smaller limit";
            return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
        }
        Ok((read(&page.hits)?, page.total.unwrap_or(0)))
    }
}

/// Hits as rows.
pub(super) fn read(hits: &[Hit]) -> Result<Vec<StoredRow>, ApiError> {
    let rows = hits.iter().map(|hit| wire::row_of(&hit.core, &hit.body));
    rows.collect()
}

/// A list as it is answered.
#[derive(Debug, Serialize)]
pub(super) struct Listed<T> {
    pub(super) data: Vec<T>,
    pub(super) meta: Members,
}

/// Answers with what `work` makes of the rows as they are now.
pub(super) async fn answer<T, F>(
    access: &Access<TraceRead>,
    app: &Arc<App>,
    work: F,
) -> Result<Response, ApiError>
where
    T: Serialize,
    F: FnOnce(&View, &Budget<'_>) -> Result<T, ApiError> + Send + 'static,
{
    let store = app.core()?.store(access.tenant());
    let body = query::ask(app, access.tenant(), move |budget| {
        json(&work(&store.view(), budget)?)
    });
    Ok(wire::json_response(body.await?))
}

/// There is none of this id.
pub(super) fn no_such(what: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("no such {what}"))
}
