//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::compare;
use crate::compare::options::CompareOptions;
use crate::error::Error;
use crate::scenario::Scenario;
use crate::target::Target;

/// What `--help` prints.
pub const HELP: &str = "\
Usage:
  loadtest add  [URL] [options]     POST URL/task/app.tasks.add with {\"input\":{\"a\":1,\"b\":2}}
  loadtest echo [URL] [options]     POST URL/task/app.tasks.echo with a text, expects it back
  loadtest records [URL] [options]  POST URL/task/app.tasks.echo with a list of small objects, expects it back
  loadtest block [URL] [options]    POST URL/task/app.tasks.block with a number, expects it back: a handler that computes
  loadtest get   [URL] [options]    GET URL, expects what --expect says
  loadtest chart A.json [B.json …] > x.svg
  loadtest compare [options]        starts servers, loads them in turns, prints a table

URL is the tunnel's base, http://127.0.0.1:7070/__runner unless given. Loopback addresses only. Under https:// any
certificate is taken.

Options:
  --connections N    keep-alive connections, 64
  --pipeline N       requests under way on each, 1 (closed loop only)
  --duration-s N     seconds that are measured, 10; 0.1 is the shortest
  --warmup-s N       seconds before that, 2
  --rate N           open loop: N requests a second whatever the server does; latency counts from the moment at
                     which a request should have been sent. Without it: closed loop, each connection sends its next
                     request when an answer has come
  --fresh yes        a connection of its own for each request, under https:// a whole handshake; closed loop, no pipeline
  --proxy HOST:PORT  ask this forward proxy for URL, which is not under https://; it is the server whose CPU counts
  --proxy-basic TEXT name and password for it, joined by a colon, in base64
  --deadline-ms N    a good answer after more than that counts as late; those in time are the goodput. 1000
  --body-bytes N     size of the request body of `echo`, and at most of `records`, 1024
  --task ID          another task than the scenario's
  --other N:ID:MS    each Nth request calls this task, which computes for MS, instead; the result has what the others
                     took, and how long all have waited: their latency without what their handlers compute
  --computes-ms N    what the handler of the others computes, 0
  --token TEXT       sent as x-runner-token
  --expect TEXT      the exact body of a good answer, instead of the scenario's
  --server-pid N     whose CPU time to read; found through the listening port unless given
  --label TEXT       the name of this run in results and charts
  --json FILE        write the result there, too
  --help             this text

Options of compare:
  --cases A,B,…      loads: add-64, add-64x16, add-1, add-512, echo-10k, half-rate, block-1ms, shards, tls-64,
                     tls-handshakes, h2-64, h2-1x64, client-64, client-1, client-echo-10k; all unless given
  --peers A,B,…      servers: node, exposure, fastify, bun, deno, brahma, ours, runner, ceiling, ours-1, ours-2,
                     ours-4; under TLS node-tls, bun-tls, deno-tls, nginx-tls, ours-tls, ours-plain; over HTTP/2
                     node-h2, fastify-h2, deno-h2, ours-h2; and clients in Node: undici, fetch, smart, mixed,
                     client; all unless given
  --against NAME     the server that ratios are relative to, node
  --rounds N         measurements of each server under each load, 5
  --duration-s N     seconds of one, 3
  --warmup-s N       seconds before each, 0.5
  --client NAME      loadtest, wrk or both
  --out FOLDER       where compare.md, compare.json and compare.svg go
  --peers-dir FOLDER the servers' programs, loadtest/peers
  --ceiling FILE     the engine's example, examples/ceiling beside this program

Exit code: 0 when every answer was the expected one, 1 when not, 2 for a mistake on the command line.
";

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Draw these results.
    Chart(Vec<PathBuf>),
    /// Generate load.
    Run(Box<Options>),
    /// Compare servers.
    Compare(Box<CompareOptions>),
}

/// A run's options, each within its bounds.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is sent.
    pub scenario: Scenario,
    /// Where to.
    pub target: Target,
    /// Keep-alive connections.
    pub connections: usize,
    /// Requests under way on each.
    pub pipeline: usize,
    /// Each request has a connection of its own.
    pub fresh: bool,
    /// The time that is measured.
    pub duration: Duration,
    /// The time before.
    pub warmup: Duration,
    /// Requests a second of the open loop; none: closed loop.
    pub rate: Option<u32>,
    /// A good answer that took longer is late.
    pub deadline: Duration,
    /// `--body-bytes`.
    pub body_bytes: usize,
    /// `--task`.
    pub task: Option<String>,
    /// What each Nth request calls instead.
    pub other: Option<Other>,
    /// What the handler of the others computes.
    pub computes: Duration,
    /// `--token`.
    pub token: Option<String>,
    /// `--expect`.
    pub expect: Option<String>,
    /// The forward proxy that is asked.
    pub proxy: Option<SocketAddr>,
    /// What proves to it who asks.
    pub proxy_basic: Option<String>,
    /// `--server-pid`.
    pub server_pid: Option<u32>,
    /// `--label`.
    pub label: Option<String>,
    /// `--json`.
    pub json: Option<PathBuf>,
}

