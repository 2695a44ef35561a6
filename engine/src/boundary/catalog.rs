//! The list of what counts: live segments, their dead rows, the watermark, control events.

use std::fmt::Debug;

use obsrv_wal::log::LogError;

use crate::manifest::{Edit, Manifest, State};
use crate::row::Lsn;

/// Edits in one order, each durable before it counts.
pub trait Catalog: Send + Debug {
    /// Makes an edit durable, then part of the state.
    ///
    /// # Errors
    /// `NoSpace`: it is not stored and may be tried again. After another error it is not known.
    fn commit(&mut self, edit: &Edit) -> Result<(), LogError>;

    /// Writes down, durably, that the last edit is durable, and every record up to `logged`, if nothing does yet.
    ///
    /// # Errors
    /// As [`Catalog::commit`].
    fn witness(&mut self, logged: Lsn) -> Result<(), LogError>;

    /// What counts after the last edit.
    fn state(&self) -> &State;
}

impl Catalog for Manifest {
    fn commit(&mut self, edit: &Edit) -> Result<(), LogError> {
        Self::commit(self, edit)
    }

    fn witness(&mut self, logged: Lsn) -> Result<(), LogError> {
        Self::witness(self, logged)
    }

    fn state(&self) -> &State {
        Self::state(self)
    }
}
