//! `GET …/releases`: which versions of which service rows are of, and since when they fail;
//! `GET …/timeline`: what began in a range of time, in order: versions, errors, failing log lines.
//!
//! What runs is known by a version or by a release, or by both: each is looked at, and every entry says by which it is
//! known.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use obsrv_engine::model;
use obsrv_engine::query::aggregate::{
    AggregateRequest, Figures, Group, GroupValue, Key, Measure, Rank, Top, Value as Figure,
};
use obsrv_engine::query::ast::Filter;
use obsrv_engine::query::{Budget, Explain};
use obsrv_engine::source::Column;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::aggregate::key_value;
use super::aggregate::measure::number_value;
use super::ask::{Over, Range, check_known, limit};
use super::list::{asks_rows, json};
use super::path;
use crate::dialect::format_nanos;
use crate::http::access::{Access, TraceRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::http::routes::Routes;
use crate::http::store::View;
use crate::http::{App, query};
use crate::limits::{RELEASES_DEFAULT, RELEASES_MAX};
use crate::wire;

const OF_RELEASES: [&str; 6] = ["over", "q", "from", "to", "limit", "explain"];
const OF_TIMELINE: [&str; 5] = ["q", "from", "to", "limit", "explain"];

/// Where a version stands in a row.
const VERSIONS: [&str; 2] = [model::VERSION, model::RELEASE];

/// A version of a service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Release {
    service: Option<String>,
    version: String,
    /// The field that the version stands in: `version` or `release`.
    key: &'static str,
    rows: u64,
    /// Rows that failed.
    errors: u64,
    first_seen: String,
    last_seen: String,
    /// The first that failed.
    first_error: Option<String>,
    #[serde(skip)]
    first_ns: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Releases {
    /// The youngest first.
    data: Vec<Release>,
    /// Whether there are more.
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

/// Something that began.
#[derive(Debug, Serialize, JsonSchema)]
struct Began {
    at: String,
    /// `release`, `error` or `log`.
    kind: &'static str,
    service: Option<String>,
    /// The version, the error or the line; `xxh3:…` of one too long to be told apart by its text.
    what: Value,
    /// Rows in the range; of a release at all.
    rows: u64,
    last_seen: String,
    #[serde(skip)]
    at_ns: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Timeline {
    /// By time.
    data: Vec<Began>,
    /// Whether a kind has more than are listed: those with the most rows are.
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

pub(super) fn add(routes: &mut Routes) {
    let route = routes.get(&path("/releases"), TraceRead, releases);
    asks_rows(route)
        .asks("over", "`spans`, `traces` or `logs`; `spans` if not given")
        .asks(
            "limit",
            "of each name of a version, up to 1000; 100 if not given",
        )
        .asks("explain", "`true` tells what all of its questions cost")
        .says("Versions of services, since when they are seen and since when they fail.")
        .gives::<Releases>();
    let route = routes.get(&path("/timeline"), TraceRead, timeline);
    asks_rows(route)
        .asks("limit", "of each kind, up to 1000; 100 if not given")
        .asks("explain", "`true` tells what all of its questions cost")
        .says("What began in a range of time: versions, errors of spans, failing log lines.")
        .gives::<Timeline>();
}

/// Which rows failed.
const fn failed(over: Over) -> &'static str {
    match over {
        Over::Logs => "level:(error,fatal)",
        _ => "status:error",
    }
}

/// Rows by some keys, those with most rows first: how many, when first, when last.
struct Grouped {
    groups: Vec<Group>,
    more: bool,
}

impl Grouped {
    fn of(
        view: &View,
        over: Over,
        (filter, keys): (Filter, &[&str]),
        (extra, limit): (Option<Measure>, usize),
        (explain, budget): (&mut Explain, &Budget<'_>),
    ) -> Result<Self, ApiError> {
        let start = || over.column("start");
        let mut measures = vec![Measure::Min(start()), Measure::Max(start())];
        measures.extend(extra);
        let keys = keys.iter().map(|name| Key::new(over.column(name)));
        let request = AggregateRequest {
            keys: keys.collect(),
            top: Top {
                by: Rank::Rows,
                descending: true,
                limit,
            },
            ..AggregateRequest::new(filter, measures)
        };
        let answer = view.aggregate(over.table(), &request, budget)?;
        explain.add(answer.explain);
        Ok(Self {
            more: answer.groups_left_out > 0,
            groups: answer.groups,
        })
    }
}

/// The measure at this place as a whole number.
fn whole(figures: &Figures, place: usize) -> Option<i64> {
    match &figures.measures.get(place)?.value {
        Figure::Count(n) => i64::try_from(*n).ok(),
        Figure::Number(n) => number_value((*n)?).as_i64(),
        _ => None,
    }
}

fn text(value: Option<&Option<GroupValue>>) -> Option<String> {
    match key_value(value?.as_ref()?) {
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// The values of its keys.
fn names(group: &Group) -> Vec<Option<Value>> {
    let keys = group.keys.iter();
    keys.map(|value| value.as_ref().map(key_value)).collect()
}

fn all_releases(
    view: &View,
    over: Over,
    (filter, limit): (&Filter, usize),
    (explain, budget): (&mut Explain, &Budget<'_>),
) -> Result<Releases, ApiError> {
    let is_failed = over.searched(failed(over), 0)?;
    let (mut data, mut more) = (Vec::new(), false);
    for key in VERSIONS {
        let has = over.has(&Column::Path(key.into()));
        let these = Filter::And(vec![filter.clone(), has]);
        let count = Some(Measure::CountIf(is_failed.clone()));
        let asked = (these.clone(), &["service", key][..]);
        let grouped = Grouped::of(view, over, asked, (count, limit), (explain, budget))?;
        if grouped.groups.is_empty() {
            continue;
        }
        let failures = Filter::And(vec![these, is_failed.clone()]);
        let asked = (failures, &["service", key][..]);
        let most = (None, RELEASES_MAX);
        let failures = Grouped::of(view, over, asked, most, (explain, budget))?;
        more |= grouped.more;
        for group in &grouped.groups {
            let known = names(group);
            let same = failures.groups.iter().find(|other| names(other) == known);
            let first_error = same.and_then(|group| whole(&group.figures, 0));
            data.extend(Release::of(key, group, first_error));
        }
    }
    data.sort_by_key(|release| std::cmp::Reverse(release.first_ns));
    Ok(Releases {
        data,
        more,
        explain: None,
    })
}

impl Release {
    fn of(key: &'static str, group: &Group, first_error: Option<i64>) -> Option<Self> {
        let first_ns = whole(&group.figures, 0)?;
        let errors = whole(&group.figures, 2).unwrap_or(0);
        Some(Self {
            service: text(group.keys.first()),
            version: text(group.keys.get(1))?,
            key,
            rows: group.figures.rows,
            errors: u64::try_from(errors).unwrap_or(0),
            first_seen: format_nanos(first_ns),
            last_seen: format_nanos(whole(&group.figures, 1)?),
            first_error: first_error.map(format_nanos),
            first_ns,
        })
    }
}

/// The rows that are asked for: of what, and the filter without its range.
fn asked(over: Over, params: &Params, now_ns: i64) -> Result<(Filter, Range), ApiError> {
    let filter = params.one("q")?.map(|q| over.searched(q, now_ns));
    let range = Range::of(params.one("from")?, params.one("to")?, now_ns)?;
    Ok((filter.transpose()?.unwrap_or(Filter::All), range))
}

async fn releases(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &OF_RELEASES)?;
    let over = params.one("over")?.map_or(Ok(Over::Spans), Over::named)?;
    let (filter, range) = asked(over, &params, app.clock.wall_ns())?;
    let limit = limit(&params, RELEASES_DEFAULT, RELEASES_MAX)?;
    let is_explained = params.flag("explain")?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let (filter, mut cost) = (range.and(filter), Explain::default());
        let shown = all_releases(&store.view(), over, (&filter, limit), (&mut cost, budget))?;
        json(&Releases {
            explain: is_explained.then(|| wire::explained(&cost)),
            ..shown
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

async fn timeline(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    check_known(&params, &OF_TIMELINE)?;
    let now_ns = app.clock.wall_ns();
    let (spans, range) = asked(Over::Spans, &params, now_ns)?;
    let (logs, _) = asked(Over::Logs, &params, now_ns)?;
    let limit = limit(&params, RELEASES_DEFAULT, RELEASES_MAX)?;
    let is_explained = params.flag("explain")?;
    let store = app.core()?.store(access.tenant());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let (view, mut cost) = (store.view(), Explain::default());
        let until = Range {
            from: None,
            ..range
        };
        // A version that was there before has not begun.
        let seen = until.and(spans.clone());
        let most = (&seen, RELEASES_MAX);
        let releases = all_releases(&view, Over::Spans, most, (&mut cost, budget))?;
        let from = range.from.unwrap_or(i64::MIN);
        let new = releases
            .data
            .iter()
            .filter(|release| release.first_ns >= from);
        let mut data: Vec<Began> = new.map(Began::release).collect();
        let mut more = releases.more || data.len() > limit;
        data.truncate(limit);
        let kinds = [
            (Over::Spans, "error", "error_message", spans),
            (Over::Logs, "log", "body", logs),
        ];
        for (over, kind, key, filter) in kinds {
            let is_failed = over.searched(failed(over), 0)?;
            let these = range.and(Filter::And(vec![filter, is_failed]));
            let asked = (these, &["service", key][..]);
            let grouped = Grouped::of(&view, over, asked, (None, limit), (&mut cost, budget))?;
            more |= grouped.more;
            data.extend(
                grouped
                    .groups
                    .iter()
                    .filter_map(|group| Began::of(kind, group)),
            );
        }
        data.sort_by_key(|began| began.at_ns);
        json(&Timeline {
            data,
            more,
            explain: is_explained.then(|| wire::explained(&cost)),
        })
    })
    .await?;
    Ok(wire::json_response(body))
}

impl Began {
    fn release(release: &Release) -> Self {
        Self {
            at: release.first_seen.clone(),
            kind: "release",
            service: release.service.clone(),
            what: release.version.clone().into(),
            rows: release.rows,
            last_seen: release.last_seen.clone(),
            at_ns: release.first_ns,
        }
    }

    fn of(kind: &'static str, group: &Group) -> Option<Self> {
        let at_ns = whole(&group.figures, 0)?;
        let what = group.keys.get(1)?.as_ref();
        Some(Self {
            at: format_nanos(at_ns),
            kind,
            service: text(group.keys.first()),
            what: what.map_or(Value::Null, key_value),
            rows: group.figures.rows,
            last_seen: format_nanos(whole(&group.figures, 1)?),
            at_ns,
        })
    }
}
