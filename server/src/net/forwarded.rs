//! From which address a request comes, if proxies stand before the server.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;

const FORWARDED: &str = "x-forwarded-for";
/// Where a request comes from if nobody knows.
pub(crate) const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// Longest chain of proxies that is followed.
const HOPS_MAX: usize = 32;

/// Addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `192.0.2.1`, `192.0.2.0/24` or the same of IPv6.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().ok()?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { first, bits })
    }

    fn holds(self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            let shift = width - self.bits;
            // Everything is the same as everything without its bits.
            a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
        };
        match (self.first, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

/// Whoever has one IPv6 address has 2^64 of them.
pub(crate) fn place_of(address: IpAddr) -> Option<u128> {
    if address == NOWHERE {
        return None;
    }
    Some(match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    })
}

/// The address at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Whose word about addresses counts.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    known: Vec<Network>,
    /// A proxy stands before the server, listed or not.
    is_behind: bool,
}

impl Proxies {
    /// These, and nobody else.
    pub const fn new(known: Vec<Network>) -> Self {
        Self {
            known,
            is_behind: false,
        }
    }

    /// The same, where every connection comes from a proxy.
    #[must_use]
    pub fn behind(self, is_behind: bool) -> Self {
        Self { is_behind, ..self }
    }

    /// Whether many people may have the address at the other end of this connection.
    pub(crate) fn is_shared(&self, peer: IpAddr) -> bool {
        self.is_behind || peer.to_canonical().is_loopback() || self.know(peer)
    }

    fn know(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.known.iter().any(|network| network.holds(address))
    }

    /// Where a request comes from: the last address that no known proxy vouches to be another
    /// known proxy. What the client itself wrote into the header stands before that and is not
    /// looked at. [`NOWHERE`] if there may be a proxy and none is listed: its address is everybody's.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.known.is_empty() && self.is_shared(peer) {
            return NOWHERE;
        }
        let mut client = peer.to_canonical();
        let lines: Vec<&str> = headers
            .get_all(FORWARDED)
            .iter()
            .map(|line| line.to_str().unwrap_or(""))
            .collect();
        let hops = lines.iter().flat_map(|line| line.split(','));
        let hops: Vec<&str> = hops.map(str::trim).collect();
        for hop in hops.iter().rev().take(HOPS_MAX) {
            if !self.know(client) {
                break;
            }
            let Ok(before) = hop.parse::<IpAddr>() else {
                break;
            };
            client = before.to_canonical();
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, said: &[&str]) -> String {
        let networks = trusted.iter().map(|n| Network::parse(n).unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in said {
            headers.append(FORWARDED, line.parse().unwrap());
        }
        let client = Proxies::new(networks).client(peer.parse().unwrap(), &headers);
        client.to_string()
    }

    #[test]
    fn only_a_listed_proxy_is_believed() {
        assert_eq!(client(&[], "10.0.0.1", &["198.51.100.7"]), "10.0.0.1");
        let proxy = ["10.0.0.0/8"];
        assert_eq!(
            client(&proxy, "10.0.0.1", &["198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(client(&proxy, "192.0.2.9", &["198.51.100.7"]), "192.0.2.9");
        assert_eq!(
            client(&proxy, "::ffff:10.0.0.1", &["198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(client(&proxy, "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn an_unlisted_proxy_is_no_place() {
        let headers = HeaderMap::new();
        let at = |proxies: &Proxies, peer: &str| proxies.client(peer.parse().unwrap(), &headers);
        assert_eq!(at(&Proxies::default(), "127.0.0.1"), NOWHERE);
        assert_ne!(at(&Proxies::default(), "10.0.0.1"), NOWHERE);
        let behind = Proxies::default().behind(true);
        assert_eq!(at(&behind, "10.0.0.1"), NOWHERE);
        let listed = Proxies::new(vec![Network::parse("10.0.0.2").unwrap()]).behind(true);
        assert_ne!(at(&listed, "10.0.0.1"), NOWHERE);
    }

    #[test]
    fn what_the_client_wrote_itself_counts_for_nothing() {
        let proxy = ["10.0.0.0/8"];
        // The proxy appended the address it saw.
        let said = ["1.1.1.1, 198.51.100.7"];
        assert_eq!(client(&proxy, "10.0.0.1", &said), "198.51.100.7");
        let said = ["10.9.9.9, 198.51.100.7, 10.0.0.2"];
        assert_eq!(client(&proxy, "10.0.0.1", &said), "198.51.100.7");
        let said = ["1.1.1.1", "198.51.100.7"];
        assert_eq!(client(&proxy, "10.0.0.1", &said), "198.51.100.7");
        assert_eq!(client(&proxy, "10.0.0.1", &["unknown"]), "10.0.0.1");
        let long = ["10.0.0.1,".repeat(HOPS_MAX + 9) + "10.0.0.1"];
        assert_eq!(client(&proxy, "10.0.0.1", &[&long[0]]), "10.0.0.1");
    }

    #[test]
    fn networks() {
        for (network, address, holds) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("0.0.0.0/0", "203.0.113.5", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ] {
            let network = Network::parse(network).unwrap();
            assert_eq!(
                network.holds(address.parse().unwrap()),
                holds,
                "{network:?}"
            );
        }
        for bad in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/-1",
            "a/8",
            "1.1.1.1/",
        ] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
