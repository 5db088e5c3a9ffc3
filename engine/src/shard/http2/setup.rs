//! What a client is told of the bounds of its connection (RFC 9113 6.5.2).

use std::time::Duration;

use h2::server::Builder;

use crate::limits::Http2Limits;
use crate::wire::frame_watch::{FrameLimits, INTERVAL_MS};

/// A connection within these bounds.
pub(in crate::shard) fn builder(limits: &Http2Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(limits.max_field_bytes)
        .initial_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_pending_accept_reset_streams(limits.max_streams as usize)
        .max_local_error_reset_streams(Some(limits.max_resets as usize))
        .max_concurrent_reset_streams(limits.max_streams as usize)
        .reset_stream_duration(Duration::from_millis(INTERVAL_MS));
    builder
}

/// What it may send beside.
pub(in crate::shard) fn frame_limits(limits: &Http2Limits) -> FrameLimits {
    FrameLimits { max_resets: limits.max_resets, max_control_frames: limits.max_control_frames }
}