/// A task that is called now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Each so many requests.
    pub every: u64,
    /// Its id.
    pub task: String,
    /// What its handler computes.
    pub computes: Duration,
}

impl Options {
    /// Where connections are made to.
    pub fn address(&self) -> SocketAddr {
        self.proxy.unwrap_or(self.target.address)
    }

    /// What is taken unless it is given.
    pub fn new(scenario: Scenario, target: Target) -> Self {
        Options {
            scenario,
            target,
            connections: 64,
            pipeline: 1,
            fresh: false,
            duration: Duration::from_secs(10),
            warmup: Duration::from_secs(2),
            rate: None,
            deadline: Duration::from_secs(1),
            body_bytes: 1024,
            task: None,
            other: None,
            computes: Duration::ZERO,
            token: None,
            expect: None,
            proxy: None,
            proxy_basic: None,
            server_pid: None,
            label: None,
            json: None,
        }
    }
}

/// Reads the arguments behind the program's name.
pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, Error> {
    let arguments: Vec<String> = arguments.collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return Ok(Command::Help);
    }
    let mut arguments = arguments.into_iter().peekable();
    let scenario = match arguments.next().as_deref() {
        None => return Ok(Command::Help),
        Some("add") => Scenario::Add,
        Some("echo") => Scenario::Echo,
        Some("records") => Scenario::Records,
        Some("block") => Scenario::Block,
        Some("get") => Scenario::Get,
        Some("compare") => {
            return compare::options::parse(arguments).map(|options| Command::Compare(Box::new(options)));
        }
        Some("chart") => return chart(arguments.map(PathBuf::from).collect()),
        Some(other) => {
            return usage(format!(
                "`{other}` is no command: use `add`, `echo`, `records`, `block`, `get`, `chart` or `compare`"
            ));
        }
    };
    let url = arguments.next_if(|argument| !argument.starts_with("--"));
    let target = Target::parse(url.as_deref().unwrap_or("http://127.0.0.1:7070/__runner"))?;
    let mut options = Options::new(scenario, target);
    while let Some(name) = arguments.next() {
        let Some(value) = arguments.next() else {
            return usage(format!("{name} needs a value behind it"));
        };
        set(&mut options, &name, value)?;
    }
    if options.rate.is_some() && options.pipeline > 1 {
        return usage("--pipeline is for the closed loop: leave it out, or leave out --rate");
    }
    if options.fresh && (options.rate.is_some() || options.pipeline > 1) {
        return usage("--fresh is for the closed loop, without --pipeline");
    }
    if options.other.is_some() && (options.fresh || options.pipeline > 1) {
        return usage("--other is for connections that stay, without --pipeline");
    }
    if options.proxy.is_some() && options.target.tls {
        return usage("--proxy is for http://");
    }
    Ok(Command::Run(Box::new(options)))
}

fn chart(files: Vec<PathBuf>) -> Result<Command, Error> {
    match files.len() {
        0 => usage("chart needs at least one file that --json has written"),
        1..=8 => Ok(Command::Chart(files)),
        more => usage(format!("chart draws 8 files at most, not {more}")),
    }
}

