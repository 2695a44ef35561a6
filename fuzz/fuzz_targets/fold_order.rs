//! The fold of a row's events does not depend on their order, nor on how often they come.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| obsrv_fuzz::fold_order::run(bytes));
