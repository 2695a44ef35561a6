//! Harness shared by the suites.

pub mod model;
pub mod sim;
pub mod toy;
