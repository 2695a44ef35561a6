//! Asks the engine and the model the same, on one snapshot or page by page over several.

use std::collections::BTreeMap;
use std::sync::Arc;

use obsrv_engine::engine::Snapshot;
use obsrv_engine::query::{Budget, Page, Position, Request};
use obsrv_engine::row::{ProjectId, Table};

use super::answer::{Others, Place, page};
use super::compare;
use super::coverage::Coverage;
use super::figures;
use super::machine::chain;
use super::questions::Question;
use super::scored;
use super::state::{Model, Row, Rows, View};

/// Rows that all pages of one question may look at: beyond, the rest of its pages are left out.
const PAGED_ROWS_MAX: usize = 30_000;

/// A question of which the pages are asked for one by one while rows change.
#[derive(Debug)]
pub(super) struct Walk {
    question: Question,
    position: Position,
    place: Place,
    /// The rows at the first page.
    first: BTreeMap<(String, String), Arc<Row>>,
}

impl Walk {
    /// The first page. `None` if that is all.
    pub(super) fn start(
        snapshot: &Snapshot,
        view: &View,
        question: &Question,
    ) -> Result<Option<Self>, String> {
        let request = &question.request;
        let got = search(snapshot, question, request)?;
        let rows = view.rows(question.project, question.table);
        let right = page(&rows, &others_of(view, question), request, None);
        compare::page(&got, &right, request, None)?;
        let named = |row: &Arc<Row>| ((row.trace.clone(), row.id.clone()), Arc::clone(row));
        Ok(got.next.zip(right.last).map(|(position, place)| Self {
            question: question.clone(),
            position,
            place,
            first: rows.iter().map(named).collect(),
        }))
    }

    /// The next page, from what is there now.
    pub(super) fn turn(
        self,
        snapshot: &Snapshot,
        view: &View,
        coverage: &mut Coverage,
    ) -> Result<Option<Self>, String> {
        let lsn = self.position.lsn;
        let request = Request {
            after: Some(self.position.clone()),
            ..self.question.request.clone()
        };
        let got = search(snapshot, &self.question, &request)?;
        let rows = view.rows(self.question.project, self.question.table);
        let others = others_of(view, &self.question);
        let right = page(&rows, &others, &request, Some((&self.place, lsn)));
        let surely = right.all.iter().any(|row| self.has_changed(row));
        let touched = |row: &Arc<Row>| row.first <= lsn && row.touched > lsn;
        let maybe = rows.iter().any(touched);
        compare::page(&got, &right, &request, Some((surely, maybe)))?;
        if got.next.as_ref().is_some_and(|next| next.lsn != lsn) {
            return Err(format!("cursor of {lsn} goes on as {:?}", got.next));
        }
        coverage.note_many("pages over changed rows", usize::from(surely));
        Ok(got.next.zip(right.last).map(|(position, place)| Self {
            position,
            place,
            ..self
        }))
    }

    fn has_changed(&self, row: &Row) -> bool {
        let key = (row.trace.clone(), row.id.clone());
        self.first.get(&key).is_none_or(|old| {
            (old.start, old.end) != (row.start, row.end) || old.doc.encode() != row.doc.encode()
        })
    }
}

fn others_of(view: &View, question: &Question) -> Others {
    let rows = |table| view.rows(question.project, table);
    let of_spans = question.table == Table::Spans;
    Others::new(of_spans, rows(Table::Spans), rows(Table::Scores))
}

/// As much as anyone asks for.
const BUDGET: Budget<'_> = Budget {
    rows_max: u64::MAX,
    bytes_max: u64::MAX,
    read_bytes_max: u64::MAX,
    cancelled: &|| false,
    processors: None,
    weigh: None,
};

fn search(snapshot: &Snapshot, question: &Question, request: &Request) -> Result<Page, String> {
    let project = ProjectId(question.project);
    let page = snapshot.search(project, question.table, request, &BUDGET);
    page.map_err(|e| chain(&e))
}

