//! Every route of the table against every kind of principal. What is expected is written here, apart
//! from the code that decides it.

use axum::Router;
use http::Method;

use super::*;
use crate::http::routes::Route;
use crate::tenancy::plane::{By, KeyTerms};
use crate::tenancy::{FIRST_ORG, Grantee, OrgId, Role, Scope, Scopes};

/// What each route is about: a line for each. A route without one fails.
const ROUTES: &str = "
GET /v1/traces                        read
POST /v1/traces                       write
POST /v1/logs write
POST /v1/metrics write
POST /otlp/v1/traces write
POST /otlp/v1/logs write
POST /otlp/v1/metrics write
POST /api/public/otel/v1/traces write
POST /api/public/otel/v1/logs write
POST /api/public/otel/v1/metrics write
POST /otel/v1/traces write
POST /otel/v1/logs write
POST /otel/v1/metrics write
POST /api/v1/private/otel/v1/traces write
POST /api/v1/private/otel/v1/logs write
POST /api/v1/private/otel/v1/metrics write
POST /api/otel/v1/traces write
POST /api/otel/v1/logs write
POST /api/otel/v1/metrics write
POST /v1/otel-steps                   write
POST /v1/metrics/{*metric_events}     write
GET /v1/projects/{project}/logs       read-one
GET /v1/projects/{project}/logs/{log}/trace read-one
GET /v1/projects/{project}/logs/{log}/origins read-one
GET /v1/projects/{project}/points/{point}/origins read-one
GET /v1/projects/{project}/points     read-one
DELETE /v1/projects/{project}/traces  wipe-one
DELETE /v1/projects/{project}/scores  wipe-one
DELETE /v1/projects/{project}/logs    wipe-one
DELETE /v1/projects/{project}/points  wipe-one
DELETE /v1/projects/{project}/users/{user} wipe-one
GET /v1/projects/{project}/releases   read-one
GET /v1/projects/{project}/timeline   read-one
GET /v1/logs/query                    read
GET /v1/logs/stream                   read
GET /v1/agents/{agent}/logs           read
GET /v1/agents/{agent}/logs/stream    read
GET /v1/agents/metrics                read
GET /v1/agents/{agent}/metrics        read
GET /v1/agents/traces                 read
GET /v1/agents/{agent}/traces         read
GET /v1/agents/traces/{trace}         read
GET /v1/usage/users/{user}            read
GET /v1/projects/{project}/costs      read-one
GET /v1/traces/{id}                   read
DELETE /v1/traces/{id}                delete
POST /v1/traces/{id}/annotations      write
POST /v1/imports/traces               write
POST /v1/events                       write
POST /api/public/ingestion            write
POST /api/public/scores               write
GET /api/public/projects              see
GET /api/public/traces                read
DELETE /api/public/traces             delete
GET /api/public/traces/{trace}        read
DELETE /api/public/traces/{trace}     delete
GET /api/public/observations          read
GET /api/public/observations/{observation} read
GET /api/public/v2/observations       read
GET /api/public/sessions              read
GET /api/public/sessions/{session}    read
GET /api/public/scores                read
GET /api/public/scores/{score}        read
GET /api/public/v2/scores             read
GET /api/public/v2/scores/{score}     read
GET /api/public/v3/scores             read
GET /api/public/metrics/daily         read
GET /api/public/metrics               read
GET /api/public/v2/metrics            read
GET /api/public/health                public
GET /info                             public
POST /runs                            write
POST /runs/batch                      write
POST /runs/multipart                  write
PATCH /runs/{id}                      write
POST /feedback                        write
GET /api/v1/info                      public
POST /api/v1/runs                     write
POST /api/v1/runs/batch               write
POST /api/v1/runs/multipart           write
PATCH /api/v1/runs/{id}               write
POST /api/v1/feedback                 write
GET /live                             public
GET /ready                            public
GET /metrics                          public
GET /openapi.json                     public
GET /                                 public
GET /signin                           public
GET /setup                            public
GET /reset                            public
GET /verify                           public
GET /join                             public
GET /account                          public
GET /p/{project}                      public
GET /p/{project}/{page}               public
GET /p/{project}/{page}/{id}          public
GET /o/{org}                          public
GET /o/{org}/{page}                   public
GET /assets/{file}                    public
GET /favicon.svg                      public
POST /csp-report                      public
POST /v1/auth/signin                  public
POST /v1/auth/signout                 session
POST /v1/auth/signout-everywhere      session
GET /v1/auth/me                       session
GET /v1/auth/providers                public
POST /v1/auth/password                session
POST /v1/auth/reset/request           public
POST /v1/auth/reset                   public
POST /v1/auth/verify                  public
GET /v1/auth/oidc/{provider}/start    public
GET /v1/auth/oidc/{provider}/callback public
POST /v1/auth/setup                   public
POST /v1/auth/join                    public
GET /v1/me                            known
GET /v1/orgs                          known
POST /v1/orgs                         org-create
GET /v1/orgs/{org}                    org-see
PATCH /v1/orgs/{org}                  org-edit
DELETE /v1/orgs/{org}                 org-delete
GET /v1/orgs/{org}/settings           org-see
PUT /v1/orgs/{org}/settings           org-edit
GET /v1/settings                      org-see
PUT /v1/settings                      org-edit
GET /v1/orgs/{org}/members            member-read
GET /v1/members                       member-read
PUT /v1/orgs/{org}/members/{user}     member-edit
DELETE /v1/orgs/{org}/members/{user}  member-edit
PUT /v1/members/{user}                member-edit
DELETE /v1/members/{user}             member-edit
GET /v1/orgs/{org}/teams              member-read
POST /v1/orgs/{org}/teams             member-edit
PATCH /v1/orgs/{org}/teams/{team}     member-edit
DELETE /v1/orgs/{org}/teams/{team}    member-edit
PUT /v1/orgs/{org}/teams/{team}/members/{user}     member-edit
DELETE /v1/orgs/{org}/teams/{team}/members/{user}  member-edit
GET /v1/orgs/{org}/invitations        member-read
POST /v1/orgs/{org}/invitations       member-edit
DELETE /v1/orgs/{org}/invitations/{invitation}     member-edit
POST /v1/invitations/accept           known
GET /v1/orgs/{org}/audit              audit-read
GET /v1/audit                         audit-read
GET /v1/projects                      known
POST /v1/projects                     project-create
POST /v1/orgs/{org}/projects          project-create
GET /v1/orgs/{org}/projects           org-see
GET /v1/projects/{project}            see-one
PATCH /v1/projects/{project}          edit-one
DELETE /v1/projects/{project}         delete-one
POST /v1/projects/{project}/move      delete-one
GET /v1/projects/{project}/settings                 settings-one
PUT /v1/projects/{project}/settings                 edit-one
POST /v1/projects/{project}/redaction/preview       edit-one
GET /v1/projects/{project}/usage                    settings-one
GET /v1/projects/{project}/refusals                 settings-one
GET /v1/orgs/{org}/usage                            org-see
GET /v1/orgs/{org}/prices                           org-see
PUT /v1/orgs/{org}/prices                           org-edit
GET /v1/usage                         see
POST /v1/usage                        write
POST /v1/custom                       write
POST /v1/feedback                     write
POST /v1/claude                       write
POST /v1/init                         write
GET /v1/projects/{project}/experiments              see-one
POST /v1/projects/{project}/experiments             edit-one
GET /v1/projects/{project}/experiments/{experiment} see-one
PUT /v1/projects/{project}/experiments/{experiment} edit-one
DELETE /v1/projects/{project}/experiments/{experiment} edit-one
GET /v1/projects/{project}/experiments/{experiment}/results read-one
GET /v1/experiments                   see
POST /v1/experiments                  edit
GET /v1/experiments/{experiment}      see
PUT /v1/experiments/{experiment}      edit
DELETE /v1/experiments/{experiment}   edit
GET /v1/projects/{project}/environments             see-one
PUT /v1/projects/{project}/environments/{name}      edit-one
DELETE /v1/projects/{project}/environments/{name}   edit-one
GET /v1/projects/{project}/roles                    role-read
PUT /v1/projects/{project}/roles/{grantee}          role-edit
DELETE /v1/projects/{project}/roles/{grantee}       role-edit
GET /v1/projects/{project}/keys                     key-read-one
POST /v1/projects/{project}/keys                    key-edit-one
DELETE /v1/projects/{project}/keys/{key}            key-edit-one
POST /v1/projects/{project}/keys/{key}/rotate       key-edit-one
GET /v1/keys                          key-read
POST /v1/keys                         key-edit
DELETE /v1/keys/{key}                 key-edit
POST /v1/keys/{key}/rotate            key-edit
GET /v1/projects/{project}/traces read-one
GET /v1/projects/{project}/spans read-one
GET /v1/projects/{project}/scores read-one
GET /v1/projects/{project}/traces/{trace} read-one
DELETE /v1/projects/{project}/traces/{trace} wipe-one
GET /v1/projects/{project}/traces/{trace}/spans read-one
GET /v1/projects/{project}/traces/{trace}/spans/{span} read-one
GET /v1/projects/{project}/facets read-one
GET /v1/projects/{project}/fields read-one
GET /v1/projects/{project}/values read-one
POST /v1/projects/{project}/aggregate read-one
GET /v1/projects/{project}/traces/{trace}/conversation read-one
GET /v1/projects/{project}/traces/{trace}/render read-one
GET /v1/projects/{project}/traces/{trace}/critical-path read-one
GET /v1/projects/{project}/traces/{trace}/diff/{other} read-one
POST /v1/projects/{project}/compare read-one
GET /v1/projects/{project}/traces/{trace}/cost read-one
POST /v1/projects/{project}/paths read-one
GET /v1/projects/{project}/threads read-one
GET /v1/projects/{project}/users read-one
GET /v1/projects/{project}/threads/{thread} read-one
GET /v1/projects/{project}/users/{user} read-one
POST /v1/projects/{project}/scores write-one
POST /v1/projects/{project}/traces/{trace}/blobs write-one
GET /v1/projects/{project}/traces/{trace}/blobs read-one
GET /v1/projects/{project}/traces/{trace}/blobs/{blob} read-one
DELETE /v1/projects/{project}/traces/{trace}/blobs/{blob} wipe-one
POST /v1/projects/{project}/traces/{trace}/blobs/{blob}/link read-one
GET /v1/blobs/{link} link
PUT /v1/blobs/{link} link
POST /v1/imports/{format} write
POST /v1/media/upload write
POST /v1/media/signed-url write
POST /api/public/media write
GET /api/public/media/{media} read
PATCH /api/public/media/{media} write
GET /v1/projects/{project}/export read-one
GET /v1/projects/{project}/tail read-one
GET /v1/projects/{project}/reviews read-one
GET /v1/projects/{project}/views read-one
POST /v1/projects/{project}/views read-one
GET /v1/projects/{project}/views/{view} read-one
PUT /v1/projects/{project}/views/{view} read-one
DELETE /v1/projects/{project}/views/{view} read-one
GET /v1/projects/{project}/traces/{trace}/comments read-one
POST /v1/projects/{project}/traces/{trace}/comments read-one
DELETE /v1/projects/{project}/traces/{trace}/comments/{comment} read-one
GET /tempo/api/search read
GET /tempo/api/search/tags read
GET /tempo/api/search/tag/{tag}/values read
GET /tempo/api/traces/{trace} read
GET /tempo/api/v2/search/tags read
GET /tempo/api/v2/search/tag/{tag}/values read
GET /tempo/api/v2/traces/{trace} read
GET /tempo/api/metrics/query_range read
GET /tempo/api/metrics/query read
GET /tempo/api/echo read
GET /tempo/ready public
GET /tempo/api/status/buildinfo public
GET /jaeger/api/services read
GET /jaeger/api/services/{service}/operations read
GET /jaeger/api/operations read
GET /jaeger/api/traces read
GET /jaeger/api/traces/{trace} read
GET /jaeger/api/dependencies read
GET /jaeger/api/v3/services read
GET /jaeger/api/v3/operations read
GET /jaeger/api/v3/traces read
GET /jaeger/api/v3/trace-summaries read
GET /jaeger/api/v3/traces/{trace} read
";

