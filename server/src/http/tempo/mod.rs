//! Grafana Tempo's HTTP API below `/tempo`, as far as Grafana's Tempo data source asks it: the URL of the
//! data source is `https://HOST/tempo`, its key goes into a basic-auth password or a header. One file
//! per question. `README.md` beside this file says what is answered how.

mod read;
mod said;
mod search;
mod series;
mod tags;
mod trace;
mod values;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;

pub(super) use trace::{names, shown_id, spans, whole};

use super::App;
use super::access::{Access, Public, TraceRead};
use super::error::ApiError;
use super::routes::{Route, Routes};
use crate::wire;

/// What every path here begins with.
const PREFIX: &str = "/tempo";

fn path(rest: &str) -> String {
    format!("{PREFIX}{rest}")
}

fn asks_range(route: &mut Route) -> &mut Route {
    route
        .asks("start", "earliest start: seconds since the epoch")
        .asks("end", "the start before which they are, the same")
}

pub(super) fn add(routes: &mut Routes) {
    asks_range(routes.get(&path("/api/search"), TraceRead, search::search))
        .says("The newest traces of which a TraceQL query leaves spans, as Tempo tells them.")
        .asks("q", "a query in TraceQL; `{}` if not given")
        .asks(
            "tags",
            "instead of `q`: `key=value` with spaces between, parts of texts",
        )
        .asks(
            "minDuration",
            "with `tags`: the shortest trace, e.g. `100ms`",
        )
        .asks("maxDuration", "with `tags`: the longest trace")
        .asks("limit", "1 to 1000 traces; 20 if not given")
        .asks("spss", "spans shown of each set; 3 if not given, 0 is 1000");
    for version in ["", "/v2"] {
        let tags = path(&format!("/api{version}/search/tags"));
        let values = path(&format!("/api{version}/search/tag/{{tag}}/values"));
        let one = path(&format!("/api{version}/traces/{{trace}}"));
        let is_v2 = !version.is_empty();
        let tags = if is_v2 {
            routes.get(&tags, TraceRead, tags::scopes)
        } else {
            routes.get(&tags, TraceRead, tags::names)
        };
        asks_range(tags)
            .says("The names of attributes, as Tempo tells them.")
            .asks(
                "scope",
                "`span`, `resource`, `event`, `link`, `instrumentation` or `intrinsic`",
            )
            .asks("limit", "names of each scope");
        let values = if is_v2 {
            routes.get(&values, TraceRead, values::typed)
        } else {
            routes.get(&values, TraceRead, values::plain)
        };
        asks_range(values)
            .says("The values of an attribute, as Tempo tells them.")
            .asks(
                "q",
                "a selector in TraceQL; one that does not read counts as none",
            )
            .asks("limit", "how many");
        let one = if is_v2 {
            routes.get(&one, TraceRead, trace::wrapped)
        } else {
            routes.get(&one, TraceRead, trace::plain)
        };
        asks_range(one).says("A whole trace as OTLP: protobuf if `Accept` names it, else JSON.");
    }
    add_series(routes);
    routes
        .get(&path("/api/echo"), TraceRead, echo)
        .costs_nothing()
        .says("`echo`, which tells a data source that its key is good.");
    routes
        .get(&path("/ready"), Public, super::health::ready)
        .says("Whether writes are taken.");
    routes
        .get(&path("/api/status/buildinfo"), Public, build)
        .says("Which version this is, in Tempo's words.");
}

fn add_series(routes: &mut Routes) {
    for (name, is_instant) in [("query_range", false), ("query", true)] {
        let place = path(&format!("/api/metrics/{name}"));
        let route = if is_instant {
            routes.get(&place, TraceRead, series::instant)
        } else {
            routes.get(&place, TraceRead, series::range)
        };
        route
            .says("A TraceQL query over time, as Tempo tells it.")
            .asks("q", "a query in TraceQL with a function over time")
            .asks(
                "start",
                "seconds or nanoseconds since the epoch, or RFC 3339",
            )
            .asks("end", "the same; now if not given")
            .asks("since", "how far before `end`; 1h if not given")
            .asks("step", "a number of seconds or a length of time");
        if !is_instant {
            route.asks(
                "exemplars",
                "spans shown beside each series, at most 100, which is what 0 means, too; \
                 `with(exemplars=…)` in the query goes before it, and `false` there shows none",
            );
        }
    }
}

async fn echo(_: Access<TraceRead>) -> &'static str {
    "echo"
}

async fn build(_: Access<Public>, State(_): State<Arc<App>>) -> Result<Response, ApiError> {
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": "",
        "branch": "",
        "buildDate": "",
        "buildUser": "obsrv",
        "goVersion": "",
    });
    Ok(wire::json_response(body.to_string()))
}
