//! The command line of `compare`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cases::{self, CASES, Case, Field};
use super::peers::{self, PEERS, Peer};
use crate::error::Error;
use crate::options::{number, seconds, usage};

/// What generates the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// This program.
    Own,
    /// wrk, with one thread.
    Wrk,
}

impl Client {
    /// As in results.
    pub fn name(self) -> &'static str {
        match self {
            Client::Own => "loadtest",
            Client::Wrk => "wrk",
        }
    }
}

/// A comparison's options.
#[derive(Debug)]
pub struct CompareOptions {
    /// The loads.
    pub cases: Vec<&'static Case>,
    /// The servers; one that does not run a case is left out of it.
    pub peers: Vec<&'static Peer>,
    /// Ratios are relative to this one.
    pub against: &'static Peer,
    /// Measurements of each server under each load.
    pub rounds: usize,
    /// One measurement.
    pub duration: Duration,
    /// Load before each.
    pub warmup: Duration,
    /// What generates the load; both: one after the other in each round.
    pub clients: Vec<Client>,
    /// Where the results go.
    pub out: Option<PathBuf>,
    /// Where the servers are.
    pub peers_dir: PathBuf,
    /// The engine's example.
    pub ceiling: PathBuf,
    /// Where certificate and key of the servers under TLS are.
    pub tls_dir: PathBuf,
}

impl Default for CompareOptions {
    fn default() -> Self {
        let ceiling = std::env::current_exe().ok();
        let ceiling = ceiling.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).join("examples/ceiling");
        CompareOptions {
            cases: CASES.iter().collect(),
            peers: PEERS.iter().collect(),
            against: &PEERS[0],
            rounds: 5,
            duration: Duration::from_secs(3),
            warmup: Duration::from_millis(500),
            clients: vec![Client::Own],
            out: None,
            peers_dir: Path::new(env!("CARGO_MANIFEST_DIR")).join("peers"),
            ceiling,
            tls_dir: std::env::temp_dir().join(format!("compare-tls-{}", std::process::id())),
        }
    }
}

impl CompareOptions {
    /// The servers that run a case.
    pub fn field(&self, case: &Case) -> Vec<&'static Peer> {
        // How many shards is a case's own question: no choice of servers is an answer to it.
        let field = if case.field == Field::Shards { PEERS.iter().collect() } else { self.peers.clone() };
        field.into_iter().filter(|peer| peer.runs(case)).collect()
    }

    /// The clients that can generate a case's load.
    pub fn clients(&self, case: &Case) -> impl Iterator<Item = Client> {
        let closed = !case.half_rate && matches!(case.field, Field::Defaults | Field::Shards);
        // wrk has no open loop; under TLS it may take sessions up again; it speaks no HTTP/2; it is no client in Node.
        self.clients.iter().copied().filter(move |client| closed || *client == Client::Own)
    }
}

/// Reads the arguments behind `compare`.
pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<CompareOptions, Error> {
    let mut options = CompareOptions::default();
    while let Some(name) = arguments.next() {
        let Some(value) = arguments.next() else {
            return usage(format!("{name} needs a value behind it"));
        };
        match name.as_str() {
            "--cases" => options.cases = list(&name, &value, cases::find, CASES.iter().map(|case| case.name))?,
            "--peers" => options.peers = list(&name, &value, peers::find, PEERS.iter().map(|peer| peer.name))?,
            "--against" => options.against = one(&name, &value, peers::find, PEERS.iter().map(|peer| peer.name))?,
            "--rounds" => options.rounds = number(&name, &value, 1, 1000)?,
            "--duration-s" => options.duration = seconds(&name, &value, 0.1)?,
            "--warmup-s" => options.warmup = seconds(&name, &value, 0.0)?,
            "--out" => options.out = Some(value.into()),
            "--peers-dir" => options.peers_dir = value.into(),
            "--ceiling" => options.ceiling = value.into(),
            "--client" => {
                options.clients = match value.as_str() {
                    "loadtest" => vec![Client::Own],
                    "wrk" => vec![Client::Wrk],
                    "both" => vec![Client::Own, Client::Wrk],
                    _ => return usage(format!("{name} is `loadtest`, `wrk` or `both`, not `{value}`")),
                }
            }
            _ => return usage(format!("{name} is no option of `compare`")),
        }
    }
    Ok(options)
}

/// Names with commas between them.
fn list<T>(
    option: &str,
    text: &str,
    find: impl Fn(&str) -> Option<T>,
    known: impl Iterator<Item = &'static str> + Clone,
) -> Result<Vec<T>, Error> {
    text.split(',').map(|name| one(option, name, &find, known.clone())).collect()
}

fn one<T>(
    option: &str,
    name: &str,
    find: impl Fn(&str) -> Option<T>,
    known: impl Iterator<Item = &'static str>,
) -> Result<T, Error> {
    find(name).map_or_else(
        || usage(format!("{option}: there is no `{name}`, only {}", known.collect::<Vec<_>>().join(", "))),
        Ok,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<CompareOptions, Error> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_help_names_every_case_and_every_server() {
        let words: Vec<&str> = crate::options::HELP.split(|c: char| c.is_whitespace() || ",;:".contains(c)).collect();
        for name in CASES.iter().map(|case| case.name).chain(PEERS.iter().map(|peer| peer.name)) {
            assert!(words.contains(&name), "{name}");
        }
    }

    #[test]
    fn options_are_read() {
        let line = "--cases add-1,shards --peers node,ours --against ours --rounds 2 --duration-s 0.3 --client both";
        let Ok(options) = parsed(line) else { panic!("refused") };
        let names = |case: &Case| options.field(case).iter().map(|peer| peer.name).collect::<Vec<_>>();
        assert_eq!(names(options.cases[0]), ["node", "ours"]);
        assert_eq!(names(options.cases[1]), ["ours-1", "ours-2", "ours-4"]);
        assert_eq!((options.against.name, options.rounds, options.duration.as_millis()), ("ours", 2, 300));
        assert_eq!(options.clients(options.cases[0]).count(), 2);
        let callers = cases::find("client-1").unwrap_or(&CASES[0]);
        assert_eq!(options.clients(callers).collect::<Vec<_>>(), [Client::Own]);
        assert!(options.field(callers).is_empty());
        let half = cases::find("half-rate").unwrap_or(&CASES[0]);
        assert_eq!(options.clients(half).collect::<Vec<_>>(), [Client::Own]);
    }

    #[test]
    fn mistakes_name_the_option_and_the_fix() {
        for (line, words) in [
            ("--cases add-64,sub", "--cases: there is no `sub`, only add-64, add-64x16,"),
            ("--peers", "--peers needs a value"),
            ("--against nobody", "there is no `nobody`, only node, exposure"),
            ("--client ab", "`loadtest`, `wrk` or `both`"),
            ("--rounds 0", "--rounds takes a whole number"),
            ("--colour red", "--colour is no option of `compare`"),
        ] {
            let Err(error) = parsed(line) else { panic!("{line}: accepted") };
            assert!(error.to_string().contains(words), "{line}: {error}");
        }
    }
}
