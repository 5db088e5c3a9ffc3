//! The servers that are compared. Each listens on 127.0.0.1:$PORT and says `server: …`, what it is.

use std::path::PathBuf;

use super::cases::{Case, Field};
use super::options::CompareOptions;
use crate::scenario::Scenario;

/// What runs a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Node,
    Bun,
    Deno,
    /// Our engine with a handler in Rust: engine/examples/ceiling.rs, which takes the port as an argument.
    Ceiling,
}

/// One server.
#[derive(Debug)]
pub struct Peer {
    /// As on the command line.
    pub name: &'static str,
    /// As in tables.
    pub title: &'static str,
    /// One of ours.
    pub ours: bool,
    program: Program,
    script: &'static str,
    environment: &'static [(&'static str, &'static str)],
    /// Which cases it runs.
    field: Field,
    /// It speaks TLS.
    pub tls: bool,
    /// It is asked over HTTP/2.
    pub http2: bool,
    /// What its clients prove themselves with. Runner exposes nothing to callers who prove nothing, unless it is told to;
    /// its guide strongly recommends a token. The others have no such thing.
    pub token: Option<&'static str>,
    /// Which client in Node calls it: that is what is measured, not the server.
    pub caller: Option<&'static str>,
}

const TOKEN: Option<&str> = Some("dev-secret");

const OURS: Peer = Peer {
    name: "ours",
    title: "fasttunnel",
    ours: true,
    program: Program::Node,
    script: "ours.mjs",
    environment: &[],
    field: Field::Defaults,
    tls: false,
    http2: false,
    token: None,
    caller: None,
};

const OTHER: Peer = Peer { ours: false, ..OURS };
const OTHER_TLS: Peer = Peer { field: Field::Tls, tls: true, ..OTHER };

const OTHER_HTTP2: Peer = Peer { field: Field::Http2, http2: true, environment: &[("HTTP2", "1")], ..OTHER };

/// Another client of our server.
const CALLER: Peer = Peer { field: Field::Clients, ..OTHER };

/// All servers. uWebSockets.js is not among them: npm does not have it, and what its makers offer instead is a GitHub
/// dependency with a binary for each version of Node.
pub static PEERS: [Peer; 27] = [
    Peer { name: "node", title: "node:http", script: "node-http.mjs", ..OTHER },
    Peer {
        name: "exposure",
        title: "nodeExposure",
        script: "runner.mjs",
        environment: &[("EXPOSURE", "node")],
        token: TOKEN,
        ..OTHER
    },
    Peer { name: "fastify", title: "fastify", script: "fastify.mjs", ..OTHER },
    Peer { name: "bun", title: "Bun.serve", program: Program::Bun, script: "bun.mjs", ..OTHER },
    Peer { name: "deno", title: "Deno.serve", program: Program::Deno, script: "deno.mjs", ..OTHER },
    Peer { name: "brahma", title: "brahma-firelight", script: "brahma.mjs", ..OTHER },
    OURS,
    Peer { name: "runner", title: "fasttunnel in Runner", script: "runner.mjs", token: TOKEN, ..OURS },
    Peer { name: "ceiling", title: "fasttunnel without JS", program: Program::Ceiling, script: "", ..OURS },
    Peer {
        name: "ours-1",
        title: "fasttunnel, 1 shard",
        environment: &[("SHARDS", "1")],
        field: Field::Shards,
        ..OURS
    },
    Peer {
        name: "ours-2",
        title: "fasttunnel, 2 shards",
        environment: &[("SHARDS", "2")],
        field: Field::Shards,
        ..OURS
    },
    Peer {
        name: "ours-4",
        title: "fasttunnel, 4 shards",
        environment: &[("SHARDS", "4")],
        field: Field::Shards,
        ..OURS
    },
    Peer { name: "node-tls", title: "node:https", script: "node-http.mjs", ..OTHER_TLS },
    Peer { name: "bun-tls", title: "Bun.serve, tls", program: Program::Bun, script: "bun.mjs", ..OTHER_TLS },
    Peer { name: "deno-tls", title: "Deno.serve, tls", program: Program::Deno, script: "deno.mjs", ..OTHER_TLS },
    Peer { name: "nginx-tls", title: "nginx before fasttunnel", script: "nginx.mjs", ..OTHER_TLS },
    Peer { name: "ours-tls", title: "fasttunnel, tls", ours: true, script: "ours.mjs", ..OTHER_TLS },
    Peer { name: "ours-plain", title: "fasttunnel, plain HTTP", field: Field::Tls, ..OURS },
    Peer { name: "node-h2", title: "node:http2", script: "node-http.mjs", ..OTHER_HTTP2 },
    Peer { name: "fastify-h2", title: "fastify, http2", script: "fastify.mjs", ..OTHER_HTTP2 },
    Peer { name: "deno-h2", title: "Deno.serve, HTTP/2", program: Program::Deno, script: "deno.mjs", ..OTHER_HTTP2 },
    Peer { name: "ours-h2", title: "fasttunnel, HTTP/2", ours: true, script: "ours.mjs", ..OTHER_HTTP2 },
    Peer { name: "undici", title: "undici Pool", caller: Some("undici"), ..CALLER },
    Peer { name: "fetch", title: "fetch", caller: Some("fetch"), ..CALLER },
    Peer { name: "smart", title: "smart client (Runner)", caller: Some("smart (Runner)"), ..CALLER },
    Peer { name: "mixed", title: "mixed client (Runner)", caller: Some("mixed (Runner)"), ..CALLER },
    Peer { name: "client", title: "fasttunnel/client", caller: Some("fasttunnel"), field: Field::Clients, ..OURS },
];

