//! Harness shared by the suites.

pub mod sim;
pub mod toy;
