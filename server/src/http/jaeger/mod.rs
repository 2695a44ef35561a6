//! Jaeger's HTTP API below `/jaeger`, in the classic form and in that of version 3, as far as Jaeger's
//! UI and Grafana's Jaeger data source ask it: the URL of the data source is `https://HOST/jaeger`.

mod ask;
mod names;
mod spans;
mod summaries;
mod traces;

use super::access::TraceRead;
use super::routes::{Route, Routes};

/// What every path here begins with.
const PREFIX: &str = "/jaeger";

/// Whether a search reads, in either form.
#[cfg(feature = "forge")]
pub(super) fn reads(params: &super::params::Params) -> bool {
    ask::Asked::classic(params, 1 << 60).is_ok() | ask::Asked::v3(params).is_ok()
}

fn path(rest: &str) -> String {
    format!("{PREFIX}{rest}")
}

fn asks_classic(route: &mut Route) -> &mut Route {
    route
        .asks("service", "the service of a span")
        .asks("operation", "its name")
        .asks("tags", "its attributes: a JSON object of texts")
        .asks("tag", "one attribute: `key:value`; may be repeated")
        .asks("minDuration", "its shortest duration, e.g. `100ms`")
        .asks("maxDuration", "its longest duration")
        .asks("limit", "1 to 1000 traces; 20 if not given")
        .asks("start", "earliest start: microseconds since the epoch")
        .asks("end", "the start up to which they are, the same")
        .asks(
            "lookback",
            "without `start`: how far before `end`, e.g. `1h`",
        )
        .asks("traceID", "instead of all others: a trace; may be repeated")
}

fn asks_v3(route: &mut Route) -> &mut Route {
    route
        .asks("query.service_name", "the service of a span")
        .asks("query.operation_name", "its name")
        .asks("query.attributes", "its attributes: a JSON object of texts")
        .asks("query.duration_min", "its shortest duration, e.g. `100ms`")
        .asks("query.duration_max", "its longest duration")
        .asks("query.num_traces", "1 to 1000 traces; 20 if not given")
        .asks("query.search_depth", "the same")
        .asks("query.start_time_min", "earliest start: RFC 3339")
        .asks(
            "query.start_time_max",
            "the start up to which they are, the same",
        )
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get(&path("/api/services"), TraceRead, names::services)
        .says("The services that sent spans, as Jaeger tells them.");
    routes
        .get(
            &path("/api/services/{service}/operations"),
            TraceRead,
            names::operations,
        )
        .says("The names of spans of a service, as Jaeger tells them.");
    routes
        .get(&path("/api/operations"), TraceRead, names::kinds)
        .says("The names of spans of a service with their kinds, as Jaeger tells them.")
        .asks("service", "the service")
        .asks("spanKind", "`server`, `client`, …; all if not given");
    asks_classic(routes.get(&path("/api/traces"), TraceRead, traces::search))
        .says("The newest traces that have such a span, whole, in Jaeger's form.");
    routes
        .get(&path("/api/traces/{trace}"), TraceRead, traces::one)
        .says("A trace in Jaeger's form.");
    routes
        .get(&path("/api/dependencies"), TraceRead, names::dependencies)
        .says("Which service calls which, and how often.")
        .asks(
            "endTs",
            "end of the time: milliseconds since the epoch; now if not given",
        )
        .asks("lookback", "milliseconds before it; an hour if not given");
    routes
        .get(&path("/api/v3/services"), TraceRead, names::services_v3)
        .says("The services that sent spans, in version 3 of Jaeger's API.");
    routes
        .get(&path("/api/v3/operations"), TraceRead, names::operations_v3)
        .says("The names of spans of a service, in version 3 of Jaeger's API.")
        .asks("service", "the service")
        .asks("span_kind", "`server`, `client`, …; all if not given");
    asks_v3(routes.get(&path("/api/v3/traces"), TraceRead, traces::search_v3))
        .says("The newest traces that have such a span, whole, as OTLP.");
    let summaries = path("/api/v3/trace-summaries");
    asks_v3(routes.get(&summaries, TraceRead, traces::summaries_v3)).says(
        "The newest traces that have such a span, without their spans, as Jaeger's UI lists them.",
    );
    routes
        .get(&path("/api/v3/traces/{trace}"), TraceRead, traces::one_v3)
        .says("A trace as OTLP.");
}
