//! What the engine needs of the world, so that a cluster can give it otherwise: objects that are
//! put once ([`Store`]), a log of records ([`RecordLog`]) and the list of what counts
//! ([`Catalog`]). Local files are behind each of them: [`LocalStore`], [`obsrv_wal::log::Log`] and
//! [`crate::manifest::Manifest`].

mod catalog;
mod local;
mod log;
mod store;

pub use catalog::Catalog;
pub use local::LocalStore;
pub use log::{Position, RecordLog};
pub use store::{Object, Store, Upload};
