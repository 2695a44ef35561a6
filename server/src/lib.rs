//! HTTP, dialects, keys: everything between a socket and the engine.

mod admin;
pub mod cli;
pub mod control;
mod control_plane;
pub mod dialect;
pub mod directory;
pub mod http;
mod interpreter;
pub mod keys;
pub mod limits;
mod net;
mod secret;
pub mod serve;
mod telemetry;
mod wire;
