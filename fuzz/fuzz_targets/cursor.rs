//! What the server hands out to be brought back, and where files of a trace are kept, is read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("cursor", &obsrv_fuzz::cursor::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::cursor::run(bytes);
});
