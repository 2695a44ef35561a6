//! Q1 to Q13 as obsrv asks them.
//!
//! A query of obsrv sees one project; those over all projects are asked of each, and their time is
//! that of all of them.

use obsrv_benches::generator::flat::{INPUTS, OUTPUTS};
use obsrv_engine::body;
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::Engine;
use obsrv_engine::query::aggregate::{
    AggregateAnswer, AggregateRequest, DistinctMode, Group, Measure, Rank, TimeBuckets, Top,
};
use obsrv_engine::query::ast::{Filter, Literal, Test, TextTest};
use obsrv_engine::query::{Hit, Order, Page, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use serde_json::{Map, Value as Json, json};

use super::Outcome;
use super::asked::Asked;
use super::asking::{
    Answer, Asking, DAY_NS, HOUR_NS, MINUTE_NS, by_bucket, is, name, number, path, present, words,
};
use super::feed::project;

/// What a query came to, before it is written as the benchmark wants it.
enum Found {
    Roots(Page),
    Previews(Page),
    /// Spans, and bytes of their inputs and outputs.
    Traces(Vec<(usize, usize)>),
    Latency(AggregateAnswer),
    Costs(Vec<AggregateAnswer>),
    Users(AggregateAnswer),
    /// The largest by the sort of all pages.
    Longest(Vec<Page>),
    Ids(Page),
    Total(Vec<Page>),
    Facets(Page),
    Thread(Page),
}

/// The path of a column of the benchmark's rows.
fn path_of(key: &str) -> String {
    match key {
        "model" | "tool" | "name" => key.to_owned(),
        _ => format!("metadata.{key}"),
    }
}

/// Runs a query; Q3 takes the run's share of the traces.
pub(crate) fn run(
    engine: &Engine,
    asked: &Asked,
    query: &str,
    run: u64,
) -> Outcome<Box<dyn Answer>> {
    let asking = Asking::new(engine, asked, Table::Spans);
    Ok(Box::new(asking.spans(query, run)?))
}

impl Asking<'_> {
    fn spans(&self, query: &str, run: u64) -> Outcome<Found> {
        let all = self.asked.project;
        Ok(match query {
            "Q1" => Found::Roots(self.list(Table::Runs, self.since(HOUR_NS))?),
            "Q2" => Found::Previews(self.list(
                Table::Spans,
                Filter::And(vec![
                    is("status", "error"),
                    is("metadata.env", "prod"),
                    is("metadata.workflow", "wf-3"),
                    self.since(DAY_NS),
                ]),
            )?),
            "Q3" => Found::Traces(self.whole(run)?),
            "Q4" => Found::Latency(self.aggregate(all, &self.latency())?),
            "Q5" => Found::Costs(self.of_each(|p| self.aggregate(p, &costs()))?),
            "Q6" => Found::Users(self.aggregate(all, &users())?),
            "Q7" => Found::Longest(self.of_each(|p| self.longest(p))?),
            "Q8a" => self.word("rare")?,
            "Q8b" => self.word("absent")?,
            "Q8c" => self.word("phrase")?,
            "Q8d" => self.word("medium")?,
            "Q9" => Found::Total(self.of_each(|p| self.common(p))?),
            "Q10" => Found::Facets(self.facets()?),
            "Q11" => {
                let session = is("metadata.session", &self.asked.text("session"));
                Found::Thread(self.list(Table::Runs, session)?)
            }
            "Q12" => {
                let pattern = Filter::Text(TextTest::Regex(self.asked.text("pattern")));
                let filter = Filter::And(vec![pattern, self.since(HOUR_NS)]);
                Found::Total(vec![self.counted(self.asked.project, filter)?])
            }
            "Q13" => {
                let key = path_of(&self.asked.text("rare_key"));
                let filter = Filter::Is(path(&key), Test::Eq(Literal::Bool(true)));
                Found::Total(vec![self.counted(self.asked.project, filter)?])
            }
            other => return Err(format!("unknown query {other}").into()),
        })
    }

    fn of_each<T>(&self, ask: impl Fn(u64) -> Outcome<T>) -> Outcome<Vec<T>> {
        (0..self.asked.projects).map(ask).collect()
    }

    fn counted(&self, index: u64, filter: Filter) -> Outcome<Page> {
        let request = Request {
            total: true,
            ..Request::new(filter, 50)
        };
        self.search_cores(index, &request)
    }

    fn word(&self, name: &str) -> Outcome<Found> {
        let filter = words(self.asked.text(name));
        let request = Request::new(filter, 50);
        Ok(Found::Ids(self.search_cores(self.asked.project, &request)?))
    }

    fn common(&self, index: u64) -> Outcome<Page> {
        let filter = Filter::And(vec![
            words(self.asked.text("common")),
            is("metadata.region", "eu-west-1"),
            self.since(DAY_NS),
        ]);
        self.counted(index, filter)
    }

    fn longest(&self, index: u64) -> Outcome<Page> {
        let filter = Filter::And(vec![
            is("tool", "run_sql"),
            is("status", "error"),
            self.since(DAY_NS),
        ]);
        let request = Request {
            order: Order {
                column: Column::Duration,
                descending: true,
            },
            ..Request::new(filter, 100)
        };
        self.search_cores(index, &request)
    }

    fn whole(&self, run: u64) -> Outcome<Vec<(usize, usize)>> {
        let whole = |(index, id): &(u64, String)| {
            let rows = self.snapshot.trace(project(*index), id)?;
            let mut bytes = 0;
            for row in &rows.spans {
                let view = body::view(&row.body)?;
                bytes += text(view, &INPUTS).len() + text(view, &OUTPUTS).len();
            }
            Ok((rows.spans.len(), bytes))
        };
        self.traces(run)?.iter().map(whole).collect()
    }

    fn latency(&self) -> AggregateRequest {
        AggregateRequest {
            keys: vec![present("model")],
            time: Some(self.buckets(DAY_NS / 4, MINUTE_NS)),
            ..AggregateRequest::new(
                Filter::All,
                vec![
                    Measure::Count,
                    Measure::CountIf(is("status", "error")),
                    Measure::Quantiles {
                        column: Column::Duration,
                        at: self.asked.quantiles.clone(),
                    },
                ],
            )
        }
    }

    fn facets(&self) -> Outcome<Page> {
        let filter = Filter::And(vec![is("status", "error"), self.since(DAY_NS)]);
        let request = Request {
            facets: self
                .asked
                .facets
                .iter()
                .map(|k| path(&path_of(k)))
                .collect(),
            facet_values_max: 20,
            ..Request::new(filter, 0)
        };
        self.search(self.asked.project, Table::Spans, &request)
    }
}

