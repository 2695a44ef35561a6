//! What waits for the commit thread.

use bytes::Bytes;

use super::record::SideRef;
use super::{Deletion, Done, IngestError, Receipt, RowAt, Submission};
use crate::cost::Ready;
use crate::row::{ProjectId, Table};

/// A piece of work for the commit thread.
pub(super) enum Work {
    Ingest {
        submission: Submission,
        side: Option<SideRef>,
        ready: Ready,
        done: Done,
    },
    Control {
        body: Bytes,
        done: Done,
    },
    Delete {
        project: ProjectId,
        deletion: Deletion,
        done: Done,
    },
    Price {
        project: ProjectId,
        trace_id: Box<str>,
        spans: Vec<Box<str>>,
        done: Done,
    },
    Map {
        project: ProjectId,
        table: Table,
        rows: Vec<RowAt>,
        done: Done,
    },
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("lane", &self.lane())
            .finish_non_exhaustive()
    }
}

impl Work {
    /// Whose turn it takes; 0 is the control plane.
    pub(super) fn lane(&self) -> u64 {
        match self {
            Self::Ingest { submission, .. } => submission.envelope.project,
            Self::Control { .. } => 0,
            Self::Delete { project, .. }
            | Self::Price { project, .. }
            | Self::Map { project, .. } => project.0,
        }
    }

    /// Bytes charged while it waits.
    pub(super) fn cost(&self) -> u64 {
        let body = match self {
            Self::Ingest {
                submission,
                side: None,
                ..
            } => submission.body.len(),
            Self::Ingest { .. } => 0,
            Self::Control { body, .. } => body.len(),
            Self::Delete { deletion, .. } => deletion.bytes(),
            Self::Price {
                trace_id, spans, ..
            } => spans
                .iter()
                .fold(trace_id.len(), |sum, id| sum.saturating_add(id.len() + 16)),
            Self::Map { rows, .. } => rows.iter().map(RowAt::bytes).sum(),
        };
        u64::try_from(body).unwrap_or(u64::MAX).saturating_add(256)
    }

    pub(super) fn finish(self, outcome: Result<Receipt, IngestError>) {
        match self {
            Self::Ingest { done, .. }
            | Self::Control { done, .. }
            | Self::Delete { done, .. }
            | Self::Price { done, .. }
            | Self::Map { done, .. } => done(outcome),
        }
    }
}
