//! What is asked of traces, in both forms, as one query.

use obsrv_engine::query::traceql::ast::{
    Cmp, Expr, Field, Intrinsic, Kind, Query, Spans, Stage, Static, Status,
};
use obsrv_engine::query::traceql::{self, NODES_MAX};
use serde_json::Value;

use crate::dialect::parse_time;
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::limits::{JAEGER_TRACES_DEFAULT, JAEGER_TRACES_MAX};

/// A search.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) query: Query,
    pub(super) range: Option<(i64, i64)>,
    pub(super) limit: usize,
}

/// Tags of one search: each becomes up to four parts of a query.
const TAGS_MAX: usize = NODES_MAX / 16;

impl Asked {
    /// The classic form.
    pub(super) fn classic(params: &Params, now_ns: i64) -> Result<Self, ApiError> {
        let mut parts = Vec::new();
        texts(params, "service", "operation", &mut parts)?;
        durations(params, ["minDuration", "maxDuration"], &mut parts)?;
        let mut tags = Vec::new();
        if let Some(text) = params.one("tags")? {
            object("tags", text, &mut tags)?;
        }
        for tag in params.all("tag") {
            let (key, value) = tag.split_once(':').unwrap_or((tag, "true"));
            tags.push((key.to_owned(), value.to_owned()));
        }
        add_tags(tags, &mut parts)?;
        let micros = |name: &str| match params.one(name)?.map(str::parse::<u64>) {
            None | Some(Ok(0)) => Ok(None),
            Some(Ok(us)) => Ok(Some(
                i64::try_from(us).unwrap_or(i64::MAX).saturating_mul(1_000),
            )),
            Some(Err(_)) => Err(ApiError::parameter(
                name,
                "not microseconds since the epoch",
            )),
        };
        let (mut start, end) = (micros("start")?, micros("end")?);
        if let (None, Some(text)) = (start, params.one("lookback")?)
            && text != "custom"
        {
            let back = length("lookback", text)?;
            start = Some(end.unwrap_or(now_ns).saturating_sub(back));
        }
        Ok(Self {
            query: query(parts),
            range: range(start, end)?,
            limit: limit(params, "limit")?,
        })
    }

    /// The form of version 3.
    pub(super) fn v3(params: &Params) -> Result<Self, ApiError> {
        let mut parts = Vec::new();
        texts(
            params,
            "query.service_name",
            "query.operation_name",
            &mut parts,
        )?;
        durations(
            params,
            ["query.duration_min", "query.duration_max"],
            &mut parts,
        )?;
        let mut tags = Vec::new();
        if let Some(text) = params.one("query.attributes")? {
            object("query.attributes", text, &mut tags)?;
        }
        add_tags(tags, &mut parts)?;
        let time = |name: &str| match params.one(name)? {
            None => Ok(None),
            // A plus that is not encoded is a space here.
            Some(text) => match parse_time(&text.replace(' ', "+")) {
                Some(ns) => Ok(Some(ns)),
                None => Err(ApiError::parameter(name, "not an RFC 3339 time")),
            },
        };
        let (start, end) = (time("query.start_time_min")?, time("query.start_time_max")?);
        let named = ["query.num_traces", "query.search_depth"];
        let named = named
            .into_iter()
            .find(|name| params.all(name).next().is_some());
        Ok(Self {
            query: query(parts),
            range: range(start, end)?,
            limit: limit(params, named.unwrap_or("query.num_traces"))?,
        })
    }
}

fn query(parts: Vec<Expr>) -> Query {
    let all = if parts.is_empty() {
        Expr::Static(Static::Bool(true))
    } else {
        Expr::And(parts)
    };
    Query {
        selectors: vec![all],
        stages: vec![Stage::Spans(Spans::Selector(0))],
        metrics: None,
        hints: Vec::new(),
    }
}

/// Up to and with the end.
fn range(start: Option<i64>, end: Option<i64>) -> Result<Option<(i64, i64)>, ApiError> {
    if start.is_none() && end.is_none() {
        return Ok(None);
    }
    let from = start.unwrap_or(i64::MIN);
    let to = end.map_or(i64::MAX, |end| end.saturating_add(1));
    if from >= to {
        return Err(ApiError::parameter("start", "not before the end"));
    }
    Ok(Some((from, to)))
}

