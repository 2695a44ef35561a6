//! Planted bugs of the engine: each must be caught by the lives that the engine itself passes.

use obsrv_engine::Bug;
use obsrv_tests::sim::{Flaw, lives};

/// Seeds within which a bug must show. The engine passes them all in `crash`.
const SEEDS: u64 = 120;

fn caught(bug: Bug) {
    let find = |seed| Some((seed, lives(seed, Flaw::Engine(bug)).err()?));
    let found = (0..SEEDS).find_map(find);
    println!("{bug:?}: {found:?}");
    assert!(found.is_some(), "{bug:?} went unnoticed");
}

macro_rules! planted {
    ($($test:ident $bug:ident,)*) => {
        $(
            #[test]
            fn $test() {
                caught(Bug::$bug);
            }
        )*

        #[test]
        fn every_planted_bug_has_its_test() {
            let tested = [$(Bug::$bug),*];
            let elsewhere = [Bug::ReserveForIngest, Bug::LeftOutUnsaid];
            let has_one = |bug: &Bug| tested.contains(bug) || elsewhere.contains(bug);
            assert!(Bug::ALL.iter().all(has_one));
        }
    };
}

/// A bug that shows only where something else went wrong before: what holds there without it must fail.
fn fails_with(bug: Bug, what: fn(Flaw)) {
    let caught = std::panic::catch_unwind(|| what(Flaw::Engine(bug)));
    assert!(caught.is_err(), "{bug:?} went unnoticed");
}

#[test]
fn reserve_for_ingest() {
    fails_with(Bug::ReserveForIngest, crate::refusal::keeps_its_reserve);
}

#[test]
fn left_out_unsaid() {
    fails_with(Bug::LeftOutUnsaid, |flaw| {
        crate::damage::damage_is_named_or_said(0, flaw);
    });
}

planted! {
    publish_before_sync PublishBeforeSync,
    watermark_too_high WatermarkTooHigh,
    marks_above_watermark MarksAboveWatermark,
    late_kills_dropped LateKillsDropped,
    late_kills_compacted LateKillsCompacted,
    lost_remap LostRemap,
    edit_not_synced EditNotSynced,
    controls_not_in_checkpoint ControlsNotInCheckpoint,
    side_not_synced SideNotSynced,
    sweep_takes_live_side SweepTakesLiveSide,
    sweep_takes_live_segment SweepTakesLiveSegment,
    delete_not_replayed DeleteNotReplayed,
    replay_below_watermark ReplayBelowWatermark,
    dedup_forgets_segments DedupForgetsSegments,
}
