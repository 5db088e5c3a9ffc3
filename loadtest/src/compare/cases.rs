//! The loads that servers are compared under.

use crate::scenario::Scenario;

/// The servers that run a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// All that know the task, with their defaults.
    Defaults,
    /// Ours with one, two and four shards.
    Shards,
    /// All that speak TLS, and ours without.
    Tls,
    /// All that speak HTTP/2 in clear.
    Http2,
    /// Ours, called by clients in Node: they are what is compared.
    Clients,
}

/// One load.
#[derive(Debug)]
pub struct Case {
    /// As on the command line.
    pub name: &'static str,
    /// As in tables.
    pub title: &'static str,
    /// What is asked.
    pub scenario: Scenario,
    /// Keep-alive connections.
    pub connections: usize,
    /// Requests under way on each: of HTTP/2, streams.
    pub pipeline: usize,
    /// A connection of its own for each request.
    pub fresh: bool,
    /// Open loop, at half of what ours can do.
    pub half_rate: bool,
    /// Who runs it.
    pub field: Field,
}

/// The size of the request body of the echo case.
pub const ECHO_BYTES: usize = 10 * 1024;

const ADD: Case = Case {
    name: "add-64",
    title: "add, 64 connections",
    scenario: Scenario::Add,
    connections: 64,
    pipeline: 1,
    fresh: false,
    half_rate: false,
    field: Field::Defaults,
};

/// How many connections its calls take is a client's own choice.
const CLIENT: Case =
    Case { name: "client-64", title: "clients in Node, add, 64 calls at a time", field: Field::Clients, ..ADD };

/// All cases, in the order in which they run.
pub static CASES: [Case; 15] = [
    ADD,
    Case { name: "add-64x16", title: "add, 64 connections, 16 requests deep", pipeline: 16, ..ADD },
    Case { name: "add-1", title: "add, 1 connection", connections: 1, ..ADD },
    Case { name: "add-512", title: "add, 512 connections", connections: 512, ..ADD },
    Case {
        name: "echo-10k",
        title: "echo of 10 KiB of JSON (a list of objects), 64 connections",
        scenario: Scenario::Records,
        ..ADD
    },
    Case {
        name: "half-rate",
        title: "add, open loop at half of what ours can do, 64 connections",
        half_rate: true,
        ..ADD
    },
    Case {
        name: "block-1ms",
        title: "a handler that blocks for 1 ms, 64 connections",
        scenario: Scenario::Block,
        ..ADD
    },
    Case { name: "shards", title: "add, 64 connections, ours with 1, 2 and 4 shards", field: Field::Shards, ..ADD },
    Case { name: "tls-64", title: "add, 64 connections, under TLS 1.3", field: Field::Tls, ..ADD },
    Case {
        name: "tls-handshakes",
        title: "add, a whole handshake of TLS 1.3 for each, 64 at a time",
        fresh: true,
        field: Field::Tls,
        ..ADD
    },
    Case { name: "h2-64", title: "add, HTTP/2, 64 connections", field: Field::Http2, ..ADD },
    Case {
        name: "h2-1x64",
        title: "add, HTTP/2, 64 streams on 1 connection",
        connections: 1,
        pipeline: 64,
        field: Field::Http2,
        ..ADD
    },
    CLIENT,
    Case { name: "client-1", title: "clients in Node, add, 1 call at a time", connections: 1, ..CLIENT },
    Case {
        name: "client-echo-10k",
        title: "clients in Node, echo of 10 KiB of JSON, 64 calls at a time",
        scenario: Scenario::Echo,
        ..CLIENT
    },
];

/// The case of that name.
pub fn find(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for case in &CASES {
            assert!(std::ptr::eq(find(case.name).unwrap_or(&ADD), case), "{}", case.name);
        }
    }
}
