//! Workload generator and load command: what obsrv is measured with.
//!
//! `generator` makes agent traces, log lines and metric points from a seed and writes down the right
//! answers; `load` sends traces to a running server, checks what comes back against those answers, and
//! only then times it. `rows` writes the same rows for engines that do not speak OTLP.

pub mod generator;
pub mod load;
pub mod rows;
