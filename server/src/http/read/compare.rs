//! `POST …/compare`: which keys and values two sets of rows differ in most.
//!
//! A key whose values are few enough to be counted all is compared value by value: by the share of
//! rows that have it in each set. `scores.NAME` is such a key of traces and spans, and is compared by its mean, too,
//! however many values it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use obsrv_engine::query::aggregate::{AggregateRequest, Measure, Value as Figure};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Budget, Explain, FACET_VALUES_MAX, FACETS_MAX, Facet, Request};
use obsrv_engine::source::{Column, LaneKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::aggregate::measure::number_value;
use super::ask::{Over, Range, asked};
use super::damaged::{Damaged, damaged};
use super::facets::{of_scores, unless_too_many};
use super::list::json;
use super::{names, path};
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::input::Input;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{
    COMPARE_KEYS_MAX, COMPARE_LISTED_DEFAULT, COMPARE_LISTED_MAX, COMPARE_SCORES_MAX,
    READ_NAMES_DEFAULT,
};
use crate::wire;

/// What is not compared unless it is named: what differs anyway, and what says nothing.
const LEFT_OUT: [&str; 6] = [
    "rollup.",
    "start",
    "end",
    "index",
    "attributes.gen_ai.response.id",
    "run_id",
];

/// Two sets of rows.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    /// `traces`, `spans`, `scores`, `logs` or `points`; `traces` if not given.
    over: Option<String>,
    a: Side,
    b: Side,
    /// The keys to compare, of traces and spans also `scores.NAME`; those that most rows have if not given. Up to 128,
    /// 32 of them scores.
    keys: Option<Vec<String>>,
    /// Values listed; 50 if not given.
    limit: Option<usize>,
    /// Whether to go on without rows that are damaged on disk; `damaged` says which those are.
    #[serde(default)]
    allow_partial: bool,
    /// Whether to tell what it cost, both sets and all keys together.
    #[serde(default)]
    explain: bool,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Side {
    /// A filter, as in the search bar.
    q: Option<String>,
    /// A filter as JSON, beside `q`.
    filter: Option<Value>,
    /// Earliest start.
    from: Option<String>,
    /// The start before which they are.
    to: Option<String>,
}

impl Side {
    fn filter(&self, over: Over, now_ns: i64) -> Result<Filter, ApiError> {
        let range = Range::of(self.from.as_deref(), self.to.as_deref(), now_ns)?;
        let filter = asked(over, (self.q.as_deref(), self.filter.as_ref()), now_ns)?;
        Ok(range.and(filter))
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Compared {
    /// Rows of each set.
    a_rows: u64,
    b_rows: u64,
    /// Largest difference of shares first.
    data: Vec<Difference>,
    /// Of the scores among the keys: their means, but of those that are more than one question may hold.
    scores: Vec<Means>,
    /// Keys with too many values to be compared.
    left_out: Vec<String>,
    /// What is damaged on disk and left out; only with `allow_partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<Damaged>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

/// A value and the share of rows that have it.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the word of the answer")]
struct Difference {
    key: String,
    value: Value,
    a_count: u64,
    b_count: u64,
    a_share: f64,
    b_share: f64,
    /// `a_share` less `b_share`.
    difference: f64,
}

/// What the scores of a name come to in each set: each row counts once, with the mean of its scores.
#[derive(Debug, Serialize, JsonSchema)]
struct Means {
    key: String,
    /// Rows of the set with a number.
    a_rows: u64,
    b_rows: u64,
    /// Null if none has one.
    a_mean: Option<f64>,
    b_mean: Option<f64>,
    /// `a_mean` less `b_mean`.
    difference: Option<f64>,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .post(&path("/compare"), TraceRead, answer)
        .says("Which keys and values two sets of rows differ in most.")
        .takes::<Question>()
        .gives::<Compared>();
}

async fn answer(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    Input(question): Input<Question>,
) -> Result<Response, ApiError> {
    let now_ns = app.clock.wall_ns();
    let over = question
        .over
        .as_deref()
        .map_or(Ok(Over::Traces), Over::named)?;
    let (a, b) = (
        question.a.filter(over, now_ns)?,
        question.b.filter(over, now_ns)?,
    );
    let limit = question.limit.unwrap_or(COMPARE_LISTED_DEFAULT);
    if limit > COMPARE_LISTED_MAX {
        let message = format!("too many values max={COMPARE_LISTED_MAX}");
        return Err(ApiError::parameter("limit", message));
    }
    if question
        .keys
        .as_ref()
        .is_some_and(|keys| keys.len() > COMPARE_KEYS_MAX)
    {
        let message = format!("too many keys max={COMPARE_KEYS_MAX}");
        return Err(ApiError::parameter("keys", message));
    }
    let named = question.keys.iter().flatten();
    if named.filter(|key| over.score(key).is_some()).count() > COMPARE_SCORES_MAX {
        let message = format!("too many scores max={COMPARE_SCORES_MAX}");
        return Err(ApiError::parameter("keys", message));
    }
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let view = store.view_or(question.allow_partial);
        let keys = match question.keys {
            Some(keys) => keys,
            None => usual_keys(&view, over, budget)?,
        };
        let a = Counts::of(&view, (over, &a), &keys, budget)?;
        let b = Counts::of(&view, (over, &b), &keys, budget)?;
        let explain = question.explain.then(|| {
            let mut both = a.explain.clone();
            both.add(b.explain.clone());
            wire::explained(&both)
        });
        json(&Compared {
            scores: means(&keys, over, &a, &b),
            damaged: damaged(view.left_out()),
            explain,
            ..compared(&keys, &a, &b, limit)
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

/// The keys that most rows have.
fn usual_keys(view: &View, over: Over, budget: &Budget<'_>) -> Result<Vec<String>, ApiError> {
    let observed = names::keys(view, over, ("", READ_NAMES_DEFAULT), budget)?.keys;
    let mut keys: Vec<(u64, String)> = observed
        .into_iter()
        .filter(|key| !LEFT_OUT.iter().any(|out| key.path.starts_with(out)))
        .map(|key| {
            let listed = key.types.iter().filter(|(kind, _)| *kind != LaneKind::Long);
            (listed.map(|(_, rows)| rows).sum(), key.path.to_string())
        })
        .filter(|(rows, _)| *rows > 0)
        .collect();
    keys.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut scores = 0;
    keys.retain(|(_, key)| {
        scores += usize::from(over.score(key).is_some());
        over.score(key).is_none() || scores <= COMPARE_SCORES_MAX
    });
    keys.truncate(COMPARE_KEYS_MAX);
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// By the JSON of a value: the value, and how many rows have it. `None` if there are too many.
type Values = Option<BTreeMap<String, (Value, u64)>>;

/// How many rows have a number, and the mean of these.
type Mean = (u64, Option<f64>);

/// How many rows of a set have each value of each key.
struct Counts {
    rows: u64,
    keys: Vec<Values>,
    /// Of each score among the keys; nothing of those that are too many to be held.
    means: Vec<Option<Mean>>,
    explain: Explain,
}

impl Counts {
    fn of(
        view: &View,
        (over, filter): (Over, &Filter),
        keys: &[String],
        budget: &Budget<'_>,
    ) -> Result<Self, ApiError> {
        let mut all = Self {
            rows: 0,
            keys: Vec::with_capacity(keys.len()),
            means: Vec::new(),
            explain: Explain::default(),
        };
        let of_rows = keys.iter().filter(|key| over.score(key).is_none());
        let columns: Vec<Column> = of_rows.map(|key| over.column(key)).collect();
        let mut facets = all
            .count(view, (over, filter), &columns, budget)?
            .into_iter();
        let request = Request {
            facet_values_max: FACET_VALUES_MAX,
            ..Request::new(filter.clone(), 0)
        };
        for key in keys {
            let values = match over.score(key) {
                Some(name) => {
                    let cost = (&mut all.explain, budget);
                    let found = of_scores(view, (over, name), &request, cost)?;
                    found.and_then(|(facet, _)| values_of(&facet))
                }
                None => facets.next().expect("BUG: a key without a facet"),
            };
            all.keys.push(values);
        }
        let scores = keys.iter().filter(|key| over.score(key).is_some());
        let scores: Vec<Column> = scores.map(|key| over.figure(key)).collect();
        all.mean(view, (over, filter), &scores, budget)?;
        Ok(all)
    }

    /// Counts the rows, and the values of columns.
    fn count(
        &mut self,
        view: &View,
        (over, filter): (Over, &Filter),
        columns: &[Column],
        budget: &Budget<'_>,
    ) -> Result<Vec<Values>, ApiError> {
        let mut parts: Vec<&[Column]> = columns.chunks(FACETS_MAX).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let mut values = Vec::with_capacity(columns.len());
        for part in parts {
            let request = Request {
                total: true,
                facets: part.to_vec(),
                facet_values_max: FACET_VALUES_MAX,
                ..Request::new(filter.clone(), 0)
            };
            let page = view.search(over.table(), &request, budget)?;
            self.rows = page.total.unwrap_or(0);
            self.explain.add(page.explain);
            values.extend(page.facets.iter().map(values_of));
        }
        Ok(values)
    }

    fn mean(
        &mut self,
        view: &View,
        (over, filter): (Over, &Filter),
        scores: &[Column],
        budget: &Budget<'_>,
    ) -> Result<(), ApiError> {
        for score in scores {
            let measure = Measure::Avg(score.clone());
            let request = AggregateRequest::new(filter.clone(), vec![measure]);
            let found = unless_too_many(view.aggregate(over.table(), &request, budget))?;
            let Some(answer) = found else {
                self.means.push(None);
                continue;
            };
            self.explain.add(answer.explain);
            let mean = answer.total.measures.first().map(|measured| {
                let mean = match &measured.value {
                    Figure::Number(Some(mean)) => number_value(*mean).as_f64(),
                    _ => None,
                };
                (measured.count, mean)
            });
            self.means.push(mean);
        }
        Ok(())
    }
}

fn values_of(facet: &Facet) -> Values {
    let values = facet.values.iter().map(|(value, count)| {
        let value = wire::literal(value);
        (value.to_string(), (value, *count))
    });
    (!facet.more && facet.long == 0).then(|| values.collect())
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn share(count: u64, rows: u64) -> f64 {
    if rows == 0 {
        0.0
    } else {
        count as f64 / rows as f64
    }
}

fn means(keys: &[String], over: Over, a: &Counts, b: &Counts) -> Vec<Means> {
    let scores = keys.iter().filter(|key| over.score(key).is_some());
    let pairs = scores.zip(a.means.iter().zip(&b.means));
    let means = pairs.filter_map(|(key, (a, b))| {
        let ((a_rows, a_mean), (b_rows, b_mean)) = ((*a)?, (*b)?);
        Some(Means {
            key: key.clone(),
            a_rows,
            b_rows,
            a_mean,
            b_mean,
            difference: a_mean.zip(b_mean).map(|(a, b)| a - b),
        })
    });
    means.collect()
}

fn compared(keys: &[String], a: &Counts, b: &Counts, limit: usize) -> Compared {
    let (mut data, mut left_out) = (Vec::new(), Vec::new());
    for ((key, a_values), b_values) in keys.iter().zip(&a.keys).zip(&b.keys) {
        let (Some(a_values), Some(b_values)) = (a_values, b_values) else {
            left_out.push(key.clone());
            continue;
        };
        let mut values: BTreeMap<&str, (&Value, u64, u64)> = BTreeMap::new();
        for (text, (value, count)) in a_values {
            values.insert(text, (value, *count, 0));
        }
        for (text, (value, count)) in b_values {
            values.entry(text).or_insert((value, 0, 0)).2 = *count;
        }
        for (value, a_count, b_count) in values.into_values() {
            let (a_share, b_share) = (share(a_count, a.rows), share(b_count, b.rows));
            data.push(Difference {
                key: key.clone(),
                value: value.clone(),
                a_count,
                b_count,
                a_share,
                b_share,
                difference: a_share - b_share,
            });
        }
    }
    data.sort_by(|x, y| {
        y.difference
            .abs()
            .total_cmp(&x.difference.abs())
            .then_with(|| x.key.cmp(&y.key))
    });
    data.truncate(limit);
    Compared {
        a_rows: a.rows,
        b_rows: b.rows,
        data,
        scores: Vec::new(),
        left_out,
        damaged: None,
        explain: None,
    }
}
