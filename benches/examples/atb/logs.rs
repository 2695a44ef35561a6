//! L1 to L7 as obsrv asks them: over the log lines of one project.

use obsrv_engine::body;
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::Engine;
use obsrv_engine::query::aggregate::{AggregateAnswer, AggregateRequest, Measure};
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Hit, Page, Request};
use obsrv_engine::row::Table;
use serde_json::{Value as Json, json};

use super::Outcome;
use super::asked::Asked;
use super::asking::{Answer, Asking, DAY_NS, HOUR_NS, budget, by_bucket, is, path, present, words};
use super::feed::project;

enum Found {
    Lines(Page),
    /// Lines of each trace, and bytes of what they say.
    Traces(Vec<(usize, usize)>),
    Total(Page),
    Hours(AggregateAnswer),
}

/// Runs a query; L3 takes the run's share of the traces.
pub(crate) fn run(
    engine: &Engine,
    asked: &Asked,
    query: &str,
    run: u64,
) -> Outcome<Box<dyn Answer>> {
    let asking = Asking::new(engine, asked, Table::Logs);
    Ok(Box::new(asking.lines(query, run)?))
}

impl Asking<'_> {
    fn lines(&self, query: &str, run: u64) -> Outcome<Found> {
        let newest =
            |filter| -> Outcome<Found> { Ok(Found::Lines(self.list(Table::Logs, filter)?)) };
        match query {
            "L1" => newest(Filter::All),
            "L2" => {
                let severe = ["error", "fatal"].map(|level| Literal::Str(level.to_owned()));
                newest(Filter::And(vec![
                    Filter::Is(path("level"), Test::In(severe.to_vec())),
                    is("service", &self.asked.text("service")),
                ]))
            }
            "L3" => Ok(Found::Traces(self.lines_of_traces(run)?)),
            "L4" => newest(words(self.asked.text("rare"))),
            "L5" => {
                let request = Request {
                    total: true,
                    ..Request::new(words(self.asked.text("common")), 0)
                };
                Ok(Found::Total(
                    self.search_cores(self.asked.project, &request)?,
                ))
            }
            "L6" => {
                let request = AggregateRequest {
                    keys: vec![present("level")],
                    time: Some(self.buckets(DAY_NS, HOUR_NS)),
                    ..AggregateRequest::new(Filter::All, vec![Measure::Count])
                };
                Ok(Found::Hours(self.aggregate(self.asked.project, &request)?))
            }
            "L7" => newest(is("user_id", &self.asked.text("user"))),
            other => Err(format!("unknown query {other}").into()),
        }
    }

    fn lines_of_traces(&self, run: u64) -> Outcome<Vec<(usize, usize)>> {
        let of = |(index, id): &(u64, String)| {
            let rows = self
                .snapshot
                .rows(project(*index), Table::Logs, id, &budget())?;
            let mut bytes = 0;
            for row in &rows {
                bytes += text(body::view(&row.body)?, &["body"]).len();
            }
            Ok((rows.len(), bytes))
        };
        self.traces(run)?.iter().map(of).collect()
    }
}

fn text<'a>(view: DocRef<'a>, at: &[&str]) -> &'a str {
    view.at(at).and_then(DocRef::as_str).unwrap_or_default()
}

impl Answer for Found {
    fn parts(&self) -> usize {
        match self {
            Self::Traces(traces) => traces.len().max(1),
            _ => 1,
        }
    }

    fn to_json(&self) -> Outcome<Json> {
        Ok(match self {
            Self::Lines(page) => page.hits.iter().map(line).collect::<Outcome<_>>()?,
            Self::Traces(traces) => traces.iter().map(|t| json!([t.0, t.1])).collect(),
            Self::Total(page) => json!(page.total),
            Self::Hours(answer) => by_bucket(answer, HOUR_NS, ""),
        })
    }
}

fn line(hit: &Hit) -> Outcome<Json> {
    let view = body::view(&hit.body)?;
    Ok(json!([
        text(view, &["attributes", "request_id"]),
        hit.core.start_ns,
        text(view, &["level"]),
        text(view, &["service"]),
        text(view, &["body"])
    ]))
}
