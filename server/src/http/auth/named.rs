//! Which organization or project a request names, and what who asks may do there.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use obsrv_engine::row::ProjectId;

use super::{Principal, check_issuer, no_such_org, no_such_project};
use crate::http::error::{ApiError, ErrorCode};
use crate::tenancy::directory::{Directory, Org, Project};
use crate::tenancy::{OrgId, Rights};

/// Names the project that a signed-in person means.
const PROJECT: &str = "x-obsrv-project";
/// The same in the words of Grafana's Tempo.
const TEMPO_TENANT: &str = "x-scope-orgid";
/// The same for the organization.
const ORG: &str = "x-obsrv-org";

/// What a request names, in its path or else in a header.
pub(super) struct Named {
    project_in_path: Option<u64>,
    project_in_header: Option<u64>,
    org: Option<u64>,
}

impl Named {
    pub(super) async fn of(parts: &mut Parts) -> Result<Self, ApiError> {
        let header = |name: &'static str, parts: &Parts| {
            let value = parts.headers.get(name)?;
            Some(number(name, value.to_str().unwrap_or("")))
        };
        let mut named = Self {
            project_in_path: None,
            project_in_header: match header(PROJECT, parts).transpose()? {
                Some(id) => Some(id),
                // Names of other tenants may be anything, and mean nothing here.
                None => header(TEMPO_TENANT, parts).and_then(Result::ok),
            },
            org: header(ORG, parts).transpose()?,
        };
        if let Ok(params) = RawPathParams::from_request_parts(parts, &()).await {
            for (name, value) in &params {
                match name {
                    "project" => named.project_in_path = Some(number(name, value)?),
                    "org" => named.org = Some(number(name, value)?),
                    _ => {}
                }
            }
        }
        Ok(named)
    }

    pub(super) fn org(
        &self,
        directory: &Directory,
        principal: &Principal,
    ) -> Result<Org, ApiError> {
        if matches!(principal, Principal::Key(_)) {
            let message = "keys open projects, not organizations";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        let id = self.org.ok_or_else(|| {
            ApiError::parameter(ORG, "name the organization by its id in this header")
        })?;
        directory.org(OrgId(id)).ok_or_else(no_such_org)
    }

    pub(super) fn project(
        &self,
        directory: &Directory,
        principal: &Principal,
    ) -> Result<(Arc<Project>, Rights), ApiError> {
        if let Principal::Key(opened) = principal {
            let own = opened.project.id.0;
            // A header that names another project is not for keys: what it opens is its own.
            return if self.project_in_path.is_none_or(|id| id == own) {
                let rights = Rights::of_scopes(opened.scopes);
                Ok((Arc::clone(&opened.project), rights))
            } else {
                Err(no_such_project())
            };
        }
        let id = self.project_in_path.or(self.project_in_header);
        let id = id.ok_or_else(|| {
            ApiError::parameter(PROJECT, "name the project by its id in this header")
        })?;
        let project = directory
            .project(ProjectId(id))
            .ok_or_else(no_such_project)?;
        let rights = match principal {
            Principal::Operator => Rights::all(),
            Principal::User(session) => {
                let rights = directory.rights_at_project(session.user, &project);
                let org = directory.org(project.org).ok_or_else(no_such_org)?;
                check_issuer(session, &org, rights)?
            }
            Principal::Key(_) | Principal::Nobody | Principal::Link(_) => Rights::default(),
        };
        Ok((project, rights))
    }
}

fn number(name: &str, text: &str) -> Result<u64, ApiError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parsed = text.parse().ok().filter(|_| digits);
    parsed.ok_or_else(|| ApiError::parameter(name, "not an id, which is a number"))
}
