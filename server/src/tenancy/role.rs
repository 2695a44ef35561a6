//! Who may do what: roles of people, scopes of keys, one table each. Pure.

use bincode::{Decode, Encode};

/// What a role or a scope may allow. The unit in which routes state what they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// Know that the project exists, and its name.
    ProjectSee,
    /// Send traces, scores, annotations.
    TraceWrite,
    /// Read and search them.
    TraceRead,
    /// Delete a trace.
    TraceDelete,
    /// Rename and archive the project, keep its environments.
    ProjectEdit,
    /// Delete the project, move it to another organization.
    ProjectDelete,
    /// See keys: names, scopes, dates.
    KeyRead,
    /// Make, rotate and revoke keys.
    KeyEdit,
    /// See who has a role at the project.
    GrantRead,
    /// Give and take roles at the project.
    GrantEdit,
    /// Know that the organization exists, its name and its projects.
    OrgSee,
    /// Rename and archive the organization, change its settings.
    OrgEdit,
    /// Delete the organization.
    OrgDelete,
    /// Make projects in the organization, and take some in from another.
    ProjectCreate,
    /// See members, teams and invitations.
    MemberRead,
    /// Invite, remove, give roles, keep teams.
    MemberEdit,
    /// Read and export the audit log of the organization.
    AuditRead,
    /// Make organizations. Looked up at the first organization, that of whoever runs the server.
    OrgCreate,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 18] = [
        Self::ProjectSee,
        Self::TraceWrite,
        Self::TraceRead,
        Self::TraceDelete,
        Self::ProjectEdit,
        Self::ProjectDelete,
        Self::KeyRead,
        Self::KeyEdit,
        Self::GrantRead,
        Self::GrantEdit,
        Self::OrgSee,
        Self::OrgEdit,
        Self::OrgDelete,
        Self::ProjectCreate,
        Self::MemberRead,
        Self::MemberEdit,
        Self::AuditRead,
        Self::OrgCreate,
    ];

    /// Its name in documents and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProjectSee => "project.see",
            Self::TraceWrite => "trace.write",
            Self::TraceRead => "trace.read",
            Self::TraceDelete => "trace.delete",
            Self::ProjectEdit => "project.edit",
            Self::ProjectDelete => "project.delete",
            Self::KeyRead => "key.read",
            Self::KeyEdit => "key.edit",
            Self::GrantRead => "grant.read",
            Self::GrantEdit => "grant.edit",
            Self::OrgSee => "org.see",
            Self::OrgEdit => "org.edit",
            Self::OrgDelete => "org.delete",
            Self::ProjectCreate => "project.create",
            Self::MemberRead => "member.read",
            Self::MemberEdit => "member.edit",
            Self::AuditRead => "audit.read",
            Self::OrgCreate => "org.create",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// What a person is in an organization or a project. Persisted: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub enum Role {
    /// Everything.
    Owner,
    /// Everything but deleting the organization and making owners.
    Admin,
    /// Works with traces.
    Member,
    /// Reads traces.
    Viewer,
    /// Reads who may do what and who did what, but no trace.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Owner,
        Self::Admin,
        Self::Member,
        Self::Viewer,
        Self::Auditor,
    ];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
        }
    }

    /// The role with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// Whether a role allows something. A role at an organization counts at each of its projects; one at
/// a project counts there alone.
pub const fn allows(role: Role, right: Right) -> bool {
    use Right as R;
    match role {
        Role::Owner => true,
        Role::Admin => !matches!(right, R::OrgDelete | R::OrgCreate),
        Role::Member => matches!(
            right,
            R::ProjectSee
                | R::TraceWrite
                | R::TraceRead
                | R::KeyRead
                | R::GrantRead
                | R::OrgSee
                | R::MemberRead
        ),
        Role::Viewer => matches!(right, R::ProjectSee | R::TraceRead | R::OrgSee),
        Role::Auditor => matches!(
            right,
            R::ProjectSee | R::KeyRead | R::GrantRead | R::OrgSee | R::MemberRead | R::AuditRead
        ),
    }
}

