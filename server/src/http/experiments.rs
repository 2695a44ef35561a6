//! `/v1/experiments`: between which arms programs choose. The paths without a project are those of the theta client, for whom a
//! key names the project.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Access, ProjectEdit, ProjectSee};
use super::answers::{self, List, Receipt};
use super::error::{ApiError, ErrorCode};
use super::input::{InPath, Input, Page};
use super::params::Params;
use super::routes::Routes;
use crate::dialect::format_micros;
use crate::tenancy::experiments::{Arm, ExperimentHeld, Terms};
use crate::tenancy::plane::{Changed, ExperimentError};

/// One of the ways between which an experiment decides.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ArmShown {
    /// Its id, unique in the experiment: what traces have as `metadata.experiment_arm_id`.
    id: String,
    /// For people; the id if not given.
    #[serde(default)]
    name: String,
    /// What to ask with.
    prompt_snapshot: Option<String>,
    /// Which model to ask.
    model: Option<String>,
    /// How many of a hundred users. Those of all arms add up to 100.
    traffic_pct: u32,
}

impl ArmShown {
    fn arm(self) -> Arm {
        let name = if self.name.is_empty() {
            self.id.clone()
        } else {
            self.name
        };
        Arm {
            id: self.id,
            name,
            prompt_snapshot: self.prompt_snapshot,
            model: self.model,
            traffic_pct: self.traffic_pct,
        }
    }

    fn of(arm: &Arm) -> Self {
        Self {
            id: arm.id.clone(),
            name: arm.name.clone(),
            prompt_snapshot: arm.prompt_snapshot.clone(),
            model: arm.model.clone(),
            traffic_pct: arm.traffic_pct,
        }
    }
}

fn terms(name: String, arms: Vec<ArmShown>) -> Terms {
    let arms = arms.into_iter().map(ArmShown::arm).collect();
    Terms { name, arms }
}

/// An experiment as it is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewExperiment {
    /// Its id, unique in the project; a fresh one if not given. Which user gets which arm follows from it.
    id: Option<String>,
    /// For people.
    name: String,
    /// At least one, in the order in which clients go through them.
    arms: Vec<ArmShown>,
}

/// What an experiment is to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExperimentChange {
    /// Of the experiment that the change was made from.
    revision: u64,
    /// For people.
    name: String,
    /// All of them.
    arms: Vec<ArmShown>,
}

/// An experiment.
#[derive(Debug, Serialize, JsonSchema)]
struct ExperimentShown {
    id: String,
    name: String,
    /// Never empty.
    arms: Vec<ArmShown>,
    /// Rises with each change. No experiment of this id had it before, whichever were deleted.
    revision: u64,
    created_at: String,
    updated_at: String,
}

impl ExperimentShown {
    fn of(held: &ExperimentHeld) -> Self {
        let experiment = &held.experiment;
        Self {
            id: experiment.id.clone(),
            name: experiment.terms.name.clone(),
            arms: experiment.terms.arms.iter().map(ArmShown::of).collect(),
            revision: held.revision(),
            created_at: format_micros(held.created_ns),
            updated_at: format_micros(held.at_ns),
        }
    }
}

/// An experiment after a change.
type ExperimentChanged = answers::Changed<ExperimentShown>;

impl From<Changed<ExperimentHeld>> for ExperimentChanged {
    fn from(Changed { made, place }: Changed<ExperimentHeld>) -> Self {
        Self {
            shown: ExperimentShown::of(&made),
            receipt: Receipt::of(place),
        }
    }
}

impl From<ExperimentError> for ApiError {
    fn from(error: ExperimentError) -> Self {
        let said = error.to_string();
        match error {
            ExperimentError::Revision(_) => Self::new(ErrorCode::Conflict, said).at("revision"),
            ExperimentError::Terms(terms) => {
                Self::new(ErrorCode::InvalidRequest, said).at(terms.field())
            }
            ExperimentError::Change(error) => error.into(),
        }
    }
}

pub(super) fn add(routes: &mut Routes) {
    for path in ["/v1/projects/{project}/experiments", "/v1/experiments"] {
        routes
            .get(path, ProjectSee, list)
            .says("Experiments of a project, oldest first.")
            .asks("after", "`next` of the page before")
            .asks("limit", "how many")
            .gives::<List<ExperimentShown>>();
        routes
            .post(path, ProjectEdit, create)
            .says("Make an experiment: arms, and how many of a hundred users each gets.")
            .takes::<NewExperiment>()
            .gives::<ExperimentChanged>();
        let one = format!("{path}/{{experiment}}");
        routes
            .get(&one, ProjectSee, show)
            .says("An experiment, as the theta client reads it.")
            .gives::<ExperimentShown>();
        routes
            .put(&one, ProjectEdit, replace)
            .says("Put other arms in the place of an experiment's, if it still has the revision.")
            .takes::<ExperimentChange>()
            .gives::<ExperimentChanged>();
        routes
            .delete(&one, ProjectEdit, delete)
            .says("Delete an experiment. Traces keep what they say of it.")
            .gives::<Receipt>();
    }
}

async fn list(
    access: Access<ProjectSee>,
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
) -> Result<List<ExperimentShown>, ApiError> {
    let page = Page::of(&Params::parse(raw.as_deref().unwrap_or(""))?, &[])?;
    let project = access.tenant().project().0;
    let (items, next) = app.core()?.directory().read(|state| {
        let all = state.experiments.of_project(project, page.after);
        let (held, next) = page.cut(all, |held| held.experiment.number);
        (held.into_iter().map(ExperimentShown::of).collect(), next)
    });
    Ok(List { items, next })
}

async fn show(
    access: Access<ProjectSee>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Json<ExperimentShown>, ApiError> {
    let (project, id) = (access.tenant().project().0, place.text("experiment"));
    let found = app.core()?.directory().read(|state| {
        let held = state.experiments.get(project, id);
        held.map(ExperimentShown::of)
    });
    let none = || ApiError::new(ErrorCode::NotFound, "no such experiment");
    found.map(Json).ok_or_else(none)
}

async fn create(
    access: Access<ProjectEdit>,
    State(app): State<Arc<App>>,
    Input(new): Input<NewExperiment>,
) -> Result<Response, ApiError> {
    let (plane, project) = (app.core()?.plane(), access.tenant().project().0);
    let made = plane
        .create_experiment(access.by(), (project, new.id), terms(new.name, new.arms))
        .await?;
    let answer = Json(ExperimentChanged::from(made));
    Ok((StatusCode::CREATED, answer).into_response())
}

async fn replace(
    access: Access<ProjectEdit>,
    State(app): State<Arc<App>>,
    place: InPath,
    Input(change): Input<ExperimentChange>,
) -> Result<Json<ExperimentChanged>, ApiError> {
    let (plane, project) = (app.core()?.plane(), access.tenant().project().0);
    let of = (project, place.text("experiment"));
    let terms = terms(change.name, change.arms);
    let changed = plane
        .replace_experiment(access.by(), of, change.revision, terms)
        .await?;
    Ok(Json(changed.into()))
}

async fn delete(
    access: Access<ProjectEdit>,
    State(app): State<Arc<App>>,
    place: InPath,
) -> Result<Receipt, ApiError> {
    let (plane, project) = (app.core()?.plane(), access.tenant().project().0);
    let id = place.text("experiment");
    let deleted = plane.delete_experiment(access.by(), project, id).await?;
    Ok(Receipt::of(deleted.place))
}

#[cfg(test)]
mod tests;
