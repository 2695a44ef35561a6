//! Changes of projects and their environments.

use std::sync::Arc;

use super::{By, ChangeError, Changed, ControlPlane, check_name, check_room};
use crate::limits::{ENVIRONMENTS_PER_PROJECT_MAX, PROJECTS_MAX, PROJECTS_PER_ORG_MAX};
use crate::tenancy::directory::{Project, State};
use crate::tenancy::{OrgEvent, OrgId, Right};

/// A project that was just made.
#[derive(Clone, Copy, Debug)]
pub struct CreatedProject {
    /// Its id.
    pub id: u64,
}

fn known(state: &State, project: u64) -> Result<&Arc<Project>, ChangeError> {
    let found = state.projects.get(project);
    found.ok_or(ChangeError::Unknown("project"))
}

/// The organization takes another project of this name.
pub(super) fn check_new(state: &State, org: OrgId, name: &str) -> Result<(), ChangeError> {
    let owner = state.orgs.get(org);
    if owner
        .ok_or(ChangeError::Unknown("organization"))?
        .is_archived
    {
        return Err(ChangeError::Conflict("the organization is archived"));
    }
    if state.projects.named(org, name).is_some() {
        return Err(ChangeError::Exists("project"));
    }
    let there = state.projects.in_org(org, 0).count();
    check_room("projects of the organization", there, PROJECTS_PER_ORG_MAX)
}

impl ControlPlane {
    /// Makes a project.
    pub async fn create_project(
        &self,
        by: By,
        org: OrgId,
        name: &str,
    ) -> Result<Changed<CreatedProject>, ChangeError> {
        check_name(name)?;
        self.change(by, |state| {
            check_new(state, org, name)?;
            check_room("projects", state.projects.len(), PROJECTS_MAX)?;
            let project = state.projects.next_id();
            let name = name.to_owned();
            let event = OrgEvent::ProjectCreated { project, org, name };
            Ok((
                vec![self.org_event(by, event)],
                CreatedProject { id: project },
            ))
        })
        .await
    }

    /// Gives a project another name.
    pub async fn rename_project(
        &self,
        by: By,
        project: u64,
        name: &str,
    ) -> Result<Changed<()>, ChangeError> {
        check_name(name)?;
        self.change(by, |state| {
            let old = known(state, project)?;
            if state
                .projects
                .named(old.org, name)
                .is_some_and(|other| other.id != old.id)
            {
                return Err(ChangeError::Exists("project"));
            }
            let event = OrgEvent::ProjectRenamed {
                project,
                name: name.to_owned(),
            };
            let event = (&*old.name != name).then(|| self.org_event(by, event));
            Ok((event.into_iter().collect(), ()))
        })
        .await
    }

    /// Moves a project to another organization, at which `there` is what the mover may do. Its keys
    /// go on; roles at it end.
    pub async fn move_project(
        &self,
        by: By,
        there: By,
        project: u64,
        org: OrgId,
    ) -> Result<Changed<()>, ChangeError> {
        if !there.may(Right::ProjectCreate) {
            return Err(ChangeError::Forbidden);
        }
        self.change(by, |state| {
            there.check(state, self.users(), self.now_ns())?;
            let old = known(state, project)?;
            if old.org == org {
                return Ok((Vec::new(), ()));
            }
            check_new(state, org, &old.name)?;
            let event = OrgEvent::ProjectMoved { project, org };
            Ok((vec![self.org_event(by, event)], ()))
        })
        .await
    }

    /// Lets a project take no more data, or take data again.
    pub async fn archive_project(
        &self,
        by: By,
        project: u64,
        archived: bool,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            let old = known(state, project)?;
            let event = OrgEvent::ProjectArchived { project, archived };
            let event = (old.is_archived != archived).then(|| self.org_event(by, event));
            Ok((event.into_iter().collect(), ()))
        })
        .await
    }

    /// Deletes a project: its keys open nothing and nobody sees its data from here on; the purge of the data
    /// follows.
    pub async fn delete_project(&self, by: By, project: u64) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            known(state, project)?;
            let event = OrgEvent::ProjectDeleted { project };
            Ok((vec![self.org_event(by, event)], ()))
        })
        .await
    }

    /// Notes that nothing of a deleted project is left.
    pub(crate) async fn note_purged(&self, project: u64, traces: u64) -> Result<(), ChangeError> {
        let event = OrgEvent::ProjectPurged { project, traces };
        let event = self.org_event(By::system(), event);
        self.append(vec![event]).await.map(drop)
    }

    /// Makes an environment of a project, or deletes it.
    pub async fn set_environment(
        &self,
        by: By,
        project: u64,
        name: &str,
        present: bool,
    ) -> Result<Changed<()>, ChangeError> {
        check_name(name)?;
        self.change(by, |state| {
            known(state, project)?;
            let is_there = state
                .projects
                .environments(project)
                .any(|other| &**other == name);
            if present && !is_there {
                let there = state.projects.environments(project).count();
                check_room("environments", there, ENVIRONMENTS_PER_PROJECT_MAX)?;
            }
            let event = OrgEvent::EnvironmentSet {
                project,
                name: name.to_owned(),
                present,
            };
            let event = (is_there != present).then(|| self.org_event(by, event));
            Ok((event.into_iter().collect(), ()))
        })
        .await
    }
}