/// What a key is for. Persisted as bits in [`Scopes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Sends.
    Ingest,
    /// Reads.
    Read,
    /// Deletes traces, keeps the project and its keys.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Read, Self::Admin];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The scope with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Ingest => 1,
            Self::Read => 2,
            Self::Admin => 4,
        }
    }

    /// Whether the scope allows something, in the project of its key. None allows anything at an
    /// organization.
    pub const fn allows(self, right: Right) -> bool {
        use Right as R;
        match self {
            Self::Ingest => matches!(right, R::ProjectSee | R::TraceWrite),
            Self::Read => matches!(right, R::ProjectSee | R::TraceRead),
            Self::Admin => matches!(
                right,
                R::ProjectSee
                    | R::TraceDelete
                    | R::ProjectEdit
                    | R::KeyRead
                    | R::KeyEdit
                    | R::GrantRead
            ),
        }
    }
}

/// The scopes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Scopes(u8);

impl Scopes {
    /// All of them: what keys without stated scopes have.
    pub const ALL: Self = Self(7);

    /// These scopes; `None` if there is none among them.
    pub fn of(scopes: &[Scope]) -> Option<Self> {
        let bits = scopes.iter().fold(0, |bits, scope| bits | scope.bit());
        (bits != 0).then_some(Self(bits))
    }

    /// Whether this scope is among them.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// One by one.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Whether one of them allows it.
    pub fn allow(self, right: Right) -> bool {
        self.iter().any(|scope| scope.allows(right))
    }
}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u32);

impl Rights {
    /// All of them.
    pub fn all() -> Self {
        Right::ALL.into_iter().fold(Self(0), Self::with)
    }

    /// Those of a role.
    pub fn of_role(role: Role) -> Self {
        let of = Right::ALL.into_iter().filter(|right| allows(role, *right));
        of.fold(Self(0), Self::with)
    }

    /// Those of a key.
    pub fn of_scopes(scopes: Scopes) -> Self {
        let of = Right::ALL.into_iter().filter(|right| scopes.allow(*right));
        of.fold(Self(0), Self::with)
    }

    fn with(self, right: Right) -> Self {
        Self(self.0 | right.bit())
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is in the set.
    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Whether every one of `other` is in the set: who gives a role must have what it gives.
    pub const fn cover(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// One by one.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_are_distinct() {
        let names: std::collections::HashSet<_> = Right::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), Right::ALL.len());
        assert_eq!(Rights::all().iter().count(), Right::ALL.len());
        for role in Role::ALL {
            assert_eq!(Role::named(role.as_str()), Some(role));
        }
        for scope in Scope::ALL {
            assert_eq!(Scope::named(scope.as_str()), Some(scope));
        }
        assert_eq!(Role::named("root"), None);
    }

    /// The order of power: who is more may do whatever who is less may do. Auditors stand beside it.
    #[test]
    fn roles_contain_each_other() {
        let of = Rights::of_role;
        assert_eq!(of(Role::Owner), Rights::all());
        assert!(of(Role::Owner).cover(of(Role::Admin)) && of(Role::Admin).cover(of(Role::Member)));
        assert!(of(Role::Member).cover(of(Role::Viewer)));
        assert!(!of(Role::Admin).cover(of(Role::Owner)));
        assert!(
            !of(Role::Auditor).has(Right::TraceRead) && of(Role::Auditor).has(Right::AuditRead)
        );
    }

    #[test]
    fn scopes_allow_their_own_and_nothing_at_an_organization() {
        let of = |scope| Rights::of_scopes(Scopes::of(&[scope]).unwrap());
        assert!(
            of(Scope::Ingest).has(Right::TraceWrite) && !of(Scope::Ingest).has(Right::TraceRead)
        );
        assert!(of(Scope::Read).has(Right::TraceRead) && !of(Scope::Read).has(Right::TraceWrite));
        assert!(!of(Scope::Admin).has(Right::TraceRead) && of(Scope::Admin).has(Right::KeyEdit));
        for right in [
            Right::OrgSee,
            Right::OrgEdit,
            Right::AuditRead,
            Right::OrgCreate,
        ] {
            assert!(!Rights::of_scopes(Scopes::ALL).has(right));
        }
        assert_eq!(Scopes::of(&[]), None);
        assert_eq!(Scopes::of(&Scope::ALL), Some(Scopes::ALL));
    }
}
