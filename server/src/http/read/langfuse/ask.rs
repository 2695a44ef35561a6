//! What the parameters of a question mean: which rows, when, which page.

use obsrv_engine::model;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Budget, LIST_MAX, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;

use super::facts::{RELEASE, VERSION, at_first, called, environments, is, texts};
use crate::dialect::parse_time;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::params::Params;
use crate::http::store::View;
use crate::limits::LANGFUSE_PAGE_ROWS_DEFAULT;

/// Rows of one table, some of which may be chosen by what their run says.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    own: Vec<Filter>,
    of_run: Vec<Filter>,
}

impl Chosen {
    /// Only rows that pass this.
    pub(super) fn row(&mut self, filter: Filter) -> &mut Self {
        self.own.push(filter);
        self
    }

    /// Only rows whose run passes this.
    pub(super) fn run(&mut self, filter: Filter) -> &mut Self {
        self.of_run.push(filter);
        self
    }

    /// Only rows of these environments.
    pub(super) fn environment(&mut self, params: &Params) -> &mut Self {
        let names: Vec<&str> = list(params, "environment").collect();
        if !names.is_empty() {
            self.own.push(environments(names));
        }
        self
    }

    /// Only rows that start in this time.
    pub(super) fn during(
        &mut self,
        params: &Params,
        (from, to): (&str, &str),
    ) -> Result<&mut Self, ApiError> {
        if let Some(ns) = time(params, from)? {
            self.own
                .push(Filter::Is(Column::Start, Test::Ge(Literal::I64(ns))));
        }
        if let Some(ns) = time(params, to)? {
            self.own
                .push(Filter::Is(Column::Start, Test::Lt(Literal::I64(ns))));
        }
        Ok(self)
    }

    /// The filter. Runs are looked up first, as many as a list in a filter may have.
    pub(super) fn filter(self, view: &View, budget: &Budget<'_>) -> Result<Filter, ApiError> {
        let mut own = self.own;
        if !self.of_run.is_empty() {
            let request = Request::new(all_of(self.of_run), LIST_MAX);
            let page = view.search_cores(Table::Runs, &request, budget)?;
            if page.next.is_some() {
                let message = format!("more than {LIST_MAX} traces are meant; narrow the question");
                return Err(ApiError::new(ErrorCode::QueryTooExpensive, message));
            }
            let traces = page.hits.iter().map(|hit| &*hit.core.trace_id);
            own.push(Filter::Is(Column::TraceId, Test::In(texts(traces))));
        }
        Ok(all_of(own))
    }

    /// The filter over runs themselves.
    pub(super) fn over_runs(self) -> Filter {
        all_of([self.own, self.of_run].concat())
    }
}

fn all_of(parts: Vec<Filter>) -> Filter {
    if parts.is_empty() {
        Filter::All
    } else {
        Filter::And(parts)
    }
}

/// Equal to a text.
pub(super) fn eq(text: &str) -> Test {
    Test::Eq(Literal::Str(text.to_owned()))
}

/// The values of a parameter that may be repeated or hold several with commas.
pub(super) fn list<'a>(params: &'a Params, name: &'a str) -> impl Iterator<Item = &'a str> {
    let all = params.all(name).flat_map(|text| text.split(','));
    all.map(str::trim).filter(|text| !text.is_empty())
}

/// A time.
pub(super) fn time(params: &Params, name: &str) -> Result<Option<i64>, ApiError> {
    let text = params.one(name)?;
    let read = |text| {
        parse_time(text)
            .ok_or_else(|| ApiError::parameter(name, "not a time like 2026-01-31T12:00:00Z"))
    };
    text.map(read).transpose()
}

/// A number.
pub(super) fn number(params: &Params, name: &str) -> Result<Option<f64>, ApiError> {
    let text = params.one(name)?;
    let read = |text: &str| {
        let read = text.parse().ok().filter(|n: &f64| n.is_finite());
        read.ok_or_else(|| ApiError::parameter(name, "not a number"))
    };
    text.map(read).transpose()
}

/// How many rows a page has.
pub(super) fn limit(params: &Params, max: usize) -> Result<usize, ApiError> {
    match params.one("limit")?.map(str::parse) {
        None => Ok(LANGFUSE_PAGE_ROWS_DEFAULT),
        Some(Ok(n)) if (1..=max).contains(&n) => Ok(n),
        Some(_) => {
            let message = format!("not a number from 1 to {max}");
            Err(ApiError::parameter("limit", message))
        }
    }
}

/// What a parameter asks of the runs that rows belong to.
pub(super) fn of_run(params: &Params, chosen: &mut Chosen) -> Result<(), ApiError> {
    let fields = [("userId", model::USER_ID), ("sessionId", model::GROUP)];
    for (name, path) in fields {
        if let Some(text) = params.one(name)? {
            chosen.run(is(path, eq(text)));
        }
    }
    if let Some(text) = params.one("traceName")? {
        chosen.run(called(text));
    }
    Ok(())
}

/// What parameters ask of the runs in a list of them.
pub(super) fn runs(params: &Params) -> Result<Chosen, ApiError> {
    let mut chosen = Chosen::default();
    let fields = [("userId", model::USER_ID), ("sessionId", model::GROUP)];
    for (name, path) in fields {
        if let Some(text) = params.one(name)? {
            chosen.row(is(path, eq(text)));
        }
    }
    for name in ["name", "traceName"] {
        if let Some(text) = params.one(name)? {
            chosen.row(called(text));
        }
    }
    for (name, places) in [("version", VERSION), ("release", RELEASE)] {
        if let Some(text) = params.one(name)? {
            chosen.row(at_first(places, false, &|place| is(place, eq(text))));
        }
    }
    for tag in list(params, "tags") {
        chosen.row(is(model::TAGS, eq(tag)));
    }
    chosen.environment(params);
    chosen.during(params, ("fromTimestamp", "toTimestamp"))?;
    Ok(chosen)
}
