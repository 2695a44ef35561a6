//! A page of a term index is read or refused, and never has more than its bytes can hold.

use obsrv_engine::segment::count_terms;

/// One execution.
pub fn run(bytes: &[u8]) {
    if let Ok((terms, postings)) = count_terms(bytes) {
        assert!(
            terms <= postings && postings <= bytes.len(),
            "more than the bytes hold"
        );
    }
}
