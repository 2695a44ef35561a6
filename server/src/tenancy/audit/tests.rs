//! The chain of hashes, and pages of records.
