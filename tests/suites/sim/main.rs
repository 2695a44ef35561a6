//! Crash simulation of the whole engine: flush, compaction, deletes, control events, side files,
//! deletion vectors and recovery itself, on the weakest disk that obsrv promises to survive.
//!
//! `OBSRV_SIM_SEEDS`, `OBSRV_SIM_WORKLOADS` and `OBSRV_SIM_FIRST` widen the random and the exhaustive part for campaigns, `OBSRV_SIM_THREADS` says how much
//! of the machine it takes (`tests/suites/campaign/campaign.py sim`).

#![expect(clippy::print_stdout, reason = "a suite prints its counts")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

/// Half of a machine's life is allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod backup;
mod campaign;
mod crash;
mod damage;
mod decay;
mod machine;
mod mutants;
mod prices;
mod purge;
mod reads;
mod recovery;
mod refusal;
mod regressions;
mod remap;
mod steps;
mod stop;
mod stuck;
