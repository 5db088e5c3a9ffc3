//! What every option that is a number may be: its unit, its default, its least and its most.

use crate::limits::{
    DEFAULT_BACKLOG, DEFAULT_BLOCKED_TIMEOUT_MS, DEFAULT_DRAIN_TIMEOUT_MS, DEFAULT_MAX_CALLERS, LAST_ACCEPTS, Limits,
    MAX_HEAD_BYTES_CEILING, MAX_HEADERS, MAX_JSON_DEPTH, MAX_SHARDS, MAX_WORKERS, MultipartLimits,
};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The range of one option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// As the user spells it, without the group that it stands in.
    pub option: &'static str,
    /// What holds where none is given; `None`: no bound.
    pub default: Option<u64>,
    /// The least that it may be.
    pub least: u64,
    /// The most that it may be; `None`: whatever counts.
    pub most: Option<u64>,
    /// What it counts, for messages.
    pub unit: Option<&'static str>,
}

const fn bound(option: &'static str, default: u64, least: u64, most: u64, unit: &'static str) -> Bound {
    Bound { option, default: Some(default), least, most: Some(most), unit: Some(unit) }
}

const DEFAULT: Limits = Limits::DEFAULT;

/// The group `limits`. What happens when one is reached, [`Limits`] says.
pub const LIMITS: [Bound; 33] = [
    bound("maxHeadBytes", DEFAULT.max_head_bytes as u64, 512, MAX_HEAD_BYTES_CEILING as u64, "bytes"),
    bound("maxTargetBytes", DEFAULT.max_target_bytes as u64, 16, 64 * KIB, "bytes"),
    bound("maxHeaders", DEFAULT.max_headers as u64, 1, MAX_HEADERS as u64, "header lines"),
    bound("maxChunkExtensionBytes", DEFAULT.max_chunk_extension_bytes as u64, 0, 64 * KIB, "bytes"),
    bound("maxTrailerBytes", DEFAULT.max_trailer_bytes as u64, 0, 64 * KIB, "bytes"),
    // Bodies become one string; V8 ends a string at about 512 MiB, and a batch holds several.
    bound("maxBodyBytes", DEFAULT.max_body_bytes, 0, 256 * MIB, "bytes"),
    bound("maxJsonDepth", DEFAULT.max_json_depth as u64, 1, MAX_JSON_DEPTH as u64, "levels"),
    bound("maxPipelined", DEFAULT.max_pipelined as u64, 1, 1024, "requests"),
    bound(
        "maxRequestsPerConnection",
        DEFAULT.max_requests_per_connection,
        0,
        1_000_000_000,
        "requests, 0 = any number",
    ),
    bound("maxCallsInFlight", DEFAULT.max_calls_in_flight as u64, 1, 1_000_000, "calls"),
    // The default is not the one of `Limits`, which stands for no system in particular.
    bound("maxConnections", 0, 0, 1_000_000, "connections, 0 = by the limit of open files"),
    bound("maxBufferedBytes", DEFAULT.max_buffered_bytes as u64, 4 * KIB, 64 * MIB, "bytes"),
    bound("maxTotalBufferedBytes", DEFAULT.max_total_buffered_bytes as u64, MIB, 1024 * GIB, "bytes"),
    bound("handshakeTimeoutMs", DEFAULT.handshake_timeout_ms, 1, DAY_MS, "milliseconds"),
    bound("maxHandshakes", DEFAULT.max_handshakes as u64, 1, 1_000_000, "handshakes"),
    bound("headTimeoutMs", DEFAULT.head_timeout_ms, 1, DAY_MS, "milliseconds"),
    bound("bodyTimeoutMs", DEFAULT.body_timeout_ms, 1, DAY_MS, "milliseconds"),
    bound("minBodyBytesPerS", DEFAULT.min_body_bytes_per_s, 1, GIB, "bytes a second"),
    bound("maxBodyTimeMs", DEFAULT.max_body_time_ms, 1, DAY_MS, "milliseconds"),
    bound("maxDiscardedBytes", DEFAULT.max_discarded_bytes, 0, 1024 * GIB, "bytes"),
    bound("discardTimeoutMs", DEFAULT.discard_timeout_ms, 1, DAY_MS, "milliseconds"),
    bound("idleTimeoutMs", DEFAULT.idle_timeout_ms, 1, DAY_MS, "milliseconds"),
    bound("writeTimeoutMs", DEFAULT.write_timeout_ms, 1, DAY_MS, "milliseconds"),
    bound("handlerTimeoutMs", DEFAULT.handler_timeout_ms, 0, DAY_MS, "milliseconds, 0 = none"),
    bound("queueTimeoutMs", DEFAULT.queue_timeout_ms, 0, DAY_MS, "milliseconds, 0 = none"),
    bound("drainTimeoutMs", DEFAULT_DRAIN_TIMEOUT_MS, 0, DAY_MS, "milliseconds"),
    bound("keepAliveHintS", DEFAULT.keep_alive_hint_s as u64, 0, 3600, "seconds"),
    bound("maxStreams", DEFAULT.http2.max_streams as u64, 1, 10_000, "streams of an HTTP/2 connection"),
    bound("maxHeaderListBytes", DEFAULT.http2.max_field_bytes as u64, 512, MAX_HEAD_BYTES_CEILING as u64, "bytes"),
    bound("streamWindowBytes", DEFAULT.http2.stream_window_bytes as u64, KIB, 64 * MIB, "bytes"),
    bound("connectionWindowBytes", DEFAULT.http2.connection_window_bytes as u64, 64 * KIB, GIB, "bytes"),
    bound("maxStreamResets", DEFAULT.http2.max_resets as u64, 1, 1_000_000, "streams reset"),
    bound("maxControlFrames", DEFAULT.http2.max_control_frames as u64, 16, 1_000_000, "frames in 30 seconds"),
];

