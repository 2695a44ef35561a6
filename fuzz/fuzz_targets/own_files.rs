//! What obsrv keeps beside its log and what an operator writes for it is read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("own_files", &obsrv_fuzz::own_files::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::own_files::run(bytes);
});
