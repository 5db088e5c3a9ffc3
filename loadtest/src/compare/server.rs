//! A server that is being compared, from its start to its end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::h2load;
use super::options::CompareOptions;
use super::peers::{Launch, Peer};
use crate::answer::{AnswerReader, Kind};
use crate::encrypted;
use crate::options::Options;
use crate::scenario::Exchange;

/// A server that has not answered by then is left out.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// Who listens may not be ready, as an app that registers its tasks after its server has begun: a wrong answer counts
/// when it is the last one in this time.
const RIGHT_PATIENCE: Duration = Duration::from_secs(3);

/// For one answer to one request.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// Why a server does not run a case.
#[derive(Debug)]
pub enum Unready {
    /// It does not start, whatever the case.
    Never(String),
    /// It answers, but not this.
    Now(String),
}

/// A process that listens; it is killed when this is dropped.
pub struct PeerServer {
    /// Who it is.
    pub peer: &'static Peer,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its id.
    pub pid: u32,
    child: Child,
    output: PathBuf,
    errors: PathBuf,
}

impl PeerServer {
    /// Starts it. Why it could not be is for the report.
    pub fn start(peer: &'static Peer, options: &CompareOptions) -> Result<PeerServer, String> {
        let port = free_port().map_err(|error| format!("no free port: {error}"))?;
        let file = |kind: &str| std::env::temp_dir().join(format!("compare-{}-{port}.{kind}", std::process::id()));
        let (output, errors) = (file("out"), file("err"));
        let open = |path: &PathBuf| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
        let Launch { words, environment } = peer.launch(options, port);
        let mut command = match has_setpriv() {
            // The system ends the server should this process be killed.
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL", "--"]).args(&words);
                command
            }
            false => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                command
            }
        };
        command.envs(environment).stdin(Stdio::null()).stdout(open(&output)?).stderr(open(&errors)?);
        let child = command.spawn().map_err(|error| format!("{}: {error}", words[0].display()))?;
        Ok(PeerServer { peer, address: (Ipv4Addr::LOCALHOST, port).into(), pid: child.id(), child, output, errors })
    }

    /// Waits until it gives the right answer, body and all.
    pub fn wait_for(&mut self, load: &Options) -> Result<(), Unready> {
        let start = Instant::now();
        let mut listens_since = None;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Unready::Never(format!("ended with {status}: {}", self.complaint())));
            }
            let failed = match TcpStream::connect(self.address) {
                Ok(socket) => match self.ask(socket, load) {
                    Ok(()) => return Ok(()),
                    Err(why) => {
                        let since: &mut Instant = listens_since.get_or_insert_with(Instant::now);
                        (since.elapsed() > RIGHT_PATIENCE).then_some(Unready::Now(why))
                    }
                },
                Err(error) => (start.elapsed() > START_PATIENCE)
                    .then(|| Unready::Never(format!("does not listen: {error}; {}", self.complaint()))),
            };
            if let Some(failed) = failed {
                return Err(failed);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, socket: TcpStream, load: &Options) -> Result<(), String> {
        if self.peer.http2 {
            return h2load::ask(load);
        }
        let exchange = &Exchange::new(load);
        socket.set_read_timeout(Some(ANSWER_PATIENCE)).map_err(|error| error.to_string())?;
        if !self.peer.tls {
            return ask(socket, exchange);
        }
        let session = encrypted::config().and_then(|config| encrypted::session(&config));
        let session = session.map_err(|error| error.to_string())?;
        ask(rustls::StreamOwned::new(session, socket), exchange)
    }

    /// What it says it is, once it runs.
    pub fn introduction(&self) -> String {
        introduction(&fs::read_to_string(&self.output).unwrap_or_default()).to_owned()
    }

    /// The line of its errors that says most.
    fn complaint(&self) -> String {
        complaint(&fs::read_to_string(&self.errors).unwrap_or_default()).to_owned()
    }
}

impl Drop for PeerServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for file in [&self.output, &self.errors] {
            let _ = fs::remove_file(file);
        }
    }
}

/// The line that begins with `server: `; some print others before it, some have no such line.
fn introduction(text: &str) -> &str {
    let line = text.lines().find_map(|line| line.strip_prefix("server: "));
    line.or_else(|| text.lines().next()).unwrap_or_default()
}

/// The first line that names an error, or the last line.
fn complaint(text: &str) -> &str {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines().find(|line| line.contains("Error")).or_else(|| lines().next_back()).unwrap_or("it said nothing")
}

/// One request and its answer.
fn ask(mut socket: impl Read + Write, exchange: &Exchange) -> Result<(), String> {
    let mut talk = || -> std::io::Result<Result<(), String>> {
        socket.write_all(&exchange.request)?;
        let (mut bytes, mut piece, mut answers) = (Vec::new(), [0; 16 * 1024], AnswerReader::default());
        loop {
            let count = socket.read(&mut piece)?;
            if count == 0 {
                return Ok(Err("closes the connection instead of answering".to_owned()));
            }
            bytes.extend_from_slice(&piece[..count]);
            match answers.next(&bytes) {
                Ok(None) => {}
                Ok(Some(answer)) if answer.kind == Kind::Ok && answer.body == exchange.expected => return Ok(Ok(())),
                Ok(Some(answer)) => {
                    let text = String::from_utf8_lossy(&answer.bytes[..answer.bytes.len().min(2000)]);
                    return Ok(Err(format!("answers wrongly: {}", text.escape_debug())));
                }
                Err(why) => return Ok(Err(format!("answers with {why}"))),
            }
        }
    };
    talk().unwrap_or_else(|error| Err(format!("does not answer: {error}")))
}

/// A port that was free a moment ago.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn has_setpriv() -> bool {
    let try_it = Command::new("setpriv").args(["--pdeathsig", "KILL", "--", "true"]).stderr(Stdio::null()).status();
    try_it.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_most_is_shown() {
        assert_eq!(
            complaint("file.js:1\n  throw x\n\nError: no such thing\n  at y\n\nNode.js v20\n"),
            "Error: no such thing"
        );
        assert_eq!(complaint("one\n two \n\n"), "two");
        assert_eq!(complaint(""), "it said nothing");
        assert_eq!(["a\nserver: b\n", "a\nb", ""].map(introduction), ["b", "a", ""]);
    }
}
