//! Sends the workload to a server and measures it.
//!
//! Owns the client's threads: one per connection, each with one request in flight. Latencies are
//! taken by wall clock from the first byte written to the last byte of the answer read; with a
//! rate given, from the moment at which the request was due, so that a stall counts for every
//! request that it delays.
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring client's clock is the real one"
)]

pub mod arguments;
pub mod client;
pub mod cpus;
pub mod flow;
pub mod ingest;
pub mod mix;
pub mod process;
pub mod queries;
pub mod server;
pub mod settings;
pub mod watch;
pub mod written;

/// Why a measurement stopped.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system refused.
    #[error("load failed")]
    Io(#[from] std::io::Error),
    /// The server gave an answer that no retry cures.
    #[error("request refused status={status} body={body}")]
    Refused {
        /// Its status code.
        status: u16,
        /// The begin of its body.
        body: String,
    },
    /// The server took a request but not every span of it.
    #[error("request accepted in part body={0}")]
    Partial(String),
    /// An answer that differs from the manifest.
    #[error("wrong answer query={query} expected={expected} got={got}")]
    Wrong {
        /// What was asked.
        query: String,
        /// What the manifest says.
        expected: String,
        /// What came.
        got: String,
    },
    /// An argument that makes no sense.
    #[error("bad argument {0}")]
    Argument(String),
}
