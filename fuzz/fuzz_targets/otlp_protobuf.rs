//! Any bytes are an OTLP request in protobuf or an error, for each of the three signals.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsrv_fuzz::decodes_or_refuses;
use obsrv_server::dialect::Dialect;

fuzz_target!(|bytes: &[u8]| {
    let signals =
        [Dialect::OtlpProtobuf, Dialect::OtlpLogsProtobuf, Dialect::OtlpMetricsProtobuf];
    decodes_or_refuses(signals, bytes);
});