/// + let in, 1 for 401, 3 for 403, 4 for 404; in the order of [`PRINCIPALS`].
///
/// `session` is for whoever has the cookie of a session, `link` for whoever has a signed link, which nobody
/// here has.
///
/// Keys of another project use what names no project (`/v1/traces`) for their own.
const EXPECTED: &str = "
                none    keys of a  others  at the org  at project a  nowhere  socket
public          ++++    ++++       ++      +++++       +++++         ++       +
session         1111    1111       11      11111       11111         11       1
link            1111    1111       11      11111       11111         11       1
known           1111    ++++       ++      +++++       +++++         ++       +
see             1111    ++++       ++      +++++       +++++         44       +
write           1111    +33+       ++      +++33       +++33         44       +
read            1111    3+3+       ++      ++++3       ++++3         44       +
delete          1111    33++       ++      ++333       ++333         44       +
read-one        1111    3+3+       44      ++++3       ++++3         44       +
write-one       1111    +33+       44      +++33       +++33         44       +
wipe-one        1111    33++       44      ++333       ++333         44       +
key-read        1111    33++       ++      +++3+       +++3+         44       +
key-edit        1111    33++       ++      ++333       ++333         44       +
see-one         1111    ++++       44      +++++       +++++         44       +
settings-one    1111    3+++       44      +++++       +++++         44       +
edit            1111    33++       ++      ++333       ++333         44       +
edit-one        1111    33++       44      ++333       ++333         44       +
delete-one      1111    3333       44      ++333       33333         44       +
role-read       1111    33++       44      +++3+       +++3+         44       +
role-edit       1111    3333       44      ++333       ++333         44       +
key-read-one    1111    33++       44      +++3+       +++3+         44       +
key-edit-one    1111    33++       44      ++333       ++333         44       +
org-see         1111    3333       33      +++++       44444         44       +
org-edit        1111    3333       33      ++333       44444         44       +
org-delete      1111    3333       33      +3333       44444         44       +
project-create  1111    3333       33      ++333       44444         44       +
member-read     1111    3333       33      +++3+       44444         44       +
member-edit     1111    3333       33      ++333       44444         44       +
audit-read      1111    3333       33      ++33+       44444         44       +
org-create      1111    3333       33      +3333       33333         33       +
";

