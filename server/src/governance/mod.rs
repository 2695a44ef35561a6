//! Settings of projects: a projection of the log's governance events, and what follows from it.
//!
//! Readers take an `Arc` of one project's state and never wait for a writer's sync. One change at
//! a time: it is checked, appended, and applied when it is durable. A project without settings
//! takes no memory here.

mod event;
mod settings;

use std::collections::HashMap;
use std::sync::Arc;

use obsrv_engine::row::{ProjectId, Table};
use parking_lot::{Mutex, RwLock};

use crate::control::ControlEvent;
use crate::control_plane::{ChangeError, ControlPlane};
use crate::keys::Macs;
use crate::limits::REDACTORS_MAX;
use crate::quota::{Plan, Quota};
use crate::redact::{Redactor, Rules, RulesError};

pub use event::GovernanceEvent;
pub use settings::{ProjectSettings, Retention, SettingsError};

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

/// Settings of every project that has any, plans of every organization that has one.
#[derive(Debug, Default)]
pub struct Settings {
    projects: HashMap<u64, Arc<Revised>>,
    plans: HashMap<u64, Arc<Plan>>,
}

impl Settings {
    /// What the events of a whole log say, in order.
    pub fn recover(events: &[ControlEvent]) -> Result<Self, GovernanceError> {
        let mut all = Self::default();
        for event in events {
            if let ControlEvent::Governance(event) = event {
                all.apply(event)?;
            }
        }
        Ok(all)
    }

    /// Adds what others say, over what is there.
    pub fn extend(&mut self, later: Self) {
        self.projects.extend(later.projects);
        self.plans.extend(later.plans);
    }

    /// How many projects have settings.
    pub fn len(&self) -> usize {
        self.projects.len()
    }

    /// Whether no project has settings.
    pub fn is_empty(&self) -> bool {
        self.projects.is_empty()
    }

    fn apply(&mut self, event: &GovernanceEvent) -> Result<(), GovernanceError> {
        match event {
            GovernanceEvent::ProjectSettings {
                project,
                revision,
                at_ns,
                settings,
                ..
            } => {
                let (project, revision) = (*project, *revision);
                let settings =
                    serde_json::from_str(settings).map_err(|source| GovernanceError::Project {
                        project,
                        revision,
                        source,
                    })?;
                let revised = Revised {
                    revision,
                    at_ns: *at_ns,
                    settings,
                };
                self.projects.insert(project, Arc::new(revised));
            }
            GovernanceEvent::Plan {
                organization, plan, ..
            } => {
                let organization = *organization;
                let plan = serde_json::from_str(plan).map_err(|source| GovernanceError::Plan {
                    organization,
                    source,
                })?;
                self.plans.insert(organization, Arc::new(plan));
            }
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
    settings: RwLock<Settings>,
    redactors: Mutex<Redactors>,
    macs: Macs,
    plane: Arc<ControlPlane>,
    quota: Quota,
    /// Held by who changes settings, from check to apply.
    changes: tokio::sync::Mutex<()>,
}

impl Governance {
    /// These settings and counts; changes go to this plane.
    pub(crate) fn new(
        settings: Settings,
        quota: Quota,
        plane: Arc<ControlPlane>,
        macs: Macs,
    ) -> Self {
        Self {
            settings: RwLock::new(settings),
            redactors: Mutex::default(),
            macs,
            plane,
            quota,
            changes: tokio::sync::Mutex::default(),
        }
    }

    /// A project's settings.
    pub fn of(&self, project: ProjectId) -> Arc<Revised> {
        self.settings
            .read()
            .projects
            .get(&project.0)
            .cloned()
            .unwrap_or_default()
    }

    /// What was used and refused.
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// The organization that a project is in: before there are organizations, one for all.
    pub const fn organization_of(&self, _project: ProjectId) -> u64 {
        0
    }

    /// An organization's plan.
    pub fn plan_of(&self, organization: u64) -> Arc<Plan> {
        let settings = self.settings.read();
        settings
            .plans
            .get(&organization)
            .cloned()
            .unwrap_or_default()
    }

    /// Changes an organization's plan. Done when it is durable.
    pub(crate) async fn set_plan(&self, organization: u64, plan: &Plan) -> Result<(), SetError> {
        settings::check_plan(plan)?;
        let at_ns = self.plane.now_ns();
        let _changing = self.changes.lock().await;
        let event = GovernanceEvent::Plan {
            organization,
            at_ns,
            plan: serde_json::to_string(plan)
                .expect("BUG: a plan has no map with other keys than text"),
        };
        self.apply_durably(event).await
    }

    async fn apply_durably(&self, event: GovernanceEvent) -> Result<(), SetError> {
        self.plane.govern(event.clone()).await?;
        self.settings
            .write()
            .apply(&event)
            .expect("BUG: what was written does not read");
        Ok(())
    }

    /// How long rows are to be kept, in days; `None`: for ever.
    pub fn retention_of(&self, project: ProjectId, table: Table) -> Option<u32> {
        self.of(project).settings.retention.of(table)
    }

    /// Changes a project's settings, if nobody did since `revision`. Done when it is durable. The
    /// rules in them were compiled by the caller, off the network thread.
    pub(crate) async fn set(
        &self,
        project: ProjectId,
        revision: u64,
        key: u64,
        at_ns: i64,
        settings: ProjectSettings,
    ) -> Result<Arc<Revised>, SetError> {
        settings.check()?;
        let _changing = self.changes.lock().await;
        let now = self.of(project).revision;
        if now != revision {
            return Err(SetError::Revision(now));
        }
        let event = GovernanceEvent::ProjectSettings {
            project: project.0,
            revision: now + 1,
            key,
            at_ns,
            settings: serde_json::to_string(&settings)
                .expect("BUG: settings have no map with other keys than text"),
        };
        self.apply_durably(event).await?;
        Ok(self.of(project))
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

    #[test]
    fn settings_of_a_newer_obsrv_are_not_ignored() {
        let event = |settings: &str| GovernanceEvent::ProjectSettings {
            project: 4,
            revision: 2,
            key: 1,
            at_ns: 3,
            settings: settings.to_owned(),
        };
        let control = |settings: &str| [ControlEvent::Governance(event(settings))];
        let all = Settings::recover(&control(r#"{"retention":{"logs_days":3}}"#)).unwrap();
        assert_eq!(
            (
                all.projects[&4].revision,
                all.projects[&4].settings.retention.logs_days
            ),
            (2, Some(3))
        );
        assert!(Settings::recover(&control(r#"{"redactions":{}}"#)).is_err());
    }
}
