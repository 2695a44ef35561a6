//! Any text is a `TraceQL` query or an error that points into the text; how a query is told is the same query.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("traceql_parse", &obsrv_fuzz::traceql_parse::seeds()), |text: &str| {
    obsrv_fuzz::traceql_parse::run(text);
});
