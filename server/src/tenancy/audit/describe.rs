//! What a record of the audit log says. Never a secret: MACs stay out.

use crate::control::{Actor, ControlEvent};
use crate::dialect::format_micros;
use crate::governance::GovernanceEvent;
use crate::signin::event::Fact;
use crate::tenancy::experiments::ExperimentEvent;
use crate::tenancy::views::ViewEvent;
use crate::tenancy::{Grantee, OrgEvent};

/// A record in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Who.
    pub actor: Actor,
    /// When, nanoseconds since the epoch; 0 if an old record does not say.
    pub at_ns: i64,
    /// What, e.g. `key.revoked`.
    pub action: &'static str,
    /// To what: an id, an address.
    pub subject: String,
    /// What it became.
    pub details: Vec<(&'static str, String)>,
}

type Said = (&'static str, String, Vec<(&'static str, String)>);

/// Says what happened, in order: most events are one thing, those of people may be several. Nothing
/// for what is counted rather than done.
pub fn describe_all(event: &ControlEvent) -> Vec<Described> {
    let ControlEvent::User(act) = event else {
        return describe(event).into_iter().collect();
    };
    let said = act.event.facts.iter().filter_map(of_fact);
    let described = said.map(|(action, subject, details)| Described {
        actor: act.actor,
        at_ns: act.at_ns,
        action,
        subject,
        details,
    });
    described.collect()
}

/// Says what happened, if it is one thing.
fn describe(event: &ControlEvent) -> Option<Described> {
    let (actor, at_ns, said) = match event {
        ControlEvent::ProjectCreated {
            project,
            name,
            at_ns,
        } => {
            let said = (
                "project.created",
                project.to_string(),
                vec![("name", name.clone())],
            );
            (Actor::System, *at_ns, said)
        }
        ControlEvent::KeyCreated {
            key,
            project,
            at_ns,
            ..
        } => {
            let said = (
                "key.created",
                hex(*key),
                vec![("project", project.to_string())],
            );
            (Actor::System, *at_ns, said)
        }
        ControlEvent::KeyRevoked { key, at_ns } => (
            Actor::System,
            *at_ns,
            ("key.revoked", hex(*key), Vec::new()),
        ),
        ControlEvent::Org(act) => {
            let said = of_org(&act.event).or_else(|| of_project(&act.event))?;
            (act.actor, act.at_ns, said)
        }
        ControlEvent::Audit(act) => {
            let said = (
                act.event.action.as_str(),
                act.event.subject.clone(),
                Vec::new(),
            );
            (act.actor, act.at_ns, said)
        }
        ControlEvent::Governance(act) => (act.actor, act.at_ns, of_governance(&act.event)?),
        ControlEvent::Views(act) => (act.actor, act.at_ns, of_view(&act.event)),
        ControlEvent::Experiments(act) => (act.actor, act.at_ns, of_experiment(&act.event)),
        ControlEvent::User(_) | ControlEvent::ProjectNamed { .. } => return None,
    };
    let (action, subject, details) = said;
    Some(Described {
        actor,
        at_ns,
        action,
        subject,
        details,
    })
}

/// What was said stays out: it is the project's, not the organization's.
fn of_view(event: &ViewEvent) -> Said {
    let project = ("project", event.project().to_string());
    match event {
        ViewEvent::ViewSet(view) => {
            let shared = either(view.is_shared, "true", "false").to_owned();
            (
                "view.saved",
                hex(view.view),
                vec![project, ("shared", shared)],
            )
        }
        ViewEvent::ViewDeleted { view, .. } => ("view.deleted", hex(*view), vec![project]),
        ViewEvent::Commented(comment) => ("comment.made", hex(comment.comment), vec![project]),
        ViewEvent::CommentDeleted { comment, .. } => {
            ("comment.deleted", hex(*comment), vec![project])
        }
    }
}

