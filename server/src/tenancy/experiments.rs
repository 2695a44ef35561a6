//! Experiments of a project: events, what follows from them, and what an experiment must be.
//!
//! Clients choose the arm, so what they cannot work with is refused here: see [`Terms::check`].
//!
//! Persisted: variants and fields are appended, never changed.

use std::collections::{BTreeMap, HashMap, HashSet};

use bincode::{Decode, Encode};

use super::directory::{DirectoryError, is_name};
use crate::limits::{
    EXPERIMENT_ARMS_MAX, EXPERIMENT_BYTES_MAX, EXPERIMENT_ID_BYTES_MAX, PROJECT_NAME_BYTES_MAX,
};

/// Of what the arms together have all.
const PERCENT: u64 = 100;

/// One of the ways between which an experiment decides.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Arm {
    /// Its id, which traces carry; unique in the experiment.
    pub id: String,
    /// For people.
    pub name: String,
    /// What to ask with.
    pub prompt_snapshot: Option<String>,
    /// Which model to ask.
    pub model: Option<String>,
    /// How many of a hundred users.
    pub traffic_pct: u32,
}

/// What somebody decides of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Terms {
    /// For people.
    pub name: String,
    /// In the order in which clients go through them.
    pub arms: Vec<Arm>,
}

/// An experiment as it is from here on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Experiment {
    /// Its place among all of them; never used twice.
    pub number: u64,
    /// Of which project.
    pub project: u64,
    /// Its id, which programs name; unique in the project.
    pub id: String,
    /// Which change of this number it is, from 1; see [`ExperimentHeld::revision`].
    pub revision: u64,
    /// What it decides.
    pub terms: Terms,
}

/// One fact about experiments.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ExperimentEvent {
    /// An experiment is this from here on.
    Set(Experiment),
    /// An experiment is gone.
    Deleted {
        /// Of which project.
        project: u64,
        /// Its id.
        id: String,
    },
}

impl ExperimentEvent {
    /// In which project.
    pub const fn project(&self) -> u64 {
        match self {
            Self::Set(experiment) => experiment.project,
            Self::Deleted { project, .. } => *project,
        }
    }
}

/// Why an experiment is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Not an id.
    #[error(
        "an id is 1 to {EXPERIMENT_ID_BYTES_MAX} letters, digits, `.`, `_`, `-`, and begins with a letter or a digit"
    )]
    Id {
        /// Where it stands.
        at: String,
    },
    /// Not a name.
    #[error("a name must be 1 to {PROJECT_NAME_BYTES_MAX} bytes of printable text")]
    Name {
        /// Where it stands.
        at: String,
    },
    /// Clients choose from nothing.
    #[error("an experiment needs an arm: clients that find none fail")]
    NoArm,
    /// More arms than there may be.
    #[error("too many arms arms={0} max={EXPERIMENT_ARMS_MAX}")]
    Arms(usize),
    /// Two arms of one id.
    #[error("another arm has this id")]
    Twice {
        /// Where the second one stands.
        at: String,
    },
    /// Some users would have no arm, or some arm no user.
    #[error("percentages must add up to {PERCENT} sum={0}")]
    Sum(u64),
    /// It stays in memory, so it is bounded.
    #[error("an experiment is too large bytes={0} max={EXPERIMENT_BYTES_MAX}")]
    Bytes(usize),
}

impl TermsError {
    /// Which member of the request is meant.
    pub fn field(&self) -> &str {
        match self {
            Self::Id { at } | Self::Name { at } | Self::Twice { at } => at,
            Self::NoArm | Self::Arms(_) | Self::Sum(_) | Self::Bytes(_) => "arms",
        }
    }
}

/// Refuses what is no id of an experiment or an arm. Clients put it into a path as it is.
pub fn check_id(id: &str, at: &str) -> Result<(), TermsError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=EXPERIMENT_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(fits)
        && id.as_bytes()[0].is_ascii_alphanumeric()
    {
        Ok(())
    } else {
        Err(TermsError::Id { at: at.to_owned() })
    }
}

impl Terms {
    /// Refuses what clients cannot work with, or what takes too much room.
    pub fn check(&self) -> Result<(), TermsError> {
        check_named(&self.name, "name")?;
        if self.arms.is_empty() {
            return Err(TermsError::NoArm);
        }
        if self.arms.len() > EXPERIMENT_ARMS_MAX {
            return Err(TermsError::Arms(self.arms.len()));
        }
        let mut ids = HashSet::new();
        for (n, arm) in self.arms.iter().enumerate() {
            let at = format!("arms[{n}].id");
            check_id(&arm.id, &at)?;
            check_named(&arm.name, &format!("arms[{n}].name"))?;
            if !ids.insert(&arm.id) {
                return Err(TermsError::Twice { at });
            }
        }
        let sum = self.arms.iter().map(|arm| u64::from(arm.traffic_pct)).sum();
        if sum != PERCENT {
            return Err(TermsError::Sum(sum));
        }
        let bytes = self.bytes();
        if bytes > EXPERIMENT_BYTES_MAX {
            return Err(TermsError::Bytes(bytes));
        }
        Ok(())
    }