/// The numbers that stand elsewhere.
pub const OPTIONS: [Bound; 10] = [
    Bound { option: "port", default: Some(0), least: 0, most: Some(u16::MAX as u64), unit: None },
    bound("backlog", DEFAULT_BACKLOG as u64, 1, LAST_ACCEPTS as u64, "connections"),
    bound("shards", 0, 0, MAX_SHARDS as u64, "threads, 0 = by the number of cores"),
    Bound { option: "workers", default: None, least: 1, most: Some(MAX_WORKERS as u64), unit: Some("event loops") },
    bound("blockedTimeoutMs", DEFAULT_BLOCKED_TIMEOUT_MS, 0, DAY_MS, "milliseconds, 0 = none"),
    bound("readinessDelayMs", 0, 0, 600_000, "milliseconds"),
    Bound { option: "burst", default: None, least: 1, most: Some(1_000_000), unit: Some("requests") },
    Bound { option: "maxConcurrent", default: None, least: 1, most: Some(1_000_000), unit: Some("calls") },
    bound("maxCallers", DEFAULT_MAX_CALLERS, 64, 16_000_000, "callers"),
    // As many seconds as every cache can count (RFC 9111 1.2.2).
    Bound { option: "maxAge", default: None, least: 0, most: Some(i32::MAX as u64), unit: Some("seconds") },
];

const fn form(option: &'static str, default: Option<u64>) -> Bound {
    Bound { option, default, least: 0, most: None, unit: Some("Infinity = none") }
}

const fn count(bound: Option<u32>) -> Option<u64> {
    match bound {
        Some(bound) => Some(bound as u64),
        None => None,
    }
}

/// The group `multipart`.
pub const MULTIPART: [Bound; 5] = [
    form("fileSize", MultipartLimits::DEFAULT.file_bytes),
    form("files", count(MultipartLimits::DEFAULT.files)),
    form("fieldSize", MultipartLimits::DEFAULT.field_bytes),
    form("fields", count(MultipartLimits::DEFAULT.fields)),
    form("parts", count(MultipartLimits::DEFAULT.parts)),
];

/// The range of an option outside of `multipart`.
#[must_use]
pub fn of(option: &str) -> Option<&'static Bound> {
    LIMITS.iter().chain(&OPTIONS).find(|bound| bound.option == option)
}

impl Bound {
    /// True for what the option may be.
    #[must_use]
    pub fn allows(&self, value: f64) -> bool {
        value.fract() == 0.0 && value >= self.least as f64 && self.most.is_none_or(|most| value <= most as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_may_be_its_default_its_least_and_its_most_and_nothing_beyond() {
        for bound in LIMITS.iter().chain(&OPTIONS).chain(&MULTIPART) {
            let ends = [Some(bound.least), bound.most, bound.default];
            assert!(ends.into_iter().flatten().all(|value| bound.allows(value as f64)), "{bound:?}");
            let beyond = [bound.least as f64 - 1.0, bound.least as f64 + 0.5, f64::NAN, f64::NEG_INFINITY];
            assert!(!beyond.into_iter().any(|value| bound.allows(value)), "{bound:?}");
            assert!(!bound.most.is_some_and(|most| bound.allows(most as f64 + 1.0)), "{bound:?}");
        }
    }

    #[test]
    fn an_option_has_one_range() {
        let all = LIMITS.iter().chain(&OPTIONS).map(|bound| bound.option);
        for option in all.clone() {
            assert_eq!(all.clone().filter(|other| *other == option).count(), 1, "{option}");
            assert_eq!(of(option).map(|bound| bound.option), Some(option));
        }
    }
}
