//! HTTP, dialects, keys.

pub mod dialect;
