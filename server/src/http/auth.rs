//! Who is asking, and what they may do. The only place that makes a [`Tenant`] or an
//! [`Access`](super::access::Access), so that nothing reads or writes a project's rows without a key of
//! that project or a role at it.
//!
//! A guard stands before each route: it finds out who asks, which project or organization is meant and
//! whether the route's right is there, all before a byte of the body is read.

mod named;
mod presented;

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, Method};

use super::access::{Granted, Needs, Place};
use super::error::{ApiError, ErrorCode};
use super::spent::{self, Spent};
use super::{App, Core, unread};
use crate::blob::link::Purpose;
use crate::control::Actor;
use crate::keys::KeyString;
use crate::signin::SessionId;
use crate::signin::session::{Forged, Origins};
use crate::tenancy::directory::{Directory, KeyRefusal, Opened, Org, Project};
use crate::tenancy::{FIRST_ORG, OrgId, Right, Rights, UserId};
use named::Named;
use obsrv_engine::row::ProjectId;
use presented::{in_url, presented};

/// The parameter of a path that is a signed link.
pub(super) const LINK: &str = "link";
/// A person who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUser {
    /// Who.
    pub user: UserId,
    /// The issuer that vouched for them; `None` by password.
    pub issuer: Option<Arc<str>>,
    /// The public id of the session.
    pub session: Option<SessionId>,
}

/// Finds the session of a request.
pub trait SessionSource: std::fmt::Debug + Send + Sync {
    /// Whose session the headers carry, if it is good now.
    fn principal(&self, headers: &HeaderMap, now_ns: i64) -> Option<SessionUser>;

    /// Whether a session that was good when the request began still is.
    fn goes_on(&self, _session: &SessionUser, _now_ns: i64) -> bool {
        true
    }

    /// Refuses a request with a session that a page of another site may have sent.
    fn refuse_forged(&self, method: &Method, headers: &HeaderMap) -> Result<(), Forged> {
        if method == Method::GET || method == Method::HEAD {
            return Ok(());
        }
        Origins::default().refuse_forged_entry(method, headers)
    }
}

/// A server at which nobody can sign in.
#[derive(Clone, Copy, Debug)]
pub struct NoSessions;

