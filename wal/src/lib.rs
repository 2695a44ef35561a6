//! The bottom crate: bytes that survive crashes.
//!
//! It knows files, frames, syncs and recovery, and nothing of spans, HTTP or JSON.
//! [`io`] holds the three injected interfaces (disk, clock, random numbers) so that crash tests
//! and simulation run the real code; [`sim`] is the simulated disk; [`log`] is the append-only log
//! that both the WAL and the manifest are made of. Bytes on disk are described in `FORMAT.md`.
#![deny(missing_docs)]

pub mod io;
pub mod log;
pub mod sim;
