//! `explain=true` on every route that reads rows: what all questions of the request cost stands in the
//! header `obsrv-explain`, whatever the shape of the answer, since clients of other products read that.
//!
//! The guard makes one [`Spent`] for a request; it goes with the tenant to the store, which adds to it.

use std::sync::Arc;

use axum::response::Response;
use http::header::{HeaderName, HeaderValue};
use obsrv_engine::query::Explain;
use parking_lot::Mutex;

use super::access::Needs;
use super::error::ApiError;
use super::params::Params;
use crate::tenancy::Right;
use crate::wire;

/// What the questions of a request cost, as JSON.
pub(super) const HEADER: HeaderName = HeaderName::from_static("obsrv-explain");
/// The parameter that asks for it.
pub(super) const PARAMETER: &str = "explain";

/// What the questions of one request have cost so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Spent(Arc<Mutex<Explain>>);

impl Spent {
    pub(super) fn add(&self, explain: Explain) {
        self.0.lock().add(explain);
    }

    /// Rows that were read by their ids, and the bytes of their bodies.
    pub(super) fn add_rows(&self, rows: u64, bytes: u64) {
        self.add(Explain {
            rows_visited: rows,
            page_bytes: bytes,
            ..Explain::default()
        });
    }

    pub(super) fn tell(&self, response: &mut Response) {
        let mut told = wire::explained(&self.0.lock());
        // What has no bound and need not be ASCII is told by the body where it is told at all.
        if let Some(members) = told.as_object_mut() {
            members.remove("verified");
            members.remove("parts");
        }
        let told = HeaderValue::from_str(&told.to_string());
        let told = told.expect("BUG: numbers and names in ASCII are no header");
        response.headers_mut().insert(HEADER, told);
    }
}

/// Whether routes with these needs take the parameter.
pub(super) fn is_told(needs: Needs) -> bool {
    needs == Needs::Project(Right::TraceRead)
}

/// Whether an address asks for it.
pub(super) fn is_asked(needs: Needs, query: Option<&str>) -> Result<bool, ApiError> {
    match query.filter(|query| is_told(needs) && query.contains(PARAMETER)) {
        None => Ok(false),
        Some(query) => Params::parse(query)?.flag(PARAMETER),
    }
}
