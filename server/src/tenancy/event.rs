//! Events of organizations, people in them, projects and keys. Persisted: variants and fields are
//! appended, never changed.

use bincode::{Decode, Encode};

use super::role::{Role, Scopes};
use crate::keys::KeyMac;

/// An organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct OrgId(pub u64);

/// A person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct UserId(pub u64);

/// Who has a role at a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub enum Grantee {
    /// A person.
    User(UserId),
    /// Everyone in a team.
    Team(u64),
}

/// A key, as it is made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NewKey {
    /// Its id, public; never used twice.
    pub key: u64,
    /// The project that it opens.
    pub project: u64,
    /// What its successor shares with it; the id of the first key of the slot.
    pub slot: u64,
    /// MAC of the key string.
    pub mac: KeyMac,
    /// For people.
    pub name: String,
    /// What it is for.
    pub scopes: Scopes,
    /// From when on it opens nothing.
    pub expires_ns: Option<i64>,
}

/// An invitation, as it is made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NewInvitation {
    /// Its id; never used twice.
    pub invitation: u64,
    /// Where to.
    pub org: OrgId,
    /// Whom.
    pub email: String,
    /// As what.
    pub role: Role,
    /// MAC of the token in the link.
    pub mac: KeyMac,
    /// From when on it is void.
    pub expires_ns: i64,
}

/// One fact about organizations.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum OrgEvent {
    /// An organization exists. Its slug is unique.
    OrgCreated {
        /// Which; never used twice.
        org: OrgId,
        /// For people.
        name: String,
        /// In addresses.
        slug: String,
    },
    /// It has another name or slug.
    OrgRenamed {
        /// Which.
        org: OrgId,
        /// For people.
        name: String,
        /// In addresses.
        slug: String,
    },
    /// It takes no more data, or takes data again.
    OrgArchived {
        /// Which.
        org: OrgId,
        /// Whether it is archived from here on.
        archived: bool,
    },
    /// It is gone.
    OrgDeleted {
        /// Which.
        org: OrgId,
    },
    /// Its people must sign in through this issuer, or by any way.
    SsoRequired {
        /// Which.
        org: OrgId,
        /// The issuer.
        issuer: Option<String>,
    },
    /// A person has this role in it.
    MemberSet {
        /// Which.
        org: OrgId,
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// A person is no member, and in none of its teams.
    MemberRemoved {
        /// Which.
        org: OrgId,
        /// Who.
        user: UserId,
    },
    /// A team exists.
    TeamCreated {
        /// Its id; never used twice.
        team: u64,
        /// Of which organization.
        org: OrgId,
        /// Its name, unique there.
        name: String,
    },
    /// It has another name.
    TeamRenamed {
        /// Which.
        team: u64,
        /// The name.
        name: String,
    },
    /// It is gone, and the roles that it had.
    TeamDeleted {
        /// Which.
        team: u64,
    },
    /// A person is in a team, or no more.
    TeamMemberSet {
        /// Which.
        team: u64,
        /// Who.
        user: UserId,
        /// Whether from here on.
        present: bool,
    },
    /// Somebody is invited.
    Invited(NewInvitation),
    /// An invitation is void.
    InvitationRevoked {
        /// Which.
        invitation: u64,
    },
    /// An invitation was taken up: the person is a member.
    InvitationAccepted {
        /// Which.
        invitation: u64,
        /// Who.
        user: UserId,
    },
    /// A project exists.
    ProjectCreated {
        /// Its id; never 0, never used twice.
        project: u64,
        /// Of which organization.
        org: OrgId,
        /// Its name, unique there.
        name: String,
    },
    /// It has another name.
    ProjectRenamed {
        /// Which.
        project: u64,
        /// The name.
        name: String,
    },
    /// It belongs to another organization; roles at it are gone.
    ProjectMoved {
        /// Which.
        project: u64,
        /// To where.
        org: OrgId,
    },
    /// It takes no more data, or takes data again.
    ProjectArchived {
        /// Which.
        project: u64,
        /// Whether it is archived from here on.
        archived: bool,
    },
    /// It is gone with its keys and roles; what it held is shown to nobody from here on.
    ProjectDeleted {
        /// Which.
        project: u64,
    },
    /// Every row that it held has its delete record.
    ProjectPurged {
        /// Which.
        project: u64,
        /// How many traces were deleted.
        traces: u64,
    },
    /// Somebody has this role at a project.
    GrantSet {
        /// Which.
        project: u64,
        /// Who.
        grantee: Grantee,
        /// As what.
        role: Role,
    },
    /// Somebody has no role at a project.
    GrantRemoved {
        /// Which.
        project: u64,
        /// Who.
        grantee: Grantee,
    },
    /// A project has an environment of this name, or has none any more.
    EnvironmentSet {
        /// Which.
        project: u64,
        /// Its name, unique there.
        name: String,
        /// Whether from here on.
        present: bool,
    },
    /// A key exists.
    KeyCreated(NewKey),
    /// A key opens nothing from here on.
    KeyRevoked {
        /// Which.
        key: u64,
    },
    /// Keys were used, each last at this time. Once an hour for all of them.
    KeysUsed {
        /// Key ids and nanoseconds since the epoch.
        last: Vec<(u64, i64)>,
    },
}
