//! Any record of the log is read or refused, and so is what the quarantine keeps of one; what is read is written as
//! the same.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("log_record", &obsrv_fuzz::log_record::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::log_record::run(bytes);
});
