//! Calls of clients, over TCP or a unix socket.

use crate::limits::LEAN_READ_BUFFER_BYTES;
use crate::link::port::ToShard;
use crate::shard::service::{AtStop, Service, Speaks};

pub(in crate::shard) static TUNNEL: Service = Service {
    is_load: true,
    takes_requests: true,
    hand_over: Some(ToShard::Socket),
    // Whom the kernel had let in when the stop came is served.
    may_begin: |shard| !shard.life.is_finished() && !shard.life.is_winding_down(),
    lean_bytes: LEAN_READ_BUFFER_BYTES,
    tls: |shard| shard.tls.as_deref(),
    half_closes: true,
    speaks_http2: true,
    has_callers: true,
    at_stop: AtStop::Closes,
    answer: None,
    greets: None,
    speaks: Speaks::ToServer,
};
