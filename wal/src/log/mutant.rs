//! Planted bugs: proof that the crash tests can fail.
//!
//! Each is a mistake that a real system shipped. Without the feature `mutants` none can be
//! planted and every question is answered `false` at compile time.

/// A mistake that the crash tests must catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "mutants"),
    expect(dead_code, unreachable_pub, reason = "named, never planted")
)]
pub enum Bug {
    /// The caller hears "durable" before anything is synced.
    AckBeforeSync,
    /// A new file is used before its name is durable.
    SkipSyncDir,
    /// Recovery goes on behind what is left of a torn tail, in the same file.
    AppendAfterTornTail,
    /// Recovery syncs the old tail once more and goes on in the same file.
    ResyncOldTail,
    /// The checksum of a frame does not cover which file it is in.
    ChecksumWithoutFile,
    /// After a failed sync a second one is believed.
    TrustSecondSync,
}

#[cfg(feature = "mutants")]
impl Bug {
    /// Every bug.
    pub const ALL: [Self; 6] = [
        Self::AckBeforeSync,
        Self::SkipSyncDir,
        Self::AppendAfterTornTail,
        Self::ResyncOldTail,
        Self::ChecksumWithoutFile,
        Self::TrustSecondSync,
    ];
}

/// The bug of one log, if any.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Planted {
    #[cfg(feature = "mutants")]
    pub(super) bug: Option<Bug>,
}

impl Planted {
    #[cfg(feature = "mutants")]
    pub(super) fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "the same call with the feature")]
    pub(super) const fn has(self, _: Bug) -> bool {
        false
    }
}
