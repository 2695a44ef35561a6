//! What Theazo's platform and its client ask: structured logs, also as they come, metrics of agents, traces
//! of an agent, the cost of a user. `dialect/README.md` says under which attributes its facts come in.

mod entry;
mod filter;
mod logs;
mod metrics;
mod socket;
mod stream;
mod traces;
mod usage;

pub(super) use self::filter::quoted;
#[cfg(feature = "forge")]
pub(super) use self::socket::reads as socket_reads;
use super::super::routes::Routes;

pub(super) fn add(routes: &mut Routes) {
    logs::add(routes);
    stream::add(routes);
    metrics::add(routes);
    traces::add(routes);
    usage::add(routes);
}
