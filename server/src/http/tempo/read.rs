//! What parameters of Tempo's API mean.

use obsrv_engine::query::ast::{Filter, Literal, Test};
use obsrv_engine::query::traceql::{self, Query, ast};
use obsrv_engine::source::Column;

use crate::dialect::parse_time;
use crate::http::error::ApiError;
use crate::http::params::Params;

const NS_PER_S: i64 = 1_000_000_000;

/// A query in a parameter.
pub(super) fn query(name: &str, text: &str) -> Result<Query, ApiError> {
    traceql::parse(text).map_err(|e| ApiError::from(e).at(name))
}

/// Starts from the first on and before the second: both in seconds, either may be missing.
pub(super) fn range(params: &Params) -> Result<Option<(i64, i64)>, ApiError> {
    let seconds = |name: &str| match params.one(name)?.map(str::parse::<u64>) {
        None | Some(Ok(0)) => Ok(None),
        Some(Ok(seconds)) => Ok(Some(seconds)),
        Some(Err(_)) => Err(ApiError::parameter(name, "not seconds since the epoch")),
    };
    let (start, end) = (seconds("start")?, seconds("end")?);
    if start.is_none() && end.is_none() {
        return Ok(None);
    }
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        let message = "http parameter start must be before end";
        return Err(ApiError::parameter("start", message));
    }
    let ns = |seconds: u64| {
        i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(NS_PER_S)
    };
    Ok(Some((start.map_or(i64::MIN, ns), end.map_or(i64::MAX, ns))))
}

/// The same as a filter, beside another.
pub(super) fn within(range: Option<(i64, i64)>, filter: Filter) -> Filter {
    let Some((from, to)) = range else {
        return filter;
    };
    let is = |test| Filter::Is(Column::Start, test);
    let mut parts = vec![
        is(Test::Ge(Literal::I64(from))),
        is(Test::Lt(Literal::I64(to))),
    ];
    if filter != Filter::All {
        parts.push(filter);
    }
    Filter::And(parts)
}

/// A number of things up to `max`; more than that is cut off, as Tempo's clients expect.
pub(super) fn up_to(
    params: &Params,
    name: &str,
    default: usize,
    max: usize,
) -> Result<usize, ApiError> {
    match params.one(name)?.map(str::parse::<usize>) {
        None => Ok(default),
        Some(Ok(n)) => Ok(n.min(max)),
        Some(Err(_)) => Err(ApiError::parameter(name, "not a number")),
    }
}

/// A length of time such as `100ms` or `1h30m`, in nanoseconds.
pub(super) fn length(name: &str, text: &str) -> Result<i64, ApiError> {
    let refused = || ApiError::parameter(name, "not a length of time like 100ms, 1.5s or 1h");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | 'µ');
    if !text.chars().all(plain) {
        return Err(refused());
    }
    let query = traceql::parse(&format!("{{ duration = {text} }}")).map_err(|_| refused())?;
    match query.selectors.first() {
        Some(ast::Expr::Compare(_, _, value)) => match &**value {
            ast::Expr::Static(ast::Static::Duration(ns)) => Ok(*ns),
            _ => Err(refused()),
        },
        _ => Err(refused()),
    }
}

/// A time of a series: up to ten digits are seconds, more are nanoseconds; or RFC 3339.
pub(super) fn time(name: &str, text: &str) -> Result<i64, ApiError> {
    let refused = || ApiError::parameter(name, "not a time since the epoch");
    if let Ok(n) = text.parse::<u64>() {
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        return Ok(if text.len() <= 10 {
            n.saturating_mul(NS_PER_S)
        } else {
            n
        });
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return nanos(seconds).ok_or_else(refused);
    }
    parse_time(text).ok_or_else(refused)
}

/// Whole nanoseconds of seconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
pub(super) fn nanos(seconds: f64) -> Option<i64> {
    let ns = (seconds * 1e9).round();
    (ns.abs() < 9e18).then_some(ns as i64)
}

/// A step: a number of seconds or a length of time.
pub(super) fn step(text: &str) -> Result<i64, ApiError> {
    let ns = match text.parse::<f64>() {
        Ok(seconds) => nanos(seconds),
        Err(_) => Some(length("step", text)?),
    };
    ns.filter(|ns| *ns > 0)
        .ok_or_else(|| ApiError::parameter("step", "not a length of time above 0"))
}
