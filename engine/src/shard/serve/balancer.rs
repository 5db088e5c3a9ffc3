//! What a balancer says of its client before the first byte of that: the header of the PROXY protocol.

use std::io;
use std::net::SocketAddr;

use crate::caller::proxy_header::{Begin, Said, Source, read};
use crate::caller::rules::ProxyHeaderRule;
use crate::limits::PROXY_HEADER_BYTES;
use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::transport::beginning::Beginning;

/// Takes the header that a connection begins with. `None`: there is none, and need not be. An error: nothing more is to be read.
/// It has no end of its own when the peer does not play along, so somebody cuts it off.
pub(super) async fn take_header(
    shard: &Shard,
    conn: &Conn,
    peer: Option<SocketAddr>,
    rule: &ProxyHeaderRule,
) -> io::Result<Option<Said>> {
    if !rule.from.as_ref().is_none_or(|from| from.has_peer(peer.map(|peer| peer.ip()))) {
        // What it sends instead is a request, or not.
        return if rule.optional { Ok(None) } else { Err(io::ErrorKind::PermissionDenied.into()) };
    }
    let (beginning, mut room) = (Beginning::of(conn.socket())?, vec![0; PROXY_HEADER_BYTES]);
    let mut waited = false;
    loop {
        match beginning.wait().await {
            // A signal that the thread has handled: see `Signal::wait`. Looking tells.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        let bytes = beginning.look(&mut room)?;
        match read(room.get(..bytes).unwrap_or_default()) {
            Ok(Begin::Header(header, said)) => {
                beginning.take(room.get_mut(..header).unwrap_or_default())?;
                return Ok(Some(said));
            }
            Ok(Begin::Other) if rule.optional => return Ok(None),
            // What lies there stays until it is certain what it is, so that waiting for input would not wait. A balancer sends
            // it in one piece.
            Ok(Begin::Partial) if bytes > 0 && !conn.is_dead() && !(waited && shard.stopping()) => {
                waited = true;
                shard.next_timer().await;
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Where the client of this peer is, given what was said of it.
pub(super) fn whereabouts(said: Option<Said>, peer: Option<SocketAddr>) -> Option<SocketAddr> {
    match said.map(|said| said.source) {
        None | Some(Source::Peer) => peer,
        Some(Source::At(address)) => Some(address),
        Some(Source::Unix) => None,
    }
}
