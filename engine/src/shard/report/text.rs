//! The figures as text for metrics systems: Prometheus 0.0.4 and OpenMetrics 1.0. `metricsText()` of the package writes the
//! same families in the same way.

use std::fmt::Write as _;

use super::figures::Figures;
use super::histograms::{DURATION_LOGS, SIZE_LOGS, task_logs};
use super::names::{self, Family};
use super::negotiate::Format;
use crate::link::access_log::LogTally;
use crate::link::beat::Beat;
use crate::link::census::{Census, LoopFigures, OF_A_LOG, OF_A_TUNNEL, OF_A_WORKER};
use crate::link::histogram::HistogramSnapshot;
use crate::link::meter;
use crate::shard::watch::counters;
use crate::stated::Kind;
use crate::tunnel::table::Kind as Target;

/// Before every name of ours.
const PREFIX: &str = "fasttunnel_";

/// All of it. `ready`: calls are taken.
pub(super) fn metrics(figures: &Figures, format: Format, ready: bool) -> String {
    let census = figures.backend.census();
    let mut text =
        Text { out: String::with_capacity(32 << 10), name: String::new(), open: format == Format::OpenMetrics };
    text.family("info", PREFIX, ("", names::INFO.1));
    text.sample("", &[("driver", figures.driver.name())], "1");
    text.of_the_tunnel(figures, &census, ready);
    text.of_the_log(figures);
    text.of_shards(figures);
    text.of_workers(&census.loops);
    text.of_loops(&census.loops);
    text.of_tasks(&census);
    text.of_the_process(figures);
    if text.open {
        text.out.push_str("# EOF\n");
    }
    text.out
}

/// What is written, and the family that samples belong to.
struct Text {
    out: String,
    name: String,
    open: bool,
}

type Labels<'a> = [(&'a str, &'a str)];

impl Text {
    fn family(&mut self, kind: &str, prefix: &str, (name, help): Family) {
        let base = format!("{prefix}{name}");
        let base = base.trim_end_matches('_');
        self.name = match kind {
            "counter" => format!("{base}_total"),
            "info" => format!("{base}_info"),
            _ => base.to_owned(),
        };
        let family = if self.open { base } else { &self.name };
        let kind = if kind == "info" && !self.open { "gauge" } else { kind };
        let _ = writeln!(self.out, "# HELP {family} {help}\n# TYPE {family} {kind}");
        if self.open && base.ends_with("_seconds") {
            let _ = writeln!(self.out, "# UNIT {base} seconds");
        }
    }

