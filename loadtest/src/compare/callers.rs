//! Load from clients in Node: `node-binding/bench/client.mjs`, one client for one measurement.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::figures::Sample;
use crate::options::Options;
use crate::process::{Server, Usage, ended_children_seconds};
use crate::scenario::Scenario;

/// From the folder of the servers.
const SCRIPT: &str = "../../node-binding/bench/client.mjs";

/// Lets a client call the server, as many at a time as `options` have connections.
pub fn measure(options: &Options, server: &Server, caller: &str, peers_dir: &Path) -> Result<Sample, String> {
    let case = match options.scenario {
        Scenario::Echo => "client-echo-10k",
        _ => "client-64",
    };
    let seconds = |time: std::time::Duration| time.as_secs_f64().to_string();
    let (before, children, start) = (Usage::now(server, 0), ended_children_seconds(), Instant::now());
    let output = Command::new("node")
        .arg(peers_dir.join(SCRIPT))
        .args(["--one", caller, "--case", case, "--width", &options.connections.to_string()])
        .args(["--url", &format!("http://{}{}", options.target.address, options.target.base)])
        .args(["--seconds", &seconds(options.duration), "--warmup", &seconds(options.warmup)])
        .output()
        .map_err(|error| format!("node: {error}"))?;
    let wall_s = start.elapsed().as_secs_f64();
    let own_s = ended_children_seconds() - children;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("the client ended with {}: {}", output.status, errors.trim()));
    }
    let printed = parse(&output.stdout).ok_or_else(|| format!("the client printed no result: {}", errors.trim()))?;
    let used = Usage::now(server, printed.answers as u64).since(&before);
    Ok(Sample {
        server_us: used.server_us_per_answer(),
        rest_cores: (used.rest_cores() - own_s / wall_s).max(0.0),
        ..printed.sample
    })
}

/// What a client prints.
#[derive(Debug, PartialEq)]
struct Printed {
    /// Of the warm-up, too.
    answers: f64,
    sample: Sample,
}

fn parse(text: &[u8]) -> Option<Printed> {
    let printed: Value = serde_json::from_slice(text).ok()?;
    let number = |name: &str| printed.get(name).and_then(Value::as_f64);
    Some(Printed {
        answers: number("answers")?,
        sample: Sample {
            per_s: number("rate")?,
            p50_us: number("p50")? * 1e3,
            p99_us: number("p99")? * 1e3,
            client_us: number("cpuUs"),
            client_share: number("share")?,
            ..Sample::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_prints_is_read() {
        let text = br#"{"rate":1000.5,"cpuUs":2.5,"p50":0.25,"p99":1,"share":0.5,"answers":3000}"#;
        let sample = Sample {
            per_s: 1000.5,
            p50_us: 250.0,
            p99_us: 1000.0,
            client_us: Some(2.5),
            client_share: 0.5,
            ..Sample::default()
        };
        assert_eq!(parse(text), Some(Printed { answers: 3000.0, sample }));
        assert_eq!(parse(br#"{"rate":1}"#), None);
        assert_eq!(parse(b"Error: no"), None);
    }
}
