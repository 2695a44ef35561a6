//! Between two steps of a long write.
//!
//! A merge is written a payload block, a column or a run of terms at a time. After each of them it asks whether to
//! go on, and whoever is asked may let others go first.

use super::WriteError;

/// Asked between two steps.
pub(crate) trait Steps {
    /// Returns once the next step is to be done.
    ///
    /// # Errors
    /// It is not to be done: what was written so far is let go.
    fn next(&self) -> Result<(), Stopped>;
}

/// The write is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

impl From<Stopped> for WriteError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// One step behind the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtOnce;

impl Steps for AtOnce {
    fn next(&self) -> Result<(), Stopped> {
        Ok(())
    }
}
