//! From measurements to figures: medians, ratios, and what limited them. Pure.

use super::cases::Case;
use super::options::Client;
use super::peers::Peer;
use crate::record::Limit;

/// More cores than this that were busy with something else: the machine was not quiet.
const QUIET_CORES: f64 = 0.1;

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Good answers a second.
    pub per_s: f64,
    /// Median latency, microseconds.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// Microseconds of server CPU for one answer.
    pub server_us: Option<f64>,
    /// Microseconds of the client's CPU for one answer.
    pub client_us: Option<f64>,
    /// The part of the time in which the client ran.
    pub client_share: f64,
    /// The part of the time in which the client had no core; zero where nobody counts it (wrk).
    pub client_waited: f64,
    /// Cores that were busy with neither of the two.
    pub rest_cores: f64,
    /// Answers that were not the expected ones.
    pub failed: u64,
    /// The first of them.
    pub failure: Option<String>,
}

/// All measurements of one server under one load.
#[derive(Debug)]
pub struct Series {
    /// The load.
    pub case: &'static Case,
    /// The server.
    pub peer: &'static Peer,
    /// What generated the load.
    pub client: Client,
    /// Requests a second of the open loop.
    pub rate: Option<u32>,
    /// By round.
    pub samples: Vec<Sample>,
}

/// A series in figures: medians over the rounds where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Good answers a second.
    pub per_s: f64,
    /// Of the worst and of the best round.
    pub range_per_s: (f64, f64),
    /// Median latency, microseconds.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// Microseconds of server CPU for one answer.
    pub server_us: Option<f64>,
    /// Microseconds of the client's CPU for one answer.
    pub client_us: Option<f64>,
    /// The part of the time in which the client ran.
    pub client_share: f64,
    /// The part of the time in which the client had no core.
    pub client_waited: f64,
    /// Cores that were busy with something else.
    pub rest_cores: f64,
    /// In all rounds.
    pub failed: u64,
}

impl Series {
    /// Its figures; None without a measurement.
    pub fn figures(&self) -> Option<Figures> {
        let of = |value: fn(&Sample) -> f64| median(self.samples.iter().map(value));
        let rates = || self.samples.iter().map(|sample| sample.per_s);
        Some(Figures {
            per_s: of(|sample| sample.per_s)?,
            range_per_s: (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max)),
            p50_us: of(|sample| sample.p50_us)?,
            p99_us: of(|sample| sample.p99_us)?,
            server_us: median(self.samples.iter().filter_map(|sample| sample.server_us)),
            client_us: median(self.samples.iter().filter_map(|sample| sample.client_us)),
            client_share: of(|sample| sample.client_share)?,
            client_waited: of(|sample| sample.client_waited)?,
            rest_cores: of(|sample| sample.rest_cores)?,
            failed: self.samples.iter().map(|sample| sample.failed).sum(),
        })
    }
}

impl Figures {
    /// What requests/s and latencies were limited by.
    pub fn limit(&self) -> Limit {
        Limit::of(self.client_share, self.client_waited)
    }

    /// Nothing else ran to speak of.
    pub fn was_quiet(&self) -> bool {
        self.rest_cores <= QUIET_CORES
    }

    /// Answers a second and server CPU for one, each as a multiple of those of `base`.
    pub fn ratios(&self, base: &Figures) -> (Option<f64>, Option<f64>) {
        let cpu = self.server_us.zip(base.server_us).and_then(|(own, base)| ratio(own, base));
        (ratio(self.per_s, base.per_s), cpu)
    }
}

/// `value` as a multiple of `base`; None when there is nothing to compare with.
pub fn ratio(value: f64, base: f64) -> Option<f64> {
    (base > 0.0).then(|| value / base)
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.get(values.len() / 2)?, values.get(values.len().saturating_sub(1) / 2)?);
    Some((upper + lower) / 2.0)
}

/// The series that the others of its case are relative to: the server that was asked for, or the first one.
pub fn base<'a>(series: &[&'a Series], against: &Peer) -> Option<&'a Series> {
    series.iter().find(|series| series.peer.name == against.name).or(series.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::super::cases::CASES;
    use super::super::peers::PEERS;
    use super::*;

    fn series(peer: usize, rates: &[f64]) -> Series {
        let samples = rates.iter().map(|per_s| Sample {
            per_s: *per_s,
            p50_us: 1e6 / per_s,
            server_us: Some(10.0),
            failed: 1,
            ..Sample::default()
        });
        Series { case: &CASES[0], peer: &PEERS[peer], client: Client::Own, rate: None, samples: samples.collect() }
    }

    #[test]
    fn medians_do_not_follow_outliers() {
        let median = |values: &[f64]| median(values.iter().copied());
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1000.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 1000.0]), Some(3.0));
    }

    #[test]
    fn figures_are_medians_with_their_range() {
        assert_eq!(series(0, &[]).figures(), None);
        let figures = series(0, &[100.0, 50.0, 200.0]).figures().unwrap_or_default();
        assert_eq!((figures.per_s, figures.range_per_s, figures.p50_us), (100.0, (50.0, 200.0), 10_000.0));
        assert_eq!((figures.server_us, figures.client_us, figures.failed), (Some(10.0), None, 3));
    }

    #[test]
    fn ratios_are_of_medians() {
        let figures = |rate: f64, server_us| Figures { per_s: rate, server_us, ..Figures::default() };
        assert_eq!(figures(30.0, Some(4.0)).ratios(&figures(10.0, Some(8.0))), (Some(3.0), Some(0.5)));
        assert_eq!(figures(30.0, Some(4.0)).ratios(&figures(0.0, None)), (None, None));
    }

    #[test]
    fn everybody_is_relative_to_the_one_that_was_asked_for() {
        let (a, b) = (series(0, &[1.0]), series(1, &[1.0]));
        let name = |against| base(&[&a, &b], &PEERS[against]).map(|series| series.peer.name);
        assert_eq!(name(1), Some("exposure"));
        // It has not run: the first one.
        assert_eq!(name(4), Some("node"));
        assert!(base(&[], &PEERS[0]).is_none());
    }

    #[test]
    fn what_limited_a_series() {
        let figures = |client_share, client_waited| Figures { client_share, client_waited, ..Figures::default() };
        assert_eq!(figures(0.8, 0.05).limit(), Limit::Server);
        assert_eq!(figures(0.97, 0.0).limit(), Limit::Generator);
        assert_eq!(figures(0.7, 0.2).limit(), Limit::Machine);
    }
}
