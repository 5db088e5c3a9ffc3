//! A run's result, and its JSON form.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::error::Error;
use crate::options::Options;
use crate::process::{Server, Usage};
use crate::tally::{Failed, Failure, Tally};

/// The quantiles that are written down.
const QUANTILES: [f64; 14] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 1.0];

/// A generator that ran for more than this part of the time may have been the limit.
const LIMIT_SHARE: f64 = 0.95;

/// A generator that could run, but had no core, for more than this part of the time says little about the server.
const BUSY_SHARE: f64 = 0.1;

/// What limited a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The server, or the load that was asked for.
    Server,
    /// The generator.
    Generator,
    /// Other work on its core; the server itself, if they share it.
    Machine,
}

impl Limit {
    /// Of a generator that ran, and that wanted to run, for these parts of the time.
    pub fn of(ran: f64, waited: f64) -> Limit {
        if waited > BUSY_SHARE {
            Limit::Machine
        } else if ran + waited > LIMIT_SHARE {
            Limit::Generator
        } else {
            Limit::Server
        }
    }

    /// As in results.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Server => "server",
            Limit::Generator => "generator",
            Limit::Machine => "machine",
        }
    }
}

/// Everything that a run has found out.
#[derive(Debug)]
pub struct Record {
    /// What was asked for.
    pub options: Options,
    /// The server's processes.
    pub pids: Vec<u32>,
    /// Good answers a second.
    pub per_s: f64,
    /// Good answers a second, second by second.
    pub per_second: Vec<u64>,
    /// Quantile and latency in microseconds.
    pub latencies_us: Vec<(f64, f64)>,
    /// Mean latency in microseconds.
    pub mean_us: f64,
    /// Good answers a second that came before the deadline.
    pub goodput_per_s: f64,
    /// Median and 99th percentile of the latencies of refusals, in microseconds.
    pub refusal_us: (f64, f64),
    /// Where two tasks are called: how long all requests have waited, and what those of the first task took, each as median
    /// and 99th percentile in microseconds.
    pub parts_us: Option<[(f64, f64); 2]>,
    /// What was not as expected.
    pub failures: Vec<(Failure, Failed)>,
    /// CPU time.
    pub used: Usage,
    /// Open loop: median and 99th percentile of how late the generator itself was, in microseconds.
    pub lag_us: (f64, f64),
    /// Open loop: requests that found no free connection.
    pub queued: u64,
    /// Open loop: requests that were due and never sent.
    pub unsent: u64,
}

impl Record {
    /// Sums a run up.
    pub fn new(
        options: &Options,
        server: &Server,
        tally: &Tally,
        used: Usage,
        per_second: Vec<u64>,
        queued: u64,
        unsent: u64,
    ) -> Record {
        let us = |ns: u64| ns as f64 / 1000.0;
        let both = |seen: &Histogram<u64>| (us(seen.value_at_quantile(0.5)), us(seen.value_at_quantile(0.99)));
        Record {
            options: options.clone(),
            pids: server.pids.clone(),
            per_s: used.answers as f64 / used.wall_s,
            per_second,
            latencies_us: QUANTILES.map(|q| (q, us(tally.total.value_at_quantile(q)))).to_vec(),
            mean_us: tally.total.mean() / 1000.0,
            goodput_per_s: tally.in_time as f64 / used.wall_s,
            refusal_us: both(&tally.refusals),
            parts_us: tally.parts.as_ref().map(|parts| [both(&parts.waiting), both(&parts.usual)]),
            failures: tally.failures.iter().map(|(failure, failed)| (*failure, failed.clone())).collect(),
            used,
            lag_us: both(&tally.lag),
            queued,
            unsent,
        }
    }

    /// The name of the run.
    pub fn label(&self) -> String {
        self.options.label.clone().unwrap_or_else(|| {
            let load = self.options.rate.map_or(String::new(), |rate| format!(", {rate}/s"));
            format!("{}, {} connections{load}", self.options.scenario.name(), self.options.connections)
        })
    }

    /// The latency at a quantile of [`QUANTILES`].
    pub fn latency_us(&self, quantile: f64) -> f64 {
        self.latencies_us.iter().find(|(q, _)| *q >= quantile).map_or(0.0, |(_, us)| *us)
    }

