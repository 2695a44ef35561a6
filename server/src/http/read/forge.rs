//! What questions say in JSON, and what comes in over a WebSocket: for fuzzing.

use super::ask::Over;
use super::{filter_json, langfuse, theazo};

const OVER: [Over; 5] = [
    Over::Traces,
    Over::Spans,
    Over::Scores,
    Over::Logs,
    Over::Points,
];

/// Whether a filter in JSON reads, over rows of some sort.
pub fn filter_reads(over: u8, text: &str) -> bool {
    let over = OVER[usize::from(over) % OVER.len()];
    filter_json::parse(over, ("filter", text), 1 << 60).is_ok()
}

/// Whether the conditions of a Langfuse client read; or its question of numbers.
pub fn conditions_read(over: u8, text: &str) -> bool {
    langfuse::reads(OVER[usize::from(over) % OVER.len()], text)
}

/// Whether a client's frames of a WebSocket read to their end.
pub fn socket_reads(bytes: &[u8]) -> bool {
    theazo::socket_reads(bytes)
}