const PRINCIPALS: [&str; 23] = [
    "nobody",
    "bad key",
    "revoked key",
    "expired key",
    "ingest key",
    "read key",
    "admin key",
    "key of all scopes",
    "key of another project",
    "key of another organization",
    "owner",
    "admin",
    "member",
    "viewer",
    "auditor",
    "owner of the project",
    "admin of the project",
    "member of the project",
    "viewer of the project",
    "auditor of the project",
    "owner of another organization",
    "user without a role",
    "operator",
];

/// The headers of each principal; `None` is the admin socket.
async fn headers(world: &World) -> Vec<Option<(&'static str, String)>> {
    let plane = Arc::clone(world.app.core().unwrap().plane());
    let by = By::operator();
    let other = plane.create_org(by, "other", "other").await.unwrap().made;
    let far = plane
        .create_project(by, other, "far")
        .await
        .unwrap()
        .made
        .id;
    assert_eq!((other, far), (OrgId(2), 3));
    let make = async |project, scopes, expires_ns| {
        let terms = KeyTerms {
            scopes,
            expires_ns,
            ..KeyTerms::default()
        };
        let made = plane.create_key(by, project, terms).await.unwrap().made;
        (made.id, made.key.reveal().to_owned())
    };
    let scoped = |scope| Scopes::of(&[scope]).unwrap();
    let revoked = make(1, Scopes::ALL, None).await;
    plane.revoke_key(by, 1, revoked.0).await.unwrap();
    let soon = plane.now_ns() + 2_000_000;
    let expired = make(1, Scopes::ALL, Some(soon)).await;
    while plane.now_ns() < soon {
        std::hint::spin_loop();
    }
    let mut keys = vec!["obsrv-bad-key".to_owned(), revoked.1, expired.1];
    for scope in Scope::ALL {
        keys.push(make(1, scoped(scope), None).await.1);
    }
    keys.push("key-of-a".to_owned());
    keys.push("key-of-b".to_owned());
    keys.push(make(far, Scopes::ALL, None).await.1);
    for (place, role) in (10..).zip(Role::ALL) {
        let user = UserId(place);
        plane.set_member(by, FIRST_ORG, user, role).await.unwrap();
        let grantee = Grantee::User(UserId(place + 5));
        plane.set_grant(by, 1, grantee, role).await.unwrap();
    }
    plane
        .set_member(by, other, UserId(20), Role::Owner)
        .await
        .unwrap();
    let nobody = [Some(("x-nothing", String::new()))];
    let keys = keys.into_iter().map(|key| Some(("x-api-key", key)));
    let users = (10..=21).map(|id| Some(("x-test-user", id.to_string())));
    nobody
        .into_iter()
        .chain(keys)
        .chain(users)
        .chain([None])
        .collect()
}