fn costs() -> AggregateRequest {
    let sum = |key: &str| Measure::Sum(path(key));
    AggregateRequest {
        keys: vec![present("model")],
        time: Some(TimeBuckets {
            width_ns: DAY_NS,
            origin_ns: 0,
            range: None,
            fill: false,
        }),
        ..AggregateRequest::new(
            Filter::All,
            vec![sum("tokens.input"), sum("tokens.output"), sum("cost_usd")],
        )
    }
}

fn users() -> AggregateRequest {
    AggregateRequest {
        keys: vec![present("metadata.user")],
        top: Top {
            by: Rank::Measure(0, 0),
            descending: true,
            limit: 20,
        },
        ..AggregateRequest::new(
            Filter::All,
            vec![
                Measure::Sum(path("cost_usd")),
                Measure::Distinct {
                    column: path("metadata.session"),
                    mode: DistinctMode::Exact,
                },
            ],
        )
    }
}

/// The first of these attributes that a span has.
fn text<'a>(view: DocRef<'a>, keys: &[&str]) -> &'a str {
    let attributes = view.get("attributes");
    keys.iter()
        .find_map(|key| attributes?.get(key)?.as_str())
        .unwrap_or_default()
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
            Self::Roots(page) => page.hits.iter().map(root).collect::<Outcome<_>>()?,
            Self::Previews(page) => page.hits.iter().map(preview).collect::<Outcome<_>>()?,
            Self::Traces(traces) => traces.iter().map(|t| json!([t.0, t.1])).collect(),
            Self::Latency(answer) => by_bucket(answer, MINUTE_NS, ""),
            Self::Costs(answers) => costs_json(answers),
            Self::Users(answer) => answer.groups.iter().map(user).collect(),
            Self::Longest(pages) => {
                let length = |h: &Hit| h.core.end_ns.unwrap_or_default() - h.core.start_ns;
                json!(merged(pages, length, 100))
            }
            Self::Ids(page) => json!(merged(std::slice::from_ref(page), |h| h.core.start_ns, 50)),
            Self::Total(pages) => {
                let total: u64 = pages.iter().filter_map(|p| p.total).sum();
                json!([total, merged(pages, |h| h.core.start_ns, 50)])
            }
            Self::Facets(page) => facets(page),
            Self::Thread(page) => page.hits.iter().map(|h| json!(h.core.trace_id)).collect(),
        })
    }
}

fn root(hit: &Hit) -> Outcome<Json> {
    let status = body::view(&hit.body)?
        .get("status")
        .and_then(DocRef::as_str);
    let status = if status == Some("error") {
        "error"
    } else {
        "ok"
    };
    let core = &hit.core;
    let duration = core.end_ns.unwrap_or_default() - core.start_ns;
    Ok(json!([core.trace_id, core.start_ns, duration, status]))
}

fn preview(hit: &Hit) -> Outcome<Json> {
    let view = body::view(&hit.body)?;
    let cut = |text: &str| text.chars().take(200).collect::<String>();
    Ok(json!([
        hit.core.id,
        cut(text(view, &INPUTS)),
        cut(text(view, &OUTPUTS))
    ]))
}

fn merged(pages: &[Page], key: impl Fn(&Hit) -> i64, limit: usize) -> Vec<String> {
    let hits = pages.iter().flat_map(|p| &p.hits);
    let mut rows: Vec<_> = hits.map(|h| (key(h), h.core.id.to_string())).collect();
    rows.sort_by(|a, b| b.cmp(a));
    rows.into_iter().take(limit).map(|r| r.1).collect()
}

fn costs_json(answers: &[AggregateAnswer]) -> Json {
    let mut out = Map::new();
    for (project, answer) in answers.iter().enumerate() {
        if let Json::Object(of) = by_bucket(answer, DAY_NS, &format!("{project}|")) {
            out.extend(of);
        }
    }
    Json::Object(out)
}

fn user(group: &Group) -> Json {
    let mut measures = group.figures.measures.iter().map(|m| number(&m.value));
    let (cost, sessions) = (measures.next(), measures.next());
    json!([name(&group.keys), cost, group.figures.rows, sessions])
}

fn facets(page: &Page) -> Json {
    let mut out = Map::new();
    for facet in &page.facets {
        let Column::Path(key) = &facet.column else {
            continue;
        };
        let values = facet.values.iter().map(|(value, count)| {
            let Literal::Str(value) = value else {
                return (format!("{value:?}"), json!(count));
            };
            (value.clone(), json!(count))
        });
        let key = key.trim_start_matches("metadata.").to_owned();
        out.insert(key, Json::Object(values.collect()));
    }
    Json::Object(out)
}
