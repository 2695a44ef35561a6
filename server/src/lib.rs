//! HTTP, dialects, keys.
