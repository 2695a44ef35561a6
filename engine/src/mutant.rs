//! Planted bugs: proof that the crash simulator can fail.
//!
//! Each is a mistake that a system of this kind could make. Without the feature `mutants` none can be
//! planted and every question is answered `false` at compile time.

/// A mistake that the crash simulator must catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "mutants"),
    expect(unreachable_pub, reason = "public where it can be planted")
)]
pub enum Bug {
    /// Readers see a group before it is synced.
    PublishBeforeSync,
    /// A flush says that it covers one record more than it does.
    WatermarkTooHigh,
    /// A flush persists marks that records above its watermark made.
    MarksAboveWatermark,
    /// A flush leaves out rows that records above its watermark killed.
    LateKillsDropped,
    /// A compaction drops rows that records above the watermark killed.
    LateKillsCompacted,
    /// A compaction forgets the marks that are not in the manifest yet.
    LostRemap,
    /// An edit counts before it is synced, and the log is trimmed.
    EditNotSynced,
    /// The manifest's checkpoint leaves out the control events.
    ControlsNotInCheckpoint,
    /// A side file is not synced before the record that names it.
    SideNotSynced,
    /// The sweep of orphans takes a side file that a record needs.
    SweepTakesLiveSide,
    /// The sweep of orphans takes the oldest live segment.
    SweepTakesLiveSegment,
    /// Deletes are not replayed.
    DeleteNotReplayed,
    /// Replay begins below the watermark.
    ReplayBelowWatermark,
    /// Rows in segments are not looked up when an event comes again.
    DedupForgetsSegments,
    /// Rows are taken while only the reserve is left.
    ReserveForIngest,
    /// Rows that are left out with a damaged block are not told of.
    LeftOutUnsaid,
}

#[cfg(feature = "mutants")]
impl Bug {
    /// Every bug.
    pub const ALL: [Self; 16] = [
        Self::PublishBeforeSync,
        Self::WatermarkTooHigh,
        Self::MarksAboveWatermark,
        Self::LateKillsDropped,
        Self::LateKillsCompacted,
        Self::LostRemap,
        Self::EditNotSynced,
        Self::ControlsNotInCheckpoint,
        Self::SideNotSynced,
        Self::SweepTakesLiveSide,
        Self::SweepTakesLiveSegment,
        Self::DeleteNotReplayed,
        Self::ReplayBelowWatermark,
        Self::DedupForgetsSegments,
        Self::ReserveForIngest,
        Self::LeftOutUnsaid,
    ];
}

/// The bug of one engine, if any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Planted {
    #[cfg(feature = "mutants")]
    pub(crate) bug: Option<Bug>,
}

impl Planted {
    #[cfg(feature = "mutants")]
    pub(crate) fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "the same call with the feature")]
    pub(crate) const fn has(self, _: Bug) -> bool {
        false
    }
}