/// The server of that name.
pub fn find(name: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name)
}

/// What starts a server.
#[derive(Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program and its arguments.
    pub words: Vec<PathBuf>,
    /// Goes over the environment of this process.
    pub environment: Vec<(&'static str, String)>,
}

impl Peer {
    /// Whether it runs this case.
    pub fn runs(&self, case: &Case) -> bool {
        let can = match case.field {
            // The ceiling's handler in Rust only adds.
            Field::Defaults => self.program != Program::Ceiling || case.scenario == Scenario::Add,
            Field::Shards | Field::Http2 | Field::Clients => true,
            Field::Tls => self.tls || !case.fresh,
        };
        self.field == case.field && can
    }

    /// Its command, to listen on `port`. Bun and Deno come from npm as packages that hold the program.
    pub fn launch(&self, options: &CompareOptions, port: u16) -> Launch {
        let script = options.peers_dir.join(self.script);
        let packages = options.peers_dir.join("node_modules");
        let words = match self.program {
            Program::Node => vec!["node".into(), script],
            Program::Bun => vec![packages.join("@oven/bun-linux-x64/bin/bun"), script],
            Program::Deno => {
                vec![packages.join("@deno/linux-x64-glibc/deno"), "run".into(), "--allow-all".into(), script]
            }
            Program::Ceiling => vec![options.ceiling.clone(), port.to_string().into()],
        };
        let own = self.environment.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let token = self.token.map(|token| ("TOKEN", token.to_owned()));
        let tls = self.tls.then(|| ("TLS", options.tls_dir.display().to_string()));
        Launch { words, environment: own.chain(token).chain(tls).chain([("PORT", port.to_string())]).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::CASES;
    use super::*;

    #[test]
    fn who_runs_what() {
        let runners = |name: &str| -> Vec<&str> {
            let case = CASES.iter().find(|case| case.name == name);
            PEERS.iter().filter(|peer| case.is_some_and(|case| peer.runs(case))).map(|peer| peer.name).collect()
        };
        let all = ["node", "exposure", "fastify", "bun", "deno", "brahma", "ours", "runner", "ceiling"];
        assert_eq!(runners("add-64"), all);
        assert_eq!(runners("echo-10k"), all[..8]);
        assert_eq!(runners("shards"), ["ours-1", "ours-2", "ours-4"]);
        let tls = ["node-tls", "bun-tls", "deno-tls", "nginx-tls", "ours-tls", "ours-plain"];
        assert_eq!(runners("tls-64"), tls);
        assert_eq!(runners("tls-handshakes"), tls[..5]);
        assert_eq!(runners("h2-1x64"), ["node-h2", "fastify-h2", "deno-h2", "ours-h2"]);
        assert_eq!(runners("client-64"), ["undici", "fetch", "smart", "mixed", "client"]);
    }

    #[test]
    fn a_server_is_told_its_port() {
        let options = CompareOptions {
            peers_dir: "/p".into(),
            ceiling: "/c".into(),
            tls_dir: "/t".into(),
            ..CompareOptions::default()
        };
        let launch = |name: &str| find(name).map(|peer| peer.launch(&options, 7));
        let node = Launch {
            words: vec!["node".into(), "/p/runner.mjs".into()],
            environment: vec![("EXPOSURE", "node".into()), ("TOKEN", "dev-secret".into()), ("PORT", "7".into())],
        };
        assert_eq!(launch("exposure"), Some(node));
        let encrypted = launch("node-tls").map(|launch| launch.environment);
        assert_eq!(encrypted, Some(vec![("TLS", "/t".into()), ("PORT", "7".into())]));
        assert_eq!(launch("ceiling").map(|launch| launch.words), Some(vec!["/c".into(), "7".into()]));
    }
}
