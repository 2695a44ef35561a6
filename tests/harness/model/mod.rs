//! A second opinion: what the engine must answer, worked out row by row.
//!
//! Everything here is written from the rules (ARCHITECTURE.md, the docs of the engine's `fold`,
//! `run`, `doc` and `query`) and shares no code with the engine beyond its plain data types. The one
//! exception: which of two events with one version wins is the order of [`Stamp`]s, which are taken
//! from the engine; that no two events have one stamp is checked.
//!
//! [`Case`] is a workload made from a seed, [`run`] holds an engine on the simulated disk against the
//! model all along, [`shrink`] makes a failing one small.
//!
//! [`Stamp`]: obsrv_engine::row::Stamp

mod answer;
mod asking;
mod bulk;
mod compare;
mod coverage;
mod facts;
mod figures;
mod fold;
mod machine;
mod make;
mod meanwhile;
mod questions;
mod rollup;
mod scored;
mod shrink;
mod state;
mod text;
mod value;
mod vocabulary;

pub use coverage::Coverage;
pub use machine::run;
pub use make::{Case, Op};
pub use shrink::shrink;
