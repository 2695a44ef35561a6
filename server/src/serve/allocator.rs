//! How soon freed memory goes back to the system.
//!
//! The allocator keeps what is freed for a second and asks for huge pages: fast, and with a small budget more than
//! the budget allows. Under 8 writers and as many readers `--memory 128MiB` came to 273 MiB, of which obsrv held 90. Beyond
//! small budgets that is worth its speed while there is room; what is kept goes back once the process has its budget
//! in memory. The allocator would do so by itself, but looks only when something is freed, and at parts: hours of load at
//! 512 MiB stood at 870.

use std::ffi::{c_int, c_long};
use std::time::Duration;

use tokio::time::interval;

use crate::machine::resident_bytes;

// Links the symbol below; the binary makes it the allocator.
use mimalloc as _;

/// How often it is looked how much there is in memory.
const LOOK_TIME: Duration = Duration::from_millis(250);
/// Budgets up to this are kept at the price of processor time.
const SMALL_BYTES: u64 = 256 << 20;
/// `mi_option_purge_delay`: milliseconds until freed pages go back, 1,000 when nobody says otherwise.
const PURGE_DELAY: c_int = 15;

#[expect(
    unsafe_code,
    reason = "functions of C; they take numbers, any of which they bear"
)]
// SAFETY: the signatures are those of `mimalloc.h`: `mi_option_t` is an enum of C, so an `int`. They take no pointer; an option
// that is not there is ignored. `mi_collect` may be called by any thread at any time.
unsafe extern "C" {
    safe fn mi_option_set(option: c_int, value: c_long);
    safe fn mi_collect(force: bool);
    #[cfg(test)]
    safe fn mi_option_get(option: c_int) -> c_long;
}

/// For the whole process; call it before there are threads.
pub(super) fn suit(memory_bytes: u64) {
    if memory_bytes > SMALL_BYTES {
        return;
    }
    mi_option_set(PURGE_DELAY, 0);
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::warn!(%error, "huge pages stay on, memory may be over its budget");
    }
}

/// Gives back what is freed and kept while the process has more than its budget in memory. Does not return.
pub(super) async fn keep_to(memory_bytes: u64) {
    let mut look = interval(LOOK_TIME);
    loop {
        look.tick().await;
        if resident_bytes().is_some_and(|resident| resident > memory_bytes) {
            // Calls of the system for each range that is free: not for a thread of the network.
            let given = tokio::task::spawn_blocking(|| mi_collect(true)).await;
            if let Err(error) = given {
                tracing::error!(%error, "memory is not given back");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_budget_gives_memory_back_at_once_and_a_larger_one_does_not() {
        assert_eq!(mi_option_get(PURGE_DELAY), 1_000, "not the option it was");
        suit(SMALL_BYTES + 1);
        assert_eq!(mi_option_get(PURGE_DELAY), 1_000);
        suit(SMALL_BYTES);
        assert_eq!(mi_option_get(PURGE_DELAY), 0);
        assert!(rustix::thread::transparent_huge_pages_are_disabled().unwrap());
    }
}
