//! Invariants of what is read of callers, for fuzzers and property tests.

use core::net::SocketAddr;

use super::networks::{Network, Networks};
use super::node;
use super::proxies::{Proxies, Whereabouts};
use super::proxy_header::{Begin, read};
use crate::wire::head::{Head, HeadLimits};

/// A header of the PROXY protocol is the same however much has come behind it, and is seen at its last byte, not before.
///
/// # Panics
/// When that is not so.
pub fn fuzz_proxy_header(bytes: &[u8]) {
    let seen = read(bytes);
    if let Ok(Begin::Header(end, _)) = seen {
        assert!(end <= bytes.len());
        assert_eq!(read(&bytes[..end]), seen);
        for cut in 0..end {
            assert_eq!(read(&bytes[..cut]), Ok(Begin::Partial), "cut at {cut}");
        }
    }
    // What was certain stays certain.
    for cut in 0..bytes.len().min(300) {
        let early = read(&bytes[..cut]);
        assert!(early == Ok(Begin::Partial) || early == seen, "{early:?}, then {seen:?}");
    }
}

/// What the fields of a request say of its client: nothing, of a peer that is not trusted, and what its proxies have not written
/// changes nothing.
///
/// # Panics
/// When that is not so.
pub fn fuzz_forwarded(bytes: &[u8]) {
    if let Some((address, port)) = node::parse(bytes) {
        let text = port.map_or_else(|| address.to_string(), |port| SocketAddr::new(address, port).to_string());
        assert_eq!(node::parse(text.as_bytes()), Some((address, port)), "{text}");
    }
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = Network::parse(text);
    }
    let text = [b"GET / HTTP/1.1\r\nHost: x\r\n", bytes, b"\r\n\r\n"].concat();
    let mut head = Head::default();
    if !text.ends_with(b"\r\n\r\n") || head.parse(&text, &HeadLimits::default()).is_err() {
        return;
    }
    let fields = head.fields.of(&text);
    let peer = Some(SocketAddr::from(([10, 0, 0, 1], 999)));
    let own = Whereabouts::of_peer(peer);
    let Ok(networks) = Networks::parse(["10.0.0.0/8", "2001:db8::/32"]) else { return };
    let Ok(nobody) = Networks::parse([]) else { return };
    for proxies in [Proxies::Hops(0), Proxies::Networks(nobody)] {
        let client = proxies.client(peer, fields);
        assert_eq!((client.at, client.secure, client.host), (own, None, None));
    }
    let untrusted = Some(SocketAddr::from(([11, 0, 0, 1], 999)));
    assert_eq!(Proxies::Networks(networks.clone()).whereabouts(untrusted, fields), Whereabouts::of_peer(untrusted));
    for proxies in [Proxies::Hops(1), Proxies::Hops(3), Proxies::Networks(networks)] {
        let client = proxies.client(peer, fields);
        assert_eq!(proxies.whereabouts(peer, fields), client.at);
        assert!(client.host.is_none_or(|host| crate::wire::host::is_host(&host)));
    }
}