impl SessionSource for NoSessions {
    fn principal(&self, _headers: &HeaderMap, _now_ns: i64) -> Option<SessionUser> {
        None
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Principal {
    /// Not known, and not asked for.
    Nobody,
    /// Whoever can open the admin socket.
    Operator,
    /// A program with a key.
    Key(Opened),
    /// A person.
    User(SessionUser),
    /// Whoever has a signed link that this key made; 0 if a person did.
    Link(u64),
}

impl Principal {
    /// The same for the audit log.
    pub const fn actor(&self) -> Actor {
        match self {
            Self::Nobody | Self::Link(0) => Actor::Nobody,
            Self::Operator => Actor::Operator,
            Self::Key(opened) => Actor::Key(opened.key_id),
            Self::Link(key_id) => Actor::Key(*key_id),
            Self::User(session) => Actor::User(session.user),
        }
    }

    /// The session of a person, if it is known.
    pub(super) const fn session(&self) -> Option<SessionId> {
        match self {
            Self::User(session) => session.session,
            Self::Nobody | Self::Operator | Self::Key(_) | Self::Link(_) => None,
        }
    }
}

/// A project whose rows the request may touch.
#[derive(Clone, Debug)]
pub struct Tenant {
    project: Arc<Project>,
    principal: Principal,
    spent: Spent,
}

impl Tenant {
    /// The project's id.
    pub fn project(&self) -> ProjectId {
        self.project.id
    }

    /// The project's name.
    pub fn project_name(&self) -> &str {
        &self.project.name
    }

    /// The project's organization.
    pub fn org(&self) -> OrgId {
        self.project.org
    }

    /// Whether the project takes no more data.
    pub fn is_archived(&self) -> bool {
        self.project.is_archived
    }

    /// What the questions of this request have cost.
    pub(super) fn spent(&self) -> Spent {
        self.spent.clone()
    }

    /// The public id of the key; 0 if the request has none.
    pub const fn key_id(&self) -> u64 {
        match &self.principal {
            Principal::Key(opened) => opened.key_id,
            Principal::Link(key_id) => *key_id,
            Principal::Nobody | Principal::Operator | Principal::User(_) => 0,
        }
    }

    /// Refuses whoever has lost the right since the request began: its body may have taken long.
    pub(super) fn recheck(&self, core: &Core, right: Right, now_ns: i64) -> Result<(), ApiError> {
        let directory = core.directory();
        let project = directory.project(self.project.id);
        let project = project.ok_or_else(no_such_project)?;
        let rights = match &self.principal {
            Principal::Operator => Rights::all(),
            Principal::Nobody => Rights::default(),
            Principal::Key(opened) => {
                if !directory.is_live(opened.key_id, now_ns) {
                    return Err(refused("unknown or revoked api key"));
                }
                Rights::of_scopes(opened.scopes)
            }
            Principal::Link(key_id) => {
                check_link_key(directory, *key_id, now_ns)?;
                Rights::all()
            }
            Principal::User(session) => {
                if !core.sessions().goes_on(session, now_ns) {
                    return Err(refused("not signed in"));
                }
                let rights = directory.rights_at_project(session.user, &project);
                let org = directory.org(project.org).ok_or_else(no_such_org)?;
                check_issuer(session, &org, rights)?
            }
        };
        must_have(rights, right)?;
        if right == Right::TraceWrite {
            refuse_archived(directory, &project)?;
        }
        Ok(())
    }

    /// Whether a name in a request means this project: its name, its id or nothing at all.
    pub fn is_called(&self, name: &str) -> bool {
        name.is_empty() || name == self.project_name() || name == self.project.id.0.to_string()
    }
}

/// Set on what comes through the admin socket, by [`as_operator`] alone.
#[derive(Clone, Copy, Debug)]
struct FromAdminSocket;

/// The router as the admin socket serves it: every request is the operator's.
pub(crate) fn as_operator(router: axum::Router) -> axum::Router {
    router.layer(axum::middleware::map_request(
        |mut request: Request| async move {
            request.extensions_mut().insert(FromAdminSocket);
            request
        },
    ))
}

/// Lets a request to its handler, or answers in its place.
pub(super) async fn guard(
    State((app, needs)): State<(Arc<App>, Needs)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let admitted = admit(&app, needs, &mut parts).await;
    let is_explained = spent::is_asked(needs, parts.uri.query());
    match admitted.and_then(|granted| Ok((granted, is_explained?))) {
        Ok((granted, is_explained)) => {
            let spent = granted.spent().filter(|_| is_explained);
            if needs != Needs::Nothing {
                unread::is_known(&parts.extensions);
            }
            parts.extensions.insert(granted);
            let mut response = next.run(Request::from_parts(parts, body)).await;
            if let Some(spent) = spent {
                spent.tell(&mut response);
            }
            response
        }
        Err(error) => error.into_response(),
    }
}

async fn admit(app: &App, needs: Needs, parts: &mut Parts) -> Result<Granted, ApiError> {
    if needs == Needs::Nothing {
        return Ok(Granted::new(
            needs,
            Principal::Nobody,
            Rights::default(),
            Place::None,
        ));
    }
    let core = app.core()?;
    if let Needs::Link(right) = needs {
        return by_link(app, core, right, parts).await;
    }
    let principal = identify(core, parts, app.clock.wall_ns())?;
    if matches!(principal, Principal::User(_)) {
        let forged = core.sessions().refuse_forged(&parts.method, &parts.headers);
        forged.map_err(|forged| ApiError::new(ErrorCode::Forbidden, forged.to_string()))?;
    }
    let named = Named::of(parts).await?;
    let directory = core.directory();
    match needs {
        Needs::Nothing | Needs::Principal | Needs::Link(_) => Ok(Granted::new(
            needs,
            principal,
            Rights::default(),
            Place::None,
        )),
        Needs::Server(right) => {
            let org = directory.org(FIRST_ORG).ok_or_else(no_such_org)?;
            let rights = rights_at_org(directory, &principal, &org)?;
            must_have(rights, right)?;
            Ok(Granted::new(needs, principal, rights, Place::None))
        }
        Needs::Org(right) => {
            let org = named.org(directory, &principal)?;
            let rights = rights_at_org(directory, &principal, &org)?;
            if rights == Rights::default() {
                return Err(no_such_org());
            }
            must_have(rights, right)?;
            Ok(Granted::new(needs, principal, rights, Place::Org(org.id)))
        }
        Needs::Project(right) | Needs::OrgOfProject(right) => {
            let (project, mut rights) = named.project(directory, &principal)?;
            if !rights.has(Right::ProjectSee) {
                return Err(no_such_project());
            }
            if let (Needs::OrgOfProject(_), Principal::User(session)) = (needs, &principal) {
                rights = directory.rights_at_org(session.user, project.org);
            }
            must_have(rights, right)?;
            if right == Right::TraceWrite {
                refuse_archived(directory, &project)?;
            }
            let tenant = Tenant {
                project,
                principal: principal.clone(),
                spent: Spent::default(),
            };
            Ok(Granted::new(
                needs,
                principal,
                rights,
                Place::Project(tenant),
            ))
        }
    }
}

/// What a signed link in the path gives: its one right at its project, as long as its time and its key last.
async fn by_link(
    app: &App,
    core: &Core,
    right: Right,
    parts: &mut Parts,
) -> Result<Granted, ApiError> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|_| refused("not a link of this server"))?;
    let found = params.iter().find(|(name, _)| *name == LINK);
    let text = found.map_or("", |(_, value)| value);
    let now_ns = app.clock.wall_ns();
    let link = core.blobs()?.open_link(text, now_ns);
    let link = link.map_err(|error| refused(&error.to_string()))?;
    let given = match link.purpose {
        Purpose::Read { .. } => Right::TraceRead,
        Purpose::Write(_) => Right::TraceWrite,
    };
    if given != right {
        return Err(refused("the link is for something else"));
    }
    let directory = core.directory();
    check_link_key(directory, link.key_id, now_ns)?;
    let project = directory.project(ProjectId(link.project));
    let project = project.ok_or_else(no_such_project)?;
    if right == Right::TraceWrite {
        refuse_archived(directory, &project)?;
    }
    let principal = Principal::Link(link.key_id);
    let tenant = Tenant {
        project,
        principal: principal.clone(),
        spent: Spent::default(),
    };
    let place = Place::Project(tenant);
    Ok(Granted::new(
        Needs::Link(right),
        principal,
        Rights::default(),
        place,
    ))
}

