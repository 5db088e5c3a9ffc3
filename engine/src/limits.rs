//! Every bound of the system, its default, and what happens when it is reached.
//!
//! Options ([`Limits`]) can be set by the user; constants cannot.

/// Field lines in one head. More: 431, close. A constant, because the table has a fixed size.
pub const MAX_HEADERS: usize = 100;

/// The largest `max_head_bytes` that may be configured.
pub const MAX_HEAD_BYTES_CEILING: usize = 64 * 1024;

/// Empty lines before a request line (RFC 9112 2.2 asks to ignore at least one). More: 400, close.
pub const MAX_LEADING_EMPTY_LINES: usize = 4;

/// Bytes of chunk extensions in one request, all chunks together. More: 413, close.
pub const MAX_CHUNK_EXTENSION_BYTES: usize = 4 * 1024;

/// Nesting of arrays and objects in a JSON body (CONTRACT 11.2: 1001 pass, 1002 fail). More: 400.
pub const MAX_JSON_DEPTH: usize = 1001;

/// Bytes of a client's `x-runner-request-id`. Longer: replaced by a fresh one (CONTRACT 9).
pub const MAX_REQUEST_ID_BYTES: usize = 128;

/// Bytes of a method name. Longer: 501, close (RFC 9112 3: longer than any method that is implemented).
pub const MAX_METHOD_BYTES: usize = 32;

/// Bytes of one head, default of `max_head_bytes`. More: 431, close.
pub const DEFAULT_HEAD_BYTES: usize = 16 * 1024;

/// Bytes of a request target, default of `max_target_bytes`. More: 414, close.
pub const DEFAULT_TARGET_BYTES: usize = 8 * 1024;

/// Bytes of the trailer section of one chunked body. More: 431, close.
pub const MAX_TRAILER_BYTES: usize = 8 * 1024;

const _: () = assert!(DEFAULT_HEAD_BYTES <= MAX_HEAD_BYTES_CEILING && DEFAULT_TARGET_BYTES < DEFAULT_HEAD_BYTES);
/// Body bytes up to which the buffers of a JSON check are kept for the next one. A longer body: they are given
/// back afterwards (simd-json needs up to 28 bytes of tape and index for one byte of body).
pub const MAX_KEPT_JSON_BYTES: usize = 64 * 1024;
