//! The figures as JSON: for `stats()` of the package, and for viewers of the dashboard.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::figures::Figures;
use super::histograms::{DURATION_LOGS, SIZE_LOGS, task_logs};
use super::names;
use super::text::{delay_s, main_loop, workers};
use crate::link::census::{Census, TaskFigures};
use crate::link::histogram::HistogramSnapshot;
use crate::link::meter;
use crate::shard::watch::counters;
use crate::tunnel::json_string::write_json_string;
use crate::tunnel::table::Kind;

/// One object with everything. `trouble`: why calls are not taken.
pub(super) fn report(figures: &Figures, trouble: Option<&str>) -> String {
    let census = figures.backend.census();
    let mut text = String::with_capacity(16 << 10);
    let _ = write!(
        text,
        "{{\"upMs\":{},\"driver\":\"{}\",\"placement\":\"{}\",\"ready\":\"{}\",\"failedShards\":{},\"live\":{},\"drains\":{},\"shards\":[",
        figures.started.elapsed().as_millis(),
        figures.driver.name(),
        if figures.inline { "inline" } else { "threads" },
        trouble.unwrap_or("ok"),
        figures.failed_shards(),
        census.live,
        census.drains,
    );
    put_shards(&mut text, figures);
    text.push_str("],\"loops\":[");
    put_loops(&mut text, &census);
    text.push_str("],\"tasks\":[");
    for (place, task) in census.tasks.iter().enumerate() {
        put_task(&mut text, place, task);
    }
    text.push_str("],\"process\":{");
    for (row, value) in names::PROCESS.iter().zip(figures.process.read()).filter(|(_, value)| value.is_finite()) {
        let comma = if text.ends_with('{') { "" } else { "," };
        let _ = write!(text, "{comma}\"{}\":{value}", row.camel_case());
    }
    text.push_str("}}");
    text
}

/// The shards' objects, comma-separated: `ShardStats` of `lib/stats/stats.ts`.
#[must_use]
pub fn shards(figures: &Figures) -> String {
    let mut text = String::new();
    put_shards(&mut text, figures);
    text
}

fn put_shards(text: &mut String, figures: &Figures) {
    for (index, (counters, own)) in figures.counters.iter().zip(&figures.meters).enumerate() {
        text.push_str(if index == 0 { "{" } else { ",{" });
        for (row, value) in counters::STATED.iter().zip(counters.snapshot().values()) {
            let _ = write!(text, "\"{}\":{value},", row.camel_case());
        }
        let tally = figures.backend.tally(index);
        for (row, value) in meter::STATED.iter().zip([tally.host_wakes, tally.waiting, tally.most_waiting]) {
            let _ = write!(text, "\"{}\":{value},", row.camel_case());
        }
        text.push_str("\"refusals\":{");
        for (status, times) in counters.refusals.seen() {
            let comma = if text.ends_with('{') { "" } else { "," };
            let _ = write!(text, "{comma}\"{status}\":{times}");
        }
        text.push_str("},\"phases\":{\"parse\":");
        put_durations(text, &own.parse_ns.snapshot());
        text.push_str(",\"queue\":");
        put_durations(text, &tally.queue_ns);
        text.push_str(",\"js\":");
        put_durations(text, &tally.host_ns);
        text.push_str(",\"write\":");
        put_durations(text, &own.write_ns.snapshot());
        text.push_str("},\"callsPerBatch\":");
        put_sizes(text, &own.calls_per_batch.snapshot());
        text.push_str(",\"answersPerBatch\":");
        put_sizes(text, &own.answers_per_batch.snapshot());
        text.push('}');
    }
}

/// `DurationHistogram`: nanoseconds as microseconds.
fn put_durations(text: &mut String, seen: &HistogramSnapshot) {
    put(text, seen, DURATION_LOGS, "Us", put_us);
}

fn put_us(text: &mut String, ns: u64) {
    let _ = write!(text, "{}.{:03}", ns / 1000, ns % 1000);
}

/// `SizeHistogram`.
fn put_sizes(text: &mut String, seen: &HistogramSnapshot) {
    put(text, seen, SIZE_LOGS, "", |text, size| {
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

/// The event loops that have said something.
fn put_loops(text: &mut String, census: &Census) {
    let all = main_loop(&census.loops).into_iter().chain(workers(&census.loops));
    for (place, (name, figures, beat, age_ns)) in all.enumerate() {
        let (delay, comma) = (delay_s(&beat, age_ns), if place == 0 { "" } else { "," });
        let _ = write!(
            text,
            "{comma}{{\"loop\":\"{name}\",\"calls\":{},\"waiting\":{},\"running\":{},\"restarts\":{},\"delayMs\":{},\"delayMaxMs\":{},\
            \"utilization\":{},\"ageMs\":{}}}",
            figures.calls,
            figures.waiting,
            figures.running,
            beat.restarts,
            delay * 1000.0,
            (delay * 1000.0).max(beat.delay_max_us as f64 / 1000.0),
            beat.utilization_ppm as f64 / 1e6,
            age_ns / 1_000_000,
        );
    }
}

fn put_task(text: &mut String, place: usize, task: &TaskFigures) {
    let kind = match task.kind {
        Some(Kind::Task) => "task",
        Some(Kind::Event) => "event",
        None => "other",
    };
    let _ = write!(text, "{}{{\"kind\":\"{kind}\",\"id\":", if place == 0 { "" } else { "," });
    let mut id = Vec::new();
    write_json_string(&mut id, &task.id);
    text.push_str(&String::from_utf8_lossy(&id));
    let seen = &task.durations;
    let _ = write!(text, ",\"count\":{},\"failed\":{}", seen.count, task.failed);
    for (name, value) in
        [("sumUs", seen.sum), ("p50Us", seen.quantile(0.5)), ("p99Us", seen.quantile(0.99)), ("maxUs", seen.max)]
    {
        let _ = write!(text, ",\"{name}\":");
        put_us(text, value);
    }
    text.push_str(",\"buckets\":[");
    for (place, (bound, count)) in seen.up_to_powers(task_logs()).enumerate() {
        text.push_str(if place == 0 { "[" } else { ",[" });
        put_us(text, bound);
        let _ = write!(text, ",{count}]");
    }
    text.push_str("]}");
}
