//! Whose address counts, and how much one address may hold open at once.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use super::{Limits, Network, Problem};
use crate::shares::{Share, Shares};

/// The bits of an IPv6 address that are its network's: whoever has one address has all of these
/// (RFC 6177, section 2).
const NETWORK_BITS: u32 = 64;

/// Who comes: by which address each is counted, and what each holds open.
pub(super) struct Crowd {
    places: Places,
    proxies: Vec<Network>,
}

impl Crowd {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            places: Places::new(limits.per_address, limits.exempt.clone()),
            proxies: limits.proxies.clone(),
        }
    }

    /// Whether the requests from there are others'.
    pub(super) fn is_proxy(&self, address: IpAddr) -> bool {
        lists(&self.proxies, address)
    }

    /// The address that a request came from. What a proxy forwards is read from its end, for each
    /// hop writes the address that it saw behind those that it was told: the first that is no
    /// trusted proxy's is the client's, and all before it is only claimed. A hop that can't be read
    /// ends the search at the proxy that wrote it. With it comes whether a proxy has said whose the
    /// request is, and it could be read.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> (IpAddr, bool) {
        let mut client = peer.ip().to_canonical();
        let mut is_said = false;
        if !self.is_proxy(client) {
            return (client, is_said);
        }
        let fields = headers.get_all("x-forwarded-for").iter().rev();
        let hops = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops.map(address) {
            is_said = hop.is_some();
            let Some(hop) = hop else { break };
            client = hop;
            if !self.is_proxy(hop) {
                break;
            }
        }
        (client, is_said)
    }

    /// A place for something that `address` holds open.
    ///
    /// # Errors
    /// 429 `too_many_connections` where it holds as many as it may.
    pub(super) fn take(&self, address: IpAddr) -> Result<Place, Problem> {
        self.places.take(address).ok_or_else(|| {
            let most = self.places.shares.most();
            let detail = format!("one address may have {most} connections open");
            let status = StatusCode::TOO_MANY_REQUESTS;
            Problem::new(status, "too_many_connections", detail).retry_after(5)
        })
    }
}

/// How much each address may hold at once.
pub(crate) struct Places {
    shares: Arc<Shares<IpAddr>>,
    exempt: Vec<Network>,
}

impl Places {
    /// `most` for each address that is not exempt.
    pub(crate) fn new(most: usize, exempt: Vec<Network>) -> Self {
        let shares = Shares::new(most);
        Self { shares, exempt }
    }

    /// A place for `address`; `None` where it holds as many as it may.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        if lists(&self.exempt, address) {
            return Some(Place::default());
        }
        let share = self.shares.take(holder(address))?;
        Some(Place(Some(share)))
    }
}

/// What an address holds; dropping it gives it back. The default is nobody's.
#[derive(Default)]
pub(crate) struct Place(#[expect(dead_code, reason = "held until dropped")] Option<Share<IpAddr>>);

/// The addresses that are one holder's, by their first.
pub(crate) fn holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << (128 - NETWORK_BITS));
            Ipv6Addr::from(network).into()
        }
        address => address,
    }
}

/// Whether one of the networks has the address.
pub(crate) fn lists(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

/// One element of `X-Forwarded-For`, which some proxies write with the port.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let with_port = || Some(hop.parse::<SocketAddr>().ok()?.ip());
    let address = hop.parse().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(list: &[&str]) -> Vec<Network> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn crowd(exempt: &[&str], proxies: &[&str]) -> Crowd {
        Crowd::new(&Limits {
            per_address: 2,
            exempt: networks(exempt),
            proxies: networks(proxies),
            ..Limits::default()
        })
    }

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let crowd = crowd(&[], &["10.0.0.0/8", "::1"]);
        let headers = forwarded.iter().map(|value| {
            let name = http::HeaderName::from_static("x-forwarded-for");
            (
                name,
                http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        });
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let (client, is_said) = crowd.client(peer, &headers.collect());
        match is_said {
            true => client.to_string(),
            false => format!("{client}, unsaid"),
        }
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_proxy() {
        for (peer, forwarded, expected) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1, unsaid"),
            ("10.0.0.1", &[], "10.0.0.1, unsaid"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::1", &["2001:db8::7"], "2001:db8::7"),
            (
                "10.0.0.1",
                &["192.0.2.66, 198.51.100.7, 10.1.2.3"],
                "198.51.100.7",
            ),
            (
                "10.0.0.1",
                &["192.0.2.66", "198.51.100.7 ,10.1.2.3"],
                "198.51.100.7",
            ),
            ("10.0.0.1", &["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
            // What a client writes before it hides nobody.
            ("10.0.0.1", &["no address, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["\u{ff}", "198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1, unsaid"),
            // A client on the proxy's own machine.
            ("10.0.0.1", &["10.0.0.1"], "10.0.0.1"),
            (
                "10.0.0.1",
                &["198.51.100.7, unknown, 10.1.2.3"],
                "10.1.2.3, unsaid",
            ),
            ("10.0.0.1", &["198.51.100.7,"], "10.0.0.1, unsaid"),
        ] {
            assert_eq!(client(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn one_holder_has_so_many_places_and_gets_them_back() {
        let crowd = crowd(&["127.0.0.0/8"], &[]);
        let take = |text: &str| crowd.take(text.parse().unwrap());
        let places = [take("192.0.2.1"), take("192.0.2.1")];
        assert!(places.iter().all(Result::is_ok));
        let full = take("::ffff:192.0.2.1").err().expect("no third place");
        assert_eq!(full.code, "too_many_connections");
        assert!(take("192.0.2.2").is_ok(), "another has places of its own");
        drop(places);
        assert!(take("192.0.2.1").is_ok());
        let exempt: Vec<_> = (0..9).map(|_| take("127.0.0.1")).collect();
        assert!(exempt.iter().all(Result::is_ok));
    }

    #[test]
    fn an_ipv6_network_is_one_holder() {
        let of = |text: &str| holder(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }
}