/// A link ends with the key that made it.
fn check_link_key(directory: &Directory, key_id: u64, now_ns: i64) -> Result<(), ApiError> {
    if key_id != 0 && !directory.is_live(key_id, now_ns) {
        return Err(refused("unknown or revoked api key"));
    }
    Ok(())
}

fn must_have(rights: Rights, right: Right) -> Result<(), ApiError> {
    if rights.has(right) {
        return Ok(());
    }
    let message = format!("this needs the right {}", right.as_str());
    Err(ApiError::new(ErrorCode::Forbidden, message))
}

fn no_such_org() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "no such organization")
}

fn no_such_project() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "no such project")
}

fn refuse_archived(directory: &Directory, project: &Project) -> Result<(), ApiError> {
    let org = directory.org(project.org);
    if project.is_archived || org.is_some_and(|org| org.is_archived) {
        return Err(ApiError::new(
            ErrorCode::Forbidden,
            "the project is archived",
        ));
    }
    Ok(())
}

/// What a person or key may do at an organization. A key may do nothing there.
pub(super) fn rights_at_org(
    directory: &Directory,
    principal: &Principal,
    org: &Org,
) -> Result<Rights, ApiError> {
    match principal {
        Principal::Operator => Ok(Rights::all()),
        Principal::User(session) => {
            let rights = directory.rights_at_org(session.user, org.id);
            check_issuer(session, org, rights)
        }
        Principal::Key(_) | Principal::Nobody | Principal::Link(_) => Err(ApiError::new(
            ErrorCode::Forbidden,
            "keys open projects, not organizations",
        )),
    }
}

/// Whether the organization takes this way of signing in.
pub(super) fn is_open_to(org: &Org, session: &SessionUser) -> bool {
    let required = org.sso_issuer.as_deref();
    required.is_none() || required == session.issuer.as_deref()
}

/// An organization that wants its issuer is open only to sessions of it.
fn check_issuer(session: &SessionUser, org: &Org, rights: Rights) -> Result<Rights, ApiError> {
    if rights == Rights::default() || is_open_to(org, session) {
        return Ok(rights);
    }
    Err(ApiError::new(
        ErrorCode::Forbidden,
        "sign in through the issuer of the organization",
    ))
}