    fn sample(&mut self, suffix: &str, labels: &Labels<'_>, value: &str) {
        let _ = write!(self.out, "{}{suffix}", self.name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.out, "{}{label}=\"", if place == 0 { "{" } else { "," });
            put_escaped(&mut self.out, text);
            self.out.push('"');
        }
        let _ = writeln!(self.out, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// `bound` writes the bounds, and the sum.
    fn histogram(
        &mut self,
        labels: &Labels<'_>,
        seen: &HistogramSnapshot,
        logs: impl IntoIterator<Item = u32>,
        number: fn(u64) -> String,
    ) {
        for (bound, below) in seen.up_to_powers(logs) {
            let bound = number(bound);
            self.sample("_bucket", &[labels, &[("le", &bound)]].concat(), &below.to_string());
        }
        let count = seen.count.to_string();
        self.sample("_bucket", &[labels, &[("le", "+Inf")]].concat(), &count);
        self.sample("_count", labels, &count);
        self.sample("_sum", labels, &number(seen.sum));
    }

    fn of_the_tunnel(&mut self, figures: &Figures, census: &Census, ready: bool) {
        let values = [figures.failed_shards() as u64, census.live, census.drains];
        for (row, value) in OF_A_TUNNEL.iter().zip(values) {
            self.family(row.kind.name(), PREFIX, (row.name, row.says));
            self.sample("", &[], &value.to_string());
        }
        self.family("gauge", PREFIX, names::READY);
        self.sample("", &[], if ready { "1" } else { "0" });
    }

    fn of_the_log(&mut self, figures: &Figures) {
        let Some(log) = &figures.log else { return };
        let LogTally { written, dropped, failed } = log.tally();
        for (row, value) in OF_A_LOG.iter().zip([written, dropped, failed]) {
            self.family(row.kind.name(), &format!("{PREFIX}log_"), (row.name, row.says));
            self.sample("", &[], &value.to_string());
        }
    }

    fn of_shards(&mut self, figures: &Figures) {
        let shards: Vec<_> = (0..figures.counters.len()).map(|shard| shard.to_string()).collect();
        let tallies: Vec<_> = (0..shards.len()).map(|shard| figures.backend.tally(shard)).collect();
        let values: Vec<Vec<u64>> = figures
            .counters
            .iter()
            .zip(&tallies)
            .map(|(counters, tally)| {
                let handover = [tally.host_wakes, tally.waiting, tally.most_waiting];
                counters.snapshot().values().into_iter().chain(handover).collect()
            })
            .collect();
        for (at, row) in counters::STATED.iter().chain(&meter::STATED).enumerate() {
            self.family(row.kind.name(), PREFIX, (row.name, row.says.trim()));
            for (shard, values) in shards.iter().zip(&values) {
                self.sample("", &[("shard", shard)], &values.get(at).copied().unwrap_or(0).to_string());
            }
        }
        self.family("counter", PREFIX, names::REFUSALS);
        for (shard, counters) in shards.iter().zip(&figures.counters) {
            for (status, times) in counters.refusals.seen() {
                self.sample("", &[("shard", shard), ("status", &status.to_string())], &times.to_string());
            }
        }
        self.family("histogram", PREFIX, names::PHASES);
        for ((shard, own), tally) in shards.iter().zip(&figures.meters).zip(&tallies) {
            let (parse, write) = (own.parse_ns.snapshot(), own.write_ns.snapshot());
            for (phase, seen) in
                [("parse", &parse), ("queue", &tally.queue_ns), ("js", &tally.host_ns), ("write", &write)]
            {
                self.histogram(&[("shard", shard), ("phase", phase)], seen, DURATION_LOGS, seconds);
            }
        }
        self.family("histogram", PREFIX, names::CALLS_PER_BATCH);
        for (shard, own) in shards.iter().zip(&figures.meters) {
            self.histogram(&[("shard", shard)], &own.calls_per_batch.snapshot(), SIZE_LOGS, size);
        }
        self.family("histogram", PREFIX, names::ANSWERS_PER_BATCH);
        for (shard, own) in shards.iter().zip(&figures.meters) {
            self.histogram(&[("shard", shard)], &own.answers_per_batch.snapshot(), SIZE_LOGS, size);
        }
    }

    fn of_workers(&mut self, loops: &[LoopFigures]) {
        let workers = workers(loops);
        if workers.is_empty() {
            return;
        }
        for (at, row) in OF_A_WORKER.iter().enumerate() {
            self.family(row.kind.name(), &format!("{PREFIX}worker_"), (row.name, row.says));
            for (worker, figures, beat, age_ns) in &workers {
                let values = [
                    figures.calls as f64,
                    figures.waiting as f64,
                    figures.running as f64,
                    beat.restarts as f64,
                    delay_s(beat, *age_ns) * 1000.0,
                    delay_s(beat, *age_ns).max(beat.delay_max_us as f64 / 1e6) * 1000.0,
                ];
                self.sample("", &[("worker", worker)], &number(values.get(at).copied().unwrap_or(0.0)));
            }
        }
    }

    fn of_loops(&mut self, loops: &[LoopFigures]) {
        let loops: Vec<_> = main_loop(loops).into_iter().chain(workers(loops)).collect();
        type Pick = fn(&Beat, u64) -> f64;
        let families: [(Family, Pick); 4] = [
            (names::LOOP_DELAY, |beat, age_ns| delay_s(beat, age_ns)),
            (names::LOOP_DELAY_MAX, |beat, age_ns| delay_s(beat, age_ns).max(beat.delay_max_us as f64 / 1e6)),
            (names::LOOP_UTILIZATION, |beat, _| beat.utilization_ppm as f64 / 1e6),
            (names::LOOP_AGE, |_, age_ns| age_ns as f64 / 1e9),
        ];
        for (family, pick) in families {
            self.family("gauge", PREFIX, family);
            for (name, _, beat, age_ns) in &loops {
                self.sample("", &[("loop", name)], &number(pick(beat, *age_ns)));
            }
        }
    }

    fn of_tasks(&mut self, census: &Census) {
        let labels = |kind: Option<Target>| match kind {
            Some(Target::Task) => "task",
            Some(Target::Event) => "event",
            None => "other",
        };
        self.family("histogram", PREFIX, names::TASKS);
        for task in &census.tasks {
            self.histogram(&[("kind", labels(task.kind)), ("id", &task.id)], &task.durations, task_logs(), seconds);
        }
        self.family("counter", PREFIX, names::TASK_FAILURES);
        for task in &census.tasks {
            self.sample("", &[("kind", labels(task.kind)), ("id", &task.id)], &task.failed.to_string());
        }
    }

    fn of_the_process(&mut self, figures: &Figures) {
        for (row, value) in names::PROCESS.iter().zip(figures.process.read()).filter(|(_, value)| !value.is_nan()) {
            let kind = if row.kind == Kind::Counter { "counter" } else { "gauge" };
            self.family(kind, "process_", (row.name, row.says));
            self.sample("", &[], &number(value));
        }
    }
}

/// A loop, by its name, and what it has said last.
type Named<'a> = (String, &'a LoopFigures, Beat, u64);

