//! The engine as handlers see it: one project's rows, for whoever has a [`Tenant`].

use std::sync::Arc;

use bytes::Bytes;

use super::Core;
use super::auth::Tenant;
use super::spent::Spent;
use super::tail::Tails;
use super::whole::Whole;
use crate::blob::Blobs;
use obsrv_engine::engine::{
    Deletion, Done, Engine, Envelope, IngestError, LeftOut, ReadBody, Receipt, Snapshot, StoredRow,
    Submission, TraceRows, Visit,
};
use obsrv_engine::query::aggregate::{
    AggregateAnswer, AggregateRequest, KeysRequest, ObservedKeys, ObservedRequest,
    ScoreValuesRequest,
};
use obsrv_engine::query::{
    Budget, Explain, Facet, Fresh, FreshRequest, Page, QueryError, Request, Tellings, traceql,
};
use obsrv_engine::row::{Event, Lsn, ProjectId, Table};
use obsrv_engine::source::SourceError;

/// The rows of one project.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Arc<Engine>,
    tails: Arc<Tails>,
    blobs: Option<Arc<Blobs>>,
    project: ProjectId,
    spent: Spent,
}

impl Core {
    /// The rows of the tenant's project.
    pub fn store(&self, tenant: &Tenant) -> Store {
        Store {
            engine: Arc::clone(&self.engine),
            tails: Arc::clone(self.tails()),
            blobs: self.blobs().ok().cloned(),
            project: tenant.project(),
            spent: tenant.spent(),
        }
    }
}

impl Store {
    /// The project.
    pub(crate) const fn project(&self) -> ProjectId {
        self.project
    }

    /// Refuses what would be refused: see [`Engine::admit`].
    pub fn admit(&self) -> Result<(), IngestError> {
        self.engine.admit(self.project)
    }

    /// Stores events of the project; whatever project the envelope names, it is this one.
    pub fn submit(&self, envelope: Envelope, body: Bytes, events: Vec<Event>, done: Done) {
        let envelope = Envelope {
            project: self.project.0,
            ..envelope
        };
        let done = match self.tails.publisher(self.project) {
            None => done,
            // Called when the rows are durable and visible.
            Some(publisher) => {
                let rows = u64::try_from(events.len()).unwrap_or(u64::MAX);
                Box::new(move |result: Result<Receipt, IngestError>| {
                    if let Ok(receipt) = &result {
                        publisher.note(receipt.lsn, rows);
                    }
                    done(result);
                })
            }
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
        self.view().search(table, request, budget)
    }

    /// The rows of one trace.
    pub fn trace_within(
        &self,
        trace_id: &str,
        budget: &Budget<'_>,
    ) -> Result<TraceRows, QueryError> {
        let snapshot = self.engine.snapshot();
        let found = snapshot.trace_within(self.project, trace_id, budget)?;
        let rows = found.run.iter().chain(&found.spans).chain(&found.scores);
        for row in rows {
            self.spent.add_rows(1, wide(row.body.len()));
        }
        Ok(found)
    }

    /// Whether there is any row of a trace.
    pub fn has_trace(&self, trace_id: &str) -> Result<bool, SourceError> {
        self.engine.snapshot().has_trace(self.project, trace_id)
    }

    /// Deletes rows that are there now.
    pub fn delete(&self, deletion: Deletion, done: Done) {
        self.engine.delete(self.project, deletion, done);
    }

    /// Deletes every row of a trace.
    pub fn delete_trace(&self, trace_id: &str, done: Done) {
        self.engine.delete_trace(self.project, trace_id, done);
    }
}

/// The rows of one project as they were at one moment.
#[derive(Debug)]
pub struct View {
    snapshot: Snapshot,
    blobs: Option<Arc<Blobs>>,
    project: ProjectId,
    spent: Spent,
}

impl Store {
    /// The rows as they are now.
    pub fn view(&self) -> View {
        View {
            snapshot: self.engine.snapshot(),
            blobs: self.blobs.clone(),
            project: self.project,
            spent: self.spent.clone(),
        }
    }

    /// The same; if `partial`, questions go on without rows that cannot be read: see [`View::left_out`].
    pub fn view_or(&self, partial: bool) -> View {
        let view = self.view();
        if !partial {
            return view;
        }
        View {
            snapshot: view.snapshot.allowing_partial(),
            ..view
        }
    }
}

impl View {
    /// Makes rows of one answer whole.
    pub(crate) fn whole<'v>(&'v self, budget: &Budget<'v>) -> Whole<'v> {
        Whole::new(self, self.blobs.clone(), self.project, *budget)
    }

    /// What the questions so far were answered without.
    pub fn left_out(&self) -> Vec<LeftOut> {
        self.snapshot.left_out()
    }

    /// The rows of a table that pass the request's filter.
    pub fn search(
        &self,
        table: Table,
        request: &Request,
        budget: &Budget<'_>,
    ) -> Result<Page, QueryError> {
        let page = self.snapshot.search(self.project, table, request, budget)?;
        self.spent.add(page.explain.clone());
        Ok(page)
    }

    /// The newest record that they see.
    pub fn lsn(&self) -> Lsn {
        self.snapshot.lsn()
    }

