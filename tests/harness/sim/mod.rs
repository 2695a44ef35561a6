//! The crash simulator: the binary's own engine and job steps on the simulated disk.
//!
//! A [`World`] is one disk and the ledger of what was asked of the engine on it, kept outside. It
//! goes through many crashes without being wiped, because recovery bugs compound. After each
//! recovery [`World::check`] holds the engine against the ledger.

mod check;
mod cover;
mod desk;
mod expected;
mod ledger;
mod lives;
mod lying;
mod meanwhile;
mod weave;
mod work;
mod world;

pub use check::Finding;
pub use cover::{Coverage, Ill, Marks, Record, Step};
pub use lives::{LIVES, lives, slow_lives};
pub use lying::{Lie, LyingDisk};
pub use world::{Flaw, Outcome, World};
