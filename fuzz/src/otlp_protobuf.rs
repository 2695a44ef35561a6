//! Any bytes are an OTLP request in protobuf or an error, for each of the three signals.

use super::decodes_or_refuses;
use obsrv_server::dialect::Dialect;

/// One execution.
pub fn run(bytes: &[u8]) {
    let signals = [
        Dialect::OtlpProtobuf,
        Dialect::OtlpLogsProtobuf,
        Dialect::OtlpMetricsProtobuf,
    ];
    decodes_or_refuses(signals, bytes);
}
