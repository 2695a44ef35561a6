//! Shapes of the control plane's answers. None of them can hold a secret but [`KeyMade`] and
//! [`InvitationMade`], which show one once.

use axum::Json;
use axum::response::{IntoResponse, Response};
use obsrv_engine::engine::Hidden;
use schemars::JsonSchema;
use serde::Serialize;

use crate::dialect::format_micros;
use crate::keys::hex;
use crate::tenancy::audit::Place;
use crate::tenancy::directory::{Key, Org, Project};

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct List<T> {
    /// What is on it.
    pub(super) items: Vec<T>,
    /// What `after` is for the next page; null on the last.
    pub(super) next: Option<String>,
}

impl<T: Serialize> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// Proof of a change: a record of the audit log.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Receipt {
    /// Whether anything had to change.
    pub(super) changed: bool,
    /// Number of the record.
    pub(super) record: Option<u64>,
    /// Hash of the record and of all before it, in hex.
    pub(super) hash: Option<String>,
}

impl Receipt {
    pub(super) fn of(place: Option<Place>) -> Self {
        Self {
            changed: place.is_some(),
            record: place.map(|place| place.number),
            hash: place.map(|place| hex(&place.hash)),
        }
    }
}

impl IntoResponse for Receipt {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// Rows that a delete hid.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HiddenShown {
    /// Rows of every kind: of a trace with its run, spans, scores, log lines and points.
    rows: u64,
    /// Numbers of the segments that have them until the next purge; rows in none were in memory. `obsrv verify` names
    /// segments by these numbers.
    segments: Vec<u64>,
}

impl From<Hidden> for HiddenShown {
    fn from(hidden: Hidden) -> Self {
        Self {
            rows: hidden.rows,
            segments: hidden.segments.into_iter().collect(),
        }
    }
}

/// An organization.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OrgShown {
    /// Its id.
    pub(super) id: u64,
    /// For people.
    pub(super) name: String,
    /// In addresses.
    pub(super) slug: String,
    /// Whether it takes no more data.
    pub(super) archived: bool,
    /// Rights of whoever asks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rights: Vec<&'static str>,
}

impl OrgShown {
    pub(super) fn of(org: &Org) -> Self {
        Self {
            id: org.id.0,
            name: org.name.clone(),
            slug: org.slug.clone(),
            archived: org.is_archived,
            rights: Vec::new(),
        }
    }
}

/// A project.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProjectShown {
    /// Its id.
    pub(super) id: u64,
    /// Its name, unique in its organization.
    pub(super) name: String,
    /// The id of its organization.
    pub(super) org: u64,
    /// Whether it takes no more data.
    pub(super) archived: bool,
    /// Rights of whoever asks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rights: Vec<&'static str>,
}

impl ProjectShown {
    pub(super) fn of(project: &Project) -> Self {
        Self {
            id: project.id.0,
            name: project.name.to_string(),
            org: project.org.0,
            archived: project.is_archived,
            rights: Vec::new(),
        }
    }
}

/// A key, without its secret.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KeyShown {
    /// Its public id, in hex: what stands between the first two underscores of the key.
    pub(super) id: String,
    /// For people.
    pub(super) name: String,
    /// What it is for.
    pub(super) scopes: Vec<&'static str>,
    /// The id that keys of one rotation share.
    pub(super) slot: String,
    /// When it was made.
    pub(super) created_at: String,
    /// From when on it opens nothing.
    pub(super) expires_at: Option<String>,
    /// When it was last used; kept exactly while the server runs, to the hour over a crash.
    pub(super) last_used_at: Option<String>,
    /// `live`, `expired` or `revoked`.
    pub(super) state: &'static str,
}

impl KeyShown {
    pub(super) fn of(key: &Key, now_ns: i64) -> Self {
        Self {
            id: format!("{:x}", key.id),
            name: key.name.clone(),
            scopes: key
                .scopes
                .iter()
                .map(crate::tenancy::Scope::as_str)
                .collect(),
            slot: format!("{:x}", key.slot),
            created_at: format_micros(key.created_ns),
            expires_at: key.expires_ns.map(format_micros),
            last_used_at: key.used_ns().map(format_micros),
            state: key.state(now_ns),
        }
    }
}

/// A key that was just made. The only answer that holds one.
#[derive(Serialize, JsonSchema)]
pub(super) struct KeyMade {
    /// The key, shown this once.
    pub(super) key: String,
    /// Its public id, in hex.
    pub(super) key_id: String,
    /// The id of its project.
    pub(super) project: u64,
    /// The record of it.
    pub(super) receipt: Receipt,
}

/// A team.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TeamShown {
    /// Its id.
    pub(super) id: u64,
    /// Its name.
    pub(super) name: String,
    /// User ids.
    pub(super) members: Vec<u64>,
}

/// A member.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MemberShown {
    /// The user's id.
    pub(super) user: u64,
    /// Their address; none of a user that this server does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    /// What to call them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// Their role.
    pub(super) role: &'static str,
}

/// An open invitation.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InvitationShown {
    /// Its id.
    pub(super) id: u64,
    /// Whom.
    pub(super) email: String,
    /// As what.
    pub(super) role: &'static str,
    /// Until when.
    pub(super) expires_at: String,
}

/// An invitation that was just made. The only answer that holds its token.
#[derive(Serialize, JsonSchema)]
pub(super) struct InvitationMade {
    /// Its id.
    pub(super) id: u64,
    /// What takes it up, shown this once.
    pub(super) token: String,
    /// Until when.
    pub(super) expires_at: String,
    /// The record of it.
    pub(super) receipt: Receipt,
}

/// Something as it is after a change.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Changed<T> {
    #[serde(flatten)]
    pub(super) shown: T,
    /// Proof of the change.
    pub(super) receipt: Receipt,
}

/// Something that was just made.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Made {
    /// Its id.
    pub(super) id: u64,
    /// The record of it.
    pub(super) receipt: Receipt,
}

impl Made {
    pub(super) fn answer(id: u64, place: Option<Place>) -> Response {
        let made = Self {
            id,
            receipt: Receipt::of(place),
        };
        (http::StatusCode::CREATED, Json(made)).into_response()
    }
}
