//! What a handler was granted, as a type: a handler says what it needs in its first parameter, a
//! route is registered with the same word, and neither can be made up.
//!
//! A route whose handler states no permission does not compile:
//!
//! ```compile_fail
//! use obsrv_server::http::access::Public;
//! use obsrv_server::http::routes::Routes;
//! async fn handler() {}
//! fn add(routes: &mut Routes) {
//!     routes.get("/x", Public, handler);
//! }
//! ```
//!
//! nor does one whose handler states another:
//!
//! ```compile_fail
//! use obsrv_server::http::access::{Access, Public, TraceRead};
//! use obsrv_server::http::routes::Routes;
//! async fn handler(_: Access<TraceRead>) {}
//! fn add(routes: &mut Routes) {
//!     routes.get("/x", Public, handler);
//! }
//! ```
//!
//! nor one that makes its own:
//!
//! ```compile_fail
//! use obsrv_server::http::access::{Access, Public};
//! let access: Access<Public> =
//!     Access { principal: todo!(), rights: todo!(), ground: todo!(), reach: () };
//! ```
//!
//! while this does:
//!
//! ```
//! use obsrv_server::http::access::{Access, Public};
//! use obsrv_server::http::routes::Routes;
//! async fn handler(_: Access<Public>) {}
//! fn add(routes: &mut Routes) {
//!     routes.get("/x", Public, handler);
//! }
//! ```

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::auth::{Principal, Tenant};
use super::error::{ApiError, ErrorCode};
use super::spent::Spent;
use crate::tenancy::plane::{By, Ground};
use crate::tenancy::{FIRST_ORG, OrgId, Right, Rights};

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Needs {
    /// Nothing: anybody may ask.
    Nothing,
    /// Somebody, whoever it is; the answer is about what they may see.
    Principal,
    /// A right at a project.
    Project(Right),
    /// A right at the organization of a project; a role at the project alone does not give it.
    OrgOfProject(Right),
    /// A right at a project that a signed link gives, and nothing else does.
    Link(Right),
    /// A right at an organization.
    Org(Right),
    /// A right at the organization of whoever runs the server.
    Server(Right),
}

impl Needs {
    /// In documents.
    pub fn describe(self) -> String {
        match self {
            Self::Nothing => "public".to_owned(),
            Self::Principal => "signed in".to_owned(),
            Self::Link(right) => format!("link to {}", right.as_str()),
            Self::Project(right)
            | Self::OrgOfProject(right)
            | Self::Org(right)
            | Self::Server(right) => right.as_str().to_owned(),
        }
    }
}

/// Where the right was found.
#[derive(Clone, Debug)]
pub(super) enum Place {
    None,
    Org(OrgId),
    Project(Tenant),
}

/// What the guard found. In a request's extensions; only the auth layer makes one.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    needs: Needs,
    principal: Principal,
    rights: Rights,
    place: Place,
}

impl Granted {
    pub(super) const fn new(
        needs: Needs,
        principal: Principal,
        rights: Rights,
        place: Place,
    ) -> Self {
        Self {
            needs,
            principal,
            rights,
            place,
        }
    }
}

impl Granted {
    /// What its questions cost, if it is about a project.
    pub(super) fn spent(&self) -> Option<Spent> {
        match &self.place {
            Place::Project(tenant) => Some(tenant.spent()),
            Place::None | Place::Org(_) => None,
        }
    }

    /// Where the rights are looked up again.
    fn ground(&self) -> Ground {
        match (self.needs, &self.place) {
            (Needs::OrgOfProject(_), Place::Project(tenant)) => {
                Ground::OrgOfProject(tenant.project().0)
            }
            (_, Place::Project(tenant)) => Ground::Project(tenant.project().0),
            (_, Place::Org(org)) => Ground::Org(*org),
            (Needs::Server(_), Place::None) => Ground::Org(FIRST_ORG),
            (_, Place::None) => Ground::None,
        }
    }
}

/// What a permission lets a handler reach.
pub trait Reach: Sized + Send + 'static {
    #[doc(hidden)]
    fn found(found: Found) -> Option<Self>;
}

/// Where the guard found the right. Opaque.
#[derive(Debug)]
pub struct Found(Place);

impl Reach for () {
    fn found(_: Found) -> Option<Self> {
        Some(())
    }
}

impl Reach for OrgId {
    fn found(found: Found) -> Option<Self> {
        match found.0 {
            Place::Org(org) => Some(org),
            Place::None | Place::Project(_) => None,
        }
    }
}

