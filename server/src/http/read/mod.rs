//! obsrv's own read routes, below `/v1/projects/{project}`. One file per question.

mod aggregate;
mod arms;
mod ask;
mod compare;
mod conversation;
mod cost;
mod costs;
mod critical;
mod damaged;
mod delete;
mod diff;
mod export;
mod facets;
mod figures;
mod filter_json;
#[cfg(feature = "forge")]
pub(super) mod forge;
mod groups;
mod langfuse;
mod list;
mod live;
mod logged;
mod names;
mod origins;
mod outline;
mod preview;
mod project;
mod releases;
mod render;
mod reviews;
mod score;
mod shape;
mod signals;
mod span;
mod steps;
mod theazo;
mod told;
mod trace;
mod tree;
mod views;
mod waits;

use super::routes::Routes;
pub(crate) use ask::Over;
pub(super) use ask::of_runs;
pub(super) use trace::encoded;

/// What every path here begins with.
const PREFIX: &str = "/v1/projects/{project}";

fn path(rest: &str) -> String {
    format!("{PREFIX}{rest}")
}

pub(super) fn add(routes: &mut Routes) {
    list::add(routes);
    trace::add(routes);
    tree::add(routes);
    span::add(routes);
    facets::add(routes);
    names::add(routes);
    aggregate::add(routes);
    arms::add(routes);
    conversation::add(routes);
    render::add(routes);
    reviews::add(routes);
    waits::add(routes);
    diff::add(routes);
    compare::add(routes);
    steps::add(routes);
    groups::add(routes);
    score::add(routes);
    views::add(routes);
    export::add(routes);
    delete::add(routes);
    releases::add(routes);
    theazo::add(routes);
    langfuse::add(routes);
    live::add(routes);
    logged::add(routes);
    origins::add(routes);
    cost::add(routes);
    costs::add(routes);
}
