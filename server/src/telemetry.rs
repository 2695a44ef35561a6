//! Logs: JSON lines on stderr, or plain text when a person is looking. `OBSRV_LOG` sets the level.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging. Called once, by the binary.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("OBSRV_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // The default prints to stderr that stderr cannot be written, which panics.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        logs.with_target(false).compact().try_init()
    } else {
        logs.json().flatten_event(true).try_init()
    };
    // A second start is a test's: the first one's logs are good.
    drop(started);
}
