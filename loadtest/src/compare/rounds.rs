//! Measures the servers of each case in turns, so that what changes on the machine meanwhile meets them all.

use std::collections::BTreeMap;

use super::Comparison;
use super::callers;
use super::cases::{Case, ECHO_BYTES};
use super::figures::{Sample, Series};
use super::h2load;
use super::options::{Client, CompareOptions};
use super::peers::{PEERS, Peer};
use super::progress::Progress;
use super::server::{PeerServer, Unready};
use super::wrk;
use crate::load;
use crate::options::Options;
use crate::process::Server;
use crate::record::Record;
use crate::scenario::Scenario;
use crate::target::Target;

/// An open loop is for who can do this much more than its rate.
const HEADROOM: f64 = 1.1;

/// Runs every case.
pub fn measure(comparison: &mut Comparison) {
    let cases = comparison.options.cases.clone();
    let steps = |case: &Case| {
        let rounds = comparison.options.rounds * comparison.options.clients(case).count() + usize::from(case.half_rate);
        comparison.options.field(case).len() * rounds
    };
    let progress = Progress::new(cases.iter().map(|case| steps(case)).sum());
    let mut run = Run { comparison, progress, broken: BTreeMap::new() };
    for case in cases {
        run.case(case);
    }
    run.progress.end();
}

struct Run<'a> {
    comparison: &'a mut Comparison,
    progress: Progress,
    /// Who cannot be started, and why: tried once.
    broken: BTreeMap<&'static str, String>,
}

