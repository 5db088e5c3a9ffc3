//! How a connection comes into its shard, and how it goes.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::caller::access::Access;
use crate::caller::proxies::Whereabouts;
use crate::caller::rules::ProxyHeaderRule;
use crate::link::peers::Peer;
use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::connection::conn_log::ConnLog;
use crate::shard::exchange::phase::Phase;
use crate::shard::proxy::begin::begin;
use crate::shard::serve::greet::greet_and_serve;
use crate::shard::serve::task::serve;
use crate::shard::service::{Service, Speaks};
use crate::shard::transport::socket::Socket;
use crate::shard::transport::{self, Encryption};

impl Shard {
    /// Takes a connection over that was accepted here or elsewhere, or made in this process.
    pub(in crate::shard) fn adopt(self: &Rc<Self>, socket: OwnedFd, service: &'static Service) {
        let log = self.log_of(&socket, service);
        let opened = transport::open(socket, &self.driver, self.encryption(service));
        match opened.and_then(|(socket, reader, writer)| Ok((self.meet(&socket, service)?, socket, reader, writer))) {
            Ok((peer, socket, reader, writer)) if (service.may_begin)(self) => {
                self.clock.arm();
                if service.is_load {
                    self.counters.accepted.add(1);
                }
                if service.speaks == Speaks::ToProxy {
                    begin(self, service, socket, reader, writer);
                    return self.counters.connections.set(self.conns.load() as u64);
                }
                // Entered in the table at once, not by its task: a stop in this very tick has to find it.
                let (now_ms, buffers) = (self.now_ms(), self.buffers.clone());
                let conn = self.conns.enter(|id| Conn::new(id, socket, service, now_ms, buffers, log));
                self.counters.connections.set(self.conns.load() as u64);
                if !service.takes_requests {
                    conn.begin_close();
                }
                if conn.socket().is_encrypted() || self.proxy_header(service).is_some() {
                    conn.restart(Phase::Handshake, now_ms);
                    monoio::spawn(greet_and_serve(self.begin_task(), conn, reader, writer));
                } else {
                    if service.has_callers && self.callers.ask_peers() {
                        // Now: when its first request is looked at it may be gone, and would be nobody.
                        conn.meet(self.peers.enter(Peer { address: peer, ..Peer::default() }));
                    }
                    monoio::spawn(serve(self.begin_task(), conn, reader, writer));
                }
            }
            _ => self.forget_load(service),
        }
    }

    /// What is said of headers of the PROXY protocol, where connections of this service may begin with one.
    pub(in crate::shard) fn proxy_header(&self, service: &Service) -> Option<&ProxyHeaderRule> {
        self.callers.proxy_header.as_ref().filter(|_| service.has_callers)
    }

    /// Where the peer is, where something depends on that. An error: it may not call, as far as that is known before the first
    /// byte, or it is gone, so that nobody knows who has sent what can still be read.
    fn meet(&self, socket: &Socket, service: &Service) -> io::Result<Option<SocketAddr>> {
        if !service.has_callers || !self.callers.ask_peers() {
            return Ok(None);
        }
        let peer = socket.peer_address()?;
        let admits = |access: &Access| self.callers.proxy_header.is_some() || access.admits(Whereabouts::of_peer(peer));
        if self.callers.connection_access().is_none_or(admits) {
            Ok(peer)
        } else {
            self.counters.denied.add(1);
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    /// Where the requests of a connection are written down, if they are.
    fn log_of(&self, socket: &OwnedFd, service: &Service) -> Option<Box<ConnLog>> {
        let shared = self.log.as_ref().filter(|_| service.is_load && service.speaks != Speaks::ToProxy)?;
        let remote = socket2::SockRef::from(socket).peer_addr().ok().and_then(|address| address.as_socket());
        Some(Box::new(ConnLog::new(shared.clone(), remote)))
    }

    /// What a connection of this service is encrypted with: what is in force now, whatever others began with.
    fn encryption(&self, service: &Service) -> Option<Encryption> {
        let (tls, _) = (service.tls)(self)?.get();
        let http2 = service.speaks_http2 && self.limits.http2.enabled;
        Some(Encryption { config: tls.config(http2), held: self.buffers.scale() })
    }

    /// A connection has ended, or does not begin.
    pub(in crate::shard) fn forget_load(&self, service: &Service) {
        if service.is_load
            && let Some(load) = self.loads.get(self.index)
        {
            load.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The task of a connection is at its end.
    pub(in crate::shard) fn unregister(&self, conn: &Conn) {
        // Whatever was under way has nobody to answer to.
        self.cut_off(conn);
        if let Some(log) = conn.log() {
            log.abort_all();
        }
        self.conns.leave(conn);
        self.spell.note();
        self.counters.connections.set(self.conns.load() as u64);
        self.forget_load(conn.service());
        self.touch();
    }

    /// Ends a connection at once; its calls are abandoned.
    pub(in crate::shard) fn cut_off(&self, conn: &Conn) {
        let mut abandoned = Vec::new();
        conn.kill(&mut abandoned);
        if !abandoned.is_empty() {
            self.abandon(&abandoned);
        }
    }
}