/// Prompts stay out: they are the project's, and long.
fn of_experiment(event: &ExperimentEvent) -> Said {
    let project = ("project", event.project().to_string());
    match event {
        ExperimentEvent::Set(experiment) => {
            let arms = experiment.terms.arms.iter();
            let shares = arms.map(|arm| format!("{}={}", arm.id, arm.traffic_pct));
            (
                either(
                    experiment.revision == 1,
                    "experiment.created",
                    "experiment.changed",
                ),
                experiment.id.clone(),
                vec![
                    project,
                    // Not its revision, which goes on from experiments of the project that are gone.
                    ("change", experiment.revision.to_string()),
                    ("arms", shares.collect::<Vec<_>>().join(" ")),
                ],
            )
        }
        ExperimentEvent::Deleted { id, .. } => ("experiment.deleted", id.clone(), vec![project]),
    }
}

fn hex(id: u64) -> String {
    format!("{id:x}")
}

fn grantee_text(grantee: Grantee) -> String {
    match grantee {
        Grantee::User(user) => format!("user:{}", user.0),
        Grantee::Team(team) => format!("team:{team}"),
    }
}

const fn either(is: bool, yes: &'static str, no: &'static str) -> &'static str {
    if is { yes } else { no }
}

/// Settings themselves stay out: they may be long, and patterns may say what is secret.
fn of_governance(event: &GovernanceEvent) -> Option<Said> {
    Some(match event {
        GovernanceEvent::ProjectSettings {
            project, revision, ..
        } => (
            "project.settings_changed",
            project.to_string(),
            vec![("revision", revision.to_string())],
        ),
        GovernanceEvent::Plan { organization, plan } => (
            "org.plan_changed",
            organization.to_string(),
            vec![("plan", plan.clone())],
        ),
        GovernanceEvent::Expired {
            project,
            class,
            count,
            before_ns,
        } => (
            "project.expired",
            project.to_string(),
            vec![
                ("what", class.name().to_owned()),
                ("count", count.to_string()),
                ("before", format_micros(*before_ns)),
            ],
        ),
        GovernanceEvent::Prices {
            organization,
            revision,
            table,
        } => (
            "org.prices_changed",
            organization.to_string(),
            vec![
                ("revision", revision.to_string()),
                ("bytes", table.len().to_string()),
            ],
        ),
        GovernanceEvent::TimeNoted => return None,
    })
}

fn of_fact(fact: &Fact) -> Option<Said> {
    let user = |user: &u64| format!("user:{user}");
    let (subject, details) = match fact {
        Fact::Created {
            user: id, email, ..
        } => (user(id), vec![("email", email.clone())]),
        Fact::SessionStarted {
            user: id, method, ..
        } => {
            let method = method.as_str().to_owned();
            (user(id), vec![("method", method)])
        }
        Fact::IdentityLinked {
            user: id, issuer, ..
        } => (user(id), vec![("issuer", issuer.clone())]),
        Fact::EmailVerified { user: id }
        | Fact::PasswordSet { user: id, .. }
        | Fact::Disabled { user: id }
        | Fact::Enabled { user: id }
        | Fact::SetUp { user: id }
        | Fact::SessionsEnded { user: id, .. } => (user(id), Vec::new()),
        Fact::SessionEnded { session } => (format!("session:{session:x}"), Vec::new()),
        Fact::LinkIssued { purpose, email, .. } => {
            let purpose = purpose.as_str().to_owned();
            (email.clone(), vec![("purpose", purpose)])
        }
        Fact::LinkUsed { .. } => (String::new(), Vec::new()),
        Fact::SessionSeen { .. } => return None,
    };
    Some((fact.action(), subject, details))
}

