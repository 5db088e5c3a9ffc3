//! The bounds, as TypeScript hands them over.

use fasttunnel_engine::config::default_max_connections;
use fasttunnel_engine::limits::{Http2Limits, Limits, MultipartLimits};
use napi_derive::napi;

/// The bounds, in the units of their names.
#[napi(object)]
pub struct NativeLimits {
    /// Bytes of a head.
    pub max_head_bytes: u32,
    /// Bytes of a request target.
    pub max_target_bytes: u32,
    /// Field lines of a head, and of a trailer section.
    pub max_headers: u32,
    /// Bytes of the chunk extensions of a request.
    pub max_chunk_extension_bytes: u32,
    /// Bytes of a trailer section.
    pub max_trailer_bytes: u32,
    /// Bytes of a JSON body.
    pub max_body_bytes: f64,
    /// Arrays and objects around a value of a JSON body.
    pub max_json_depth: u32,
    /// Requests that a connection serves; 0 for no limit.
    pub max_requests_per_connection: u32,
    /// Requests of a connection without an answer.
    pub max_pipelined: u32,
    /// Bytes of answers that a connection has not taken, and of its calls.
    pub max_buffered_bytes: f64,
    /// Bytes held for all connections.
    pub max_total_buffered_bytes: f64,
    /// Calls under way.
    pub max_calls_in_flight: u32,
    /// Connections; 0 for the default by RLIMIT_NOFILE.
    pub max_connections: u32,
    /// Time for a handshake.
    pub handshake_timeout_ms: f64,
    /// Handshakes under way.
    pub max_handshakes: u32,
    /// Time for a head.
    pub head_timeout_ms: f64,
    /// Time for a body.
    pub body_timeout_ms: f64,
    /// Bytes a second of a body that takes longer.
    pub min_body_bytes_per_s: f64,
    /// Time for a body, however fast it is.
    pub max_body_time_ms: f64,
    /// Bytes of a body that nobody wants which are thrown away.
    pub max_discarded_bytes: f64,
    /// Time without a byte of it.
    pub discard_timeout_ms: f64,
    /// Time between requests.
    pub idle_timeout_ms: f64,
    /// Time without progress in sending.
    pub write_timeout_ms: f64,
    /// Time for a handler; 0 for no limit.
    pub handler_timeout_ms: f64,
    /// Time for which calls may wait for JavaScript; 0 for no limit.
    pub queue_timeout_ms: f64,
    /// Announced keep-alive time.
    pub keep_alive_hint_s: u32,
    /// Streams of an HTTP/2 connection.
    pub max_streams: u32,
    /// Bytes of the fields of a request, as HTTP/2 counts them.
    pub max_header_list_bytes: u32,
    /// Window of a stream.
    pub stream_window_bytes: u32,
    /// Window of all streams of a connection.
    pub connection_window_bytes: u32,
    /// Streams that a client resets, within the interval.
    pub max_stream_resets: u32,
    /// Frames that ask for nothing, within the interval.
    pub max_control_frames: u32,
    /// Bounds of multipart forms; without them the engine's defaults.
    pub multipart: Option<NativeMultipart>,
}

/// Bounds of one multipart form; a missing one is none.
#[napi(object)]
pub struct NativeMultipart {
    /// Bytes of a file.
    pub file_size: Option<f64>,
    /// Files.
    pub files: Option<f64>,
    /// Bytes of a field.
    pub field_size: Option<f64>,
    /// Fields.
    pub fields: Option<f64>,
    /// Files and fields together.
    pub parts: Option<f64>,
}

impl NativeMultipart {
    fn limits(&self) -> MultipartLimits {
        // `as` saturates: what a counter cannot reach is no bound.
        let count = |bound: Option<f64>| bound.map(|bound| bound as u32);
        let bytes = |bound: Option<f64>| bound.map(|bound| bound as u64);
        MultipartLimits {
            file_bytes: bytes(self.file_size),
            files: count(self.files),
            field_bytes: bytes(self.field_size),
            fields: count(self.fields),
            parts: count(self.parts),
        }
    }
}

impl NativeLimits {
    /// As the engine has them.
    pub(super) fn bounds(&self, http2: bool) -> Limits {
        Limits {
            max_head_bytes: self.max_head_bytes as usize,
            max_target_bytes: self.max_target_bytes as usize,
            max_headers: self.max_headers as usize,
            max_chunk_extension_bytes: self.max_chunk_extension_bytes as usize,
            max_trailer_bytes: self.max_trailer_bytes as usize,
            max_body_bytes: self.max_body_bytes as u64,
            max_json_depth: self.max_json_depth as usize,
            max_requests_per_connection: u64::from(self.max_requests_per_connection),
            max_pipelined: self.max_pipelined as usize,
            max_buffered_bytes: self.max_buffered_bytes as usize,
            max_total_buffered_bytes: self.max_total_buffered_bytes as usize,
            max_calls_in_flight: self.max_calls_in_flight as usize,
            max_connections: match self.max_connections {
                0 => default_max_connections(),
                connections => connections as usize,
            },
            handshake_timeout_ms: self.handshake_timeout_ms as u64,
            max_handshakes: self.max_handshakes as usize,
            head_timeout_ms: self.head_timeout_ms as u64,
            body_timeout_ms: self.body_timeout_ms as u64,
            min_body_bytes_per_s: self.min_body_bytes_per_s as u64,
            max_body_time_ms: self.max_body_time_ms as u64,
            max_discarded_bytes: self.max_discarded_bytes as u64,
            discard_timeout_ms: self.discard_timeout_ms as u64,
            idle_timeout_ms: self.idle_timeout_ms as u64,
            write_timeout_ms: self.write_timeout_ms as u64,
            handler_timeout_ms: self.handler_timeout_ms as u64,
            queue_timeout_ms: self.queue_timeout_ms as u64,
            keep_alive_hint_s: self.keep_alive_hint_s,
            http2: Http2Limits {
                enabled: http2,
                max_streams: self.max_streams,
                max_field_bytes: self.max_header_list_bytes,
                stream_window_bytes: self.stream_window_bytes,
                connection_window_bytes: self.connection_window_bytes,
                max_resets: self.max_stream_resets,
                max_control_frames: self.max_control_frames,
            },
            multipart: self.multipart.as_ref().map_or_else(MultipartLimits::default, NativeMultipart::limits),
        }
    }
}
