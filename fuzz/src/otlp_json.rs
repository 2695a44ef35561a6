//! Any bytes are an OTLP request in JSON or an error, for each of the three signals.

use super::decodes_or_refuses;
use obsrv_server::dialect::Dialect;

/// One execution.
pub fn run(bytes: &[u8]) {
    decodes_or_refuses(
        [
            Dialect::OtlpJson,
            Dialect::OtlpLogsJson,
            Dialect::OtlpMetricsJson,
        ],
        bytes,
    );
}