fn of_org(event: &OrgEvent) -> Option<Said> {
    Some(match event {
        OrgEvent::OrgCreated { org, name, slug } => (
            "org.created",
            org.0.to_string(),
            vec![("name", name.clone()), ("slug", slug.clone())],
        ),
        OrgEvent::OrgRenamed { org, name, slug } => (
            "org.renamed",
            org.0.to_string(),
            vec![("name", name.clone()), ("slug", slug.clone())],
        ),
        OrgEvent::OrgArchived { org, archived } => (
            either(*archived, "org.archived", "org.restored"),
            org.0.to_string(),
            Vec::new(),
        ),
        OrgEvent::OrgDeleted { org } => ("org.deleted", org.0.to_string(), Vec::new()),
        OrgEvent::SsoRequired { org, issuer } => (
            "org.settings_changed",
            org.0.to_string(),
            vec![("sso_issuer", issuer.clone().unwrap_or_default())],
        ),
        OrgEvent::MemberSet { user, role, .. } => (
            "member.role_set",
            user.0.to_string(),
            vec![("role", role.as_str().to_owned())],
        ),
        OrgEvent::MemberRemoved { user, .. } => ("member.removed", user.0.to_string(), Vec::new()),
        OrgEvent::TeamCreated { team, name, .. } => (
            "team.created",
            team.to_string(),
            vec![("name", name.clone())],
        ),
        OrgEvent::TeamRenamed { team, name } => (
            "team.renamed",
            team.to_string(),
            vec![("name", name.clone())],
        ),
        OrgEvent::TeamDeleted { team } => ("team.deleted", team.to_string(), Vec::new()),
        OrgEvent::TeamMemberSet {
            team,
            user,
            present,
        } => (
            either(*present, "team.joined", "team.left"),
            team.to_string(),
            vec![("user", user.0.to_string())],
        ),
        OrgEvent::Invited(new) => (
            "invitation.created",
            new.email.clone(),
            vec![("role", new.role.as_str().to_owned())],
        ),
        OrgEvent::InvitationRevoked { invitation } => {
            ("invitation.revoked", invitation.to_string(), Vec::new())
        }
        OrgEvent::InvitationAccepted { invitation, user } => (
            "invitation.accepted",
            invitation.to_string(),
            vec![("user", user.0.to_string())],
        ),
        _ => return None,
    })
}

fn of_project(event: &OrgEvent) -> Option<Said> {
    Some(match event {
        OrgEvent::ProjectCreated { project, name, .. } => (
            "project.created",
            project.to_string(),
            vec![("name", name.clone())],
        ),
        OrgEvent::ProjectRenamed { project, name } => (
            "project.renamed",
            project.to_string(),
            vec![("name", name.clone())],
        ),
        OrgEvent::ProjectMoved { project, org } => (
            "project.moved",
            project.to_string(),
            vec![("org", org.0.to_string())],
        ),
        OrgEvent::ProjectArchived { project, archived } => (
            either(*archived, "project.archived", "project.restored"),
            project.to_string(),
            Vec::new(),
        ),
        OrgEvent::ProjectDeleted { project } => {
            ("project.deleted", project.to_string(), Vec::new())
        }
        OrgEvent::ProjectPurged { project, traces } => (
            "project.purged",
            project.to_string(),
            vec![("traces", traces.to_string())],
        ),
        OrgEvent::GrantSet { grantee, role, .. } => (
            "project.role_set",
            grantee_text(*grantee),
            vec![("role", role.as_str().to_owned())],
        ),
        OrgEvent::GrantRemoved { grantee, .. } => {
            ("project.role_removed", grantee_text(*grantee), Vec::new())
        }
        OrgEvent::EnvironmentSet { name, present, .. } => (
            either(*present, "environment.created", "environment.deleted"),
            name.clone(),
            Vec::new(),
        ),
        OrgEvent::KeyCreated(new) => {
            let scopes: Vec<&str> = new
                .scopes
                .iter()
                .map(crate::tenancy::Scope::as_str)
                .collect();
            (
                "key.created",
                hex(new.key),
                vec![("name", new.name.clone()), ("scopes", scopes.join(" "))],
            )
        }
        OrgEvent::KeyRevoked { key } => ("key.revoked", hex(*key), Vec::new()),
        _ => return None,
    })
}
