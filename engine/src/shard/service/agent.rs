//! The agent of a balancer: whoever connects is told one line (the agent-check of HAProxy), and is gone. It asks for no HTTP, and
//! reads nothing.

use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use crate::limits::LEAN_READ_BUFFER_BYTES;
use crate::shard::Shard;
use crate::shard::service::{AtStop, Service, Speaks};

pub(in crate::shard) static AGENT: Service = Service {
    is_load: false,
    takes_requests: false,
    has_callers: false,
    hand_over: None,
    may_begin: |_| false,
    lean_bytes: LEAN_READ_BUFFER_BYTES,
    tls: |_| None,
    half_closes: false,
    speaks_http2: false,
    at_stop: AtStop::Stays,
    answer: None,
    greets: Some(|shard, socket| shard.tell_agent(socket)),
    speaks: Speaks::ToServer,
};

impl Shard {
    /// Best effort: the socket's buffer is empty, so that the line fits, or the peer is gone already.
    fn tell_agent(&self, socket: &OwnedFd) {
        // To close over what was sent (`agent-send`) would reset the connection, and the line with it.
        let _ = recv(socket.as_fd(), &mut [0u8; 256], RecvFlags::DONTWAIT);
        let line = self.health().agent_line();
        let _ = send(socket.as_fd(), line.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        let _ = shutdown(socket, Shutdown::Write);
    }
}