fn fill(path: &str) -> String {
    // User 1, team 1, key ffff and so on are not there.
    path.replace("{grantee}", "user:1")
        .replace("{key}", "ffff")
        .split('/')
        .map(|part| if part.starts_with('{') { "1" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

fn request(route: &Route, header: Option<&(&'static str, String)>) -> Request<Body> {
    let mut request = Request::builder()
        .method(route.method.clone())
        .uri(fill(&route.path))
        .header("x-obsrv-org", "1")
        .header("x-obsrv-project", "1")
        .header("x-obsrv-request", "1")
        .header("content-type", "application/json");
    if let Some((name, value)) = header {
        request = request.header(*name, value);
    }
    // Not what any route reads: who is let in changes nothing.
    request.body(Body::from("[]")).unwrap()
}

/// What the guard said, in the letters of the table.
async fn verdict(router: &Router, request: Request<Body>) -> char {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    if status == 200 {
        // Some answers go on for ever.
        return '+';
    }
    let body = to_bytes(response.into_body(), 1 << 24).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = body["error"]["message"].as_str().unwrap_or("");
    match (status, message) {
        (401, _) => '1',
        (403, "keys open projects, not organizations") => '3',
        (403, message) if message.starts_with("this needs the right") => '3',
        (404, "no such project" | "no such organization") => '4',
        (404, "no such route") | (405 | 500.., _) => '!',
        _ => '+',
    }
}

fn expected(class: &str) -> Vec<char> {
    let line = EXPECTED
        .lines()
        .find(|line| line.split(' ').next() == Some(class));
    let line = line.unwrap_or_else(|| panic!("no line for {class}"));
    let letters = line[class.len()..].chars().filter(|c| *c != ' ');
    letters.collect()
}

#[tokio::test]
async fn every_route_answers_every_principal_as_it_should() {
    let world = world().await;
    let headers = headers(&world).await;
    assert_eq!(headers.len(), PRINCIPALS.len());
    let public = build(Arc::clone(&world.app));
    let socket = auth::as_operator(build(Arc::clone(&world.app)));
    let routes = routes(&world.app);
    let mut rows: Vec<(String, &str)> = ROUTES
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (route, class) = line.rsplit_once(' ').unwrap();
            (route.trim().to_owned(), class)
        })
        .collect();
    let mut wrong = Vec::new();
    for route in routes.table() {
        let name = format!("{} {}", route.method, route.path);
        let Some(at) = rows.iter().position(|(row, _)| *row == name) else {
            wrong.push(format!("{name} has no row"));
            continue;
        };
        let (_, class) = rows.swap_remove(at);
        let expected = expected(class);
        assert_eq!(expected.len(), PRINCIPALS.len(), "{class}");
        for ((who, header), expected) in PRINCIPALS.iter().zip(&headers).zip(expected) {
            // The one thing that would end the test: a project is deleted by whoever may.
            let deletes = route.method == Method::DELETE && route.path == "/v1/projects/{project}";
            if deletes && expected == '+' {
                continue;
            }
            let router = if header.is_some() { &public } else { &socket };
            let said = verdict(router, request(route, header.as_ref())).await;
            if said != expected {
                wrong.push(format!("{name} for {who}: {said} instead of {expected}"));
            }
        }
    }
    assert!(rows.is_empty(), "rows without a route: {rows:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
