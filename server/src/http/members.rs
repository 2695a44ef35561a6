//! Members, teams and invitations of an organization.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::App;
use super::access::{Access, Known, MemberEdit, MemberRead};
use super::answers::{
    InvitationMade, InvitationShown, List, Made, MemberShown, Receipt, TeamShown,
};
use super::auth::Principal;
use super::error::{ApiError, ErrorCode};
use super::input::{InPath, Input, Page};
use super::params::Params;
use super::routes::Routes;
use crate::control::Actor;
use crate::dialect::format_micros;
use crate::signin::SignIn;
use crate::tenancy::plane::Changed;
use crate::tenancy::{Role, UserId};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleGiven {
    /// `owner`, `admin`, `member`, `viewer` or `auditor`.
    role: String,
}

impl RoleGiven {
    pub(super) fn role(&self) -> Result<Role, ApiError> {
        role_named(&self.role)
    }
}

fn role_named(name: &str) -> Result<Role, ApiError> {
    let unknown =
        || ApiError::parameter("role", "not a role: owner, admin, member, viewer, auditor");
    Role::named(name).ok_or_else(unknown)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewTeam {
    /// Unique in the organization.
    name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewInvite {
    /// Whom.
    email: String,
    /// As what.
    role: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Token {
    /// From the link of the invitation.
    token: String,
}

pub(super) fn add(routes: &mut Routes) {
    for path in ["/v1/orgs/{org}/members", "/v1/members"] {
        routes
            .get(path, MemberRead, members)
            .says("Members of an organization.")
            .asks("after", "`next` of the page before")
            .asks("limit", "how many")
            .gives::<List<MemberShown>>();
    }
    for path in ["/v1/orgs/{org}/members/{user}", "/v1/members/{user}"] {
        routes
            .put(path, MemberEdit, set_member)
            .says("Make a user a member, or give a member another role.")
            .takes::<RoleGiven>()
            .gives::<Receipt>();
        routes
            .delete(path, MemberEdit, remove_member)
            .says("End a membership.")
            .gives::<Receipt>();
    }
    add_teams(routes);
    routes
        .get("/v1/orgs/{org}/invitations", MemberRead, invitations)
        .says("Open invitations.")
        .gives::<List<InvitationShown>>();
    routes
        .post("/v1/orgs/{org}/invitations", MemberEdit, invite)
        .says("Invite somebody by e-mail. The answer shows the token once.")
        .takes::<NewInvite>()
        .gives::<InvitationMade>();
    routes
        .delete(
            "/v1/orgs/{org}/invitations/{invitation}",
            MemberEdit,
            revoke,
        )
        .says("Make an invitation void.")
        .gives::<Receipt>();
    routes
        .post("/v1/invitations/accept", Known, accept)
        .says("Take up an invitation, signed in.")
        .takes::<Token>()
        .gives::<Made>();
}

fn add_teams(routes: &mut Routes) {
    routes
        .get("/v1/orgs/{org}/teams", MemberRead, teams)
        .says("Teams of an organization, with their members.")
        .gives::<List<TeamShown>>();
    routes
        .post("/v1/orgs/{org}/teams", MemberEdit, create_team)
        .says("Make a team.")
        .takes::<NewTeam>()
        .gives::<Made>();
    routes
        .patch("/v1/orgs/{org}/teams/{team}", MemberEdit, rename_team)
        .says("Rename a team.")
        .takes::<NewTeam>()
        .gives::<Receipt>();
    routes
        .delete("/v1/orgs/{org}/teams/{team}", MemberEdit, delete_team)
        .says("Delete a team, and with it the roles that it had.")
        .gives::<Receipt>();
    let member = "/v1/orgs/{org}/teams/{team}/members/{user}";
    routes
        .put(member, MemberEdit, join_team)
        .says("Put a member into a team.")
        .gives::<Receipt>();
    routes
        .delete(member, MemberEdit, leave_team)
        .says("Take a member out of a team.")
        .gives::<Receipt>();
}

async fn members(
    access: Access<MemberRead>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<List<MemberShown>, ApiError> {
    let page = Page::of(&Params::parse(raw.as_deref().unwrap_or(""))?, &[])?;
    let core = app.core()?;
    let (mut items, next) = core.directory().read(|state| {
        let all = state.people.members(access.org(), UserId(page.after));
        let shown = all.map(|(user, role)| MemberShown {
            user: user.0,
            email: None,
            name: None,
            role: role.as_str(),
        });
        page.cut(shown, |member| member.user)
    });
    if let Some(signin) = core.signin() {
        items
            .iter_mut()
            .for_each(|member| introduce(member, signin));
    }
    Ok(List { items, next })
}

fn introduce(member: &mut MemberShown, signin: &SignIn) {
    if let Some(user) = signin.accounts.users().get(UserId(member.user)) {
        member.email = Some(user.email.to_string());
        member.name = Some(user.name.to_string());
    }
}

/// Ends the sessions of somebody whose role changed: an old session id never carries new rights.
pub(super) async fn end_sessions(app: &App, actor: Actor, user: UserId) -> Result<(), ApiError> {
    let Some(signin) = app.core()?.signin() else {
        return Ok(());
    };
    let accounts = &signin.accounts;
    if !accounts
        .users()
        .sessions(user, app.clock.wall_ns())
        .is_empty()
    {
        accounts.sign_out_everywhere(actor, user).await?;
    }
    Ok(())
}

async fn set_member(
    access: Access<MemberEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
    Input(given): Input<RoleGiven>,
) -> Result<Receipt, ApiError> {
    let user = UserId(path.number("user")?);
    let plane = app.core()?.plane();
    let set = plane.set_member(access.by(), access.org(), user, given.role()?);
    let place = set.await?.place;
    if place.is_some() {
        end_sessions(&app, access.by().actor, user).await?;
    }
    Ok(Receipt::of(place))
}

async fn remove_member(
    access: Access<MemberEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
) -> Result<Receipt, ApiError> {
    let user = UserId(path.number("user")?);
    let plane = app.core()?.plane();
    let removed = plane.remove_member(access.by(), access.org(), user).await?;
    end_sessions(&app, access.by().actor, user).await?;
    Ok(Receipt::of(removed.place))
}

async fn teams(
    access: Access<MemberRead>,
    State(app): State<Arc<App>>,
) -> Result<List<TeamShown>, ApiError> {
    let items = app.core()?.directory().read(|state| {
        let shown = state
            .people
            .teams_in(access.org())
            .map(|(id, team)| TeamShown {
                id,
                name: team.name.clone(),
                members: state.people.team_members(id).map(|user| user.0).collect(),
            });
        shown.collect()
    });
    Ok(List { items, next: None })
}

async fn create_team(
    access: Access<MemberEdit>,
    State(app): State<Arc<App>>,
    Input(new): Input<NewTeam>,
) -> Result<Response, ApiError> {
    let plane = app.core()?.plane();
    let Changed { made, place } = plane
        .create_team(access.by(), access.org(), &new.name)
        .await?;
    Ok(Made::answer(made, place))
}

async fn rename_team(
    access: Access<MemberEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
    Input(new): Input<NewTeam>,
) -> Result<Receipt, ApiError> {
    let (team, plane) = (path.number("team")?, app.core()?.plane());
    let renamed = plane.rename_team(access.by(), access.org(), team, &new.name);
    Ok(Receipt::of(renamed.await?.place))
}

async fn delete_team(
    access: Access<MemberEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
) -> Result<Receipt, ApiError> {
    let (team, plane) = (path.number("team")?, app.core()?.plane());
    let deleted = plane.delete_team(access.by(), access.org(), team).await?;
    Ok(Receipt::of(deleted.place))
}

async fn join_team(
    access: Access<MemberEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
) -> Result<Receipt, ApiError> {
    set_team_member(&access, &app, &path, true).await
}

async fn leave_team(
    access: Access<MemberEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
) -> Result<Receipt, ApiError> {
    set_team_member(&access, &app, &path, false).await
}

async fn set_team_member(
    access: &Access<MemberEdit>,
    app: &App,
    path: &InPath,
    present: bool,
) -> Result<Receipt, ApiError> {
    let (team, user) = (path.number("team")?, UserId(path.number("user")?));
    let plane = app.core()?.plane();
    let set = plane.set_team_member(access.by(), access.org(), team, user, present);
    Ok(Receipt::of(set.await?.place))
}

async fn invitations(
    access: Access<MemberRead>,
    State(app): State<Arc<App>>,
) -> Result<List<InvitationShown>, ApiError> {
    let now = app.clock.wall_ns();
    let items = app.core()?.directory().read(|state| {
        let open = state
            .people
            .invitations(access.org())
            .filter(|i| i.expires_ns > now);
        let shown = open.map(|i| InvitationShown {
            id: i.invitation,
            email: i.email.clone(),
            role: i.role.as_str(),
            expires_at: format_micros(i.expires_ns),
        });
        shown.collect()
    });
    Ok(List { items, next: None })
}

async fn invite(
    access: Access<MemberEdit>,
    State(app): State<Arc<App>>,
    Input(new): Input<NewInvite>,
) -> Result<Response, ApiError> {
    let role = role_named(&new.role)?;
    let plane = app.core()?.plane();
    let Changed { made, place } = plane
        .invite(access.by(), access.org(), &new.email, role)
        .await?;
    let answer = InvitationMade {
        id: made.id,
        token: made.token,
        expires_at: format_micros(made.expires_ns),
        receipt: Receipt::of(place),
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn revoke(
    access: Access<MemberEdit>,
    State(app): State<Arc<App>>,
    path: InPath,
) -> Result<Receipt, ApiError> {
    let (id, plane) = (path.number("invitation")?, app.core()?.plane());
    let revoked = plane
        .revoke_invitation(access.by(), access.org(), id)
        .await?;
    Ok(Receipt::of(revoked.place))
}

async fn accept(
    access: Access<Known>,
    State(app): State<Arc<App>>,
    Input(token): Input<Token>,
) -> Result<Response, ApiError> {
    let Principal::User(session) = access.principal() else {
        let message = "an invitation is taken up by a person who is signed in";
        return Err(ApiError::new(ErrorCode::Forbidden, message));
    };
    let (plane, user) = (app.core()?.plane(), session.user);
    let issuer = session.issuer.as_deref();
    let accepted = plane.accept_invitation(access.by(), user, &token.token, issuer);
    let Changed { made, place } = accepted.await?;
    Ok(Made::answer(made.0, place))
}
