//! Who sends logs and metrics: a service on a host.

use super::rng::{Rng, Zipf};
use super::span::Value;
use super::trace::{ENVS, REGIONS};

/// Services of a project. Every project has services and hosts of the same names.
pub const SERVICES: usize = 40;
/// Hosts that a service runs on; no other runs there.
pub const HOSTS_A_SERVICE: usize = 5;

/// Where and as what a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Rank of the service, the busiest first.
    pub rank: usize,
    /// `service.name`
    pub service: String,
    /// `host.name`
    pub host: String,
    /// `deployment.environment.name`; one host of each service is for staging.
    pub env: &'static str,
    /// `cloud.region`
    pub region: &'static str,
}

impl Sender {
    /// The service of this rank on one of its hosts.
    pub fn new(rank: usize, slot: usize) -> Self {
        let host = rank * HOSTS_A_SERVICE + slot;
        let env = usize::from(slot + 1 == HOSTS_A_SERVICE);
        Self {
            rank,
            service: service(rank),
            host: format!("host-{host:03}"),
            env: ENVS.get(env).copied().expect("BUG: two environments"),
            region: REGIONS
                .get(host % REGIONS.len())
                .copied()
                .expect("BUG: within the list"),
        }
    }

    /// One by chance: services by a Zipf law, hosts evenly.
    pub fn pick(services: &Zipf, rng: &mut Rng) -> Self {
        Self::new(services.sample(rng), rng.index(HOSTS_A_SERVICE))
    }

    /// The attributes of its resource.
    pub fn attributes(&self) -> Vec<(&'static str, Value)> {
        let text = |text: &str| Value::Text(text.to_owned());
        vec![
            ("service.name", text(&self.service)),
            ("host.name", text(&self.host)),
            ("deployment.environment.name", text(self.env)),
            ("cloud.region", text(self.region)),
        ]
    }
}

/// The name of the service of this rank.
pub fn service(rank: usize) -> String {
    format!("svc-{rank:02}")
}
