//! Settings of projects: a projection of the log's governance events, and what follows from it.
//!
//! Owns what the control plane applies, and compiled rules. Readers take an `Arc` of one project's
//! state and never wait for a writer's sync. Changes go through the control plane, so the audit log
//! has them. A project without settings takes no memory here.

mod event;
mod marks;
mod retention;
mod settings;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use obsrv_engine::row::ProjectId;
use parking_lot::{Mutex, RwLock};

use crate::control::{Act, ControlEvent};
use crate::keys::Macs;
use crate::limits::REDACTORS_MAX;
use crate::quota::{Plan, Quota};
use crate::redact::{Redactor, Rules, RulesError};
use crate::tenancy::audit::Place;
use crate::tenancy::plane::By;
use crate::tenancy::{ChangeError, ControlPlane, OrgEvent, OrgId};

pub use event::GovernanceEvent;
pub use marks::Marks;
pub use retention::Expiry;
pub use settings::{Class, ProjectSettings, Retention, SettingsError};

/// A project's settings and which change they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revised {
    /// 0 before the first change.
    pub revision: u64,
    /// When, nanoseconds since the epoch.
    pub at_ns: i64,
    /// The settings.
    pub settings: ProjectSettings,
}

/// Why recorded settings do not read.
#[derive(Debug, thiserror::Error)]
pub enum GovernanceError {
    /// Of a project.
    #[error("settings do not read project={project} revision={revision}")]
    Project {
        /// Whose.
        project: u64,
        /// Which.
        revision: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// Of an organization.
    #[error("plan does not read organization={organization}")]
    Plan {
        /// Whose.
        organization: u64,
        /// Why.
        source: serde_json::Error,
    },
}

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// Somebody else changed them first.
    #[error("settings have changed meanwhile, read them again revision={0}")]
    Revision(u64),
    /// They are not valid.
    #[error(transparent)]
    Invalid(#[from] SettingsError),
    /// The log did not take them.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// Settings of every project that has any, plans of every organization that has one: what the log's
/// events say. One writer at a time applies them, in order.
#[derive(Debug, Default)]
pub struct Settings {
    now: RwLock<Now>,
}

#[derive(Debug, Default)]
struct Now {
    projects: HashMap<u64, Arc<Revised>>,
    plans: HashMap<u64, Arc<Plan>>,
    /// Projects that have rules of redaction, or had: rows from then are as those left them.
    ruled: HashSet<u64>,
}

impl Settings {
    /// A project's settings.
    pub fn of(&self, project: u64) -> Arc<Revised> {
        let now = self.now.read();
        now.projects.get(&project).cloned().unwrap_or_default()
    }

    /// Whether a project has rules of redaction, or ever had.
    pub(crate) fn was_ruled(&self, project: u64) -> bool {
        self.now.read().ruled.contains(&project)
    }

    /// An organization's plan.
    pub fn plan_of(&self, organization: u64) -> Arc<Plan> {
        let now = self.now.read();
        now.plans.get(&organization).cloned().unwrap_or_default()
    }

    /// Every project that does not keep everything for ever, and what it keeps for how long.
    pub(crate) fn expiring(&self) -> BTreeMap<u64, Retention> {
        let now = self.now.read();
        let all = now.projects.iter();
        let all = all.map(|(project, revised)| (*project, revised.settings.retention));
        all.filter(|(_, kept)| !kept.is_for_ever()).collect()
    }

    /// How many projects have settings.
    pub fn len(&self) -> usize {
        self.now.read().projects.len()
    }

    /// Whether no project has settings.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Applies one durable event. What is deleted has no settings any more.
    pub fn apply(&self, event: &ControlEvent) -> Result<(), GovernanceError> {
        match event {
            ControlEvent::Governance(act) => self.now.write().apply(act)?,
            ControlEvent::Org(act) => match act.event {
                OrgEvent::ProjectDeleted { project } => {
                    let mut now = self.now.write();
                    now.projects.remove(&project);
                    now.ruled.remove(&project);
                }
                OrgEvent::OrgDeleted { org } => {
                    self.now.write().plans.remove(&org.0);
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}

impl Now {
    fn apply(&mut self, act: &Act<GovernanceEvent>) -> Result<(), GovernanceError> {
        match &act.event {
            GovernanceEvent::ProjectSettings {
                project,
                revision,
                settings,
            } => {
                let (project, revision) = (*project, *revision);
                let settings: ProjectSettings =
                    serde_json::from_str(settings).map_err(|source| GovernanceError::Project {
                        project,
                        revision,
                        source,
                    })?;
                if settings.redaction.is_some() {
                    self.ruled.insert(project);
                }
                let revised = Revised {
                    revision,
                    at_ns: act.at_ns,
                    settings,
                };
                self.projects.insert(project, Arc::new(revised));
            }
            GovernanceEvent::Plan { organization, plan } => {
                let organization = *organization;
                let plan = serde_json::from_str(plan).map_err(|source| GovernanceError::Plan {
                    organization,
                    source,
                })?;
                self.plans.insert(organization, Arc::new(plan));
            }
            // Prices are the price book's: see `crate::price::Book`.
            GovernanceEvent::Expired { .. }
            | GovernanceEvent::TimeNoted
            | GovernanceEvent::Prices { .. } => {}
        }
        Ok(())
    }
}

/// Compiled rules, the least recently used ones dropped over the limit.
#[derive(Debug, Default)]
struct Redactors {
    kept: HashMap<u64, Kept>,
    uses: u64,
}

#[derive(Debug)]
struct Kept {
    revision: u64,
    used: u64,
    redactor: Arc<Redactor>,
}

/// Settings and what was made ready of them.
#[derive(Debug)]
pub struct Governance {
    redactors: Mutex<Redactors>,
    macs: Macs,
    plane: Arc<ControlPlane>,
    quota: Quota,
}

impl Governance {
    /// These counts; settings are those of this plane, and changes go to it.
    pub(crate) fn new(quota: Quota, plane: Arc<ControlPlane>, macs: Macs) -> Self {
        Self {
            redactors: Mutex::default(),
            macs,
            plane,
            quota,
        }
    }

    /// A project's settings.
    pub fn of(&self, project: ProjectId) -> Arc<Revised> {
        self.plane.settings().of(project.0)
    }

    /// Whether a project has rules of redaction, or ever had: what is stored may be as they left it.
    pub(crate) fn was_ruled(&self, project: ProjectId) -> bool {
        self.plane.settings().was_ruled(project.0)
    }

    /// What was used and refused.
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// An organization's plan.
    pub fn plan_of(&self, organization: OrgId) -> Arc<Plan> {
        self.plane.settings().plan_of(organization.0)
    }

    /// Changes an organization's plan. Done when it is durable.
    pub(crate) async fn set_plan(
        &self,
        by: By,
        organization: OrgId,
        plan: &Plan,
    ) -> Result<Option<Place>, SetError> {
        settings::check_plan(plan)?;
        let plan =
            serde_json::to_string(plan).expect("BUG: a plan has no map with other keys than text");
        let changed = self.plane.change(by, |state| {
            let known = state.orgs.get(organization).map(drop);
            known.ok_or(ChangeError::Unknown("organization"))?;
            let organization = organization.0;
            let event = GovernanceEvent::Plan { organization, plan };
            Ok((vec![ControlEvent::Governance(self.act(by, event))], ()))
        });
        Ok(changed.await?.place)
    }

    /// Changes an organization's own prices, if nobody did since `revision`. Done when it is durable, and what comes from then on
    /// is priced by them. The table was read by the caller, off the network thread.
    pub(crate) async fn set_prices(
        &self,
        by: By,
        organization: OrgId,
        (revision, now): (u64, impl Fn() -> u64 + Send),
        table: String,
    ) -> Result<(u64, Option<Place>), SetError> {
        let changed = self.plane.change(by, |state| {
            let known = state.orgs.get(organization).map(drop);
            known.ok_or(ChangeError::Unknown("organization"))?;
            // No other change comes between this look and the event.
            let now = now();
            if now != revision {
                return Ok((Vec::new(), Err(SetError::Revision(now))));
            }
            let event = GovernanceEvent::Prices {
                organization: organization.0,
                revision: now + 1,
                table,
            };
            let events = vec![ControlEvent::Governance(self.act(by, event))];
            Ok((events, Ok(now + 1)))
        });
        let changed = changed.await?;
        Ok((changed.made?, changed.place))
    }

    fn act(&self, by: By, event: GovernanceEvent) -> Act<GovernanceEvent> {
        Act {
            actor: by.actor,
            at_ns: self.plane.now_ns(),
            event,
        }
    }

    /// Changes a project's settings, if nobody did since `revision`. Done when it is durable. The
    /// rules in them were compiled by the caller, off the network thread.
    pub(crate) async fn set(
        &self,
        by: By,
        project: ProjectId,
        revision: u64,
        settings: ProjectSettings,
    ) -> Result<(Arc<Revised>, Option<Place>), SetError> {
        settings.check()?;
        let text = serde_json::to_string(&settings)
            .expect("BUG: settings have no map with other keys than text");
        let changed = self.plane.change(by, |state| {
            let known = state.projects.get(project.0).map(drop);
            known.ok_or(ChangeError::Unknown("project"))?;
            // No other change comes between this look and the event.
            let now = self.of(project).revision;
            if now != revision {
                return Ok((Vec::new(), Err(SetError::Revision(now))));
            }
            let event = GovernanceEvent::ProjectSettings {
                project: project.0,
                revision: now + 1,
                settings: text,
            };
            let act = self.act(by, event);
            let revised = Revised {
                revision: now + 1,
                at_ns: act.at_ns,
                settings,
            };
            let events = vec![ControlEvent::Governance(act)];
            Ok((events, Ok(Arc::new(revised))))
        });
        let changed = changed.await?;
        Ok((changed.made?, changed.place))
    }

    /// The same as [`Governance::redactor`] if that takes no time; `None` if rules are still to be
    /// compiled.
    pub(crate) fn redactor_at_hand(&self, project: ProjectId) -> Option<Option<Arc<Redactor>>> {
        let revised = self.of(project);
        if revised.settings.redaction.is_none() {
            return Some(None);
        }
        self.redactors
            .lock()
            .find(project, revised.revision)
            .map(Some)
    }

    /// A project's rules, ready to be used; `None` if it has none. Compiles when it has to.
    pub fn redactor(&self, project: ProjectId) -> Result<Option<Arc<Redactor>>, RulesError> {
        let revised = self.of(project);
        let Some(rules) = &revised.settings.redaction else {
            return Ok(None);
        };
        if let Some(kept) = self.redactors.lock().find(project, revised.revision) {
            return Ok(Some(kept));
        }
        let redactor = Arc::new(self.compile(project, rules)?);
        self.redactors
            .lock()
            .keep(project, revised.revision, &redactor);
        Ok(Some(redactor))
    }

    /// Makes rules ready that are nobody's settings.
    pub(crate) fn compile(
        &self,
        project: ProjectId,
        rules: &Rules,
    ) -> Result<Redactor, RulesError> {
        Redactor::new(rules, project, self.macs.clone())
    }
}

impl Redactors {
    fn find(&mut self, project: ProjectId, revision: u64) -> Option<Arc<Redactor>> {
        self.uses += 1;
        let kept = self.kept.get_mut(&project.0)?;
        kept.used = self.uses;
        (kept.revision == revision).then(|| Arc::clone(&kept.redactor))
    }

    fn keep(&mut self, project: ProjectId, revision: u64, redactor: &Arc<Redactor>) {
        if self.kept.len() >= REDACTORS_MAX && !self.kept.contains_key(&project.0) {
            let oldest = self
                .kept
                .iter()
                .min_by_key(|(_, k)| k.used)
                .map(|(p, _)| *p);
            oldest.and_then(|project| self.kept.remove(&project));
        }
        let used = self.uses;
        let kept = Kept {
            revision,
            used,
            redactor: Arc::clone(redactor),
        };
        self.kept.insert(project.0, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Actor;
    use crate::keys::MasterSecret;

    #[test]
    fn compiled_rules_are_kept_up_to_the_limit() {
        let macs = Macs::for_redaction(&MasterSecret::from_bytes([1; 32]));
        let rules = Rules {
            detectors: Vec::new(),
            ..Rules::default()
        };
        let one = Arc::new(Redactor::new(&rules, ProjectId(1), macs).unwrap());
        let mut redactors = Redactors::default();
        let last = u64::try_from(REDACTORS_MAX).unwrap();
        for project in 1..=last {
            redactors.keep(ProjectId(project), 1, &one);
            assert!(redactors.find(ProjectId(1), 1).is_some(), "in use");
        }
        assert_eq!(redactors.kept.len(), REDACTORS_MAX);
        redactors.keep(ProjectId(last + 1), 1, &one);
        assert_eq!(redactors.kept.len(), REDACTORS_MAX);
        assert!(
            redactors.find(ProjectId(2), 1).is_none(),
            "the oldest made room"
        );
        assert!(redactors.find(ProjectId(1), 1).is_some());
        assert!(
            redactors.find(ProjectId(1), 2).is_none(),
            "of older settings"
        );
    }

    fn event(event: GovernanceEvent) -> ControlEvent {
        ControlEvent::Governance(Act {
            actor: Actor::Operator,
            at_ns: 3,
            event,
        })
    }

    fn settings(text: &str) -> ControlEvent {
        event(GovernanceEvent::ProjectSettings {
            project: 4,
            revision: 2,
            settings: text.to_owned(),
        })
    }

    #[test]
    fn settings_of_a_newer_obsrv_are_not_ignored() {
        let all = Settings::default();
        let known = settings(r#"{"retention":{"logs_days":3}}"#);
        all.apply(&known).unwrap();
        let shown = all.of(4);
        assert_eq!(
            (shown.revision, shown.settings.retention.logs_days),
            (2, Some(3))
        );
        assert!(all.apply(&settings(r#"{"redactions":{}}"#)).is_err());
    }

    #[test]
    fn what_is_deleted_has_no_settings_and_no_plan() {
        let all = Settings::default();
        let plan = serde_json::to_string(&Plan {
            name: "free".into(),
            ..Plan::default()
        });
        let plan = GovernanceEvent::Plan {
            organization: 2,
            plan: plan.unwrap(),
        };
        all.apply(&settings("{}")).unwrap();
        all.apply(&event(plan)).unwrap();
        assert_eq!((all.len(), all.plan_of(2).name.as_str()), (1, "free"));
        let org = |event| {
            ControlEvent::Org(Act {
                actor: Actor::Operator,
                at_ns: 4,
                event,
            })
        };
        all.apply(&org(OrgEvent::ProjectDeleted { project: 4 }))
            .unwrap();
        all.apply(&org(OrgEvent::OrgDeleted { org: OrgId(2) }))
            .unwrap();
        assert!(all.is_empty() && all.plan_of(2).name == "unlimited");
    }
}
