//! `GET …/usage?group_by=key`: which key used what.
//!
//! Tokens and costs are not among it: they follow from rows, and no row says which key it came with.

use schemars::JsonSchema;
use serde::Serialize;

use super::Counts;
use crate::http::Core;
use crate::http::access::{Access, SettingsRead};
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::quota::{Now, Used, User};
use crate::tenancy::Right;

/// What one key has used.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct KeyUsage {
    /// `key`; `people` for all requests without one; `others` for keys that are not counted apart.
    who: &'static str,
    /// In hex, of a key.
    key_id: Option<String>,
    /// Of a key, for whoever may see keys; null if it is gone.
    name: Option<String>,
    /// `live`, `expired` or `revoked`, where the name is told.
    state: Option<&'static str>,
    /// What it used.
    used: Counts,
}

/// Whether usage is asked for by key.
pub(super) fn is_asked(params: &Params) -> Result<bool, ApiError> {
    if let Some(name) = params.unknown(&["group_by"]) {
        return Err(ApiError::parameter(
            name,
            "unknown parameter accepted=group_by",
        ));
    }
    match params.one("group_by")? {
        None => Ok(false),
        Some("key") => Ok(true),
        Some(_) => Err(ApiError::parameter("group_by", "not of key")),
    }
}

/// Every key that used something this month.
pub(super) fn all(core: &Core, access: &Access<SettingsRead>, now: Now) -> Vec<KeyUsage> {
    let project = access.tenant().project().0;
    let mut used = core.governance().quota().used_by_keys(project, now);
    used.sort_by_key(|(_, used)| std::cmp::Reverse((used.month.spans, used.month.queries)));
    let may_see = access.by().rights.has(Right::KeyRead);
    let shown = used.iter().map(|(user, used)| match user {
        User::Key(id) => KeyUsage {
            key_id: Some(format!("{id:x}")),
            ..named(core, *id, may_see, (used, now))
        },
        User::People => KeyUsage::of("people", used),
        User::OtherKeys => KeyUsage::of("others", used),
    });
    shown.collect()
}

fn named(core: &Core, id: u64, may_see: bool, (used, now): (&Used, Now)) -> KeyUsage {
    let unnamed = KeyUsage::of("key", used);
    if !may_see {
        return unnamed;
    }
    core.directory().read(|state| match state.keys.get(id) {
        None => unnamed,
        Some(key) => KeyUsage {
            name: Some(key.name.clone()),
            state: Some(key.state(now.wall_ns)),
            ..unnamed
        },
    })
}

impl KeyUsage {
    const fn of(who: &'static str, used: &Used) -> Self {
        Self {
            who,
            key_id: None,
            name: None,
            state: None,
            used: Counts::of(used),
        }
    }
}
