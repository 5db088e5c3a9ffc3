//! Load from wrk instead of this generator: what others measure with, and what this generator's own cost is held against.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::figures::Sample;
use crate::options::Options;
use crate::process::{Server, Usage, ended_children_seconds};
use crate::scenario::Exchange;

/// What wrk prints.
#[derive(Debug, Default, PartialEq)]
struct Printed {
    requests: f64,
    per_s: f64,
    p50_us: f64,
    p99_us: f64,
    failed: u64,
}

/// Whether it can be started.
pub fn is_installed() -> bool {
    // It prints its usage and ends with 1.
    Command::new("wrk").arg("--version").output().is_ok()
}

/// Loads the server for the time that `options` measure, rounded up to seconds. One thread, like this program.
pub fn measure(options: &Options, server: &Server, script: &Path) -> Result<Sample, String> {
    let exchange = Exchange::new(options);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (path, body) = (text(exchange.path()), text(exchange.body()));
    let url = format!("http://{}{path}", options.target.address);
    let seconds = options.duration.as_secs_f64().ceil();
    let (before, children, start) = (Usage::now(server, 0), ended_children_seconds(), Instant::now());
    let output = Command::new("wrk")
        .args(["--latency", "-t1", &format!("-c{}", options.connections), &format!("-d{seconds}s"), "-s"])
        .arg(script)
        .args([&url, "--", &body, &options.pipeline.to_string()])
        .args(&options.token)
        .output()
        .map_err(|error| format!("wrk: {error}"))?;
    let wall_s = start.elapsed().as_secs_f64();
    let own_s = ended_children_seconds() - children;
    let text = String::from_utf8_lossy(&output.stdout);
    let printed = parse(&text)
        .ok_or_else(|| format!("wrk printed no result: {text}{}", String::from_utf8_lossy(&output.stderr).trim()))?;
    let used = Usage::now(server, printed.requests as u64).since(&before);
    Ok(Sample {
        per_s: printed.per_s,
        p50_us: printed.p50_us,
        p99_us: printed.p99_us,
        server_us: used.server_us_per_answer(),
        client_us: (printed.requests > 0.0).then(|| own_s * 1e6 / printed.requests),
        client_share: own_s / wall_s,
        client_waited: 0.0,
        rest_cores: (used.rest_cores() - own_s / wall_s).max(0.0),
        failed: printed.failed,
        failure: (printed.failed > 0).then(|| "counted by wrk".to_owned()),
    })
}

/// Where the script is.
pub fn script(peers_dir: &Path) -> Result<std::path::PathBuf, String> {
    let script = peers_dir.join("wrk.lua");
    fs::metadata(&script).map(|_| script.clone()).map_err(|error| format!("{}: {error}", script.display()))
}

fn parse(text: &str) -> Option<Printed> {
    let mut printed = Printed::default();
    let mut whole = false;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["50%", value] => printed.p50_us = microseconds(value)?,
            ["99%", value] => printed.p99_us = microseconds(value)?,
            [count, "requests", "in", ..] => printed.requests = count.parse().ok()?,
            ["Requests/sec:", value] => (printed.per_s, whole) = (value.parse().ok()?, true),
            ["Non-2xx", "or", "3xx", "responses:", count] => printed.failed += count.parse::<u64>().ok()?,
            ["Socket", "errors:", ..] => {
                let counts = words.iter().filter_map(|word| word.trim_end_matches(',').parse::<u64>().ok());
                printed.failed += counts.sum::<u64>();
            }
            _ => {}
        }
    }
    whole.then_some(printed)
}

/// `1.23ms` and the like.
fn microseconds(text: &str) -> Option<f64> {
    let unit = text.find(|character: char| character.is_ascii_alphabetic())?;
    let factor = match &text[unit..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 6e7,
        _ => return None,
    };
    text[..unit].parse::<f64>().ok().map(|value| value * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Running 2s test @ http://127.0.0.1:7412/x\n  1 threads and 64 connections\n  \
        Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     3.12ms    2.67ms  20.19ms   78.22%\n    \
        Req/Sec   296.66k    23.94k  317.90k    90.00%\n  Latency Distribution\n     50%  586.00us\n     75%    4.60ms\n     \
        90%    7.11ms\n     99%    6.34ms\n  154056 requests in 2.01s, 49.81MB read\nRequests/sec:  76488.41\n\
        Transfer/sec:     94.74MB\n";

    #[test]
    fn what_wrk_prints_is_read() {
        let good = Printed { requests: 154_056.0, per_s: 76_488.41, p50_us: 586.0, p99_us: 6340.0, failed: 0 };
        assert_eq!(parse(GOOD), Some(good));
        let bad = GOOD.replace(
            "Requests/sec",
            "  Socket errors: connect 1, read 2, write 0, timeout 4\n  Non-2xx or 3xx responses: 100\nRequests/sec",
        );
        assert_eq!(parse(&bad).map(|printed| printed.failed), Some(107));
        assert_eq!(parse("unable to connect to 127.0.0.1:1 Connection refused"), None);
    }

    #[test]
    fn units_of_wrk() {
        assert_eq!(["1.5us", "2.00ms", "3s", "1m"].map(microseconds), [Some(1.5), Some(2e3), Some(3e6), Some(6e7)]);
        assert_eq!(microseconds("78.22%"), None);
    }
}
