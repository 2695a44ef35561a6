//! HTTP, dialects, keys: everything between a socket and the engine.

mod admin;
pub mod blob;
mod buckets;
pub mod cli;
pub mod control;
pub mod dialect;
#[cfg(feature = "forge")]
pub mod forge;
pub mod governance;
pub mod http;
mod interpreter;
pub mod keys;
pub mod limits;
mod machine;
pub mod net;
pub mod offload;
pub mod price;
pub mod quota;
pub mod redact;
mod remap;
pub mod secret;
pub mod serve;
pub mod signin;
mod sweep;
mod telemetry;
pub mod tenancy;
mod uses;
mod wire;
