//! What the engine counts and measures, as JSON.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::Arc;

use fasttunnel_engine::Engine;
use fasttunnel_engine::link::access_log::LogTally;
use fasttunnel_engine::link::histogram::{Histogram, HistogramSnapshot};
use fasttunnel_engine::link::host::Host;
use fasttunnel_engine::link::hosts::Hosts;
use fasttunnel_engine::link::meter;
use fasttunnel_engine::shard::counters;

/// Bounds of the buckets of durations: 1.024 µs to 69 s, as powers of two, in nanoseconds. The same for every histogram
/// and for all time, as metrics systems want it.
const DURATION_LOGS: RangeInclusive<u32> = 10..=36;
/// Bounds of the buckets of sizes of batches: 1 to 16384, as powers of two.
const SIZE_LOGS: RangeInclusive<u32> = 0..=14;

/// The shards' objects, comma-separated: `ShardStats` of `lib/stats/stats.ts`.
pub fn shards_json(engine: &Engine, hosts: &Hosts) -> String {
    let mut text = String::new();
    for (index, (snapshot, own)) in engine.stats().iter().zip(engine.meters()).enumerate() {
        text.push_str(if index == 0 { "{" } else { ",{" });
        for (row, value) in counters::STATED.iter().zip(snapshot.values()) {
            let _ = write!(text, "\"{}\":{value},", row.camel_case());
        }
        let tally = hosts.tally(index);
        for (row, value) in meter::STATED.iter().zip([tally.host_wakes, tally.waiting, tally.most_waiting]) {
            let _ = write!(text, "\"{}\":{value},", row.camel_case());
        }
        text.push_str("\"phases\":{\"parse\":");
        put_durations(&mut text, &own.parse_ns.snapshot());
        text.push_str(",\"queue\":");
        put_durations(&mut text, &tally.queue_ns);
        text.push_str(",\"js\":");
        put_durations(&mut text, &tally.host_ns);
        text.push_str(",\"write\":");
        put_durations(&mut text, &own.write_ns.snapshot());
        text.push_str("},");
        text.push_str("\"callsPerBatch\":");
        put_sizes(&mut text, &own.calls_per_batch);
        text.push_str(",\"answersPerBatch\":");
        put_sizes(&mut text, &own.answers_per_batch);
        text.push('}');
    }
    text
}

/// The event loops' objects, comma-separated: `Member` of `lib/stats/stats.ts`.
pub fn members_json(members: &[Arc<Host>]) -> String {
    let object = |host: &Arc<Host>| {
        let (member, calls, waiting, running) = (host.number(), host.calls(), host.unbegun(), host.running());
        format!("{{\"member\":{member},\"calls\":{calls},\"waiting\":{waiting},\"running\":{running}}}")
    };
    members.iter().map(object).collect::<Vec<_>>().join(",")
}

/// The member `log` of `Stats` in `lib/stats/stats.ts`, and a comma.
pub fn log_json(LogTally { written, dropped, failed }: LogTally) -> String {
    format!("\"log\":{{\"written\":{written},\"dropped\":{dropped},\"failed\":{failed}}},")
}

/// `DurationHistogram`: nanoseconds as microseconds.
fn put_durations(text: &mut String, seen: &HistogramSnapshot) {
    put(text, seen, DURATION_LOGS, "Us", |text, ns| {
        let _ = write!(text, "{}.{:03}", ns / 1000, ns % 1000);
    });
}

/// `SizeHistogram`.
fn put_sizes(text: &mut String, histogram: &Histogram) {
    put(text, &histogram.snapshot(), SIZE_LOGS, "", |text, size| {
        let _ = write!(text, "{size}");
    });
}

fn put(
    text: &mut String,
    seen: &HistogramSnapshot,
    logs: RangeInclusive<u32>,
    unit: &str,
    number: impl Fn(&mut String, u64),
) {
    let _ = write!(text, "{{\"count\":{}", seen.count);
    let values = [
        ("sum", seen.sum),
        ("p50", seen.quantile(0.5)),
        ("p90", seen.quantile(0.9)),
        ("p99", seen.quantile(0.99)),
        ("max", seen.max),
    ];
    for (name, value) in values {
        let _ = write!(text, ",\"{name}{unit}\":");
        number(text, value);
    }
    text.push_str(",\"buckets\":[");
    for (place, (bound, count)) in seen.up_to_powers(logs).enumerate() {
        let _ = write!(text, "{}{{\"le{unit}\":", if place == 0 { "" } else { "," });
        number(text, bound);
        let _ = write!(text, ",\"count\":{count}}}");
    }
    text.push_str("]}");
}
