//! `obsrv org`, `project`, `key`, `member` and `audit`: through the admin socket of a running server, by
//! the routes that everybody has.

use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::client::{Answer, Client, ClientError, message_of};

/// A running server.
#[derive(Args, Debug)]
pub(super) struct Server {
    /// The data directory of the running server.
    #[arg(long, default_value = "./obsrv-data", global = true)]
    data: PathBuf,
}

impl Server {
    pub(super) fn data(&self) -> &Path {
        &self.data
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum OrgCommand {
    /// Show every organization.
    List(Server),
    /// Make an organization. Prints its id and the record of it.
    Create {
        /// Its name, for people.
        name: String,
        /// Its name in addresses: lower-case letters, digits and inner hyphens.
        #[arg(long)]
        slug: String,
        #[command(flatten)]
        server: Server,
    },
    /// Give an organization another name, slug or both.
    Rename {
        /// Its id.
        org: u64,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        slug: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Let an organization take no more data.
    Archive(OneOrg),
    /// Let an archived organization take data again.
    Restore(OneOrg),
    /// Delete an organization that has no project left.
    Delete(OneOrg),
}

#[derive(Args, Debug)]
pub(super) struct OneOrg {
    /// Its id.
    org: u64,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Show every project.
    List(Server),
    /// Make a project. Prints its id and the record of it.
    Create {
        /// Its name, unique in its organization.
        name: String,
        /// The id of its organization.
        #[arg(long, default_value_t = 1)]
        org: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Give a project another name.
    Rename {
        /// Its id.
        project: u64,
        /// The name.
        name: String,
        #[command(flatten)]
        server: Server,
    },
    /// Move a project to another organization. Its keys go on; roles at it end.
    Move {
        /// Its id.
        project: u64,
        /// The id of the organization.
        #[arg(long)]
        org: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Let a project take no more data.
    Archive(OneProject),
    /// Let an archived project take data again.
    Restore(OneProject),
    /// Delete a project, its keys and its data. Prints the receipt.
    Delete(OneProject),
}

#[derive(Args, Debug)]
pub(super) struct OneProject {
    /// Its id.
    project: u64,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key for a project, which is made if there is none of this name. Prints the key.
    Create(CreateArgs),
    /// Show the keys of a project.
    List {
        /// The project's id.
        #[arg(long, value_name = "ID")]
        project: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Make the successor of a key, which goes on until it is revoked. Prints the new key.
    Rotate {
        /// The key's id: what stands between the first two underscores of the key.
        #[arg(value_name = "KEY_ID")]
        key: String,
        /// The project's id.
        #[arg(long, value_name = "ID")]
        project: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Make a key open nothing, for good.
    Revoke {
        /// The key, or its id: what stands between the first two underscores of the key.
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// The project's name, in the first organization.
    #[arg(long, value_name = "NAME")]
    project: String,
    /// What the key is for: ingest, read, admin. Repeatable [default: all three].
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// The key's name, for people.
    #[arg(long, default_value = "")]
    name: String,
    /// From when on it opens nothing, e.g. 2027-01-31T00:00:00Z [default: never].
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
pub(super) enum MemberCommand {
    /// Show the members of an organization.
    List {
        /// The organization's id.
        #[arg(long, default_value_t = 1)]
        org: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Make a user a member, or give a member another role.
    Set {
        /// The user's id.
        user: u64,
        /// owner, admin, member, viewer or auditor.
        role: String,
        /// The organization's id.
        #[arg(long, default_value_t = 1)]
        org: u64,
        #[command(flatten)]
        server: Server,
    },
    /// End a membership.
    Remove {
        /// The user's id.
        user: u64,
        /// The organization's id.
        #[arg(long, default_value_t = 1)]
        org: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Invite somebody by e-mail. Prints the token that takes the invitation up.
    Invite {
        /// Whom.
        email: String,
        /// owner, admin, member, viewer or auditor.
        role: String,
        /// The organization's id.
        #[arg(long, default_value_t = 1)]
        org: u64,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Args, Debug)]
pub(super) struct AuditArgs {
    /// The organization's id.
    #[arg(long, default_value_t = 1)]
    org: u64,
    /// Only this action, or those before whose dot this stands: `key`, `member.removed`.
    #[arg(long)]
    action: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// Why one of these commands failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TenancyError {
    #[error("no server that this user may ask runs on this data directory data={data}")]
    NoServer { data: PathBuf, source: ClientError },
    #[error("server did not answer")]
    Client(#[source] ClientError),
    #[error("server refused: {0}")]
    Refused(String),
    #[error("the operating system refused")]
    Io(#[from] std::io::Error),
}

/// What is printed of an answer.
#[derive(Clone, Copy, Debug)]
enum Shown {
    /// All of it, on one line.
    Whole,
    /// Its items, one a line, and those of the pages that follow.
    Items,
    /// One member of it.
    Member(&'static str),
    /// That a key is revoked.
    Revoked,
}

/// A request, and what is printed of its answer.
#[derive(Debug)]
pub(super) struct Call<'a> {
    server: &'a Server,
    method: Method,
    path: String,
    body: Value,
    shown: Shown,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        server: &'a Server,
        method: Method,
        path: impl Into<String>,
        body: Value,
    ) -> Self {
        Self {
            server,
            method,
            path: path.into(),
            body,
            shown: Shown::Whole,
        }
    }

    fn list(server: &'a Server, path: impl Into<String>) -> Self {
        Self::new(server, Method::GET, path, Value::Null).showing(Shown::Items)
    }

    fn showing(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }
}

pub(super) fn org(command: &OrgCommand) -> Result<(), TenancyError> {
    let at = |one: &OneOrg| format!("/v1/orgs/{}", one.org);
    run(&match command {
        OrgCommand::List(server) => Call::list(server, "/v1/orgs"),
        OrgCommand::Create { name, slug, server } => {
            let body = json!({ "name": name, "slug": slug });
            Call::new(server, Method::POST, "/v1/orgs", body)
        }
        OrgCommand::Rename {
            org,
            name,
            slug,
            server,
        } => {
            let body = json!({ "name": name, "slug": slug });
            Call::new(server, Method::PATCH, format!("/v1/orgs/{org}"), body)
        }
        OrgCommand::Archive(one) | OrgCommand::Restore(one) => {
            let body = json!({ "archived": matches!(command, OrgCommand::Archive(_)) });
            Call::new(&one.server, Method::PATCH, at(one), body)
        }
        OrgCommand::Delete(one) => Call::new(&one.server, Method::DELETE, at(one), Value::Null),
    })
}

pub(super) fn project(command: &ProjectCommand) -> Result<(), TenancyError> {
    let at = |project: u64| format!("/v1/projects/{project}");
    run(&match command {
        ProjectCommand::List(server) => Call::list(server, "/v1/projects"),
        ProjectCommand::Create { name, org, server } => {
            let path = format!("/v1/orgs/{org}/projects");
            Call::new(server, Method::POST, path, json!({ "name": name }))
        }
        ProjectCommand::Rename {
            project,
            name,
            server,
        } => Call::new(server, Method::PATCH, at(*project), json!({ "name": name })),
        ProjectCommand::Move {
            project,
            org,
            server,
        } => {
            let path = format!("{}/move", at(*project));
            Call::new(server, Method::POST, path, json!({ "org": org }))
        }
        ProjectCommand::Archive(one) | ProjectCommand::Restore(one) => {
            let archived = matches!(command, ProjectCommand::Archive(_));
            let body = json!({ "archived": archived });
            Call::new(&one.server, Method::PATCH, at(one.project), body)
        }
        ProjectCommand::Delete(one) => {
            Call::new(&one.server, Method::DELETE, at(one.project), Value::Null)
        }
    })
}

pub(super) fn key(command: &KeyCommand) -> Result<(), TenancyError> {
    run(&match command {
        KeyCommand::Create(args) => {
            let scopes = Some(&args.scope).filter(|scopes| !scopes.is_empty());
            let body = json!({
                "project": args.project,
                "name": args.name,
                "scopes": scopes,
                "expires_at": args.expires,
            });
            Call::new(&args.server, Method::POST, "/keys", body).showing(Shown::Member("key"))
        }
        KeyCommand::List { project, server } => {
            Call::list(server, format!("/v1/projects/{project}/keys"))
        }
        KeyCommand::Rotate {
            key,
            project,
            server,
        } => {
            let path = format!("/v1/projects/{project}/keys/{key}/rotate");
            Call::new(server, Method::POST, path, json!({})).showing(Shown::Member("key"))
        }
        KeyCommand::Revoke { key, server } => {
            let body = json!({ "key": key });
            Call::new(server, Method::DELETE, "/keys", body).showing(Shown::Revoked)
        }
    })
}

pub(super) fn member(command: &MemberCommand) -> Result<(), TenancyError> {
    let at = |org: u64, user: u64| format!("/v1/orgs/{org}/members/{user}");
    run(&match command {
        MemberCommand::List { org, server } => {
            Call::list(server, format!("/v1/orgs/{org}/members"))
        }
        MemberCommand::Set {
            user,
            role,
            org,
            server,
        } => Call::new(
            server,
            Method::PUT,
            at(*org, *user),
            json!({ "role": role }),
        ),
        MemberCommand::Remove { user, org, server } => {
            Call::new(server, Method::DELETE, at(*org, *user), Value::Null)
        }
        MemberCommand::Invite {
            email,
            role,
            org,
            server,
        } => {
            let body = json!({ "email": email, "role": role });
            let path = format!("/v1/orgs/{org}/invitations");
            Call::new(server, Method::POST, path, body).showing(Shown::Member("token"))
        }
    })
}

pub(super) fn audit(args: &AuditArgs) -> Result<(), TenancyError> {
    let mut path = format!("/v1/orgs/{}/audit?limit=1000", args.org);
    if let Some(action) = &args.action {
        let fits = |b: u8| b.is_ascii_lowercase() || b == b'.' || b == b'_';
        if !action.bytes().all(fits) {
            let message = "an action is made of lower-case letters, dots and underscores";
            return Err(TenancyError::Refused(message.to_owned()));
        }
        path.push_str("&action=");
        path.push_str(action);
    }
    run(&Call::list(&args.server, path))
}

pub(super) fn run(call: &Call<'_>) -> Result<(), TenancyError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut client = connect(&call.server.data).await?;
        let mut out = std::io::stdout().lock();
        let mut path = call.path.clone();
        loop {
            let answer = ask(&mut client, &call.method, &path, &call.body).await?;
            match call.shown {
                Shown::Whole => writeln!(out, "{answer}")?,
                Shown::Member(name) => {
                    writeln!(out, "{}", answer[name].as_str().unwrap_or_default())?;
                }
                Shown::Revoked => {
                    let id = answer["key_id"].as_str().unwrap_or_default();
                    writeln!(out, "revoked {id}")?;
                }
                Shown::Items => {
                    for item in answer["items"].as_array().into_iter().flatten() {
                        writeln!(out, "{item}")?;
                    }
                    if let Some(next) = next_page(&call.path, &answer["next"]) {
                        path = next;
                        continue;
                    }
                }
            }
            return Ok(());
        }
    })
}

/// The audit log counts down by number, every other list goes up by id.
fn next_page(path: &str, next: &Value) -> Option<String> {
    let parameter = match next {
        Value::Number(before) => format!("before={before}"),
        Value::String(after) => format!("after={after}"),
        _ => return None,
    };
    let glue = if path.contains('?') { '&' } else { '?' };
    Some(format!("{path}{glue}{parameter}"))
}

pub(super) async fn connect(data: &Path) -> Result<Client, TenancyError> {
    let connected = Client::admin(data).await;
    connected.map_err(|source| TenancyError::NoServer {
        data: data.to_owned(),
        source,
    })
}

pub(super) async fn ask(
    client: &mut Client,
    method: &Method,
    path: &str,
    body: &Value,
) -> Result<Value, TenancyError> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "admin")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| TenancyError::Refused(e.to_string()))?;
    let answer: Answer = client.send(request).await.map_err(TenancyError::Client)?;
    if !answer.status.is_success() {
        return Err(TenancyError::Refused(message_of(&answer)));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|_| TenancyError::Refused("an answer that is not json".into()))
}
