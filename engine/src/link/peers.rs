//! What is known of peers while they are connected: where they are, and what their handshakes have brought about. Shards enter
//! them, and handlers ask for them. A call names its peer by a number, so that nothing is copied for handlers that do not ask.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The number of no peer.
pub const NO_PEER: u64 = 0;

/// The other end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Where it is; `None`: at a unix socket, or in this process.
    pub address: Option<SocketAddr>,
    /// It speaks TLS to a balancer, which has said so (PROXY protocol).
    pub secure: bool,
    /// It speaks TLS to this server. In a box, as all that a plain connection does not need.
    pub tls: Option<Box<TlsPeer>>,
}

/// What a handshake has brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPeer {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, as IANA names it.
    pub cipher: &'static str,
    /// The name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// What was agreed on by ALPN.
    pub alpn: Option<Vec<u8>>,
    /// The client's own certificate, which was verified. DER.
    pub certificate: Option<Vec<u8>>,
}

/// See the module. A number is never given again.
#[derive(Debug, Default)]
pub struct Peers {
    last: AtomicU64,
    connected: Mutex<HashMap<u64, Arc<Peer>>>,
}

/// A peer in there, until this is dropped.
#[derive(Debug)]
pub struct Entered {
    number: u64,
    peer: Arc<Peer>,
    peers: Arc<Peers>,
}

impl Peers {
    /// Enters one that is connected.
    pub fn enter(self: &Arc<Self>, peer: Peer) -> Entered {
        let (number, peer) = (self.last.fetch_add(1, Ordering::Relaxed) + 1, Arc::new(peer));
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).insert(number, peer.clone());
        Entered { number, peer, peers: self.clone() }
    }

    /// The peer with this number, while it is connected.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Arc<Peer>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }
}

impl Entered {
    /// What calls name it by.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What is known of it.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.peers.connected.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_known_by_its_number_until_it_leaves() {
        let peers = Arc::new(Peers::default());
        let peer = |name: &str| {
            let (server_name, alpn, certificate) = (Some(name.to_owned()), None, None);
            let tls = TlsPeer { version: "TLSv1.3", cipher: "", server_name, alpn, certificate };
            Peer { tls: Some(Box::new(tls)), ..Peer::default() }
        };
        let (first, second) = (peers.enter(peer("a")), peers.enter(peer("b")));
        assert!(peers.get(NO_PEER).is_none());
        assert_eq!(*peers.get(first.number()).unwrap(), peer("a"));
        assert_eq!(second.peer(), &peer("b"));
        let gone = first.number();
        drop(first);
        let third = peers.enter(peer("c"));
        assert!(peers.get(gone).is_none() && third.number() != gone);
    }
}
