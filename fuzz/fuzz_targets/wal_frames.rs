//! Whatever files of a log say, with right checksums, recovery reads or refuses; what it reads goes on as a log
//! that a second recovery reads alike.
#![no_main]

libfuzzer_sys::fuzz_target!(init: obsrv_fuzz::seed("wal_frames", &obsrv_fuzz::wal_frames::seeds()), |bytes: &[u8]| {
    obsrv_fuzz::wal_frames::run(bytes);
});
