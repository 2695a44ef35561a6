//! `GET …/logs`, `…/points`: pages of log lines and metric points that pass a filter.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde_json::json;

use super::access::{Access, TraceRead};
use super::cursor::{self, Scope};
use super::error::{ApiError, ErrorCode};
use super::params::Params;
use super::routes::Routes;
use super::{App, position, query};
use crate::dialect::doc_json::{write, write_str};
use crate::dialect::{format_micros, parse_time};
use crate::limits::{PAGE_ROWS_MAX, SIGNAL_ROWS_DEFAULT};
use crate::wire;
use obsrv_engine::body;
use obsrv_engine::doc::DocRef;
use obsrv_engine::model;
use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::{Hit, Order, Page, Request, parse};
use obsrv_engine::row::{Table, trace_of};
use obsrv_engine::source::Column;

const KNOWN: [&str; 8] = [
    "q", "from", "to", "sort", "limit", "cursor", "total", "explain",
];
/// What decides neither which rows are in the list nor their order.
const NOT_SCOPE: [&str; 4] = ["limit", "cursor", "total", "explain"];

/// The routes of both.
pub(super) fn add(routes: &mut Routes) {
    for (path, summary) in [
        (
            "/v1/projects/{project}/logs",
            "List, filter and count log lines.",
        ),
        (
            "/v1/projects/{project}/points",
            "List, filter and count metric points.",
        ),
    ] {
        let route = if path.ends_with("/logs") {
            routes.get(path, TraceRead, logs)
        } else {
            routes.get(path, TraceRead, points)
        };
        route
            .says(summary)
            .asks("q", "a filter, as in the search bar")
            .asks("from", "earliest start: RFC 3339, `-1h` or `now`")
            .asks("to", "the start before which they are")
            .asks(
                "sort",
                "`start` or a path; `-` before it is largest first; `-start` if not given",
            )
            .asks("limit", "1 to 1000; 50 if not given")
            .asks("cursor", "`next_cursor` of the page before")
            .asks("total", "`true` counts all rows that pass")
            .asks("explain", "`true` tells what it cost");
    }
}

async fn logs(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    list(access, app, raw, Table::Logs).await
}

async fn points(
    access: Access<TraceRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    list(access, app, raw, Table::Points).await
}

async fn list(
    access: Access<TraceRead>,
    app: Arc<App>,
    raw: Option<String>,
    table: Table,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    let params = Params::parse(raw.as_deref().unwrap_or(""))?;
    if let Some(name) = params.unknown(&KNOWN) {
        let message = format!("unknown parameter accepted={}", KNOWN.join(","));
        return Err(ApiError::parameter(name, message));
    }
    let project = access.tenant().project();
    let scope_text = format!("{table:?}:{}", params.canonical(&NOT_SCOPE));
    let mut request = request_of(&params, app.clock.wall_ns())?;
    if let Some(text) = params.one("cursor")? {
        let list = &scope_text;
        let sealed = cursor::open(core.cursors(), Scope { project, list }, text)?;
        request.after = Some(position::decode(&sealed)?);
    }
    let explain = params.flag("explain")?;
    let (store, cursors) = (core.store(access.tenant()), core.cursors().clone());
    let body = query::ask(&app, access.tenant(), move |budget| {
        let page = store.search(table, &request, budget)?;
        let list = &scope_text;
        let seal = |next| cursor::seal(&cursors, Scope { project, list }, &position::encode(next));
        let next = page.next.as_ref().map(seal);
        answer(table, &page, next, explain)
    })
    .await?;
    Ok(wire::json_response(body))
}

fn request_of(params: &Params, now_ns: i64) -> Result<Request, ApiError> {
    let mut parts = Vec::new();
    if let Some(from) = time(params, "from", now_ns)? {
        parts.push(Filter::Is(Column::Start, Test::Ge(Literal::I64(from))));
    }
    if let Some(to) = time(params, "to", now_ns)? {
        parts.push(Filter::Is(Column::Start, Test::Lt(Literal::I64(to))));
    }
    if let Some(q) = params.one("q")? {
        let filter = parse(q, now_ns);
        parts.push(
            filter.map_err(|e| ApiError::new(ErrorCode::InvalidQuery, e.to_string()).at("q"))?,
        );
    }
    let sort = params.one("sort")?.unwrap_or("-start");
    let (descending, name) = sort
        .strip_prefix('-')
        .map_or((false, sort), |name| (true, name));
    if name.is_empty() {
        return Err(ApiError::parameter("sort", "names no field"));
    }
    Ok(Request {
        filter: if parts.is_empty() {
            Filter::All
        } else {
            Filter::And(parts)
        },
        order: Order {
            column: match name {
                "start" => Column::Start,
                "trace_id" | "series" => Column::TraceId,
                "id" => Column::Id,
                "thread_id" => Column::Path(model::GROUP.into()),
                path => Column::Path(path.into()),
            },
            descending,
        },
        limit: limit(params)?,
        after: None,
        total: params.flag("total")?,
        facets: Vec::new(),
        facet_values_max: 0,
    })
}

