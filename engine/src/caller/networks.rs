//! Networks: lists of addresses, as users write them.

// Addresses are numbers: the `core` path says so, nothing here can open a socket.
use core::net::{IpAddr, Ipv6Addr};

/// Bits of an address; one of IPv4 is at `::ffff:0:0/96` (RFC 4291 2.5.5.2).
const BITS: u32 = 128;

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: u128,
    mask: u128,
}

/// Several, and perhaps unix sockets, which have no address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    list: Vec<Network>,
    unix: bool,
}

/// What stands in a list for the peers of a unix socket.
pub const UNIX: &str = "unix";

fn number(address: IpAddr) -> u128 {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    Ipv6Addr::to_bits(address)
}

impl Network {
    /// Reads an address, or an address and the length of its prefix: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1`. Bits behind
    /// the prefix must be zero: whoever writes others means something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Network> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { BITS };
        let length = match length {
            None => bits,
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().ok().filter(|length| *length <= bits)?
            }
            Some(_) => return None,
        };
        let mask = u128::MAX.checked_shl(bits - length).unwrap_or(0);
        let first = number(address);
        (first & !mask == 0).then_some(Network { first, mask })
    }

    /// True for an address in it.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        number(address) & self.mask == self.first
    }
}

impl Networks {
    /// Reads a list; the first that is no network comes back as the error.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Networks, &'a str> {
        let mut networks = Networks::default();
        for text in texts {
            match Network::parse(text) {
                Some(network) => networks.list.push(network),
                None if text == UNIX => networks.unix = true,
                None => return Err(text),
            }
        }
        Ok(networks)
    }

    /// True for an address in one of them.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.list.iter().any(|network| network.has(address))
    }

    /// True for a peer in one of them; `None` is that of a unix socket.
    #[must_use]
    pub fn has_peer(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.unix, |address| self.has(address))
    }

    /// True when no address is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// The address that stands for its caller in limits: of IPv6 the network that a site gets (RFC 6177), because whoever has one
/// address of that has 2^64.
#[must_use]
pub fn of_caller(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => number(address.into()),
        IpAddr::V6(address) => number(address.into()) & (u128::MAX << 64),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        for (network, inside, outside) in [
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"][..],
                &["11.0.0.0", "9.255.255.255", "::"][..],
            ),
            ("192.0.2.1", &["192.0.2.1"], &["192.0.2.0", "192.0.2.2"]),
            ("192.0.2.128/25", &["192.0.2.128", "192.0.2.255"], &["192.0.2.127"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::1", "2001:db8::1"]),
            ("::/0", &["::", "2001:db8::1", "1.2.3.4"], &[]),
            ("2001:db8::/32", &["2001:db8::1", "2001:db8:ffff::"], &["2001:db9::"]),
            ("::1", &["::1"], &["::2", "127.0.0.1"]),
            ("::ffff:10.0.0.0/104", &["10.9.9.9"], &["11.0.0.0"]),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(inside.iter().all(|address| network.has(address.parse().unwrap())), "{network:?} {inside:?}");
            assert!(!outside.iter().any(|address| network.has(address.parse().unwrap())), "{network:?} {outside:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/08x",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "::/0128",
            "10.0.0.1/8",
            "2001:db8::1/32",
            "a.example",
            "10.0.0.0 /8",
            " 10.0.0.1",
            "[::1]",
            "fe80::1%eth0",
            "1.2.3.4:80",
        ] {
            assert_eq!(Network::parse(text), None, "{text:?}");
            assert_eq!(Networks::parse(["::1", text]), Err(text), "{text:?}");
        }
    }

    #[test]
    fn a_unix_socket_is_in_a_list_that_says_so() {
        let with = Networks::parse(["10.0.0.0/8", "unix"]).unwrap();
        let without = Networks::parse(["::/0"]).unwrap();
        assert!(with.has_peer(None) && !without.has_peer(None));
        assert!(with.has_peer("10.0.0.1".parse().ok()) && !with.has_peer("11.0.0.1".parse().ok()));
        assert!(Networks::parse(["unix"]).unwrap().is_empty() && !with.is_empty());
    }

    #[test]
    fn a_caller_is_an_address_of_ipv4_or_a_site_of_ipv6() {
        let of = |text: &str| of_caller(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    }
}
