//! Least and most of the options whose range the engine sets, and the defaults of the limits. TypeScript has tables of
//! all numbers (`lib/bounds.ts`, `lib/limits.ts`), and compares them with these when it loads the addon.

use fasttunnel_engine::limits::{
    LAST_ACCEPTS, Limits, MAX_HEAD_BYTES_CEILING, MAX_HEADERS, MAX_JSON_DEPTH, MAX_SHARDS, MultipartLimits,
};
use napi_derive::napi;

use crate::options::{CodedError, NativeLimits, NativeMultipart, NativeOptions, bad_option};

/// The range of one option.
struct Bound {
    /// As TypeScript spells it, without the group that it stands in.
    option: &'static str,
    least: usize,
    most: usize,
    given: fn(&NativeOptions) -> i64,
}

const BOUNDS: [Bound; 6] = [
    Bound { option: "port", least: 0, most: u16::MAX as usize, given: |options| options.port.into() },
    Bound { option: "backlog", least: 1, most: LAST_ACCEPTS, given: |options| options.backlog.into() },
    // 0 is the default by cores.
    Bound { option: "shards", least: 0, most: MAX_SHARDS, given: |options| options.shards.into() },
    Bound { option: "maxHeaders", least: 1, most: MAX_HEADERS, given: |options| options.limits.max_headers.into() },
    Bound {
        option: "maxHeadBytes",
        least: 512,
        most: MAX_HEAD_BYTES_CEILING,
        given: |options| options.limits.max_head_bytes.into(),
    },
    Bound {
        option: "maxJsonDepth",
        least: 1,
        most: MAX_JSON_DEPTH,
        given: |options| options.limits.max_json_depth.into(),
    },
];

/// Refuses what is out of range. TypeScript has looked before, so that this is for callers that go around it.
pub fn check(options: &NativeOptions) -> Result<(), CodedError> {
    for Bound { option, least, most, given } in BOUNDS {
        let value = given(options);
        if usize::try_from(value).is_ok_and(|value| (least..=most).contains(&value)) {
            continue;
        }
        return Err(bad_option(format!("{option}: must be an integer from {least} to {most}, got {value}")));
    }
    Ok(())
}

/// The range of one option, for JavaScript.
#[napi(object)]
pub struct NativeBound {
    /// Its name.
    pub option: String,
    /// The least that it may be.
    pub least: u32,
    /// The most that it may be.
    pub most: u32,
}

/// The ranges that the engine sets.
// `--all-targets` compiles the library for tests as well, where nothing registers exports.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn option_bounds() -> Vec<NativeBound> {
    BOUNDS
        .iter()
        .map(|bound| NativeBound {
            option: bound.option.to_owned(),
            least: bound.least as u32,
            most: bound.most as u32,
        })
        .collect()
}

/// The limits that hold where none are given; `maxConnections` is 0, which stands for the limit of open files.
#[cfg_attr(test, allow(dead_code))]
#[napi]
pub fn default_limits() -> NativeLimits {
    let mut limits = NativeLimits::from(&Limits::default());
    limits.max_connections = 0;
    limits
}

impl From<&Limits> for NativeLimits {
    fn from(limits: &Limits) -> Self {
        NativeLimits {
            max_head_bytes: limits.max_head_bytes as u32,
            max_target_bytes: limits.max_target_bytes as u32,
            max_headers: limits.max_headers as u32,
            max_chunk_extension_bytes: limits.max_chunk_extension_bytes as u32,
            max_trailer_bytes: limits.max_trailer_bytes as u32,
            max_body_bytes: limits.max_body_bytes as f64,
            max_json_depth: limits.max_json_depth as u32,
            max_requests_per_connection: limits.max_requests_per_connection as u32,
            max_pipelined: limits.max_pipelined as u32,
            max_buffered_bytes: limits.max_buffered_bytes as f64,
            max_total_buffered_bytes: limits.max_total_buffered_bytes as f64,
            max_calls_in_flight: limits.max_calls_in_flight as u32,
            max_connections: limits.max_connections as u32,
            head_timeout_ms: limits.head_timeout_ms as f64,
            body_timeout_ms: limits.body_timeout_ms as f64,
            min_body_bytes_per_s: limits.min_body_bytes_per_s as f64,
            max_body_time_ms: limits.max_body_time_ms as f64,
            max_discarded_bytes: limits.max_discarded_bytes as f64,
            discard_timeout_ms: limits.discard_timeout_ms as f64,
            idle_timeout_ms: limits.idle_timeout_ms as f64,
            write_timeout_ms: limits.write_timeout_ms as f64,
            handler_timeout_ms: limits.handler_timeout_ms as f64,
            queue_timeout_ms: limits.queue_timeout_ms as f64,
            keep_alive_hint_s: limits.keep_alive_hint_s,
            multipart: Some((&limits.multipart).into()),
        }
    }
}

impl From<&MultipartLimits> for NativeMultipart {
    fn from(limits: &MultipartLimits) -> Self {
        let count = |bound: Option<u32>| bound.map(f64::from);
        let bytes = |bound: Option<u64>| bound.map(|bound| bound as f64);
        NativeMultipart {
            file_size: bytes(limits.file_bytes),
            files: count(limits.files),
            field_size: bytes(limits.field_bytes),
            fields: count(limits.fields),
            parts: count(limits.parts),
        }
    }
}
