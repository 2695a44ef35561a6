//! `/v1/projects`: projects, their environments and the roles at them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{
    Access, GrantEdit, GrantRead, Known, OrgSee, ProjectCreate, ProjectDelete, ProjectEdit,
    ProjectSee,
};
use super::answers::{List, Made, ProjectShown, Receipt};
use super::auth::{Principal, is_open_to, rights_at_org};
use super::error::{ApiError, ErrorCode};
use super::input::{InPath, Input, Page};
use super::members::{RoleGiven, end_sessions};
use super::params::Params;
use super::routes::Routes;
use crate::tenancy::audit::Place;
use crate::tenancy::plane::{By, Changed, Ground};
use crate::tenancy::{Grantee, OrgId, Right, Rights, UserId};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewProject {
    /// Unique in the organization.
    name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProjectChange {
    /// Another name.
    name: Option<String>,
    /// Whether it takes no more data from here on.
    archived: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Destination {
    /// The id of the organization.
    org: u64,
}

/// A role at a project.
#[derive(Debug, Serialize, JsonSchema)]
struct GrantShown {
    /// `user:5` or `team:3`.
    grantee: String,
    /// Their role.
    role: &'static str,
}

/// An environment of a project.
#[derive(Debug, Serialize, JsonSchema)]
struct EnvironmentShown {
    /// Its name.
    name: String,
}

pub(super) fn add(routes: &mut Routes) {
    routes
        .get("/v1/projects", Known, list)
        .says("Projects that one may see.")
        .asks("after", "`next` of the page before")
        .asks("limit", "how many")
        .gives::<List<ProjectShown>>();
    for path in ["/v1/projects", "/v1/orgs/{org}/projects"] {
        routes
            .post(path, ProjectCreate, create)
            .says("Make a project.")
            .takes::<NewProject>()
            .gives::<Made>();
    }
    routes
        .get("/v1/orgs/{org}/projects", OrgSee, list_of_org)
        .says("Projects of an organization.")
        .asks("after", "`next` of the page before")
        .asks("limit", "how many")
        .gives::<List<ProjectShown>>();
    routes
        .get("/v1/projects/{project}", ProjectSee, show)
        .says("One project.")
        .gives::<ProjectShown>();
    routes
        .patch("/v1/projects/{project}", ProjectEdit, change)
        .says("Rename or archive a project.")
        .takes::<ProjectChange>()
        .gives::<Receipt>();
    routes
        .delete("/v1/projects/{project}", ProjectDelete, delete)
        .says("Delete a project: hidden at once, its data purged behind it.")
        .gives::<Receipt>();
    routes
        .post("/v1/projects/{project}/move", ProjectDelete, relocate)
        .says("Move a project to another organization.")
        .takes::<Destination>()
        .gives::<Receipt>();
    add_environments(routes);
    add_roles(routes);
}

fn add_environments(routes: &mut Routes) {
    routes
        .get(
            "/v1/projects/{project}/environments",
            ProjectSee,
            environments,
        )
        .says("Environments of a project.")
        .gives::<List<EnvironmentShown>>();
    let one = "/v1/projects/{project}/environments/{name}";
    routes
        .put(one, ProjectEdit, add_environment)
        .says("Make an environment.")
        .gives::<Receipt>();
    routes
        .delete(one, ProjectEdit, remove_environment)
        .says("Delete an environment.")
        .gives::<Receipt>();
}

fn add_roles(routes: &mut Routes) {
    routes
        .get("/v1/projects/{project}/roles", GrantRead, grants)
        .says("Who has a role at a project.")
        .gives::<List<GrantShown>>();
    let one = "/v1/projects/{project}/roles/{grantee}";
    routes
        .put(one, GrantEdit, set_grant)
        .says("Give a user (`user:5`) or a team (`team:3`) a role at a project.")
        .takes::<RoleGiven>()
        .gives::<Receipt>();
    routes
        .delete(one, GrantEdit, remove_grant)
        .says("Take a role at a project.")
        .gives::<Receipt>();
}

fn with_rights(project: ProjectShown, rights: Rights) -> ProjectShown {
    let rights = rights.iter().map(Right::as_str).collect();
    ProjectShown { rights, ..project }
}

async fn list(
    access: Access<Known>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<List<ProjectShown>, ApiError> {
    let page = Page::of(&Params::parse(raw.as_deref().unwrap_or(""))?, &[])?;
    let after = page.after;
    let (items, next) = app
        .core()?
        .directory()
        .read(|state| match access.principal() {
            Principal::Operator => page.cut(
                state.projects.after(after).map(|p| ProjectShown::of(p)),
                |p| p.id,
            ),
            Principal::Key(opened) => {
                let own = Some(&opened.project).filter(|own| own.id.0 > after);
                let rights = Rights::of_scopes(opened.scopes);
                let shown = own.map(|own| with_rights(ProjectShown::of(own), rights));
                page.cut(shown.into_iter(), |p| p.id)
            }
            Principal::User(session) => {
                let user = session.user;
                let mut ids = state.people.projects_granted(user);
                for org in state.people.orgs_of(user) {
                    ids.extend(
                        state
                            .projects
                            .in_org(org, after)
                            .map(|project| project.id.0),
                    );
                }
                let seen = ids.range(after.saturating_add(1)..);
                let shown = seen.filter_map(|id| {
                    let project = state.projects.get(*id)?;
                    let org = state.orgs.get(project.org);
                    org.filter(|org| is_open_to(org, session))?;
                    let rights = state.people.rights_at_project(user, project.org, *id);
                    let shown = with_rights(ProjectShown::of(project), rights);
                    rights.has(Right::ProjectSee).then_some(shown)
                });
                page.cut(shown, |p| p.id)
            }
            Principal::Nobody | Principal::Link(_) => (Vec::new(), None),
        });
    Ok(List { items, next })
}

async fn list_of_org(
    access: Access<OrgSee>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<List<ProjectShown>, ApiError> {
    let page = Page::of(&Params::parse(raw.as_deref().unwrap_or(""))?, &[])?;
    let (items, next) = app.core()?.directory().read(|state| {
        let all = state.projects.in_org(access.org(), page.after);
        page.cut(all.map(|project| ProjectShown::of(project)), |p| p.id)
    });
    Ok(List { items, next })
}

async fn create(
    access: Access<ProjectCreate>,
    State(app): State<Arc<App>>,
    Input(new): Input<NewProject>,
) -> Result<Response, ApiError> {
    let plane = app.core()?.plane();
    let created = plane.create_project(access.by(), access.org(), &new.name);
    let Changed { made, place } = created.await?;
    Ok(Made::answer(made.id, place))
}

async fn show(
    access: Access<ProjectSee>,
    State(app): State<Arc<App>>,
) -> Result<Json<ProjectShown>, ApiError> {
    let project = app.core()?.directory().project(access.tenant().project());
    let gone = || ApiError::new(ErrorCode::NotFound, "no such project");
    let shown = ProjectShown::of(&*project.ok_or_else(gone)?);
    Ok(Json(with_rights(shown, access.by().rights)))
}

async fn change(
    access: Access<ProjectEdit>,
    State(app): State<Arc<App>>,
    Input(change): Input<ProjectChange>,
) -> Result<Receipt, ApiError> {
    let (plane, by) = (app.core()?.plane(), access.by());
    let project = access.tenant().project().0;
    let mut place = None;
    if let Some(name) = &change.name {
        place = plane.rename_project(by, project, name).await?.place;
    }
    if let Some(archived) = change.archived {
        let archived = plane.archive_project(by, project, archived).await?;
        place = archived.place.or(place);
    }
    Ok(Receipt::of(place))
}

async fn delete(
    access: Access<ProjectDelete>,
    State(app): State<Arc<App>>,
) -> Result<Receipt, ApiError> {
    let plane = app.core()?.plane();
    let project = access.tenant().project().0;
    let place = plane.delete_project(access.by(), project).await?.place;
    Ok(Receipt::of(place))
}

async fn relocate(
    access: Access<ProjectDelete>,
    State(app): State<Arc<App>>,
    Input(to): Input<Destination>,
) -> Result<Receipt, ApiError> {
    let core = app.core()?;
    let (directory, by) = (core.directory(), access.by());
    let no_such_org = || ApiError::new(ErrorCode::NotFound, "no such organization");
    let org = directory.org(OrgId(to.org)).ok_or_else(no_such_org)?;
    let rights = rights_at_org(directory, access.principal(), &org)?;
    // Whoever may do nothing there learns nothing of it.
    if rights == Rights::default() {
        return Err(no_such_org());
    }
    let (org, ground) = (org.id, Ground::Org(org.id));
    let there = By {
        rights,
        ground,
        ..by
    };
    let project = access.tenant().project().0;
    let moved = core.plane().move_project(by, there, project, org).await?;
    Ok(Receipt::of(moved.place))
}

async fn environments(
    access: Access<ProjectSee>,
    State(app): State<Arc<App>>,
) -> Result<List<EnvironmentShown>, ApiError> {
    let project = access.tenant().project().0;
    let items = app.core()?.directory().read(|state| {
        let names = state.projects.environments(project);
        let shown = names.map(|name| EnvironmentShown {
            name: name.to_string(),
        });
        shown.collect()
    });
    Ok(List { items, next: None })
}

async fn add_environment(
    access: Access<ProjectEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
) -> Result<Receipt, ApiError> {
    set_environment(&access, &app, &path, true).await
}

async fn remove_environment(
    access: Access<ProjectEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
) -> Result<Receipt, ApiError> {
    set_environment(&access, &app, &path, false).await
}

async fn set_environment(
    access: &Access<ProjectEdit>,
    app: &App,
    path: &InPath,
    present: bool,
) -> Result<Receipt, ApiError> {
    let plane = app.core()?.plane();
    let project = access.tenant().project().0;
    let set = plane.set_environment(access.by(), project, path.text("name"), present);
    Ok(Receipt::of(set.await?.place))
}

async fn grants(
    access: Access<GrantRead>,
    State(app): State<Arc<App>>,
) -> Result<List<GrantShown>, ApiError> {
    let project = access.tenant().project().0;
    let items = app.core()?.directory().read(|state| {
        let all = state
            .people
            .grants(project)
            .map(|(grantee, role)| GrantShown {
                grantee: match grantee {
                    Grantee::User(user) => format!("user:{}", user.0),
                    Grantee::Team(team) => format!("team:{team}"),
                },
                role: role.as_str(),
            });
        all.collect()
    });
    Ok(List { items, next: None })
}

fn grantee(path: &InPath) -> Result<Grantee, ApiError> {
    let refused = || ApiError::parameter("grantee", "neither user:ID nor team:ID");
    let (kind, id) = path.text("grantee").split_once(':').ok_or_else(refused)?;
    let id: u64 = id.parse().map_err(|_| refused())?;
    match kind {
        "user" => Ok(Grantee::User(UserId(id))),
        "team" => Ok(Grantee::Team(id)),
        _ => Err(refused()),
    }
}

async fn role_changed(
    app: &App,
    access: &Access<GrantEdit>,
    grantee: Grantee,
    place: Option<Place>,
) -> Result<Receipt, ApiError> {
    if let (Grantee::User(user), Some(_)) = (grantee, place) {
        end_sessions(app, access.by().actor, user).await?;
    }
    Ok(Receipt::of(place))
}

async fn set_grant(
    access: Access<GrantEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
    Input(given): Input<RoleGiven>,
) -> Result<Receipt, ApiError> {
    let (plane, project) = (app.core()?.plane(), access.tenant().project().0);
    let grantee = grantee(&path)?;
    let set = plane.set_grant(access.by(), project, grantee, given.role()?);
    role_changed(&app, &access, grantee, set.await?.place).await
}

async fn remove_grant(
    access: Access<GrantEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
) -> Result<Receipt, ApiError> {
    let (plane, project) = (app.core()?.plane(), access.tenant().project().0);
    let grantee = grantee(&path)?;
    let removed = plane.remove_grant(access.by(), project, grantee);
    role_changed(&app, &access, grantee, removed.await?.place).await
}