    /// Bytes of its texts.
    fn bytes(&self) -> usize {
        let of_arm = |arm: &Arm| {
            let maybe = [&arm.prompt_snapshot, &arm.model];
            let maybe = maybe.into_iter().flatten().map(String::len).sum::<usize>();
            arm.id.len() + arm.name.len() + maybe
        };
        self.name.len() + self.arms.iter().map(of_arm).sum::<usize>()
    }
}

fn check_named(name: &str, at: &str) -> Result<(), TermsError> {
    if is_name(name) {
        Ok(())
    } else {
        Err(TermsError::Name { at: at.to_owned() })
    }
}

/// An experiment in memory.
#[derive(Clone, Debug)]
pub(crate) struct ExperimentHeld {
    pub(crate) experiment: Experiment,
    pub(crate) created_ns: i64,
    pub(crate) at_ns: i64,
    /// Revisions that deleted experiments may have had, when this one was made.
    pub(crate) revisions_gone: u64,
}

impl ExperimentHeld {
    /// Which revision others are told. No experiment that had its id before was told the same: a change that was made from
    /// that one is refused.
    pub(crate) const fn revision(&self) -> u64 {
        self.revisions_gone + self.experiment.revision
    }
}

/// Experiments of one project.
#[derive(Debug, Default)]
struct OfProject {
    held: BTreeMap<u64, ExperimentHeld>,
    numbers: HashMap<String, u64>,
    /// The highest revision of those that are deleted: one for all ids, so that deleted ones take no room.
    revisions_gone: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Experiments {
    projects: HashMap<u64, OfProject>,
    /// The highest number so far.
    last: u64,
}

impl Experiments {
    pub(crate) fn next_number(&self) -> u64 {
        self.last + 1
    }

    /// Those of a project after this number, oldest first.
    pub(crate) fn of_project(
        &self,
        project: u64,
        after: u64,
    ) -> impl Iterator<Item = &ExperimentHeld> {
        let held = self.projects.get(&project).into_iter();
        held.flat_map(move |of| of.held.range(after.saturating_add(1)..))
            .map(|(_, held)| held)
    }

    pub(crate) fn get(&self, project: u64, id: &str) -> Option<&ExperimentHeld> {
        let of_project = self.projects.get(&project)?;
        of_project.held.get(of_project.numbers.get(id)?)
    }

    /// See [`ExperimentHeld::revisions_gone`]: of one that is made now.
    pub(crate) fn revisions_gone(&self, project: u64) -> u64 {
        let of_project = self.projects.get(&project);
        of_project.map_or(0, |of| of.revisions_gone)
    }

    /// How many a project has.
    pub(crate) fn count(&self, project: u64) -> usize {
        self.projects.get(&project).map_or(0, |of| of.held.len())
    }

    pub(super) fn apply(
        &mut self,
        event: &ExperimentEvent,
        at_ns: i64,
    ) -> Result<(), DirectoryError> {
        let of_project = self.projects.entry(event.project()).or_default();
        match event {
            ExperimentEvent::Set(experiment) => {
                let number = experiment.number;
                self.last = self.last.max(number);
                let before = of_project.held.get(&number);
                let (created_ns, revisions_gone) = before
                    .map_or((at_ns, of_project.revisions_gone), |held| {
                        (held.created_ns, held.revisions_gone)
                    });
                of_project.numbers.insert(experiment.id.clone(), number);
                let held = ExperimentHeld {
                    experiment: experiment.clone(),
                    created_ns,
                    at_ns,
                    revisions_gone,
                };
                of_project.held.insert(number, held);
            }
            ExperimentEvent::Deleted { project, id } => {
                let number = of_project.numbers.remove(id);
                let gone = number.and_then(|number| of_project.held.remove(&number));
                let gone = gone.ok_or(DirectoryError::Unknown {
                    what: "experiment of project",
                    id: *project,
                })?;
                of_project.revisions_gone = of_project.revisions_gone.max(gone.revision());
            }
        }
        Ok(())
    }

    /// A project is gone.
    pub(super) fn forget(&mut self, project: u64) {
        self.projects.remove(&project);
    }
}

#[cfg(test)]
mod tests;
