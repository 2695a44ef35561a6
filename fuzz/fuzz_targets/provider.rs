//! Whatever a provider of identities says is keys or claims that read, or is refused.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("provider", &obsrv_fuzz::provider::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::provider::run(bytes);
});
