//! Calls of this process. Its end closes when it has no more to ask, and never half-closes: the end of its input is its
//! leaving.

use crate::limits::READ_BUFFER_BYTES;
use crate::link::port::ToShard;
use crate::shard::service::{AtStop, Service, Speaks};

pub(in crate::shard) static IN_PROCESS: Service = Service {
    is_load: true,
    takes_requests: true,
    hand_over: Some(ToShard::InProcess),
    may_begin: |shard| !shard.stopping(),
    // As short-lived as its requests, and of this process: no need to save.
    lean_bytes: READ_BUFFER_BYTES,
    tls: |_| None,
    half_closes: false,
    speaks_http2: false,
    has_callers: false,
    at_stop: AtStop::IsLeft,
    answer: None,
    greets: None,
    speaks: Speaks::ToServer,
};
