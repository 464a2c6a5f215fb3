//! Which addresses are public: those that lead to one place from everywhere, by IANA's registries
//! of special-purpose addresses (RFC 6890).

use std::net::IpAddr;
use std::sync::LazyLock;

use crate::http::Network;

/// What IPv4 has for other purposes.
const SPECIAL_4: [&str; 15] = [
    "0.0.0.0/8",       // this host
    "10.0.0.0/8",      // private
    "100.64.0.0/10",   // shared, behind a carrier's NAT
    "127.0.0.0/8",     // loopback
    "169.254.0.0/16",  // link-local, and the metadata of clouds
    "172.16.0.0/12",   // private
    "192.0.0.0/24",    // protocols
    "192.0.2.0/24",    // documentation
    "192.88.99.0/24",  // 6to4 relays
    "192.168.0.0/16",  // private
    "198.18.0.0/15",   // benchmarks
    "198.51.100.0/24", // documentation
    "203.0.113.0/24",  // documentation
    "224.0.0.0/4",     // multicast
    "240.0.0.0/4",     // reserved, and broadcast
];

/// Of IPv6 this alone is handed out: loopback, unique-local, link-local, multicast, NAT64 and
/// IPv4-compatible addresses lie outside of it.
const GLOBAL_6: &str = "2000::/3";

/// What that has for other purposes.
const SPECIAL_6: [&str; 4] = [
    "2001::/23",     // protocols; Teredo, which leads to an IPv4 address
    "2001:db8::/32", // documentation
    "2002::/16",     // 6to4, which leads to an IPv4 address
    "3fff::/20",     // documentation
];

static PUBLIC: LazyLock<(Vec<Network>, Vec<Network>)> = LazyLock::new(|| {
    // All of them are networks: the test counts them.
    let read = |networks: &[&str]| networks.iter().filter_map(|one| one.parse().ok()).collect();
    let special = [&SPECIAL_4[..], &SPECIAL_6[..]].concat();
    (read(&[GLOBAL_6]), read(&special))
});

/// Whether an address is public. One of IPv4 that is mapped into IPv6 is that of IPv4.
pub(super) fn is_public(address: IpAddr) -> bool {
    let (global, special) = &*PUBLIC;
    let address = address.to_canonical();
    let lies_in = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
    (address.is_ipv4() || lies_in(global)) && !lies_in(special)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_other_purposes_is_not_public() {
        let (global, special) = &*PUBLIC;
        assert_eq!(global.len(), 1);
        assert_eq!(special.len(), SPECIAL_4.len() + SPECIAL_6.len());
        let edges = [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.1", "127.255.255.255"),
            ("169.254.0.0", "169.254.169.254"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.1", "192.0.2.255"),
            ("192.88.99.1", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.1", "203.0.113.1"),
            ("224.0.0.1", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
            ("::", "::1"),
            ("::ffff:10.0.0.1", "::ffff:169.254.169.254"),
            ("::8.8.8.8", "::7f00:1"),
            ("64:ff9b::8.8.8.8", "64:ff9b:1::1"),
            ("100::1", "1fff::1"),
            ("2001::1", "2001:1ff::1"),
            ("2001:db8::1", "2002:808:808::1"),
            ("3fff::1", "3fff:fff::1"),
            ("4000::1", "5f00::1"),
            ("fc00::1", "fdff::1"),
            ("fe80::1", "febf::1"),
            ("fec0::1", "ff02::1"),
        ];
        for address in edges.iter().flat_map(|(first, last)| [first, last]) {
            assert!(!is_public(address.parse().expect(address)), "{address}");
        }
    }

    #[test]
    fn what_lies_beside_that_is_public() {
        for address in [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2003::1",
            "2606:4700::1111",
        ] {
            assert!(is_public(address.parse().expect(address)), "{address}");
        }
    }
}
