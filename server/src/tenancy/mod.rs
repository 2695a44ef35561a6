//! Organizations, people in them, projects, keys: what there is, who may do what, and every change
//! of it as an event in the log.

pub mod audit;
pub mod directory;
pub mod event;
pub mod experiments;
pub mod plane;
pub mod purge;
pub mod role;
pub mod views;

pub use directory::{Directory, DirectoryError, Project};
pub use event::{Grantee, NewInvitation, NewKey, OrgEvent, OrgId, UserId};
pub use plane::{ChangeError, ControlPlane};
pub use role::{Right, Rights, Role, Scope, Scopes, allows};

/// The organization of projects that were made before there were organizations, and of the first start.
pub const FIRST_ORG: OrgId = OrgId(1);