/// A key that is there is the one that counts, even beside a session.
fn identify(core: &Core, parts: &Parts, now_ns: i64) -> Result<Principal, ApiError> {
    if parts.extensions.get::<FromAdminSocket>().is_some() {
        return Ok(Principal::Operator);
    }
    if let Some(text) = presented(&parts.headers) {
        return open(core.directory(), &text, now_ns).map(Principal::Key);
    }
    if let Some(text) = in_url(parts) {
        return open(core.directory(), &text, now_ns).map(Principal::Key);
    }
    let session = core.sessions().principal(&parts.headers, now_ns);
    session
        .map(Principal::User)
        .ok_or_else(|| refused("no api key; send it as x-api-key"))
}

/// What a key opens: `x-api-key: K`, `Authorization: Bearer K` or K alone, or `Authorization: Basic` with K as
/// the password. The user name, a public key in Langfuse's words, opens nothing; only without a
/// password it is K itself.
fn open(directory: &Directory, text: &str, now_ns: i64) -> Result<Opened, ApiError> {
    let key = KeyString::parse(text).map_err(|_| refused("not an api key"))?;
    directory
        .authenticate(&key, now_ns)
        .map_err(|why| match why {
            KeyRefusal::Unknown => refused("unknown or revoked api key"),
            KeyRefusal::Expired => refused("expired api key"),
        })
}

fn refused(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, message)
}

#[cfg(test)]
pub(in crate::http) mod tests {
    use super::*;
    use crate::keys::MasterSecret;
    use crate::tenancy::directory::tests::sample;

    fn ask(name: &str, value: &str) -> Result<Opened, ApiError> {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        let secret = MasterSecret::from_bytes([1; 32]);
        let directory = sample::directory(&secret, &[(4, "p", 9, "tk_live_key")]);
        let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        open(&directory, &presented(&headers).unwrap_or_default(), 0)
    }

    #[test]
    fn both_headers_in_any_case() {
        for (name, value) in [
            ("x-api-key", "tk_live_key"),
            ("X-API-Key", " tk_live_key "),
            ("Authorization", "Bearer tk_live_key"),
            ("AUTHORIZATION", "bearer  tk_live_key"),
            ("authorization", " tk_live_key"),
            // pk-lf-1:tk_live_key and tk_live_key: as in RFC 7617.
            ("Authorization", "Basic cGstbGYtMTp0a19saXZlX2tleQ=="),
            ("Authorization", "basic dGtfbGl2ZV9rZXk6"),
        ] {
            let opened = ask(name, value).unwrap();
            assert_eq!(
                (opened.project.id, opened.key_id),
                (ProjectId(4), 9),
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn anything_else_is_401_and_is_not_repeated() {
        for (name, value) in [
            ("x-api-key", "tk_live_kez"),
            ("x-api-key", ""),
            ("authorization", "tk_live_kez"),
            ("authorization", "Basic tk_live_key"),
            // tk_live_key:sk-lf-1, tk_live_key without a colon
            ("authorization", "Basic dGtfbGl2ZV9rZXk6c2stbGYtMQ=="),
            ("authorization", "Basic dGtfbGl2ZV9rZXk="),
            ("x-key", "tk_live_key"),
        ] {
            let error = ask(name, value).unwrap_err();
            assert_eq!(error.code, ErrorCode::Unauthorized, "{name}: {value}");
            assert!(!error.message.contains("tk_live"), "{error}");
        }
    }

    /// The project 4.
    pub(in crate::http) fn tenant_called(name: &str) -> Tenant {
        tenant_of(4, name)
    }

    pub(in crate::http) fn tenant_of(id: u64, name: &str) -> Tenant {
        let project = Project {
            id: ProjectId(id),
            name: name.into(),
            org: FIRST_ORG,
            is_archived: false,
        };
        Tenant {
            project: Arc::new(project),
            principal: Principal::Operator,
            spent: Spent::default(),
        }
    }

    #[test]
    fn names_of_the_project() {
        let tenant = tenant_called("p");
        assert!(tenant.is_called("") && tenant.is_called("p") && tenant.is_called("4"));
        assert!(!tenant.is_called("q"));
    }
}
