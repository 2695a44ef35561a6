//! Whatever comes in over a WebSocket is frames that are answered or an end of the connection.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("socket", &obsrv_fuzz::socket::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::socket::run(bytes);
});