fn set(options: &mut Options, name: &str, value: String) -> Result<(), Error> {
    match name {
        "--connections" => options.connections = number(name, &value, 1, 10_000)?,
        "--pipeline" => options.pipeline = number(name, &value, 1, 256)?,
        "--duration-s" => options.duration = seconds(name, &value, 0.1)?,
        "--warmup-s" => options.warmup = seconds(name, &value, 0.0)?,
        "--fresh" if value == "yes" => options.fresh = true,
        "--fresh" => return usage(format!("--fresh is `yes`, or left out, not `{value}`")),
        "--deadline-ms" => options.deadline = Duration::from_millis(number(name, &value, 1, 60_000)?),
        "--rate" => options.rate = Some(number(name, &value, 1, 1_000_000)?),
        // The smallest: {"input":""}
        "--body-bytes" => options.body_bytes = number(name, &value, 12, 1 << 20)?,
        "--server-pid" => options.server_pid = Some(number(name, &value, 1, u32::MAX)?),
        "--task" => options.task = Some(line(name, value)?),
        "--other" => options.other = Some(other(name, &value)?),
        "--computes-ms" => options.computes = Duration::from_millis(number(name, &value, 0, 60_000)?),
        "--token" => options.token = Some(line(name, value)?),
        "--expect" => options.expect = Some(value),
        "--proxy" => options.proxy = Some(Target::parse(&format!("http://{value}"))?.address),
        "--proxy-basic" => options.proxy_basic = Some(line(name, value)?),
        "--label" => options.label = Some(value),
        "--json" => options.json = Some(value.into()),
        _ => return usage(format!("{name} is no option")),
    }
    Ok(())
}

fn other(name: &str, text: &str) -> Result<Other, Error> {
    let parts: Vec<&str> = text.split(':').collect();
    let [every, task, ms] = parts[..] else {
        return usage(format!("{name} takes a number, a task and milliseconds, joined by colons, not `{text}`"));
    };
    let computes = Duration::from_millis(number(name, ms, 0, 60_000)?);
    Ok(Other { every: number(name, every, 2, 1_000_000)?, task: line(name, task.to_owned())?, computes })
}

/// A whole number within its bounds.
pub fn number<N>(name: &str, text: &str, least: N, most: N) -> Result<N, Error>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => usage(format!("{name} takes a whole number from {least} to {most}, not `{text}`")),
    }
}

/// A time of at most an hour, in seconds.
pub fn seconds(name: &str, text: &str, least: f64) -> Result<Duration, Error> {
    match text.parse() {
        Ok(seconds) if (least..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => usage(format!("{name} takes seconds from {least} to 3600, not `{text}`")),
    }
}

/// A text that goes into the request's head.
fn line(name: &str, text: String) -> Result<String, Error> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return usage(format!("{name} takes visible ASCII characters without blanks, not `{}`", text.escape_debug()));
    }
    Ok(text)
}

/// A mistake on the command line.
pub fn usage<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Usage(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Error> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let line = "echo http://127.0.0.1:9/x --connections 3 --duration-s 1.5 --rate 500 --deadline-ms 20 --body-bytes 99 --json out.json";
        let Ok(Command::Run(options)) = parsed(line) else { panic!("refused") };
        assert_eq!((options.connections, options.rate, options.body_bytes), (3, Some(500), 99));
        assert_eq!(options.deadline, Duration::from_millis(20));
        assert_eq!((options.target.base.as_str(), options.duration), ("/x", Duration::from_millis(1500)));
        assert!(matches!(parsed("add --help"), Ok(Command::Help)));
        assert!(matches!(parsed(""), Ok(Command::Help)));
        assert!(matches!(parsed("chart a.json"), Ok(Command::Chart(files)) if files.len() == 1));
    }

    #[test]
    fn mistakes_name_the_option_and_the_fix() {
        for (line, words) in [
            ("add --connections 0", "--connections takes a whole number from 1 to 10000, not `0`"),
            ("add --rate", "--rate needs a value"),
            ("add --rate 5 --pipeline 2", "leave out --rate"),
            ("add --colour red", "--colour is no option"),
            ("add http://example.com/", "loopback"),
            ("sub", "use `add`"),
            ("get --fresh yes --rate 5", "--fresh is for the closed loop"),
            ("get --proxy 10.0.0.1:80", "loopback"),
            ("get https://127.0.0.1:9/ --proxy 127.0.0.1:8", "--proxy is for http://"),
            ("add --duration-s 0.01", "--duration-s takes seconds from 0.1 to 3600, not `0.01`"),
            ("add --warmup-s NaN", "--warmup-s takes seconds"),
            ("add --other 10:long", "--other takes a number, a task and milliseconds, joined by colons, not `10:long`"),
            ("add --other 1:long:20", "--other takes a whole number from 2 to 1000000, not `1`"),
            ("add --other 10:long:20 --pipeline 2", "--other is for connections that stay"),
            ("chart", "at least one file"),
            ("echo --task a\u{7f}b", "--task takes visible ASCII"),
        ] {
            let Err(error) = parsed(line) else { panic!("{line}: accepted") };
            assert!(error.to_string().contains(words), "{line}: {error}");
        }
    }
}