impl Run<'_> {
    fn options(&self) -> &CompareOptions {
        &self.comparison.options
    }

    /// Starts the servers of a case, measures them round by round, ends them.
    fn case(&mut self, case: &'static Case) {
        let clients: Vec<Client> = self.options().clients(case).collect();
        if clients.is_empty() {
            return;
        }
        let mut servers: Vec<PeerServer> =
            self.options().field(case).into_iter().filter_map(|peer| self.start(case, peer)).collect();
        let rate = if case.half_rate { self.half_rate(case, &mut servers) } else { None };
        for server in &servers {
            for client in &clients {
                let (peer, client) = (server.peer, *client);
                self.comparison.series.push(Series { case, peer, client, rate, samples: Vec::new() });
            }
        }
        for round in 0..self.options().rounds {
            // Forth and back, so that nobody always follows the same neighbour.
            if round > 0 {
                servers.reverse();
            }
            servers.retain(|server| {
                clients.iter().all(|client| {
                    let what = format!("round {}", round + 1);
                    let sample = self.sample(case, server, *client, rate, &what);
                    let good = sample.is_some();
                    let series = self.comparison.series.iter_mut().find(|series| {
                        series.case.name == case.name
                            && series.peer.name == server.peer.name
                            && series.client == *client
                    });
                    if let Some(series) = series {
                        series.samples.extend(sample);
                    }
                    good
                })
            });
        }
        servers.sort_by_key(|server| PEERS.iter().position(|peer| peer.name == server.peer.name));
        for server in servers {
            if !self.comparison.introductions.iter().any(|(known, _)| known.name == server.peer.name) {
                self.comparison.introductions.push((server.peer, server.introduction()));
            }
        }
    }

    fn start(&mut self, case: &'static Case, peer: &'static Peer) -> Option<PeerServer> {
        let known = self.broken.get(peer.name).cloned().map_or(Ok(()), |reason| Err(Unready::Never(reason)));
        let started = known.and_then(|()| {
            let mut server = PeerServer::start(peer, self.options()).map_err(Unready::Never)?;
            server.wait_for(&self.load(case, &server, None))?;
            Ok(server)
        });
        let reason = match started {
            Ok(server) => return Some(server),
            Err(Unready::Now(reason)) => reason,
            Err(Unready::Never(reason)) => {
                self.broken.insert(peer.name, reason.clone());
                reason
            }
        };
        self.leave_out(case, peer, reason);
        None
    }

    fn leave_out(&mut self, case: &'static Case, peer: &'static Peer, reason: String) {
        self.progress.say(&format!("{} is left out of {}: {reason}", peer.title, case.name));
        self.progress.skip(self.options().rounds * self.options().clients(case).count());
        self.comparison.left_out.push((peer, case, reason));
    }

    /// The rate of an open loop: half of what ours (or else the first) can do now. Who cannot keep up with it is left
    /// out: its latencies would be its queue's.
    fn half_rate(&mut self, case: &'static Case, servers: &mut Vec<PeerServer>) -> Option<u32> {
        let mut capacities = BTreeMap::new();
        for server in servers.iter() {
            let sample = self.sample(case, server, Client::Own, None, "capacity");
            capacities.insert(server.peer.name, sample.map_or(0.0, |sample| sample.per_s));
        }
        let first = servers.first()?.peer.name;
        let capacity = capacities.get("ours").or(capacities.get(first))?;
        let rate = half_of(*capacity);
        servers.retain(|server| {
            let can = capacities.get(server.peer.name).copied().unwrap_or_default();
            let keeps_up = can >= f64::from(rate) * HEADROOM;
            if !keeps_up {
                self.leave_out(case, server.peer, format!("it does {can:.0} requests/s, the rate is {rate}"));
            }
            keeps_up
        });
        Some(rate)
    }

    /// One measurement. A server that breaks is left out from then on.
    fn sample(
        &mut self,
        case: &'static Case,
        server: &PeerServer,
        client: Client,
        rate: Option<u32>,
        what: &str,
    ) -> Option<Sample> {
        let outcome = match client {
            Client::Own if server.peer.caller.is_some() => self.by_caller(case, server),
            Client::Own if server.peer.http2 => self.by_h2load(case, server),
            Client::Own => own(&self.load(case, server, rate)),
            Client::Wrk => self.by_wrk(case, server),
        };
        match outcome {
            Ok(sample) => {
                let by = client.name();
                self.progress
                    .step(&format!("{}, {what}, {} by {by}: {:.0}/s", case.name, server.peer.title, sample.per_s));
                Some(sample)
            }
            Err(reason) => {
                self.leave_out(case, server.peer, reason);
                None
            }
        }
    }

    fn by_caller(&self, case: &Case, server: &PeerServer) -> Result<Sample, String> {
        let process = Server::of(server.pid).map_err(|error| error.to_string())?;
        let caller = server.peer.caller.unwrap_or_default();
        callers::measure(&self.load(case, server, None), &process, caller, &self.options().peers_dir)
    }

    fn by_h2load(&self, case: &Case, server: &PeerServer) -> Result<Sample, String> {
        let process = Server::of(server.pid).map_err(|error| error.to_string())?;
        let load = self.load(case, server, None);
        if !load.warmup.is_zero() {
            h2load::measure(&Options { duration: load.warmup, ..load.clone() }, &process)?;
        }
        h2load::measure(&load, &process)
    }

    fn by_wrk(&self, case: &Case, server: &PeerServer) -> Result<Sample, String> {
        let mut load = self.load(case, server, None);
        // wrk measures from its first request on: the server is warmed up for it.
        let duration = std::mem::replace(&mut load.duration, self.options().warmup);
        if !load.duration.is_zero() {
            load.warmup = std::time::Duration::ZERO;
            own(&load)?;
        }
        load.duration = duration;
        let process = Server::of(server.pid).map_err(|error| error.to_string())?;
        wrk::measure(&load, &process, &wrk::script(&self.options().peers_dir)?)
    }

    fn load(&self, case: &Case, server: &PeerServer, rate: Option<u32>) -> Options {
        let address = server.address;
        let target = Target { address, host: address.to_string(), base: "/__runner".to_owned(), tls: server.peer.tls };
        Options {
            connections: case.connections,
            pipeline: case.pipeline,
            fresh: case.fresh,
            duration: self.options().duration,
            warmup: self.options().warmup,
            rate,
            token: server.peer.token.map(str::to_owned),
            body_bytes: if matches!(case.scenario, Scenario::Records | Scenario::Echo) { ECHO_BYTES } else { 0 },
            server_pid: Some(server.pid),
            ..Options::new(case.scenario, target)
        }
    }
}

fn half_of(capacity: f64) -> u32 {
    // A float becomes the nearest number that fits.
    ((capacity / 2.0) as u32).max(1)
}

fn own(options: &Options) -> Result<Sample, String> {
    load::run(options, &|_| {}).map(|record| sample(&record)).map_err(|error| error.to_string())
}

fn sample(record: &Record) -> Sample {
    let used = &record.used;
    Sample {
        per_s: record.per_s,
        p50_us: record.latency_us(0.5),
        p99_us: record.latency_us(0.99),
        server_us: used.server_us_per_answer(),
        client_us: used.own_us_per_answer(),
        client_share: used.own_share(),
        client_waited: used.own_waited_share(),
        rest_cores: used.rest_cores(),
        failed: record.failures.iter().map(|(_, failed)| failed.count).sum(),
        failure: record.failures.first().map(|(failure, failed)| format!("{}: {}", failure.name(), failed.first)),
    }
}
