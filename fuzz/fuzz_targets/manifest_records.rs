//! Any record of a manifest is read or refused, and a repair finds in it what an open reads.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("manifest_records", &obsrv_fuzz::manifest_records::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::manifest_records::run(bytes);
});
