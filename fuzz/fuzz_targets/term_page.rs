//! A page of a term index is read or refused, and never has more than its bytes can hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsrv_engine::segment::count_terms;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((terms, postings)) = count_terms(bytes) {
        assert!(terms <= postings && postings <= bytes.len(), "more than the bytes hold");
    }
});
