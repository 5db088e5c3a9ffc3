//! The beginning of a connection that does not begin with a request: what a balancer says of its client, the handshake of TLS,
//! then what every connection does. In a box and a task of its own kind, so that plain connections do not pay for it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use crate::caller::proxies::Whereabouts;
use crate::limits::HANDSHAKE_BYTES;
use crate::link::peers::Peer;
use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::exchange::phase::Phase;
use crate::shard::life::tick::CountedTask;
use crate::shard::resident::Verdict;
use crate::shard::serve::balancer::{take_header, whereabouts};
use crate::shard::serve::task::serve;
use crate::shard::transport::halves::{ReadHalf, WriteHalf};
use crate::shard::transport::handshake::{Greeting, shake_hands};
use crate::tls::Protocol;

/// Serves one connection, once the client has shaken hands.
pub(in crate::shard) fn greet_and_serve(
    task: CountedTask,
    conn: Rc<Conn>,
    mut reader: ReadHalf,
    mut writer: WriteHalf,
) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let shard = task.0.clone();
        let greeted = greet(&shard, &conn, &mut reader, &mut writer).await;
        shard.touch();
        // Where HTTP/2 was agreed on, the client's preface begins it.
        if let Some(Protocol::Http1 | Protocol::Http2) = greeted {
            conn.restart(Phase::Fresh, shard.now_ms());
            return serve(task, conn, reader, writer).await;
        }
        if !conn.is_dead() {
            shard.counters.protocol_errors.add(1);
        }
        // Cut before the halves are dropped, which only close.
        shard.cut_off(&conn);
        drop((reader, writer));
        shard.unregister(&conn);
    })
}

/// What the connection speaks, when it may begin. No operation is in flight then, nor otherwise unless there was a panic.
async fn greet(shard: &Shard, conn: &Rc<Conn>, reader: &mut ReadHalf, writer: &mut WriteHalf) -> Option<Protocol> {
    let (_place, oldest) = shard.handshakes.begin(conn.clone());
    if let Some(oldest) = oldest {
        shard.counters.turned_away.add(1);
        oldest.carry_out(shard, Verdict::Cut, shard.now_ms());
    }
    conn.hold_input(HANDSHAKE_BYTES);
    let mut handshake = pin!(hear(shard, conn, reader, writer));
    let greeted = std::future::poll_fn(|cx| {
        shard.note_step();
        conn.wakeup().remember(cx);
        if conn.closing() && !conn.is_dead() {
            // The engine stops, and nothing was asked yet.
            shard.cut_off(conn);
        }
        // A panic costs this connection, not the shard.
        match catch_unwind(AssertUnwindSafe(|| handshake.as_mut().poll(cx))) {
            Ok(outcome) => outcome.map(|outcome| outcome.ok().filter(|_| !conn.is_dead())),
            Err(_) => {
                shard.counters.panics.add(1);
                shard.cut_off(conn);
                Poll::Ready(None)
            }
        }
    })
    .await;
    conn.hold_input(0);
    greeted
}

/// Hears what comes before the first request, and enters the peer.
async fn hear(shard: &Shard, conn: &Conn, reader: &mut ReadHalf, writer: &mut WriteHalf) -> io::Result<Protocol> {
    // Before anything is waited for: of one that is gone nobody knows any more where it was.
    let peer = conn.socket().peer_address()?;
    let mut said = None;
    if let Some(rule) = shard.proxy_header(conn.service()) {
        said = take_header(shard, conn, peer, rule).await?;
        let at = Whereabouts::of_peer(whereabouts(said, peer));
        if !shard.callers.connection_access().is_none_or(|access| access.admits(at)) {
            shard.counters.denied.add(1);
            // It has broken no rule of the protocol.
            shard.cut_off(conn);
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    let Greeting { protocol, tls } = shake_hands(reader, writer, conn.socket()).await?;
    if said.is_some() || tls.is_some() || (conn.service().has_callers && shard.callers.ask_peers()) {
        let (address, secure) = (whereabouts(said, peer), said.is_some_and(|said| said.secure));
        if let Some(log) = conn.log() {
            log.meet(address);
        }
        conn.meet(shard.peers.enter(Peer { address, secure, tls }));
    }
    Ok(protocol)
}
