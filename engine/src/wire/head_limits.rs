//! The bounds of one head.

use crate::limits::{DEFAULT_HEAD_BYTES, DEFAULT_TARGET_BYTES, MAX_HEADERS};

/// The configurable bounds of one head, and how it is read. Answers have no target, and so none of what concerns that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes from the start line to the empty line, both included. More: 431.
    pub max_head_bytes: usize,
    /// Bytes of the request target. More: 414.
    pub max_target_bytes: usize,
    /// Field lines. More: 431. Beyond [`MAX_HEADERS`] it bounds nothing: the table of a head is full then.
    pub max_headers: usize,
    /// Take `#` in a target for the start of a fragment, and ignore that (CONTRACT 2). Off: 400, a fragment is never
    /// sent (RFC 9112 3.2.1).
    pub ignore_fragment: bool,
    /// Read `CONNECT host:port` as a request. Off, as for a server that opens no tunnels to other hosts: 501 for every
    /// `CONNECT`, as soon as its line is complete.
    pub connect: bool,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits {
            max_head_bytes: DEFAULT_HEAD_BYTES,
            max_target_bytes: DEFAULT_TARGET_BYTES,
            max_headers: MAX_HEADERS,
            ignore_fragment: false,
            connect: false,
        }
    }
}
