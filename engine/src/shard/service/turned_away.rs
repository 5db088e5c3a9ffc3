//! Connections beyond a bound, which have been told so: they stay for a while, so that a client that sends all of a request
//! before it reads finds that answer, and no reset instead (RFC 9112 9.6).

use crate::limits::LEAN_READ_BUFFER_BYTES;
use crate::shard::service::{AtStop, Service, Speaks};

pub(in crate::shard) static TURNED_AWAY: Service = Service {
    is_load: false,
    takes_requests: false,
    has_callers: false,
    hand_over: None,
    may_begin: |shard| !shard.stopping(),
    lean_bytes: LEAN_READ_BUFFER_BYTES,
    // It was told in plain text.
    tls: |_| None,
    half_closes: false,
    speaks_http2: false,
    at_stop: AtStop::Stays,
    answer: None,
    greets: None,
    speaks: Speaks::ToServer,
};
