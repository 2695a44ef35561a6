//! Changes of experiments.

use super::{By, ChangeError, Changed, ControlPlane, check_room};
use crate::control::{Act, ControlEvent};
use crate::limits::EXPERIMENTS_PER_PROJECT_MAX;
use crate::tenancy::experiments::{
    Experiment, ExperimentEvent, ExperimentHeld, Terms, TermsError, check_id,
};

/// Why an experiment was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// Somebody else changed it first.
    #[error("the experiment has changed meanwhile, read it again revision={0}")]
    Revision(u64),
    /// It is none.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// Not made.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl ControlPlane {
    fn experiment_event(by: By, event: ExperimentEvent, at_ns: i64) -> ControlEvent {
        ControlEvent::Experiments(Act {
            actor: by.actor,
            at_ns,
            event,
        })
    }

    /// Makes an experiment, with an id of its own if none is given.
    pub(crate) async fn create_experiment(
        &self,
        by: By,
        (project, id): (u64, Option<String>),
        terms: Terms,
    ) -> Result<Changed<ExperimentHeld>, ExperimentError> {
        let id = id.unwrap_or_else(|| self.mint_experiment_id());
        check_id(&id, "id")?;
        terms.check()?;
        let made = self.change(by, |state| {
            let known = state.projects.get(project).map(drop);
            known.ok_or(ChangeError::Unknown("project"))?;
            let all = &state.experiments;
            if all.get(project, &id).is_some() {
                return Err(ChangeError::Conflict("an experiment of this id exists"));
            }
            let there = all.count(project);
            check_room("experiments", there, EXPERIMENTS_PER_PROJECT_MAX)?;
            let experiment = Experiment {
                number: all.next_number(),
                project,
                id,
                revision: 1,
                terms,
            };
            let at_ns = self.now_ns();
            let held = ExperimentHeld {
                experiment,
                created_ns: at_ns,
                at_ns,
                revisions_gone: all.revisions_gone(project),
            };
            Ok((vec![Self::set(by, &held)], held))
        });
        Ok(made.await?)
    }

    /// Puts other terms in the place of an experiment's, if nobody did since `revision`.
    pub(crate) async fn replace_experiment(
        &self,
        by: By,
        (project, id): (u64, &str),
        revision: u64,
        terms: Terms,
    ) -> Result<Changed<ExperimentHeld>, ExperimentError> {
        terms.check()?;
        let changed = self.change(by, |state| {
            let held = state.experiments.get(project, id);
            let held = held.ok_or(ChangeError::Unknown("experiment"))?;
            let before = &held.experiment;
            // No other change comes between this look and the event.
            if held.revision() != revision {
                let now = held.revision();
                return Ok((Vec::new(), Err(ExperimentError::Revision(now))));
            }
            let experiment = Experiment {
                revision: before.revision + 1,
                terms,
                id: before.id.clone(),
                ..*before
            };
            let made = ExperimentHeld {
                experiment,
                at_ns: self.now_ns(),
                ..*held
            };
            Ok((vec![Self::set(by, &made)], Ok(made)))
        });
        let Changed { made, place } = changed.await?;
        made.map(|made| Changed { made, place })
    }

    /// Deletes an experiment. Its id is free from then on.
    pub(crate) async fn delete_experiment(
        &self,
        by: By,
        project: u64,
        id: &str,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(by, |state| {
            let held = state.experiments.get(project, id);
            held.ok_or(ChangeError::Unknown("experiment"))?;
            let event = ExperimentEvent::Deleted {
                project,
                id: id.to_owned(),
            };
            let event = Self::experiment_event(by, event, self.now_ns());
            Ok((vec![event], ()))
        })
        .await
    }

    /// The event that makes an experiment this.
    fn set(by: By, made: &ExperimentHeld) -> ControlEvent {
        let event = ExperimentEvent::Set(made.experiment.clone());
        Self::experiment_event(by, event, made.at_ns)
    }

    fn mint_experiment_id(&self) -> String {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        format!("exp_{:016x}", u64::from_le_bytes(bytes))
    }
}
