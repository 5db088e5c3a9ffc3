//! Refuses numbers that are out of range, which the engine's `bounds` has.

use fasttunnel_engine::bounds;

use crate::options::{CodedError, NativeOptions, bad_option};

/// A number among the options, where it is given.
struct Given {
    /// As TypeScript spells it, without the group that it stands in.
    option: &'static str,
    value: Option<f64>,
}

impl Given {
    fn number(option: &'static str, value: impl Into<f64>) -> Self {
        Given { option, value: Some(value.into()) }
    }
}

/// Refuses what is out of range. TypeScript has looked before, so that this is for callers that go around it.
pub fn check(options: &NativeOptions) -> Result<(), CodedError> {
    for Given { option, value } in numbers(options) {
        let Some(value) = value else { continue };
        match bounds::of(option) {
            Some(bound) if bound.allows(value) => {}
            Some(bounds::Bound { least, most: Some(most), .. }) => {
                return Err(bad_option(format!("{option}: must be an integer from {least} to {most}, got {value}")));
            }
            _ => return Err(bad_option(format!("{option}: {value} is out of its range"))),
        }
    }
    Ok(())
}

/// All of them but those of forms, of which any may be as large as it wants, and of `admin`, whose port `listen` checks.
fn numbers(options: &NativeOptions) -> [Given; 36] {
    let limits = &options.limits;
    [
        Given::number("port", options.port),
        Given::number("backlog", options.backlog),
        Given::number("shards", options.shards),
        Given { option: "maxAge", value: options.cors.as_ref().and_then(|cors| cors.max_age).map(f64::from) },
        Given::number("maxHeadBytes", limits.max_head_bytes),
        Given::number("maxTargetBytes", limits.max_target_bytes),
        Given::number("maxHeaders", limits.max_headers),
        Given::number("maxChunkExtensionBytes", limits.max_chunk_extension_bytes),
        Given::number("maxTrailerBytes", limits.max_trailer_bytes),
        Given::number("maxBodyBytes", limits.max_body_bytes),
        Given::number("maxJsonDepth", limits.max_json_depth),
        Given::number("maxPipelined", limits.max_pipelined),
        Given::number("maxRequestsPerConnection", limits.max_requests_per_connection),
        Given::number("maxCallsInFlight", limits.max_calls_in_flight),
        Given::number("maxConnections", limits.max_connections),
        Given::number("maxBufferedBytes", limits.max_buffered_bytes),
        Given::number("maxTotalBufferedBytes", limits.max_total_buffered_bytes),
        Given::number("handshakeTimeoutMs", limits.handshake_timeout_ms),
        Given::number("maxHandshakes", limits.max_handshakes),
        Given::number("headTimeoutMs", limits.head_timeout_ms),
        Given::number("bodyTimeoutMs", limits.body_timeout_ms),
        Given::number("minBodyBytesPerS", limits.min_body_bytes_per_s),
        Given::number("maxBodyTimeMs", limits.max_body_time_ms),
        Given::number("maxDiscardedBytes", limits.max_discarded_bytes),
        Given::number("discardTimeoutMs", limits.discard_timeout_ms),
        Given::number("idleTimeoutMs", limits.idle_timeout_ms),
        Given::number("writeTimeoutMs", limits.write_timeout_ms),
        Given::number("handlerTimeoutMs", limits.handler_timeout_ms),
        Given::number("queueTimeoutMs", limits.queue_timeout_ms),
        Given::number("keepAliveHintS", limits.keep_alive_hint_s),
        Given::number("maxStreams", limits.max_streams),
        Given::number("maxHeaderListBytes", limits.max_header_list_bytes),
        Given::number("streamWindowBytes", limits.stream_window_bytes),
        Given::number("connectionWindowBytes", limits.connection_window_bytes),
        Given::number("maxStreamResets", limits.max_stream_resets),
        Given::number("maxControlFrames", limits.max_control_frames),
    ]
}
