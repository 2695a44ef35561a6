//! P1 to P7 as obsrv asks them: over the metric points of one project.

use obsrv_engine::body;
use obsrv_engine::doc::DocRef;
use obsrv_engine::engine::Engine;
use obsrv_engine::query::aggregate::{AggregateAnswer, AggregateRequest, Measure};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Hit, LIMIT_MAX, Order, Page, Request};
use obsrv_engine::row::Table;
use obsrv_engine::source::Column;
use serde_json::{Value as Json, json};

use super::Outcome;
use super::asked::Asked;
use super::asking::{Answer, Asking, DAY_NS, MINUTE_NS, by_bucket, by_group, is, path, present};

const BUCKET_NS: i64 = 5 * MINUTE_NS;

enum Found {
    Series(Page),
    Points(Page),
    Groups(AggregateAnswer),
    Buckets(AggregateAnswer),
}

/// Runs a query.
pub(crate) fn run(engine: &Engine, asked: &Asked, query: &str) -> Outcome<Box<dyn Answer>> {
    let asking = Asking::new(engine, asked, Table::Points);
    Ok(Box::new(asking.points(query)?))
}

impl Asking<'_> {
    fn points(&self, query: &str) -> Outcome<Found> {
        let value = || path("value");
        Ok(match query {
            "P1" => Found::Series(self.series()?),
            "P2" => {
                let measures = vec![Measure::Count, Measure::Avg(value())];
                let request = AggregateRequest {
                    time: Some(self.buckets(DAY_NS, BUCKET_NS)),
                    ..grouped("service", vec![self.named("gauge")], measures)
                };
                Found::Buckets(self.aggregate(self.asked.project, &request)?)
            }
            "P3" => self.groups("model", self.named("counter"), vec![Measure::Sum(value())])?,
            "P4" => {
                let quantiles = Measure::Quantiles {
                    column: value(),
                    at: self.asked.quantiles.clone(),
                };
                let measures = vec![Measure::Count, quantiles];
                self.groups("service", self.named("wide"), measures)?
            }
            "P5" => self.groups("name", Filter::All, vec![Measure::Count])?,
            "P6" => {
                let host = is("resource.host.name", &self.asked.text("host"));
                Found::Points(self.list(Table::Points, host)?)
            }
            "P7" => {
                let measures = ["count", "sum"].map(|of| Measure::Sum(path(of)));
                let today = vec![self.named("histogram"), self.since(DAY_NS)];
                let request = grouped("service", today, measures.to_vec());
                Found::Groups(self.aggregate(self.asked.project, &request)?)
            }
            other => return Err(format!("unknown query {other}").into()),
        })
    }

    /// Points of the metric that is asked for under this name.
    fn named(&self, name: &str) -> Filter {
        is("name", &self.asked.text(name))
    }

    fn groups(&self, key: &str, filter: Filter, measures: Vec<Measure>) -> Outcome<Found> {
        let request = grouped(key, vec![filter], measures);
        Ok(Found::Groups(self.aggregate(self.asked.project, &request)?))
    }

    /// The values of one series, which has no more than a page.
    fn series(&self) -> Outcome<Page> {
        let filter = Filter::And(vec![
            self.named("wide"),
            is("resource.service.instance.id", &self.asked.text("instance")),
            is("model", &self.asked.text("model")),
            self.since(DAY_NS),
        ]);
        let request = Request {
            order: Order {
                column: Column::Start,
                descending: false,
            },
            ..Request::new(filter, LIMIT_MAX)
        };
        self.search(self.asked.project, Table::Points, &request)
    }
}

fn grouped(key: &str, filter: Vec<Filter>, measures: Vec<Measure>) -> AggregateRequest {
    AggregateRequest {
        keys: vec![present(key)],
        ..AggregateRequest::new(Filter::And(filter), measures)
    }
}

impl Answer for Found {
    fn to_json(&self) -> Outcome<Json> {
        Ok(match self {
            Self::Series(page) => page.hits.iter().map(sample).collect::<Outcome<_>>()?,
            Self::Points(page) => page.hits.iter().map(point).collect::<Outcome<_>>()?,
            Self::Groups(answer) => by_group(answer),
            Self::Buckets(answer) => by_bucket(answer, BUCKET_NS, ""),
        })
    }
}

fn sample(hit: &Hit) -> Outcome<Json> {
    let view = body::view(&hit.body)?;
    Ok(json!([hit.core.start_ns, value(view)]))
}

/// The number of a gauge or sum, of a histogram its sum.
fn value(view: DocRef<'_>) -> Option<f64> {
    let number = |key| view.get(key).and_then(DocRef::as_f64);
    number("value").or_else(|| number("sum"))
}

fn point(hit: &Hit) -> Outcome<Json> {
    let view = body::view(&hit.body)?;
    let text = |key| view.get(key).and_then(DocRef::as_str).unwrap_or_default();
    Ok(json!([
        hit.core.start_ns,
        text("name"),
        text("model"),
        value(view)
    ]))
}
