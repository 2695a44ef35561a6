//! Facts of governance as the log holds them. Persisted: variants and fields are appended, never changed.

use bincode::{Decode, Encode};

use super::Class;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum GovernanceEvent {
    /// A project has other settings from here on.
    ProjectSettings {
        /// The project.
        project: u64,
        /// One more than before; the first is 1.
        revision: u64,
        /// The settings as JSON: fields that an older obsrv does not know stop it from starting,
        /// fields that an older one did not write have their defaults.
        settings: String,
    },
    /// An organization has another plan from here on.
    Plan {
        /// The organization.
        organization: u64,
        /// The plan as JSON; the same holds as for settings.
        plan: String,
    },
    /// Something was deleted because it was older than its project keeps it.
    Expired {
        /// The project.
        project: u64,
        /// What.
        class: Class,
        /// How many.
        count: u64,
        /// They ended and came before this, nanoseconds since the epoch.
        before_ns: i64,
    },
    /// Nothing but that it is so late: what stands before it in the log was received before.
    TimeNoted,
    /// An organization has other prices from here on.
    Prices {
        /// The organization.
        organization: u64,
        /// One more than before; the first is 1.
        revision: u64,
        /// The table as JSON: see `price/README.md`.
        table: String,
    },
}
