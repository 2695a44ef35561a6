//! `/v1/audit`: who did what in an organization, newest first.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::access::{Access, AuditRead};
use super::error::{ApiError, ErrorCode};
use super::params::Params;
use super::routes::Routes;
use crate::control::{Actor, AuditAction, AuditNote};
use crate::dialect::{format_micros, parse_time};
use crate::keys::hex;
use crate::limits::{AUDIT_LOOK_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::tenancy::audit::{Record, describe};

/// Where the next lines of an export begin.
const NEXT: HeaderName = HeaderName::from_static("obsrv-next");

/// A record of the audit log.
#[derive(Debug, Serialize, JsonSchema)]
struct RecordShown {
    /// Its number in the log of the server.
    number: u64,
    /// When.
    at: String,
    /// Who: `system`, `operator`, `user:ID`, `key:ID` or `nobody`.
    actor: String,
    /// What, e.g. `key.revoked`.
    action: &'static str,
    /// In which project.
    project: Option<u64>,
    /// To what.
    subject: String,
    /// What it became.
    details: std::collections::BTreeMap<&'static str, String>,
    /// Hash of this record and of all before it, in hex.
    hash: String,
}

/// A page of the audit log.
#[derive(Debug, Serialize, JsonSchema)]
struct AuditPage {
    /// Newest first.
    items: Vec<RecordShown>,
    /// What `before` is for the next page; null on the last. A page may be empty and not the last.
    next: Option<u64>,
    /// Number of the first record before which the log was changed, as the server found at its start.
    broken_at: Option<u64>,
}

const PARAMETERS: [&str; 8] = [
    "before", "limit", "action", "actor", "project", "since", "until", "format",
];

pub(super) fn add(routes: &mut Routes) {
    for path in ["/v1/orgs/{org}/audit", "/v1/audit"] {
        routes
            .get(path, AuditRead, list)
            .says("The audit log of an organization, newest first.")
            .asks("before", "`next` of the page before")
            .asks("limit", "how many")
            .asks("action", "an action, or the part before its dot")
            .asks("actor", "`user:5`, `key:2a`, `operator`, `system`")
            .asks("project", "the id of a project")
            .asks("since", "a time, inclusive")
            .asks("until", "a time, inclusive")
            .asks(
                "format",
                "`jsonl` for one record a line; `obsrv-next` is then a header",
            )
            .gives::<AuditPage>();
    }
}

/// `user:5`, `key:2a`, `operator`, `system` or `nobody`.
pub(super) fn actor_text(actor: Actor) -> String {
    match actor {
        Actor::System => "system".to_owned(),
        Actor::Operator => "operator".to_owned(),
        Actor::User(user) => format!("user:{}", user.0),
        Actor::Key(key) => format!("key:{key:x}"),
        Actor::Nobody => "nobody".to_owned(),
    }
}

struct Wanted {
    before: u64,
    limit: usize,
    action: Option<String>,
    actor: Option<String>,
    project: Option<u64>,
    since: Option<i64>,
    until: Option<i64>,
    is_lines: bool,
}

impl Wanted {
    fn of(params: &Params) -> Result<Self, ApiError> {
        if let Some(name) = params.unknown(&PARAMETERS) {
            return Err(ApiError::parameter(name, "unknown parameter"));
        }
        let number = |name: &'static str| -> Result<Option<u64>, ApiError> {
            let text = params.one(name)?.map(str::parse::<u64>).transpose();
            text.map_err(|_| ApiError::parameter(name, "not a number"))
        };
        let time = |name: &'static str| -> Result<Option<i64>, ApiError> {
            let Some(text) = params.one(name)? else {
                return Ok(None);
            };
            let refused = || ApiError::parameter(name, "not a time like 2026-01-31T12:00:00Z");
            parse_time(text).map(Some).ok_or_else(refused)
        };
        let is_lines = match params.one("format")? {
            None | Some("json") => false,
            Some("jsonl") => true,
            Some(_) => return Err(ApiError::parameter("format", "neither json nor jsonl")),
        };
        let max = if is_lines {
            AUDIT_LOOK_MAX
        } else {
            PAGE_ROWS_MAX
        };
        let default = if is_lines {
            AUDIT_LOOK_MAX
        } else {
            PAGE_ROWS_DEFAULT
        };
        let limit = match number("limit")?.map(usize::try_from) {
            None => default,
            Some(Ok(n)) if (1..=max).contains(&n) => n,
            Some(_) => {
                return Err(ApiError::parameter(
                    "limit",
                    format!("not a number from 1 to {max}"),
                ));
            }
        };
        let owned = |name| Ok::<_, ApiError>(params.one(name)?.map(str::to_owned));
        Ok(Self {
            before: number("before")?.unwrap_or(u64::MAX),
            limit,
            action: owned("action")?,
            actor: owned("actor")?,
            project: number("project")?,
            since: time("since")?,
            until: time("until")?,
            is_lines,
        })
    }

    fn wants(&self, record: &Record) -> bool {
        let Some(said) = describe(&record.event) else {
            return false;
        };
        let named = |wanted: &String| {
            let rest = said.action.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.action.as_ref().is_none_or(named)
            && self
                .actor
                .as_ref()
                .is_none_or(|actor| *actor == actor_text(said.actor))
            && self
                .project
                .is_none_or(|project| record.project == Some(project))
            && self.since.is_none_or(|since| said.at_ns >= since)
            && self.until.is_none_or(|until| said.at_ns <= until)
    }
}

fn shown(record: &Record) -> Option<RecordShown> {
    let said = describe(&record.event)?;
    Some(RecordShown {
        number: record.place.number,
        at: format_micros(said.at_ns),
        actor: actor_text(said.actor),
        action: said.action,
        project: record.project,
        subject: said.subject,
        details: said.details.into_iter().collect(),
        hash: hex(&record.place.hash),
    })
}

async fn list(
    access: Access<AuditRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let wanted = Wanted::of(&Params::parse(raw.as_deref().unwrap_or(""))?)?;
    let plane = Arc::clone(app.core()?.plane());
    let org = access.org();
    if wanted.is_lines {
        let note = AuditNote {
            action: AuditAction::Exported,
            org: Some(org),
            project: None,
            subject: "audit log".to_owned(),
        };
        plane.note(access.by().actor, note).await?;
    }
    let look = move || {
        let bounds = (wanted.limit, AUDIT_LOOK_MAX);
        let keep = |record: &Record| wanted.wants(record);
        let (records, next) = plane.audit().before(org, wanted.before, bounds, keep);
        let items: Vec<RecordShown> = records.iter().filter_map(shown).collect();
        let page = AuditPage {
            items,
            next,
            broken_at: plane.audit().broken_at(),
        };
        if wanted.is_lines {
            lines(&page)
        } else {
            Ok(Json(page).into_response())
        }
    };
    let fault = |_| ApiError::new(ErrorCode::Internal, "audit log does not read");
    tokio::task::spawn_blocking(look).await.map_err(fault)?
}

fn lines(page: &AuditPage) -> Result<Response, ApiError> {
    let mut text = String::new();
    for item in &page.items {
        let line = serde_json::to_string(item);
        let fault = |_| ApiError::new(ErrorCode::Internal, "record does not write");
        text.push_str(&line.map_err(fault)?);
        text.push('\n');
    }
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    if let Some(next) = page.next {
        response.headers_mut().insert(NEXT, HeaderValue::from(next));
    }
    Ok(response)
}
