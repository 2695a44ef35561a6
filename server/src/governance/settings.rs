//! Settings of a project as its owners write them.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{PLAN_NAME_BYTES_MAX, RETENTION_DAYS_MAX};
use crate::quota::{Limits, Plan, Rates};
use crate::redact::{Rules, RulesError};

/// What a project may set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectSettings {
    /// What is taken out of rows before they are stored; `None`: nothing, and bodies are logged as
    /// received.
    #[serde(default)]
    pub redaction: Option<Rules>,
    /// How much may be sent and asked per second.
    #[serde(default)]
    pub limits: Limits,
    /// How long rows are to be kept.
    #[serde(default)]
    pub retention: Retention,
}

/// What is kept for as long as it says, each on its own. Persisted: never reuse a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Class {
    /// Runs, their spans and scores.
    Traces,
    /// Log lines, those of traces too.
    Logs,
    /// Metric points.
    Metrics,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Logs, Self::Metrics];

    /// In the plural, as it is said.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "log lines",
            Self::Metrics => "points",
        }
    }
}

/// Days from the later of event and receive time; `None`: for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Runs, their spans and scores.
    #[serde(default)]
    pub traces_days: Option<u32>,
    /// Log lines.
    #[serde(default)]
    pub logs_days: Option<u32>,
    /// Metric points.
    #[serde(default)]
    pub metrics_days: Option<u32>,
}

/// Why settings are not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The rules of redaction.
    #[error("{0}")]
    Redaction(#[from] RulesError),
    /// Days that are out of range.
    #[error("days must be 1 to {RETENTION_DAYS_MAX}, or null for ever")]
    Days {
        /// Which class.
        field: &'static str,
    },
    /// A rate of nothing at all.
    #[error("a rate must be at least 1 per second, or null for no limit")]
    Rate {
        /// Whose: of the project or of its keys.
        field: &'static str,
    },
    /// A plan without a name, or with a long one.
    #[error("name must be 1 to {PLAN_NAME_BYTES_MAX} bytes of printable text")]
    PlanName,
}

impl ProjectSettings {
    /// Whether they are valid, but for the rules of redaction: those are compiled elsewhere.
    pub fn check(&self) -> Result<(), SettingsError> {
        for (field, rates) in [
            ("limits.project", &self.limits.project),
            ("limits.key", &self.limits.key),
        ] {
            check_rates(field, rates)?;
        }
        self.retention.check()
    }
}

fn check_rates(field: &'static str, rates: &Rates) -> Result<(), SettingsError> {
    if rates.list().contains(&Some(0)) {
        return Err(SettingsError::Rate { field });
    }
    Ok(())
}

/// Whether a plan is valid.
pub(super) fn check_plan(plan: &Plan) -> Result<(), SettingsError> {
    let fits = (1..=PLAN_NAME_BYTES_MAX).contains(&plan.name.len());
    if !fits || plan.name.chars().any(char::is_control) {
        return Err(SettingsError::PlanName);
    }
    Ok(())
}

impl SettingsError {
    /// The field that is wrong.
    pub fn field(&self) -> String {
        match self {
            Self::Redaction(error) => format!("redaction.{}", error.field()),
            Self::Days { field } => format!("retention.{field}"),
            Self::Rate { field } => (*field).to_owned(),
            Self::PlanName => "name".to_owned(),
        }
    }
}

impl Retention {
    /// Days for a class.
    pub const fn of(&self, class: Class) -> Option<u32> {
        match class {
            Class::Traces => self.traces_days,
            Class::Logs => self.logs_days,
            Class::Metrics => self.metrics_days,
        }
    }

    /// Whether everything is kept for ever.
    pub fn is_for_ever(&self) -> bool {
        Class::ALL.iter().all(|class| self.of(*class).is_none())
    }

    /// Whether all days are in range.
    pub fn check(&self) -> Result<(), SettingsError> {
        for (field, days) in [
            ("traces_days", self.traces_days),
            ("logs_days", self.logs_days),
            ("metrics_days", self.metrics_days),
        ] {
            if days.is_some_and(|days| !(1..=RETENTION_DAYS_MAX).contains(&days)) {
                return Err(SettingsError::Days { field });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_have_a_name_and_rates_a_value() {
        let named = |n: usize| Plan {
            name: "n".repeat(n),
            ..Plan::default()
        };
        assert!(check_plan(&named(1)).is_ok() && check_plan(&named(PLAN_NAME_BYTES_MAX)).is_ok());
        for n in [0, PLAN_NAME_BYTES_MAX + 1] {
            assert_eq!(check_plan(&named(n)), Err(SettingsError::PlanName));
        }
        let mut settings = ProjectSettings::default();
        settings.limits.key.bytes_per_second = Some(1);
        assert_eq!(settings.check(), Ok(()));
        settings.limits.key.bytes_per_second = Some(0);
        assert_eq!(settings.check().unwrap_err().field(), "limits.key");
    }

    #[test]
    fn retention_by_class_within_its_limits() {
        let set = |days: u32| Retention {
            logs_days: Some(days),
            ..Retention::default()
        };
        assert_eq!(
            Class::ALL.map(|class| set(3).of(class)),
            [None, Some(3), None]
        );
        assert!(Retention::default().is_for_ever() && !set(3).is_for_ever());
        assert!(set(1).check().is_ok() && set(RETENTION_DAYS_MAX).check().is_ok());
        for days in [0, RETENTION_DAYS_MAX + 1] {
            assert_eq!(
                set(days).check().unwrap_err().field(),
                "retention.logs_days"
            );
        }
    }
}
