//! Aggregates against a row-by-row oracle that shares no arithmetic with them.

mod limits;
mod oracle;
mod property;

use super::super::tests::rows;