impl Reach for Tenant {
    fn found(found: Found) -> Option<Self> {
        match found.0 {
            Place::Project(tenant) => Some(tenant),
            Place::None | Place::Org(_) => None,
        }
    }
}

/// A permission, as a type.
pub trait Permission: Send + Sync + 'static {
    /// What it needs.
    const NEEDS: Needs;
    /// What it lets a handler reach.
    type Reach: Reach;
}

macro_rules! permissions {
    ($($name:ident: $needs:expr => $reach:ty, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Permission for $name {
            const NEEDS: Needs = $needs;
            type Reach = $reach;
        }
    )*};
}

permissions! {
    Public: Needs::Nothing => (), "Anybody may ask.";
    Known: Needs::Principal => (), "Whoever has a key or a session.";
    ProjectSee: Needs::Project(Right::ProjectSee) => Tenant, "See [`Right::ProjectSee`].";
    TraceWrite: Needs::Project(Right::TraceWrite) => Tenant, "See [`Right::TraceWrite`].";
    TraceRead: Needs::Project(Right::TraceRead) => Tenant, "See [`Right::TraceRead`].";
    TraceDelete: Needs::Project(Right::TraceDelete) => Tenant, "See [`Right::TraceDelete`].";
    LinkRead: Needs::Link(Right::TraceRead) => Tenant, "A link that opens a file.";
    LinkWrite: Needs::Link(Right::TraceWrite) => Tenant, "A link that takes a file.";
    SettingsRead: Needs::Project(Right::SettingsRead) => Tenant, "See [`Right::SettingsRead`].";
    ProjectEdit: Needs::Project(Right::ProjectEdit) => Tenant, "See [`Right::ProjectEdit`].";
    ProjectDelete: Needs::OrgOfProject(Right::ProjectDelete) => Tenant, "See [`Right::ProjectDelete`].";
    KeyRead: Needs::Project(Right::KeyRead) => Tenant, "See [`Right::KeyRead`].";
    KeyEdit: Needs::Project(Right::KeyEdit) => Tenant, "See [`Right::KeyEdit`].";
    GrantRead: Needs::Project(Right::GrantRead) => Tenant, "See [`Right::GrantRead`].";
    GrantEdit: Needs::Project(Right::GrantEdit) => Tenant, "See [`Right::GrantEdit`].";
    OrgSee: Needs::Org(Right::OrgSee) => OrgId, "See [`Right::OrgSee`].";
    OrgEdit: Needs::Org(Right::OrgEdit) => OrgId, "See [`Right::OrgEdit`].";
    OrgDelete: Needs::Org(Right::OrgDelete) => OrgId, "See [`Right::OrgDelete`].";
    ProjectCreate: Needs::Org(Right::ProjectCreate) => OrgId, "See [`Right::ProjectCreate`].";
    MemberRead: Needs::Org(Right::MemberRead) => OrgId, "See [`Right::MemberRead`].";
    MemberEdit: Needs::Org(Right::MemberEdit) => OrgId, "See [`Right::MemberEdit`].";
    AuditRead: Needs::Org(Right::AuditRead) => OrgId, "See [`Right::AuditRead`].";
    OrgCreate: Needs::Server(Right::OrgCreate) => (), "See [`Right::OrgCreate`].";
}

/// Proof that whoever asks has the permission `P`, and what it reaches.
#[derive(Debug)]
pub struct Access<P: Permission> {
    principal: Principal,
    rights: Rights,
    ground: Ground,
    reach: P::Reach,
}

impl<P: Permission> Access<P> {
    /// Who asks.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Who asks, and what they may do here, for a change.
    pub const fn by(&self) -> By {
        By {
            actor: self.principal.actor(),
            rights: self.rights,
            ground: self.ground,
            session: self.principal.session(),
        }
    }
}

impl<P: Permission<Reach = Tenant>> Access<P> {
    /// The project.
    pub const fn tenant(&self) -> &Tenant {
        &self.reach
    }
}

impl<P: Permission<Reach = OrgId>> Access<P> {
    /// The organization.
    pub const fn org(&self) -> OrgId {
        self.reach
    }
}

impl<P: Permission, S: Sync> FromRequestParts<S> for Access<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let unguarded = || ApiError::new(ErrorCode::Internal, "route without its guard");
        let granted = parts.extensions.remove::<Granted>().ok_or_else(unguarded)?;
        if granted.needs != P::NEEDS {
            return Err(unguarded());
        }
        let ground = granted.ground();
        Ok(Self {
            principal: granted.principal,
            rights: granted.rights,
            ground,
            reach: P::Reach::found(Found(granted.place)).ok_or_else(unguarded)?,
        })
    }
}
