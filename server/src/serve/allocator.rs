//! How soon freed memory goes back to the system.
//!
//! The allocator keeps what is freed for a second and asks for huge pages: fast, and with a small budget more than
//! the budget allows. Under 8 writers and as many readers `--memory 128MiB` came to 273 MiB, of which obsrv held 90. Beyond
//! small budgets that is worth its speed while there is room; what is kept goes back once the process has its budget
//! in memory. The allocator would do so by itself, but looks only when something is freed, and at parts: hours of load at
//! 512 MiB stood at 870.
//!
//! Tested in `tests/allocator.rs`: all of this is of a whole process, and of one whose allocator it is.

use std::ffi::{c_int, c_long};
use std::time::Duration;

use tokio::time::interval;

use crate::machine::resident_bytes;

// Links the symbol below; the binary makes it the allocator.
use mimalloc as _;

/// How often it is looked how much there is in memory.
const LOOK_TIME: Duration = Duration::from_millis(250);
/// Budgets up to this are kept at the price of processor time.
pub(super) const SMALL_BYTES: u64 = 256 << 20;
/// `mi_option_purge_delay`: milliseconds until freed pages go back, 1,000 when nobody says otherwise.
const PURGE_DELAY: c_int = 15;

#[expect(
    unsafe_code,
    reason = "functions of C; they take numbers, any of which they bear"
)]
// SAFETY: the signatures are those of `mimalloc.h`: `mi_option_t` is an enum of C, so an `int`. They take no pointer; an option
// that is not there is ignored. Each may be called by any thread at any time, as often as one
// likes.
unsafe extern "C" {
    safe fn mi_option_set(option: c_int, value: c_long);
    safe fn mi_thread_init();
    safe fn mi_collect(force: bool);
}

/// For the whole process; call it before there are threads.
pub(super) fn suit(memory_bytes: u64) {
    if memory_bytes > SMALL_BYTES {
        return;
    }
    keep_for(Duration::ZERO);
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::warn!(%error, "huge pages stay on, memory may be over its budget");
    }
}

/// How long what is freed is kept, at the least.
pub(super) fn keep_for(time: Duration) {
    mi_option_set(
        PURGE_DELAY,
        c_long::try_from(time.as_millis()).unwrap_or(c_long::MAX),
    );
}

/// Gives back what is freed and kept while the process has more than its budget in memory. Does not return.
pub(super) async fn keep_to(memory_bytes: u64) {
    let mut look = interval(LOOK_TIME);
    loop {
        look.tick().await;
        if resident_bytes().is_some_and(|resident| resident > memory_bytes) {
            // Calls of the system for each range that is free: not for a thread of the network.
            let given = tokio::task::spawn_blocking(give_back).await;
            if let Err(error) = given {
                tracing::error!(%error, "memory is not given back");
            }
        }
    }
}

fn give_back() {
    // Of a thread that has never allocated anything the next line would do nothing.
    mi_thread_init();
    mi_collect(true);
}