fn limit(params: &Params, name: &str) -> Result<usize, ApiError> {
    match params.one(name)?.map(str::parse::<usize>) {
        None | Some(Ok(0)) => Ok(JAEGER_TRACES_DEFAULT),
        Some(Ok(n)) => Ok(n.min(JAEGER_TRACES_MAX)),
        Some(Err(_)) => Err(ApiError::parameter(name, "not a number")),
    }
}

fn compare(cmp: Cmp, field: Field, value: Static) -> Expr {
    let (field, value) = (Expr::Field(field), Expr::Static(value));
    Expr::Compare(cmp, Box::new(field), Box::new(value))
}

/// The field of a span's service.
pub(super) fn service() -> Field {
    Field::Resource("service.name".into())
}

fn texts(
    params: &Params,
    service_name: &str,
    operation: &str,
    parts: &mut Vec<Expr>,
) -> Result<(), ApiError> {
    if let Some(name) = params.one(service_name)? {
        parts.push(compare(Cmp::Eq, service(), Static::Str(name.into())));
    }
    if let Some(name) = params.one(operation)?.filter(|name| *name != "all") {
        let field = Field::Intrinsic(Intrinsic::Name);
        parts.push(compare(Cmp::Eq, field, Static::Str(name.into())));
    }
    Ok(())
}

fn durations(params: &Params, names: [&str; 2], parts: &mut Vec<Expr>) -> Result<(), ApiError> {
    for (name, cmp) in names.into_iter().zip([Cmp::Ge, Cmp::Le]) {
        if let Some(text) = params.one(name)? {
            let ns = Static::Duration(length(name, text)?);
            parts.push(compare(cmp, Field::Intrinsic(Intrinsic::Duration), ns));
        }
    }
    Ok(())
}

/// `100ms`, `1.5s`, `2d`
pub(super) fn length(name: &str, text: &str) -> Result<i64, ApiError> {
    let refused = || ApiError::parameter(name, "not a length of time like 100ms, 1.5s or 1h");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | 'µ');
    let read = format!("{{ duration = {text} }}");
    let query = traceql::parse(&read)
        .ok()
        .filter(|_| text.chars().all(plain));
    match query.ok_or_else(refused)?.selectors.first() {
        Some(Expr::Compare(_, _, value)) => match **value {
            Expr::Static(Static::Duration(ns)) => Ok(ns),
            _ => Err(refused()),
        },
        _ => Err(refused()),
    }
}

fn object(name: &str, text: &str, tags: &mut Vec<(String, String)>) -> Result<(), ApiError> {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else {
        return Err(ApiError::parameter(name, "not a JSON object of texts"));
    };
    for (key, value) in members {
        let value = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        tags.push((key, value));
    }
    Ok(())
}

fn add_tags(tags: Vec<(String, String)>, parts: &mut Vec<Expr>) -> Result<(), ApiError> {
    if tags.len() > TAGS_MAX {
        let message = format!("too many tags max={TAGS_MAX}");
        return Err(ApiError::parameter("tags", message));
    }
    for (key, value) in tags {
        parts.push(tag(&key, &value));
    }
    Ok(())
}

/// The value is a text, and also the number or bool that it reads as.
fn tag(key: &str, value: &str) -> Expr {
    let is_true = value == "true";
    match key {
        "error" if is_true || value == "false" => {
            let cmp = if is_true { Cmp::Eq } else { Cmp::Ne };
            let field = Field::Intrinsic(Intrinsic::Status);
            return compare(cmp, field, Static::Status(Status::Error));
        }
        "span.kind" => {
            if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.as_str() == value) {
                return compare(
                    Cmp::Eq,
                    Field::Intrinsic(Intrinsic::Kind),
                    Static::Kind(kind),
                );
            }
        }
        _ => {}
    }
    let field = || Field::Any(key.into());
    let mut some = vec![compare(Cmp::Eq, field(), Static::Str(value.into()))];
    if let Ok(n) = value.parse::<i64>() {
        some.push(compare(Cmp::Eq, field(), Static::Int(n)));
    } else if let Some(x) = value.parse::<f64>().ok().filter(|x| x.is_finite()) {
        some.push(compare(Cmp::Eq, field(), Static::Float(x)));
    }
    if let Ok(b) = value.parse::<bool>() {
        some.push(compare(Cmp::Eq, field(), Static::Bool(b)));
    }
    Expr::Or(some)
}