    /// The rows that records after an LSN made, held against filters.
    pub fn fresh(
        &self,
        table: Table,
        request: &FreshRequest<'_>,
        budget: &Budget<'_>,
    ) -> Result<Fresh, QueryError> {
        self.snapshot.fresh(self.project, table, request, budget)
    }

    /// [`View::search`] without bodies.
    pub fn search_cores(
        &self,
        table: Table,
        request: &Request,
        budget: &Budget<'_>,
    ) -> Result<Page, QueryError> {
        let snapshot = &self.snapshot;
        let page = snapshot.search_cores(self.project, table, request, budget)?;
        self.spent.add(page.explain.clone());
        Ok(page)
    }

    /// What rows add up to.
    pub fn aggregate(
        &self,
        table: Table,
        request: &AggregateRequest,
        budget: &Budget<'_>,
    ) -> Result<AggregateAnswer, QueryError> {
        let snapshot = &self.snapshot;
        let answer = snapshot.aggregate(self.project, table, request, budget)?;
        self.spent.add(answer.explain.clone());
        Ok(answer)
    }

    /// The newest traces of which a `TraceQL` query leaves spans.
    pub fn traceql(
        &self,
        request: &traceql::SearchRequest<'_>,
        budget: &Budget<'_>,
    ) -> Result<traceql::TracesFound, QueryError> {
        let found = self.snapshot.traceql(self.project, request, budget)?;
        self.spent.add(found.explain.clone());
        Ok(found)
    }

    /// What the spans that it leaves come to over time.
    pub fn traceql_series(
        &self,
        request: &traceql::SeriesRequest<'_>,
        budget: &Budget<'_>,
    ) -> Result<traceql::SeriesAnswer, QueryError> {
        let answer = self
            .snapshot
            .traceql_series(self.project, request, budget)?;
        self.spent.add(answer.explain.clone());
        Ok(answer)
    }

    /// The keys of a table.
    pub fn keys(
        &self,
        table: Table,
        request: KeysRequest<'_>,
        budget: &Budget<'_>,
    ) -> Result<ObservedKeys, QueryError> {
        let snapshot = &self.snapshot;
        let keys = snapshot.observed_keys(self.project, table, request, budget)?;
        self.spent.add(keys.explain.clone());
        Ok(keys)
    }

    /// The values of a key.
    pub fn values(
        &self,
        table: Table,
        request: &ObservedRequest,
        budget: &Budget<'_>,
    ) -> Result<(Facet, Explain), QueryError> {
        let snapshot = &self.snapshot;
        let (facet, explain) = snapshot.observed_values(self.project, table, request, budget)?;
        self.spent.add(explain.clone());
        Ok((facet, explain))
    }

    /// The names of the scores that rows of a table have.
    pub fn score_names(
        &self,
        table: Table,
        wanted: (&str, usize),
        budget: &Budget<'_>,
    ) -> Result<ObservedKeys, QueryError> {
        let snapshot = &self.snapshot;
        let names = snapshot.score_names(self.project, table, wanted, budget)?;
        self.spent.add(names.explain.clone());
        Ok(names)
    }

    /// The facts that scores have.
    pub fn score_facts(&self, budget: &Budget<'_>) -> Result<ObservedKeys, QueryError> {
        let facts = self.snapshot.score_facts(self.project, budget)?;
        self.spent.add(facts.explain.clone());
        Ok(facts)
    }

    /// What the scores of some names say of each of some rows, and what it cost.
    pub fn told(
        &self,
        table: Table,
        (rows, names): (&[(&str, &str)], &[&str]),
        budget: &Budget<'_>,
    ) -> Result<(Tellings, Explain), QueryError> {
        let snapshot = &self.snapshot;
        let told = snapshot.told(self.project, table, (rows, names), budget)?;
        self.spent.add(told.1.clone());
        Ok(told)
    }

    /// The values of scores of one name, how many rows have one, and what it cost.
    pub fn score_values(
        &self,
        table: Table,
        request: &ScoreValuesRequest,
        budget: &Budget<'_>,
    ) -> Result<(Facet, u64, Explain), QueryError> {
        let snapshot = &self.snapshot;
        let found = snapshot.score_values(self.project, table, request, budget)?;
        self.spent.add(found.2.clone());
        Ok(found)
    }

    /// The row of this trace and id.
    pub fn row(&self, table: Table, key: (&str, &str)) -> Result<Option<StoredRow>, SourceError> {
        let found = self.snapshot.row(self.project, table, key)?;
        let bytes = found.as_ref().map_or(0, |row| wide(row.body.len()));
        self.spent.add_rows(u64::from(found.is_some()), bytes);
        Ok(found)
    }

    /// Calls `visit` for each row of a trace: see [`Snapshot::each_row`].
    pub fn each_row<E: From<SourceError>>(
        &self,
        table: Table,
        trace_id: &str,
        visit: Visit<'_, E>,
    ) -> Result<(), E> {
        let (mut rows, mut bytes) = (0, 0);
        let mut counted = |core, body: ReadBody<'_>| {
            rows += 1;
            let mut read = || {
                let body = body()?;
                bytes += wide(body.len());
                Ok::<_, SourceError>(body)
            };
            visit(core, &mut read)
        };
        let done = self
            .snapshot
            .each_row(self.project, table, trace_id, &mut counted);
        self.spent.add_rows(rows, bytes);
        done
    }
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
