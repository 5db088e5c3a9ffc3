//! Load over HTTP/2 by h2load, of nghttp2: this generator speaks HTTP/1.1. It looks at statuses and at no body, and prints no
//! percentiles.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use super::figures::Sample;
use crate::options::Options;
use crate::process::{Server, Usage, ended_children_seconds};
use crate::scenario::Exchange;

/// What h2load prints.
#[derive(Debug, Default, PartialEq)]
struct Printed {
    per_s: f64,
    good: u64,
    failed: u64,
}

/// Loads the server for the time that `options` measure, with as many streams on each connection as it has requests under way.
/// One thread, like this program.
pub fn measure(options: &Options, server: &Server) -> Result<Sample, String> {
    let (before, children, start) = (Usage::now(server, 0), ended_children_seconds(), Instant::now());
    let printed = run(options, &format!("-D{}ms", options.duration.as_millis()))?;
    let wall_s = start.elapsed().as_secs_f64();
    let own_s = ended_children_seconds() - children;
    let used = Usage::now(server, printed.good).since(&before);
    Ok(Sample {
        per_s: printed.per_s,
        server_us: used.server_us_per_answer(),
        client_us: (printed.good > 0).then(|| own_s * 1e6 / printed.good as f64),
        client_share: own_s / wall_s,
        rest_cores: (used.rest_cores() - own_s / wall_s).max(0.0),
        failed: printed.failed,
        failure: (printed.failed > 0).then(|| "counted by h2load".to_owned()),
        ..Sample::default()
    })
}

/// Whether each connection's first requests are answered well.
pub fn ask(options: &Options) -> Result<(), String> {
    let requests = options.connections * options.pipeline;
    match run(options, &format!("-n{requests}"))? {
        Printed { failed: 0, good, .. } if good == requests as u64 => Ok(()),
        printed => Err(format!("{} of {requests} answers over HTTP/2 were good", printed.good)),
    }
}

fn run(options: &Options, until: &str) -> Result<Printed, String> {
    let exchange = Exchange::new(options);
    let body = BodyFile::write(exchange.body())?;
    let path = String::from_utf8_lossy(exchange.path());
    let output = Command::new("h2load")
        .args(["-t1", &format!("-c{}", options.connections), &format!("-m{}", options.pipeline), until, "-d"])
        .arg(&body.0)
        .args(["-H", "content-type: application/json", &format!("http://{}{path}", options.target.address)])
        .output()
        .map_err(|error| format!("h2load: {error}; `apt-get install nghttp2-client` has it"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text)
        .ok_or_else(|| format!("h2load printed no result: {text}{}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// What h2load sends, which it takes from a file.
struct BodyFile(PathBuf);

impl BodyFile {
    fn write(body: &[u8]) -> Result<BodyFile, String> {
        let path = std::env::temp_dir().join(format!("compare-{}.body", std::process::id()));
        fs::write(&path, body).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(BodyFile(path))
    }
}

impl Drop for BodyFile {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_file(&self.0);
    }
}

fn parse(text: &str) -> Option<Printed> {
    let mut printed = Printed::default();
    let (mut rate, mut statuses) = (false, false);
    for line in text.lines() {
        let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["finished", "in", _, per_s, "req/s", ..] => (printed.per_s, rate) = (per_s.parse().ok()?, true),
            // Those that are under way at the end are neither.
            ["requests:", .., failed, "failed", _, "errored", _, "timeout"] => printed.failed = failed.parse().ok()?,
            ["status", "codes:", good, "2xx", ..] => (printed.good, statuses) = (good.parse().ok()?, true),
            _ => {}
        }
    }
    (rate && statuses).then_some(printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_h2load_prints_is_read() {
        let text = "Stopped all clients for thread #0\n\nfinished in 1.01s, 21362.50 req/s, 1.92MB/s\n\
            requests: 21362 total, 21370 started, 21362 done, 21359 succeeded, 3 failed, 1 errored, 0 timeout\n\
            status codes: 21359 2xx, 0 3xx, 2 4xx, 0 5xx\n";
        assert_eq!(parse(text), Some(Printed { per_s: 21_362.5, good: 21_359, failed: 3 }));
        assert_eq!(parse("could not connect to host"), None);
    }
}
