//! Room in the control log: who may still write how much. The log only grows, so what one principal
//! and one organization may add is bounded, and what ends somebody's access always finds room.

use std::time::Duration;

use super::{ChangeError, Projections};
use crate::buckets::Buckets;
use crate::control::{Actor, AuditAction, ControlEvent};
use crate::limits::{
    CONTROL_BYTES_PER_PRINCIPAL, CONTROL_BYTES_PER_PRINCIPAL_TIME, CONTROL_LOG_BYTES_MAX,
    CONTROL_LOG_BYTES_PER_ORG_MAX, CONTROL_LOG_RESERVE_BYTES,
};
use crate::signin::event::Fact;
use crate::tenancy::experiments::ExperimentEvent;
use crate::tenancy::views::ViewEvent;
use crate::tenancy::{FIRST_ORG, OrgEvent};

/// Buckets of principals. More principals than these share them.
const PRINCIPAL_BUCKETS: usize = 1 << 12;

/// What an event needs of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Gives, makes or changes something.
    Adds,
    /// Ends what an earlier event gave: there are no more of these than of those.
    Ends,
    /// Says that data were deleted. As many as there are data.
    Deletes,
}

/// Counts bytes by principal.
#[derive(Debug)]
pub(super) struct Room(Buckets);

impl Default for Room {
    fn default() -> Self {
        let size = u64::try_from(CONTROL_BYTES_PER_PRINCIPAL).unwrap_or(u64::MAX);
        let every = CONTROL_BYTES_PER_PRINCIPAL_TIME;
        Self(Buckets::new(PRINCIPAL_BUCKETS, size, every))
    }
}

impl Room {
    /// Whether the log takes these records of so many bytes each, all or none.
    pub(super) fn take(
        &self,
        projections: &Projections,
        records: &[(&ControlEvent, usize)],
        mono_ns: u64,
    ) -> Result<(), ChangeError> {
        let mut total = projections.audit.bytes();
        let mut asked = 0;
        for (event, bytes) in records {
            let kind = kind(event);
            total = total.saturating_add(*bytes);
            let max = match kind {
                Kind::Adds => CONTROL_LOG_BYTES_MAX - CONTROL_LOG_RESERVE_BYTES,
                Kind::Ends | Kind::Deletes => CONTROL_LOG_BYTES_MAX,
            };
            check("bytes of control events", total, max)?;
            if kind == Kind::Ends {
                continue;
            }
            asked += bytes;
            let place = projections
                .directory
                .read(|state| state.whereabouts(event).org);
            // The first organization is that of whoever runs the server.
            if let Some(org) = place.filter(|org| *org != FIRST_ORG) {
                let of_org = projections.audit.bytes_of(org).saturating_add(asked);
                let what = "bytes of control events of the organization";
                check(what, of_org, CONTROL_LOG_BYTES_PER_ORG_MAX)?;
            }
        }
        let Some((event, _)) = records.first().filter(|_| asked > 0) else {
            return Ok(());
        };
        let principal = match event.actor() {
            Actor::System | Actor::Operator | Actor::Nobody => return Ok(()),
            principal @ (Actor::User(_) | Actor::Key(_)) => principal,
        };
        let asked = u64::try_from(asked).unwrap_or(u64::MAX);
        let taken = self.0.take_many(&principal, asked, mono_ns);
        taken.map_err(|too_many| ChangeError::TooFast {
            retry: too_many.retry.max(Duration::from_secs(1)),
        })
    }
}

fn check(what: &'static str, bytes: usize, max: usize) -> Result<(), ChangeError> {
    if bytes <= max {
        Ok(())
    } else {
        Err(ChangeError::TooMany { what, max })
    }
}

fn kind(event: &ControlEvent) -> Kind {
    let ends = match event {
        ControlEvent::KeyRevoked { .. } => true,
        ControlEvent::Org(act) => is_end(&act.event),
        ControlEvent::User(act) => act.event.facts.iter().all(is_end_of_user),
        ControlEvent::Audit(act) => match act.event.action {
            AuditAction::TraceDeleted | AuditAction::RowsDeleted | AuditAction::BlobDeleted => {
                return Kind::Deletes;
            }
            AuditAction::SignedOut => true,
            AuditAction::SignedIn
            | AuditAction::SignInFailed
            | AuditAction::Exported
            | AuditAction::Remapped => false,
        },
        ControlEvent::Views(act) => matches!(
            act.event,
            ViewEvent::ViewDeleted { .. } | ViewEvent::CommentDeleted { .. }
        ),
        ControlEvent::Experiments(act) => {
            matches!(act.event, ExperimentEvent::Deleted { .. })
        }
        ControlEvent::ProjectCreated { .. }
        | ControlEvent::KeyCreated { .. }
        | ControlEvent::ProjectNamed { .. }
        | ControlEvent::Governance(_) => false,
    };
    if ends { Kind::Ends } else { Kind::Adds }
}

const fn is_end(event: &OrgEvent) -> bool {
    matches!(
        event,
        OrgEvent::OrgDeleted { .. }
            | OrgEvent::MemberRemoved { .. }
            | OrgEvent::TeamDeleted { .. }
            | OrgEvent::TeamMemberSet { present: false, .. }
            | OrgEvent::InvitationRevoked { .. }
            | OrgEvent::ProjectDeleted { .. }
            | OrgEvent::ProjectPurged { .. }
            | OrgEvent::GrantRemoved { .. }
            | OrgEvent::EnvironmentSet { present: false, .. }
            | OrgEvent::KeyRevoked { .. }
    )
}

const fn is_end_of_user(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Disabled { .. }
            | Fact::SessionEnded { .. }
            | Fact::SessionsEnded { .. }
            | Fact::LinkUsed { .. }
    )
}
