//! Any bytes are an OTLP request in JSON or an error, for each of the three signals.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsrv_fuzz::decodes_or_refuses;
use obsrv_server::dialect::Dialect;

fuzz_target!(|bytes: &[u8]| {
    decodes_or_refuses([Dialect::OtlpJson, Dialect::OtlpLogsJson, Dialect::OtlpMetricsJson], bytes);
});
