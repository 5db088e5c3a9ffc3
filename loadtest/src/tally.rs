//! What a run has counted.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::error::Error;
use crate::options::{Options, Other};

/// Latencies above this are counted as this.
const MAX_LATENCY_NS: u64 = 60_000_000_000;

/// An empty histogram of nanoseconds, three digits exact.
pub fn histogram() -> Result<Histogram<u64>, Error> {
    Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3)
        .map_err(|error| Error::Server(format!("a histogram could not be made: {error}")))
}

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// 503 with `Retry-After`: the server has too much to do.
    Refused,
    /// Any other status than 200.
    Status,
    /// 200 with another body than the expected one.
    Body,
    /// Not readable as an answer.
    Malformed,
    /// The server closed the connection.
    Closed,
    /// The connection broke.
    Io,
    /// No connection could be made.
    Connect,
    /// No answer when the run was over.
    Unanswered,
}

impl Failure {
    /// As in the results.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Refused => "refused",
            Failure::Status => "status",
            Failure::Body => "body",
            Failure::Malformed => "malformed",
            Failure::Closed => "closed",
            Failure::Io => "io",
            Failure::Connect => "connect",
            Failure::Unanswered => "unanswered",
        }
    }
}

/// How often something failed, and how the first time looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failed {
    /// Requests.
    pub count: u64,
    /// The first one's text.
    pub first: String,
}

/// Counters of a run. Latencies go to the histogram of the current second only; it is added up once a second.
pub struct Tally {
    /// Latencies of this second, nanoseconds.
    pub second: Histogram<u64>,
    /// Latencies of all seconds before.
    pub total: Histogram<u64>,
    /// How late requests were handed to the kernel (open loop), nanoseconds.
    pub lag: Histogram<u64>,
    /// Good answers.
    pub good: u64,
    /// Those of them that came after the deadline.
    pub late: u64,
    /// Good answers before the deadline when the measured time was over.
    pub in_time: u64,
    /// Latencies of refusals, nanoseconds.
    pub refusals: Histogram<u64>,
    deadline_ns: u64,
    /// Bad ones.
    pub failures: BTreeMap<Failure, Failed>,
    /// Where two tasks are called.
    pub parts: Option<Parts>,
}

/// Latencies of all seconds, where some requests call another task; nanoseconds.
pub struct Parts {
    /// Of all requests, without what their handlers compute.
    pub waiting: Histogram<u64>,
    /// Of those that do not call the other task.
    pub usual: Histogram<u64>,
    computes_ns: u64,
    other_computes_ns: u64,
}

impl Parts {
    fn new(options: &Options, other: &Other) -> Result<Parts, Error> {
        let ns = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let [computes_ns, other_computes_ns] = [options.computes, other.computes].map(ns);
        Ok(Parts { waiting: histogram()?, usual: histogram()?, computes_ns, other_computes_ns })
    }

    fn record(&mut self, latency_ns: u64, other: bool) {
        let computes_ns = if other { self.other_computes_ns } else { self.computes_ns };
        self.waiting.saturating_record(latency_ns.saturating_sub(computes_ns));
        if !other {
            self.usual.saturating_record(latency_ns);
        }
    }
}

impl Tally {
    /// All zero.
    pub fn new(options: &Options) -> Result<Tally, Error> {
        Ok(Tally {
            second: histogram()?,
            total: histogram()?,
            lag: histogram()?,
            good: 0,
            late: 0,
            in_time: 0,
            refusals: histogram()?,
            deadline_ns: u64::try_from(options.deadline.as_nanos()).unwrap_or(u64::MAX),
            failures: BTreeMap::new(),
            parts: options.other.as_ref().map(|other| Parts::new(options, other)).transpose()?,
        })
    }

    /// A good answer, of the other task perhaps.
    #[inline]
    pub fn record(&mut self, latency_ns: u64, other: bool) {
        self.good += 1;
        self.late += u64::from(latency_ns > self.deadline_ns);
        self.second.saturating_record(latency_ns);
        if let Some(parts) = &mut self.parts {
            parts.record(latency_ns, other);
        }
    }

    /// `count` requests have no answer after so long, and count all the same. Of which task they are does not matter.
    pub fn miss(&mut self, age_ns: u64, count: u64) {
        self.second.saturating_record_n(age_ns, count);
        if let Some(Parts { waiting, usual, .. }) = &mut self.parts {
            waiting.saturating_record_n(age_ns, count);
            usual.saturating_record_n(age_ns, count);
        }
    }

    /// A refusal; `text` is only asked for the first.
    pub fn refuse(&mut self, latency_ns: u64, text: impl FnOnce() -> String) {
        self.refusals.saturating_record(latency_ns);
        self.fail(Failure::Refused, 1, text);
    }

    /// `count` failures of one kind; `text` is only asked for the first.
    pub fn fail(&mut self, failure: Failure, count: u64, text: impl FnOnce() -> String) {
        let failed = self.failures.entry(failure).or_insert_with(|| Failed { count: 0, first: text() });
        failed.count += count;
    }

    /// Failures of all kinds.
    pub fn failed(&self) -> u64 {
        self.failures.values().map(|failed| failed.count).sum()
    }

    /// The measured time is over: what comes now is no part of the goodput.
    pub fn end_goodput(&mut self) {
        self.in_time = self.good - self.late;
    }

    /// Adds the second to the total and begins a new one.
    pub fn end_second(&mut self) {
        // Same bounds on both sides: adding cannot fail.
        let _ = self.total.add(&self.second);
        self.second.reset();
    }

    /// Forgets everything: the warm-up is over.
    pub fn reset(&mut self) {
        self.second.reset();
        self.total.reset();
        self.lag.reset();
        self.refusals.reset();
        if let Some(Parts { waiting, usual, .. }) = &mut self.parts {
            waiting.reset();
            usual.reset();
        }
        self.good = 0;
        self.late = 0;
        self.failures.clear();
    }
}
