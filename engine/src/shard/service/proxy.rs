//! Clients of the forward proxy, over TCP or a unix socket.

use crate::limits::LEAN_READ_BUFFER_BYTES;
use crate::link::port::ToShard;
use crate::shard::service::{AtStop, Service, Speaks};

pub(in crate::shard) static PROXY: Service = Service {
    is_load: true,
    takes_requests: true,
    hand_over: Some(ToShard::Proxied),
    may_begin: |shard| !shard.life.is_finished() && !shard.life.is_winding_down(),
    lean_bytes: LEAN_READ_BUFFER_BYTES,
    half_closes: true,
    has_callers: false,
    at_stop: AtStop::Closes,
    answer: None,
    tls: |shard| shard.tls.as_deref(),
    speaks_http2: true,
    greets: None,
    speaks: Speaks::ToProxy,
};
