//! Snapshots: one consistent set of memtables, segments and dead rows that a query reads.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::damage::{LeftOut, Partial};
use super::publish::PublishError;
use super::runs::Unread;
use super::version::Version;
use crate::memtable::TableView;
use crate::mutant::Planted;
use crate::query::aggregate::{
    AggregateAnswer, AggregateRequest, KeysRequest, ObservedKeys, ObservedRequest, PartialCache,
    ScoreValuesRequest, aggregate, observed_keys, observed_values, score_facts, score_names,
    score_values,
};
use crate::query::{
    Beside, Budget, Explain, Facet, Fresh, FreshRequest, Meter, Page, QueryError, Request,
    Tellings, fresh, search, search_cores, told, traceql,
};
use crate::row::{Lsn, ProjectId, Table};
use crate::segment::Segment;
use crate::share;
use crate::source::{Core, SourceError, Visible};

/// What all snapshots of the process keep of segments' shares of aggregates.
static PARTIALS: PartialCache = PartialCache::new(share::PARTIALS);

/// Gives it its share of a memory budget.
pub(crate) fn share_out(budget: u64) {
    PARTIALS.set_capacity(share::of(share::PARTIALS, budget));
}

/// All records up to one LSN. Cheap to make; holds its files until dropped.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) version: Arc<Version>,
    /// Rows of runs could not be brought up to date: no question is answered.
    refuses: bool,
    /// Projects of which some could not, for now.
    unread: Unread,
    /// What is left out, if that is allowed.
    pub(super) partial: Option<Partial>,
    pub(super) planted: Planted,
}

/// A row with its content.
#[derive(Clone, Debug)]
pub struct StoredRow {
    /// Hot columns.
    pub core: Core,
    /// See [`crate::body`].
    pub body: Bytes,
}

/// A trace: its run, its spans and their scores. Its logs are read by [`Snapshot::rows`].
#[derive(Clone, Debug, Default)]
pub struct TraceRows {
    /// The run.
    pub run: Option<StoredRow>,
    /// Its spans, by start, then id.
    pub spans: Vec<StoredRow>,
    /// Scores of the trace and of its spans, oldest first.
    pub scores: Vec<StoredRow>,
}

/// Reads the body of the row that is visited.
pub type ReadBody<'a> = &'a mut dyn FnMut() -> Result<Bytes, SourceError>;

