//! Freed memory goes back to the system when it should, seen from the system.
//!
//! A binary of its own: the allocator, what it is told and what is in memory are of the whole process.
#![expect(clippy::unwrap_used, reason = "the functions that the tests share")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

#[path = "../src/serve/allocator.rs"]
mod allocator;
#[path = "../src/machine.rs"]
#[expect(dead_code, reason = "of the machine only what the allocator asks")]
mod machine;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is taken and freed by [`take_and_free`].
const TAKEN: u64 = 128 << 20;
/// Sizes of it, as of keys, bodies and blocks.
const SIZES: [usize; 4] = [200, 3 << 10, 70 << 10, 2 << 20];
/// Longer than any test takes: the allocator gives nothing back by itself.
const FOR_EVER: Duration = Duration::from_hours(24);
/// Some of the times at which it is looked.
const LOOKS: Duration = Duration::from_secs(2);

/// One test at a time, each with an allocator that keeps everything.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    allocator::keep_for(FOR_EVER);
    one
}

fn resident() -> u64 {
    machine::resident_bytes().unwrap()
}

/// So many bytes in pieces that are written to, and so in memory.
fn take(bytes: u64) -> Vec<Vec<u8>> {
    let mut left = usize::try_from(bytes).unwrap();
    let mut pieces = Vec::new();
    while left > 0 {
        let number = pieces.len();
        let size = SIZES[number % SIZES.len()].min(left);
        pieces.push(piece(number, size));
        left -= size;
    }
    pieces
}

fn piece(number: usize, size: usize) -> Vec<u8> {
    vec![u8::try_from(number % 256).unwrap(); size]
}

/// On a thread that ends, as those do that flush and merge.
fn take_and_free(bytes: u64) {
    std::thread::spawn(move || drop(take(bytes)))
        .join()
        .unwrap();
}

/// What `keep_to` does with such a budget as time goes by.
fn keep_to(memory_bytes: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let looking = async { timeout(LOOKS, allocator::keep_to(memory_bytes)).await };
    let outcome = runtime.block_on(looking);
    assert!(outcome.is_err(), "it does not return");
}

#[test]
fn what_is_kept_goes_back_above_the_budget_and_stays_below_it() {
    let _alone = alone();
    let held = take(TAKEN / 16);
    let budget = resident() + TAKEN / 2;
    take_and_free(TAKEN);
    let kept = resident();
    assert!(kept > budget, "nothing is kept: {kept} of {budget}");
    keep_to(kept + TAKEN);
    let still = resident();
    assert!(still > budget, "given back within the budget: {still}");
    keep_to(budget);
    let after = resident();
    assert!(after <= budget, "{after} of {budget}, before it {kept}");
    for (number, bytes) in held.iter().enumerate() {
        assert!(*bytes == piece(number, bytes.len()), "piece {number}");
    }
}

#[test]
fn a_small_budget_gives_memory_back_at_once_and_a_larger_one_does_not() {
    let _alone = alone();
    let most = resident() + TAKEN / 2;
    allocator::suit(allocator::SMALL_BYTES + 1);
    take_and_free(TAKEN);
    assert!(resident() > most, "a larger budget gives back at once");
    keep_to(most);
    allocator::suit(allocator::SMALL_BYTES);
    take_and_free(TAKEN);
    let after = resident();
    assert!(after <= most, "{after}, at most {most}");
    assert!(rustix::thread::transparent_huge_pages_are_disabled().unwrap());
}