/// All pages of a question.
pub(super) fn ask(
    snapshot: &Snapshot,
    view: &View,
    question: &Question,
    coverage: &mut Coverage,
) -> Result<(), String> {
    let rows: Rows = view.rows(question.project, question.table);
    let others = others_of(view, question);
    figures::ask(snapshot, &rows, &others, question, coverage)?;
    scored::ask(snapshot, (&rows, &others), question, &BUDGET, coverage)?;
    let mut request = question.request.clone();
    let mut place: Option<Place> = None;
    let mut pages = 0;
    loop {
        pages += 1;
        let got = search(snapshot, question, &request)?;
        let after = place.as_ref().map(|place| (place, view.lsn));
        let right = page(&rows, &others, &request, after);
        let changed = after.map(|_| (false, false));
        compare::page(&got, &right, &request, changed)
            .map_err(|what| format!("page {pages}: {what}"))?;
        if let Some(next) = got.next.as_ref().filter(|next| next.lsn != view.lsn) {
            return Err(format!("cursor {next:?} of a snapshot of {}", view.lsn));
        }
        if pages == 1 {
            note_answer(&got, (right.total, rows.len()), coverage);
            let by_scores = got.explain.scored > 0 && right.total > 0;
            coverage.note_many("rows found by scores", usize::from(by_scores));
        }
        place = right.last;
        request.after = got.next;
        if request.after.is_none() || pages * rows.len() > PAGED_ROWS_MAX {
            coverage.note_many("pages", pages);
            return Ok(());
        }
    }
}

/// Whether the question was one that tells right from wrong.
fn note_answer(got: &Page, (passed, of): (usize, usize), coverage: &mut Coverage) {
    let some = passed > 0 && passed < of;
    coverage.note_many("some rows of many", usize::from(some));
    let spread = got.explain.sources > 2 && passed > 0;
    coverage.note_many("rows in several places", usize::from(spread));
    let in_doubt = got.explain.rows_in_doubt > 0;
    coverage.note_many("values too long for columns", usize::from(in_doubt));
    let facets = got.facets.iter().any(|facet| facet.values.len() > 1);
    coverage.note_many("facets of several values", usize::from(facets));
    for (what, many) in [
        ("blocks found by an index", got.explain.blocks_by_index),
        (
            "blocks ruled out by an index",
            got.explain.blocks_pruned_by_index,
        ),
        (
            "rows counted by an index",
            got.explain.rows_counted_by_index,
        ),
    ] {
        coverage.note_many(what, usize::from(many > 0));
    }
}

/// The rows of a trace.
pub(super) fn read_trace(
    snapshot: &Snapshot,
    model: &Model,
    project: u64,
    trace: &str,
) -> Result<(), String> {
    let got = snapshot
        .trace(ProjectId(project), trace)
        .map_err(|e| chain(&e))?;
    let runs = model.trace(project, trace, Table::Runs);
    let read = |table| {
        let rows = snapshot.rows(ProjectId(project), table, trace, &BUDGET);
        rows.map_err(|e| chain(&e))
    };
    let by_start = |table| {
        let mut rows = model.trace(project, trace, table);
        rows.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
        rows
    };
    let spans = by_start(Table::Spans);
    let mut scores = model.trace(project, trace, Table::Scores);
    scores.sort_by(|a, b| (a.first, &a.id).cmp(&(b.first, &b.id)));
    let tables = [
        ("runs", got.run.into_iter().collect(), runs),
        ("spans", got.spans, spans),
        ("scores", got.scores, scores),
        ("logs", read(Table::Logs)?, by_start(Table::Logs)),
        ("points", read(Table::Points)?, by_start(Table::Points)),
    ];
    for (table, got, right) in tables {
        if got.len() != right.len() {
            return Err(format!("{} {table} not {}", got.len(), right.len()));
        }
        for (got, right) in got.iter().zip(&right) {
            compare::row(&got.core, &got.body, right)?;
        }
    }
    Ok(())
}