fn limit(params: &Params) -> Result<usize, ApiError> {
    let Some(text) = params.one("limit")? else {
        return Ok(SIGNAL_ROWS_DEFAULT);
    };
    let wrong = || ApiError::parameter("limit", format!("not a number from 1 to {PAGE_ROWS_MAX}"));
    text.parse()
        .ok()
        .filter(|n| (1..=PAGE_ROWS_MAX).contains(n))
        .ok_or_else(wrong)
}

/// `now`, `-15m` or a time as answers have it.
fn time(params: &Params, name: &str, now_ns: i64) -> Result<Option<i64>, ApiError> {
    let Some(text) = params.one(name)? else {
        return Ok(None);
    };
    let found = match text.strip_prefix('-') {
        Some(ago) => before(ago).map(|ns| now_ns.saturating_sub(ns)),
        None if text == "now" => Some(now_ns),
        None => parse_time(text),
    };
    let wrong = || ApiError::parameter(name, "not a time like 2026-01-31T12:00:00Z, -1h or now");
    found.map(Some).ok_or_else(wrong)
}

fn before(ago: &str) -> Option<i64> {
    let (digits, unit) = ago.split_at_checked(ago.len().checked_sub(1)?)?;
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let n: i64 = digits.parse().ok().filter(|n| *n >= 0)?;
    n.checked_mul(seconds)?.checked_mul(1_000_000_000)
}

fn answer(
    table: Table,
    page: &Page,
    next_cursor: Option<String>,
    explain: bool,
) -> Result<String, ApiError> {
    let mut out = String::from("{\"data\":[");
    for (place, hit) in page.hits.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        row(table, hit, &mut out)?;
    }
    out.push(']');
    let mut put = |key: &str, value: serde_json::Value| {
        out.push_str(&format!(",\"{key}\":{value}"));
    };
    put("next_cursor", json!(next_cursor));
    put("snapshot_changed", json!(page.snapshot_changed));
    if let Some(total) = page.total {
        put("total", json!(total));
    }
    if explain {
        put("explain", wire::explained(&page.explain));
    }
    out.push('}');
    Ok(out)
}

/// Identity and time, then the document as it is, but for the thread's name.
fn row(table: Table, hit: &Hit, out: &mut String) -> Result<(), ApiError> {
    let damaged = |e| ApiError::new(ErrorCode::Damaged, format!("row does not read: {e}"));
    let view = body::decode(&hit.body).map_err(damaged)?.view;
    let view = DocRef::parse(view).map_err(damaged)?;
    let cluster = &*hit.core.trace_id;
    let mut text = |key: &str, value: Option<&str>| {
        out.push_str(if key == "id" { "{\"" } else { ",\"" });
        out.push_str(key);
        out.push_str("\":");
        match value {
            Some(value) => write_str(value, out),
            None => out.push_str("null"),
        }
    };
    text("id", Some(&hit.core.id));
    if table == Table::Points {
        text("series", Some(cluster));
    } else {
        text("trace_id", trace_of(cluster));
    }
    text("start", Some(&to_the_nanosecond(hit.core.start_ns)));
    for (key, value) in view.entries().into_iter().flatten().flatten() {
        let key = if key == model::GROUP {
            "thread_id"
        } else {
            key
        };
        out.push(',');
        write_str(key, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
    Ok(())
}

fn to_the_nanosecond(ns: i64) -> String {
    let micros = format_micros(ns);
    let micros = micros.strip_suffix('Z').unwrap_or(&micros);
    format!("{micros}{:03}Z", ns.rem_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_the_present() {
        let asked = |text: &str| {
            let params = Params::parse(&format!("from={text}")).unwrap();
            time(&params, "from", 7_200_000_000_000).ok().flatten()
        };
        assert_eq!(asked("now"), Some(7_200_000_000_000));
        assert_eq!(asked("-1h"), Some(3_600_000_000_000));
        assert_eq!(asked("1970-01-01T00:00:01.000000002Z"), Some(1_000_000_002));
        for bad in ["-1y", "-", "-h", "--1h", "tomorrow", "-9999999999999d"] {
            assert_eq!(asked(bad), None, "{bad}");
        }
        assert_eq!(
            to_the_nanosecond(1_000_000_002),
            "1970-01-01T00:00:01.000000002Z"
        );
        assert_eq!(to_the_nanosecond(-1), "1969-12-31T23:59:59.999999999Z");
    }
}
