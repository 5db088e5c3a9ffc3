//! Compares servers that do the same work: `loadtest compare`.
//!
//! [`peers`] starts them, [`cases`] is what they are asked, [`rounds`] measures them in turns, [`figures`] sums up,
//! [`table`], [`json`] and [`picture`] show it.

mod callers;
pub mod cases;
mod certificate;
mod figures;
mod h2load;
mod json;
pub mod options;
mod peers;
mod picture;
mod progress;
mod rounds;
mod server;
mod table;
mod wrk;

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use self::cases::{Case, Field};
use self::certificate::Certificate;
use self::figures::Series;
use self::options::{Client, CompareOptions};
use self::peers::Peer;
use crate::error::Error;

/// What a comparison has found out.
#[derive(Debug)]
pub struct Comparison {
    /// What was asked for.
    options: CompareOptions,
    /// Where and when.
    machine: String,
    measured_at_unix_s: u64,
    /// Every server under every load.
    series: Vec<Series>,
    /// What the servers say they are.
    introductions: Vec<(&'static Peer, String)>,
    /// Who could not be measured, and why.
    left_out: Vec<(&'static Peer, &'static Case, String)>,
}

impl Comparison {
    fn new(options: CompareOptions) -> Comparison {
        let now = SystemTime::now();
        Comparison {
            options,
            machine: machine(now),
            measured_at_unix_s: now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            series: Vec::new(),
            introductions: Vec::new(),
            left_out: Vec::new(),
        }
    }
}

/// Runs a comparison, writes its files; its text, and whether something was measured and every answer was right.
pub fn run(options: CompareOptions) -> Result<(String, bool), Error> {
    if options.clients.contains(&Client::Wrk) && !wrk::is_installed() {
        return Err(Error::Server("wrk is not installed: `apt-get install wrk`, or compare by loadtest".to_owned()));
    }
    let encrypted = options.cases.iter().any(|case| case.field == Field::Tls);
    let _certificate = encrypted.then(|| Certificate::make(&options.tls_dir)).transpose()?;
    let mut comparison = Comparison::new(options);
    rounds::measure(&mut comparison);
    let text = table::markdown(&comparison);
    if let Some(folder) = &comparison.options.out {
        write(folder, "compare.md", &text)?;
        write(folder, "compare.json", &format!("{:#}\n", json::value(&comparison)))?;
        write(folder, "compare.svg", &picture::draw(&comparison))?;
    }
    let samples = comparison.series.iter().flat_map(|series| &series.samples);
    let good = samples.clone().count() > 0 && samples.map(|sample| sample.failed).sum::<u64>() == 0;
    Ok((text, good))
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = folder.join(name);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
    written.map_err(|source| Error::File { path, source })
}

/// Processor, cores, kernel, date, and how busy it had been.
fn machine(now: SystemTime) -> String {
    let line = |file: &str, word: usize| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.split_whitespace().nth(word).unwrap_or("?").to_owned()
    };
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{}, {} cores, Linux {}, {}, load average {} before",
        processor.map_or("unknown processor", |(_, name)| name),
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        line("/proc/sys/kernel/osrelease", 0),
        httpdate::fmt_http_date(now),
        line("/proc/loadavg", 0),
    )
}

#[cfg(test)]
mod tests {
    use super::cases::CASES;
    use super::figures::Sample;
    use super::*;

    /// Servers of `add-64` with what they do a second, each in three rounds; `change` goes over every measurement.
    pub fn comparison(servers: &[(&str, f64)], change: impl Fn(&mut Sample)) -> Comparison {
        let mut comparison = Comparison::new(CompareOptions { rounds: 3, ..CompareOptions::default() });
        for (name, per_s) in servers {
            let Some(peer) = peers::find(name) else { panic!("{name}") };
            let mut sample =
                Sample { per_s: *per_s, server_us: Some(1e6 / per_s), client_share: 0.6, ..Sample::default() };
            change(&mut sample);
            let samples = vec![sample; 3];
            comparison.series.push(Series { case: &CASES[0], peer, client: Client::Own, rate: None, samples });
            comparison.introductions.push((peer, "itself".to_owned()));
        }
        comparison
    }

    #[test]
    fn the_machine_is_described() {
        let text = machine(UNIX_EPOCH);
        assert!(text.contains(" cores, Linux ") && text.contains("Thu, 01 Jan 1970"), "{text}");
    }
}
