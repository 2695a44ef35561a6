//! Any control events are read or refused, alone and one after the other: what an open makes of them is made, or the
//! open is refused.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("control_event", &obsrv_fuzz::control_event::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::control_event::run(bytes);
});