/// Called for each row of a trace.
pub type Visit<'a, E> = &'a mut dyn FnMut(Core, ReadBody<'_>) -> Result<(), E>;

/// Where a project's rows of one table are.
struct Held {
    memory: Vec<(u64, TableView)>,
    segments: Vec<Arc<Segment>>,
}

impl Snapshot {
    pub(super) fn new(version: Arc<Version>, unread: Unread, planted: Planted) -> Self {
        Self {
            version,
            refuses: false,
            unread,
            planted,
            partial: None,
        }
    }

    pub(super) fn refusing(version: Arc<Version>) -> Self {
        Self {
            version,
            refuses: true,
            unread: Unread::new(),
            planted: Planted::default(),
            partial: None,
        }
    }

    /// Whether a project's rows are all there, or may be left out.
    fn check(&self, project: ProjectId) -> Result<(), SourceError> {
        if self.refuses {
            return Err(SourceError::Damaged {
                file: "runs".to_owned(),
                offset: self.lsn(),
                what: "a row that a newer record changes",
                part: String::new(),
            });
        }
        let Some(PublishError::Source(SourceError::Io {
            file,
            offset,
            source,
        })) = self.unread.get(&project)
        else {
            return Ok(());
        };
        if let Some(partial) = &self.partial {
            partial.note(LeftOut {
                file: file.clone(),
                offset: *offset,
                part: format!("project {}, the newest version of a run", project.0),
                rows: 1,
            });
            return Ok(());
        }
        Err(SourceError::Io {
            file: file.clone(),
            offset: *offset,
            source: io::Error::new(source.kind(), source.to_string()),
        })
    }

    /// The newest record that it sees.
    pub fn lsn(&self) -> Lsn {
        self.version.visible()
    }

    /// Asks the sources of a table, and of those that its filters look at.
    fn asking<T>(
        &self,
        project: ProjectId,
        table: Table,
        mut ask: impl FnMut(&[Visible<'_>], &Beside<'_>) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        self.check(project)?;
        let held = [table, Table::Spans, Table::Scores].map(|table| self.held(project, table));
        self.going_round(project, &mut || {
            let [rows, spans, scores] = &held;
            let beside = Beside {
                of: table,
                spans: &self.visible(project, Table::Spans, spans),
                scores: &self.visible(project, Table::Scores, scores),
            };
            ask(&self.visible(project, table, rows), &beside)
        })
    }

    /// Asks the sources of two tables.
    fn asking_both<T>(
        &self,
        project: ProjectId,
        (first, second): (Table, Table),
        mut ask: impl FnMut(&[Visible<'_>], &[Visible<'_>]) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        self.check(project)?;
        let held = (self.held(project, first), self.held(project, second));
        self.going_round(project, &mut || {
            ask(
                &self.visible(project, first, &held.0),
                &self.visible(project, second, &held.1),
            )
        })
    }

    /// The rows of `table` that pass the request's filter.
    pub fn search(
        &self,
        project: ProjectId,
        table: Table,
        request: &Request,
        budget: &Budget<'_>,
    ) -> Result<Page, QueryError> {
        self.asking(project, table, |rows, beside| {
            search(rows, beside, self.lsn(), budget, request)
        })
    }

    /// The same without bodies: hits have their hot columns alone.
    pub fn search_cores(
        &self,
        project: ProjectId,
        table: Table,
        request: &Request,
        budget: &Budget<'_>,
    ) -> Result<Page, QueryError> {
        self.asking(project, table, |rows, beside| {
            search_cores(rows, beside, self.lsn(), budget, request)
        })
    }

    /// The rows of `table` that records after an LSN made, held against filters.
    pub fn fresh(
        &self,
        project: ProjectId,
        table: Table,
        request: &FreshRequest<'_>,
        budget: &Budget<'_>,
    ) -> Result<Fresh, QueryError> {
        self.asking(project, table, |rows, beside| {
            fresh(rows, beside, budget, request)
        })
    }

    /// What the rows of `table` that pass the request's filter come to.
    pub fn aggregate(
        &self,
        project: ProjectId,
        table: Table,
        request: &AggregateRequest,
        budget: &Budget<'_>,
    ) -> Result<AggregateAnswer, QueryError> {
        self.aggregate_with(project, table, request, budget, Some(&PARTIALS))
    }

    /// The same with a cache of the caller's, or without any: the answer is the same.
    pub fn aggregate_with(
        &self,
        project: ProjectId,
        table: Table,
        request: &AggregateRequest,
        budget: &Budget<'_>,
        known: Option<&PartialCache>,
    ) -> Result<AggregateAnswer, QueryError> {
        self.asking(project, table, |rows, beside| {
            aggregate(rows, beside, budget, known, request)
        })
    }

    /// The newest traces of which a `TraceQL` query leaves spans.
    pub fn traceql(
        &self,
        project: ProjectId,
        request: &traceql::SearchRequest<'_>,
        budget: &Budget<'_>,
    ) -> Result<traceql::TracesFound, QueryError> {
        self.asking_both(project, (Table::Spans, Table::Runs), |spans, runs| {
            traceql::search(spans, runs, budget, request)
        })
    }

    /// What the spans that a `TraceQL` query leaves come to over time.
    pub fn traceql_series(
        &self,
        project: ProjectId,
        request: &traceql::SeriesRequest<'_>,
        budget: &Budget<'_>,
    ) -> Result<traceql::SeriesAnswer, QueryError> {
        self.asking_both(project, (Table::Spans, Table::Runs), |spans, runs| {
            traceql::series(spans, runs, budget, request)
        })
    }

    /// Keys of `table` with their types.
    pub fn observed_keys(
        &self,
        project: ProjectId,
        table: Table,
        request: KeysRequest<'_>,
        budget: &Budget<'_>,
    ) -> Result<ObservedKeys, QueryError> {
        self.check(project)?;
        let rows = self.held(project, table);
        self.going_round(project, &mut || {
            observed_keys(&self.visible(project, table, &rows), budget, request)
        })
    }

    /// The most frequent values of a column.
    pub fn observed_values(
        &self,
        project: ProjectId,
        table: Table,
        request: &ObservedRequest,
        budget: &Budget<'_>,
    ) -> Result<(Facet, Explain), QueryError> {
        self.asking(project, table, |rows, beside| {
            observed_values(rows, beside, budget, request)
        })
    }

    /// The names of the scores that rows of `table` have: see [`score_names`].
    pub fn score_names(
        &self,
        project: ProjectId,
        table: Table,
        (prefix, limit): (&str, usize),
        budget: &Budget<'_>,
    ) -> Result<ObservedKeys, QueryError> {
        self.asking(project, table, |_, beside| {
            score_names(beside, budget, prefix, limit)
        })
    }

    /// The facts that scores have: see [`score_facts`].
    pub fn score_facts(
        &self,
        project: ProjectId,
        budget: &Budget<'_>,
    ) -> Result<ObservedKeys, QueryError> {
        self.asking(project, Table::Scores, |scores, _| {
            score_facts(scores, budget)
        })
    }

    /// What scores say of some rows of `table`: see [`told`].
    pub fn told(
        &self,
        project: ProjectId,
        table: Table,
        (rows, names): (&[(&str, &str)], &[&str]),
        budget: &Budget<'_>,
    ) -> Result<(Tellings, Explain), QueryError> {
        self.asking(project, table, |_, beside| {
            told(rows, names, beside, budget)
        })
    }

    /// The values of scores of one name: see [`score_values`].
    pub fn score_values(
        &self,
        project: ProjectId,
        table: Table,
        request: &ScoreValuesRequest,
        budget: &Budget<'_>,
    ) -> Result<(Facet, u64, Explain), QueryError> {
        self.asking(project, table, |rows, beside| {
            score_values(rows, beside, budget, request)
        })
    }

    /// The rows of one trace, each read once.
    pub fn trace(&self, project: ProjectId, trace_id: &str) -> Result<TraceRows, SourceError> {
        self.trace_rows(project, trace_id, &mut |_| Ok(()))
    }

    /// The same, unless the bodies of its rows have more bytes than the budget allows.
    pub fn trace_within(
        &self,
        project: ProjectId,
        trace_id: &str,
        budget: &Budget<'_>,
    ) -> Result<TraceRows, QueryError> {
        let mut meter = Meter::new(budget);
        self.trace_rows(project, trace_id, &mut |bytes| meter.keep_body(bytes))
    }

    /// Whether any row is there that goes with this trace when it is deleted. Reads no payload.
    pub fn has_trace(&self, project: ProjectId, trace_id: &str) -> Result<bool, SourceError> {
        self.check(project)?;
        for table in [Table::Runs, Table::Spans, Table::Logs, Table::Scores] {
            let held = self.held(project, table);
            for place in self.visible(project, table, &held) {
                if !place.live.is_disjoint(&place.source.trace_rows(trace_id)?) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The hot columns of the rows of one trace, in no order. Reads no payload.
    pub fn trace_cores(
        &self,
        project: ProjectId,
        trace_id: &str,
    ) -> Result<Vec<Core>, SourceError> {
        self.check(project)?;
        self.going_round(project, &mut || {
            let mut found = Vec::new();
            for table in [Table::Runs, Table::Spans, Table::Scores] {
                let held = self.held(project, table);
                for place in self.visible(project, table, &held) {
                    for row in place.source.trace_rows(trace_id)? & &place.live {
                        found.push(place.source.core(row)?);
                    }
                }
            }
            Ok(found)
        })
    }

    /// The rows of one table that are clustered with `trace_id`, by start, then id, unless their bodies
    /// have more bytes than the budget allows.
    pub fn rows(
        &self,
        project: ProjectId,
        table: Table,
        trace_id: &str,
        budget: &Budget<'_>,
    ) -> Result<Vec<StoredRow>, QueryError> {
        self.check(project)?;
        let mut meter = Meter::new(budget);
        let mut admit = |bytes| meter.keep_body(bytes);
        let mut rows = self.rows_of(project, table, trace_id, &mut admit)?;
        rows.sort_by(|a, b| (a.core.start_ns, &a.core.id).cmp(&(b.core.start_ns, &b.core.id)));
        Ok(rows)
    }

    fn trace_rows<E: From<SourceError>>(
        &self,
        project: ProjectId,
        trace_id: &str,
        admit: &mut dyn FnMut(usize) -> Result<(), E>,
    ) -> Result<TraceRows, E> {
        self.check(project)?;
        let run = self.rows_of(project, Table::Runs, trace_id, admit)?.pop();
        let mut spans = self.rows_of(project, Table::Spans, trace_id, admit)?;
        spans.sort_by(|a, b| (a.core.start_ns, &a.core.id).cmp(&(b.core.start_ns, &b.core.id)));
        let mut scores = self.rows_of(project, Table::Scores, trace_id, admit)?;
        scores.sort_by(|a, b| (a.core.lsn_first, &a.core.id).cmp(&(b.core.lsn_first, &b.core.id)));
        Ok(TraceRows { run, spans, scores })
    }

    fn rows_of<E: From<SourceError>>(
        &self,
        project: ProjectId,
        table: Table,
        trace_id: &str,
        admit: &mut dyn FnMut(usize) -> Result<(), E>,
    ) -> Result<Vec<StoredRow>, E> {
        let mut found = Vec::new();
        self.each_row::<E>(project, table, trace_id, &mut |core, body| {
            let body = body()?;
            admit(body.len())?;
            found.push(StoredRow { core, body });
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `visit` for each row of one trace, in no order: with its hot columns, and with what reads
    /// its body. Bodies are not held, so a trace of any size can be gone through.
    pub fn each_row<E: From<SourceError>>(
        &self,
        project: ProjectId,
        table: Table,
        trace_id: &str,
        visit: Visit<'_, E>,
    ) -> Result<(), E> {
        self.check(project)?;
        let held = self.held(project, table);
        let named = |error| self.named(project, error);
        if self.partial.is_some() {
            // Nobody is shown a row twice: what cannot be read is found before.
            self.going_round(project, &mut || {
                for place in self.visible(project, table, &held) {
                    for row in place.source.trace_rows(trace_id)? & &place.live {
                        place.source.core(row)?;
                        place.source.body(row)?;
                    }
                }
                Ok::<_, SourceError>(())
            })?;
        }
        for place in self.visible(project, table, &held) {
            // An index that does not read is gone round; what holds facts is not.
            let rows = self.going_round(project, &mut || place.source.trace_rows(trace_id))?;
            for row in rows & &place.live {
                let core = place.source.core(row).map_err(named)?;
                visit(core, &mut || place.source.body(row).map_err(named))?;
            }
        }
        Ok(())
    }

    /// The row of this identity.
    pub fn row(
        &self,
        project: ProjectId,
        table: Table,
        (trace_id, id): (&str, &str),
    ) -> Result<Option<StoredRow>, SourceError> {
        let mut found = None;
        self.each_row::<SourceError>(project, table, trace_id, &mut |core, body| {
            if &*core.id == id {
                let body = body()?;
                found = Some(StoredRow { core, body });
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn held(&self, project: ProjectId, table: Table) -> Held {
        let memory = self.version.memtables().iter().filter_map(|memtable| {
            let rows = memtable.table(project, table)?;
            Some((memtable.number(), rows.view_at(self.lsn())))
        });
        Held {
            memory: memory.collect(),
            segments: self.version.segments_of(project).to_vec(),
        }
    }

    fn visible<'a>(&self, project: ProjectId, table: Table, held: &'a Held) -> Vec<Visible<'a>> {
        let memory = held.memory.iter().map(|(number, view)| Visible {
            source: view,
            live: view.live(self.lsn()),
            name: format!("memtable-{number}"),
        });
        let segments = held.segments.iter().filter_map(|segment| {
            let source = segment.section(project, table)?;
            let rows = crate::source::Source::row_count(source);
            let mut live = self.version.live(segment.id(), project, table, rows);
            let section = (segment.id(), project, table);
            if let Some(lost) = self.partial.as_ref().and_then(|p| p.rows(&section)) {
                live -= lost;
                // Not even its row groups are asked for.
                if live.is_empty() {
                    return None;
                }
            }
            Some(Visible {
                source,
                live,
                name: format!("segment-{:016x}", segment.id()),
            })
        });
        memory.chain(segments).collect()
    }
}
