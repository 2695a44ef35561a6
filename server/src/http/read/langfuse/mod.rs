//! The read routes of Langfuse's public API that its SDKs ask, over obsrv's rows: those of versions 2 to 4
//! (numbered pages) and those of version 5 (cursors, groups of fields). See `README.md`.

mod ask;
mod conditions;
mod daily;
mod facts;
mod members;
mod metrics;
mod observation;
mod observations;
mod pages;
mod score;
mod scores;
mod sessions;
mod trace;
mod traces;

use crate::http::routes::Routes;

/// What every path here begins with.
const PREFIX: &str = "/api/public";

fn path(rest: &str) -> String {
    format!("{PREFIX}{rest}")
}

/// Whether conditions read; or a question of numbers.
#[cfg(feature = "forge")]
pub(super) fn reads(over: super::ask::Over, text: &str) -> bool {
    let conditions = conditions::add(&mut ask::Chosen::default(), (over, text));
    conditions.is_ok() || metrics::reads(text)
}

pub(super) fn add(routes: &mut Routes) {
    traces::add(routes);
    observations::add(routes);
    sessions::add(routes);
    scores::add(routes);
    daily::add(routes);
    metrics::add(routes);
}
