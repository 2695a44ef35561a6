//! What was used, what was refused, and the way in: every request passes [`admit_send`] or
//! [`admit_query`] before it costs anything.
//!
//! `GET /v1/usage` and `POST /v1/usage` are those of the aiobs client.

mod by_key;

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Access, OrgSee, ProjectSee, SettingsRead, TraceWrite};
use super::auth::Tenant;
use super::error::{ApiError, ErrorCode, Limit};
use super::governance::small_body;
use super::input::parse;
use super::params::Params;
use super::routes::Routes;
use crate::dialect::format_micros;
use crate::governance::Governance;
use crate::limits::USAGE_BODY_BYTES_MAX;
use crate::quota::{Amounts, Limits, Now, Party, Plan, Quota, Refusal, Taken, Used, Wish};
use crate::tenancy::OrgId;

/// What clients are told that want a number where there is no limit.
const NO_LIMIT: u64 = (1 << 53) - 1;

pub(super) fn add(routes: &mut Routes) {
    routes
        .get("/v1/usage", ProjectSee, aiobs)
        .says("Usage of the organization, in aiobs' words.")
        .gives::<Aiobs>();
    routes
        .post("/v1/usage", TraceWrite, aiobs_report)
        .says("Take what an aiobs client reports of itself.")
        .takes::<Report>()
        .gives::<Aiobs>();
    routes
        .get("/v1/projects/{project}/usage", SettingsRead, show)
        .asks("group_by", "`key` tells beside it what each key has used")
        .says("What a project has used, and its limits.")
        .gives::<ProjectUsage>();
    routes
        .get("/v1/projects/{project}/refusals", SettingsRead, refusals)
        .says("What was refused, by key and reason.")
        .gives::<Refusals>();
    routes
        .get("/v1/orgs/{org}/usage", OrgSee, show_org)
        .says("What an organization has used, and its plan.")
        .gives::<OrgUsage>();
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
    let plan = governance.plan_of(tenant.org());
    f(Party {
        project: tenant.project().0,
        key: tenant.key_id(),
        organization: tenant.org().0,
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
    let governance = app.core()?.governance();
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
pub(crate) fn take(app: &App, tenant: &Tenant, amounts: Amounts) -> Result<Taken, ApiError> {
    let governance = app.core()?.governance();
    let now = now(app);
    let take = |party: Party<'_>| governance.quota().take(party, amounts, now);
    with_party(governance, tenant, take).map_err(|refusal| error_of(&refusal))
}

/// Gives back what the log refused.
pub(crate) fn give_back(governance: &Governance, tenant: &Tenant, taken: Taken) {
    with_party(governance, tenant, |party| {
        governance.quota().give_back(party, taken);
    });
}

/// Counts a request that was refused after its key was known.
pub(crate) fn count_refused(app: &App, tenant: &Tenant, error: &ApiError) {
    let Ok(core) = app.core() else { return };
    let reason = error.limit.as_ref().map_or(error.code.as_str(), |l| l.name);
    let (project, key) = (tenant.project().0, tenant.key_id());
    core.governance()
        .quota()
        .refused(project, key, reason, 1, now(app));
}

/// Counts items that were refused within a request that was taken.
pub(crate) fn count_refused_items(app: &App, tenant: &Tenant, n: u64) {
    if let (Ok(core), 1..) = (app.core(), n) {
        let (project, key) = (tenant.project().0, tenant.key_id());
        core.governance()
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
    let seconds = refusal.wait_ns.div_ceil(1_000_000_000).max(1);
    let mut error = ApiError::new(code, message);
    error.retry_seconds = Some(seconds);
    error.limit = Some(Box::new(Limit {
        name,
        scope,
        period,
        value,
        resets_at: format_micros(refusal.resets_ns),
        retry_after_seconds: seconds,
    }));
    error
}

/// Stores counts that changed.
pub(crate) async fn store(app: &App) {
    let Ok(core) = app.core() else { return };
    let quota = core.governance().quota();
    quota.store(&core.engine, now(app)).await;
}

/// What was used.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Counts {
    /// Today.
    day: Amounts,
    /// This month.
    month: Amounts,
    /// Traces that clients reported of themselves this month.
    reported_traces: u64,
}

impl Counts {
    const fn of(used: &Used) -> Self {
        Self {
            day: used.day,
            month: used.month,
            reported_traces: used.reported,
        }
    }
}

/// The day and month, UTC, that counts are of.
#[derive(Debug, Serialize, JsonSchema)]
struct Period {
    /// As `2026-11`.
    month: String,
    /// When the day ends.
    day_resets_at: String,
    /// When the month ends.
    month_resets_at: String,
}

impl Period {
    fn of(now: Now) -> Self {
        let (month, day_ends, month_ends) = Quota::period(now);
        Self {
            month,
            day_resets_at: format_micros(day_ends),
            month_resets_at: format_micros(month_ends),
        }
    }
}

/// What an organization has used of its plan.
#[derive(Debug, Serialize, JsonSchema)]
struct OfPlan {
    /// What was used.
    used: Counts,
    /// What may be.
    plan: Plan,
}

impl OfPlan {
    fn of(governance: &Governance, org: OrgId, now: Now) -> Self {
        let used = governance.quota().used_by_organization(org.0, now);
        Self {
            used: Counts::of(&used),
            plan: (*governance.plan_of(org)).clone(),
        }
    }
}

/// What a project has used.
#[derive(Debug, Serialize, JsonSchema)]
struct ProjectUsage {
    /// The name of the project.
    project: String,
    #[serde(flatten)]
    period: Period,
    /// By this project.
    used: Counts,
    /// The same by key, if it was asked for: those with most rows this month first.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_key: Option<Vec<by_key::KeyUsage>>,
    /// By all projects of the organization.
    organization: OfPlan,
    /// What the project may send and ask per second.
    limits: Limits,
}

async fn show(
    access: Access<SettingsRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Json<ProjectUsage>, ApiError> {
    let is_by_key = by_key::is_asked(&Params::parse(raw.as_deref().unwrap_or(""))?)?;
    let (core, tenant) = (app.core()?, access.tenant());
    let (governance, now) = (core.governance(), now(&app));
    let used = governance.quota().used_by_project(tenant.project().0, now);
    Ok(Json(ProjectUsage {
        project: tenant.project_name().to_owned(),
        period: Period::of(now),
        used: Counts::of(&used),
        by_key: is_by_key.then(|| by_key::all(core, &access, now)),
        organization: OfPlan::of(governance, tenant.org(), now),
        limits: governance.of(tenant.project()).settings.limits,
    }))
}

/// What an organization has used.
#[derive(Debug, Serialize, JsonSchema)]
struct OrgUsage {
    /// The id of the organization.
    org: u64,
    #[serde(flatten)]
    period: Period,
    #[serde(flatten)]
    of_plan: OfPlan,
}

async fn show_org(
    access: Access<OrgSee>,
    State(app): State<Arc<App>>,
) -> Result<Json<OrgUsage>, ApiError> {
    let now = now(&app);
    Ok(Json(OrgUsage {
        org: access.org().0,
        period: Period::of(now),
        of_plan: OfPlan::of(app.core()?.governance(), access.org(), now),
    }))
}

/// What was refused.
#[derive(Debug, Serialize, JsonSchema)]
struct Refusals {
    /// Since when it is counted.
    since: &'static str,
    /// Of each key and reason.
    refusals: Vec<RefusalShown>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RefusalShown {
    /// In hex; null for whoever had no key.
    key_id: Option<String>,
    /// The limit that was reached, or the code of the error.
    reason: &'static str,
    /// How often.
    count: u64,
    /// When last.
    last_at: String,
}

async fn refusals(
    access: Access<SettingsRead>,
    State(app): State<Arc<App>>,
) -> Result<Json<Refusals>, ApiError> {
    let all = app
        .core()?
        .governance()
        .quota()
        .refusals_of(access.tenant().project().0);
    let shown = all.into_iter().map(|(key, reason, count)| RefusalShown {
        key_id: (key != 0).then(|| format!("{key:x}")),
        reason,
        count: count.count,
        last_at: format_micros(count.last_ns),
    });
    Ok(Json(Refusals {
        since: "start of the process",
        refusals: shown.collect(),
    }))
}

/// What aiobs wants to know before it starts, and after it has sent.
#[derive(Debug, Serialize, JsonSchema)]
struct Aiobs {
    success: bool,
    usage: AiobsUsage,
}

/// `traces_used` is what obsrv counted itself: what the client reports is kept beside it.
#[derive(Debug, Serialize, JsonSchema)]
struct AiobsUsage {
    tier: String,
    traces_used: u64,
    traces_limit: u64,
    traces_remaining: u64,
    is_rate_limited: bool,
}

impl Aiobs {
    fn of(app: &App, org: OrgId) -> Result<Json<Self>, ApiError> {
        let governance = app.core()?.governance();
        let plan = governance.plan_of(org);
        let used = governance.quota().used_by_organization(org.0, now(app));
        let traces = used.month.traces;
        let limit = plan.month.traces.unwrap_or(NO_LIMIT);
        Ok(Json(Self {
            success: true,
            usage: AiobsUsage {
                tier: plan.name.clone(),
                traces_used: traces,
                traces_limit: limit,
                traces_remaining: limit.saturating_sub(traces),
                is_rate_limited: traces >= limit,
            },
        }))
    }
}

async fn aiobs(
    access: Access<ProjectSee>,
    State(app): State<Arc<App>>,
) -> Result<Json<Aiobs>, ApiError> {
    Aiobs::of(&app, access.tenant().org())
}

/// What a client says of its own use.
#[derive(Debug, Deserialize, JsonSchema)]
struct Report {
    /// Traces that it sent.
    trace_count: u64,
}

/// Never a 429: what is reported was taken already, and a refusal would make the client send it
/// again.
async fn aiobs_report(
    access: Access<TraceWrite>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Aiobs>, ApiError> {
    let body = small_body(&app, request, USAGE_BODY_BYTES_MAX).await?;
    let report: Report = parse(&body)?;
    let governance = app.core()?.governance();
    let now = now(&app);
    with_party(governance, access.tenant(), |party| {
        governance.quota().report(party, report.trace_count, now);
    });
    Aiobs::of(&app, access.tenant().org())
}

#[cfg(test)]
mod tests;