    /// What the figures were limited by.
    pub fn limit(&self) -> Limit {
        Limit::of(self.used.own_share(), self.used.own_waited_share())
    }

    fn to_json(&self) -> Value {
        let options = &self.options;
        let threads: Vec<Value> = self
            .used
            .threads
            .iter()
            .map(|(tid, (name, seconds))| json!({ "tid": tid, "name": name, "cpu_s": seconds }))
            .collect();
        let failures: serde_json::Map<_, _> = self
            .failures
            .iter()
            .map(|(failure, failed)| {
                (failure.name().to_owned(), json!({ "count": failed.count, "first": failed.first }))
            })
            .collect();
        json!({
            "label": self.label(),
            "scenario": options.scenario.name(),
            "address": options.address().to_string(),
            "loop": if options.rate.is_some() { "open" } else { "closed" },
            "connections": options.connections,
            "pipeline": options.pipeline,
            "rate_per_s": options.rate,
            "body_bytes": options.body_bytes,
            "warmup_s": options.warmup.as_secs_f64(),
            "seconds": self.used.wall_s,
            "measured_at_unix_s": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            "cores": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            "answers": self.used.answers,
            "answers_per_s": self.per_s,
            "answers_by_second": self.per_second,
            "deadline_ms": options.deadline.as_millis() as u64,
            "goodput_per_s": self.goodput_per_s,
            "refusal_us": { "p50": self.refusal_us.0, "p99": self.refusal_us.1 },
            "parts_us": self.parts_us.map(|[waiting, usual]| {
                let both = |(p50, p99): (f64, f64)| json!({ "p50": p50, "p99": p99 });
                json!({ "waiting": both(waiting), "usual": both(usual) })
            }),
            "failures": failures,
            "latency_us": { "mean": self.mean_us, "quantiles": self.latencies_us },
            "server": {
                "pids": self.pids,
                "cpu_s": self.used.server_s,
                "cpu_us_per_answer": self.used.server_us_per_answer(),
                "threads": threads,
            },
            "generator": {
                "cpu_s": self.used.own_s,
                "cpu_us_per_answer": self.used.own_us_per_answer(),
                "share_of_a_core": self.used.own_share(),
                "waited_for_a_core": self.used.own_waited_share(),
                "limit": self.limit().name(),
                "rest_of_the_machine_cores": self.used.rest_cores(),
                "lag_us": { "p50": self.lag_us.0, "p99": self.lag_us.1 },
                "queued": self.queued,
                "unsent": self.unsent,
            },
        })
    }
}

/// Writes the JSON form.
pub fn write(record: &Record, path: &Path) -> Result<(), Error> {
    fs::write(path, format!("{:#}\n", record.to_json())).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// What a chart shows of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The name of the run.
    pub label: String,
    /// Good answers a second.
    pub per_s: f64,
    /// Server CPU for one answer, if it is known.
    pub server_us: Option<f64>,
    /// Quantile and latency in microseconds.
    pub latencies_us: Vec<(f64, f64)>,
}

/// Reads what [`write()`] wrote.
pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Summary>, Error> {
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Summary, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    let refuse = |reason: String| Error::NotARecord { path: path.to_owned(), reason };
    let value: Value = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    summary(&value).ok_or_else(|| refuse("label, answers_per_s or latency_us.quantiles is missing".to_owned()))
}

fn summary(value: &Value) -> Option<Summary> {
    let pair = |pair: &Value| Some((pair.get(0)?.as_f64()?, pair.get(1)?.as_f64()?));
    Some(Summary {
        label: value.get("label")?.as_str()?.to_owned(),
        per_s: value.get("answers_per_s")?.as_f64()?,
        server_us: value.pointer("/server/cpu_us_per_answer").and_then(Value::as_f64),
        latencies_us: value.pointer("/latency_us/quantiles")?.as_array()?.iter().map(pair).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_back() {
        let value = json!({
            "label": "a", "answers_per_s": 5.0, "server": { "cpu_us_per_answer": null },
            "latency_us": { "quantiles": [[0.5, 10.0], [1.0, 20.0]] },
        });
        let expected =
            Summary { label: "a".into(), per_s: 5.0, server_us: None, latencies_us: vec![(0.5, 10.0), (1.0, 20.0)] };
        assert_eq!(summary(&value), Some(expected));
        assert_eq!(summary(&json!({ "label": "a" })), None);
    }
}
