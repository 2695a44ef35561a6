//! What was used, what was refused, and the way in: every request passes [`admit_send`] or
//! [`admit_query`] before it costs anything.
//!
//! `GET /v1/usage` and `POST /v1/usage` are those of the aiobs client.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::auth::{Tenant, authenticate};
use super::error::{ApiError, ErrorCode, Limit};
use super::governance::{parse, small_body, tenant_of};
use crate::dialect::format_micros;
use crate::governance::Governance;
use crate::limits::USAGE_BODY_BYTES_MAX;
use crate::quota::{Amounts, Now, Party, Plan, Quota, Refusal, Used, Wish};

/// What clients are told that want a number where there is no limit.
const NO_LIMIT: u64 = (1 << 53) - 1;

/// The routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/usage", get(aiobs).post(aiobs_report))
        .route("/v1/projects/{project}/usage", get(show))
        .route("/v1/projects/{project}/refusals", get(refusals))
}

pub(crate) fn now(app: &App) -> Now {
    Now {
        wall_ns: app.clock.wall_ns(),
        mono_ns: app.clock.mono_ns(),
    }
}

/// Calls back with the limits that hold for a tenant.
fn with_party<T>(governance: &Governance, tenant: &Tenant, f: impl FnOnce(Party<'_>) -> T) -> T {
    let settings = governance.of(tenant.project());
    let organization = governance.organization_of(tenant.project());
    let plan = governance.plan_of(organization);
    f(Party {
        project: tenant.project().0,
        key: tenant.key_id(),
        organization,
        limits: &settings.settings.limits,
        plan: &plan,
    })
}

/// Lets a body in, of which so many bytes are announced, before it is read.
pub(crate) fn admit_send(app: &App, tenant: &Tenant, announced: u64) -> Result<(), ApiError> {
    admit(app, tenant, Wish::Send(announced))
}

/// Lets a query in.
pub(crate) fn admit_query(app: &App, tenant: &Tenant) -> Result<(), ApiError> {
    admit(app, tenant, Wish::Ask)
}

fn admit(app: &App, tenant: &Tenant, wish: Wish) -> Result<(), ApiError> {
    let governance = &app.core()?.governance;
    let quota = governance.quota();
    let now = now(app);
    let admitted = with_party(governance, tenant, |party| quota.admit(party, wish, now));
    admitted.map_err(|refusal| {
        // A body is counted as refused where it would have been taken.
        if wish == Wish::Ask {
            quota.refused(tenant.project().0, tenant.key_id(), refusal.name, 1, now);
        }
        error_of(&refusal)
    })
}

/// Counts what a body brings before it goes to the log.
pub(crate) fn take(app: &App, tenant: &Tenant, amounts: Amounts) -> Result<(), ApiError> {
    let governance = &app.core()?.governance;
    let now = now(app);
    let take = |party: Party<'_>| governance.quota().take(party, amounts, now);
    with_party(governance, tenant, take).map_err(|refusal| error_of(&refusal))
}

/// Gives back what the log refused.
pub(crate) fn give_back(governance: &Governance, tenant: &Tenant, amounts: Amounts) {
    with_party(governance, tenant, |party| {
        governance.quota().give_back(party, amounts);
    });
}

/// Counts a request that was refused after its key was known.
pub(crate) fn count_refused(app: &App, tenant: &Tenant, error: &ApiError) {
    let Ok(core) = app.core() else { return };
    let reason = error.limit.as_ref().map_or(error.code.as_str(), |l| l.name);
    let (project, key) = (tenant.project().0, tenant.key_id());
    core.governance
        .quota()
        .refused(project, key, reason, 1, now(app));
}

/// Counts items that were refused within a request that was taken.
pub(crate) fn count_refused_items(app: &App, tenant: &Tenant, n: u64) {
    if let (Ok(core), 1..) = (app.core(), n) {
        let (project, key) = (tenant.project().0, tenant.key_id());
        core.governance
            .quota()
            .refused(project, key, "invalid_item", n, now(app));
    }
}

fn error_of(refusal: &Refusal) -> ApiError {
    let (code, what) = if refusal.is_plan() {
        (ErrorCode::QuotaExceeded, "limit of the plan reached")
    } else {
        (ErrorCode::RateLimited, "too much at once")
    };
    let Refusal {
        scope,
        name,
        period,
        value,
        ..
    } = *refusal;
    let message =
        format!("{what}, nothing stored scope={scope} limit={name} per={period} value={value}");
    let mut error = ApiError::new(code, message);
    error.limit = Some(Box::new(Limit {
        name,
        scope,
        period,
        value,
        resets_at: format_micros(refusal.resets_ns),
        retry_after_seconds: refusal.wait_ns.div_ceil(1_000_000_000).max(1),
    }));
    error
}

/// Stores counts that changed.
pub(crate) async fn store(app: &App) {
    let Ok(core) = app.core() else { return };
    while core.governance.quota().store(&core.engine, now(app)).await {}
}

fn counts(used: &Used) -> Value {
    json!({ "day": used.day, "month": used.month, "reported_traces": used.reported })
}

async fn show(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let tenant = tenant_of(&app, &project, &headers)?;
    let governance = &app.core()?.governance;
    let now = now(&app);
    let (month, day_ends, month_ends) = Quota::period(now);
    let organization = governance.organization_of(tenant.project());
    let plan = governance.plan_of(organization);
    let used = governance.quota().used_by_project(tenant.project().0, now);
    let all = governance.quota().used_by_organization(organization, now);
    Ok(Json(json!({
        "project": tenant.project_name(),
        "month": month,
        "day_resets_at": format_micros(day_ends),
        "month_resets_at": format_micros(month_ends),
        "used": counts(&used),
        "organization": { "used": counts(&all), "plan": *plan },
        "limits": governance.of(tenant.project()).settings.limits,
    }))
    .into_response())
}

async fn refusals(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let tenant = tenant_of(&app, &project, &headers)?;
    let quota = app.core()?.governance.quota();
    let refusal = |(key, reason, count): (u64, &str, crate::quota::Count)| {
        json!({
            "key_id": if key == 0 { Value::Null } else { format!("{key:x}").into() },
            "reason": reason,
            "count": count.count,
            "last_at": format_micros(count.last_ns),
        })
    };
    let all: Vec<Value> = quota
        .refusals_of(tenant.project().0)
        .into_iter()
        .map(refusal)
        .collect();
    Ok(Json(json!({ "since": "start of the process", "refusals": all })).into_response())
}

/// What aiobs wants to know before it starts, and after it has sent. `traces_used` is what obsrv
/// counted itself: what the client reports is kept beside it.
async fn aiobs(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let tenant = authenticate(&app.core()?.directory, &headers)?;
    let governance = &app.core()?.governance;
    let organization = governance.organization_of(tenant.project());
    let plan = governance.plan_of(organization);
    let used = governance
        .quota()
        .used_by_organization(organization, now(&app));
    Ok(Json(aiobs_answer(&plan, &used)).into_response())
}

fn aiobs_answer(plan: &Plan, used: &Used) -> Value {
    let traces = used.month.traces;
    let limit = plan.month.traces.unwrap_or(NO_LIMIT);
    json!({ "success": true, "usage": {
        "tier": plan.name,
        "traces_used": traces,
        "traces_limit": limit,
        "traces_remaining": limit.saturating_sub(traces),
        "is_rate_limited": traces >= limit,
    } })
}

#[derive(Deserialize)]
struct Report {
    trace_count: u64,
}

/// Never a 429: what is reported was taken already, and a refusal would make the client send it
/// again.
async fn aiobs_report(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let tenant = authenticate(&app.core()?.directory, &headers)?;
    let body = small_body(&app, request, USAGE_BODY_BYTES_MAX).await?;
    let report: Report = parse(&body)?;
    let governance = &app.core()?.governance;
    let now = now(&app);
    with_party(governance, &tenant, |party| {
        governance.quota().report(party, report.trace_count, now);
    });
    aiobs(State(app), headers).await
}

#[cfg(test)]
mod tests;
