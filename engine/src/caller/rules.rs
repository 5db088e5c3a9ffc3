//! What a server is told about its callers.

use core::net::SocketAddr;

use super::access::Access;
use super::bucket::Bucket;
use super::networks::Networks;
use super::proxies::{Client, Proxies, Whereabouts};
use crate::wire::fields::{FieldSpan, FieldTable, Fields, Span};

/// Whether connections begin with a header of the PROXY protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyHeaderRule {
    /// A connection may begin without one.
    pub optional: bool,
    /// Peers that are believed; `None`: all.
    pub from: Option<Networks>,
}

/// What counts as one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Who has the same token.
    Token,
    /// Who has the same address; of IPv6 the same network of 64 bits.
    Address,
}

/// What each caller may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRule {
    /// What counts as one.
    pub per: Per,
    /// Requests in a time; `None`: any number.
    pub bucket: Option<Bucket>,
    /// Calls under way; `None`: any number.
    pub most_at_once: Option<u32>,
    /// Callers whose requests are counted at a time. More: those that have asked least are forgotten.
    pub max_callers: usize,
}

/// See the module. Nothing, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Proxies that are trusted to tell of their clients, in fields.
    pub proxies: Option<Proxies>,
    /// `None`: no connection begins with a header of the PROXY protocol.
    pub proxy_header: Option<ProxyHeaderRule>,
    /// Who may call; `None`: all.
    pub access: Option<Access>,
    /// What each caller may ask; at most one rule for each kind of callers.
    pub limits: Vec<LimitRule>,
}

impl Rules {
    /// Where a peer is has to be known before it is served, because something depends on it.
    #[must_use]
    pub fn ask_peers(&self) -> bool {
        self.proxies.is_some() || self.proxy_header.is_some() || self.access.is_some() || !self.limits.is_empty()
    }

    /// Who may call is decided by connection, before anything is said: no proxy sends requests of several.
    #[must_use]
    pub fn connection_access(&self) -> Option<&Access> {
        self.access.as_ref().filter(|_| self.proxies.is_none())
    }

    /// Who may call is decided by request.
    #[must_use]
    pub fn request_access(&self) -> Option<&Access> {
        self.access.as_ref().filter(|_| self.proxies.is_some())
    }

    /// Each request is to be asked who has sent it.
    #[must_use]
    pub fn asks_requests(&self) -> bool {
        self.request_access().is_some() || !self.limits.is_empty()
    }

    /// Where the one is that has sent a request with these fields to this peer.
    #[must_use]
    pub fn whereabouts(&self, peer: Option<SocketAddr>, fields: Fields<'_>) -> Whereabouts {
        match &self.proxies {
            Some(proxies) => proxies.whereabouts(peer, fields),
            None => Whereabouts::of_peer(peer),
        }
    }

    /// Who has sent a request with this head to this peer: a request line and field lines, as an application has them.
    #[must_use]
    pub fn client(&self, peer: Option<SocketAddr>, head: &[u8]) -> Client {
        match &self.proxies {
            Some(proxies) => proxies.client(peer, field_table(head).of(head)),
            None => Client { at: Whereabouts::of_peer(peer), secure: None, host: None },
        }
    }
}

/// The field lines of a head that was read before.
fn field_table(head: &[u8]) -> FieldTable {
    let (mut table, mut at) = (FieldTable::default(), 0);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let start = at;
        at += line.len();
        // The request line comes first.
        if start > 0
            && let Some(colon) = memchr::memchr(b':', line)
        {
            let (name, value) = line.split_at(colon);
            let behind = start + colon + 1;
            let value = value.get(1..).unwrap_or_default();
            let blanks = value.len() - value.trim_ascii_start().len();
            let end = behind + blanks + value.trim_ascii().len();
            let span = |start: usize, end: usize| Span { start: start as u32, end: end as u32 };
            table.push(FieldSpan { name: span(start, start + name.len()), value: span(behind + blanks, end) });
        }
    }
    table
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::head::{Head, HeadLimits};

    #[test]
    fn a_head_that_was_read_has_the_same_fields_again() {
        let lines = b"GET /:a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For:  1.1.1.1,\t2.2.2.2 \r\nEmpty:\r\na: b:c\r\n";
        let whole = [&lines[..], b"\r\n"].concat();
        let mut head = Head::default();
        head.parse(&whole, &HeadLimits::default()).unwrap();
        let expected: Vec<_> = head.fields.of(&whole).iter().collect();
        assert_eq!(field_table(lines).of(lines).iter().collect::<Vec<_>>(), expected);
        assert_eq!(expected.len(), 4);
        let rules = Rules { proxies: Some(Proxies::Hops(1)), ..Rules::default() };
        let peer = Some(SocketAddr::from(([10, 0, 0, 1], 9)));
        assert_eq!(rules.client(peer, lines).at, Whereabouts::At("2.2.2.2".parse().unwrap(), None));
        assert_eq!(Rules::default().client(peer, lines).at, Whereabouts::of_peer(peer));
    }
}
