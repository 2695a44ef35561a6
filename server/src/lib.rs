//! HTTP, dialects, keys: everything between a socket and the engine.

pub mod control;
pub mod dialect;
pub mod directory;
mod engine_stub;
pub mod http;
mod interpreter;
pub mod keys;
pub mod limits;
mod wire;
