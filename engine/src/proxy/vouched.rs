//! Which hosts the local CA vouches for: those that mean the machine of whoever asks, and nobody else's.

use core::net::IpAddr;

use crate::proxy::target::Host;

/// True for `localhost`, names below it, and the loopback addresses (RFC 6761 6.3, RFC 1122 3.2.1.3, RFC 4291 2.5.3).
/// `0.0.0.0` and `::` are nobody's address that a certificate could be for.
#[must_use]
pub fn is_vouched_for(host: &Host) -> bool {
    host.is_loopback() && !matches!(host, Host::Address(address) if address.is_unspecified())
}

/// Whose certificate a client is shown that has asked for this name (SNI, RFC 6066 3), through a tunnel to `asked`; `None`: nobody's.
/// Addresses are never named there: then it is the host of the tunnel.
#[must_use]
pub fn shown(name: Option<&str>, asked: &Host) -> Option<Host> {
    let host = match name {
        Some(name) => Host::parse(name.as_bytes())?,
        None => asked.clone(),
    };
    is_vouched_for(&host).then_some(host)
}

/// The addresses that the CA may certify, with the length of their prefix.
pub const VOUCHED_NETWORKS: [(IpAddr, u8); 2] =
    [(IpAddr::V4(core::net::Ipv4Addr::new(127, 0, 0, 0)), 8), (IpAddr::V6(core::net::Ipv6Addr::LOCALHOST), 128)];

/// The name that the CA may certify, with all below it.
pub const VOUCHED_NAME: &str = "localhost";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_own_machine_is_vouched_for_and_nobody_else() {
        for own in ["localhost", "LOCALHOST.", "a.localhost", "a.b.localhost", "127.0.0.1", "127.255.1.2", "[::1]"] {
            assert!(is_vouched_for(&host(own)), "{own}");
            assert_eq!(shown(None, &host(own)), Some(host(own)));
        }
        for other in ["0.0.0.0", "[::]", "example.com", "localhost.example.com", "xlocalhost", "10.0.0.1", "[::2]"] {
            assert!(!is_vouched_for(&host(other)), "{other}");
            assert_eq!(shown(None, &host(other)), None);
        }
    }

    #[test]
    fn what_a_client_names_counts_and_is_vouched_for_only_if_it_is_the_own_machine() {
        let asked = host("127.0.0.1");
        assert_eq!(shown(Some("App.Localhost"), &asked), Some(host("app.localhost")));
        for other in ["example.com", "127.evil.com", "localhost.evil.com", "", ".", "a..localhost", "-.localhost"] {
            assert_eq!(shown(Some(other), &asked), None, "{other}");
        }
    }
}
