//! Any document that is stored is mapped again to one that can be stored, and says which files its trace has.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("stored_doc", &obsrv_fuzz::stored_doc::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::stored_doc::run(bytes);
});
