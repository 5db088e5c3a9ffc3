//! Proxies in front of this server: which are trusted to tell of their clients, and what they have told.
//!
//! A client may send the fields of proxies itself. A proxy appends to them or replaces them, so what stands on the right was
//! written by the peer of this connection, what stands to the left of that by the proxy before, and so on: each is believed
//! as long as the one who wrote it is trusted. Where both kinds of fields are there and name different clients, one of them is the
//! client's own, and nobody knows which: its address is not known then, which no list has and no rule lets in. Of scheme and host only
//! what both say is believed.

use core::net::{IpAddr, SocketAddr};

use super::forwarded::{self, Element};
use super::forwarded_for;
use super::networks::Networks;
use super::node;
use crate::wire::fields::{FieldValue, Fields};
use crate::wire::host;

const FORWARDED_FOR: &[u8] = b"x-forwarded-for";
const FORWARDED_PROTO: &[u8] = b"x-forwarded-proto";
const FORWARDED_HOST: &[u8] = b"x-forwarded-host";

/// Which are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// Those with these addresses.
    Networks(Networks),
    /// So many in a row, the peer of the connection first.
    Hops(usize),
}

/// Where a client is, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// At this address.
    At(IpAddr, Option<u16>),
    /// At the other end of a unix socket, or in this process.
    Local,
    /// A proxy does not say, or what it says is contradicted.
    Unknown,
}

/// Who has sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where it is.
    pub at: Whereabouts,
    /// It was HTTPS, or not; `None`: no proxy has told.
    pub secure: Option<bool>,
    /// The host that it has asked for; `None`: no proxy has told.
    pub host: Option<Vec<u8>>,
}

impl Whereabouts {
    /// Of the peer of a connection.
    #[must_use]
    pub fn of_peer(peer: Option<SocketAddr>) -> Self {
        peer.map_or(Whereabouts::Local, |peer| Whereabouts::At(peer.ip().to_canonical(), Some(peer.port())))
    }

    /// Its address.
    #[must_use]
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Whereabouts::At(address, _) => Some(address),
            Whereabouts::Local | Whereabouts::Unknown => None,
        }
    }
}

/// One who has asked, and how many proxies are between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    at: Whereabouts,
    hops: usize,
}

impl Proxies {
    fn trusts(&self, hop: usize, at: Whereabouts) -> bool {
        match (self, at) {
            (_, Whereabouts::Unknown) => false,
            (Proxies::Hops(hops), _) => hop < *hops,
            (Proxies::Networks(networks), at) => networks.has_peer(at.address()),
        }
    }

    /// Goes from proxy to proxy; `said` is what each has said of the one before, the nearest first.
    fn walk(&self, peer: Whereabouts, said: impl Iterator<Item = Whereabouts>) -> Found {
        let mut found = Found { at: peer, hops: 0 };
        for at in said {
            if !self.trusts(found.hops, found.at) {
                break;
            }
            found = Found { at, hops: found.hops + 1 };
        }
        found
    }

    /// Where the client is that has sent a request to this peer, or the peer, if it has sent it itself. Costs nothing where the peer
    /// is not trusted.
    #[must_use]
    pub fn whereabouts(&self, peer: Option<SocketAddr>, fields: Fields<'_>) -> Whereabouts {
        self.find(Whereabouts::of_peer(peer), fields).0.at
    }

    fn find(&self, peer: Whereabouts, fields: Fields<'_>) -> (Found, Vec<Element>) {
        if !self.trusts(0, peer) {
            return (Found { at: peer, hops: 0 }, Vec::new());
        }
        let of_list = || {
            let said = forwarded_for::from_the_right(fields, FORWARDED_FOR);
            self.walk(peer, said.map(|one| place(Some(one))))
        };
        if fields.get(forwarded::NAME) == FieldValue::Absent {
            return (of_list(), Vec::new());
        }
        let lost = Found { at: Whereabouts::Unknown, hops: 0 };
        let Ok(elements) = forwarded::from_the_right(fields) else { return (lost, Vec::new()) };
        let found = self.walk(peer, elements.iter().map(|element| place(element.client.as_deref())));
        if fields.get(FORWARDED_FOR) != FieldValue::Absent {
            let listed = of_list().at;
            if listed.address() != found.at.address()
                || (listed == Whereabouts::Local) != (found.at == Whereabouts::Local)
            {
                return (lost, Vec::new());
            }
        }
        (found, elements)
    }

    /// Who has sent a request to this peer, or the peer.
    #[must_use]
    pub fn client(&self, peer: Option<SocketAddr>, fields: Fields<'_>) -> Client {
        let (Found { at, hops }, elements) = self.find(Whereabouts::of_peer(peer), fields);
        if !self.trusts(0, Whereabouts::of_peer(peer)) || (hops == 0 && at == Whereabouts::Unknown) {
            return Client { at, secure: None, host: None };
        }
        let nearest = hops.saturating_sub(1);
        let listed = |name| forwarded_for::at(fields, name, nearest);
        let (scheme, host) = match elements.get(nearest).or(elements.last()) {
            // Both kinds are there. A client knows its own address and can name it in the one that its proxy does not write: of the
            // rest, too, only what both say is believed.
            Some(element) if fields.get(FORWARDED_FOR) != FieldValue::Absent => {
                let Element { scheme, host, .. } = element;
                (agreed(scheme.as_deref(), listed(FORWARDED_PROTO)), agreed(host.as_deref(), listed(FORWARDED_HOST)))
            }
            Some(element) => (element.scheme.as_deref(), element.host.as_deref()),
            None => (listed(FORWARDED_PROTO), listed(FORWARDED_HOST)),
        };
        let host = host.filter(|host| !host.is_empty() && host::is_host(host)).map(<[u8]>::to_vec);
        Client { at, secure: scheme.and_then(is_secure), host }
    }
}

fn place(said: Option<&[u8]>) -> Whereabouts {
    said.and_then(node::parse).map_or(Whereabouts::Unknown, |(address, port)| Whereabouts::At(address, port))
}

fn agreed<'a>(said: Option<&'a [u8]>, listed: Option<&[u8]>) -> Option<&'a [u8]> {
    said.filter(|said| listed.is_some_and(|listed| said.eq_ignore_ascii_case(listed)))
}

fn is_secure(scheme: &[u8]) -> Option<bool> {
    let is = |one: &[u8]| scheme.eq_ignore_ascii_case(one);
    if is(b"https") || is(b"wss") {
        Some(true)
    } else if is(b"http") || is(b"ws") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
