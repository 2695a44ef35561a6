//! The engine as handlers see it: one project's rows, for whoever has a [`Tenant`].

use std::sync::Arc;

use bytes::Bytes;

use super::Core;
use super::auth::Tenant;
use crate::limits::QUERY_ROWS_MAX;
use obsrv_engine::engine::{Done, Engine, Envelope, Submission, TraceRows};
use obsrv_engine::query::{Budget, Page, QueryError, Request};
use obsrv_engine::row::{Event, ProjectId, Table};

/// The rows of one project.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Arc<Engine>,
    project: ProjectId,
}

impl Core {
    /// The rows of the tenant's project.
    pub fn store(&self, tenant: &Tenant) -> Store {
        Store {
            engine: Arc::clone(&self.engine),
            project: tenant.project(),
        }
    }
}

impl Store {
    /// Stores events of the project; whatever project the envelope names, it is this one.
    pub fn submit(&self, envelope: Envelope, body: Bytes, events: Vec<Event>, done: Done) {
        let envelope = Envelope {
            project: self.project.0,
            ..envelope
        };
        let submission = Submission {
            envelope,
            body,
            events,
        };
        self.engine.submit(submission, done);
    }

    /// The rows of a table that pass the request's filter.
    pub fn search(
        &self,
        table: Table,
        request: &Request,
        budget: &Budget<'_>,
    ) -> Result<Page, QueryError> {
        let snapshot = self.engine.snapshot();
        snapshot.search(self.project, table, request, budget)
    }

    /// The rows of one trace.
    pub fn trace_within(
        &self,
        trace_id: &str,
        budget: &Budget<'_>,
    ) -> Result<TraceRows, QueryError> {
        let snapshot = self.engine.snapshot();
        snapshot.trace_within(self.project, trace_id, budget)
    }

    /// Whether there is any row of a trace.
    pub fn has_trace(&self, trace_id: &str) -> Result<bool, QueryError> {
        let budget = Budget {
            rows_max: QUERY_ROWS_MAX,
            // The first body says it.
            bytes_max: 0,
            cancelled: &|| false,
        };
        match self.trace_within(trace_id, &budget) {
            Ok(rows) => Ok(rows.run.is_some() || !rows.spans.is_empty() || !rows.scores.is_empty()),
            Err(QueryError::BudgetExceeded { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Deletes every row of a trace.
    pub fn delete_trace(&self, trace_id: &str, done: Done) {
        self.engine.delete_trace(self.project, trace_id, done);
    }
}