/// The workers that have said something. While one takes the place of another, both have it: the one that has said
/// something last.
pub(super) fn workers(loops: &[LoopFigures]) -> Vec<Named<'_>> {
    let mut found: Vec<(u32, Named<'_>)> = Vec::new();
    for figures in loops {
        let Some((beat, age_ns)) = figures.beat else { continue };
        let Some(worker) = beat.worker else { continue };
        let named = (worker.to_string(), figures, beat, age_ns);
        match found.iter_mut().find(|(known, _)| *known == worker) {
            Some((_, known)) if known.3 > age_ns => *known = named,
            Some(_) => {}
            None => found.push((worker, named)),
        }
    }
    found.sort_by_key(|(worker, _)| *worker);
    found.into_iter().map(|(_, named)| named).collect()
}

/// The event loop that opened the tunnel, if it has said something.
pub(super) fn main_loop(loops: &[LoopFigures]) -> Option<Named<'_>> {
    let mut loops = loops.iter().filter_map(|figures| Some((figures, figures.beat?)));
    loops
        .find(|(_, (beat, _))| beat.worker.is_none())
        .map(|(figures, (beat, age_ns))| ("main".to_owned(), figures, beat, age_ns))
}

/// Seconds that a loop was late for its last timer, or is late for the next one.
pub(super) fn delay_s(beat: &Beat, age_ns: u64) -> f64 {
    let due = (age_ns as f64 / 1e9 - crate::limits::BEAT_MS as f64 / 1e3).max(0.0);
    due.max(beat.delay_us as f64 / 1e6)
}

/// Nanoseconds as seconds, exactly: a bound that is rounded would be another.
fn seconds(ns: u64) -> String {
    let text = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

/// A bound is a float: `1.0`, so that it is the same text everywhere.
fn size(size: u64) -> String {
    format!("{size}.0")
}

fn number(value: f64) -> String {
    if value.is_infinite() { "+Inf".to_owned() } else { value.to_string() }
}

/// A label's value, in both formats.
fn put_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_exactly_and_labels_escaped() {
        assert_eq!(
            [1024, 1_000_000_000, 68_719_476_736, 0].map(seconds),
            ["0.000001024", "1.0", "68.719476736", "0.0"]
        );
        let mut out = String::new();
        put_escaped(&mut out, "a\\b\"c\nd\u{1f600}");
        assert_eq!(out, "a\\\\b\\\"c\\nd\u{1f600}");
    }

    #[test]
    fn a_loop_that_says_nothing_is_late_by_that() {
        let beat = Beat { delay_us: 2000, ..Beat::default() };
        assert_eq!((delay_s(&beat, 400_000_000), delay_s(&beat, 3_500_000_000)), (0.002, 3.0));
    }

    #[test]
    fn of_two_workers_in_one_place_the_one_that_spoke_last_is_told() {
        let at = |worker, calls, age_ns| LoopFigures {
            calls,
            beat: Some((Beat { worker, ..Beat::default() }, age_ns)),
            ..LoopFigures::default()
        };
        let loops = [at(Some(1), 5, 90), at(None, 0, 1), at(Some(0), 3, 7), at(Some(1), 6, 20), LoopFigures::default()];
        let told: Vec<_> = workers(&loops).into_iter().map(|(name, figures, ..)| (name, figures.calls)).collect();
        assert_eq!(told, [("0".to_owned(), 3), ("1".to_owned(), 6)]);
        assert_eq!(main_loop(&loops).map(|(name, ..)| name), Some("main".to_owned()));
    }
}
