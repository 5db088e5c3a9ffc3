//! What the terminal shows.

use std::fmt::Write;

use crate::process::Usage;
use crate::record::{Limit, Record};
use crate::tally::{Failure, Tally};

/// The line of one second.
pub fn progress(second: usize, phase: &str, tally: &Tally, used: &Usage) -> String {
    let per_s = used.answers as f64 / used.wall_s;
    let at = |quantile| time(tally.second.value_at_quantile(quantile) as f64 / 1000.0);
    let server = cost(used.server_us_per_answer());
    let own = used.own_share() * 100.0;
    format!(
        "{second:>4} s {per_s:>9.0}/s  p50 {:>8}  p99 {:>8}  errors {}  server {server}  generator {own:.0} % {phase}",
        at(0.5),
        at(0.99),
        tally.failed(),
    )
}

/// The table at the end.
pub fn table(record: &Record) -> String {
    let mut out = String::new();
    let options = &record.options;
    let how = match options.rate {
        Some(rate) => format!("open loop, {rate} requests/s"),
        None => format!("closed loop, pipeline {}", options.pipeline),
    };
    let mut row = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<22}{value}");
    };
    row("run", record.label());
    row(
        "load",
        format!("{} on {}, {} connections, {how}", options.scenario.name(), options.address(), options.connections),
    );
    row("answers", format!("{} in {:.2} s", record.used.answers, record.used.wall_s));
    let (least, most) = (record.per_second.iter().min(), record.per_second.iter().max());
    let range = least.zip(most).map_or(String::new(), |(least, most)| format!(" (by second: {least} to {most})"));
    row("answers/s", format!("{:.0}{range}", record.per_s));
    let quantiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
    let latencies: Vec<_> =
        quantiles.iter().map(|(name, q)| format!("{name} {}", time(record.latency_us(*q)))).collect();
    row("latency", format!("mean {}, {}", time(record.mean_us), latencies.join(", ")));
    if record.failures.iter().any(|(failure, _)| *failure == Failure::Refused) || record.goodput_per_s < record.per_s {
        row("goodput", format!("{:.0}/s within {}", record.goodput_per_s, time(options.deadline.as_micros() as f64)));
    }
    match record.used.server_s {
        Some(seconds) => {
            let cost = cost(record.used.server_us_per_answer());
            row("server CPU", format!("{cost}, {:.2} cores", seconds / record.used.wall_s));
            row("server threads", threads(&record.used));
        }
        None => row("server CPU", "unknown: the process has ended".to_owned()),
    }
    row("generator CPU", own(record));
    row("rest of the machine", format!("{:.2} cores", record.used.rest_cores()));
    if options.rate.is_some() {
        row("generator lag", format!("p50 {}, p99 {}", time(record.lag_us.0), time(record.lag_us.1)));
        row("no free connection", format!("{} requests, {} of them never sent", record.queued, record.unsent));
    }
    if record.failures.is_empty() {
        row("errors", "none: every answer was 200 with the expected body".to_owned());
    }
    for (failure, failed) in &record.failures {
        row("errors", format!("{} {}, first: {}", failed.count, failure.name(), failed.first.escape_debug()));
    }
    out
}

/// The busiest threads, as parts of a core.
fn threads(used: &Usage) -> String {
    let mut threads: Vec<_> = used.threads.values().filter(|(_, seconds)| seconds / used.wall_s >= 0.005).collect();
    threads.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let names = threads.iter().take(6).map(|(name, seconds)| format!("{name} {:.0} %", seconds / used.wall_s * 100.0));
    names.collect::<Vec<_>>().join(", ")
}

fn own(record: &Record) -> String {
    let used = &record.used;
    let slept = (1.0 - used.own_share() - used.own_waited_share()).max(0.0) * 100.0;
    let verdict = match record.limit() {
        Limit::Server => "it was not the limit",
        Limit::Generator => "IT MAY HAVE BEEN THE LIMIT; answers/s and latencies are partly its own",
        Limit::Machine => {
            "THE MACHINE WAS TOO BUSY; answers/s and latencies are not the server's (`taskset -c` both, or stop the rest)"
        }
    };
    format!(
        "{}, {:.0} % of a core, waited for a core {:.0} %, slept {slept:.0} %: {verdict}",
        cost(used.own_us_per_answer()),
        used.own_share() * 100.0,
        used.own_waited_share() * 100.0,
    )
}

fn cost(us_per_answer: Option<f64>) -> String {
    us_per_answer.map_or("? us/answer".to_owned(), |us| format!("{us:.2} us/answer"))
}

/// Microseconds, in a unit that reads well.
pub fn time(us: f64) -> String {
    match us {
        us if us < 1000.0 => format!("{us:.0} us"),
        us if us < 1_000_000.0 => format!("{:.2} ms", us / 1000.0),
        us => format!("{:.2} s", us / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_fitting_unit() {
        assert_eq!([7.4, 1500.0, 2_500_000.0].map(time), ["7 us", "1.50 ms", "2.50 s"]);
    }
}
