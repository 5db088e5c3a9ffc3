//! What kind of an address it is that a name has led to: whether it is anybody's on the internet, or somebody's around here.

// Addresses are numbers: the `core` path says so, nothing here can open a socket.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The internet.
    Public,
    /// This machine; `0.0.0.0` and `::` lead to it as well.
    Loopback,
    /// A network around here: RFC 1918, unique local addresses, and those shared by a carrier's customers (RFC 6598).
    Private,
    /// The link, on which clouds have the keys of a machine: 169.254.169.254, and what stands for that elsewhere.
    LinkLocal,
    /// Nobody that could be connected to: multicast, broadcast, documentation, reserved.
    Special,
}

impl Class {
    /// The class of an address. One that carries another, as NAT64 does, is judged by that.
    #[must_use]
    pub fn of(address: IpAddr) -> Class {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [0 | 127, ..] => Class::Loopback,
        // The keys of machines at Azure and at Alibaba.
        [168, 63, 129, 16] | [100, 100, 100, 200] | [169, 254, ..] => Class::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Class::Private,
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] => {
            Class::Special
        }
        [224..=255, ..] => Class::Special,
        _ => Class::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Class {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Class::Loopback,
        // IPv4 mapped and compatible, NAT64 and its local form, 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => embedded(high, low),
        // Only with the address at the end: the local form may have it elsewhere (RFC 6052 2.2), with anything behind it.
        [0x64, 0xff9b, 0 | 1, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Amazon's, of which each service has one, and Google's.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, _] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => Class::LinkLocal,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Class::Private,
        // Teredo carries an address as well, hidden: nobody needs it.
        [0x2001, 0 | 0xdb8, ..] | [0x100, 0, 0, 0, ..] => Class::Special,
        // Benchmarks (RFC 5180), ORCHID and its second version, documentation once more (RFC 9637).
        [0x2001, 2, 0, ..] | [0x2001, 0x10..=0x2f, ..] | [0x3fff, 0..=0xfff, ..] => Class::Special,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Special,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_the_class_of_their_range() {
        for (class, addresses) in [
            (
                Class::Public,
                "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 2606:4700::1 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1",
            ),
            (
                Class::Loopback,
                "127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 ::1 :: ::ffff:127.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::7f00:1 2002:7f00:1::1 ::ffff:0.0.0.0",
            ),
            (
                Class::Private,
                "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 fc00::1 fdff::1 fec0::1 ::ffff:10.1.2.3 64:ff9b::a00:1",
            ),
            (
                Class::LinkLocal,
                "169.254.169.254 169.254.0.1 168.63.129.16 100.100.100.200 fe80::1 febf::1 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 ::ffff:169.254.169.254 2002:a9fe:a9fe::",
            ),
            (
                Class::Special,
                "64:ff9b:1:a00:0:100:808:808 64:ff9b:1:7f00:0:100:808:808 224.0.0.1 255.255.255.255 240.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 ff02::1 2001:db8::1 2001::1 100::1 4000::1 2001:2::1 2001:10::1 2001:20::1 3fff::1 3fff:fff::1",
            ),
        ] {
            for address in addresses.split(' ') {
                assert_eq!(Class::of(address.parse().unwrap()), class, "{address}");
            }
        }
    }
}
